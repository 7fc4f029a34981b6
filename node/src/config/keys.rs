//! Key files: 32 secret bytes as one line of hexadecimal digits, mode 0600.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use chorale_protocol::code::AuthorKey;
use libp2p::identity::Keypair;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The disk.
    #[error("key {path}: {source}")]
    Io {
        /** which file */
        path: String,
        /** what happened */
        source: io::Error,
    },
    /// Others may read it.
    #[error("key {path} has mode {mode:03o}, wanted 600: others could read it; run: chmod 600 {path}")]
    Mode {
        /** which file */
        path: String,
        /** its permission bits */
        mode: u32,
    },
    /// Not a key.
    #[error("key {path} is not one line of 64 hexadecimal digits; restore it from your backup")]
    Content {
        /** which file */
        path: String,
    },
}

/// Draws a key at random and writes it; the file must not exist.
///
/// # Errors
/// The disk, or the file exists.
pub fn create(path: &Path) -> Result<(), KeyError> {
    let wrap = |source| KeyError::Io { path: path.display().to_string(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(wrap)?;
    let seed: [u8; 32] = rand::random();
    writeln!(file, "{}", hex::encode(seed)).and_then(|()| file.sync_all()).map_err(wrap)
}

/// The key that signs records.
///
/// # Errors
/// Absent, readable by others, or no key.
pub fn author(path: &Path) -> Result<AuthorKey, KeyError> {
    Ok(AuthorKey::from_seed(&seed(path)?))
}

/// The libp2p identity.
///
/// # Errors
/// Absent, readable by others, or no key.
pub fn transport(path: &Path) -> Result<Keypair, KeyError> {
    Keypair::ed25519_from_bytes(seed(path)?).map_err(|_| KeyError::Content { path: path.display().to_string() })
}

/// The salt of the member's commitments to its data: nobody without the key can try out which data they are of.
///
/// # Errors
/// Absent, readable by others, or no key.
pub fn salt(path: &Path) -> Result<[u8; 32], KeyError> {
    Ok(blake3::derive_key("chorale v1 data salt", &seed(path)?))
}

fn seed(path: &Path) -> Result<[u8; 32], KeyError> {
    let wrap = |source| KeyError::Io { path: path.display().to_string(), source };
    let file = File::open(path).map_err(wrap)?;
    let mode = file.metadata().map_err(wrap)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Mode { path: path.display().to_string(), mode });
    }
    let mut text = String::new();
    let content = || KeyError::Content { path: path.display().to_string() };
    file.take(256).read_to_string(&mut text).map_err(|_| content())?;
    let mut seed = [0; 32];
    hex::decode_to_slice(text.trim_end(), &mut seed).map_err(|_| content())?;
    Ok(seed)
}
