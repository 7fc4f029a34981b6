//! Evidence: two records that one honest author cannot both have signed. It convinces anyone who holds the manifest chain.
//!
//! Bytes: CBOR `[form: uint, first: bstr (envelope), second: bstr (envelope)]`, the record ids ascending for form A.

use bytes::Bytes;

use super::{Checked, Refusal};
use crate::{
    base::{Incarnation, MemberId, Seq},
    manifest::Chain,
};

/// How the two records contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidenceForm {
    /// Same member, incarnation and seq, two ids (0).
    SamePlace,
    /// Seq n has id Y, but a signed seq n+1 names another prev (1).
    OtherPrev,
}

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
        let _ = (one, other);
        todo!("P1")
    }

    /// Decodes and verifies a bundle.
    ///
    /// # Errors
    /// Malformed, a record that does not check, or two records that do not contradict each other.
    pub fn parse(bytes: &[u8], chain: &Chain) -> Result<Self, Refusal> {
        let _ = (bytes, chain);
        todo!("P1")
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        todo!("P1")
    }

    /// Whom it convicts, and where.
    #[must_use]
    pub fn accused(&self) -> (MemberId, Incarnation, Seq) {
        todo!("P1")
    }
}
