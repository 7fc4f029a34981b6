//! Anti-entropy.

use bytes::Bytes;
use chorale::net::{Frame, NetError};
use chorale_protocol::{base::limit, wire::SyncRequest};
use futures::{AsyncReadExt, AsyncWriteExt};
use tokio::{sync::mpsc, time::timeout};

use super::{
    node::{NETWORK, Node, Options, PATIENCE, key},
    rogue::{FEED, Rogue},
};

fn question() -> SyncRequest {
    SyncRequest { network: NETWORK, manifest_version: 1, have: Vec::new(), wants: Vec::new() }
}

fn frame(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len() + 1).unwrap();
    [&length.to_le_bytes()[..], &[tag], bytes].concat()
}

async fn sync(node: &Node, from: &chorale_protocol::base::TransportId) -> (Vec<Frame>, Result<(), NetError>) {
    let (sender, mut frames) = mpsc::channel(2);
    let ask = node.net.sync(from.clone(), question(), sender);
    let take = async {
        let mut all = Vec::new();
        while let Some(frame) = frames.recv().await {
            all.push(frame);
        }
        all
    };
    let (result, all) = timeout(PATIENCE, async { tokio::join!(ask, take) }).await.expect("the sync hangs");
    (all, result)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_come_in_order_and_to_the_end() {
    let (a, b) = (key(), key());
    let records: Vec<Vec<u8>> = (0..200_usize).map(|i| vec![u8::try_from(i).unwrap(); 1 + i * 20]).collect();
    let mut answer = frame(0, &vec![9; 300_000]);
    answer.extend(records.iter().flat_map(|record| frame(1, record)));
    answer.extend([0; 4]);
    let holder = Options { feed: answer, ..Options::new(&a, &[&b]) }.start().await;
    let mut asker = Options::new(&b, &[&a]).to(&holder).start().await;
    asker.up(&holder.id).await;
    let (frames, result) = sync(&asker, &holder.id).await;
    result.unwrap();
    assert_eq!(frames[0], Frame::Manifest(Bytes::from(vec![9; 300_000])));
    let rest: Vec<Frame> = records.into_iter().map(|record| Frame::Record(record.into())).collect();
    assert_eq!(frames[1..], rest);
}

/// Asks a rogue that answers with `answer` and closes.
async fn answered(answer: Vec<u8>) -> (Vec<Frame>, Result<(), NetError>) {
    let (me, bad) = (key(), key());
    let mut node = Options::new(&me, &[&bad]).start().await;
    let mut rogue = Rogue::start(&bad).await;
    rogue.answer(FEED, move |mut stream| {
        let answer = answer.clone();
        async move {
            let mut head = [0; 4];
            stream.read_exact(&mut head).await.unwrap();
            let mut question = vec![0; usize::try_from(u32::from_le_bytes(head)).unwrap()];
            stream.read_exact(&mut question).await.unwrap();
            let _ = stream.write_all(&answer).await;
            let _ = stream.close().await;
        }
    });
    rogue.dial(&node).await;
    node.up(&rogue.id).await;
    sync(&node, &rogue.id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn length_bombs_and_unknown_frames_are_refused() {
    let good = frame(1, b"good");
    let over_kind = frame(1, &vec![0; limit::RECORD_BYTES + 1]);
    let bombs = [u32::MAX.to_le_bytes().to_vec(), over_kind, frame(7, b"what"), 0x00FF_FFFF_u32.to_le_bytes().to_vec()];
    for bomb in bombs {
        let (frames, result) = answered([good.clone(), bomb.clone()].concat()).await;
        assert_eq!(frames, [Frame::Record(Bytes::from_static(b"good"))]);
        // The last promises what may be, and breaks off.
        let named = matches!(result, Err(NetError::Malformed { .. } | NetError::Peer { .. }));
        assert!(named, "{:?} to {:?}", result, &bomb[..4]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_is_cut_off() {
    let endless = frame(1, &[5; 4000]).repeat(SyncRequest::ANSWER_BYTES / 4000);
    let (frames, result) = answered(endless).await;
    assert!(matches!(result, Err(NetError::Malformed { .. })), "{result:?}");
    assert!(frames.len() * 4000 <= SyncRequest::ANSWER_BYTES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_is_no_answer() {
    let (frames, result) = answered(frame(1, b"and then nothing")).await;
    assert_eq!(frames.len(), 1);
    assert!(matches!(result, Err(NetError::Peer { .. })), "{result:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_out_of_form_gets_nothing_and_harms_nobody() {
    let (me, bad, good) = (key(), key(), key());
    let mut node = Options::new(&me, &[&bad, &good]).start().await;
    let mut rogue = Rogue::start(&bad).await;
    rogue.join(&mut node).await;
    let mine = me.public().to_peer_id();
    for question in [u32::MAX.to_le_bytes().to_vec(), [&5_u32.to_le_bytes()[..], b"hello"].concat()] {
        let mut stream = rogue.control.open_stream(mine, FEED).await.unwrap();
        let _ = stream.write_all(&question).await;
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the stream stays open");
        assert!(answer.is_empty());
    }
    let mut friend = Options::new(&good, &[&me]).to(&node).start().await;
    friend.up(&node.id).await;
    sync(&friend, &node.id).await.1.unwrap();
}
