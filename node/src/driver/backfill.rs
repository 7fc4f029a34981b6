//! Before a finished node goes: the payloads it passed by, so that its archive holds what its records name.

use std::{sync::Arc, time::Duration};

use chorale_protocol::{
    base::{Round, TransportId},
    feed::{Body, Spec, check_stored},
    manifest::Chain,
};
use futures::{StreamExt, stream};
use tokio::{task, time};

use super::{
    DriverError,
    fetch::{self, Kit, Order, Shape},
};

/// Fetched at once.
const AT_ONCE: usize = 4;

/// Fetches every payload and checkpoint that a stored update names and that is neither here nor pruned, as far as `patience`
/// goes: what its author keeps to itself must not keep a finished node from ending.
pub(super) async fn run(kit: Kit, chain: Chain, shape: Arc<Shape>, peers: Vec<TransportId>, patience: Duration) {
    let store = kit.store.clone();
    let missing = task::spawn_blocking(move || missing(&store, &chain)).await;
    let missing = match missing {
        Ok(Ok(missing)) => missing,
        Ok(Err(error)) => return tracing::warn!(%error, "the records could not be searched for missing payloads"),
        Err(_) => return,
    };
    let (kit, shape, peers) = (&kit, &shape, &peers);
    let all = stream::iter(missing).for_each_concurrent(AT_ONCE, |(body, payload)| async move {
        let shape = payload.then(|| Arc::clone(shape));
        fetch::fetch_missing(kit, Order { body, from: peers.clone(), shape }).await;
    });
    if time::timeout(patience, all).await.is_err() {
        tracing::warn!("not everything that was passed by could be fetched; the archive will lack it");
    }
}

/// Bodies, and whether they are payloads.
fn missing(store: &crate::store::Store, chain: &Chain) -> Result<Vec<(Body, bool)>, DriverError> {
    let policy = &chain.current().policy;
    let mut named: Vec<(Round, Body, bool)> = Vec::new();
    for bytes in store.records()? {
        let Ok(checked) = check_stored(bytes, chain) else { continue };
        let Spec::Update(update) = &checked.record().spec else { continue };
        named.extend(checked.record().body.map(|body| (update.round, body, true)));
        named.extend(update.state.map(|body| (update.round, body, false)));
    }
    let newest = named.iter().map(|(round, ..)| round.0).max().unwrap_or(0);
    let oldest = if policy.keep_rounds == 0 { 0 } else { newest.saturating_sub(policy.keep_rounds) + 1 };
    let gone = named.into_iter().filter(|(round, body, _)| round.0 >= oldest && store.blob_file(&body.hash).is_none());
    Ok(gone.map(|(_, body, payload)| (body, payload)).collect())
}
