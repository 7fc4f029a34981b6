//! What `chorale-audit` promises on its command line: exit codes, JSON on every path, folder and tar alike.
#![allow(clippy::unwrap_used, reason = "tests")]

mod anchors;
mod attestation;
mod browser;
mod checkpoint;
mod contributions;
mod diff;
mod digest;
mod document;
mod every;
mod export;
mod forks;
mod golden;
mod hostile;
#[path = "../audit/ledger.rs"]
mod ledger;
mod lineage;
mod manifest;
mod record;
mod report;
mod verify;
#[path = "../audit/world.rs"]
mod world;
mod wrapped;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use chorale_protocol::{
    audit::MemoryArchive,
    feed::{Release, Spec},
    fixture,
};
use serde_json::Value;
use world::World;

const SEED: u64 = 20_261_122;

fn run(args: &[&str]) -> (Option<i32>, Output) {
    let output = Command::new(env!("CARGO_BIN_EXE_chorale-audit")).args(args).output().unwrap();
    (output.status.code(), output)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Every line of stdout, as JSON.
fn lines(output: &Output) -> Vec<Value> {
    let lines: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["schema"] == "chorale-audit/1"));
    lines
}

fn write_folder(archive: &MemoryArchive, root: &Path) {
    for (name, bytes) in archive.iter() {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn write_tar(archive: &MemoryArchive, path: &Path) {
    let mut builder = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, bytes) in archive.iter() {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap().sync_all().unwrap();
}

struct Stage {
    home: tempfile::TempDir,
    folder: String,
    tar: String,
    network: String,
    anchors: Vec<String>,
    world: World,
}

impl Stage {
    fn new(change: impl FnOnce(&mut World, &mut MemoryArchive)) -> Self {
        Self::of(World::play(3, 3, fixture::policy(), SEED), change)
    }

    /// The archive of this network, changed before it is written.
    fn of(mut world: World, change: impl FnOnce(&mut World, &mut MemoryArchive)) -> Self {
        let anchors = world.heads().iter().map(ToString::to_string).collect();
        let mut archive = world.archive();
        change(&mut world, &mut archive);
        let home = tempfile::tempdir().unwrap();
        let (folder, tar) = (home.path().join("archive"), home.path().join("archive.tar"));
        fs::create_dir(&folder).unwrap();
        write_folder(&archive, &folder);
        write_tar(&archive, &tar);
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let (folder, tar) = (path(&folder), path(&tar));
        Self { home, folder, tar, network: world.chain.network().to_string(), anchors, world }
    }

    /// So many members after so many rounds; member 1 releases its newest update as `v1`.
    fn with_release(members: u64, rounds: u64) -> Self {
        let mut world = World::play(members, rounds, fixture::policy(), SEED);
        let released = world.published[1].last().unwrap().checked.clone();
        let Spec::Update(update) = &released.record().spec else { panic!() };
        let release = Release { round: update.round, label: "v1".into() };
        world.write(1, &[&released], Spec::Release(release), None);
        Self::of(world, |_, _| {})
    }

    fn verify(&self, more: &[&str]) -> (Option<i32>, Output) {
        let (code, output) = self.verify_at(&self.folder, more);
        let (tar_code, tar_output) = self.verify_at(&self.tar, more);
        assert_eq!(code, tar_code);
        // The path is shown in the hints, and only there.
        let plain = |output: &Output| text(&output.stdout).replace(&self.tar, &self.folder);
        assert_eq!(plain(&output), plain(&tar_output));
        (code, output)
    }

    /// Runs a command on the folder and on the tar: both give the same result, which is given.
    fn both(&self, command: &[&str], more: &[&str]) -> (Option<i32>, String) {
        let of = |archive: &str| run(&[command, &[archive], more].concat());
        let ((code, output), (tar_code, tar_output)) = (of(&self.folder), of(&self.tar));
        assert_eq!((code, text(&output.stdout)), (tar_code, text(&tar_output.stdout)));
        assert!(code != Some(2) && code != Some(4), "{}", text(&output.stderr));
        (code, text(&output.stdout))
    }

    /// A path in the stage's own folder.
    fn path(&self, name: &str) -> String {
        self.home.path().join(name).to_str().unwrap().to_owned()
    }

    fn verify_at(&self, archive: &str, more: &[&str]) -> (Option<i32>, Output) {
        run(&[&["verify", archive, "--network", &self.network], more].concat())
    }
}
