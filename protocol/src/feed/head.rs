//! The chain of one (member, incarnation), folded to what the next record is checked against.

use super::{Checked, Evidence, Refusal};
use crate::base::{Incarnation, Lamport, MemberId, RecordId, Seq};

/// The newest record of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Whose.
    pub member: MemberId,
    /// Which of its feeds.
    pub incarnation: Incarnation,
    /// Its place.
    pub seq: Seq,
    /// Its id.
    pub id: RecordId,
}

/// One author's log in one incarnation: ids by place, and the head's clock and manifest version.
#[derive(Debug, Clone)]
pub struct Feed {
    _p1: (),
}

/// What became of a record offered to a feed.
#[derive(Debug)]
pub enum Linked {
    /// It is the new head.
    Appended,
    /// It was there.
    Duplicate,
    /// Records before it are missing: from this place on.
    Gap {
        /** the first missing */
        from: Seq,
    },
    /// It and a record in the feed prove equivocation.
    Fork(Box<Evidence>),
}

impl Feed {
    /// An empty feed.
    #[must_use]
    pub fn new(member: MemberId, incarnation: Incarnation) -> Self {
        let _ = (member, incarnation);
        todo!("P1")
    }

    /// Offers a record. For fork evidence the feed asks `stored` for the whole bytes of a record that it holds.
    ///
    /// # Errors
    /// A rule of the feed is broken by this record alone (clock, manifest version, prev of seq 0, after a close).
    pub fn offer(
        &mut self,
        checked: &Checked,
        stored: impl Fn(&RecordId) -> Option<Checked>,
    ) -> Result<Linked, Refusal> {
        let _ = (checked, stored);
        todo!("P1")
    }

    /// The newest record.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        todo!("P1")
    }

    /// The clock of the newest record.
    #[must_use]
    pub fn clock(&self) -> Lamport {
        todo!("P1")
    }
}
