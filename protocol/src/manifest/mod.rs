//! The network: who may take part, under which rules, and how both change.

mod chain;
mod double_vote;
mod error;
mod keys;
mod policy;
mod rules;
mod signed;
mod wire;

pub use chain::{Chain, Standing};
pub use double_vote::{DoubleVote, DoubleVoteError};
pub use error::ManifestError;
pub use keys::KeyEvent;
pub use policy::{
    ADAPTER_PART, AdapterSpec, Codec, Factor, LoraRule, MergeRule, Phase, Policy, PrivacyTerms, Steps, TensorSpec,
};
pub(crate) use rules::is_label;
pub use signed::SignedManifest;

use crate::{
    base::{Incarnation, KeyHash, ManifestHash, MemberId, NetworkId, RecordId, Seq, TransportId},
    code::PublicKey,
};

/// One version of the network's rules: the payload that governors sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The network; absent in the genesis, whose derived hash is the network's id.
    pub network: Option<NetworkId>,
    /// 0 for the genesis.
    pub version: u64,
    /// The version before; absent in the genesis.
    pub prev: Option<ManifestHash>,
    /// Who may change the manifest; strictly ascending.
    pub governors: Vec<PublicKey>,
    /// How many of them it takes; more than half, at most all.
    pub threshold: u64,
    /// Who takes part; strictly ascending by id.
    pub members: Vec<Member>,
    /// Who no longer does, and up to which record what they wrote stands; strictly ascending by member.
    pub cuts: Vec<Cut>,
    /// What all must share.
    pub policy: Policy,
    /// Of each member whose author key is another one than before, where the old key's records end; strictly ascending by member.
    pub handovers: Vec<Handover>,
}

impl Manifest {
    /// A participant.
    #[must_use]
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        let place = self.members.binary_search_by(|member| member.id.cmp(id)).ok()?;
        self.members.get(place)
    }

    /// Where a member's feeds were cut, if they were.
    #[must_use]
    pub fn cut(&self, member: &MemberId) -> Option<&Cut> {
        let place = self.cuts.binary_search_by(|cut| cut.member.cmp(member)).ok()?;
        self.cuts.get(place)
    }

    /// Where a member's log passes to its new key, if this version brings one and says so.
    #[must_use]
    pub fn log_of(&self, member: &MemberId) -> Option<LogEnd> {
        let place = self.handovers.binary_search_by(|handover| handover.member.cmp(member)).ok()?;
        self.handovers.get(place)?.log
    }

    /// A member's place in the member list: how records name it.
    #[must_use]
    pub fn place_of(&self, id: &MemberId) -> Option<u64> {
        u64::try_from(self.members.binary_search_by(|member| member.id.cmp(id)).ok()?).ok()
    }

    /// The member in this place of the member list.
    #[must_use]
    pub fn member_at(&self, place: u64) -> Option<MemberId> {
        self.members.get(usize::try_from(place).ok()?).map(|member| member.id)
    }
}

/// One participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// For life.
    pub id: MemberId,
    /// What people call it: 1 to 64 of `a-z 0-9 . _ -`. No personal name: records are for ever.
    pub label: String,
    /// Signs its records.
    pub author_key: PublicKey,
    /// Its libp2p peer ids, 1 to 8, strictly ascending.
    pub transport: Vec<TransportId>,
    /// What it may do.
    pub role: Role,
    /// Its commitment to the author key that is to follow this one, if it made one.
    pub next: Option<KeyHash>,
    /// The rank at which it publishes; absent: the adapter's, which is the only one that there may be so far.
    pub rank: Option<u64>,
}

/// What a participant may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Trains and publishes (0).
    Member,
    /// Reads only: an auditor, a dashboard (1).
    Observer,
    /// Carries connections only (2).
    Relay,
    /// Keeps records, payloads and bundles for ever, and may witness; publishes nothing (3).
    Archivist,
}

/// "Records of this member up to and including this one stand"; a revocation by chain position, never by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Whose feed ends.
    pub member: MemberId,
    /// In which incarnation.
    pub incarnation: Incarnation,
    /// The last sequence number that stands; `None` if nothing of this incarnation does.
    pub last: Option<(Seq, RecordId)>,
}

/// "Records under this member's earlier keys stand up to and including this one; those under its new key are of later
/// incarnations." A fact of the version that brings the new key; later versions do not repeat it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// Whose key changes.
    pub member: MemberId,
    /// The incarnation in which the earlier keys end.
    pub incarnation: Incarnation,
    /// The last sequence number that stands; `None` if nothing of this incarnation does.
    pub last: Option<(Seq, RecordId)>,
    /// Where the member's transparency log passes from the earlier keys to the new one; `None`: nothing that the earlier keys signed
    /// for it counts, and the new key begins it anew.
    pub log: Option<LogEnd>,
}

/// A head of a transparency log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    /// Leaves, 1 or more.
    pub size: u64,
    /// The tree's root.
    pub root: [u8; 32],
}

impl Handover {
    /// What stands of the member's feed of this incarnation, of those records that name versions before this one.
    #[must_use]
    pub fn standing(&self, incarnation: Incarnation) -> Standing {
        Standing::of((self.incarnation, self.last), incarnation)
    }
}
