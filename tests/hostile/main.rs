//! One peer among honest ones sends everything that a decoder should be tried with: each is refused with a named error,
//! the sender is penalised, and the honest nodes go on.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails a test")]

mod cases;
mod envelope;
mod payloads;
mod presence;
mod world;

use std::time::Duration;

use cases::Case;
use chorale::driver::Notice;
use chorale_protocol::engine::Event;
use world::{Evil, World};

/// Cases that one peer sends: few enough that its standing lets each be heard.
const CASES_A_PEER: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

/// Has `evil` send `case` until the honest node says why it refused it.
async fn refused(world: &mut World, evil: &Evil, case: &Case) -> Result<(), String> {
    let mut notices = world.listen();
    evil.send(case).await;
    let code = tokio::time::timeout(PATIENCE, async {
        loop {
            match notices.recv().await.expect("the honest node runs") {
                Notice::Engine(Event::Refused { from: Some(from), reason }) if from == evil.peer => return reason.code,
                Notice::Engine(Event::PayloadRefused { member, reason, .. }) if member == evil.member => {
                    return reason.code;
                }
                _ => {}
            }
        }
    })
    .await;
    match code {
        Ok(code) if code == case.code => Ok(()),
        Ok(code) => Err(format!("{}: refused with {code}, wanted {}", case.name, case.code)),
        Err(_) => Err(format!("{}: not refused, wanted {}", case.name, case.code)),
    }
}

async fn all_refused(cases: impl Fn(&Evil) -> Vec<Case>, apiece: usize) {
    let count = cases(&Evil::unconnected()).len();
    let mut world = World::start(2, count.div_ceil(apiece)).await;
    let mut wrong = Vec::new();
    for peer in 0..count.div_ceil(apiece) {
        let evil = world.evil(peer).await;
        for case in cases(&evil).iter().skip(peer * apiece).take(apiece) {
            wrong.extend(refused(&mut world, &evil, case).await.err());
        }
        evil.leave().await;
    }
    world.goes_on().await;
    world.stop().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_malformed_record_is_refused_by_name_and_the_node_lives_on() {
    all_refused(cases::records, CASES_A_PEER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_malformed_presence_is_refused_by_name_and_the_node_lives_on() {
    all_refused(presence::cases, CASES_A_PEER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_malformed_payload_is_refused_by_name_and_the_node_lives_on() {
    all_refused(payloads::cases, 1).await;
}

#[test]
fn there_are_at_least_sixty_cases() {
    let evil = Evil::unconnected();
    let count = cases::records(&evil).len() + presence::cases(&evil).len() + payloads::cases(&evil).len();
    assert!(count >= 60, "{count} cases");
}

/// A peer that sends nothing but garbage is soon not listened to any more: its standing falls below the graylist.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_sends_garbage_is_soon_not_heard_any_more() {
    const SENT: usize = 400;
    let mut world = World::start(2, 1).await;
    let evil = world.evil(0).await;
    let mut notices = world.listen();
    for number in 0..SENT {
        evil.garbage(number).await;
    }
    world.goes_on().await;
    let mut heard = 0;
    while let Ok(notice) = notices.try_recv() {
        if let Notice::Engine(Event::Refused { from: Some(from), .. }) = notice {
            heard += usize::from(from == evil.peer);
        }
    }
    assert!(heard > 0, "nothing was heard");
    assert!(heard < SENT, "all {SENT} were heard");
    evil.leave().await;
    world.stop().await;
}
