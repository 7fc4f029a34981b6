//! Before a finished node goes: the payloads it passed by, so that its archive holds what its records name.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chorale_protocol::{
    base::{BlobHash, MemberId, Round, TransportId},
    engine::holders_in_turn,
    feed::{Body, Spec, check_unsigned},
    manifest::Chain,
};
use futures::{StreamExt, stream};
use tokio::{
    task::{self, JoinHandle},
    time,
};

use super::{
    DriverError,
    fetch::{self, Kit, Order, Shape},
};

/// Fetched at once.
const AT_ONCE: usize = 4;

/// One search for everything that a stored update names and that is neither here nor pruned.
#[derive(Debug)]
pub(super) struct Backfill {
    task: JoinHandle<()>,
    lacks: Arc<AtomicUsize>,
}

impl Drop for Backfill {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Backfill {
    /// Fetches it as far as `patience` goes: what its author keeps to itself must not keep a finished node from ending.
    pub(super) fn start(
        me: MemberId,
        kit: Kit,
        chain: Chain,
        shape: Arc<Shape>,
        peers: Vec<TransportId>,
        patience: Duration,
    ) -> Self {
        let lacks = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&lacks);
        let task = tokio::spawn(async move {
            let count = run(me, &kit, chain, &shape, &peers, patience).await;
            left.store(count, Ordering::Relaxed);
        });
        Self { task, lacks }
    }

    /// Whether it has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// How much could not be had, once it has ended.
    pub(super) fn lacks(&self) -> usize {
        self.lacks.load(Ordering::Relaxed)
    }
}

/// A blob that is wanted.
struct Wanted {
    author: MemberId,
    body: Body,
    payload: bool,
}

async fn run(
    me: MemberId,
    kit: &Kit,
    chain: Chain,
    shape: &Arc<Shape>,
    peers: &[TransportId],
    patience: Duration,
) -> usize {
    let (store, rules) = (kit.store.clone(), chain.clone());
    let wanted = match task::spawn_blocking(move || missing(&store, &rules)).await {
        Ok(Ok(wanted)) => wanted,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the records could not be searched for missing payloads");
            return 0;
        }
        Err(_) => return 0,
    };
    let hashes: Vec<BlobHash> = wanted.iter().map(|wanted| wanted.body.hash).collect();
    let all = stream::iter(wanted).for_each_concurrent(AT_ONCE, |wanted| {
        let author = chain.member(&wanted.author).map(|member| member.transport.as_slice()).unwrap_or_default();
        let from = holders_in_turn(author, peers.iter(), &wanted.body.hash, &me);
        let shape = wanted.payload.then(|| Arc::clone(shape));
        fetch::fetch_missing(kit, Order { body: wanted.body, from, shape })
    });
    let ended = time::timeout(patience, all).await.is_ok();
    let lacks = hashes.iter().filter(|hash| kit.store.blob_file(hash).is_none()).count();
    if !ended || lacks > 0 {
        tracing::info!(lacks, "not everything that was passed by could be fetched yet; the archive would lack it");
    }
    lacks
}

fn missing(store: &crate::store::Store, chain: &Chain) -> Result<Vec<Wanted>, DriverError> {
    let policy = &chain.current().policy;
    let mut named: Vec<(Round, Wanted)> = Vec::new();
    for bytes in store.records()? {
        // Void records are stored where one that counts names them: its merge took their payloads.
        let Ok(checked) = check_unsigned(bytes, chain) else { continue };
        let Spec::Update(update) = &checked.record().spec else { continue };
        let author = checked.record().member;
        let wanted = |body, payload| (update.round, Wanted { author, body, payload });
        named.extend(checked.record().body.map(|body| wanted(body, true)));
        named.extend(update.state.map(|body| wanted(body, false)));
    }
    let newest = named.iter().map(|(round, _)| round.0).max().unwrap_or(0);
    let oldest = if policy.keep_rounds == 0 { 0 } else { newest.saturating_sub(policy.keep_rounds) };
    let gone = named.into_iter().filter(|(round, one)| round.0 >= oldest && store.blob_file(&one.body.hash).is_none());
    Ok(gone.map(|(_, wanted)| wanted).collect())
}
