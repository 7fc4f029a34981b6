//! One log as two archives show it: heads that contradict each other.

use std::{collections::BTreeSet, io};

use super::{LogBook, Survey, finding::Notes};
use crate::{base::MemberId, log::TreeHash};

/// A member signed two roots for one size of its log, one for each archive's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSplit {
    /// Whose log.
    pub member: MemberId,
    /// Its label.
    pub label: String,
    /// Leaves.
    pub size: u64,
    /// The root in the first archive, and the file of the note or tree that says so.
    pub a: (TreeHash, String),
    /// The root in the second.
    pub b: (TreeHash, String),
}

impl LogSplit {
    /// The first contradiction in each log that both archives show.
    pub(super) fn of(a: &Survey<'_>, b: &Survey<'_>, notes: &mut Notes) -> io::Result<Vec<Self>> {
        let mut splits = Vec::new();
        let members: BTreeSet<MemberId> = a.logs().intersection(&b.logs()).copied().collect();
        for member in members {
            let (of_a, of_b) = (a.log(member, notes)?, b.log(member, notes)?);
            let found = heads(&of_a)
                .into_iter()
                .filter_map(|(size, a)| Some((size, a, root(&of_b, size)?)))
                .chain(heads(&of_b).into_iter().filter_map(|(size, b)| Some((size, root(&of_a, size)?, b))));
            let first = found.filter(|(_, a, b)| a.0 != b.0).min_by_key(|(size, ..)| *size);
            let label = a.label(&member);
            splits.extend(first.map(|(size, a, b)| Self { member, label, size, a, b }));
        }
        Ok(splits)
    }
}

/// Size, root and file of every note.
fn heads(book: &LogBook) -> Vec<(u64, (TreeHash, String))> {
    let head = |note: &super::LogNote| {
        let checkpoint = &note.verified.checkpoint;
        (checkpoint.size, (checkpoint.root, note.file.clone()))
    };
    book.all().map(head).collect()
}

/// The root of a size, by the tree of the newest checkpoint or by a note.
fn root(book: &LogBook, size: u64) -> Option<(TreeHash, String)> {
    let by_tree = book.tree.as_ref().and_then(|tree| tree.root(size).ok()).zip(book.checkpoint.as_ref());
    let by_note = || heads(book).into_iter().find(|(of, _)| *of == size).map(|(_, root)| root);
    by_tree.map(|(root, note)| (root, note.file.clone())).or_else(by_note)
}
