//! Blobs against holders that lie, break off or stand still, and askers that ask for what is not there.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bao_tree::{
    BlockSize, ByteRanges,
    io::{outboard::PreOrderMemOutboard, round_up_to_chunks, sync::encode_ranges_validated},
};
use chorale::net::NetError;
use chorale_protocol::{base::TransportId, feed::Body};
use futures::{AsyncReadExt, AsyncWriteExt, future::join_all};
use libp2p::{PeerId, Stream};
use libp2p_stream::Control;
use tokio::time::{Duration, sleep, timeout};

use super::{
    node::{Files, Node, Options, PATIENCE, key, noise},
    rogue::{BLOB, Rogue},
};

const GROUP: usize = 16 << 10;

/// What an honest holder answers to a question from the beginning.
fn answer(data: &[u8]) -> Vec<u8> {
    let outboard = PreOrderMemOutboard::create(data, BlockSize::from_chunk_log(4));
    let mut bytes = vec![0];
    bytes.extend((data.len() as u64).to_le_bytes());
    let range = round_up_to_chunks(&ByteRanges::from(0..data.len() as u64));
    encode_ranges_validated(data, outboard, &range, &mut bytes).unwrap();
    bytes
}

/// Where in `answer` the bytes at `offset` of the blob stand.
fn place(data: &[u8], answer: &[u8], offset: usize) -> usize {
    answer.windows(64).position(|window| window == &data[offset..offset + 64]).unwrap()
}

async fn question(stream: &mut Stream) {
    let mut question = [0; 48];
    stream.read_exact(&mut question).await.unwrap();
}

/// A node that is connected to a rogue and to an honest holder of the same blob.
async fn between(data: &[u8], stall: Duration) -> (Node, Rogue, Node, Body) {
    let (me, bad, good) = (key(), key(), key());
    let honest = Options::new(&good, &[&me]).start().await;
    let body = honest.files.put(data);
    let mut node = Options { stall, ..Options::new(&me, &[&bad, &good]).to(&honest) }.start().await;
    node.up(&honest.id).await;
    let rogue = Rogue::start(&bad).await;
    rogue.dial(&node).await;
    node.up(&rogue.id).await;
    (node, rogue, honest, body)
}

async fn fetch(node: &Node, from: &TransportId, body: Body) -> Result<(), NetError> {
    timeout(PATIENCE, node.net.fetch(from.clone(), body)).await.expect("the fetch hangs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_transfer_goes_on_from_another_holder() {
    let data = noise(3_000_000, 1);
    let (node, mut rogue, honest, body) = between(&data, PATIENCE).await;
    let half = answer(&data)[..1_500_000].to_vec();
    rogue.answer(BLOB, move |mut stream| {
        let half = half.clone();
        async move {
            question(&mut stream).await;
            stream.write_all(&half).await.unwrap();
            stream.close().await.unwrap();
        }
    });
    let broken = fetch(&node, &rogue.id, body).await;
    assert!(matches!(&broken, Err(NetError::Peer { peer, .. }) if *peer == rogue.id), "{broken:?}");
    let kept = node.files.gathered(&body);
    assert!(kept.len() % GROUP == 0 && kept.len() > 1_400_000, "{} bytes kept", kept.len());
    assert!(kept == data[..kept.len()]);
    let before = node.net.traffic().blob_in;
    fetch(&node, &honest.id, body).await.unwrap();
    assert!(node.files.gathered(&body) == data);
    let fetched = usize::try_from(node.net.traffic().blob_in - before).unwrap();
    let rest = data.len() - kept.len();
    assert!(fetched >= rest && fetched < rest + rest / 50, "only the rest was fetched: {fetched} of {rest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_bytes_are_found_in_the_first_16_kib_that_has_them_and_blamed() {
    let data = noise(1_000_000, 2);
    let (node, mut rogue, honest, body) = between(&data, PATIENCE).await;
    let mut bent = answer(&data);
    let at = place(&data, &bent, 37 * GROUP + 5000);
    bent[at] ^= 0x80;
    rogue.answer(BLOB, move |mut stream| {
        let bent = bent.clone();
        async move {
            question(&mut stream).await;
            let _ = stream.write_all(&bent).await;
        }
    });
    match fetch(&node, &rogue.id, body).await {
        Err(NetError::WrongBytes { peer, hash, offset }) => {
            assert_eq!((peer, hash, offset), (rogue.id.clone(), body.hash, 37 * GROUP as u64));
        }
        other => panic!("{other:?}"),
    }
    assert!(node.files.gathered(&body) == data[..37 * GROUP]);
    fetch(&node, &honest.id, body).await.unwrap();
    assert!(node.files.gathered(&body) == data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_names_another_length_is_not_believed() {
    let data = noise(100_000, 3);
    let (node, mut rogue, _, body) = between(&data, PATIENCE).await;
    let mut other = answer(&data);
    other[1..9].copy_from_slice(&u64::MAX.to_le_bytes());
    rogue.answer(BLOB, move |mut stream| {
        let other = other.clone();
        async move {
            question(&mut stream).await;
            let _ = stream.write_all(&other).await;
        }
    });
    let fetched = fetch(&node, &rogue.id, body).await;
    assert!(matches!(fetched, Err(NetError::OtherLength { got: u64::MAX, wanted: 100_000, .. })), "{fetched:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_sender_is_given_up_however_steadily_it_drips() {
    let data = noise(1_000_000, 4);
    let (node, mut rogue, _, body) = between(&data, Duration::from_millis(1500)).await;
    let answer = answer(&data);
    rogue.answer(BLOB, move |mut stream| {
        let answer = answer.clone();
        async move {
            question(&mut stream).await;
            for byte in answer {
                if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
    });
    let fetched = fetch(&node, &rogue.id, body).await;
    assert!(matches!(&fetched, Err(NetError::Stalled { peer, .. }) if *peer == rogue.id), "{fetched:?}");
}

/// One question for a blob; the status, or `None` if the stream broke.
async fn ask(control: &Control, of: PeerId, hash: [u8; 32]) -> Option<u8> {
    let mut stream = control.clone().open_stream(of, BLOB).await.ok()?;
    let question = [&hash[..], &0_u64.to_le_bytes(), &1_u64.to_le_bytes()].concat();
    let _ = stream.write_all(&question).await;
    let _ = stream.flush().await;
    let mut status = [0; 1];
    stream.read_exact(&mut status).await.ok()?;
    Some(status[0])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_questions_for_absent_blobs_cost_little_and_others_are_served() {
    const QUESTIONS: usize = 10_000;
    let (me, bad, good) = (key(), key(), key());
    let mut node = Options::new(&me, &[&bad, &good]).start().await;
    let mut rogue = Rogue::start(&bad).await;
    rogue.join(&mut node).await;
    let mut friend = Options::new(&good, &[&me]).to(&node).start().await;
    friend.up(&node.id).await;
    let (mine, asked) = (me.public().to_peer_id(), Arc::new(AtomicUsize::new(0)));
    let answers = Arc::new([const { AtomicUsize::new(0) }; 5]);
    let askers = (0..32).map(|_| {
        let (control, asked, answers) = (rogue.control.clone(), Arc::clone(&asked), Arc::clone(&answers));
        tokio::spawn(async move {
            loop {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                if number >= QUESTIONS {
                    return;
                }
                let hash = *blake3::hash(&number.to_le_bytes()).as_bytes();
                let status = ask(&control, mine, hash).await;
                answers[status.map_or(4, usize::from).min(4)].fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    let askers: Vec<_> = askers.collect();
    // In the middle of it, somebody else is served.
    let body = node.files.put(&noise(2_000_000, 5));
    let other = async {
        while friend.fetch(&node, body).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, other).await.expect("others are not served");
    timeout(PATIENCE, join_all(askers)).await.expect("the questions are not answered");
    let [here, absent, busy, range, broken] = [0, 1, 2, 3, 4].map(|i: usize| answers[i].load(Ordering::Relaxed));
    assert_eq!((here, range), (0, 0));
    assert_eq!(absent + busy + broken, QUESTIONS, "absent {absent}, busy {busy}, broken {broken}");
    assert!(absent > 0 && busy > 0, "absent {absent}, busy {busy}, broken {broken}");
    let lookups = usize::try_from(node.files.lookups.load(Ordering::Relaxed)).unwrap();
    assert!(lookups < QUESTIONS, "the rate bounds the look-ups: {lookups}");
    assert_eq!(node.net.peers().await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn askers_that_say_nothing_keep_nobody_from_being_served() {
    let (me, bad, good) = (key(), key(), key());
    let mut node = Options::new(&me, &[&bad, &good]).start().await;
    let body = node.files.put(&noise(1_000_000, 6));
    let mut rogue = Rogue::start(&bad).await;
    rogue.join(&mut node).await;
    let mine = me.public().to_peer_id();
    let mut held = Vec::new();
    for _ in 0..100 {
        let mut stream = rogue.control.clone().open_stream(mine, BLOB).await.unwrap();
        let _ = stream.write_all(&[1; 20]).await;
        let _ = stream.flush().await;
        held.push(stream);
    }
    let mut friend = Options::new(&good, &[&me]).to(&node).start().await;
    friend.up(&node.id).await;
    friend.fetch(&node, body).await.unwrap();
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_busy_is_asked_again_and_then_named() {
    let body = Files::new().put(b"wanted");
    let (me, bad) = (key(), key());
    let mut node = Options::new(&me, &[&bad]).start().await;
    let mut rogue = Rogue::start(&bad).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    rogue.answer(BLOB, move |mut stream| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            let _ = stream.write_all(&[2]).await;
            let _ = stream.close().await;
        }
    });
    rogue.dial(&node).await;
    node.up(&rogue.id).await;
    let fetched = fetch(&node, &rogue.id, body).await;
    assert!(matches!(&fetched, Err(NetError::Busy { peer }) if *peer == rogue.id), "{fetched:?}");
    assert!(asked.load(Ordering::Relaxed) > 1);
}
