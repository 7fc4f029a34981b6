//! What an audit came to, as a SLSA verification summary (an in-toto Statement), signed by the auditor.

use std::{fmt::Write, path::Path};

use anyhow::anyhow;
use chorale_protocol::{
    audit::{Ancestry, ArchiveDigest, Reach, Report, Survey, Verdict},
    code::PublicKey,
};
use serde_json::{Value, json};

use crate::{
    archive,
    args::ReportVerify,
    digest, dsse,
    escape::escape,
    exit::{Exit, OrExit, Trouble},
    export, file, json, survey,
};

const PREDICATE: &str = "https://slsa.dev/verification_summary/v1";
/// The version of the specification that this keeps to.
const SLSA: &str = "1.1";
/// Where this program's own fields are: an extension's name is a URI.
const EXTENSION: &str = "chorale:audit/v1";
/// The level of an archive of which every check ran and passed.
const REPLAYED: &str = "CHORALE_ARCHIVE_REPLAYED";
/// The further level of one of which anchors reach the end of every feed.
const ANCHORED: &str = "CHORALE_ARCHIVE_ANCHORED";
/// Bytes of an envelope that is read.
const ENVELOPE_BYTES: u64 = 16 << 20;
/// Bytes of a deployed file that is read.
const ARTIFACT_BYTES: u64 = 1 << 36;

/// What a summary is about.
pub(crate) struct Summed<'a> {
    pub(crate) report: &'a Report,
    pub(crate) digest: ArchiveDigest,
    /// The archive, if its chain verifies.
    pub(crate) survey: Option<&'a Survey<'a>>,
    pub(crate) path: &'a Path,
}

impl Summed<'_> {
    /// The statement: subjects are the archive, and of every release in it the payload and the file that is deployed.
    pub(crate) fn statement(&self, key: &PublicKey, time: &str) -> Result<Value, Trouble> {
        let report = self.report;
        let (verdict, anchors) = (report.verdict(), &report.anchors);
        let passed = verdict == Verdict::Passed;
        let levels: &[&str] = match (passed, anchors.is_complete()) {
            (true, true) => &[REPLAYED, ANCHORED],
            (true, false) => &[REPLAYED],
            (false, _) => &["FAILED"],
        };
        let mut subjects = vec![json!({ "name": "archive", "digest": archive_digest(self.digest) })];
        if let Some(survey) = self.survey {
            subjects.extend(releases(survey, self.path)?);
        }
        let version = report.manifest_version.unwrap_or_default();
        let policy = match self.survey {
            Some(survey) => export::manifest(survey, version),
            None => json!({ "uri": format!("chorale:network/{}/manifest/{version}", report.network) }),
        };
        let predicate = json!({
            "verifier": {
                "id": format!("chorale:auditor/{key}"),
                "version": { "chorale-audit": env!("CARGO_PKG_VERSION") },
            },
            "timeVerified": time,
            "resourceUri": format!("chorale:network/{}", report.network),
            "policy": policy,
            "verificationResult": if passed { "PASSED" } else { "FAILED" },
            "verifiedLevels": levels,
            "slsaVersion": SLSA,
            EXTENSION: {
                "verdict": verdict.text(),
                "anchors": json::reach(anchors),
                "recomputed": report.recomputed,
                "signatures": if report.heads_only { "heads" } else { "all" },
                "manifestVersion": report.manifest_version,
                "records": report.counts.records.ok,
                "merges": report.counts.merges.ok,
                "mergesUnverified": report.counts.merges.unverified,
                "mergesAttested": report.counts.merges.attested,
                "findings": report.findings.len(),
            },
        });
        Ok(json!({ "_type": dsse::STATEMENT, "subject": subjects, "predicateType": PREDICATE, "predicate": predicate }))
    }
}

fn releases(survey: &Survey<'_>, path: &Path) -> Result<Vec<Value>, Trouble> {
    let ancestry = survey::read(Ancestry::of(survey), path)?;
    let released = ancestry.releases().into_iter().flat_map(|release| &release.parents).copied().collect();
    let updates = export::updates(survey, path, &released)?;
    let mut subjects = Vec::new();
    for release in ancestry.releases() {
        let Some(update) = release.parents.first().and_then(|id| updates.get(id)) else { continue };
        let name = release.release.as_deref().unwrap_or_default();
        let (mut files, whole) = export::subjects(survey, path, name, update)?;
        // Without its bytes there is nothing to vouch for.
        if !whole {
            continue;
        }
        for file in &mut files {
            // Two releases may have one label: the record says which is meant.
            file["annotations"] =
                json!({ "chorale:record": release.id.to_string(), "chorale:member": release.member.to_string() });
        }
        subjects.extend(files);
    }
    Ok(subjects)
}

/// In-toto writes this digest in hexadecimal digits, without the prefix.
fn archive_digest(digest: ArchiveDigest) -> Value {
    json!({ "dirHash": hex::encode(digest.0) })
}

/// Checks a signed summary.
pub(crate) fn verify(args: &ReportVerify) -> Result<Exit, Trouble> {
    let key = public(&args.key).or_usage()?;
    let envelope = file::read(&args.file, ENVELOPE_BYTES).or_io()?;
    let failed = |error: anyhow::Error| Trouble { exit: Exit::Failed, error };
    let statement = dsse::open(&envelope, &key).map_err(failed)?;
    if statement["_type"] != dsse::STATEMENT || statement["predicateType"] != PREDICATE {
        return Err(failed(anyhow!("what was signed is no verification summary")));
    }
    let subjects = || statement["subject"].as_array().into_iter().flatten();
    if let Some(path) = &args.archive {
        let archive = archive::open(path)?;
        let wanted = archive_digest(digest::of(&*archive, path, None)?.digest());
        let same = |subject: &Value| subject["name"] == "archive" && subject["digest"]["dirHash"] == wanted["dirHash"];
        if !subjects().any(same) {
            return Err(failed(anyhow!("the summary is of another archive than {}", path.display())));
        }
    }
    let mut artifact = None;
    if let Some(path) = &args.artifact {
        let wanted = export::digests_of(&file::read(path, ARTIFACT_BYTES).or_io()?);
        artifact = subjects().find(|subject| subject["digest"]["sha256"] == wanted["sha256"]);
        if artifact.is_none() {
            return Err(failed(anyhow!("the summary is not about {}", path.display())));
        }
    }
    file::print(&shown(&statement, &key, args, artifact)).or_io()?;
    let predicate = &statement["predicate"];
    let passed = predicate["verificationResult"] == "PASSED" && predicate["verifiedLevels"][0] == REPLAYED;
    Ok(match predicate[EXTENSION]["verdict"].as_str() {
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

fn shown(statement: &Value, key: &PublicKey, args: &ReportVerify, artifact: Option<&Value>) -> String {
    let predicate = &statement["predicate"];
    let (extension, anchors) = (&predicate[EXTENSION], &predicate[EXTENSION]["anchors"]);
    let text = |value: &Value| escape(value.as_str().unwrap_or("not said"));
    let mut out = format!("The signature verifies under {key}.\n\n");
    // Writing to a string does not fail.
    let _ = writeln!(out, "Verdict   {}", text(&extension["verdict"]));
    let _ = writeln!(out, "Result    {}", text(&predicate["verificationResult"]));
    let _ = writeln!(out, "Of        {}", text(&predicate["resourceUri"]));
    let _ = writeln!(out, "By        {}", text(&predicate["policy"]["uri"]));
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let reach = Reach {
        given: number(&anchors["given"]),
        missing: number(&anchors["missing"]),
        feeds: number(&anchors["feeds"]),
        reached: number(&anchors["reached"]),
    };
    let _ = writeln!(out, "Anchors   {}", reach.text());
    let _ = writeln!(out, "Time      {} (the auditor's word)", text(&predicate["timeVerified"]));
    for subject in statement["subject"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "Subject   {}", text(&subject["name"]));
        for (name, digest) in subject["digest"].as_object().into_iter().flatten() {
            let _ = writeln!(out, "            {} {}", escape(name), text(digest));
        }
    }
    out += "\n";
    out += match args.archive {
        Some(_) => "It is about the archive given.\n",
        None => "Whether it is about your archive, --archive says.\n",
    };
    if let Some(artifact) = artifact {
        let _ = writeln!(out, "The file given is its subject {}.", text(&artifact["name"]));
    }
    out
}
