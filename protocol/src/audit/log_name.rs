//! The files of one member's log, within `logs/<member hex>/`.

use std::fmt;

use crate::{
    base::limit::UINT_MAX,
    log::{NOTE_BYTES, Tile},
};

/// A file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogFile {
    /// `checkpoint`: the newest note.
    Checkpoint,
    /// `notes/<size, 20 digits>`: a cosigned note over so many leaves.
    Note(u64),
    /// `tile/<level>/<index>[.p/<width>]`.
    Tile(Tile),
}

impl LogFile {
    /// The most bytes of such a file.
    pub(super) const fn limit(self) -> u64 {
        match self {
            Self::Checkpoint | Self::Note(_) => NOTE_BYTES as u64,
            Self::Tile(_) => 32 * 256,
        }
    }

    /// Reads a name; `None` if it is not written exactly as this type writes it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let file = match text.split_once('/') {
            None if text == "checkpoint" => Self::Checkpoint,
            Some(("notes", size)) => Self::Note(size.parse().ok().filter(|size| *size <= UINT_MAX)?),
            Some(("tile", _)) => Self::Tile(Tile::parse(text)?),
            _ => return None,
        };
        (file.to_string() == text).then_some(file)
    }
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::Note(size) => write!(f, "notes/{size:020}"),
            Self::Tile(tile) => f.write_str(&tile.path()),
        }
    }
}
