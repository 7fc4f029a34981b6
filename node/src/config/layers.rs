//! Default < file < `CHORALE_*` environment < flag, each value with where it came from.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use toml::{Table, Value};

use super::{ConfigError, Source, raw::Raw};

/// The sections that environment variables can name: `CHORALE_TRAIN_BATCH` sets `train.batch`.
const SECTIONS: [&str; 5] = ["model", "data", "train", "network", "node"];

/// Layers laid one upon the other.
pub(super) struct Layers {
    table: Table,
    sources: BTreeMap<String, Source>,
}

impl Layers {
    /// The file alone. `text` is its content.
    pub(super) fn file(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let path = path.display().to_string();
        let wrap = |error: toml::de::Error| ConfigError::Toml { path: path.clone(), why: error.to_string() };
        // Typed first, for errors that show the line.
        toml::from_str::<Raw>(text).map_err(wrap)?;
        let table: Table = toml::from_str(text).map_err(wrap)?;
        let mut sources = BTreeMap::new();
        for (name, value) in &table {
            match value {
                Value::Table(section) => {
                    for key in section.keys() {
                        sources.insert(format!("{name}.{key}"), Source::File(path.clone()));
                    }
                }
                _ => {
                    sources.insert(name.clone(), Source::File(path.clone()));
                }
            }
        }
        Ok(Self { table, sources })
    }

    /// Lays the variables `CHORALE_<SECTION>_<KEY>` and `CHORALE_LABEL` upon it; others are not ours.
    pub(super) fn environment(&mut self, variables: &[(String, String)]) -> Result<(), ConfigError> {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix("CHORALE_") else { continue };
            let rest = rest.to_ascii_lowercase();
            let key = if rest == "label" {
                rest
            } else {
                match rest.split_once('_') {
                    Some((section, key)) if SECTIONS.contains(&section) => format!("{section}.{key}"),
                    _ => continue,
                }
            };
            self.set(&key, text, Source::Env(name.clone()))?;
        }
        Ok(())
    }

    /// Lays one value upon it. Lists are separated by commas.
    pub(super) fn set(&mut self, key: &str, text: &str, from: Source) -> Result<(), ConfigError> {
        let fail = |why: String| ConfigError::Layer { from: from.clone(), key: key.into(), got: text.into(), why };
        let mut why = String::new();
        for value in readings(text) {
            let mut table = self.table.clone();
            place(&mut table, key, value).map_err(|why| fail(why.into()))?;
            match Raw::deserialize(Value::Table(table.clone())) {
                Ok(_) => {
                    self.table = table;
                    self.sources.insert(key.into(), from);
                    return Ok(());
                }
                Err(error) => {
                    let error = error.message().to_owned();
                    // The first reading is the most specific one, so its complaint is the one to show.
                    if why.is_empty() {
                        why = error;
                    }
                }
            }
        }
        Err(fail(why))
    }

    /// The typed values, and where each came from.
    pub(super) fn finish(self) -> Result<(Raw, BTreeMap<String, Source>), ConfigError> {
        let raw = Raw::deserialize(Value::Table(self.table))
            .map_err(|error| ConfigError::Toml { path: "configuration".into(), why: error.to_string() })?;
        Ok((raw, self.sources))
    }
}

/// What a text may mean, the most specific first.
fn readings(text: &str) -> Vec<Value> {
    let mut all = Vec::new();
    if let Ok(integer) = text.parse::<i64>() {
        all.push(Value::Integer(integer));
    } else if let Ok(float) = text.parse::<f64>() {
        all.push(Value::Float(float));
    } else if let Ok(flag) = text.parse::<bool>() {
        all.push(Value::Boolean(flag));
    }
    all.push(Value::String(text.into()));
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    all.push(Value::Array(parts.map(|part| Value::String(part.into())).collect()));
    all
}

fn place(table: &mut Table, key: &str, value: Value) -> Result<(), &'static str> {
    match key.split_once('.') {
        None => {
            table.insert(key.into(), value);
            Ok(())
        }
        Some((section, key)) => {
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            section.as_table_mut().ok_or("names no section")?.insert(key.into(), value);
            Ok(())
        }
    }
}
