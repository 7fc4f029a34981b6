//! Who may own a log and who may cosign, with which keys.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    NoteSignature, Origin,
    note::{Algorithm, key_id},
    origin::first,
};
use crate::{
    base::{MemberId, NetworkId},
    code::PublicKey,
    manifest::Chain,
};

/// Every participant that a version of the manifest names, of whatever role, with each author key that a version gives it. A
/// note outlives the version in force when it was signed.
#[derive(Debug, Clone)]
pub struct Keyring {
    network: NetworkId,
    owners: BTreeMap<[u8; 8], Owner>,
}

#[derive(Debug, Clone)]
struct Owner {
    ids: BTreeSet<MemberId>,
    keys: BTreeSet<PublicKey>,
}

impl Keyring {
    /// Of all versions up to the newest.
    #[must_use]
    pub fn new(chain: &Chain) -> Self {
        let mut owners: BTreeMap<[u8; 8], Owner> = BTreeMap::new();
        let versions = (0..=chain.current().version).filter_map(|version| chain.at(version));
        for member in versions.flat_map(|(manifest, _)| &manifest.members) {
            let none = || Owner { ids: BTreeSet::new(), keys: BTreeSet::new() };
            let owner = owners.entry(first(member.id.as_bytes())).or_insert_with(none);
            owner.ids.insert(member.id);
            owner.keys.insert(member.author_key);
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

    /// Whether a signature line on a checkpoint of this log is by a key that can be checked.
    #[must_use]
    pub fn knows(&self, line: &NoteSignature, origin: &Origin) -> bool {
        let Ok(name) = line.name.parse::<Origin>() else { return false };
        self.keys(&name).any(|key| {
            let own = name == *origin && key_id(&line.name, Algorithm::Ed25519, key) == line.id;
            own || key_id(&line.name, Algorithm::Cosignature, key) == line.id
        })
    }

    /// Whether a signature line is by a key of the log's owner.
    pub(super) fn is_owners(&self, line: &NoteSignature, origin: &Origin) -> bool {
        let own = |key| key_id(&line.name, Algorithm::Ed25519, key) == line.id;
        line.name == origin.to_string() && self.keys(origin).any(own)
    }

    /// The keys of an origin, ascending.
    pub(super) fn keys(&self, origin: &Origin) -> impl Iterator<Item = &PublicKey> {
        self.of(origin).into_iter().flat_map(|owner| &owner.keys)
    }

    fn of(&self, origin: &Origin) -> Option<&Owner> {
        (origin.network == first(self.network.as_bytes())).then(|| self.owners.get(&origin.member))?
    }
}
