use std::{fs, path::Path};

use bytes::Bytes;
use chorale_protocol::{
    audit::Anchor,
    base::{BlobHash, Incarnation, MemberId, NetworkId, RecordId, Round, Seq},
    code::blob_hash,
    feed::{Body, Head},
    fixture, merge,
    wire::{Have, SyncRequest},
};
use tempfile::TempDir;

use super::{Entry, Store, StoreError, Summary, TrainState};

fn home() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn entry(member: u8, incarnation: u64, seq: u64, text: &str) -> Entry {
    let bytes = Bytes::from(text.to_owned());
    let id = RecordId(blob_hash(&bytes).0);
    Entry {
        head: Head { member: MemberId([member; 32]), incarnation: Incarnation(incarnation), seq: Seq(seq), id },
        bytes,
    }
}

fn request(version: u64, have: Vec<Have>) -> SyncRequest {
    SyncRequest { network: NetworkId([0; 32]), manifest_version: version, have, wants: Vec::new() }
}

/// The frames of an answer: tag and text.
fn frames(mut bytes: &[u8]) -> Vec<(u8, String)> {
    let mut all = Vec::new();
    loop {
        let (length, rest) = bytes.split_first_chunk::<4>().unwrap();
        let length = u32::from_le_bytes(*length) as usize;
        if length == 0 {
            assert!(rest.is_empty());
            return all;
        }
        all.push((rest[0], String::from_utf8(rest[1..length].to_vec()).unwrap()));
        bytes = &rest[length..];
    }
}

fn state(values: i64) -> TrainState {
    let x: Vec<i64> = (0..values).map(|at| at * 7919 - 3).collect();
    let v = x.iter().map(|x| -x * 1_000_003).collect();
    TrainState {
        round: Round(9),
        momentum: Some(merge::State { x, v }),
        residual: (0..values).map(|at| at as f32 * -0.25).collect(),
        trainer: b"moments".to_vec(),
    }
}

#[test]
fn one_process_at_a_time_holds_a_home() {
    let (folder, store) = home();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    let weak = store.downgrade();
    drop(store);
    assert!(weak.upgrade().is_none());
    Store::open(folder.path()).unwrap();
}

#[test]
fn records_come_back_in_feed_order_and_a_place_keeps_all_that_was_signed_for_it() {
    let (folder, store) = home();
    let all = [entry(2, 0, 0, "c"), entry(1, 1, 0, "b"), entry(1, 0, 300, "a2"), entry(1, 0, 2, "a1")];
    store.put_records(&all).unwrap();
    let other = entry(1, 0, 2, "other");
    store.put_records(&[other.clone(), all[0].clone()]).unwrap();
    store.put_own(other.clone(), None).unwrap();
    store.close().unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let mut twins = [(all[3].head.id, "a1"), (other.head.id, "other")];
    twins.sort_unstable();
    let [first, second] = twins.map(|(_, text)| text);
    assert_eq!(store.records().unwrap(), [first, second, "a2", "b", "c"]);
    assert_eq!(store.feed(&all[2].head).unwrap(), [first, second, "a2"], "an archive has both");
    let served = frames(&store.answer(&request(0, vec![])).unwrap());
    assert_eq!(served.len(), 5, "whoever asks gets both");
    assert_eq!(store.leaves(0).unwrap().len(), 5);
    let heads: Vec<(u64, u64)> = store.heads().unwrap().iter().map(|head| (head.incarnation.0, head.seq.0)).collect();
    assert_eq!(heads, [(0, 300), (1, 0), (0, 0)]);
    assert_eq!(store.record(&other.head.id).unwrap().unwrap(), "other");
    assert_eq!(store.record(&all[2].head.id).unwrap().unwrap(), "a2");
    assert_eq!(store.record(&RecordId([0; 32])).unwrap(), None);
}

#[test]
fn our_own_record_is_on_disk_with_everything_stored_before_it() {
    let (folder, store) = home();
    store.put_records(&[entry(2, 0, 0, "theirs")]).unwrap();
    store.put_own(entry(1, 0, 0, "ours"), None).unwrap();
    // What a kill at this moment would leave behind: nothing is closed, nothing is dropped.
    let after = tempfile::tempdir().unwrap();
    fs::create_dir(after.path().join("store")).unwrap();
    fs::copy(folder.path().join("store/index.redb"), after.path().join("store/index.redb")).unwrap();
    let survivor = Store::open(after.path()).unwrap();
    assert_eq!(survivor.records().unwrap(), ["ours", "theirs"]);
    drop(store);
}

#[test]
fn an_answer_holds_what_the_asker_lacks_and_no_more() {
    let (_folder, store) = home();
    for version in 0..3 {
        store.put_manifest(version, format!("m{version}").as_bytes()).unwrap();
    }
    let records: Vec<Entry> =
        (0..3).flat_map(|seq| [1, 2].map(|who| entry(who, 0, seq, &format!("r{who}{seq}")))).collect();
    store.put_records(&records).unwrap();
    let have = |member: u8, next| Have { member: MemberId([member; 32]), incarnation: Incarnation(0), next: Seq(next) };
    let texts =
        |request| frames(&store.answer(&request).unwrap()).into_iter().map(|(tag, text)| format!("{tag}{text}"));
    let all: Vec<String> = texts(request(0, vec![])).collect();
    assert_eq!(all, ["0m1", "0m2", "1r10", "1r11", "1r12", "1r20", "1r21", "1r22"]);
    let some: Vec<String> = texts(request(2, vec![have(1, 2), have(2, 3)])).collect();
    assert_eq!(some, ["1r12"]);
    assert_eq!(texts(request(u64::MAX, vec![have(1, u64::MAX), have(2, 3)])).count(), 0);
}

#[test]
fn an_answer_is_bounded_and_the_next_one_goes_on() {
    let (_folder, store) = home();
    let text = "x".repeat(4000);
    let records: Vec<Entry> = (0..5000).map(|seq| entry(1, 0, seq, &format!("{seq}{text}"))).collect();
    store.put_records(&records).unwrap();
    let first = store.answer(&request(0, vec![])).unwrap();
    assert!(first.len() <= SyncRequest::ANSWER_BYTES);
    let got = frames(&first).len() as u64;
    assert!(got > 4000, "{got}");
    let have = vec![Have { member: MemberId([1; 32]), incarnation: Incarnation(0), next: Seq(got) }];
    assert_eq!(got as usize + frames(&store.answer(&request(0, have)).unwrap()).len(), 5000);
}

#[test]
fn a_damaged_blob_is_found_after_an_unclean_end_and_only_then() {
    let (folder, store) = home();
    store.recover().unwrap();
    let good = store.put_blob(b"good").unwrap();
    let bad = store.put_blob(b"bad!").unwrap();
    assert_eq!(bad, Body { hash: blob_hash(b"bad!"), length: 4 });
    let (path, _) = store.blob_file(&bad.hash).unwrap();
    fs::write(path, b"BAD!").unwrap();
    assert!(matches!(store.read_verified(&bad.hash), Err(StoreError::Damaged { .. })));
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.recover().unwrap(), [bad.hash]);
    assert_eq!(store.blobs().unwrap(), [good.hash]);
    assert!(matches!(store.read_blob(&bad), Err(StoreError::Absent { .. })));
    store.close().unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(store.recover().unwrap(), []);
}

#[test]
fn a_gathered_blob_moves_into_place_only_whole() {
    let (_folder, store) = home();
    let body = Body { hash: blob_hash(b"payload"), length: 7 };
    assert!(store.complete_blob(&body).is_err());
    fs::write(store.partial_file(&body.hash), b"payl").unwrap();
    assert!(matches!(store.complete_blob(&body), Err(StoreError::Damaged { .. })));
    fs::write(store.partial_file(&body.hash), b"payload").unwrap();
    assert_eq!(store.read_partial(&body).unwrap(), "payload");
    store.complete_blob(&body).unwrap();
    assert_eq!(store.read_blob(&body).unwrap(), "payload");
    store.delete_blob(&body.hash).unwrap();
    store.delete_blob(&body.hash).unwrap();
    assert_eq!(store.blob_file(&body.hash), None);
}

#[test]
fn a_training_state_comes_back_whole_or_not_at_all() {
    let (folder, store) = home();
    let [payload, other, third] = [3, 4, 5].map(|byte| BlobHash([byte; 32]));
    let saved = state(1000);
    store.put_state(&payload, &saved).unwrap();
    assert_eq!(store.load_state(&payload, 1000).unwrap(), Some(saved.clone()));
    assert!(store.load_state(&payload, 999).is_err());
    let path = folder.path().join("store/state/0");
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(61) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, &flipped).unwrap();
        assert!(store.load_state(&payload, 1000).is_err(), "byte {at}");
    }
    for length in [0, 31, 80, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(store.load_state(&payload, 1000).is_err(), "{length} bytes");
    }
    fs::write(&path, &whole).unwrap();

    // Until the next record is durable, the state of the one before it stays, however often a round is tried.
    store.put_own(entry(1, 0, 0, "ours"), Some(&payload)).unwrap();
    let smaller = state(10);
    for next in [&other, &third] {
        store.put_state(next, &smaller).unwrap();
        assert_eq!(store.load_state(&payload, 1000).unwrap().as_ref(), Some(&saved));
        assert_eq!(store.load_state(next, 10).unwrap().as_ref(), Some(&smaller));
    }
    assert_eq!(store.load_state(&other, 10).unwrap(), None);
    store.flush_state(&third).unwrap();
    store.flush_state(&other).unwrap();

    // The same after a restart.
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    store.keep_state(&third);
    store.put_state(&other, &saved).unwrap();
    assert_eq!(store.load_state(&third, 10).unwrap(), Some(smaller));
    assert_eq!(store.load_state(&other, 1000).unwrap(), Some(saved));
    assert_eq!(store.load_state(&payload, 1000).unwrap(), None);
}

#[test]
fn a_damaged_index_is_named_and_nothing_is_deleted() {
    let (folder, store) = home();
    let blob = store.put_blob(b"kept").unwrap();
    store.put_own(entry(1, 0, 0, "ours"), None).unwrap();
    store.close().unwrap();
    let (path, _) = store.blob_file(&blob.hash).unwrap();
    drop(store);
    let index = folder.path().join("store/index.redb");
    let whole = fs::read(&index).unwrap();
    for damage in [whole[..whole.len() / 3].to_vec(), b"not an index".to_vec(), vec![0xff; whole.len()]] {
        fs::write(&index, &damage).unwrap();
        let error = Store::open(folder.path()).unwrap_err();
        assert!(matches!(error, StoreError::Index { .. }), "{error}");
        assert!(error.to_string().contains("index.redb"), "{error}");
        assert_eq!(fs::read(&index).unwrap().len(), damage.len());
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }
}

#[test]
fn the_same_store_gives_the_same_archive_bytes() {
    let (_folder, store) = home();
    store.put_manifest(0, b"genesis bytes").unwrap();
    store.put_manifest(1, b"next").unwrap();
    store.put_own(entry(1, 0, 0, "ours"), None).unwrap();
    store.put_own(entry(1, 0, 1, "more"), None).unwrap();
    store.put_blob(b"payload").unwrap();
    store.put_evidence(b"evidence").unwrap();
    let out = tempfile::tempdir().unwrap();
    let at = |name: &str| out.path().join(name);
    let (one, two) = (store.archive(&at("1.tar")).unwrap(), store.archive(&at("2.tar")).unwrap());
    assert_eq!(one, two);
    assert_eq!((one.files, one.heads.len()), (6, 1));
    assert_eq!(fs::read(at("1.tar")).unwrap(), fs::read(at("2.tar")).unwrap());
    assert!(store.archive(&at("1.tar")).is_err());
    store.archive(&at("folder")).unwrap();
    let feed = format!("feeds/{}.0", MemberId([1; 32]));
    assert_eq!(fs::read(at("folder").join(feed)).unwrap(), b"\x04\0\0\0ours\x04\0\0\0more");
    let mut tar = tar::Archive::new(fs::File::open(at("1.tar")).unwrap());
    let names: Vec<String> =
        tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned()).collect();
    assert!(names.is_sorted() && names.len() == 6, "{names:?}");
    for name in names {
        assert!(Path::new(&at("folder").join(&name)).is_file(), "{name}");
    }
}

#[test]
fn what_is_wanted_by_its_id_comes_with_the_branch_that_it_ends() {
    let (_folder, store) = home();
    let taken: Vec<Entry> = (0..5).map(|seq| entry(1, 0, seq, &format!("taken {seq}"))).collect();
    let branch: Vec<Entry> = (2..4).map(|seq| entry(1, 0, seq, &format!("branch {seq}"))).collect();
    store.put_records(&[taken, branch.clone()].concat()).unwrap();
    let have = Have { member: MemberId([1; 32]), incarnation: Incarnation(0), next: Seq(5) };
    let wants = vec![branch[1].head.id, RecordId([0xff; 32])];
    let answer = store.answer(&SyncRequest { wants, ..request(0, vec![have]) }).unwrap();
    let mut texts: Vec<String> = frames(&answer).into_iter().map(|(_, text)| text).collect();
    texts.sort();
    assert_eq!(texts, ["branch 2", "branch 3", "taken 0", "taken 1", "taken 2", "taken 3"]);
}

#[test]
fn the_anchors_of_an_archive_are_all_heads_the_newest_manifest_and_who_published_nothing() {
    let chain = fixture::chain(3, fixture::policy());
    let id = RecordId([7; 32]);
    let head = Head { member: fixture::member(1).id, incarnation: Incarnation(2), seq: Seq(4), id };
    let summary = Summary { files: 1, bytes: 1, heads: vec![head] };
    let text = summary.anchors(&chain);
    let manifest = chain.at(0).unwrap().1;
    for line in [
        format!("network {}\n", chain.network()),
        format!("manifest {manifest}  # version 0\n"),
        format!("{id}  # silo-1, incarnation 2, seq 4\n"),
        format!("none {}  # silo-0 ", fixture::member(0).id),
        format!("none {}  # silo-2 ", fixture::member(2).id),
    ] {
        assert!(text.contains(&line), "{line}: {text}");
    }
    assert_eq!(text.lines().count(), 6, "{text}");
    // As the auditor reads it.
    let silent = |n: u64| Anchor::Silent(fixture::member(n).id);
    let mut read = Anchor::in_lines(&text, chain.network()).unwrap();
    let mut wanted = vec![Anchor::Manifest(manifest), Anchor::Record(id), silent(0), silent(2)];
    read.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(read, wanted);
}

#[test]
fn a_home_of_another_layout_is_refused_in_one_sentence_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store/index.redb");
    fs::create_dir(folder.path().join("store")).unwrap();
    // As layout 1 had it: a place without the record's id.
    let records: redb::TableDefinition<'_, &[u8; 48], &[u8]> = redb::TableDefinition::new("records");
    let meta: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("meta");
    let write = || {
        let database = redb::Database::create(&path).unwrap();
        let txn = database.begin_write().unwrap();
        txn.open_table(records).unwrap().insert(&[7; 48], &b"a record"[..]).unwrap();
        txn.open_table(meta).unwrap().insert("layout", &1_u64.to_le_bytes()[..]).unwrap();
        txn.commit().unwrap();
    };
    write();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Layout { got: 1, want: 2, .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("another version") && !said.contains("damaged"), "{said}");
    // Its records are still there.
    write();
}
