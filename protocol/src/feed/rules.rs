//! The rules that a record must keep by itself, and those of the manifest version it was made under.

use std::fmt::Display;

use super::{Body, EvidenceSpec, FaultSpec, Field, Flaw, Privacy, Record, Refusal, Release, Spec, Update};
use crate::{
    base::{Incarnation, Seq, limit},
    manifest::{Manifest, is_label},
};

// So many parents of so much weight keep to the bound on the sum by themselves.
const _: () = assert!(limit::PARENTS as u64 * limit::WEIGHT <= limit::WEIGHT_SUM);

fn refuse(field: Field, got: impl Display, wanted: &'static str) -> Result<(), Refusal> {
    Err(Refusal::Field { field, got: got.to_string(), wanted })
}

/// A hash without a length, or a length without a hash.
pub(super) fn body_half() -> Refusal {
    Refusal::Field { field: Field::Body, got: "one of hash and length".into(), wanted: "both or neither" }
}

/// An incarnation beyond those of the author's key.
pub(super) fn too_many_incarnations(got: Incarnation) -> Refusal {
    Refusal::Field { field: Field::Incarnation, got: got.to_string(), wanted: "one of the 64 of the author's key" }
}

/// Rules of form, which need nothing but the record.
pub(super) fn form(record: &Record) -> Result<(), Refusal> {
    let first = record.incarnation == Incarnation(0) && record.seq == Seq(0);
    if first == record.prev.is_some() {
        let got = if first { "one" } else { "none" };
        return refuse(Field::Prev, got, "none in the first record of incarnation 0, one in every other");
    }
    if !record.claimed_time.0.is_multiple_of(limit::CLAIMED_TIME_STEP_S) {
        return refuse(Field::ClaimedTime, record.claimed_time, "a multiple of 60 s");
    }
    if record.parents.len() > limit::PARENTS {
        return refuse(Field::Parents, record.parents.len(), "at most 64");
    }
    if !record.parents.is_sorted_by(|a, b| a.member < b.member) {
        return refuse(Field::ParentOrder, "members out of order or one twice", "members that strictly ascend");
    }
    match &record.spec {
        Spec::Update(spec) => update(record, spec),
        Spec::Release(spec) => release(record, spec),
        Spec::Evidence(spec) => evidence(record, spec),
        Spec::Close(_) => bare(record).and_then(|()| no_parents(record)),
        Spec::Fault(spec) => fault(record, spec),
        Spec::Other(_) => record.body.map_or(Ok(()), |_| body(record, limit::BLOB_BYTES)),
    }
}

/// A body of 1 to `most` bytes.
fn body(record: &Record, most: u64) -> Result<(), Refusal> {
    match record.body {
        Some(Body { length, .. }) if (1..=most).contains(&length) => Ok(()),
        Some(Body { length, .. }) if most == limit::BLOB_BYTES => refuse(Field::BodyLength, length, "1 to 2^31 bytes"),
        Some(Body { length, .. }) => refuse(Field::BodyLength, length, "1 byte to a bundle's most"),
        None => refuse(Field::Body, "none", "a body"),
    }
}

/// Neither body nor codec.
fn bare(record: &Record) -> Result<(), Refusal> {
    if record.body.is_some() {
        return refuse(Field::Body, "one", "none with this kind");
    }
    no_codec(record)
}

fn no_codec(record: &Record) -> Result<(), Refusal> {
    if record.codec.is_some() { refuse(Field::Codec, "one", "none with this kind") } else { Ok(()) }
}

fn no_parents(record: &Record) -> Result<(), Refusal> {
    if record.parents.is_empty() { Ok(()) } else { refuse(Field::Parents, record.parents.len(), "none with this kind") }
}

fn update(record: &Record, spec: &Update) -> Result<(), Refusal> {
    body(record, limit::BLOB_BYTES)?;
    if record.codec.is_none() {
        return refuse(Field::Codec, "none", "the policy's codec");
    }
    if spec.weights.len() != record.parents.len() {
        return refuse(Field::Weights, spec.weights.len(), "one for each parent");
    }
    if let Some(weight) = spec.weights.iter().find(|weight| !(1..=limit::WEIGHT).contains(*weight)) {
        return refuse(Field::Weight, weight, "1 to 1024");
    }
    if spec.round.0 == 0 || (record.parents.is_empty() && spec.round.0 != 1) {
        return refuse(Field::Round, spec.round, "1 or more; 1 without parents");
    }
    if spec.steps == 0 {
        return refuse(Field::Steps, spec.steps, "1 or more");
    }
    if spec.examples != 0 && !spec.examples.is_power_of_two() {
        return refuse(Field::Examples, spec.examples, "0 or a power of two");
    }
    if spec.skipped.len() + record.parents.len() > limit::NAMED {
        let got = format_args!("{} and {} parents", spec.skipped.len(), record.parents.len());
        return refuse(Field::Skipped, got, "at most 64 together");
    }
    let mut members: Vec<u64> = spec.skipped.iter().map(|skip| skip.member).collect();
    members.sort_unstable();
    if !members.is_sorted_by(|a, b| a < b) {
        return refuse(Field::Skipped, "a member twice", "each member at most once");
    }
    if let Some(skip) = spec.skipped.iter().find(|skip| skip.reason.is_of_record() != skip.record.is_some()) {
        let got = format_args!("{}, {} record", skip.reason.word(), if skip.record.is_some() { "a" } else { "no" });
        return refuse(Field::Skipped, got, "a record with stale, unreachable, distance and refused, else none");
    }
    spec.privacy.map_or(Ok(()), |claim| privacy(&claim))?;
    match spec.state {
        Some(Body { length, .. }) if !(1..=limit::BLOB_BYTES).contains(&length) => {
            return refuse(Field::State, length, "1 to 2^31 bytes");
        }
        _ => {}
    }
    if spec.checked.len() > limit::CHECKED {
        return refuse(Field::Checked, spec.checked.len(), "at most 64");
    }
    if !spec.checked.is_sorted_by(|a, b| a < b) {
        return refuse(Field::Checked, "ids out of order or one twice", "ids that strictly ascend");
    }
    Ok(())
}

/// A claim says something, and no less than what its steps cost for certain.
fn privacy(claim: &Privacy) -> Result<(), Refusal> {
    let Privacy { sigma_milli, clip_milli, rate_micro, steps, epsilon_milli, delta_log10_milli } = *claim;
    if [sigma_milli, clip_milli, steps, delta_log10_milli].contains(&0) {
        return refuse(Field::Privacy, "a 0", "sigma, clip, steps and -log10 delta of 1 or more");
    }
    if !(1..=1_000_000).contains(&rate_micro) {
        return refuse(Field::Privacy, rate_micro, "a sampling rate of 1 to 1000000 millionths");
    }
    let least = claim.least_epsilon_milli();
    if epsilon_milli < least {
        let got = format_args!("{epsilon_milli}, and {least} is less than what its steps cost");
        return refuse(Field::Epsilon, got, "what an accountant gives");
    }
    Ok(())
}

fn release(record: &Record, spec: &Release) -> Result<(), Refusal> {
    bare(record)?;
    if record.parents.len() != 1 {
        return refuse(Field::Parents, record.parents.len(), "1, the update released");
    }
    if spec.round.0 == 0 {
        return refuse(Field::Round, spec.round, "1 or more");
    }
    if !is_label(&spec.label) {
        return refuse(Field::Label, &spec.label, "1 to 64 of a-z 0-9 . _ -");
    }
    Ok(())
}

fn evidence(record: &Record, _: &EvidenceSpec) -> Result<(), Refusal> {
    body(record, limit::EVIDENCE_BYTES as u64)?;
    no_codec(record)?;
    no_parents(record)
}

fn fault(record: &Record, spec: &FaultSpec) -> Result<(), Refusal> {
    if spec.flaw == Flaw::Rule {
        body(record, limit::FAULT_BYTES as u64)?;
    } else if record.body.is_some() {
        return refuse(Field::Body, "one", "a bundle with a broken rule alone");
    }
    no_codec(record)?;
    no_parents(record)
}

/// Rules of the manifest version that the record was made under.
pub(super) fn under(record: &Record, manifest: &Manifest) -> Result<(), Refusal> {
    let members = manifest.members.len() as u64;
    if let Some(parent) = record.parents.iter().find(|parent| parent.member >= members) {
        return refuse(Field::ParentMember, parent.member, "a place in the member list");
    }
    let Spec::Update(spec) = &record.spec else { return Ok(()) };
    let policy = &manifest.policy;
    if record.codec != Some(policy.codec) {
        return refuse(Field::Codec, "another", "the policy's codec");
    }
    if spec.phase != policy.lora_rule.phase(spec.round) {
        return refuse(Field::Phase, format_args!("{:?}", spec.phase), "the policy's phase of this round");
    }
    if spec.steps > policy.steps.max {
        return refuse(Field::Steps, spec.steps, "at most the policy's most");
    }
    if let Some(skip) = spec.skipped.iter().find(|skip| skip.member >= members) {
        return refuse(Field::Skipped, skip.member, "a place in the member list");
    }
    let Some(wanted) = policy.privacy else { return Ok(()) };
    let within = |claim: Privacy| {
        claim.delta_log10_milli == wanted.delta_log10_milli && claim.epsilon_milli <= wanted.epsilon_milli
    };
    if !spec.privacy.is_some_and(within) {
        let got = spec.privacy.map_or_else(|| "none".to_owned(), |claim| format!("{claim:?}"));
        return refuse(Field::PolicyPrivacy, got, "a claim with the policy's delta and at most its epsilon");
    }
    Ok(())
}
