//! `evidence verify`: one bundle, or one manifest that contradicts another, by itself, against the manifests that say whose
//! key is whose.

use std::{fmt::Write, path::Path};

use anyhow::anyhow;
use bytes::Bytes;
use chorale_protocol::{
    admit::{Bundle, FaultProof},
    base::{MemberId, limit},
    feed::{Evidence, Refusal},
    manifest::{Chain, DoubleVote, DoubleVoteError},
};
use serde_json::json;

use crate::{
    args::EvidenceVerify,
    chain,
    escape::escape,
    exit::{Exit, OrExit, Trouble},
    file, forks, json,
};

pub(crate) fn verify(args: &EvidenceVerify) -> Result<Exit, Trouble> {
    let chain = chain::of(&args.pin, args.archive.as_deref(), &args.manifest)?;
    let bytes = file::read(&args.file, limit::MANIFEST_BYTES as u64).or_io()?;
    // A bundle is an array of three, a signed manifest one of two.
    if bytes.first() == Some(&0x82) {
        return double_vote(&bytes.into(), &chain, args);
    }
    match Bundle::parse(&bytes, &chain) {
        Ok(bundle) => {
            let label = label(&chain, &bundle.accused().0);
            let text = match (&bundle, args.json) {
                (Bundle::Evidence(evidence), false) => text(evidence, &label, &args.file),
                (Bundle::Evidence(evidence), true) => line(evidence, &label),
                (Bundle::Fault(proof), false) => fault(proof, &label, &args.file),
                (Bundle::Fault(proof), true) => fault_line(proof, &label),
            };
            file::print(&text).or_io()?;
            Ok(Exit::Passed)
        }
        Err(refusal) => {
            let code = refusal.code();
            let (exit, error) = match refusal {
                Refusal::NeedsManifest { got, .. } => (Exit::Incomplete, needed(code, got)),
                Refusal::Unsupported { .. } => {
                    let error = anyhow!("cannot be judged by this version of the program: {code}: {refusal}");
                    (Exit::Incomplete, error)
                }
                _ => (Exit::Failed, anyhow!("it proves nothing: {code}: {refusal}")),
            };
            Err(Trouble { exit, error })
        }
    }
}

/// Who signed cannot be said without this version; it may be proof all the same.
fn needed(code: &str, version: u64) -> anyhow::Error {
    anyhow!(
        "cannot be judged yet: {code}: manifest version {version} is needed; give it with --manifest, or an archive that has it with --archive"
    )
}

fn double_vote(bytes: &Bytes, chain: &Chain, args: &EvidenceVerify) -> Result<Exit, Trouble> {
    let double = DoubleVote::check(bytes, chain).map_err(|error| match error {
        DoubleVoteError::NotHeld { version } => {
            Trouble { exit: Exit::Incomplete, error: needed(error.code(), version) }
        }
        _ => Trouble { exit: Exit::Failed, error: anyhow!("it proves nothing: {}: {error}", error.code()) },
    })?;
    let text = if args.json {
        json::lines([forks::double_vote(&double)].into_iter())
    } else {
        format!(
            "{} is proof.\n\nDOUBLE VOTE on manifest version {}\n{}\
             Proves that each of these governors voted for both. No honest governor does. It accuses no member.\n",
            escape(&args.file.display().to_string()),
            double.version,
            forks::votes(&double)
        )
    };
    file::print(&text).or_io()?;
    Ok(Exit::Passed)
}

/// In the newest version that names the member; one does, since its records verify.
pub(crate) fn label(chain: &Chain, member: &MemberId) -> String {
    let versions = (0..=chain.current().version).rev().filter_map(|version| chain.at(version));
    let named = versions.filter_map(|(manifest, _)| manifest.member(member)).next();
    named.map(|member| member.label.clone()).unwrap_or_default()
}

fn text(evidence: &Evidence, label: &str, path: &Path) -> String {
    let (member, incarnation, seq) = evidence.accused();
    let mut out = format!("{} is proof.\n\n", escape(&path.display().to_string()));
    // Writing to a string does not fail.
    let _ = writeln!(out, "Member   {} ({member})", escape(label));
    let _ = writeln!(out, "Key      {}", evidence.first.record().key);
    if evidence.second.record().key != evidence.first.record().key {
        let _ = writeln!(out, "         {}, a key of the same member, signed the second", evidence.second.record().key);
    }
    let _ = writeln!(out, "Place    incarnation {incarnation}, seq {seq}");
    let _ = writeln!(out, "First    {}", forks::record(&evidence.first));
    let _ = writeln!(out, "Second   {}", forks::record(&evidence.second));
    let _ = writeln!(
        out,
        "Proves   that both records were signed with the member's key, and that they contradict each other:"
    );
    let _ = writeln!(out, "         {}. No honest program signs both.", forks::form(evidence.form));
    let _ = writeln!(out, "Does not prove who used the key, or which of the two histories came first.");
    out
}

fn fault(proof: &FaultProof, label: &str, path: &Path) -> String {
    let (member, incarnation, seq) = proof.accused();
    let record = proof.record();
    format!(
        "{} is proof.\n\nMember   {} ({member})\nKey      {}\nPlace    incarnation {incarnation}, seq {seq}\n\
         Record   {}\nBreaks   {}: {}\nProves   that the record was signed with the member's key. No honest program signs it.\n",
        escape(&path.display().to_string()),
        escape(label),
        record.record().key,
        forks::record(record),
        proof.code(),
        proof.text()
    )
}

fn fault_line(proof: &FaultProof, label: &str) -> String {
    let (member, incarnation, seq) = proof.accused();
    let line = json!({
        "schema": json::SCHEMA,
        "type": "fault",
        "proof": true,
        "member": member.to_string(),
        "label": label,
        "keys": [proof.record().record().key.to_string()],
        "incarnation": incarnation.0,
        "seq": seq.0,
        "record": proof.record().id().to_string(),
        "code": proof.code(),
        "text": proof.text(),
    });
    json::lines([line].into_iter())
}

fn line(evidence: &Evidence, label: &str) -> String {
    let (member, incarnation, seq) = evidence.accused();
    let line = json!({
        "schema": json::SCHEMA,
        "type": "evidence",
        "proof": true,
        "member": member.to_string(),
        "label": label,
        "keys": [evidence.first.record().key.to_string(), evidence.second.record().key.to_string()],
        "incarnation": incarnation.0,
        "seq": seq.0,
        "form": evidence.form as u8,
        "first": evidence.first.id().to_string(),
        "second": evidence.second.id().to_string(),
    });
    json::lines([line].into_iter())
}
