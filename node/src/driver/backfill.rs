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

    /// One that has ended and lacks so many.
    #[cfg(test)]
    pub(super) async fn ended(lacks: usize) -> Self {
        let task = tokio::spawn(async {});
        while !task.is_finished() {
            task::yield_now().await;
        }
        Self { task, lacks: Arc::new(AtomicUsize::new(lacks)) }
    }

    /// One that does not end.
    #[cfg(test)]
    pub(super) fn endless() -> Self {
        Self { task: tokio::spawn(std::future::pending()), lacks: Arc::default() }
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
    let all = stream::iter(wanted)
        .for_each_concurrent(AT_ONCE, |wanted| fetch::fetch_missing(kit, order(&wanted, &me, &chain, shape, peers)));
    let ended = time::timeout(patience, all).await.is_ok();
    let lacks = hashes.iter().filter(|hash| kit.store.blob_file(hash).is_none()).count();
    if !ended || lacks > 0 {
        tracing::info!(lacks, "not everything that was passed by could be fetched yet; the archive would lack it");
    }
    lacks
}

/// Whom to ask for it: its author first, then the others, with another one first for each blob.
fn order(wanted: &Wanted, me: &MemberId, chain: &Chain, shape: &Arc<Shape>, peers: &[TransportId]) -> Order {
    let author = chain.member(&wanted.author).map(|member| member.transport.as_slice()).unwrap_or_default();
    let from = holders_in_turn(author, peers.iter(), &wanted.body.hash, me);
    Order { body: wanted.body, from, shape: wanted.payload.then(|| Arc::clone(shape)) }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chorale_protocol::{
        adapter::Layout,
        feed::{Checked, Head},
        fixture::{self, Author},
        manifest::{Cut, Policy},
    };
    use tempfile::TempDir;

    use super::*;
    use crate::store::{Entry, Store};

    /// A store with these records.
    fn store(records: &[&Checked]) -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let entry = |checked: &&Checked| {
            let record = checked.record();
            let head =
                Head { member: record.member, incarnation: record.incarnation, seq: record.seq, id: checked.id() };
            Entry { head, bytes: checked.bytes().clone() }
        };
        store.put_records(&records.iter().map(entry).collect::<Vec<_>>()).unwrap();
        (folder, store)
    }

    fn hashes(wanted: Vec<Wanted>) -> BTreeSet<BlobHash> {
        assert!(wanted.iter().all(|one| one.payload));
        wanted.into_iter().map(|one| one.body.hash).collect()
    }

    fn payloads(records: &[&Checked]) -> BTreeSet<BlobHash> {
        records.iter().filter_map(|checked| Some(checked.record().body?.hash)).collect()
    }

    #[test]
    fn what_a_cut_member_published_is_wanted_where_its_record_is_stored_and_others_built_on_it() {
        let mut chain = fixture::chain(3, fixture::policy());
        let (mut cut, mut honest) = (Author::new(1), Author::new(2));
        let one = cut.update(&chain, 1, &[]);
        let two = cut.update(&chain, 2, &[&one]);
        let built = honest.update(&chain, 3, &[&two]);
        let mut next = fixture::next(&chain);
        let (incarnation, last) = (one.record().incarnation, Some((one.record().seq, one.id())));
        next.cuts = vec![Cut { member: fixture::member(1).id, incarnation, last }];
        chain.extend(fixture::signed(next, &[0])).unwrap();
        let (_folder, store) = store(&[&one, &two, &built]);
        assert_eq!(hashes(missing(&store, &chain).unwrap()), payloads(&[&one, &two, &built]));
    }

    #[test]
    fn what_is_here_and_what_is_older_than_the_policy_keeps_is_not_wanted() {
        let chain = fixture::chain(3, Policy { keep_rounds: 2, ..fixture::policy() });
        let mut author = Author::new(1);
        let mut records = vec![author.update(&chain, 1, &[])];
        for round in 2..6 {
            let next = author.update(&chain, round, &[&records[records.len() - 1].clone()]);
            records.push(next);
        }
        let spec = Spec::Update(fixture::update(&chain, 6, 1));
        let mut draft = author.draft(&chain, &[&records[4]], spec);
        draft.body = Some(fixture::body(b"here"));
        records.push(author.write(draft));
        let (_folder, store) = store(&records.iter().collect::<Vec<_>>());
        store.put_blob(b"here").unwrap();
        let kept = payloads(&[&records[3], &records[4]]);
        assert_eq!(hashes(missing(&store, &chain).unwrap()), kept, "rounds 4 and 5 of 6");
    }

    #[test]
    fn after_the_author_each_blob_is_asked_of_another_first() {
        let chain = fixture::chain(4, fixture::policy());
        let policy = &chain.current().policy;
        let shape = Arc::new(Shape { layout: Layout::new(&policy.adapter).unwrap(), codec: policy.codec });
        let peers: Vec<TransportId> = (1..4).map(fixture::transport).collect();
        let from = |hash: u8| {
            let body = Body { hash: BlobHash([hash; 32]), length: 1 };
            let wanted = Wanted { author: fixture::member(2).id, body, payload: true };
            order(&wanted, &fixture::member(0).id, &chain, &shape, &peers).from
        };
        assert_eq!([from(0)[0].clone(), from(1)[0].clone()], [2, 2].map(fixture::transport));
        let seconds: BTreeSet<TransportId> = (0..2).map(|hash| from(hash)[1].clone()).collect();
        assert_eq!(seconds, [1, 3].map(fixture::transport).into());
        assert_eq!((from(0).len(), from(1).len()), (3, 3), "each once");
    }
}
