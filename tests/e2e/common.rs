//! A fleet of member processes in a folder of its own.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use chorale::store::Store;
use chorale_protocol::{
    audit::{self, MemoryArchive, Report},
    base::{MemberId, RecordId},
    feed::{Checked, Spec, check_despite_cut},
    manifest::Chain,
};
use chorale_tests::fleet::{Member, Network, Options, Shape};
use tempfile::TempDir;

pub(crate) struct Fleet {
    pub(crate) network: Network,
    folder: TempDir,
    /// Where the first-started member listened.
    pub(crate) address: String,
}

impl Fleet {
    /// Starts every member of the genesis; all but the first know the first's address alone.
    pub(crate) fn start(shape: Shape, options: &Options) -> (Self, Vec<Member>) {
        Self::of(Network::new(shape), shape.members, options)
    }

    /// As [`Self::start`], of a network that is there, and only so many of its members.
    pub(crate) fn of(network: Network, count: usize, options: &Options) -> (Self, Vec<Member>) {
        eprintln!("{:?}", network.shape());
        let mut fleet = Self { network, folder: tempfile::tempdir().unwrap(), address: String::new() };
        let mut first = fleet.member(0, options);
        fleet.address = first.address();
        let mut members = vec![first];
        let options = Options { bootstrap: vec![fleet.address.clone()], ..options.clone() };
        members.extend((1..count).map(|index| fleet.member(index, &options)));
        (fleet, members)
    }

    /// Starts, or starts again, one member.
    pub(crate) fn member(&self, index: usize, options: &Options) -> Member {
        let exe = Path::new(env!("CARGO_BIN_EXE_chorale-test-node"));
        Member::start(exe, &self.network, index, &self.home(index), options)
    }

    pub(crate) fn home(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("m{index}"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Hands a running member a manifest version, as its operator would.
    pub(crate) fn hand_in(&self, index: usize, manifest: &[u8]) {
        let home = self.home(index);
        fs::write(home.join("manifest.temp"), manifest).unwrap();
        fs::rename(home.join("manifest.temp"), home.join("manifest")).unwrap();
    }

    /// Copies the home of a member that is not running.
    pub(crate) fn back_up(&self, index: usize) -> PathBuf {
        let target = self.path(&format!("backup{index}"));
        copy(&self.home(index), &target);
        target
    }

    /// Puts a backup in the place of its home, which is kept aside.
    pub(crate) fn restore(&self, index: usize, backup: &Path) {
        fs::rename(self.home(index), self.path(&format!("lost{index}"))).unwrap();
        copy(backup, &self.home(index));
    }

    /// Adds to an archive the blobs that any home holds: a publication that nobody merged may be in its author's alone.
    fn complete(&self, archive: &Path) {
        for home in fs::read_dir(self.folder.path()).unwrap() {
            let Ok(folders) = fs::read_dir(home.unwrap().path().join("store/blobs")) else { continue };
            for blob in folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap()) {
                let blob = blob.unwrap();
                fs::copy(blob.path(), archive.join("blobs").join(blob.file_name())).unwrap();
            }
        }
    }

    /// The store of a member that is not running.
    pub(crate) fn store(&self, index: usize) -> Store {
        Store::open(&self.home(index)).unwrap()
    }

    /// Every record in a member's store, cut off or not, checked with its signature, feed after feed.
    pub(crate) fn records(&self, index: usize) -> Vec<Checked> {
        let store = self.store(index);
        let chain = chain(&store);
        store.records().unwrap().into_iter().map(|bytes| check_despite_cut(bytes, &chain).unwrap()).collect()
    }

    /// Writes the archive of a member that is not running, and audits it.
    pub(crate) fn audit(&self, index: usize) -> (PathBuf, Report) {
        self.audit_with(index, false)
    }

    /// As [`Self::audit`]; `whole`: with the blobs of all homes.
    pub(crate) fn audit_with(&self, index: usize, whole: bool) -> (PathBuf, Report) {
        let store = self.store(index);
        let names = (0..).map(|number| self.path(&format!("archive{index}-{number}")));
        let target = names.into_iter().find(|path| !path.exists()).unwrap();
        let summary = store.archive(&target).unwrap();
        if whole {
            self.complete(&target);
        }
        let archive = read(&target);
        let options = audit::Options {
            network: self.network.chain().network(),
            anchors: summary.heads.iter().map(|head| head.id.into()).collect(),
            allow_unanchored: false,
            allow_pruned: false,
            recompute: true,
            witnesses: 0,
            heads_only: false,
            threads: 2,
        };
        (target, audit::replay(&archive, &options, &|_, _| {}).unwrap())
    }
}

pub(crate) fn chain(store: &Store) -> Chain {
    let mut manifests = store.manifests().unwrap().into_iter();
    let mut chain = Chain::genesis(manifests.next().unwrap()).unwrap();
    manifests.for_each(|bytes| chain.extend(bytes).unwrap());
    chain
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A folder as an archive.
pub(crate) fn read(folder: &Path) -> MemoryArchive {
    let mut archive = MemoryArchive::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                archive.insert(name, Bytes::from(fs::read(path).unwrap()));
            }
        }
    }
    archive
}

/// Parents and their weights: all that a merge without momentum depends on.
type Inputs = (Vec<RecordId>, Vec<u64>);

/// Everyone who merged the same publications came to the same merge; how many merges had company in that.
pub(crate) fn same_inputs_same_merge(records: &[Checked]) -> usize {
    let mut merges: BTreeMap<Inputs, Vec<[u8; 32]>> = BTreeMap::new();
    for checked in records {
        if let Spec::Update(update) = &checked.record().spec {
            let inputs = (checked.record().parent_ids().collect(), update.weights.clone());
            merges.entry(inputs).or_default().push(update.merge.0);
        }
    }
    for (inputs, results) in &merges {
        assert!(
            results.iter().all(|merge| *merge == results[0]),
            "members that merged {inputs:?} came to different results"
        );
    }
    merges.values().map(Vec::len).filter(|&count| count > 1).sum()
}

/// Every feed in a store is gap-free from 0, in incarnation 0 alone; the last seq of each.
pub(crate) fn one_feed_each(records: &[Checked]) -> BTreeMap<MemberId, u64> {
    let mut next: BTreeMap<MemberId, u64> = BTreeMap::new();
    for checked in records {
        let record = checked.record();
        assert_eq!(record.incarnation.0, 0, "{} opened another incarnation", record.member);
        let expected = next.entry(record.member).or_default();
        assert_eq!(record.seq.0, *expected, "a gap in the feed of {}", record.member);
        *expected += 1;
    }
    next
}
