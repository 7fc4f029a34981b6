//! The command line of `digest` and `export`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::pin::Pin;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The digest is Go's dirhash.Hash1, which in-toto calls dirHash: in the archive's folder, `find * -type f | LC_ALL=C sort | \
xargs sha256sum | sha256sum` gives the same in hexadecimal digits. Every byte is read; nothing is verified. Exit codes: 0 shown; 2 \
usage; 3 there is no file of the layout; 4 it cannot be read."
)]
pub(crate) struct DigestArgs {
    /// A folder or a tar of one.
    pub(crate) archive: PathBuf,
    /// The lines that are hashed: SHA-256 and name of each file, as `sha256sum` prints them.
    #[arg(long)]
    pub(crate) list: bool,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Signatures and links are checked, rules and merges are not. Exit codes: 0 written; 1 it does not verify; 2 usage; 3 \
written, but a payload is missing, or there was nothing to write; 4 a file cannot be read or written."
)]
pub(crate) struct ExportArgs {
    /// A folder or a tar of one.
    pub(crate) archive: PathBuf,
    #[command(flatten)]
    pub(crate) pin: Pin,
    /// In which form.
    #[arg(long = "as", value_enum)]
    pub(crate) form: Form,
    /// For safetensors, which adapter: the beginning of a record's id, a release's label, or a member's label or id for its newest
    /// update.
    #[arg(long, value_name = "RECORD|RELEASE|MEMBER")]
    pub(crate) of: Option<String>,
    /// For safetensors, the file to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// For in-toto, sign each Statement with this key: a DSSE envelope a line.
    #[arg(long, value_name = "KEYFILE")]
    pub(crate) sign: Option<PathBuf>,
}

/// In which form to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A line for each update.
    Csv,
    /// An in-toto Statement a line: of each release, then of each member's newest update.
    InToto,
    /// One adapter in f32, its tensors named as Hugging Face PEFT does.
    Safetensors,
}
