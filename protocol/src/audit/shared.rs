//! What all walks through an archive's records share.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::{
    faults::Proved,
    layout::Name,
    light::{Index, Light, Stand},
    payloads::Payloads,
    pool::Pool,
    rules::Rules,
    source::Source,
};
use crate::{
    base::{BlobHash, NetworkId, RecordId, Round},
    feed::{Kind, Record, read_again},
};

/// An archive's records, and how they are to be audited.
pub(super) struct Audit<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) rules: &'a Rules,
    pub(super) index: &'a Index,
    pub(super) payloads: &'a Payloads,
    pub(super) pool: &'a Pool,
    pub(super) network: NetworkId,
    pub(super) recompute: bool,
    /// Pruned blobs take no archive its pass.
    pub(super) allow_pruned: bool,
    /// Threads within one merge.
    pub(super) threads: usize,
    /// Records aside from the feeds that break a rule.
    pub(super) unlawful: &'a BTreeSet<RecordId>,
    /// The largest round in the archive.
    pub(super) newest: Round,
    /// What each bundle proves that verifies.
    pub(super) proved: &'a BTreeMap<BlobHash, Proved>,
    /// Records that members accuse of what the walk finds.
    pub(super) accused: &'a BTreeSet<RecordId>,
}

impl Audit<'_> {
    /// Whether a record counts: it is linked, or void and breaks no rule.
    pub(super) fn is_lawful(&self, light: &Light) -> bool {
        light.stand == Stand::Linked || !self.unlawful.contains(&light.id)
    }

    /// A record of the index, read again from its feed file.
    pub(super) fn record(&self, light: &Light) -> io::Result<Option<Record>> {
        let name = Name::Feed(light.member, light.incarnation);
        let envelope = self.source.read_at(name, light.offset.saturating_add(4), light.length)?;
        Ok(read_again(&envelope, light.id, self.rules.chain()))
    }

    /// Bytes of the payload that a record names, if that is there.
    pub(super) fn payload_bytes(&self, light: &Light) -> u64 {
        let body = light.body.filter(|_| light.kind == Kind::Update);
        body.and_then(|body| self.source.length(Name::Blob(body.hash))).unwrap_or_default()
    }
}
