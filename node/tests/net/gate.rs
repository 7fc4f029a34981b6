//! Who may connect.

use chorale::net::{Event, NetError, transport_id};

use super::{
    node::{Options, TCP, key, pair},
    rogue::{BLOB, FEED, Rogue, Seen},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_closed_before_any_protocol_runs() {
    let (me, member, stranger) = (key(), key(), key());
    let mut node = Options::new(&me, &[&member]).start().await;
    let mine = me.public().to_peer_id();
    let mut rogue = Rogue::start(&stranger).await;
    rogue.dial(&node).await;
    rogue.until(|seen| *seen == Seen::Up(mine)).await;
    for protocol in [BLOB, FEED] {
        let opened = rogue.control.open_stream(mine, protocol.clone()).await;
        assert!(opened.is_err(), "a stranger opened {protocol}");
    }
    rogue.until(|seen| *seen == Seen::Down(mine)).await;
    assert!(node.net.peers().await.unwrap().is_empty());
    let friend = Options::new(&member, &[&me]).to(&node).start().await;
    // The first that the node hears of anybody is the member.
    let first = node.until(|event| match event {
        Event::PeerUp { peer } => Some(peer),
        Event::Listening { .. } => None,
        other => panic!("{other:?}"),
    });
    assert_eq!(first.await, friend.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_no_longer_allowed_is_closed_and_who_is_again_may_come_back() {
    let (mut a, mut b) = pair(TCP).await;
    a.net.allow(Vec::new()).await.unwrap();
    a.down(&b.id).await;
    b.down(&a.id).await;
    a.net.allow(vec![b.id.clone()]).await.unwrap();
    // b dials its bootstrap address for ever.
    a.up(&b.id).await;
    b.up(&a.id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_wins_over_allow_until_it_is_taken_back() {
    let (me, bad) = (key(), key());
    let mut node = Options::new(&me, &[&bad]).start().await;
    let mine = me.public().to_peer_id();
    let mut rogue = Rogue::start(&bad).await;
    rogue.join(&mut node).await;
    node.net.ban(rogue.id.clone()).await.unwrap();
    node.down(&rogue.id).await;
    rogue.until(|seen| *seen == Seen::Down(mine)).await;
    node.net.allow(vec![rogue.id.clone()]).await.unwrap();
    rogue.dial(&node).await;
    rogue.until(|seen| *seen == Seen::Up(mine)).await;
    rogue.until(|seen| *seen == Seen::Down(mine)).await;
    assert!(node.net.peers().await.unwrap().is_empty());
    assert!(node.events.try_recv().is_err(), "the node hears nothing of who is banned");
    node.net.pardon(rogue.id.clone()).await.unwrap();
    rogue.join(&mut node).await;
}

#[tokio::test]
async fn whoever_is_not_connected_is_named() {
    let node = Options::new(&key(), &[]).start().await;
    let other = transport_id(&key().public().to_peer_id());
    let body = node.files.put(b"x");
    let fetched = node.net.fetch(other.clone(), body).await;
    assert!(matches!(&fetched, Err(NetError::NotConnected { peer }) if *peer == other), "{fetched:?}");
}
