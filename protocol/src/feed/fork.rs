//! Evidence: two records that one honest author cannot both have signed. It convinces anyone who holds the manifest chain.
//!
//! Bytes: CBOR `[form: uint, first: bstr (envelope), second: bstr (envelope)]`, the record ids ascending for form 0.

use bytes::Bytes;

use super::{
    Checked, EvidenceSpec, Refusal,
    record::{Except, behind_handover, check_but},
};
use crate::{
    base::{Incarnation, MemberId, Seq, limit},
    code::{
        cbor::{self, Bounds},
        map::{Blob, numbers},
    },
    manifest::{Chain, Handover},
};

/// How the two records contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidenceForm {
    /// Same member, incarnation and seq, two ids (0).
    SamePlace = 0,
    /// Seq n has id Y, but a signed seq n+1 names another prev (1).
    OtherPrev = 1,
}

numbers! { EvidenceForm { SamePlace = 0, OtherPrev = 1 } }

/// Two whole records that convict their author.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// How they contradict.
    pub form: EvidenceForm,
    /// For `SamePlace` the one with the smaller id; for `OtherPrev` the one at seq n.
    pub first: Checked,
    /// The other.
    pub second: Checked,
}

impl Evidence {
    /// The evidence in two records, if there is any.
    #[must_use]
    pub fn of(one: &Checked, other: &Checked) -> Option<Self> {
        let place = |checked: &Checked| {
            let record = checked.record();
            (record.network, record.member, record.incarnation)
        };
        if place(one) != place(other) {
            return None;
        }
        let in_order = (one.record().seq, one.id()) <= (other.record().seq, other.id());
        let (first, second) = if in_order { (one, other) } else { (other, one) };
        let (before, after) = (first.record(), second.record());
        let form = if before.seq == after.seq && first.id() != second.id() {
            EvidenceForm::SamePlace
        } else if before.seq.next() == after.seq && after.prev != Some(first.id()) {
            EvidenceForm::OtherPrev
        } else {
            return None;
        };
        Some(Self { form, first: first.clone(), second: second.clone() })
    }

    /// Decodes and verifies a bundle. Its records need not stand: a cut may have come because of them.
    ///
    /// # Errors
    /// Malformed, a record that does not check, or two records that do not contradict each other.
    pub fn parse(bytes: &[u8], chain: &Chain) -> Result<Self, Refusal> {
        let bounds = Bounds { bytes: limit::EVIDENCE_BYTES, items: 4, depth: 1 };
        let (form, first, second): (EvidenceForm, Blob, Blob) = cbor::decode(bytes, bounds)?;
        let first = check_but(first.0.into(), chain, Except::Cut)?;
        let second = check_but(second.0.into(), chain, Except::Cut)?;
        match Self::of(&first, &second) {
            // The bundle has one order, so that the same evidence has one hash.
            Some(evidence) if evidence.form == form && evidence.first.id() == first.id() => Ok(evidence),
            _ => Err(Refusal::NoContradiction { form: form as u64 }),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let blob = |checked: &Checked| Blob(checked.bytes().to_vec());
        cbor::encode(&(self.form, blob(&self.first), blob(&self.second))).into()
    }

    /// Whom it convicts, and where.
    #[must_use]
    pub fn accused(&self) -> (MemberId, Incarnation, Seq) {
        let record = self.second.record();
        (record.member, record.incarnation, self.first.record().seq)
    }

    /// Whether the newest manifest says which of the two histories stands: by a cut, or because at least one of the two records
    /// is under a key that was handed over in this incarnation or an earlier one.
    #[must_use]
    pub fn is_settled(&self, chain: &Chain) -> bool {
        let (member, incarnation, _) = self.accused();
        let cut = chain.current().cut(&member).is_some_and(|cut| cut.incarnation <= incarnation);
        let oldest = self.first.record().manifest_version.min(self.second.record().manifest_version);
        let handed = |(version, handover): &(u64, Handover)| handover.incarnation <= incarnation && oldest < *version;
        cut || chain.handovers(&member).iter().any(handed)
    }

    /// Whether one of the two records lies behind a handover: whoever signed it had a key that was no longer the member's.
    #[must_use]
    pub fn is_behind_handover(&self, chain: &Chain) -> bool {
        let behind = |checked: &Checked| behind_handover(checked.record().standpoint(), &checked.id(), chain).is_some();
        behind(&self.first) || behind(&self.second)
    }

    /// Whether it is what a record of kind `evidence` says it is.
    ///
    /// # Errors
    /// It convicts someone else, or elsewhere.
    pub fn supports(&self, spec: &EvidenceSpec) -> Result<(), Refusal> {
        let EvidenceSpec { accused, incarnation, seq } = *spec;
        if self.accused() == (accused, incarnation, seq) {
            return Ok(());
        }
        Err(Refusal::OtherAccused { got: self.accused().0, wanted: accused })
    }
}
