//! `digest`: what an archive is, byte for byte.

use std::path::Path;

use chorale_protocol::audit::{Archive, Contents};

use crate::{
    archive,
    args::DigestArgs,
    exit::{Exit, OrExit, Trouble},
    file, progress, survey, verify,
};

pub(crate) fn digest(args: &DigestArgs) -> Result<Exit, Trouble> {
    let archive = archive::open(&args.archive)?;
    let contents = of(&*archive, &args.archive, None)?;
    let text = if args.list { contents.listing() } else { format!("{}\n", contents.digest()) };
    file::print(&text).or_io()?;
    Ok(if contents.files().is_empty() { Exit::Incomplete } else { Exit::Passed })
}

/// Reads and hashes every file.
pub(crate) fn of(archive: &dyn Archive, path: &Path, threads: Option<u16>) -> Result<Contents, Trouble> {
    let bar = progress::bar();
    let contents = Contents::of(archive, verify::threads(threads), &progress::seen(&bar));
    bar.finish_and_clear();
    survey::read(contents, path)
}
