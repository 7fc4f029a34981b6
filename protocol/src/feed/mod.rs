//! One author's hash-linked log, one per (member, incarnation), and the proof that an author signed two of them.

mod field;
mod fork;
mod head;
mod payload;
mod privacy;
mod record;
mod refusal;
mod rules;
mod spec;

pub use field::Field;
pub use fork::{Evidence, EvidenceForm};
pub use head::{Feed, Head, Linked};
pub(crate) use head::{Link, Step};
pub use record::{Checked, Record, check, check_despite_cut, check_stored, check_unsigned, peek_id, sign};
pub(crate) use record::{Standpoint, read_again, stands};
pub use refusal::{Blame, Refusal};
pub use spec::{
    Accusation, Body, Close, EvidenceSpec, FaultSpec, Flaw, Kind, Other, Privacy, Reference, Release, Skip, SkipReason,
    Spec, Update,
};
