//! `export`: an archive's updates for other programs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
};

use anyhow::anyhow;
use chorale_protocol::{
    adapter::{Layout, Payload},
    audit::{Ancestry, Node, Stand, Survey},
    base::RecordId,
    code::blob_hash,
    feed::{Body, Checked, Kind, Spec, Update},
    manifest::Codec,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    args::{ExportArgs, Form},
    exit::{Exit, OrExit, Trouble},
    file, folder, lineage, survey,
};

pub(crate) fn export(args: &ExportArgs) -> Result<Exit, Trouble> {
    let network = args.pin.network()?;
    let archive = folder::open(&args.archive).or_io()?;
    let survey = survey::open(&*archive, &args.archive, network)?;
    match args.form {
        Form::Csv => csv(&survey, &args.archive),
        Form::InToto => statements(&survey, &args.archive),
        Form::Safetensors => safetensors(&survey, args),
    }
}

const COLUMNS: &str = "member,label,incarnation,seq,record,stands,round,clock,claimed_time,manifest_version,phase,parents,skipped,steps,\
examples,loss_before_micro,loss_after_micro,sigma_milli,epsilon_milli,delta_log10_milli,dataset,payload_blake3,payload_bytes,payload_here";

/// A line for each update, by member, incarnation and place.
fn csv(survey: &Survey<'_>, path: &Path) -> Result<Exit, Trouble> {
    let mut out = format!("{COLUMNS}\n");
    let held: BTreeSet<_> = survey.blobs().collect();
    let rows = survey.each_feed(|(member, _), feed| {
        let (label, mut rows) = (survey.label(&member), String::new());
        for (stand, checked) in feed.records {
            let Spec::Update(update) = &checked.record().spec else { continue };
            let here = checked.record().body.is_some_and(|body| held.contains(&body.hash));
            rows += &row(&label, stand, &checked, update, here);
        }
        rows
    });
    out.extend(survey::read(rows, path)?);
    file::print(&out).or_io()?;
    Ok(if out.len() == COLUMNS.len() + 1 { Exit::Incomplete } else { Exit::Passed })
}

fn row(label: &str, stand: Stand, checked: &Checked, update: &Update, here: bool) -> String {
    let record = checked.record();
    let or_empty = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
    let privacy = update.privacy;
    let cells = [
        record.member.to_string(),
        label.to_owned(),
        record.incarnation.to_string(),
        record.seq.to_string(),
        checked.id().to_string(),
        match stand {
            Stand::Linked => "yes",
            Stand::Loose => "no: not in the chain",
            Stand::Void => "no: cut",
        }
        .to_owned(),
        update.round.to_string(),
        record.clock.to_string(),
        record.claimed_time.to_string(),
        record.manifest_version.to_string(),
        format!("{:?}", update.phase).to_lowercase(),
        record.parents.len().to_string(),
        update.skipped.len().to_string(),
        update.steps.to_string(),
        update.examples.to_string(),
        or_empty(update.loss_before_micro),
        or_empty(update.loss_after_micro),
        or_empty(privacy.map(|claim| claim.sigma_milli)),
        or_empty(privacy.map(|claim| claim.epsilon_milli)),
        or_empty(privacy.map(|claim| claim.delta_log10_milli)),
        update.dataset.map(hex::encode).unwrap_or_default(),
        record.body.map(|body| body.hash.to_string()).unwrap_or_default(),
        or_empty(record.body.map(|body| body.length)),
        if here { "yes" } else { "no" }.to_owned(),
    ];
    cells.map(|cell| quoted(&cell)).join(",") + "\n"
}

/// A cell that no reader of CSV takes apart or runs as a formula.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if formula || cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

/// Those of the wanted records that are updates here, by id.
pub(crate) fn updates(
    survey: &Survey<'_>,
    path: &Path,
    wanted: &BTreeSet<RecordId>,
) -> Result<BTreeMap<RecordId, Checked>, Trouble> {
    let updates = survey.each_feed(|_, feed| {
        let records = feed.records.into_iter().map(|(_, checked)| checked);
        let updates = records.filter(|checked| checked.record().spec.kind() == Kind::Update);
        updates.filter(|checked| wanted.contains(&checked.id())).collect::<Vec<_>>()
    });
    Ok(survey::read(updates, path)?.into_iter().flatten().map(|checked| (checked.id(), checked)).collect())
}

/// An in-toto Statement a line: of each release, then of each member's newest update.
fn statements(survey: &Survey<'_>, path: &Path) -> Result<Exit, Trouble> {
    let ancestry = survey::read(Ancestry::of(survey), path)?;
    let released = ancestry.releases().into_iter().filter_map(|node| Some((Some(node), *node.parents.first()?)));
    let subjects: Vec<_> = released.chain(ancestry.newest_updates().into_iter().map(|node| (None, node.id))).collect();
    let named = subjects.iter().filter_map(|(_, id)| ancestry.node(id)).flat_map(|node| node.parents.iter().copied());
    let updates = updates(survey, path, &subjects.iter().map(|(_, id)| *id).chain(named).collect())?;
    let (mut out, mut lacking) = (String::new(), subjects.is_empty());
    for (release, id) in subjects {
        let Some((update, body)) = updates.get(&id).and_then(|update| Some((update, update.record().body?))) else {
            lacking = true;
            continue;
        };
        let bytes = survey::read(survey.blob(body), path)?;
        lacking |= bytes.is_none();
        let label = ancestry.label(&update.record().member);
        let statement = statement(release, update, label, digests(body, bytes.as_deref()), &updates);
        // Writing to a string does not fail.
        let _ = writeln!(out, "{statement}");
    }
    file::print(&out).or_io()?;
    Ok(if lacking { Exit::Incomplete } else { Exit::Passed })
}

/// The digests of a blob; without its bytes only the one that its author signed.
pub(crate) fn digests(body: Body, bytes: Option<&[u8]>) -> Value {
    match bytes {
        Some(bytes) => json!({ "blake3": body.hash.to_string(), "sha256": hex::encode(Sha256::digest(bytes)) }),
        None => json!({ "blake3": body.hash.to_string() }),
    }
}

fn statement(
    release: Option<&Node>,
    checked: &Checked,
    label: &str,
    subject: Value,
    updates: &BTreeMap<RecordId, Checked>,
) -> Value {
    let record = checked.record();
    let Spec::Update(update) = &record.spec else { return Value::Null };
    let name = release.and_then(|node| node.release.clone());
    let dependency = |id: &RecordId| {
        let uri = format!("chorale:record/{id}");
        match updates.get(id).and_then(|parent| parent.record().body) {
            Some(body) => json!({ "uri": uri, "digest": digests(body, None) }),
            None => json!({ "uri": uri }),
        }
    };
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": name.clone().unwrap_or_else(|| format!("{label}/round-{}", update.round)), "digest": subject }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "chorale:update/v1",
                "externalParameters": {
                    "network": record.network.to_string(),
                    "manifest_version": record.manifest_version,
                    "manifest_hash": record.manifest_hash.to_string(),
                    "release": name,
                    "release_record": release.map(|node| node.id.to_string()),
                    "round": update.round.0,
                },
                "internalParameters": {
                    "merge_hash": update.merge.to_string(),
                    "weights": update.weights,
                    "steps": update.steps,
                    "examples": update.examples,
                },
                "resolvedDependencies": record.parent_ids().map(|id| dependency(&id)).collect::<Vec<_>>(),
            },
            "runDetails": {
                "builder": { "id": format!("chorale:member/{}", record.member) },
                "metadata": { "invocationId": format!("chorale:record/{}", checked.id()) },
            },
        },
    })
}

/// One adapter, as Hugging Face PEFT names its tensors, in f32.
fn safetensors(survey: &Survey<'_>, args: &ExportArgs) -> Result<Exit, Trouble> {
    let (Some(of), Some(out)) = (&args.of, &args.out) else {
        let error = anyhow!("--as safetensors needs --of, what to export, and --out, the file");
        return Err(Trouble { exit: Exit::Usage, error });
    };
    let ancestry = survey::read(Ancestry::of(survey), &args.archive)?;
    let meant = lineage::meant(&ancestry, Some(of))?;
    let node = meant.first().and_then(|id| ancestry.node(id));
    let id = node.and_then(|node| match node.kind {
        Kind::Update => Some(node.id),
        Kind::Release => node.parents.first().copied(),
        Kind::Evidence | Kind::Close | Kind::Other => None,
    });
    let updates = updates(survey, &args.archive, &id.into_iter().collect())?;
    let update = id.and_then(|id| updates.get(&id)).ok_or_else(|| anyhow!("{of:?} is no update here")).or_usage()?;
    let body = update.record().body.ok_or_else(|| anyhow!("the update names no payload")).or_usage()?;
    let lacking =
        || Trouble { exit: Exit::Incomplete, error: anyhow!("payload {} is not here, or damaged", body.hash) };
    let bytes = survey::read(survey.blob(body), &args.archive)?.ok_or_else(lacking)?;
    let spec = &survey.chain().current().policy.adapter;
    let failed = |error: anyhow::Error| Trouble { exit: Exit::Failed, error };
    let layout = Layout::new(spec).map_err(|error| failed(error.into()))?;
    let codec = update.record().codec.unwrap_or(Codec::Bfp16);
    let payload = Payload::check(&layout, codec, bytes).map_err(|error| failed(error.into()))?;
    let file = written(&layout, &payload.to_f32(&layout));
    file::write(out, &file).or_io()?;
    file::print(&format!("{}  {}\n", blob_hash(&file), crate::escape::escape(&out.display().to_string()))).or_io()?;
    Ok(Exit::Passed)
}

/// The file's bytes: length of the header, the header in JSON, the values in little-endian f32.
fn written(layout: &Layout, values: &[f32]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    for slot in layout.slots() {
        let place = [slot.values.start * 4, slot.values.end * 4];
        let tensor = json!({ "dtype": "F32", "shape": slot.shape, "data_offsets": place });
        header.insert(format!("base_model.model.{}", slot.name), tensor);
    }
    let mut header = Value::Object(header).to_string();
    // The values begin at a multiple of 8.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_stays_one_cell() {
        assert_eq!(quoted("silo-1"), "silo-1");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("-x"), "\"'-x\"");
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
    }
}
