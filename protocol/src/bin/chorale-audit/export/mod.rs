//! `export`: an archive's updates for other programs.

mod csv;
mod provenance;
mod safetensors;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::anyhow;
use chorale_protocol::{
    audit::Survey,
    base::RecordId,
    code::blob_hash,
    feed::{Body, Checked, Kind},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    archive,
    args::{ExportArgs, Form},
    exit::{Exit, Trouble},
    key, survey,
};

pub(crate) fn export(args: &ExportArgs) -> Result<Exit, Trouble> {
    use crate::exit::OrExit;
    if args.sign.is_some() && args.form != Form::InToto {
        return Err(anyhow!("--sign is for --as in-toto")).or_usage();
    }
    let key = args.sign.as_deref().map(key::read).transpose().or_io()?;
    let network = args.pin.network()?;
    let archive = archive::open(&args.archive)?;
    let survey = survey::open(&*archive, &args.archive, network)?;
    match args.form {
        Form::Csv => csv::export(&survey, &args.archive),
        Form::InToto => provenance::export(&survey, &args.archive, key.as_ref()),
        Form::Safetensors => safetensors::export(&survey, args),
    }
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

/// The digests of a blob; without its bytes only the one that its author signed.
pub(crate) fn digests(body: Body, bytes: Option<&[u8]>) -> Value {
    match bytes {
        Some(bytes) => json!({ "blake3": body.hash.to_string(), "sha256": hex::encode(Sha256::digest(bytes)) }),
        None => json!({ "blake3": body.hash.to_string() }),
    }
}

/// The digests of bytes.
pub(crate) fn digests_of(bytes: &[u8]) -> Value {
    json!({ "blake3": blob_hash(bytes).to_string(), "sha256": hex::encode(Sha256::digest(bytes)) })
}

/// A manifest version as something that in-toto names.
pub(crate) fn manifest(survey: &Survey<'_>, version: u64) -> Value {
    let uri = format!("chorale:network/{}/manifest/{version}", survey.chain().network());
    match survey.chain().signed_at(version) {
        Some(bytes) => json!({ "uri": uri, "digest": digests_of(bytes) }),
        None => json!({ "uri": uri }),
    }
}

/// What an update gives: its payload, and the file that is deployed, by name; without digests of what is not here.
pub(crate) fn subjects(
    survey: &Survey<'_>,
    path: &Path,
    name: &str,
    update: &Checked,
) -> Result<(Vec<Value>, bool), Trouble> {
    let Some(body) = update.record().body else { return Ok((Vec::new(), false)) };
    let bytes = survey::read(survey.blob(body), path)?;
    let mut all = vec![json!({ "name": name, "digest": digests(body, bytes.as_deref()) })];
    let file = safetensors::adapter(survey, update, path)?;
    let whole = file.is_some();
    all.extend(file.map(|file| json!({ "name": format!("{name}.safetensors"), "digest": digests_of(&file) })));
    Ok((all, whole))
}
