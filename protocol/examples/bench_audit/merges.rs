//! The merges of an archive by themselves: the payloads are in memory and checked before the clock starts.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use bytes::Bytes;
use chorale_protocol::{
    adapter::{Layout, Payload},
    audit::{
        Archive, Piece,
        layout::{FEED_FILE_BYTES, Name},
        pieces,
    },
    base::{MergeHash, RecordId, limit},
    feed::{Spec, check_despite_cut},
    manifest::Chain,
    merge::{Plan, Voice, perform},
};

use crate::Fail;

/// Bytes of payloads that are held.
const HELD: u64 = 8 << 30;

/// Every update's merge.
pub(crate) struct Merges {
    chain: Chain,
    layout: Layout,
    /// The own publication before, the others merged, and the hash that was signed.
    plans: Vec<(Option<Voice>, Vec<Voice>, MergeHash)>,
}

impl Merges {
    /// `None` where payloads are not there or too many, or where the policy has momentum: merges then hang on each other.
    pub(crate) fn of(archive: &dyn Archive, genesis: Bytes) -> Result<Option<Self>, Fail> {
        let chain = Chain::genesis(genesis)?;
        let policy = &chain.current().policy;
        let layout = Layout::new(&policy.adapter)?;
        let files = archive.files()?;
        let length: u64 = files.iter().filter(|(name, _)| name.starts_with("blobs/")).map(|(_, length)| length).sum();
        if length == 0 || length > HELD || policy.momentum > 0 {
            return Ok(None);
        }
        let (mut voices, mut updates) = (BTreeMap::<RecordId, Voice>::new(), Vec::new());
        for (name, _) in files {
            let Some(Name::Feed(member, _)) = Name::parse(&name) else { continue };
            for piece in pieces(&archive.read(&name, FEED_FILE_BYTES)?) {
                let Piece::Frame { envelope, .. } = piece else { continue };
                let checked = check_despite_cut(envelope, &chain)?;
                let (record, id) = (checked.record(), checked.id());
                let (Spec::Update(update), Some(body)) = (&record.spec, record.body) else { continue };
                let bytes = archive.read(&Name::Blob(body.hash).to_string(), limit::BLOB_BYTES)?;
                let payload = Payload::check(&layout, policy.codec, bytes)?;
                voices.insert(id, Voice { member, record: id, round: update.round, payload });
                updates.push((member, record.parent_ids().collect(), update.merge));
            }
        }
        let plan = |(member, parents, hash): (_, Vec<RecordId>, _)| {
            let parents = parents.iter().filter_map(|id| voices.get(id).cloned());
            let (own, others): (Vec<_>, Vec<_>) = parents.partition(|voice| voice.member == member);
            (own.into_iter().next(), others, hash)
        };
        let plans = updates.into_iter().map(plan).collect();
        Ok(Some(Self { chain, layout, plans }))
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.plans.len()
    }

    /// Performs them all, each on one thread.
    pub(crate) fn perform(&self, threads: usize) -> Result<(), Fail> {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut spare = Vec::new();
            while let Some((own, others, hash)) = self.plans.get(next.fetch_add(1, Ordering::Relaxed)) {
                let merged = perform(Plan {
                    network: self.chain.network(),
                    policy: &self.chain.current().policy,
                    layout: &self.layout,
                    own: own.as_ref(),
                    others,
                    state: None,
                    spare,
                    threads: 1,
                })?;
                if merged.hash != *hash {
                    return Err(Fail::from("a merge gives another hash than the one signed"));
                }
                spare = merged.values;
            }
            Ok(())
        };
        thread::scope(|scope| {
            let helpers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            helpers.into_iter().try_for_each(|helper| helper.join().map_err(|_| "a thread panicked")?)
        })
    }
}
