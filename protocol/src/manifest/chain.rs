//! The chain of manifest versions from the genesis on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    Cut, Handover, KeyEvent, Manifest, ManifestError, Member, Role, SignedManifest,
    keys::{Keys, events},
    signed::Unverified,
};
use crate::{
    base::{Incarnation, ManifestHash, MemberId, NetworkId, RecordId, Seq, TransportId, limit},
    code::{Context, PublicKey, derive},
};

/// A verified chain: genesis, then each version with the votes of both its governors and its predecessor's.
#[derive(Debug, Clone)]
pub struct Chain {
    network: NetworkId,
    versions: Vec<Arc<Version>>,
    newest: Arc<Version>,
    keys: Keys,
}

#[derive(Debug)]
struct Version {
    manifest: Manifest,
    hash: ManifestHash,
    bytes: Bytes,
    /// The place in the member list of each transport id's owner.
    transports: BTreeMap<TransportId, usize>,
    /// What it does to author keys.
    events: Vec<KeyEvent>,
}

/// What of one feed stands, by a cut or a handover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// All of it.
    Whole,
    /// Up to and including this record.
    UpTo(Seq, RecordId),
    /// Nothing.
    Nothing,
}

impl Standing {
    /// What stands of the feed of `incarnation` if all ends `at` a place.
    pub(super) fn of(at: (Incarnation, Option<(Seq, RecordId)>), incarnation: Incarnation) -> Self {
        match incarnation.cmp(&at.0) {
            std::cmp::Ordering::Less => Self::Whole,
            std::cmp::Ordering::Greater => Self::Nothing,
            std::cmp::Ordering::Equal => at.1.map_or(Self::Nothing, |(seq, id)| Self::UpTo(seq, id)),
        }
    }

    /// Whether the record `id` in this place is among what stands.
    #[must_use]
    pub fn holds(&self, seq: Seq, id: &RecordId) -> bool {
        match self {
            Self::Whole => true,
            Self::UpTo(last, head) => seq < *last || (seq == *last && id == head),
            Self::Nothing => false,
        }
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole => f.write_str("whole"),
            Self::UpTo(seq, id) => write!(f, "up to seq {seq}, record {id}"),
            Self::Nothing => f.write_str("not at all"),
        }
    }
}

impl Version {
    fn new(signed: SignedManifest, bytes: Bytes, events: Vec<KeyEvent>) -> Arc<Self> {
        let hash = signed.hash();
        let members = signed.manifest.members.iter().enumerate();
        let transports =
            members.flat_map(|(place, member)| member.transport.iter().map(move |peer| (peer.clone(), place)));
        Arc::new(Self { hash, bytes, transports: transports.collect(), events, manifest: signed.manifest })
    }
}

impl Chain {
    /// Verifies a genesis: every governor voted for it.
    ///
    /// # Errors
    /// Why it is not one.
    pub fn genesis(bytes: Bytes) -> Result<Self, ManifestError> {
        let unverified = Unverified::split(&bytes)?;
        let refuse = |why| Err(ManifestError::Genesis { why });
        if unverified.draft.version != 0 {
            return refuse("its version is 0");
        }
        if unverified.draft.network.is_some() || unverified.draft.prev.is_some() {
            return refuse("it names neither network nor predecessor");
        }
        let signed = unverified.verify()?;
        let Manifest { governors, members, .. } = &signed.manifest;
        no_strangers(&signed, |key| governors.binary_search(key).is_ok())?;
        enough("the genesis'", signed.votes.len(), governors.len() as u64)?;
        members.iter().try_for_each(own_id)?;
        let network = NetworkId(derive(Context::NetworkId, &[&signed.payload]));
        let mut keys = Keys::default();
        keys.note(&signed.manifest);
        let newest = Version::new(signed, bytes, Vec::new());
        Ok(Self { network, versions: vec![newest.clone()], newest, keys })
    }

    /// Adds the next version.
    ///
    /// # Errors
    /// Why it is not the next version; the chain stays as it was. [`ManifestError::is_untimely`] tells a version that is held
    /// already, or that comes too early, from a wrong one.
    pub fn extend(&mut self, bytes: Bytes) -> Result<(), ManifestError> {
        let unverified = Unverified::split(&bytes)?;
        self.is_next(&unverified)?;
        // The governors' word first: what they did not vote for is not worth the admission of its keys.
        let old = &self.newest.manifest;
        enough("the old version's", unverified.votes_of(&old.governors)?, old.threshold)?;
        let signed = unverified.verify()?;
        let new = &signed.manifest;
        let governs = |manifest: &Manifest, key: &PublicKey| manifest.governors.binary_search(key).is_ok();
        no_strangers(&signed, |key| governs(old, key) || governs(new, key))?;
        let got = signed.votes.iter().filter(|(key, _)| governs(new, key)).count();
        enough("the new version's", got, new.threshold)?;
        let changed = self.may_follow(old, new)?;
        self.keys.note(new);
        let newest = Version::new(signed, bytes, changed);
        self.versions.push(newest.clone());
        self.newest = newest;
        Ok(())
    }

    /// Whether the version is next: what can be said without any cryptography.
    fn is_next(&self, next: &Unverified) -> Result<(), ManifestError> {
        let (draft, wanted) = (&next.draft, self.newest.manifest.version + 1);
        if let Some((_, held)) = self.at(draft.version) {
            let version = draft.version;
            let same = ManifestHash(derive(Context::ManifestHash, &[&next.payload])) == held;
            return Err(if same { ManifestError::Held { version } } else { ManifestError::Conflict { version } });
        }
        if draft.network != Some(self.network) {
            return Err(ManifestError::Network { got: draft.network, wanted: self.network });
        }
        if draft.version != wanted {
            return Err(ManifestError::Ahead { got: draft.version, wanted });
        }
        if draft.prev != Some(self.newest.hash) {
            return Err(ManifestError::Prev { got: draft.prev, wanted: self.newest.hash });
        }
        Ok(())
    }

    /// What a version may not change of the one before; gives what it does to author keys.
    fn may_follow(&self, old: &Manifest, new: &Manifest) -> Result<Vec<KeyEvent>, ManifestError> {
        let (from, to) = (&old.policy, &new.policy);
        let frozen = [
            (from.base_model == to.base_model, "the base model"),
            (from.adapter == to.adapter, "the adapter"),
            (from.codec == to.codec, "the codec"),
            (from.parts == to.parts, "the parts of a payload"),
            // Who goes on from its last publication has the state after it, or has none.
            ((from.momentum == 0) == (to.momentum == 0), "whether there is momentum"),
        ];
        if let Some((_, what)) = frozen.into_iter().find(|(same, _)| !same) {
            return Err(ManifestError::Frozen { what });
        }
        // A member keeps its id when its key changes; an id that was never there is that of its first key.
        new.members.iter().filter(|member| self.entry(&member.id).is_none()).try_for_each(own_id)?;
        self.keys.unused(new, |id| self.entry(id))?;
        let place = |cut: &Cut| (cut.incarnation, cut.last.map(|(seq, _)| seq));
        for cut in &old.cuts {
            let kept = new.cut(&cut.member).is_some_and(|now| now == cut || place(now) < place(cut));
            if !kept {
                return Err(ManifestError::Uncut { member: cut.member });
            }
        }
        let changes = events(new, |id| self.entry(id))?;
        let publishes = |manifest: &Manifest, id| manifest.member(id).is_some_and(|entry| entry.role == Role::Member);
        let mut gone = old.members.iter().filter(|member| member.role == Role::Member && !publishes(new, &member.id));
        match gone.find(|member| new.cut(&member.id).is_none()) {
            Some(member) => Err(ManifestError::Dropped { member: member.id }),
            None => Ok(changes),
        }
    }

    /// A participant as the newest version that names it says.
    fn entry(&self, id: &MemberId) -> Option<&Member> {
        self.at(self.keys.named_by(id)?)?.0.member(id)
    }

    /// The network's id.
    #[must_use]
    pub fn network(&self) -> NetworkId {
        self.network
    }

    /// The newest version.
    #[must_use]
    pub fn current(&self) -> &Manifest {
        &self.newest.manifest
    }

    /// Hash of the newest version.
    #[must_use]
    pub fn current_hash(&self) -> ManifestHash {
        self.newest.hash
    }

    /// A version by number, with its hash.
    #[must_use]
    pub fn at(&self, version: u64) -> Option<(&Manifest, ManifestHash)> {
        let version = self.versions.get(usize::try_from(version).ok()?)?;
        Some((&version.manifest, version.hash))
    }

    /// Every version's signed bytes, genesis first.
    #[must_use]
    pub fn signed(&self) -> Vec<Bytes> {
        self.versions.iter().map(|version| version.bytes.clone()).collect()
    }

    /// A participant of the newest version.
    #[must_use]
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.current().member(id)
    }

    /// The participant of the newest version that uses this transport key.
    #[must_use]
    pub fn by_transport(&self, peer: &TransportId) -> Option<&Member> {
        let place = self.newest.transports.get(peer)?;
        self.current().members.get(*place)
    }

    /// What stands of a member's feed, by the newest version.
    #[must_use]
    pub fn cut_of(&self, member: &MemberId, incarnation: Incarnation) -> Standing {
        let cut = self.current().cut(member);
        cut.map_or(Standing::Whole, |cut| Standing::of((cut.incarnation, cut.last), incarnation))
    }

    /// The record that the manifest names as the last of a feed that stands: by the newest version's cut, else by the newest
    /// handover in it.
    #[must_use]
    pub fn last_of(&self, member: &MemberId, incarnation: Incarnation) -> Option<(Seq, RecordId)> {
        let cut = self.current().cut(member).filter(|cut| cut.incarnation == incarnation).and_then(|cut| cut.last);
        let handed = || {
            let here = self.handovers(member).iter().rev().filter(|(_, handover)| handover.incarnation == incarnation);
            here.filter_map(|(_, handover)| handover.last).next()
        };
        cut.or_else(handed)
    }

    /// The feeds that a cut or a handover ends.
    #[must_use]
    pub fn ended(&self) -> BTreeSet<(MemberId, Incarnation)> {
        let cuts = self.current().cuts.iter().map(|cut| (cut.member, cut.incarnation));
        cuts.chain(self.keys.all_handovers().map(|handover| (handover.member, handover.incarnation))).collect()
    }

    /// The first and the last incarnation of a member under the key that a version gives it: 64 of each key, from 0 on or, after
    /// handovers, from the one above the highest that one names.
    #[must_use]
    pub fn incarnations(&self, member: &MemberId, version: u64) -> (Incarnation, Incarnation) {
        let before = self.handovers(member).iter().filter(|(at, _)| *at <= version);
        let first = before.map(|(_, handover)| handover.incarnation.next()).max().unwrap_or_default();
        (first, Incarnation(first.0.saturating_add(limit::INCARNATIONS - 1)))
    }

    /// Where a member's author key changed: each handover with the version that brings it, ascending.
    #[must_use]
    pub fn handovers(&self, member: &MemberId) -> &[(u64, Handover)] {
        self.keys.handovers(member)
    }

    /// What a version does to author keys: rotations, and what governors decided alone. Empty for one that is not held.
    #[must_use]
    pub fn key_events(&self, version: u64) -> &[KeyEvent] {
        let version = usize::try_from(version).ok().and_then(|version| self.versions.get(version));
        version.map_or(&[], |version| &version.events)
    }

    /// A version's signed bytes.
    #[must_use]
    pub fn signed_at(&self, version: u64) -> Option<&Bytes> {
        self.versions.get(usize::try_from(version).ok()?).map(|version| &version.bytes)
    }
}

fn no_strangers(signed: &SignedManifest, governs: impl Fn(&PublicKey) -> bool) -> Result<(), ManifestError> {
    match signed.votes.iter().find(|(key, _)| !governs(key)) {
        Some((key, _)) => Err(ManifestError::Stranger { governor: key.to_string() }),
        None => Ok(()),
    }
}

fn enough(whose: &'static str, got: usize, wanted: u64) -> Result<(), ManifestError> {
    if got as u64 >= wanted { Ok(()) } else { Err(ManifestError::Votes { whose, got, wanted }) }
}

fn own_id(member: &Member) -> Result<(), ManifestError> {
    let wanted = MemberId::of(&member.author_key);
    if member.id == wanted { Ok(()) } else { Err(ManifestError::MemberId { got: member.id, wanted }) }
}
