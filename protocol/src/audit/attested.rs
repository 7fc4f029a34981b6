//! Merges that members say they recomputed while the network ran.

use std::fmt;

use super::{
    finding::Notes,
    light::{Lights, Stand},
    shared::Audit,
};
use crate::base::{MemberId, RecordId};

/// Which updates say so of which: 40 bytes each.
pub(super) struct Attested {
    /// Ascending: the update whose merge it is, and where the one that says so is in the index, by feed and number.
    words: Vec<(RecordId, u32, u32)>,
}

impl Attested {
    /// Takes what the feeds' linked updates say; the records of each feed stand in their order.
    pub(super) fn new(feeds: &mut [Lights]) -> Self {
        let mut words = Vec::new();
        for (feed, lights) in (0..).zip(feeds) {
            let checked = std::mem::take(&mut lights.checked);
            let linked = (0..).zip(&lights.records).filter(|(_, packed)| packed.stand == Stand::Linked);
            for (at, packed) in linked {
                let first = checked.partition_point(|(offset, _)| *offset < packed.offset);
                let said = checked.iter().skip(first).take_while(|(offset, _)| *offset == packed.offset);
                words.extend(said.map(|(_, update)| (*update, feed, at)));
            }
        }
        words.sort_unstable();
        Self { words }
    }

    /// Where the updates are that say so of this one.
    pub(super) fn of(&self, update: &RecordId) -> impl Iterator<Item = (u32, u32)> {
        let first = self.words.partition_point(|(other, ..)| other < update);
        let same = self.words.iter().skip(first).take_while(move |(other, ..)| other == update);
        same.map(|(_, feed, at)| (*feed, *at))
    }
}

/// The members that say that they recomputed a merge while the network ran.
#[derive(Debug, Default)]
pub(super) struct Attesters {
    /// Ascending.
    pub(super) members: Vec<MemberId>,
    labels: Vec<String>,
}

impl fmt::Display for Attesters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.labels.is_empty() { "nobody".to_owned() } else { self.labels.join(", ") };
        write!(f, "recomputed live by {who}")
    }
}

impl Audit<'_> {
    /// Whether another member says so of this update of `author`.
    pub(super) fn is_attested(&self, update: &RecordId, author: &MemberId) -> bool {
        self.index.attesting(update).any(|light| light.member != *author)
    }

    /// Which other members say so of this update of `author`.
    pub(super) fn attesters(&self, update: &RecordId, author: &MemberId) -> Attesters {
        let mut members: Vec<MemberId> = self.index.attesting(update).map(|light| light.member).collect();
        members.retain(|member| member != author);
        // By feed, so that those of one member are together.
        members.dedup();
        let labels = members.iter().map(|member| self.rules.label(member)).collect();
        Attesters { members, labels }
    }

    /// Names those who say that these merges are right, which are not.
    pub(super) fn judge_attested(&self, wrong: &[RecordId], notes: &mut Notes) {
        for update in wrong {
            let author = self.index.by_id(update).map(|light| light.member);
            for light in self.index.attesting(update).filter(|light| Some(light.member) != author) {
                let text = format!("its author says that it recomputed the merge of update {update}, which is wrong");
                notes.add("FLT-005", &light.place(), text);
            }
        }
    }
}
