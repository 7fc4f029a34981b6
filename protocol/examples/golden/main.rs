//! Writes the golden archives: `golden FOLDER`. They are kept for ever; this is how those of today came about, and where the next
//! ones are added. What a verifier must find in each is stated here by hand, not taken from a verifier.
//! Each family of findings has an archive; where one has several findings of a code, members or files tell them apart.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "its inputs are its own")]

mod files;
#[path = "../../tests/audit/ledger.rs"]
mod ledger;
mod merges;
mod plays;
mod rules;
#[path = "../../tests/audit/world.rs"]
mod world;

use std::{fs, path::Path};

use chorale_protocol::{audit::MemoryArchive, base::MemberId, code::blob_hash};
use serde_json::json;

/// A way to look at an archive: options, exit code, codes found.
struct Case {
    /// Which of the archive's anchors are given.
    anchors: Vec<String>,
    allow_unanchored: bool,
    exit: u8,
    /// Ascending, each as often as it is found.
    codes: Vec<&'static str>,
    /// Where all that is found is found of members: each code with its member, ascending.
    by: Option<Vec<(&'static str, MemberId)>>,
    /// Merges that could not be recomputed, or only from their authors' word, and which another member recomputed live, as it says.
    attested: u64,
}

/// An archive, its network, and what is to be found in it.
struct Golden {
    name: &'static str,
    network: String,
    archive: MemoryArchive,
    cases: Vec<Case>,
}

fn main() {
    let folder = std::env::args().nth(1).expect("usage: golden FOLDER");
    let folder = Path::new(&folder);
    fs::create_dir_all(folder).unwrap();
    let mut cases = Vec::new();
    for golden in [plays::all(), merges::all(), rules::all(), files::all()].into_iter().flatten() {
        let tar = tar_of(&golden.archive);
        let file = format!("{}.tar", golden.name);
        fs::write(folder.join(&file), &tar).unwrap();
        for Case { anchors, allow_unanchored, exit, codes, by, attested } in golden.cases {
            let mut case = json!({
                "archive": file, "blake3": blob_hash(&tar).to_string(), "network": golden.network, "anchors": anchors,
                "allow_unanchored": allow_unanchored, "exit": exit, "codes": codes, "attested": attested,
            });
            if let Some(by) = by {
                case["by"] = by.iter().map(|(code, member)| json!([code, member.to_string()])).collect();
            }
            cases.push(case);
        }
    }
    let text = serde_json::to_string_pretty(&json!({ "cases": cases })).unwrap() + "\n";
    fs::write(folder.join("golden.json"), text).unwrap();
}

fn tar_of(archive: &MemoryArchive) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in archive.iter() {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        builder.append_data(&mut header, name, bytes.as_ref()).unwrap();
    }
    builder.into_inner().unwrap()
}
