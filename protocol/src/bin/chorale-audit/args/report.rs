//! The command line of `report` and `key`.

use std::path::PathBuf;

use clap::Subcommand;

use super::Checks;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Does what `verify` does and writes the result as one self-contained HTML file. Exit codes are those of `verify`.",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct ReportArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ReportCommand>,
    #[command(flatten)]
    pub(crate) checks: Option<Checks>,
    /// The HTML file to write.
    #[arg(long, value_name = "FILE.html", required = true)]
    pub(crate) out: Option<PathBuf>,
    /// Sign what it came to with this key, as a SLSA verification summary in a DSSE envelope, into FILE.html.dsse.json. Needs --time.
    #[arg(long, value_name = "KEYFILE", requires = "time")]
    pub(crate) sign: Option<PathBuf>,
    /// When the check was made, as it shall stand in report and summary, such as 2026-01-31T12:00:00Z (`date -u +%FT%TZ` prints it). No
    /// clock is read, so that the same archive gives the same bytes.
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// Checks a signed summary.
    Verify(ReportVerify),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 the signature verifies and the summary says PASSED; 1 it does not verify, says FAILED, or is of \
another archive or artifact; 2 usage; 3 the summary says that the audit was incomplete; 4 a file cannot be read."
)]
pub(crate) struct ReportVerify {
    /// The envelope that `report --sign` wrote.
    pub(crate) file: PathBuf,
    /// The auditor's public key, as `key show` prints it, from someone you trust.
    #[arg(long, value_name = "HEX")]
    pub(crate) key: String,
    /// The archive that it must be about, a folder or a tar of one.
    #[arg(long, value_name = "ARCHIVE")]
    pub(crate) archive: Option<PathBuf>,
    /// A file that it must be about, such as the safetensors of a release that you deploy.
    #[arg(long, value_name = "FILE")]
    pub(crate) artifact: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Makes a key: 32 random secret bytes in a new file that only its owner may read. Prints the public key.
    New {
        /// Where to keep it. Nothing there is replaced.
        file: PathBuf,
    },
    /// Prints the public key of a key file.
    Show {
        /// The key file.
        file: PathBuf,
        /// As PEM (RFC 8410), which other programs read.
        #[arg(long)]
        pem: bool,
    },
}
