//! Who may own a log and who may cosign, with which keys.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Checkpoint, NoteSignature, Origin, TreeHash,
    note::{Algorithm, key_id},
    origin::first,
};
use crate::{
    base::{MemberId, NetworkId},
    code::PublicKey,
    manifest::{Chain, LogEnd},
};

/// Every participant that a version of the manifest names, of whatever role, with each author key that a version gives it. A
/// note outlives the version in force when it was signed; but a key that was handed over may be known to others since, so that it
/// signs for its part of the log alone, and cosigns nothing.
#[derive(Debug, Clone)]
pub struct Keyring {
    network: NetworkId,
    owners: BTreeMap<[u8; 8], Owner>,
}

#[derive(Debug, Clone)]
struct Owner {
    ids: BTreeSet<MemberId>,
    keys: BTreeMap<PublicKey, Part>,
    /// The newest key; all others were handed over.
    present: PublicKey,
}

/// The part of its owner's log that a key signs for.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// Where the handover to this key says that the log stands; `None`: at nothing.
    from: Option<LogEnd>,
    until: Until,
}

/// How far a key's part goes: to the least that later handovers name.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// It was not handed over.
    Open,
    /// To this head, itself included.
    End(LogEnd),
    /// A later handover names no head: nothing counts.
    Nothing,
}

impl Part {
    /// The key is one of those that a handover ends.
    fn end(&mut self, log: Option<LogEnd>) {
        self.until = match (self.until, log) {
            (Until::Nothing, _) | (_, None) => Until::Nothing,
            (Until::End(end), Some(log)) if end.size < log.size => Until::End(end),
            (_, Some(log)) => Until::End(log),
        };
    }

    fn holds(&self, head: &Checkpoint) -> bool {
        let is = |end: &LogEnd| head.size == end.size && head.root.0 == end.root;
        let after = self.from.is_none_or(|end| head.size > end.size || is(&end));
        after
            && match self.until {
                Until::Open => true,
                Until::End(end) => head.size < end.size || is(&end),
                Until::Nothing => false,
            }
    }
}

impl Keyring {
    /// Of all versions up to the newest.
    #[must_use]
    pub fn new(chain: &Chain) -> Self {
        let mut owners: BTreeMap<[u8; 8], Owner> = BTreeMap::new();
        let versions = (0..=chain.current().version).filter_map(|version| chain.at(version));
        for manifest in versions.map(|(manifest, _)| manifest) {
            for handover in &manifest.handovers {
                let earlier = owners.get_mut(&first(handover.member.as_bytes()));
                earlier.into_iter().flat_map(|owner| owner.keys.values_mut()).for_each(|part| part.end(handover.log));
            }
            for member in &manifest.members {
                let key = member.author_key;
                let owner = owners.entry(first(member.id.as_bytes())).or_insert_with(|| Owner {
                    ids: BTreeSet::new(),
                    keys: BTreeMap::new(),
                    present: key,
                });
                owner.ids.insert(member.id);
                owner.present = key;
                owner.keys.entry(key).or_insert_with(|| Part { from: manifest.log_of(&member.id), until: Until::Open });
            }
        }
        // Two ids that begin alike would share a name: it is nobody's.
        owners.retain(|_, owner| owner.ids.len() == 1);
        Self { network: chain.network(), owners }
    }

    /// The network of the chain.
    #[must_use]
    pub const fn network(&self) -> NetworkId {
        self.network
    }

    /// Whose log this is.
    #[must_use]
    pub fn owner(&self, origin: &Origin) -> Option<MemberId> {
        self.of(origin)?.ids.first().copied()
    }

    /// Where the part of a log begins that its owner's present key signs for: leaves and root, as the handover to that key says.
    /// `None`: with the first leaf.
    #[must_use]
    pub fn start(&self, origin: &Origin) -> Option<(u64, TreeHash)> {
        let owner = self.of(origin)?;
        let LogEnd { size, root } = owner.keys.get(&owner.present)?.from?;
        Some((size, TreeHash(root)))
    }

    /// Whether a signature line on a checkpoint of this log is by a key that can be checked.
    #[must_use]
    pub fn knows(&self, line: &NoteSignature, origin: &Origin) -> bool {
        let Ok(name) = line.name.parse::<Origin>() else { return false };
        self.keys(&name).any(|key| {
            let own = name == *origin && key_id(&line.name, Algorithm::Ed25519, key) == line.id;
            own || key_id(&line.name, Algorithm::Cosignature, key) == line.id
        })
    }

    /// Whether a signature line is by the present key of the log's owner.
    pub(super) fn is_owners(&self, line: &NoteSignature, origin: &Origin) -> bool {
        let own = |owner: &Owner| key_id(&line.name, Algorithm::Ed25519, &owner.present) == line.id;
        line.name == origin.to_string() && self.of(origin).is_some_and(own)
    }

    /// The keys of an origin, ascending.
    pub(super) fn keys(&self, origin: &Origin) -> impl Iterator<Item = &PublicKey> {
        self.of(origin).into_iter().flat_map(|owner| owner.keys.keys())
    }

    /// Whether this is the key that the origin's member has now.
    pub(super) fn is_present(&self, key: &PublicKey, origin: &Origin) -> bool {
        self.of(origin).is_some_and(|owner| owner.present == *key)
    }

    /// Whether a checkpoint is of the part of its log that this key of its owner signs for.
    pub(super) fn signs_for(&self, key: &PublicKey, head: &Checkpoint) -> bool {
        self.of(&head.origin).and_then(|owner| owner.keys.get(key)).is_some_and(|part| part.holds(head))
    }

    fn of(&self, origin: &Origin) -> Option<&Owner> {
        (origin.network == first(self.network.as_bytes())).then(|| self.owners.get(&origin.member))?
    }
}
