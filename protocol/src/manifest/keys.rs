//! Author keys over time: whose each one is or was, where one ends and the next begins, and whether its member had
//! committed to it.

use std::collections::BTreeMap;

use super::{Handover, Manifest, ManifestError, Member};
use crate::{
    base::{KeyHash, MemberId},
    code::PublicKey,
};

/// What a version does to a member's author key, or to its commitment to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEvent {
    /// A new key, which the member had committed to.
    Rotated {
        /** whose */
        member: MemberId,
        /** the key before */
        from: PublicKey,
        /** the key from now on */
        to: PublicKey,
    },
    /// A new key that the member had not committed to: the governors' word alone.
    Rebound {
        /** whose */
        member: MemberId,
        /** the key before */
        from: PublicKey,
        /** the key from now on */
        to: PublicKey,
        /** what the member had committed to, if to anything */
        committed: Option<KeyHash>,
    },
    /// Another commitment under the same key: the governors' word alone.
    Recommitted {
        /** whose */
        member: MemberId,
        /** the commitment before */
        from: Option<KeyHash>,
        /** the commitment from now on */
        to: Option<KeyHash>,
    },
}

/// What a chain remembers of author keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    owners: BTreeMap<PublicKey, MemberId>,
    /// The newest version that names each member.
    named: BTreeMap<MemberId, u64>,
    handovers: BTreeMap<MemberId, Vec<(u64, Handover)>>,
}

impl Keys {
    /// Takes a verified version in.
    pub(super) fn note(&mut self, manifest: &Manifest) {
        for member in &manifest.members {
            self.owners.insert(member.author_key, member.id);
            self.named.insert(member.id, manifest.version);
        }
        for handover in &manifest.handovers {
            self.handovers.entry(handover.member).or_default().push((manifest.version, handover.clone()));
        }
    }

    pub(super) fn named_by(&self, member: &MemberId) -> Option<u64> {
        self.named.get(member).copied()
    }

    pub(super) fn handovers(&self, member: &MemberId) -> &[(u64, Handover)] {
        self.handovers.get(member).map_or(&[], Vec::as_slice)
    }

    pub(super) fn all_handovers(&self) -> impl Iterator<Item = &Handover> {
        self.handovers.values().flatten().map(|(_, handover)| handover)
    }

    /// No key was another member's before, or given up by its own. `before` is a member's entry so far.
    pub(super) fn unused<'a>(
        &self,
        new: &Manifest,
        before: impl Fn(&MemberId) -> Option<&'a Member>,
    ) -> Result<(), ManifestError> {
        for member in &new.members {
            let why = match self.owners.get(&member.author_key) {
                None => continue,
                Some(owner) if *owner != member.id => "another member signed with it",
                Some(_) if before(&member.id).is_some_and(|entry| entry.author_key == member.author_key) => continue,
                Some(_) => "the member had given it up",
            };
            return Err(ManifestError::UsedKey { member: member.id, key: member.author_key.to_string(), why });
        }
        Ok(())
    }
}

/// What `new` does to author keys. There is a handover for each key that is another one than in the newest version that
/// names its member, and none else.
pub(super) fn events<'a>(
    new: &Manifest,
    before: impl Fn(&MemberId) -> Option<&'a Member>,
) -> Result<Vec<KeyEvent>, ManifestError> {
    let mut events = Vec::new();
    for now in &new.members {
        let member = now.id;
        let handed = new.handovers.binary_search_by_key(&member, |handover| handover.member).is_ok();
        let was = before(&member);
        let changed = was.filter(|was| was.author_key != now.author_key);
        match (changed, handed) {
            (None, true) => return Err(ManifestError::Handover { member, why: "no key of this member changes" }),
            (Some(_), false) => {
                let why = "its author key changes: a handover must say up to where the old key's records stand";
                return Err(ManifestError::Handover { member, why });
            }
            (Some(was), true) => {
                let (from, to, committed) = (was.author_key, now.author_key, was.next);
                events.push(match committed {
                    Some(next) if next == KeyHash::of(&to) => KeyEvent::Rotated { member, from, to },
                    _ => KeyEvent::Rebound { member, from, to, committed },
                });
            }
            (None, false) => {
                if let Some(was) = was.filter(|was| was.next != now.next) {
                    events.push(KeyEvent::Recommitted { member, from: was.next, to: now.next });
                }
            }
        }
    }
    Ok(events)
}
