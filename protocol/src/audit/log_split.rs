//! Logs as two archives show them: heads that only one has, and heads that contradict each other.

use std::{collections::BTreeSet, io};

use super::{LogBook, LogNote, Sides, Survey, finding::Notes};
use crate::{
    base::{BlobHash, MemberId},
    code::blob_hash,
    log::{Keyring, TreeHash},
};

/// A member signed two roots for one size of its log, one for each archive's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSplit {
    /// Whose log.
    pub member: MemberId,
    /// Its label.
    pub label: String,
    /// Leaves.
    pub size: u64,
    /// The root in the first archive, and the file of the note that shows it, by itself or with the tiles.
    pub a: (TreeHash, String),
    /// The root in the second.
    pub b: (TreeHash, String),
}

/// A head by its log, its leaves, and the hash of its note.
pub type LogHead = (MemberId, u64, BlobHash);

/// The heads that only one archive has, and the first contradiction in each log that both show.
pub(super) fn compare(
    a: &Survey<'_>,
    b: &Survey<'_>,
    notes: &mut Notes,
) -> io::Result<(Sides<LogHead>, Vec<LogSplit>)> {
    let (mut only_a, mut only_b, mut splits) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    // The longer chain knows more handovers: what an earlier key signed beyond one is not the owner's, in either archive.
    let newest = |survey: &Survey<'_>| survey.chain().current().version;
    let keyring = Keyring::new(if newest(a) < newest(b) { b.chain() } else { a.chain() });
    let members: BTreeSet<MemberId> = a.logs().union(&b.logs()).copied().collect();
    for member in members {
        let (of_a, of_b) = (a.log(member, &keyring, notes)?, b.log(member, &keyring, notes)?);
        only_a.extend(of_a.all().map(|note| head(member, note)));
        only_b.extend(of_b.all().map(|note| head(member, note)));
        let found = roots(&of_a)
            .into_iter()
            .filter_map(|(size, a)| Some((size, a, root(&of_b, size)?)))
            .chain(roots(&of_b).into_iter().filter_map(|(size, b)| Some((size, root(&of_a, size)?, b))));
        let first = found.filter(|(_, a, b)| a.0 != b.0).min_by_key(|(size, ..)| *size);
        let label = [a, b].into_iter().map(|survey| survey.label(&member)).find(|label| !label.is_empty());
        let label = label.unwrap_or_default();
        splits.extend(first.map(|(size, a, b)| LogSplit { member, label, size, a, b }));
    }
    Ok((Sides::of(&only_a, &only_b), splits))
}

fn head(member: MemberId, note: &LogNote) -> LogHead {
    (member, note.verified.checkpoint.size, blob_hash(&note.bytes))
}

/// Size, root and file of every note.
fn roots(book: &LogBook) -> Vec<(u64, (TreeHash, String))> {
    let one = |note: &LogNote| {
        let checkpoint = &note.verified.checkpoint;
        (checkpoint.size, (checkpoint.root, note.file.clone()))
    };
    book.all().map(one).collect()
}

/// The root of a size, by the tree of the newest checkpoint or by a note.
fn root(book: &LogBook, size: u64) -> Option<(TreeHash, String)> {
    let by_tree = book.tree.as_ref().and_then(|tree| tree.root(size).ok()).zip(book.checkpoint.as_ref());
    let by_note = || roots(book).into_iter().find(|(of, _)| *of == size).map(|(_, root)| root);
    by_tree.map(|(root, note)| (root, note.file.clone())).or_else(by_note)
}
