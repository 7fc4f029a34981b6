//! Writes what an auditor is handed: a folder, or a tar of one. The same store gives the same bytes.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufWriter, Cursor, Read, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use chorale_protocol::{
    audit::layout::{Name, frame},
    base::{BlobHash, MemberId, limit::RECORD_BYTES},
    feed::Head,
    manifest::{Chain, Role},
};

use super::{Store, StoreError};

/// What an archive came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Files in it.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The newest record of every feed in it: an auditor who gets these from the members themselves can tell whether the
    /// archive was cut short.
    pub heads: Vec<Head>,
}

impl Summary {
    /// What an auditor who knows it can hold the archive against, as `chorale-audit verify --anchors` reads it: the network, the
    /// newest manifest version, the newest record of every feed, and who has published nothing.
    #[must_use]
    pub fn anchors(&self, chain: &Chain) -> String {
        let (version, network) = (chain.current().version, chain.network());
        let mut text = format!("# What an archive of this network must hold.\nnetwork {network}\n");
        // Writing to a string does not fail.
        if let Some((_, hash)) = chain.at(version) {
            let _ = writeln!(text, "manifest {hash}  # version {version}");
        }
        let versions = || (0..=version).filter_map(|version| chain.at(version));
        let members =
            versions().flat_map(|(manifest, _)| &manifest.members).filter(|member| member.role == Role::Member);
        let labels: BTreeMap<MemberId, &str> = members.map(|member| (member.id, member.label.as_str())).collect();
        for Head { member, incarnation, seq, id } in &self.heads {
            let label = labels.get(member).copied().unwrap_or_default();
            let _ = writeln!(text, "{id}  # {label}, incarnation {incarnation}, seq {seq}");
        }
        for (member, label) in labels.iter().filter(|(member, _)| self.heads.iter().all(|head| head.member != **member))
        {
            let _ = writeln!(text, "none {member}  # {label} has published nothing that is known here");
        }
        text
    }
}

enum Source {
    Memory(Bytes),
    Blob(BlobHash),
}

impl Store {
    /// Writes everything the store holds to `target`: a tar if its name ends in `.tar`, else a new folder.
    ///
    /// # Errors
    /// The target exists or cannot be written; a blob on disk is damaged.
    pub fn archive(&self, target: &Path) -> Result<Summary, StoreError> {
        if target.exists() {
            let source = io::Error::new(io::ErrorKind::AlreadyExists, "it exists; name a new one");
            return Err(StoreError::Io { path: target.to_owned(), what: "write the archive", source });
        }
        let heads = self.heads()?;
        let files = self.contents(&heads)?;
        let mut bytes = 0;
        // Under another name until it is whole: half an archive must not look like one.
        let mut partial = target.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let tar = target.extension().is_some_and(|end| end == "tar");
        let mut out = Target::make(&partial, tar)?;
        for (name, source) in &files {
            let content = match source {
                Source::Memory(bytes) => bytes.clone(),
                Source::Blob(hash) => self.read_verified(hash)?,
            };
            bytes += content.len() as u64;
            out.put(name, &content)?;
        }
        out.finish()?;
        fs::rename(&partial, target).map_err(StoreError::io(target, "rename into place"))?;
        Ok(Summary { files: files.len(), bytes, heads })
    }

    fn contents(&self, heads: &[Head]) -> Result<BTreeMap<String, Source>, StoreError> {
        let mut files = BTreeMap::new();
        for (version, bytes) in (0_u64..).zip(self.manifests()?) {
            let name = if version == 0 { Name::Genesis } else { Name::Manifest(version) };
            files.insert(name.to_string(), Source::Memory(bytes));
        }
        for head in heads {
            let records = self.feed(head)?;
            let mut frames = Vec::with_capacity(records.len() * RECORD_BYTES / 4);
            records.iter().for_each(|bytes| frames.extend(frame(bytes)));
            files.insert(Name::Feed(head.member, head.incarnation).to_string(), Source::Memory(frames.into()));
        }
        for (hash, bytes) in self.evidence()? {
            files.insert(Name::Evidence(hash).to_string(), Source::Memory(bytes));
        }
        files.extend(self.log_files()?.into_iter().map(|(name, bytes)| (name, Source::Memory(bytes))));
        for (hash, bytes) in self.conflicts()? {
            files.insert(Name::Conflict(hash).to_string(), Source::Memory(bytes));
        }
        for hash in self.blobs()? {
            files.insert(Name::Blob(hash).to_string(), Source::Blob(hash));
        }
        Ok(files)
    }
}

enum Target {
    Folder(PathBuf),
    Tar(PathBuf, Box<tar::Builder<BufWriter<File>>>),
}

impl Target {
    fn make(path: &Path, tar: bool) -> Result<Self, StoreError> {
        if tar {
            let file = File::create_new(path).map_err(StoreError::io(path, "make the archive"))?;
            let mut builder = tar::Builder::new(BufWriter::with_capacity(1 << 20, file));
            builder.mode(tar::HeaderMode::Deterministic);
            return Ok(Self::Tar(path.to_owned(), Box::new(builder)));
        }
        fs::create_dir(path).map_err(StoreError::io(path, "make the folder"))?;
        Ok(Self::Folder(path.to_owned()))
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        match self {
            Self::Folder(root) => {
                let path = root.join(name);
                let folder = path.parent().unwrap_or(root);
                fs::create_dir_all(folder).map_err(StoreError::io(folder, "make the folder"))?;
                fs::write(&path, bytes).map_err(StoreError::io(&path, "write"))
            }
            Self::Tar(path, builder) => {
                let mut header = tar::Header::new_ustar();
                header.set_size(bytes.len() as u64);
                header.set_mode(0o644);
                header.set_mtime(0);
                let content: Cursor<&[u8]> = Cursor::new(bytes);
                builder
                    .append_data(&mut header, name, content.take(bytes.len() as u64))
                    .map_err(StoreError::io(&*path, "write"))
            }
        }
    }

    fn finish(self) -> Result<(), StoreError> {
        let Self::Tar(path, builder) = self else { return Ok(()) };
        let done = builder.into_inner().and_then(|mut out| {
            out.flush()?;
            out.get_ref().sync_data()
        });
        done.map_err(StoreError::io(&path, "finish the archive"))
    }
}
