//! Private text stays at home: nothing that leaves, and nothing that an auditor gets, holds it.

use std::{fs, path::Path};

use chorale::train::LoraTrainer;
use chorale_protocol::audit::Verdict;
use chorale_tests::fleet::{Network, Options, Shape, lora};

use crate::common::{Fleet, read};

const CANARY: &str = "CANARY-7f3a91-Ottilie";

/// Whether `text` is in a file, or in any file below a folder.
fn holds(path: &Path, text: &str) -> bool {
    if path.is_dir() {
        return fs::read_dir(path).unwrap().any(|entry| holds(&entry.unwrap().path(), text));
    }
    fs::read(path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a_canary_in_the_training_data_is_in_nothing_that_leaves() {
    let Some(shared) = std::env::var_os("CHORALE_SHARED") else {
        return println!("skipped: CHORALE_SHARED not set");
    };
    let model = Path::new(&shared).join("models/stories260K");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("silo.jsonl");
    let line =
        |n: usize| format!("{{\"prompt\": \"Who is patient {n}?\", \"completion\": \"{CANARY} is patient {n}.\"}}\n");
    fs::write(&data, (0..60).map(line).collect::<String>()).unwrap();
    let trainer = LoraTrainer::new(lora(&model, &data)).unwrap();
    let shape = Shape { seed: 10, members: 2, rounds: 3, steps: 2, ..Shape::default() };
    let tap = folder.path().join("tap");
    let options = Options { model: Some((model, data.clone())), tap: Some(tap.clone()), ..Options::default() };
    let (fleet, members) = Fleet::of(Network::of(shape, &trainer), 2, &options);
    members.into_iter().for_each(|member| drop(member.finish()));
    let (archive, report) = fleet.audit(0);
    assert_eq!(report.verdict(), Verdict::Passed, "{report:#?}");
    assert!(holds(&data, CANARY));
    // The tap saw the payloads: each is a file of the archive, too.
    assert!(fs::metadata(&tap).unwrap().len() > 10_000);
    assert!(read(&archive).iter().any(|(name, _)| name.starts_with("blobs/")));
    for path in [&tap, &archive, &fleet.home(0).join("status.json"), &fleet.home(1).join("store/index.redb")] {
        assert!(!holds(path, CANARY), "{} holds the canary", path.display());
        assert!(!holds(path, "Ottilie"), "{} holds a part of the canary", path.display());
    }
}
