//! The egress ledger: what left this home, listed before it leaves.
//!
//! `egress.jsonl` in the home, one JSON object a line: `n` (the line's number, from 0), `at_ms` (milliseconds since 1970, as the
//! machine believes), `kind` and what belongs to it, and last `link`: 64 hexadecimal digits of BLAKE3 in its key derivation mode
//! (context [`CONTEXT`]) of the link before (32 bytes, zeros at first) ‖ the line's text without its link. A line that is
//! changed, dropped or put in breaks the chain from there on.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::StoreError;

/// The file's name in the home.
pub const FILE: &str = "egress.jsonl";
const CONTEXT: &str = "chorale 2026-11 egress ledger";
/// No line is longer.
const LINE_BYTES: usize = 2048;
/// What stands between a line's text and its link.
const LINK: &str = ",\"link\":\"";
const LINK_BYTES: usize = 64;

/// Something that left, or was made to leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Left {
    /// We signed a record, and made the blobs that it names: what may leave from now on.
    Signed {
        /** its id */
        record: String,
        /** of the record */
        bytes: u64,
        /** of an update */
        #[serde(default, skip_serializing_if = "Option::is_none")]
        round: Option<u64>,
        /** the hash of its body: an adapter, or evidence */
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        /** of the body */
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body_bytes: Option<u64>,
        /** the hash of the momentum state, where one is published */
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<String>,
        /** what the record claims of its privacy */
        #[serde(default, skip_serializing_if = "Option::is_none")]
        privacy: Option<String>,
    },
    /// A record went out by gossip, to so many peers at most; ours, or another member's passed on.
    Gossip {
        /** its id */
        record: String,
        /** of the record */
        bytes: u64,
        /** connected then */
        peers: u64,
    },
    /// A record went to a peer that asked for what it lacks.
    Record {
        /** its id */
        record: String,
        /** of the record */
        bytes: u64,
        /** peer id */
        to: String,
    },
    /// A manifest version went to such a peer.
    Manifest {
        /** BLAKE3 of the signed version */
        hash: String,
        /** of the signed version */
        bytes: u64,
        /** peer id */
        to: String,
    },
    /// A checkpoint of a transparency log, or a cosignature on one, went to a peer.
    Note {
        /** BLAKE3 of all of it */
        hash: String,
        /** of all of it */
        bytes: u64,
        /** peer id */
        to: String,
    },
    /// A blob, or a part of it, went to a peer.
    Blob {
        /** its hash */
        blob: String,
        /** that were asked for */
        bytes: u64,
        /** peer id */
        to: String,
    },
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its number, from 0.
    pub n: u64,
    /// When, in milliseconds since 1970, as the machine believed.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub left: Left,
}

/// Where the next line goes.
#[derive(Debug)]
struct End {
    file: File,
    next: u64,
    link: [u8; 32],
}

/// The ledger of a home, for writing.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    end: Mutex<Option<End>>,
}

impl Ledger {
    /// The ledger of `home`; nothing is read yet.
    pub(super) fn of(home: &Path) -> Self {
        Self { path: home.join(FILE), end: Mutex::new(None) }
    }

    /// Takes up where the last process ended; a line that it did not finish goes.
    ///
    /// # Errors
    /// The disk, or the last line is none of a ledger.
    pub fn take_up(&self) -> Result<(), StoreError> {
        self.with_end(|_| Ok(()))
    }

    /// Lists what is about to leave, in one write. When this returns, the lines outlive the process.
    ///
    /// # Errors
    /// The disk, or the ledger is damaged: then nothing may leave.
    pub fn list(&self, at_ms: u64, what: impl IntoIterator<Item = Left>) -> Result<(), StoreError> {
        self.with_end(|end| {
            let (mut text, mut n, mut link) = (String::new(), end.next, end.link);
            for left in what {
                let line = serde_json::to_string(&Listed { n, at_ms, left }).map_err(io::Error::other)?;
                let line = line.strip_suffix('}').unwrap_or(&line);
                link = linked(&link, line.as_bytes());
                text.push_str(line);
                text.push_str(LINK);
                text.push_str(&hex::encode(link));
                text.push_str("\"}\n");
                n += 1;
            }
            end.file.write_all(text.as_bytes())?;
            (end.next, end.link) = (n, link);
            Ok(())
        })
    }

    /// Flushes what is listed to the disk.
    ///
    /// # Errors
    /// The disk.
    pub fn sync(&self) -> Result<(), StoreError> {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.as_ref().map_or(Ok(()), |end| end.file.sync_data()).map_err(StoreError::io(&self.path, "flush to disk"))
    }

    fn with_end(&self, work: impl FnOnce(&mut End) -> io::Result<()>) -> Result<(), StoreError> {
        let mut slot = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let mut end = match slot.take() {
            Some(end) => end,
            None => self.open()?,
        };
        // After a failed write the end is found anew, from what is on the disk.
        work(&mut end).map_err(StoreError::io(&self.path, "write"))?;
        *slot = Some(end);
        Ok(())
    }

    fn open(&self) -> Result<End, StoreError> {
        let damaged = |why: &str| StoreError::Ledger { path: self.path.clone(), why: why.to_owned() };
        let fails = |what| StoreError::io(&self.path, what);
        let file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(&self.path);
        let mut file = file.map_err(fails("open"))?;
        let length = file.metadata().map_err(fails("read"))?.len();
        let start = length.saturating_sub(2 * LINE_BYTES as u64);
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(start)).and_then(|_| file.read_to_end(&mut tail)).map_err(fails("read"))?;
        let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if start > 0 && whole == 0 {
            return Err(damaged("its last line has no end"));
        }
        if whole < tail.len() {
            file.set_len(start + whole as u64).map_err(fails("cut"))?;
        }
        let Some(lines) = tail.get(..whole.saturating_sub(1)).filter(|_| whole > 0) else {
            return Ok(End { file, next: 0, link: [0; 32] });
        };
        let last = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or(lines);
        let (listed, link) = parse(last).ok_or_else(|| damaged("its last line is none of a ledger"))?;
        Ok(End { file, next: listed.n + 1, link })
    }
}

fn linked(before: &[u8; 32], text: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new_derive_key(CONTEXT).update(before).update(text).finalize().as_bytes()
}

/// The line's text without its link, and the link.
fn split(line: &[u8]) -> Option<(&[u8], [u8; 32])> {
    let (text, link) = line.split_at_checked(line.len().checked_sub(LINK.len() + LINK_BYTES + 2)?)?;
    let link = link.strip_prefix(LINK.as_bytes())?.strip_suffix(b"\"}")?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(link, &mut bytes).ok()?;
    Some((text, bytes))
}

fn parse(line: &[u8]) -> Option<(Listed, [u8; 32])> {
    let (text, link) = split(line)?;
    let listed = serde_json::from_slice(&[text, b"}"].concat()).ok()?;
    Some((listed, link))
}

/// The lines of a ledger, first to last, each checked against the one before. A node may be writing: a last line without its
/// end is left out.
///
/// # Errors
/// The file cannot be opened.
pub fn read(home: &Path) -> Result<impl Iterator<Item = Result<Listed, StoreError>> + use<>, StoreError> {
    let path = home.join(FILE);
    let mut file = match File::open(&path) {
        Ok(file) => Some(BufReader::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(StoreError::io(&path, "open")(error)),
    };
    let (mut next, mut before) = (0, [0; 32]);
    Ok(std::iter::from_fn(move || {
        let mut line = Vec::new();
        let read = file.as_mut()?.by_ref().take(LINE_BYTES as u64).read_until(b'\n', &mut line);
        let damaged = |why: String| Err(StoreError::Ledger { path: path.clone(), why });
        let result = match read {
            Err(error) => Err(StoreError::io(&path, "read")(error)),
            Ok(_) if line.pop() != Some(b'\n') => {
                file = None;
                return (line.len() + 1 >= LINE_BYTES).then(|| damaged(format!("line {next} is too long")));
            }
            Ok(_) => match (split(&line), parse(&line)) {
                (Some((text, link)), Some((listed, _))) if listed.n == next && link == linked(&before, text) => {
                    (next, before) = (next + 1, link);
                    return Some(Ok(listed));
                }
                _ => damaged(format!("line {next} was changed, or one before it is missing")),
            },
        };
        file = None;
        Some(result)
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn blob(n: u8) -> Left {
        Left::Blob { blob: hex::encode([n; 32]), bytes: u64::from(n), to: "peer".into() }
    }

    fn all(home: &Path) -> Result<Vec<Listed>, StoreError> {
        read(home)?.collect()
    }

    #[test]
    fn lines_outlive_their_writer_and_the_chain_goes_on() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(all(home.path()).unwrap(), []);
        Ledger::of(home.path()).list(5, [blob(1), blob(2)]).unwrap();
        let second = Ledger::of(home.path());
        second.take_up().unwrap();
        second.list(6, [blob(3)]).unwrap();
        let found: Vec<_> = all(home.path()).unwrap().into_iter().map(|it| (it.n, it.at_ms, it.left)).collect();
        assert_eq!(found, [(0, 5, blob(1)), (1, 5, blob(2)), (2, 6, blob(3))]);
    }

    #[test]
    fn a_line_that_was_not_finished_goes_and_the_next_takes_its_place() {
        let home = tempfile::tempdir().unwrap();
        Ledger::of(home.path()).list(1, [blob(1), blob(2)]).unwrap();
        let path = home.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let kept = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(all(home.path()).unwrap().len(), kept, "cut at {cut}");
            Ledger::of(home.path()).list(2, [blob(3)]).unwrap();
            let lines = all(home.path()).unwrap();
            assert_eq!((lines.len(), &lines[kept].left), (kept + 1, &blob(3)), "cut at {cut}");
        }
    }

    #[test]
    fn any_byte_that_is_changed_and_any_line_that_is_dropped_is_seen() {
        let home = tempfile::tempdir().unwrap();
        Ledger::of(home.path()).list(1, (1..4).map(blob)).unwrap();
        let path = home.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        // Without its end the last line counts as unfinished.
        for at in 0..whole.len() - 1 {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(all(home.path()).is_err(), "byte {at}");
        }
        let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        for dropped in 0..2 {
            let rest: Vec<u8> = (0..3).filter(|line| *line != dropped).flat_map(|line| lines[line].to_vec()).collect();
            fs::write(&path, rest).unwrap();
            assert!(all(home.path()).is_err(), "without line {dropped}");
        }
        fs::write(&path, vec![b'x'; 3 * LINE_BYTES]).unwrap();
        assert!(all(home.path()).is_err());
        assert!(Ledger::of(home.path()).take_up().is_err(), "and nothing leaves under it");
    }
}
