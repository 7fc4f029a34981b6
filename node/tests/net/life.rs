//! Starting, finding each other, stopping.

use std::time::Duration;

use chorale::net::NetError;
use chorale_protocol::base::TransportId;
use libp2p::{Multiaddr, multiaddr::Protocol};
use tokio::time::timeout;

use super::node::{Options, QUIC, TCP, key, noise, pair};

/// Far above the promise of 2 s: a loaded machine must not fail the test.
const HANG: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_tells_peers_at_once_and_frees_the_port() {
    for listen in [TCP, QUIC] {
        let (a, b) = (key(), key());
        let mut first = Options::new(&a, &[&b]).listen(listen).start().await;
        let mut second = Options::new(&b, &[&a]).listen(listen).to(&first).start().await;
        second.up(&first.id).await;
        first.up(&second.id).await;
        let (address, other_handle) = (first.address.clone(), first.net.clone());
        timeout(HANG, first.net.shutdown()).await.expect("shutdown hangs");
        second.down(&first.id).await;
        assert!(matches!(other_handle.addresses().await, Err(NetError::Stopped)));
        // Again on the same port; the other finds it by itself.
        let mut again = Options::new(&a, &[&b]).listen(&address.to_string()).start().await;
        assert_eq!(again.address, address);
        again.up(&second.id).await;
        second.up(&again.id).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_ends_a_fetch_that_runs() {
    let (a, b) = pair(TCP).await;
    let body = a.files.put(&noise(1 << 20, 3));
    let (net, id) = (b.net.clone(), a.id.clone());
    b.net.shutdown().await;
    let fetched = timeout(HANG, net.fetch(id, body)).await.expect("the fetch hangs");
    assert!(matches!(fetched, Err(NetError::Stopped)), "{fetched:?}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_it() {
    let first = Options::new(&key(), &[]).start().await;
    let second = Options::new(&key(), &[]).listen(&first.address.to_string()).try_start().await;
    match second.map(|_| ()) {
        Err(NetError::Listen { address, .. }) => assert_eq!(address, first.address),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_announced_its_addresses_is_dialled_by_name_or_number() {
    let (a, b, c) = (key(), key(), key());
    let mut first = Options::new(&a, &[&b, &c]).start().await;
    let mut second = Options::new(&b, &[&a]).start().await;
    second.net.dial(first.id.clone(), vec![b"no address".to_vec(), first.address.to_vec()]).await.unwrap();
    first.up(&second.id).await;
    second.up(&first.id).await;
    let named: Multiaddr =
        first.address.replace(0, |_| Some(Protocol::Dns4("localhost".into()))).expect("an address has a first part");
    let mut options = Options::new(&c, &[&a]);
    // Nobody listens at the first; the second is ourselves or nobody; the third is right.
    options.bootstrap = vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap(), named];
    let mut third = options.start().await;
    third.up(&first.id).await;
    let peers: Vec<TransportId> = third.net.peers().await.unwrap();
    assert_eq!(peers, [first.id.clone()]);
}
