//! Blobs between honest nodes.

use chorale::net::NetError;
use chorale_protocol::{code::blob_hash, feed::Body};
use tokio::time::{Duration, timeout};

use super::node::{Files, PATIENCE, QUIC, TCP, noise, pair};
use chorale::net::BlobFiles;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_of_all_sizes_arrive_whole_over_tcp_and_over_quic() {
    for listen in [TCP, QUIC] {
        let (a, b) = pair(listen).await;
        for length in [0, 1, 16_383, 16_384, 16_385, 600_000, 5_000_017] {
            let data = noise(length, 1);
            let body = a.files.put(&data);
            b.fetch(&a, body).await.unwrap();
            assert!(b.files.gathered(&body) == data, "{length} bytes over {listen}");
            // What is there is not fetched again.
            let before = b.net.traffic().blob_in;
            b.fetch(&a, body).await.unwrap();
            assert_eq!(b.net.traffic().blob_in, before);
        }
        assert!(a.net.traffic().blob_out >= 5_632_586, "{:?}", a.net.traffic());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_blobs_at_once_share_a_connection() {
    let (a, b) = pair(TCP).await;
    let all: Vec<_> = (0..20_u8).map(|seed| a.files.put(&noise(300_000, seed))).collect();
    let fetches = all.iter().map(|body| b.fetch(&a, *body));
    for (seed, result) in futures::future::join_all(fetches).await.into_iter().enumerate() {
        result.unwrap_or_else(|error| panic!("blob {seed}: {error}"));
    }
    for body in &all {
        assert!(blob_hash(&b.files.gathered(body)) == body.hash);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_absent_blob_is_said_to_be_absent() {
    let (a, b) = pair(TCP).await;
    let body = Files::new().put(b"nobody has this");
    let fetched = b.fetch(&a, body).await;
    assert!(
        matches!(&fetched, Err(NetError::Absent { peer, hash }) if *peer == a.id && *hash == body.hash),
        "{fetched:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_prefix_is_begun_anew() {
    let (a, b) = pair(TCP).await;
    let data = noise(400_000, 2);
    let body = a.files.put(&data);
    for (damage, length) in [(0, 32_768), (20_000, 40_000), (399_999, 400_000), (0, 500_000)] {
        let mut prefix = noise(length.max(data.len()), 9);
        prefix[..data.len()].copy_from_slice(&data);
        prefix.truncate(length);
        prefix[damage] ^= 1;
        std::fs::write(b.files.partial(&body.hash), &prefix).unwrap();
        b.fetch(&a, body).await.unwrap();
        assert!(b.files.gathered(&body) == data, "damaged at {damage} of {length}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotten_disk_makes_no_liar_of_its_owner() {
    let (a, b) = pair(TCP).await;
    let body = a.files.put(&noise(200_000, 3));
    let mut rotten = noise(200_000, 3);
    rotten[100_000] ^= 4;
    std::fs::write(a.files.complete_path(&body.hash), &rotten).unwrap();
    let fetched = b.fetch(&a, body).await;
    assert!(matches!(fetched, Err(NetError::Absent { .. })), "{fetched:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_fetch_leaves_what_is_verified_and_the_next_goes_on() {
    let (a, b) = pair(TCP).await;
    let data = noise(40_000_000, 4);
    let body = a.files.put(&data);
    for _ in 0..3 {
        let some = async {
            while b.files.gathered(&body).len() % data.len() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            result = b.net.fetch(a.id.clone(), body) => result.unwrap(),
            () = some => {}
        }
        let kept = b.files.gathered(&body);
        assert!(kept == data[..kept.len()], "only verified bytes stand in the file");
    }
    timeout(PATIENCE, b.net.fetch(a.id.clone(), body)).await.unwrap().unwrap();
    assert!(b.files.gathered(&body) == data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_longer_than_any_may_be_is_not_asked_for() {
    let (a, b) = pair(TCP).await;
    let body = Body { length: u64::MAX, ..a.files.put(b"x") };
    let fetched = b.fetch(&a, body).await;
    assert!(matches!(fetched, Err(NetError::TooLong { .. })), "{fetched:?}");
}
