//! One adapter as Hugging Face PEFT names its tensors, in f32.

use std::path::Path;

use anyhow::anyhow;
use chorale_protocol::{
    adapter::{Layout, Payload},
    audit::{Ancestry, Survey},
    base::RecordId,
    code::blob_hash,
    feed::{Checked, Kind},
    manifest::{Codec, Factor},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::updates;
use crate::{
    args::ExportArgs,
    escape::escape,
    exit::{Exit, OrExit, Trouble},
    file, lineage, survey, words,
};

pub(super) fn export(survey: &Survey<'_>, args: &ExportArgs) -> Result<Exit, Trouble> {
    let (Some(of), Some(out)) = (&args.of, &args.out) else {
        let error = anyhow!("--as safetensors needs --of, what to export, and --out, the file");
        return Err(Trouble { exit: Exit::Usage, error });
    };
    let ancestry = survey::read(Ancestry::of(survey), &args.archive)?;
    let id = meant(&ancestry, of)?;
    let updates = updates(survey, &args.archive, &[id].into())?;
    let update = updates.get(&id).ok_or_else(|| anyhow!("{of:?} is of an update that is not here")).or_usage()?;
    let body = update.record().body.ok_or_else(|| anyhow!("the update names no payload")).or_usage()?;
    let lacking =
        || Trouble { exit: Exit::Incomplete, error: anyhow!("payload {} is not here, or damaged", body.hash) };
    let bytes = adapter(survey, update, &args.archive)?.ok_or_else(lacking)?;
    file::write(out, &bytes).or_io()?;
    let (blake3, sha256) = (blob_hash(&bytes), hex::encode(Sha256::digest(&bytes)));
    let text =
        format!("{}\n  update  {id}\n  blake3  {blake3}\n  sha256  {sha256}\n", escape(&out.display().to_string()));
    file::print(&text).or_io()?;
    Ok(Exit::Passed)
}

/// The one update that `of` means: of a member its newest, of a release the one released.
fn meant(ancestry: &Ancestry, of: &str) -> Result<RecordId, Trouble> {
    let id = lineage::one(of, &ancestry.find_update(of))?;
    let node = ancestry.node(&id).ok_or_else(|| anyhow!("{of:?} is not here")).or_usage()?;
    match node.kind {
        Kind::Update => Ok(node.id),
        Kind::Release => node.parents.first().copied().ok_or_else(|| anyhow!("it releases nothing")).or_usage(),
        Kind::Evidence | Kind::Fault | Kind::Close | Kind::Other => {
            let kind = words::kind(node.kind);
            Err(anyhow!("{of:?} is a record of kind {kind}; there is an adapter of updates and releases only"))
                .or_usage()
        }
    }
}

/// An update's file; nothing if its payload is not here, or damaged.
pub(super) fn adapter(survey: &Survey<'_>, update: &Checked, path: &Path) -> Result<Option<Vec<u8>>, Trouble> {
    let Some(body) = update.record().body else { return Ok(None) };
    let Some(bytes) = survey::read(survey.blob(body), path)? else { return Ok(None) };
    let spec = &survey.chain().current().policy.adapter;
    let failed = |error: anyhow::Error| Trouble { exit: Exit::Failed, error };
    let layout = Layout::new(spec).map_err(|error| failed(error.into()))?;
    let codec = update.record().codec.unwrap_or(Codec::Bfp16);
    let payload = Payload::check(&layout, codec, bytes).map_err(|error| failed(error.into()))?;
    Ok(Some(written(&layout, &payload.to_f32(&layout))))
}

/// The file's bytes: length of the header, the header in JSON, the values in little-endian f32. B has PEFT's shape, [out, rank];
/// a dense tensor, which PEFT does not know, has the base model's name.
fn written(layout: &Layout, values: &[f32]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut ordered = Vec::with_capacity(values.len());
    for slot in layout.slots() {
        let values = values.get(slot.values.clone()).unwrap_or_default();
        let [rows, columns] = slot.shape;
        let (name, shape) = match slot.factor {
            Factor::A => (format!("base_model.model.{}", slot.name), [rows, columns]),
            Factor::B => (format!("base_model.model.{}", slot.name), [columns, rows]),
            Factor::Dense => (slot.name.clone(), [rows, columns]),
        };
        match slot.factor {
            Factor::B => (0..columns).for_each(|column| ordered.extend(values.iter().skip(column).step_by(columns))),
            Factor::A | Factor::Dense => ordered.extend_from_slice(values),
        }
        let place = [slot.values.start * 4, slot.values.end * 4];
        header.insert(name, json!({ "dtype": "F32", "shape": shape, "data_offsets": place }));
    }
    let mut header = Value::Object(header).to_string();
    // The values begin at a multiple of 8.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend(ordered.iter().flat_map(|value| value.to_le_bytes()));
    file
}
