//! Records of ours that are no updates: releases, accusations, the close. They wait for their turn before the next round.

use std::collections::BTreeMap;

use super::{Engine, Event, Output, Reason, Stage, index::Known, own::Own};
use crate::{
    admit,
    base::{MemberId, RecordId, UnixSeconds},
    feed::{Body, Close, EvidenceSpec, FaultSpec, Kind, Record, Release, Spec},
};

/// Operators' and evidence records that wait for their turn.
const SIDE: usize = 64;

/// Members whose records accuse of the same fault, if these are more than a third of all: another one more tells nobody anything.
const ENOUGH: usize = 3;

/// A record other than an update that is to be written before the next round.
#[derive(Debug, Clone)]
pub(super) enum Side {
    /// The operator wants this update pinned.
    Release { label: String, update: Known },
    /// Somebody equivocated; the bundle is stored.
    Evidence { spec: EvidenceSpec, body: Body },
    /// Somebody broke a rule; the bundle, if there is one, is stored.
    Fault { spec: FaultSpec, body: Option<Body> },
    /// The feed ends.
    Close(Close),
}

impl Own {
    /// Queues a record; `false` if there is no room. The operator's releases and evidence come before faults. Who breaks a rule in each
    /// of many incarnations keeps nobody else from being named soon: of each member the first fault comes before any second one, and
    /// so on. Without room the last goes that comes behind this one.
    pub(super) fn push_side(&mut self, side: Side) -> bool {
        let mut counts: BTreeMap<MemberId, usize> = BTreeMap::new();
        let mut place = |side: &Side| match side {
            Side::Release { .. } | Side::Evidence { .. } => 0,
            Side::Fault { spec, .. } => {
                let count = counts.entry(spec.accused).or_default();
                *count += 1;
                *count
            }
            Side::Close(_) => usize::MAX,
        };
        let places: Vec<usize> = self.side.iter().map(&mut place).collect();
        let own = place(&side);
        if self.side.len() >= SIDE && own < usize::MAX {
            let Some(last) = places.iter().rposition(|place| *place > own && *place < usize::MAX) else { return false };
            self.side.remove(last);
        }
        match places.iter().position(|place| *place > own) {
            Some(at) => self.side.insert(at.min(self.side.len()), side),
            None => self.side.push_back(side),
        }
        true
    }
}

impl Engine {
    /// Writes a record that waits for its turn, if any. True: one is being written.
    pub(super) fn run_side(&mut self) -> bool {
        while let Some(side) = self.next_side() {
            let (spec, parents, body) = match side {
                Side::Evidence { spec, .. } if self.is_proved(&spec) => continue,
                Side::Fault { spec, .. } if self.is_said(&spec) => continue,
                Side::Fault { spec, body } => (Spec::Fault(spec), Vec::new(), body),
                Side::Evidence { spec, body } => (Spec::Evidence(spec), Vec::new(), Some(body)),
                Side::Release { label, update } => {
                    let parents = vec![(update.member, update.record)];
                    (Spec::Release(Release { round: update.round, label }), parents, None)
                }
                Side::Close(why) => (Spec::Close(why), Vec::new(), None),
            };
            let version = self.chain.current().version;
            match self.write(version, spec, parents, body, self.own.wall, None) {
                Ok(()) => return true,
                Err(text) => {
                    let reason = Reason { code: "OWN-001", text };
                    self.emit(Output::Event(Event::Refused { from: None, reason }));
                }
            }
        }
        false
    }

    /// Whether so many say it that one of them at least is honest: what the others name as a proof may be nowhere.
    fn is_said(&self, spec: &FaultSpec) -> bool {
        let third = admit::drawable(self.chain.current()).len() / 3;
        self.index.accusations(spec) >= ENOUGH.max(third + 1)
    }

    /// Whether somebody's record names a bundle about this feed that is held here: then everybody can have the proof. A record alone
    /// proves nothing, and its bundle may be nowhere.
    fn is_proved(&self, spec: &EvidenceSpec) -> bool {
        let mut named = self.index.evidence_about(&spec.accused, spec.incarnation);
        named.any(|bundle| self.trust.holds_contradiction(&spec.accused, spec.incarnation, bundle))
    }

    /// The first that our feed has room for before its next update; the others wait for that.
    fn next_side(&mut self) -> Option<Side> {
        let feed = self.index.feed(&self.config.me, self.own.incarnation());
        let has_room = |side: &Side| match side {
            Side::Release { .. } => feed.is_none_or(|feed| feed.has_room_for(Kind::Release)),
            Side::Evidence { .. } => feed.is_none_or(|feed| feed.has_room_for(Kind::Evidence)),
            Side::Fault { .. } => feed.is_none_or(|feed| feed.has_room_for(Kind::Fault)),
            Side::Close(_) => true,
        };
        let at = self.own.side.iter().position(has_room)?;
        self.own.side.remove(at)
    }

    /// The operator wants our last publication pinned.
    pub(super) fn on_release(&mut self, label: String, wall: UnixSeconds) {
        self.own.note_wall(wall);
        let text = match self.own.last().cloned() {
            Some(update) if self.is_released(&update.record) => {
                format!(
                    "the publication of round {} is released already, and no publication is released twice",
                    update.round
                )
            }
            Some(update) => {
                if self.own.push_side(Side::Release { label, update }) {
                    return;
                }
                format!("{SIDE} releases and accusations wait already; release it after the next publication")
            }
            None => "nothing was published yet, so there is nothing to release".to_owned(),
        };
        let reason = Reason { code: "OWN-002", text };
        self.emit(Output::Event(Event::Refused { from: None, reason }));
    }

    /// Whether a record of ours releases this update, or is about to.
    fn is_released(&self, update: &RecordId) -> bool {
        let waits = |side: &Side| matches!(side, Side::Release { update: other, .. } if other.record == *update);
        let feed = self.index.feed(&self.config.me, self.own.incarnation());
        let writing = self.own.writing.as_ref().map(|writing| writing.checked.record());
        let written =
            |record: &Record| matches!(record.spec, Spec::Release(_)) && record.parent_ids().any(|id| id == *update);
        feed.is_some_and(|feed| feed.has_released(update))
            || self.own.side.iter().any(waits)
            || writing.is_some_and(written)
    }

    /// The operator wants to leave: what is under way is dropped.
    pub(super) fn on_close(&mut self, wall: UnixSeconds) {
        self.own.note_wall(wall);
        if self.own.halted {
            return;
        }
        self.own.side.retain(|side| !matches!(side, Side::Close(_)));
        self.own.side.push_back(Side::Close(Close::Left));
        if matches!(self.stage, Stage::Working(_)) {
            self.begin_gather();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Incarnation, Seq},
        feed::Flaw,
        fixture,
    };

    fn fault(member: u64, incarnation: u64) -> Side {
        let (accused, record) = (fixture::member(member).id, RecordId([7; 32]));
        let spec =
            FaultSpec { accused, incarnation: Incarnation(incarnation), seq: Seq(0), record, flaw: Flaw::Payload };
        Side::Fault { spec, body: None }
    }

    #[test]
    fn who_breaks_a_rule_in_many_incarnations_keeps_nobody_from_being_named_next() {
        let mut own = Own::default();
        for incarnation in 0..2 * SIDE as u64 {
            own.push_side(fault(1, incarnation));
        }
        own.push_side(fault(2, 0));
        own.push_side(fault(3, 0));
        own.push_side(fault(3, 1));
        assert_eq!(own.side.len(), SIDE, "what is behind goes where there is no room");
        let accused = |side: &Side| if let Side::Fault { spec, .. } = side { Some(spec.accused) } else { None };
        let first: Vec<_> = own.side.iter().take(5).filter_map(accused).collect();
        assert_eq!(first, [1, 2, 3, 1, 3].map(|n| fixture::member(n).id));
        let spec = EvidenceSpec { accused: fixture::member(1).id, incarnation: Incarnation(0), seq: Seq(0) };
        assert!(own.push_side(Side::Evidence { spec, body: fixture::body(b"proof") }));
        assert!(matches!(own.side.front(), Some(Side::Evidence { .. })), "what weighs more comes first");
        assert!(!own.push_side(fault(1, 500)), "no room");
        own.push_side(Side::Close(Close::Left));
        assert!(matches!(own.side.back(), Some(Side::Close(_))), "the close comes behind all");
    }
}
