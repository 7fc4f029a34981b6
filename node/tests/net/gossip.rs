//! Records and presence by gossip.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chorale::net::{Event, NetError, Tap};
use chorale_protocol::engine::Verdict;
use tokio::time::{Duration, sleep, timeout};

use super::{
    node::{Node, Options, PATIENCE, QUIC, TCP, key, noise, pair},
    rogue::Rogue,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_exchange_records_and_presence_over_tcp_and_over_quic() {
    for listen in [TCP, QUIC] {
        let (mut a, mut b) = pair(listen).await;
        a.net.announce(Bytes::from_static(b"a record of a")).await.unwrap();
        let (bytes, ticket) = b.record().await;
        assert_eq!(bytes, "a record of a");
        b.net.verdict(ticket, Verdict::Accept).await.unwrap();
        b.net.presence(Bytes::from_static(b"b is here")).await.unwrap();
        let from = a.until(|event| match event {
            Event::Presence { bytes, from, .. } => (bytes == "b is here").then_some(from),
            _ => None,
        });
        assert_eq!(from.await, b.id);
        assert!(a.net.traffic().total_out > 0 && a.net.traffic().total_in > 0);
    }
}

/// a — b — c; a and c do not know each other.
async fn line() -> (Node, Node, Node) {
    let (a, b, c) = (key(), key(), key());
    let mut middle = Options::new(&b, &[&a, &c]).start().await;
    let mut left = Options::new(&a, &[&b]).to(&middle).start().await;
    let mut right = Options::new(&c, &[&b]).to(&middle).start().await;
    left.up(&middle.id).await;
    right.up(&middle.id).await;
    for _ in 0..2 {
        middle.until(|event| matches!(event, Event::PeerUp { .. }).then_some(())).await;
    }
    (left, middle, right)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_forwarded_before_its_verdict() {
    let (left, mut middle, mut right) = line().await;
    let mut ended = Vec::new();
    for (text, verdict) in [("ignored", Verdict::Ignore), ("rejected", Verdict::Reject), ("accepted", Verdict::Accept)]
    {
        left.net.announce(Bytes::from(text)).await.unwrap();
        let (bytes, ticket) = middle.record().await;
        assert_eq!(bytes, text);
        // While the verdict is open, whatever the middle says itself gets through, and nothing else does.
        let marker = format!("before the verdict on {text}");
        middle.net.announce(Bytes::from(marker.clone())).await.unwrap();
        let (seen, own) = right.record().await;
        assert_eq!(seen, marker);
        right.net.verdict(own, Verdict::Accept).await.unwrap();
        middle.net.verdict(ticket, verdict).await.unwrap();
        ended.push(ticket);
    }
    assert_eq!(right.record().await.0, "accepted", "the first and only one that the middle let pass");
    // A ticket holds once.
    middle.net.verdict(ended[0], Verdict::Accept).await.unwrap();
    left.net.announce(Bytes::from_static(b"last")).await.unwrap();
    let (_, ticket) = middle.record().await;
    middle.net.verdict(ticket, Verdict::Accept).await.unwrap();
    assert_eq!(right.record().await.0, "last");
}

async fn score_below(node: &Node, peer: &Node, bound: f64) {
    let low = async {
        while node.net.score(&peer.id).await.unwrap().is_none_or(|score| score >= bound) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, low).await.expect("the score stays up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_message_and_a_penalty_lower_the_score() {
    let (a, mut b) = pair(TCP).await;
    a.net.announce(Bytes::from_static(b"nonsense")).await.unwrap();
    let (_, ticket) = b.record().await;
    b.net.verdict(ticket, Verdict::Reject).await.unwrap();
    score_below(&b, &a, -5.0).await;
    b.net.penalise(a.id.clone()).await.unwrap();
    b.net.penalise(a.id.clone()).await.unwrap();
    score_below(&b, &a, -20.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_to_nobody_is_kept_for_the_first_who_comes() {
    let (a, b) = (key(), key());
    let first = Options::new(&a, &[&b]).start().await;
    first.net.announce(Bytes::from_static(b"said alone")).await.unwrap();
    let mut second = Options::new(&b, &[&a]).to(&first).start().await;
    assert_eq!(second.record().await.0, "said alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_gossip_is_neither_sent_nor_delivered() {
    let (honest, bad, me) = (key(), key(), key());
    let mut node = Options::new(&me, &[&honest, &bad]).start().await;
    let limit = chorale_protocol::base::limit::RECORD_BYTES;
    let sent = node.net.announce(Bytes::from(vec![1; limit + 1])).await;
    assert!(matches!(sent, Err(NetError::TooLong { got, .. }) if got == limit + 1), "{sent:?}");
    let mut rogue = Rogue::start(&bad).await;
    rogue.join(&mut node).await;
    // One that fits the frame and not the topic, and one that fits neither.
    rogue.publish(noise(limit + 1, 1)).await;
    rogue.publish(noise(1 << 20, 2)).await;
    let friend = Options::new(&honest, &[&me]).to(&node).start().await;
    node.up(&friend.id).await;
    friend.net.announce(Bytes::from_static(b"of decent size")).await.unwrap();
    assert_eq!(node.record().await.0, "of decent size", "the first record that came through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_that_nobody_takes_blocks_no_caller() {
    let (a, mut b) = pair(TCP).await;
    for i in 0..2000_u32 {
        a.net.announce(Bytes::copy_from_slice(&i.to_le_bytes())).await.unwrap();
    }
    // b takes no event meanwhile; its calls return nevertheless.
    let calls = async {
        for _ in 0..100 {
            b.net.addresses().await.unwrap();
            b.net.peers().await.unwrap();
            b.net.announce(Bytes::from_static(b"still here")).await.unwrap();
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, calls).await.expect("a call waits for events to be taken");
    assert_eq!(b.record().await.0.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_long_away_reads_the_whole_backlog_and_goes_on() {
    let (a, mut b) = pair(TCP).await;
    // More than one read of a stream, several times over, waits at once: b takes nothing meanwhile.
    for i in 0..480_u16 {
        let mut record = noise(1500, 3);
        record[..2].copy_from_slice(&i.to_be_bytes());
        a.net.announce(Bytes::from(record)).await.unwrap();
    }
    for i in 0..480_u16 {
        let (bytes, ticket) = b.record().await;
        assert_eq!(bytes[..2], i.to_be_bytes(), "a message of the backlog is missing");
        b.net.verdict(ticket, Verdict::Ignore).await.unwrap();
    }
    a.net.announce(Bytes::from_static(b"and the next")).await.unwrap();
    assert_eq!(b.record().await.0, "and the next");
}

#[derive(Default)]
struct Ear(Mutex<Vec<(String, Vec<u8>)>>);

impl Tap for Ear {
    fn sent(&self, protocol: &str, bytes: &[u8]) {
        self.0.lock().unwrap().push((protocol.to_owned(), bytes.to_vec()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tap_hears_what_is_published_forwarded_and_served() {
    let (a, b, c) = (key(), key(), key());
    let ear = Arc::new(Ear::default());
    let mut middle = Options { tap: Some(Arc::clone(&ear) as _), ..Options::new(&b, &[&a, &c]) }.start().await;
    let mut left = Options::new(&a, &[&b]).to(&middle).start().await;
    middle.up(&left.id).await;
    left.up(&middle.id).await;
    left.net.announce(Bytes::from_static(b"to be forwarded")).await.unwrap();
    let (_, ticket) = middle.record().await;
    middle.net.verdict(ticket, Verdict::Accept).await.unwrap();
    middle.net.announce(Bytes::from_static(b"to be published")).await.unwrap();
    let body = middle.files.put(b"to be served");
    left.fetch(&middle, body).await.unwrap();
    let heard = ear.0.lock().unwrap().clone();
    for (protocol, text) in
        [("/records", "to be forwarded"), ("/records", "to be published"), ("/chorale/1/blob", "to be served")]
    {
        let found = heard.iter().any(|(p, b)| p.ends_with(protocol) && b.ends_with(text.as_bytes()));
        assert!(found, "{text} is not among {heard:?}");
    }
}
