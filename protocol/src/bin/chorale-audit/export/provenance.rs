//! In-toto Statements with SLSA provenance: what an adapter was made of.

use std::{collections::BTreeMap, path::Path};

use chorale_protocol::{
    audit::{Ancestry, Node, Survey},
    base::RecordId,
    code::AuthorKey,
    feed::{Checked, Spec, Update},
};
use serde_json::{Value, json};

use super::{digests, manifest, subjects, updates};
use crate::{
    dsse,
    exit::{Exit, OrExit, Trouble},
    file, survey,
};

const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// A line of each release, then of each member's newest update.
pub(super) fn export(survey: &Survey<'_>, path: &Path, key: Option<&AuthorKey>) -> Result<Exit, Trouble> {
    let ancestry = survey::read(Ancestry::of(survey), path)?;
    let released = ancestry.releases().into_iter().filter_map(|node| Some((Some(node), *node.parents.first()?)));
    let meant: Vec<_> = released.chain(ancestry.newest_updates().into_iter().map(|node| (None, node.id))).collect();
    let named = meant.iter().filter_map(|(_, id)| ancestry.node(id)).flat_map(|node| node.parents.iter().copied());
    let updates = updates(survey, path, &meant.iter().map(|(_, id)| *id).chain(named).collect())?;
    let (mut out, mut lacking) = (String::new(), meant.is_empty());
    for (release, id) in meant {
        let Some(checked) = updates.get(&id) else {
            lacking = true;
            continue;
        };
        let Spec::Update(update) = &checked.record().spec else { continue };
        let made = Made { survey, path, ancestry: &ancestry, updates: &updates, release, checked, update };
        let (statement, whole) = made.statement()?;
        lacking |= !whole;
        out += &key.map_or_else(|| format!("{statement}\n"), |key| dsse::seal(&statement, key));
    }
    file::print(&out).or_io()?;
    Ok(if lacking { Exit::Incomplete } else { Exit::Passed })
}

/// An update, and what a Statement about it is made from.
struct Made<'a> {
    survey: &'a Survey<'a>,
    path: &'a Path,
    ancestry: &'a Ancestry,
    updates: &'a BTreeMap<RecordId, Checked>,
    release: Option<&'a Node>,
    checked: &'a Checked,
    update: &'a Update,
}

impl Made<'_> {
    /// The Statement, and whether all its subjects have SHA-256 digests.
    fn statement(&self) -> Result<(Value, bool), Trouble> {
        let (record, update) = (self.checked.record(), self.update);
        let label = self.release.and_then(|node| node.release.clone());
        let name = label.clone().unwrap_or_else(|| self.name(self.checked, update));
        let (subject, whole) = subjects(self.survey, self.path, &name, self.checked)?;
        let statement = json!({
            "_type": dsse::STATEMENT,
            "subject": subject,
            "predicateType": PROVENANCE,
            "predicate": {
                "buildDefinition": {
                    "buildType": "chorale:update/v1",
                    "externalParameters": {
                        "network": record.network.to_string(),
                        "manifestVersion": record.manifest_version,
                        "manifestHash": record.manifest_hash.to_string(),
                        "release": label,
                        "releaseRecord": self.release.map(|node| node.id.to_string()),
                        "round": update.round.0,
                    },
                    "internalParameters": {
                        "mergeHash": update.merge.to_string(),
                        "weights": update.weights,
                        "steps": update.steps,
                        "examples": update.examples,
                    },
                    "resolvedDependencies": self.dependencies()?,
                },
                "runDetails": {
                    "builder": { "id": format!("chorale:member/{}", record.member) },
                    "metadata": { "invocationId": format!("chorale:record/{}", self.checked.id()) },
                },
            },
        });
        Ok((statement, whole))
    }

    fn name(&self, checked: &Checked, update: &Update) -> String {
        format!("{}/round-{}", self.ancestry.label(&checked.record().member), update.round)
    }

    /// The base model, the manifest, and the payloads that were merged.
    fn dependencies(&self) -> Result<Vec<Value>, Trouble> {
        let record = self.checked.record();
        let model = hex::encode(self.survey.chain().current().policy.base_model);
        // The hash of several files together, as docs/PROTOCOL.md §1.2 has it: no digest of one file.
        let model = json!({ "uri": format!("chorale:base-model/{model}"), "digest": { "choraleBaseModel": model } });
        let mut all = vec![model, manifest(self.survey, record.manifest_version)];
        for id in record.parent_ids() {
            let Some((parent, body)) = self.updates.get(&id).and_then(|one| Some((one, one.record().body?))) else {
                all.push(json!({ "uri": format!("chorale:record/{id}") }));
                continue;
            };
            let bytes = survey::read(self.survey.blob(body), self.path)?;
            let Spec::Update(update) = &parent.record().spec else { continue };
            all.push(json!({
                "name": self.name(parent, update),
                "uri": format!("chorale:blob/{}", body.hash),
                "digest": digests(body, bytes.as_deref()),
                "annotations": { "chorale:record": id.to_string() },
            }));
        }
        Ok(all)
    }
}
