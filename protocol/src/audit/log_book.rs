//! One member's log in an archive: its notes, and its tree out of the tiles.

use std::{collections::BTreeSet, io};

use bytes::Bytes;

use super::{
    Severity,
    finding::{Notes, Place},
    layout::{LogFile, Name},
    source::Source,
};
use crate::{
    base::MemberId,
    log::{Keyring, Note, NoteError, Origin, Tile, TileError, Tree, Verified, rebuild, tiles, verify},
};

/// What an archive holds of a log.
#[derive(Debug, Clone)]
pub struct LogBook {
    /// Whose log.
    pub member: MemberId,
    /// The newest checkpoint, if it verifies.
    pub checkpoint: Option<LogNote>,
    /// The kept notes that verify, by size.
    pub notes: Vec<LogNote>,
    /// The newest checkpoint's tree, if all tiles are here and give its root.
    pub tree: Option<Tree>,
}

/// A note that verifies.
#[derive(Debug, Clone)]
pub struct LogNote {
    /// The file that it lies in.
    pub file: String,
    /// All of it.
    pub bytes: Bytes,
    /// What it says, and who cosigned it.
    pub verified: Verified,
}

impl LogBook {
    /// Reads a log. What is wrong with it becomes findings, and no part of it.
    pub(super) fn read(
        source: &Source<'_>,
        keyring: &Keyring,
        member: MemberId,
        notes: &mut Notes,
    ) -> io::Result<Self> {
        let mut book = Self { member, checkpoint: None, notes: Vec::new(), tree: None };
        let (mut held, mut has_checkpoint) = (BTreeSet::new(), false);
        for file in source.log(member) {
            match file {
                LogFile::Checkpoint => {
                    has_checkpoint = true;
                    book.checkpoint = note(source, keyring, member, file, notes)?;
                }
                LogFile::Note(_) => book.notes.extend(note(source, keyring, member, file, notes)?),
                LogFile::Tile(tile) => {
                    held.insert(tile);
                }
            }
        }
        if !has_checkpoint {
            let place = place(member, LogFile::Checkpoint);
            notes.add("LOG-005", &place, "the log's newest checkpoint is not here");
        }
        book.grow(source, &held, notes)?;
        book.compare(keyring, notes);
        Ok(book)
    }

    /// All notes: the kept ones, then the newest checkpoint.
    pub fn all(&self) -> impl Iterator<Item = &LogNote> {
        self.notes.iter().chain(&self.checkpoint)
    }

    /// The notes whose root is that of the tree at their size.
    pub fn of_tree(&self) -> impl Iterator<Item = &LogNote> {
        let same = |note: &&LogNote| {
            let head = &note.verified.checkpoint;
            self.tree.as_ref().is_some_and(|tree| tree.root(head.size) == Ok(head.root))
        };
        self.all().filter(same)
    }

    /// Builds the tree out of the tiles, if there are any.
    fn grow(&mut self, source: &Source<'_>, held: &BTreeSet<Tile>, notes: &mut Notes) -> io::Result<()> {
        let Some(checkpoint) = &self.checkpoint else { return Ok(()) };
        let head = checkpoint.verified.checkpoint;
        if held.is_empty() && head.size > 0 {
            return Ok(());
        }
        let (mut wanted, mut trouble) = (BTreeSet::new(), None);
        let tree = rebuild(head.size, |tile| {
            wanted.insert(*tile);
            let file = LogFile::Tile(*tile);
            let read = source.read(Name::Log(self.member, file), file.limit(), notes);
            read.unwrap_or_else(|error| {
                trouble = Some(error);
                None
            })
        });
        if let Some(error) = trouble {
            return Err(error);
        }
        match tree {
            Ok(tree) if tree.root(head.size) == Ok(head.root) => {
                for tile in held.difference(&wanted) {
                    let place = place(self.member, LogFile::Tile(*tile));
                    let text = format!("no tile of a tree of {} leaves", head.size);
                    notes.add_as(Severity::Incomplete, "ARC-001", &place, text);
                }
                self.tree = Some(tree);
            }
            Ok(_) => {
                let place = place(self.member, LogFile::Checkpoint);
                notes.add("LOG-002", &place, format!("the tiles give another root than {}", head.root));
            }
            Err(error @ TileError::Missing(tile)) => {
                notes.add("LOG-005", &place(self.member, LogFile::Tile(tile)), error.to_string());
            }
            Err(error @ (TileError::Length { tile, .. } | TileError::Differs(tile))) => {
                notes.add("LOG-002", &place(self.member, LogFile::Tile(tile)), error.to_string());
            }
        }
        Ok(())
    }

    /// Whether the notes are heads of one log. What the present key did not sign and contradicts the others is left out: a key that
    /// was handed over may be known to others.
    fn compare(&mut self, keyring: &Keyring, notes: &mut Notes) {
        let Some(newest) = &self.checkpoint else { return };
        let (member, present) = (self.member, newest.verified.present);
        let newest = newest.verified.checkpoint;
        if let (true, Some(tree), Some((size, root))) = (present, &self.tree, keyring.start(&newest.origin))
            && let Ok(other) = tree.root(size)
            && other != root
        {
            let place = place(member, LogFile::Checkpoint);
            let text = format!(
                "the log of {member} was handed over to its key with the root {root} for {size} leaves; its tree has {other}"
            );
            notes.add("LOG-003", &place, text);
        }
        let tree = self.tree.as_ref();
        self.notes.retain(|note| {
            let head = &note.verified.checkpoint;
            let place = place(member, LogFile::Note(head.size));
            let wanted = match tree {
                Some(tree) => tree.root(head.size).ok(),
                None => (head.size == newest.size).then_some(newest.root),
            };
            if head.size > newest.size {
                let text = format!("the newest checkpoint has {} leaves, this one {}", newest.size, head.size);
                notes.add("LOG-005", &place, text);
            } else if let Some(wanted) = wanted.filter(|root| *root != head.root) {
                let (size, root, present) = (head.size, head.root, note.verified.present);
                let signed = format!("the root {root} for {size} leaves; elsewhere it is {wanted}");
                if present {
                    notes.add("LOG-003", &place, format!("member {member} signed {signed}"));
                } else {
                    notes.add("LOG-007", &place, format!("a key of {member} that was handed over signed {signed}"));
                }
                return present;
            }
            true
        });
    }
}

fn place(member: MemberId, file: LogFile) -> Place {
    Place::file(Name::Log(member, file))
}

/// A note, if it is one of this log and, where its file names a size, of that.
fn note(
    source: &Source<'_>,
    keyring: &Keyring,
    member: MemberId,
    file: LogFile,
    notes: &mut Notes,
) -> io::Result<Option<LogNote>> {
    let place = place(member, file);
    let Some(bytes) = source.read(Name::Log(member, file), file.limit(), notes)? else { return Ok(None) };
    let verified = match verify(&bytes, keyring) {
        Ok(verified) => verified,
        Err(error) => {
            let code = if error == NoteError::Part { "LOG-007" } else { "LOG-001" };
            notes.add(code, &place, format!("{}: {error}", error.code()));
            return Ok(None);
        }
    };
    let size = verified.checkpoint.size;
    if verified.member != member || matches!(file, LogFile::Note(named) if named != size) {
        let text = format!("a note of {} over {size} leaves, in a file of another name", verified.checkpoint.origin);
        notes.add("LOG-001", &place, text);
        return Ok(None);
    }
    // A note may have signatures of other kinds; an archive that nobody can check whole does not pass.
    if let Ok(parsed) = Note::parse(&bytes)
        && let Some(line) = parsed.signatures().iter().find(|line| !keyring.knows(line, &verified.checkpoint.origin))
    {
        let who = if line.name.parse::<Origin>().is_ok() { "a key that no manifest version gives" } else { "the key" };
        notes.add("LOG-006", &place, format!("a signature of {who} {}", line.name));
    }
    Ok(Some(LogNote { file: place.file.to_string(), bytes, verified }))
}

/// The files of a log in an archive, by name: the newest note, the other cosigned notes, each a note that verifies, and the tiles
/// of the newest one's tree, if the writer holds it. The same inputs give the same bytes.
#[must_use]
pub fn log_files(
    member: MemberId,
    checkpoint: &Bytes,
    size: u64,
    others: &[(u64, Bytes)],
    tree: Option<&Tree>,
) -> Vec<(String, Bytes)> {
    let name = |file| Name::Log(member, file).to_string();
    let mut files = vec![(name(LogFile::Checkpoint), checkpoint.clone())];
    files.extend(others.iter().map(|(size, note)| (name(LogFile::Note(*size)), note.clone())));
    let tiles = tree.into_iter().flat_map(|tree| {
        let bytes = |tile: Tile| tile.bytes(tree).map(|bytes| (name(LogFile::Tile(tile)), Bytes::from(bytes)));
        tiles(size.min(tree.len())).filter_map(bytes)
    });
    files.extend(tiles);
    files.sort();
    files
}
