//! An archive in a tar. Nothing is unpacked: the places of the files are noted, and read from there.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use chorale_protocol::audit::Archive;
use tar::EntryType;

/// Entries of a tar that is read.
const ENTRIES: usize = 4_000_000;

pub(crate) struct Tarball {
    file: Mutex<File>,
    places: BTreeMap<String, (u64, u64)>,
}

impl Tarball {
    /// Notes where everything is.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let places = places(BufReader::new(&mut file), length)?;
        Ok(Self { file: Mutex::new(file), places })
    }
}

fn places(reader: impl Read + Seek, length: u64) -> io::Result<BTreeMap<String, (u64, u64)>> {
    let mut places = BTreeMap::new();
    for entry in tar::Archive::new(reader).entries_with_seek()? {
        let entry = entry?;
        let kind = entry.header().entry_type();
        if places.len() >= ENTRIES {
            return Err(io::Error::other(format!("more than {ENTRIES} entries")));
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = path.strip_prefix("./").unwrap_or(&path);
        if kind == EntryType::Directory || name.is_empty() {
            continue;
        }
        let place = (entry.raw_file_position(), entry.size());
        if kind == EntryType::Regular && place.0.checked_add(place.1).is_none_or(|end| end > length) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the tar ends inside {name}")));
        }
        // What is no plain file, or comes twice, gets a name that is not of the layout: reported, and never read.
        let mut name = match kind {
            EntryType::Regular => name.to_owned(),
            EntryType::Symlink | EntryType::Link => format!("{name} (a link)"),
            _ => format!("{name} (no plain file)"),
        };
        while places.contains_key(&name) {
            name.push_str(" (again)");
        }
        places.insert(name, place);
    }
    Ok(places)
}

impl Archive for Tarball {
    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        Ok(self.places.iter().map(|(name, (_, length))| (name.clone(), *length)).collect())
    }

    fn read(&self, name: &str, limit: u64) -> io::Result<Bytes> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, name.to_owned());
        let (start, length) = *self.places.get(name).ok_or_else(missing)?;
        if length > limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, name.to_owned()));
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}
