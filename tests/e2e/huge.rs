//! A member that signs well-formed records of payloads as large as a payload can be.

use std::{fs, sync::Arc, time::Duration};

use chorale::net::{self, Event, Net};
use chorale_protocol::{
    adapter::{Layout, encode_f32},
    admit::drawable,
    base::{Incarnation, MergeHash, Seq, UnixSeconds},
    code::blob_hash,
    draw::{self, Seed},
    engine::Verdict,
    feed::{Body, Checked, Record, Reference, Skip, SkipReason, Spec, check, sign},
};
use chorale_tests::{
    fleet::{Line, Member, Network, Options, Round, Shape},
    shelf::{Folder, Silent},
};
use tempfile::TempDir;
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
};

use crate::common::Fleet;

/// Three honest members that have merged each other, and a fourth that is not the honest program and has published.
struct Play {
    members: Vec<Member>,
    /// Of the fourth.
    name: String,
    /// What keeps it answering.
    _evil: ((Net, TempDir), Runtime),
    _fleet: Fleet,
}

fn play(shape: Shape) -> Play {
    let options = Options { step_ms: 10, start_wait_ms: Some(2_000), ..Options::default() };
    let (fleet, mut members) = Fleet::of(Network::new(shape), 3, &options);
    // A newcomer has nothing to measure distances from; these three are none any more.
    for member in &mut members {
        member.round("round of the honest three", |round| round.contributors.len() == 3);
    }
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let evil = runtime.block_on(publish(&fleet));
    Play { members, name: fleet.network.name(3), _evil: (evil, runtime), _fleet: fleet }
}

#[test]
fn a_huge_publication_is_left_out_for_its_distance_and_changes_no_merge() {
    // Its merge is none: who recomputes it leaves it out for that.
    let Play { members, name, .. } = &mut play(Shape { seed: 9, checks: 0, ..Shape::default() });
    for member in members {
        let far = |round: &Round| round.skipped.iter().any(|(member, why)| member == name && why == "distance");
        let round = member.round("a round that leaves the huge one out", far);
        assert!(!round.contributors.iter().any(|(member, _)| member == name));
        let after = member.round("a round after it", |_| true);
        // Held-out losses are in units of the targets' scale: one huge value would make them astronomic.
        assert!(after.loss_before.unwrap() < 100_000_000, "{after:?}");
    }
}

#[test]
fn who_publishes_what_its_merge_does_not_give_is_found_by_recomputing_it_and_barred() {
    let Play { members, name, .. } = &mut play(Shape { seed: 10, ..Shape::default() });
    for member in members {
        let code = member.until("the liar barred", |line| match line {
            Line::Barred(who, code) if who == name => Some(code.clone()),
            _ => None,
        });
        assert!(code.starts_with("MRG-"), "{code}");
        let banned = |round: &Round| round.skipped.iter().any(|(member, why)| member == name && why == "banned");
        let round = member.round("a round without it", banned);
        assert!(!round.contributors.iter().any(|(member, _)| member == name));
    }
}

/// Waits for an update of the others, and publishes one that builds on it.
async fn publish(fleet: &Fleet) -> (Net, TempDir) {
    let chain = fleet.network.chain();
    let policy = &chain.current().policy;
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(&policy.adapter).unwrap();
    let payload = encode_f32(&layout, policy.codec, &vec![8_000.0; layout.len()]).unwrap();
    let body = Body { hash: blob_hash(&payload), length: payload.len() as u64 };
    fs::write(folder.path().join(body.hash.to_string()), &payload).unwrap();
    let config = net::Config {
        identity: fleet.network.identity(3),
        network: chain.network(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        bootstrap: vec![fleet.address.parse().unwrap()],
        mdns: false,
        allowed: chain.current().members.iter().flat_map(|member| member.transport.clone()).collect(),
        stall: Duration::from_secs(5),
        egress: None,
        witness: None,
        tap: None,
    };
    let (net, mut events) =
        Net::start(config, Arc::new(Folder(folder.path().to_owned())), Arc::new(Silent)).await.unwrap();
    let parent = loop {
        let Event::Record { bytes, ticket, .. } = next(&mut events).await else { continue };
        net.verdict(ticket, Verdict::Accept).await.unwrap();
        let checked = check(bytes, &chain).unwrap();
        if matches!(checked.record().spec, Spec::Update(_)) {
            break checked;
        }
    };
    let record = record(fleet, &parent, body);
    net.announce(sign(record, &fleet.network.author(3)).unwrap().bytes().clone()).await.unwrap();
    let answering = net.clone();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Event::Record { ticket, .. } | Event::Presence { ticket, .. } = event {
                let _ = answering.verdict(ticket, Verdict::Accept).await;
            }
        }
    });
    (net, folder)
}

/// The first update of its feed.
fn record(fleet: &Fleet, parent: &Checked, body: Body) -> Record {
    let theirs = parent.record();
    let Spec::Update(update) = &theirs.spec else { unreachable!("an update was waited for") };
    let chain = fleet.network.chain();
    let place = chain.current().place_of(&theirs.member).unwrap();
    let mut spec = update.clone();
    spec.round = update.round.next();
    spec.weights = vec![1024];
    spec.merge = MergeHash([1; 32]);
    let order = draw::order(
        &chain.network(),
        &fleet.network.id(3),
        Incarnation(0),
        &Seed::default(),
        &drawable(chain.current()),
    );
    let others = order.iter().filter(|member| **member != theirs.member);
    let place_of = |member| chain.current().place_of(member).unwrap();
    spec.skipped =
        others.map(|member| Skip { member: place_of(member), reason: SkipReason::Banned, record: None }).collect();
    spec.state = None;
    Record {
        network: chain.network(),
        member: fleet.network.id(3),
        key: fleet.network.author(3).public(),
        incarnation: Incarnation(0),
        seq: Seq(0),
        prev: None,
        manifest_version: 0,
        manifest_hash: chain.current_hash(),
        clock: theirs.clock.next(),
        claimed_time: UnixSeconds(60),
        body: Some(body),
        codec: theirs.codec,
        parents: vec![Reference { member: place, record: parent.id() }],
        spec: Spec::Update(spec),
        seen: None,
    }
}

async fn next(events: &mut mpsc::Receiver<Event>) -> Event {
    let event = tokio::time::timeout(Duration::from_secs(60), events.recv()).await;
    event.expect("the others are there").expect("the network runs")
}
