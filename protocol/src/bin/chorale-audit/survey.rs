//! Archives opened to be shown, with or without a network that they must be of.

use std::path::Path;

use anyhow::Context;
use chorale_protocol::{
    audit::{Archive, Finding, Severity, Survey, SurveyError},
    base::NetworkId,
};

use crate::{
    exit::{Exit, OrExit, Trouble},
    progress, verify,
};

/// Verifies the manifest chain of an archive.
pub(crate) fn open<'a>(
    archive: &'a dyn Archive,
    path: &Path,
    network: Option<NetworkId>,
) -> Result<Survey<'a>, Trouble> {
    let bar = progress::bar();
    let survey =
        Survey::open(archive, network).map(|survey| survey.reading(verify::threads(None), progress::until_done(bar)));
    survey.map_err(|error| {
        let exit = match &error {
            SurveyError::Medium(_) => Exit::Io,
            SurveyError::Refused(findings) if failed(findings) => Exit::Failed,
            SurveyError::Refused(_) => Exit::Incomplete,
        };
        Trouble { exit, error: anyhow::Error::new(error).context(format!("cannot show {}", path.display())) }
    })
}

/// The first line of what is shown: which network it is, and on whose word.
pub(crate) fn banner(network: NetworkId, pinned: bool) -> String {
    format!("Network {network}{}\n\n", if pinned { "" } else { " (as its own genesis says; not compared)" })
}

fn failed(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Failure)
}

/// What the medium did while an archive was read.
pub(crate) fn read<T>(result: std::io::Result<T>, path: &Path) -> Result<T, Trouble> {
    result.with_context(|| format!("cannot read {}", path.display())).or_io()
}
