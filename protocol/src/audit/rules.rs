//! The manifest chain of an archive, and what follows from each of its versions.

use std::{collections::BTreeMap, io};

use super::{
    finding::{Notes, Place},
    layout::Name,
    report::Tally,
    source::Source,
    words,
};
use crate::{
    adapter::{Layout, start_hash},
    admit::drawable,
    base::{Incarnation, ManifestHash, MemberId, NetworkId, RecordId, limit},
    manifest::{Chain, KeyEvent, Manifest, Role, Standing},
};

/// The network's rules, version by version.
pub(super) struct Rules {
    chain: Chain,
    /// Whom draws are made from, by version, ascending.
    drawable: Vec<Vec<MemberId>>,
    layout: Layout,
    payload_bytes: u64,
}

impl Rules {
    /// Verifies genesis and versions; `None` if there is nothing to check records against.
    pub(super) fn load(
        source: &Source<'_>,
        network: NetworkId,
        tally: &mut Tally,
        notes: &mut Notes,
    ) -> io::Result<Option<Self>> {
        let place = Place::file(Name::Genesis);
        let Some(bytes) = source.read(Name::Genesis, limit::MANIFEST_BYTES as u64, notes)? else {
            notes.add("NET-002", &place, "there is no genesis in this archive");
            tally.missing += 1;
            return Ok(None);
        };
        let chain = match Chain::genesis(bytes) {
            Ok(chain) => chain,
            Err(error) => {
                notes.add(error.code(), &place, error.to_string());
                tally.failed += 1;
                return Ok(None);
            }
        };
        if chain.network() != network {
            notes.add("NET-001", &place, format!("this is network {}, the audit is of {network}", chain.network()));
            tally.failed += 1;
            return Ok(None);
        }
        tally.ok += 1;
        let policy = &chain.current().policy;
        let layout = match Layout::new(&policy.adapter) {
            Ok(layout) => layout,
            Err(error) => {
                notes.add("MAN-009", &place, error.to_string());
                return Ok(None);
            }
        };
        let payload_bytes = layout.payload_len(policy.codec);
        let chain = extend(source, chain, tally, notes)?;
        let versions = (0..=chain.current().version).filter_map(|version| chain.at(version));
        let drawable = versions.map(|(manifest, _)| drawable(manifest)).collect();
        Ok(Some(Self { chain, drawable, layout, payload_bytes }))
    }

    /// The whole chain.
    pub(super) fn chain(&self) -> &Chain {
        &self.chain
    }

    /// A version, and whom draws under it are made from.
    pub(super) fn at(&self, version: u64) -> Option<(&Manifest, &[MemberId])> {
        let place = usize::try_from(version).ok()?;
        Some((self.chain.at(version)?.0, self.drawable.get(place)?))
    }

    /// Of the adapter, which no version may change.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Bytes of a payload.
    pub(super) fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// The starting adapter is that of its seed. No version may change either.
    pub(super) fn check_start(&self, notes: &mut Notes) {
        let adapter = &self.chain.current().policy.adapter;
        let start = start_hash(&self.layout.start(adapter.seed));
        if start != adapter.start {
            let (got, want) = (hex::encode(adapter.start), hex::encode(start));
            let text = format!("seed {} gives a start of hash {want}, the policy says {got}", adapter.seed);
            notes.add("MAN-024", &Place::file(Name::Genesis), text);
        }
    }

    /// Everyone who may publish by some version, and the label in the newest that says so.
    pub(super) fn publishers(&self) -> BTreeMap<MemberId, String> {
        let versions = (0..=self.chain.current().version).filter_map(|version| self.chain.at(version));
        let members = versions.flat_map(|(manifest, _)| &manifest.members).filter(|member| member.role == Role::Member);
        members.map(|member| (member.id, member.label.clone())).collect()
    }

    /// Whether a version of this hash is here.
    pub(super) fn has(&self, hash: &ManifestHash) -> bool {
        let mut versions = (0..=self.chain.current().version).filter_map(|version| self.chain.at(version));
        versions.any(|(_, held)| held == *hash)
    }

    /// Whether a cut or a handover says where this feed ends, and the record there is here.
    pub(super) fn ends(
        &self,
        member: &MemberId,
        incarnation: Incarnation,
        is_here: impl Fn(&RecordId) -> bool,
    ) -> bool {
        // Later incarnations are the new key's.
        let handovers = self.chain.handovers(member).iter().filter(|(_, handover)| handover.incarnation == incarnation);
        let handovers = handovers.map(|(_, handover)| handover.standing(incarnation));
        handovers.chain([self.chain.cut_of(member, incarnation)]).any(|standing| match standing {
            Standing::Whole => false,
            Standing::UpTo(_, id) => is_here(&id),
            Standing::Nothing => true,
        })
    }

    /// A member's label in the newest version that names it.
    pub(super) fn label(&self, member: &MemberId) -> String {
        let versions = (0..=self.chain.current().version).rev().filter_map(|version| self.chain.at(version));
        let named = versions.flat_map(|(manifest, _)| &manifest.members).find(|entry| entry.id == *member);
        named.map(|entry| entry.label.clone()).unwrap_or_default()
    }
}

/// What governors did to members' keys without the members' word.
fn key_events(chain: &Chain, version: u64, place: &Place, notes: &mut Notes) {
    for event in chain.key_events(version) {
        match event {
            KeyEvent::Rotated { .. } => {}
            KeyEvent::Rebound { .. } => notes.add("KEY-001", place, words::key_event(event)),
            KeyEvent::Recommitted { .. } => notes.add("KEY-002", place, words::key_event(event)),
        }
    }
}

fn extend(source: &Source<'_>, mut chain: Chain, tally: &mut Tally, notes: &mut Notes) -> io::Result<Chain> {
    let mut broken = false;
    for (want, version) in (1..).zip(source.manifests()) {
        let place = Place::file(Name::Manifest(version));
        if version != want || broken {
            notes.add(
                "ARC-005",
                &place,
                format!("version {version} cannot be checked: one before it is missing or wrong"),
            );
            tally.missing += 1;
            broken = true;
            continue;
        }
        let Some(bytes) = source.read(Name::Manifest(version), limit::MANIFEST_BYTES as u64, notes)? else {
            broken = true;
            continue;
        };
        match chain.extend(bytes) {
            Ok(()) => {
                tally.ok += 1;
                key_events(&chain, version, &place, notes);
            }
            Err(error) => {
                notes.add(error.code(), &place, error.to_string());
                tally.failed += 1;
                broken = true;
            }
        }
    }
    Ok(chain)
}
