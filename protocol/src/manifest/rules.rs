//! The rules that a manifest must keep by itself.

use std::collections::BTreeSet;

use super::{ADAPTER_PART, AdapterSpec, Factor, LoraRule, Manifest, ManifestError, Member, Policy, TensorSpec};
use crate::{
    base::{KeyHash, MemberId, limit},
    code::{Context, PublicKey, derive},
};

/// The most governors of one version.
pub(super) const GOVERNORS: usize = 64;
/// One, in the policy's units of 2^-16.
const ONE: u64 = 1 << 16;

impl MemberId {
    /// The id of a member whose first author key is `key`.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self(derive(Context::MemberId, &[&key.to_bytes()]))
    }
}

impl KeyHash {
    /// The commitment to `key` as a member's next author key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self(derive(Context::NextKey, &[&key.to_bytes()]))
    }
}

impl Manifest {
    /// Checks the rules that need no other version.
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        let governors = self.governors.len();
        governors_fit(governors)?;
        if !ascending(&self.governors) {
            return Err(ManifestError::Governors { why: "keys do not strictly ascend" });
        }
        let wanted = (governors as u64) / 2 + 1..=governors as u64;
        if !wanted.contains(&self.threshold) {
            return Err(ManifestError::Threshold { threshold: self.threshold, governors });
        }
        members(&self.members)?;
        if !self.cuts.is_sorted_by(|a, b| a.member < b.member) {
            return Err(ManifestError::Cuts { why: "members do not strictly ascend" });
        }
        if self.cuts.len() > 2 * limit::MEMBERS {
            return Err(ManifestError::Cuts { why: "more than 8192" });
        }
        self.handovers_fit()?;
        self.policy.check()?;
        self.ranks_fit()
    }

    /// Until a policy allows others, every member's rank is the adapter's.
    fn ranks_fit(&self) -> Result<(), ManifestError> {
        let wanted = self.policy.adapter.rank;
        let other =
            self.members.iter().find_map(|member| Some((member.id, member.rank.filter(|rank| *rank != wanted)?)));
        other.map_or(Ok(()), |(member, got)| Err(ManifestError::Rank { member, got, wanted }))
    }

    /// Handovers are in order, and of members; a genesis changes no key.
    fn handovers_fit(&self) -> Result<(), ManifestError> {
        let refuse = |member, why| Err(ManifestError::Handover { member, why });
        if let Some(pair) = self.handovers.windows(2).find(|pair| pair[0].member >= pair[1].member) {
            return refuse(pair[1].member, "handovers strictly ascend by member");
        }
        let stranger =
            self.handovers.iter().find(|handover| self.version == 0 || self.member(&handover.member).is_none());
        if let Some(handover) = stranger {
            return refuse(handover.member, "no key of this member changes");
        }
        let empty = self.handovers.iter().find(|handover| handover.log.is_some_and(|log| log.size == 0));
        empty.map_or(Ok(()), |handover| refuse(handover.member, "a log without leaves is left out"))
    }
}

/// There are neither too few nor too many governors.
pub(super) fn governors_fit(count: usize) -> Result<(), ManifestError> {
    let fits = (1..=GOVERNORS).contains(&count);
    if fits { Ok(()) } else { Err(ManifestError::Governors { why: "1 to 64 are wanted" }) }
}

/// There are neither too few nor too many members.
pub(super) fn members_fit(count: usize) -> Result<(), ManifestError> {
    let fits = (1..=limit::MEMBERS).contains(&count);
    if fits { Ok(()) } else { Err(ManifestError::Members { why: "1 to 4096 are wanted" }) }
}

fn ascending<T: PartialOrd>(items: &[T]) -> bool {
    items.is_sorted_by(|a, b| a < b)
}

/// A label: 1 to 64 of `a-z 0-9 . _ -`.
pub(crate) fn is_label(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

fn members(members: &[Member]) -> Result<(), ManifestError> {
    members_fit(members.len())?;
    if !members.is_sorted_by(|a, b| a.id < b.id) {
        return Err(ManifestError::Members { why: "ids do not strictly ascend" });
    }
    let (mut labels, mut keys, mut transports) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for member in members {
        let refuse = |why| Err(ManifestError::Member { member: member.id, why });
        if !is_label(&member.label) {
            return refuse("a label is 1 to 64 of a-z 0-9 . _ -");
        }
        if !labels.insert(&member.label) {
            return refuse("another member has this label");
        }
        if !keys.insert(member.author_key) {
            return refuse("another member has this author key");
        }
        if !(1..=8).contains(&member.transport.len()) || !ascending(&member.transport) {
            return refuse("1 to 8 transport ids, strictly ascending, are wanted");
        }
        if !member.transport.iter().all(|peer| transports.insert(peer)) {
            return refuse("another member has this transport id");
        }
    }
    Ok(())
}

impl Policy {
    fn check(&self) -> Result<(), ManifestError> {
        if let Some(name) = self.parts.iter().find(|name| *name != ADAPTER_PART) {
            return Err(ManifestError::Part { name: name.clone() });
        }
        self.adapter.check()?;
        let ages = &self.ages;
        let rules = [
            (self.parts.len() == 1, "a payload has one part, the adapter"),
            (self.lora_rule != LoraRule::Alternate(0), "an alternation period is 1 or more"),
            (self.momentum < ONE, "momentum is below 1 (65536)"),
            ((1..=limit::AGES).contains(&ages.len()), "the age table has 1 to 16 entries"),
            (ages.first() == Some(&ONE), "the age table begins with 1 (65536)"),
            (ages.is_sorted_by(|a, b| a >= b), "the age table does not rise"),
            (ages.last() != Some(&0), "the age table has no 0"),
            ((1..=63).contains(&self.draw), "the draw is 1 to 63"),
            (self.norm_bound >= 1, "the norm bound is more than 0"),
            (self.reach >= 1, "the reach is more than 0"),
            (self.checks.is_none_or(|count| count != 1 && count <= 63), "checks, if any, are 0 or 2 to 63"),
            (self.witnesses.is_none_or(|count| (1..=63).contains(&count)), "witnesses, if any, are 1 to 63"),
            (
                self.privacy.is_none_or(|terms| terms.delta_log10_milli >= 1 && terms.epsilon_milli >= 1),
                "privacy, if any, has a delta below 1 and an epsilon above 0",
            ),
            (self.steps.min >= 1 && self.steps.min <= self.steps.max, "steps: 1 <= min <= max"),
            (
                self.adapter.payload_bytes(self.codec) <= limit::BLOB_BYTES,
                "a payload has at most 2 GiB: fewer values (a smaller rank, fewer projections), or the codec bfp8",
            ),
            (
                self.momentum == 0 || self.checkpoint_every == 0 || self.checkpoint_bytes() <= limit::BLOB_BYTES,
                "a momentum checkpoint, up to 20 bytes a value, has at most 2 GiB: fewer values, no momentum, or no checkpoints",
            ),
        ];
        match rules.into_iter().find(|(kept, _)| !kept) {
            Some((_, why)) => Err(ManifestError::Policy { why }),
            None => Ok(()),
        }
    }
}

impl AdapterSpec {
    fn check(&self) -> Result<(), ManifestError> {
        let refuse = |why| Err(ManifestError::Policy { why });
        if !(1..=1024).contains(&self.rank) || !(1..=ONE).contains(&self.alpha) {
            return refuse("the rank is 1 to 1024, alpha 1 to 65536");
        }
        if self.tensors.is_empty() || !self.tensors.is_sorted_by(|a, b| a.name < b.name) {
            return refuse("tensors, one or more, strictly ascend by name");
        }
        let mut values = 0_u64;
        for TensorSpec { name, factor, rows, columns } in &self.tensors {
            if name.is_empty() {
                return refuse("a tensor has a name");
            }
            if *rows == 0 || *columns == 0 {
                return refuse("a tensor has 1 or more rows and columns");
            }
            if *factor != Factor::Dense && *rows != self.rank {
                return refuse("A is [rank, in], B is [rank, out]");
            }
            values = rows.checked_mul(*columns).and_then(|size| values.checked_add(size)).unwrap_or(u64::MAX);
            if values > limit::ADAPTER_VALUES {
                return refuse("an adapter has at most 2^30 values");
            }
        }
        Ok(())
    }
}
