//! Broken rules as members accuse each other of them: what a bundle proves, and what the audit finds itself.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    finding::{Notes, Place},
    light::{Index, Stand},
    rules::Rules,
};
use crate::{
    admit::FaultProof,
    base::{Incarnation, MemberId, RecordId, Seq},
    feed::{Accusation, FaultSpec, Flaw, stands},
};

/// What a bundle proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proved {
    /// Of whom, and where.
    pub(super) place: (MemberId, Incarnation, Seq),
    /// Of which record, if of one alone.
    pub(super) record: Option<RecordId>,
}

impl Proved {
    /// Whether a record that names the bundle accuses of that.
    pub(super) fn is(&self, accusation: &Accusation) -> bool {
        let record = if let Accusation::Fault(spec) = accusation { Some(spec.record) } else { None };
        (self.place, self.record) == (accusation.place(), record)
    }
}

/// A rule that a bundle proves broken.
struct Fault {
    place: Place,
    text: String,
    settled: bool,
}

/// Rules that bundles prove broken, by place.
#[derive(Default)]
pub(super) struct Faults(BTreeMap<(MemberId, Incarnation, Seq), Fault>);

impl Faults {
    /// Adds what `proof`, seen at `place`, proves. It is settled if the record no longer stands.
    pub(super) fn note(&mut self, proof: &FaultProof, place: Place, rules: &Rules) {
        let (member, incarnation, seq) = proof.accused();
        let settled = stands(rules.chain(), proof.record().record().standpoint(), || proof.record().id()).is_err();
        let label = rules.label(&member);
        let text = format!(
            "member {label:?} ({member}) signed record {incarnation}/{seq}, which breaks {}: {}",
            proof.code(),
            proof.text()
        );
        self.0.entry((member, incarnation, seq)).or_insert(Fault { place, text, settled });
    }

    /// Says of each whether the manifests settle it.
    pub(super) fn tell(&self, notes: &mut Notes) {
        for ((member, incarnation, seq), fault) in &self.0 {
            let place = Place { feed: Some((*member, *incarnation)), seq: Some(*seq), ..fault.place.clone() };
            notes.add(if fault.settled { "FLT-002" } else { "FLT-001" }, &place, fault.text.clone());
        }
    }
}

/// What the walks found of the records that members accuse of a flaw: whether it is there.
pub(super) type Checked = BTreeMap<(RecordId, Flaw), bool>;

/// The records that are accused of what only an audit, or a node that has the payloads, can check.
pub(super) fn accused(index: &Index) -> BTreeSet<RecordId> {
    claims(index).map(|(_, spec)| spec.record).collect()
}

fn claims(index: &Index) -> impl Iterator<Item = (Place, FaultSpec)> + '_ {
    let linked = index.all().filter(|light| light.stand == Stand::Linked);
    linked.filter_map(|light| match light.accused {
        Some(Accusation::Fault(spec)) if spec.flaw != Flaw::Rule => Some((light.place(), spec)),
        _ => None,
    })
}

/// Holds the accusations against what was found. One that is right says nothing new: the flaw is a finding of its own.
pub(super) fn judge(index: &Index, found: &Checked, notes: &mut Notes) {
    for (place, spec) in claims(index) {
        let right = index.by_id(&spec.record).is_none_or(|light| {
            (light.member, light.incarnation, light.seq) == (spec.accused, spec.incarnation, spec.seq)
        });
        let (record, flaw) = (spec.record, spec.flaw.word());
        match found.get(&(spec.record, spec.flaw)).filter(|_| right) {
            _ if !right => {
                notes.add("FLT-003", &place, format!("record {record} does not stand where the accusation says"));
            }
            Some(true) => {}
            Some(false) => notes.add("FLT-003", &place, format!("the {flaw} of record {record} is in order")),
            None => notes.add("FLT-004", &place, format!("the {flaw} of record {record} could not be checked")),
        }
    }
}
