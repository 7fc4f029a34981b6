//! The auditor's own key: 32 secret bytes in a file that only its owner may read.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::Path,
};

use anyhow::{Context, anyhow, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use chorale_protocol::code::{AuthorKey, PublicKey};

use crate::{
    args::KeyCommand,
    exit::{Exit, OrExit, Trouble},
    file,
};

pub(crate) fn run(command: &KeyCommand) -> Result<Exit, Trouble> {
    let text = match command {
        KeyCommand::New { file } => format!("{}\n", make(file).or_io()?.public()),
        KeyCommand::Show { file, pem: false } => format!("{}\n", read(file).or_io()?.public()),
        KeyCommand::Show { file, pem: true } => pem(&read(file).or_io()?.public()),
    };
    file::print(&text).or_io()?;
    Ok(Exit::Passed)
}

/// What stands before the bytes of an Ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

fn pem(key: &PublicKey) -> String {
    let bytes = [&SPKI[..], &key.to_bytes()].concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(bytes))
}

fn make(path: &Path) -> anyhow::Result<AuthorKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow!("no random bytes can be had: {error}"))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let context = || format!("cannot write {}", path.display());
    let mut file = options.open(path).with_context(context)?;
    file.write_all(&seed).and_then(|()| file.sync_all()).with_context(context)?;
    Ok(AuthorKey::from_seed(&seed))
}

/// Reads a key, if nobody else may.
pub(crate) fn read(path: &Path) -> anyhow::Result<AuthorKey> {
    let context = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(context)?;
    private(&file.metadata().with_context(context)?, path)?;
    let mut seed = Vec::with_capacity(33);
    file.take(33).read_to_end(&mut seed).with_context(context)?;
    let seed =
        <[u8; 32]>::try_from(seed).map_err(|_| anyhow!("{} does not have the 32 bytes of a key", path.display()))?;
    Ok(AuthorKey::from_seed(&seed))
}

#[cfg(unix)]
fn private(metadata: &fs::Metadata, path: &Path) -> anyhow::Result<()> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    ensure!(mode & 0o077 == 0, "others may read {} (mode {mode:o}); a key's file has mode 600", path.display());
    Ok(())
}

#[cfg(not(unix))]
fn private(_: &fs::Metadata, _: &Path) -> anyhow::Result<()> {
    Ok(())
}
