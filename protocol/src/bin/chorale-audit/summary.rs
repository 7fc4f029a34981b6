//! What an audit came to, as a SLSA verification summary (an in-toto Statement), signed by the auditor.

use std::fmt::Write;

use anyhow::anyhow;
use chorale_protocol::{
    audit::{Ancestry, Report, Survey, Verdict, listing},
    code::{PublicKey, blob_hash},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    args::{Checks, ReportVerify},
    dsse,
    escape::escape,
    exit::{Exit, OrExit, Trouble},
    export, file, folder, survey,
};

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/verification_summary/v1";
/// The level of an archive of which every check ran and passed.
const REPLAYED: &str = "CHORALE_ARCHIVE_REPLAYED";
/// The further level of one that reaches as far as the auditor's anchors.
const ANCHORED: &str = "CHORALE_ARCHIVE_ANCHORED";
/// Bytes of an envelope that is read.
const ENVELOPE_BYTES: u64 = 16 << 20;

/// The statement: subjects are the archive, as the listing of its files, and the payload of every release in it.
pub(crate) fn statement(
    report: &Report,
    survey: Option<&Survey<'_>>,
    args: &Checks,
    key: &PublicKey,
    time: Option<&str>,
) -> Result<Value, Trouble> {
    let verdict = report.verdict();
    let passed = verdict == Verdict::Passed;
    let levels: &[&str] = match (passed, report.anchored) {
        (true, true) => &[REPLAYED, ANCHORED],
        (true, false) => &[REPLAYED],
        (false, _) => &["FAILED"],
    };
    let mut subjects = vec![json!({ "name": "archive", "digest": listing_digests(&report.listing) })];
    if let Some(survey) = survey {
        subjects.extend(releases(survey, args)?);
    }
    let mut predicate = json!({
        "verifier": {
            "id": format!("chorale:auditor/{key}"),
            "version": { "chorale-audit": env!("CARGO_PKG_VERSION") },
        },
        "resourceUri": format!("chorale:network/{}", report.network),
        "policy": policy(report, survey),
        "verificationResult": if passed { "PASSED" } else { "FAILED" },
        "verifiedLevels": levels,
        "chorale": {
            "verdict": verdict.text(),
            "anchored": report.anchored,
            "recomputed": report.recomputed,
            "signatures": if report.heads_only { "heads" } else { "all" },
            "manifest_version": report.manifest_version,
            "records": report.counts.records.ok,
            "merges": report.counts.merges.ok,
            "merges_unverified": report.counts.merges.unverified,
            "findings": report.findings.len(),
        },
    });
    if let (Some(time), Some(fields)) = (time, predicate.as_object_mut()) {
        fields.insert("timeVerified".to_owned(), time.into());
    }
    Ok(json!({ "_type": STATEMENT, "subject": subjects, "predicateType": PREDICATE, "predicate": predicate }))
}

/// The manifest version that the archive was checked by.
fn policy(report: &Report, survey: Option<&Survey<'_>>) -> Value {
    let version = report.manifest_version.unwrap_or_default();
    let signed = survey.and_then(|survey| survey.chain().signed().pop());
    let digest = signed
        .map(|bytes| json!({ "blake3": blob_hash(&bytes).to_string(), "sha256": hex::encode(Sha256::digest(&bytes)) }));
    json!({ "uri": format!("chorale:network/{}/manifest/{version}", report.network), "digest": digest })
}

fn releases(survey: &Survey<'_>, args: &Checks) -> Result<Vec<Value>, Trouble> {
    let ancestry = survey::read(Ancestry::of(survey), &args.archive)?;
    let released = ancestry.releases().into_iter().flat_map(|release| &release.parents).copied().collect();
    let updates = export::updates(survey, &args.archive, &released)?;
    let mut subjects = Vec::new();
    for release in ancestry.releases() {
        let update = release.parents.first().and_then(|id| updates.get(id));
        let Some(body) = update.and_then(|update| update.record().body) else { continue };
        // Without its bytes there is no sha256 to vouch for.
        let Some(bytes) = survey::read(survey.blob(body), &args.archive)? else { continue };
        // Two releases may have one label: the record says which is meant.
        subjects.push(json!({
            "name": release.release,
            "digest": export::digests(body, Some(&bytes)),
            "annotations": { "record": release.id.to_string(), "member": release.member.to_string() },
        }));
    }
    Ok(subjects)
}

fn listing_digests(listing: &str) -> Value {
    json!({
        "blake3": blob_hash(listing.as_bytes()).to_string(),
        "sha256": hex::encode(Sha256::digest(listing.as_bytes())),
    })
}

/// Checks a signed summary.
pub(crate) fn verify(args: &ReportVerify) -> Result<Exit, Trouble> {
    let key = public(&args.key).or_usage()?;
    let envelope = file::read(&args.file, ENVELOPE_BYTES).or_io()?;
    let failed = |error: anyhow::Error| Trouble { exit: Exit::Failed, error };
    let statement = dsse::open(&envelope, &key).map_err(failed)?;
    if statement["_type"] != STATEMENT || statement["predicateType"] != PREDICATE {
        return Err(failed(anyhow!("what was signed is no verification summary")));
    }
    if let Some(path) = &args.archive {
        let archive = folder::open(path).or_io()?;
        let digests = listing_digests(&survey::read(listing(&*archive), path)?);
        let subjects = statement["subject"].as_array().into_iter().flatten();
        if !subjects.clone().any(|subject| subject["name"] == "archive" && subject["digest"] == digests) {
            return Err(failed(anyhow!("the summary is of another archive than {}", path.display())));
        }
    }
    file::print(&shown(&statement, &key, args.archive.is_some())).or_io()?;
    let predicate = &statement["predicate"];
    let passed = predicate["verificationResult"] == "PASSED" && predicate["verifiedLevels"][0] == REPLAYED;
    Ok(match predicate["chorale"]["verdict"].as_str() {
        Some("PASSED") if passed => Exit::Passed,
        Some("INCOMPLETE") => Exit::Incomplete,
        _ => Exit::Failed,
    })
}

fn public(text: &str) -> anyhow::Result<PublicKey> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| anyhow!("--key wants 64 hexadecimal digits"))?;
    Ok(PublicKey::admit(&bytes)?)
}

fn shown(statement: &Value, key: &PublicKey, compared: bool) -> String {
    let predicate = &statement["predicate"];
    let text = |value: &Value| escape(value.as_str().unwrap_or("not said"));
    let mut out = format!("The signature verifies under {key}.\n\n");
    // Writing to a string does not fail.
    let _ = writeln!(out, "Verdict   {}", text(&predicate["chorale"]["verdict"]));
    let _ = writeln!(out, "Result    {}", text(&predicate["verificationResult"]));
    let _ = writeln!(out, "Of        {}", text(&predicate["resourceUri"]));
    let _ = writeln!(out, "By        {}", text(&predicate["policy"]["uri"]));
    let _ = writeln!(out, "Anchored  {}", predicate["chorale"]["anchored"] == true);
    let _ = writeln!(out, "Time      {} (the auditor's word)", text(&predicate["timeVerified"]));
    for subject in statement["subject"].as_array().into_iter().flatten() {
        let digest = &subject["digest"];
        let _ = writeln!(out, "Subject   {}", text(&subject["name"]));
        let _ = writeln!(out, "            blake3 {}", text(&digest["blake3"]));
        let _ = writeln!(out, "            sha256 {}", text(&digest["sha256"]));
    }
    let _ = writeln!(
        out,
        "\n{}",
        if compared { "It is about the archive given." } else { "Whether it is about your archive, --archive says." }
    );
    out
}
