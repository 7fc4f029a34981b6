//! A member's home folder: where everything of one node lies.

use std::{
    fs::DirBuilder,
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::keys;

/// The paths of one home folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

/// Why a home folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The folder holds no configuration.
    #[error("{path} is no home folder: it has no chorale.toml; make one with: chorale init --home {path}")]
    NotAHome {
        /** what came */
        path: String,
    },
    /// The folder is a home already.
    #[error("{path} exists; nothing is overwritten: choose another --home, or move it away")]
    Taken {
        /** the file or folder in the way */
        path: String,
    },
    /// The disk.
    #[error("{path}: {source}")]
    Io {
        /** which file */
        path: String,
        /** what happened */
        source: io::Error,
    },
    /// A key file.
    #[error(transparent)]
    Key(#[from] keys::KeyError),
}

impl Home {
    /// The home at `root`, which must hold a configuration.
    ///
    /// # Errors
    /// [`HomeError::NotAHome`].
    pub fn open(root: &Path) -> Result<Self, HomeError> {
        let home = Self { root: root.to_path_buf() };
        if home.config().is_file() { Ok(home) } else { Err(HomeError::NotAHome { path: root.display().to_string() }) }
    }

    /// Makes a home with fresh keys and this configuration text. `root` must not exist, or be an empty folder.
    ///
    /// # Errors
    /// [`HomeError::Taken`], or the disk.
    pub fn create(root: &Path, config: &str) -> Result<Self, HomeError> {
        let home = Self { root: root.to_path_buf() };
        let wrap = |path: &Path| {
            let path = path.display().to_string();
            move |source| HomeError::Io { path, source }
        };
        match std::fs::read_dir(root) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(HomeError::Taken { path: root.display().to_string() });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(HomeError::Io { path: root.display().to_string(), source }),
        }
        for folder in [home.root.clone(), home.root.join("keys"), home.inbox()] {
            // What lies here tells about the data (optimiser moments, logs): for this user only.
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(wrap(&folder))?;
        }
        keys::create(&home.author_key())?;
        keys::create(&home.next_key())?;
        keys::create(&home.transport_key())?;
        std::fs::write(home.config(), config).map_err(wrap(&home.config()))?;
        Ok(home)
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `chorale.toml`.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join("chorale.toml")
    }

    /// The seed of the key that signs records.
    #[must_use]
    pub fn author_key(&self) -> PathBuf {
        self.root.join("keys/author.key")
    }

    /// The seed of the libp2p identity.
    #[must_use]
    pub fn transport_key(&self) -> PathBuf {
        self.root.join("keys/transport.key")
    }

    /// The network's signed genesis.
    #[must_use]
    pub fn genesis(&self) -> PathBuf {
        self.root.join("genesis")
    }

    /// A later version of the network's manifest.
    #[must_use]
    pub fn manifest(&self, version: u64) -> PathBuf {
        self.root.join("manifests").join(format!("{version:06}"))
    }

    /// A version that the node stored, for programs that run beside it.
    #[must_use]
    pub fn stored_manifest(&self, version: u64) -> PathBuf {
        self.root.join("store/manifests").join(format!("{version:06}"))
    }

    /// Where orders for the running (or next) node are dropped.
    #[must_use]
    pub fn inbox(&self) -> PathBuf {
        self.root.join("inbox")
    }

    /// What the running node says about itself.
    #[must_use]
    pub fn status(&self) -> PathBuf {
        self.root.join("status.json")
    }

    /// The addresses that the running node listens on, one a line.
    #[must_use]
    pub fn addresses(&self) -> PathBuf {
        self.root.join("addresses")
    }

    /// The node's log, JSON lines.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("log.jsonl")
    }
}
