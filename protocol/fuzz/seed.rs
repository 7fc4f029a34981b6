//! Writes the first corpus: `seed FOLDER`. What the vectors hold, and a few archives and tars; not the minimised corpus.
#![allow(clippy::unwrap_used, reason = "a broken vector stops it")]

use std::{collections::BTreeMap, env, fs, path::Path};

use chorale_fuzz::{
    network::{self, AUTHORS, GOVERNORS, bytes_of, payload_of},
    roundtrip::READERS,
};
use chorale_protocol::{
    audit::ArchiveBuilder,
    code::{cbor, cbor::Bounds},
    feed::{Spec, check_despite_cut},
    fixture,
    manifest::SignedManifest,
    wire::SyncRequest,
};
use serde_json::Value;

/// Bytes of one input.
const MOST: usize = 2048;

type Corpus = BTreeMap<&'static str, Vec<Vec<u8>>>;

fn main() {
    let folder = env::args().nth(1).unwrap();
    let mut corpus = Corpus::new();
    bytes(&mut corpus);
    signed(&mut corpus);
    between_nodes(&mut corpus);
    payloads(&mut corpus);
    archives(&mut corpus);
    logs(&mut corpus);
    faults(&mut corpus);
    for (target, inputs) in corpus {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder).unwrap();
        for input in inputs.iter().filter(|input| input.len() <= MOST) {
            fs::write(folder.join(&blake3::hash(input).to_hex()[..16]), input).unwrap();
        }
    }
}

/// The inputs of a topic, the last one of each case, and whether it is accepted.
fn vectors(topic: &str) -> Vec<(Vec<u8>, bool)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(topic).with_extension("json");
    let value: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let input = |case: &Value| {
        let input = &case["input"];
        let last = input.as_array().map_or(input, |parts| parts.last().unwrap());
        (bytes_of(last.as_str().unwrap()).to_vec(), case["expect"] == "ok")
    };
    value["cases"].as_array().unwrap().iter().map(input).collect()
}

fn with(choice: u8, bytes: &[u8]) -> Vec<u8> {
    [&[choice], bytes].concat()
}

fn bytes(corpus: &mut Corpus) {
    for (input, _) in vectors("cbor") {
        corpus.entry("strict").or_default().push(with(0, &input));
    }
    let policy = fixture::policy();
    let update = vectors("records").into_iter().filter_map(|(envelope, ok)| {
        let record = check_despite_cut(envelope.into(), network::chain()).ok().filter(|_| ok)?;
        match &record.record().spec {
            Spec::Update(update) => Some(cbor::encode(update)),
            Spec::Release(release) => Some(cbor::encode(release)),
            Spec::Evidence(spec) => Some(cbor::encode(spec)),
            Spec::Close(reason) => Some(cbor::encode(reason)),
            Spec::Fault(spec) => Some(cbor::encode(spec)),
            Spec::Other(other) => Some(other.item.clone()),
        }
    });
    let versions = vectors("manifests").into_iter().filter_map(|(bytes, ok)| {
        let manifest = SignedManifest::parse(&bytes).ok().filter(|_| ok)?.manifest;
        let (handovers, policy) = (manifest.handovers, manifest.policy);
        let ends =
            handovers.iter().filter_map(|handover| handover.log).map(|end| cbor::encode(&end)).collect::<Vec<_>>();
        let terms = policy.privacy.iter().map(cbor::encode).chain([cbor::encode(&policy)]).collect::<Vec<_>>();
        Some([vec![cbor::encode(&handovers)], ends, terms].concat())
    });
    let question = vectors("sync").into_iter().filter_map(|(bytes, _)| SyncRequest::parse(&bytes).ok());
    let haves = question.map(|question| cbor::encode(&question.have));
    let more = [cbor::encode(&policy), cbor::encode(&policy.adapter), cbor::encode(&policy.adapter.tensors)];
    let small = ["00", "01", "a10002", "a2000101182a", "6361626300", "5820", "80", "a0", "6474657374"];
    let small = small.iter().map(|text| hex::decode(text).unwrap());
    let values: Vec<Vec<u8>> = update.chain(haves).chain(versions.flatten()).chain(more).chain(small).collect();
    for (kind, _) in READERS.iter().enumerate() {
        for value in values.iter().filter(|value| cbor::strict(value, Bounds::RECORD).is_ok()) {
            corpus.entry("roundtrip").or_default().push(with(u8::try_from(kind).unwrap(), value));
        }
    }
}

fn signed(corpus: &mut Corpus) {
    let place = |list: &[&str], name: &str| u8::try_from(list.iter().position(|one| *one == name).unwrap()).unwrap();
    for (input, ok) in vectors("records") {
        corpus.entry("record").or_default().push(with(0, &input));
        let Some(payload) = payload_of(&input).filter(|_| ok || input.len() < 600) else { continue };
        for author in AUTHORS {
            let signs = !ok || payload.windows(32).any(|part| part == network::key(author).public().to_bytes());
            if signs && (ok || author == "anna") {
                corpus.entry("record").or_default().push(with(1 + place(&AUTHORS, author), &payload));
                let length = u16::try_from(payload.len()).unwrap().to_le_bytes();
                let two = [&length[..], &payload, &payload].concat();
                corpus.entry("evidence").or_default().push([&[1 + place(&AUTHORS, author), 0], &two[..]].concat());
            }
        }
    }
    for (input, _) in vectors("manifests") {
        corpus.entry("manifest").or_default().push(with(0, &input));
        if let Some(payload) = payload_of(&input) {
            let all = (0..GOVERNORS.len()).fold(0, |all, at| all | 1 << at);
            for votes in [0b111, 0b11, all] {
                corpus.entry("manifest").or_default().push(with(votes, &payload));
            }
        }
    }
    for (input, _) in vectors("evidence").into_iter().chain(vectors("faults")) {
        corpus.entry("evidence").or_default().push(with(0, &input));
        let parts: Option<(u64, serde_cbor::Value, serde_cbor::Value)> = serde_cbor::from_slice(&input).ok();
        let Some((form, serde_cbor::Value::Bytes(one), serde_cbor::Value::Bytes(two))) = parts else { continue };
        let (Some(one), Some(two)) = (payload_of(&one), payload_of(&two)) else { continue };
        let length = u16::try_from(one.len()).unwrap().to_le_bytes();
        for author in 1..4 {
            let head = [author, u8::try_from(form % 24).unwrap()];
            corpus.entry("evidence").or_default().push([&head[..], &length, &one, &two].concat());
        }
    }
}

fn between_nodes(corpus: &mut Corpus) {
    let frames = corpus.entry("frames").or_default();
    for (input, _) in vectors("frames") {
        frames.push([&[0, 7], &input[..]].concat());
    }
    frames.extend(vectors("sync").iter().map(|(input, _)| with(1, input)));
    for (input, _) in vectors("presence") {
        frames.push(with(2, &input));
        if let Some(payload) = payload_of(&input) {
            frames.push([&[3, 0], &payload[..]].concat());
        }
    }
}

fn logs(corpus: &mut Corpus) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/log.json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    for case in value["cases"].as_array().unwrap() {
        let parts: Vec<_> =
            case["input"].as_array().unwrap().iter().map(|part| bytes_of(part.as_str().unwrap())).collect();
        let (Some(ask), Some(last)) = (parts.first(), parts.last()) else { continue };
        let kind = match ask.as_ref() {
            b"note" => 0,
            b"witness" => 2,
            b"proof" => 4,
            b"tile" => 5,
            _ => continue,
        };
        let chain = 6 * case["chain"].as_array().map_or(0, |chain| u8::try_from(chain.len() - 1).unwrap());
        corpus.entry("note").or_default().push(with(kind + chain, last));
        if kind == 0
            && let Some(end) = last.windows(2).position(|two| two == b"\n\n")
        {
            for signer in [0, 5, 6] {
                corpus.entry("note").or_default().push([&[1 + chain, signer], &last[..=end]].concat());
            }
        }
    }
    for (size, place) in [(1, 0), (2, 1), (7, 3), (8, 8), (33, 32), (64, 5), (65, 64), (9, 12)] {
        for what in 0..2 {
            corpus.entry("proof").or_default().push(vec![what, size, place]);
            corpus.entry("proof").or_default().push(vec![what, size, place, 0, 0, 0, 1, 9]);
        }
    }
}

/// Each change, at a few places of a few records, shown with all others, with some, with none.
fn faults(corpus: &mut Corpus) {
    let inputs = corpus.entry("fault").or_default();
    for what in [4, 5, 6] {
        for shown in [0x5a, 0xff] {
            for (record, change) in (0..40).step_by(3).flat_map(|record| (0..10).map(move |change| (record, change))) {
                let head = [&[what][..], &[shown; 8], &[record, change]].concat();
                inputs.extend((0..3).map(|place| [&head[..], &[place, 1 + place / 2, place, 3]].concat()));
            }
        }
    }
}

fn payloads(corpus: &mut Corpus) {
    let all = corpus.entry("payload").or_default();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/payload.json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    for case in value["check"].as_array().unwrap() {
        let bytes = hex::decode(case["payload"].as_str().unwrap()).unwrap();
        let codec = u8::from(case["codec"] == "bfp8");
        all.extend((0..4).map(|shape| [&[shape, codec], &bytes[..]].concat()));
    }
    for (shape, length) in [(0, 58), (1, 3), (2, 261), (3, 388)] {
        for codec in 0..2 {
            for what in 0..4 {
                all.push([&[shape, codec | what << 1][..], &vec![0xe0; length]].concat());
                all.push([&[shape, codec | what << 1][..], &[0x33, 0x33, 0x93, 0x3f].repeat(16)].concat());
            }
        }
    }
    // Canonical: every block's exponent is the least.
    all.push([&[0, 0][..], &[0xe0; 2], &[1; 56]].concat());
    all.push([&[1, 0][..], &[0xe0, 1, 0]].concat());
}

fn archives(corpus: &mut Corpus) {
    let chain = fixture::chain(2, fixture::policy());
    let mut author = fixture::Author::new(0);
    let mut builder = ArchiveBuilder::new(chain.signed());
    builder.record(&author.update(&chain, 1, &[]));
    let feed = |archive: &chorale_protocol::audit::MemoryArchive| {
        archive.iter().find(|(name, _)| name.starts_with("feeds/")).map(|(_, bytes)| bytes.to_vec()).unwrap()
    };
    let changes = corpus.entry("archive").or_default();
    changes.push(with(0, &feed(&builder.build())));
    for flags in [1, 3, 7] {
        changes.push(vec![flags]);
        for what in 0..10 {
            for place in [0, 3, 9, 200] {
                changes.push(vec![flags, what, place, place, 40, 0, 1, 1, 7, what + 1, 2, 8, 100, 0, 0, 2, 1, 2]);
            }
        }
    }
    let mut small = chorale_protocol::audit::MemoryArchive::default();
    small.insert("genesis".into(), network::manifests()[0].slice(..100));
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes, kind) in [
        ("genesis", &network::manifests()[0][..100], tar::EntryType::Regular),
        ("blobs", &[][..], tar::EntryType::Directory),
        ("./blobs/x", &[7; 20], tar::EntryType::Regular),
        ("link", &[], tar::EntryType::Symlink),
        ("times", b"20 mtime=1700000000\n", tar::EntryType::XHeader),
        ("long", b"blobs/y\0", tar::EntryType::GNULongName),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes).unwrap();
        let so_far = builder.get_ref().clone();
        corpus.entry("tar").or_default().extend([0, 1].map(|right| [&[right, 99, 0], &so_far[..]].concat()));
    }
}
