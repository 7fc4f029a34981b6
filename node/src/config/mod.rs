//! What a member configures: the home folder, its keys, and `chorale.toml` as typed and as meant.

mod check;
mod error;
mod home;
pub mod keys;
mod layers;
mod raw;
mod rotation;
mod template;

use std::{path::Path, time::Duration};

pub use check::label_is_fine;
pub use error::{ConfigError, Source};
pub use home::{Home, HomeError};
use libp2p::Multiaddr;
pub use template::{set_in, template};

use crate::train::Options;

/// A configuration in which every value is there and in range.
#[derive(Debug, Clone)]
pub struct Config {
    /// What people call this member.
    pub label: String,
    /// Who trains.
    pub trainer: TrainerKind,
    /// How it trains. What the network's policy decides (rank, alpha, targets, seed) still has its default, and a cosine
    /// over 0 steps means: over the whole run.
    pub train: Options,
    /// Addresses.
    pub network: Network,
    /// Threads that merge, at least 1.
    pub merge_threads: usize,
    /// The longest wait for other members' publications in a round, in percent of the own usual work; at most 10,000.
    pub wait_percent: u64,
    /// That wait as long as nothing was observed, and how long others may catch up when this member is too far ahead.
    pub gather_max: Duration,
    /// How long to wait at the start for other members before going on alone.
    pub start_wait: Duration,
    /// How often a checkpoint of the transparency log is signed, when records came; 100 ms or more.
    pub checkpoint: Duration,
    /// Filter of the log, such as `info` or `chorale=debug`.
    pub log: String,
}

/// Where to listen and whom to dial.
#[derive(Debug, Clone)]
pub struct Network {
    /// Port 0: the system chooses.
    pub listen: Vec<Multiaddr>,
    /// Any members' addresses.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to look for members on the local network.
    pub mdns: bool,
}

/// Who trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainerKind {
    /// libtorch.
    Torch,
    /// The deterministic fake, for trying out everything else.
    Fake,
}

/// One value from the command line.
#[derive(Debug, Clone)]
pub struct Setting {
    /// `section.key`.
    pub key: String,
    /// As the environment would give it.
    pub value: String,
    /// The flag, for errors.
    pub flag: String,
}

impl Config {
    /// Reads a home's configuration: default < file < environment < flag.
    ///
    /// # Errors
    /// Says file, variable or flag, the key, what came and what was wanted.
    pub fn load(home: &Home, environment: &[(String, String)], flags: &[Setting]) -> Result<Self, ConfigError> {
        let path = home.config();
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ConfigError::Io { path: path.display().to_string(), source })?;
        Self::parse(home, &path, &text, environment, flags)
    }

    fn parse(
        home: &Home,
        path: &Path,
        text: &str,
        environment: &[(String, String)],
        flags: &[Setting],
    ) -> Result<Self, ConfigError> {
        let mut layers = layers::Layers::file(path, text)?;
        layers.environment(environment)?;
        for flag in flags {
            layers.set(&flag.key, &flag.value, Source::Flag(flag.flag.clone()))?;
        }
        let (raw, sources) = layers.finish()?;
        check::Check { home, sources: &sources }.config(raw)
    }
}

#[cfg(test)]
mod tests;
