//! What is wrong with a configuration, where it stands, and what was wanted.

use std::{fmt, io};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The file.
    File(String),
    /// An environment variable.
    Env(String),
    /// A command-line flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => f.write_str(path),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /** which file */
        path: String,
        /** what happened */
        source: io::Error,
    },
    /// The file is not TOML of the known keys and types.
    #[error("{path}:\n{why}")]
    Toml {
        /** which file */
        path: String,
        /** line, column, key and what was wanted */
        why: String,
    },
    /// A variable or flag sets an unknown key, or a value of another type.
    #[error("{from}: {key} = {got}: {why}")]
    Layer {
        /** where it stands */
        from: Source,
        /** section.key */
        key: String,
        /** what came */
        got: String,
        /** what was wanted */
        why: String,
    },
    /// A value of the right type that cannot be meant.
    #[error("{from}: {key}: got {got}, wanted {want}")]
    Value {
        /** where it stands */
        from: Source,
        /** section.key */
        key: &'static str,
        /** what came */
        got: String,
        /** what was wanted */
        want: &'static str,
    },
}
