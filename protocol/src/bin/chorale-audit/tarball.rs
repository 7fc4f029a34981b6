//! An archive in a tar. Nothing is unpacked: the places of the files are noted, and read from there. What lies between
//! them must be as a tar writer leaves it, so that no byte of the tar goes unseen.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use chorale_protocol::audit::Archive;
use tar::EntryType;

use super::spare::{LARGE, PIECE, Spare, look_along};

/// Entries of a tar that is read.
const ENTRIES: usize = 4_000_000;
/// Bytes of an extension that is read.
const EXTENSION: u64 = 1 << 16;
/// Headers and contents begin at multiples of this.
const BLOCK: u64 = 512;

pub(crate) struct Tarball<R = File> {
    file: Mutex<R>,
    spare: Spare,
    places: BTreeMap<String, (u64, u64)>,
    /// All of it, if it is mapped.
    whole: Option<Bytes>,
}

impl Tarball {
    /// Opens a file.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Self::of(file, length)
    }

    /// Takes large files from `map`, all of the tar.
    pub(crate) fn mapped(self, map: Bytes) -> Self {
        Self { whole: Some(map), ..self }
    }
}

impl<R: Read + Seek> Tarball<R> {
    /// Notes where everything is in so many bytes.
    pub(crate) fn of(mut file: R, length: u64) -> io::Result<Self> {
        let places = places(&mut BufReader::new(&mut file), length)?;
        Ok(Self { file: Mutex::new(file), spare: Spare::default(), places, whole: None })
    }
}

fn places(reader: &mut (impl Read + Seek), length: u64) -> io::Result<BTreeMap<String, (u64, u64)>> {
    let mut places = BTreeMap::new();
    let mut gaps = Vec::new();
    let (mut end, mut number) = (0, 0);
    // Raw: an extension is an entry like any other, so that none takes effect or memory before it was looked at.
    for entry in tar::Archive::new(&mut *reader).entries_with_seek()?.raw(true) {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let start = entry.raw_file_position();
        if !is_whole(entry.header().as_bytes()) {
            return Err(io::Error::other(format!("the header before byte {start} is damaged")));
        }
        let filled = start.saturating_add(entry.size());
        end = filled.checked_next_multiple_of(BLOCK).unwrap_or(length);
        if is_extension(&mut entry)? {
            gaps.push(filled..end.min(length));
            continue;
        }
        number += 1;
        if places.len() >= ENTRIES {
            return Err(io::Error::other(format!("more than {ENTRIES} entries")));
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = path.strip_prefix("./").unwrap_or(&path);
        if kind == EntryType::Directory || name.is_empty() {
            // No file: nothing may lie here.
            gaps.push(start..end.min(length));
            continue;
        }
        gaps.push(filled..end.min(length));
        if kind == EntryType::Regular && filled > length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the tar ends inside {name}")));
        }
        // What is no plain file gets a name that is not of the layout: reported, and never read.
        let name = match kind {
            EntryType::Regular => name.to_owned(),
            EntryType::Symlink | EntryType::Link => format!("{name} (a link)"),
            _ => format!("{name} (no plain file)"),
        };
        if places.insert(name.clone(), (start, entry.size())).is_some() {
            // Other programs take the last one: what is audited here would not be what they unpack.
            return Err(io::Error::other(format!(
                "two entries are called {name}, and programs differ in which one they take; get the archive anew"
            )));
        }
    }
    // Without the mark of its end a tar may have been cut short between two files.
    if number > 0 && length < end.saturating_add(BLOCK) {
        let text = "the tar does not end as one does: it was cut short behind a file; get it again";
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
    }
    gaps.push(end..length);
    gaps.into_iter().try_for_each(|gap| is_zero(reader, gap))?;
    Ok(places)
}

/// Whether an entry only gives times and the like for the next one. One that gives it a name or a size is refused: names of the
/// layout and files of an archive fit a plain header, and programs differ in what they make of such entries.
fn is_extension(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<bool> {
    match entry.header().entry_type() {
        EntryType::XHeader if entry.size() <= EXTENSION => {
            let mut text = Vec::new();
            entry.read_to_end(&mut text)?;
            let names =
                |key: &[u8]| text.windows(key.len()).any(|part| part[0].is_ascii_digit() && part[1..] == key[1..]);
            if ![&b"0 path="[..], b"0 linkpath=", b"0 size="].into_iter().any(names) {
                return Ok(true);
            }
        }
        EntryType::XHeader | EntryType::GNULongName | EntryType::GNULongLink | EntryType::GNUSparse => {}
        _ => return Ok(false),
    }
    let before = entry.raw_file_position();
    Err(io::Error::other(format!(
        "the header before byte {before} is of an extension; write the tar with plain headers"
    )))
}

/// Whether checksum and size are written as tar writers do: the `tar` crate, which checked the sum, overlooks the rest.
fn is_whole(header: &[u8; 512]) -> bool {
    let mut size = header[124..136].iter().take_while(|byte| **byte != 0);
    if !size.all(|byte| matches!(byte, b'0'..=b'7' | b' ')) {
        return false;
    }
    match &header[148..156] {
        [digits @ .., 0, b' '] | [digits @ .., 0] => digits.iter().all(|digit| (b'0'..=b'7').contains(digit)),
        _ => false,
    }
}

/// Reads what lies between two files, or after the last.
fn is_zero(reader: &mut (impl Read + Seek), gap: Range<u64>) -> io::Result<()> {
    if gap.is_empty() {
        return Ok(());
    }
    reader.seek(SeekFrom::Start(gap.start))?;
    let (mut left, mut bytes) = (gap.end - gap.start, [0; 8192]);
    while left > 0 {
        let some = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        reader.read_exact(&mut bytes[..some])?;
        if bytes[..some].iter().any(|byte| *byte != 0) {
            let text = format!("bytes {} to {} of the tar belong to no file and are not zero", gap.start, gap.end);
            return Err(io::Error::other(text));
        }
        left -= some as u64;
    }
    Ok(())
}

impl<R: Read + Seek + Send> Archive for Tarball<R> {
    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        Ok(self.places.iter().map(|(name, (_, length))| (name.clone(), *length)).collect())
    }

    fn read(&self, name: &str, limit: u64) -> io::Result<Bytes> {
        self.read_along(name, limit, &mut |_| {})
    }

    fn read_along(&self, name: &str, limit: u64, look: &mut dyn FnMut(&[u8])) -> io::Result<Bytes> {
        let (start, length) = self.place(name)?;
        if length > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, name.to_owned()));
        }
        if let Some(whole) = self.whole.as_ref().filter(|_| length >= LARGE as u64) {
            let end = start.checked_add(length).filter(|end| *end <= whole.len() as u64);
            let ends = [Some(start), end].map(|at| at.and_then(|at| usize::try_from(at).ok()));
            let [Some(start), Some(end)] = ends else {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, name.to_owned()));
            };
            let bytes = whole.slice(start..end);
            look_along(&bytes, look);
            return Ok(bytes);
        }
        let mut bytes = self.spare.take(usize::try_from(length).map_err(io::Error::other)?);
        loop {
            let (at, left) = (start + bytes.len() as u64, length.saturating_sub(bytes.len() as u64));
            self.append(name, at, left.min(PIECE), &mut bytes)?;
            // The file is not held meanwhile.
            look(&bytes);
            if bytes.len() as u64 >= length {
                return Ok(self.spare.lend(bytes));
            }
        }
    }

    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Bytes> {
        let (start, whole) = self.place(name)?;
        if offset.checked_add(length as u64).is_none_or(|end| end > whole) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, name.to_owned()));
        }
        let mut bytes = self.spare.take(length);
        self.append(name, start + offset, length as u64, &mut bytes)?;
        Ok(self.spare.lend(bytes))
    }
}

impl<R: Read + Seek> Tarball<R> {
    /// Appends `length` bytes of the tar from byte `at` on.
    fn append(&self, name: &str, at: u64, length: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        let got = (&mut *file).take(length).read_to_end(bytes)? as u64;
        if got < length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{name} changed while it was read")));
        }
        Ok(())
    }
}

impl<R> Tarball<R> {
    /// Where a file begins, and its length.
    fn place(&self, name: &str) -> io::Result<(u64, u64)> {
        self.places.get(name).copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn every_changed_byte_outside_the_files_is_seen() {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in [("genesis", &b"some bytes"[..]), ("feeds/one", &[7; 512]), ("blobs/ab", &[1; 700])] {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            builder.append_data(&mut header, name, content).unwrap();
        }
        let tar = builder.into_inner().unwrap();
        let of = |tar: &[u8]| places(&mut Cursor::new(tar), tar.len() as u64);
        let honest = of(&tar).unwrap();
        assert_eq!(honest.len(), 3);
        for at in 0..tar.len() {
            if honest.values().any(|(start, length)| (*start..start + length).contains(&(at as u64))) {
                continue;
            }
            for flip in [1, 0x10, 0x20, 0x80, 0xff] {
                let mut changed = tar.clone();
                changed[at] ^= flip;
                assert!(of(&changed).is_err(), "byte {at} ^ {flip:#x} goes unseen");
            }
        }
    }

    #[test]
    fn nothing_hides_in_a_folder_and_no_extension_takes_effect() {
        let tar = |kind: EntryType, content: &[u8]| {
            let mut builder = tar::Builder::new(Vec::new());
            for (name, kind, content) in [("extra", kind, content), ("genesis", EntryType::Regular, b"some bytes")] {
                let mut header = tar::Header::new_ustar();
                header.set_entry_type(kind);
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, name, content).unwrap();
            }
            builder.into_inner().unwrap()
        };
        let of = |tar: Vec<u8>| places(&mut Cursor::new(&tar), tar.len() as u64);
        assert_eq!(of(tar(EntryType::Directory, b"")).unwrap().len(), 1);
        assert!(of(tar(EntryType::Directory, b"unseen")).is_err());
        let times = of(tar(EntryType::XHeader, b"20 mtime=1700000000\n")).unwrap();
        assert_eq!(times.keys().collect::<Vec<_>>(), ["genesis"]);
        assert_eq!(of(tar(EntryType::XGlobalHeader, b"13 comment=x\n")).unwrap().len(), 2, "it is reported");
        for (kind, content) in [
            (EntryType::XHeader, &b"16 path=blobs/a\n"[..]),
            (EntryType::XHeader, b"10 size=4\n"),
            (EntryType::XHeader, &[b'x'; (1 << 16) + 1]),
            (EntryType::GNULongName, b"blobs/a\0"),
            (EntryType::GNULongLink, b"blobs/a\0"),
            (EntryType::GNUSparse, b""),
        ] {
            let error = of(tar(kind, content)).unwrap_err();
            assert!(error.to_string().contains("extension"), "{kind:?}: {error}");
        }
    }

    #[test]
    fn a_tar_with_two_entries_of_one_name_is_not_read() {
        let tar = |names: &[&str]| {
            let mut builder = tar::Builder::new(Vec::new());
            for name in names {
                let mut header = tar::Header::new_ustar();
                header.set_size(0);
                builder.append_data(&mut header, name, &[][..]).unwrap();
            }
            builder.into_inner().unwrap()
        };
        let of = |tar: Vec<u8>| places(&mut Cursor::new(&tar), tar.len() as u64);
        for (names, name) in
            [(&["genesis", "blobs/ab", "genesis"][..], "genesis"), (&["./genesis", "genesis"], "genesis")]
        {
            let error = of(tar(names)).unwrap_err();
            assert!(error.to_string().contains(&format!("two entries are called {name}")), "{names:?}: {error}");
        }
        assert_eq!(of(tar(&["genesis", "blobs/ab"])).unwrap().len(), 2);
    }
}
