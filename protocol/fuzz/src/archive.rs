//! An audit of any archive ends, twice with the same report, and passes nothing that lacks what the anchors promise.

use std::{collections::BTreeSet, sync::LazyLock};

use bytes::Bytes;
use chorale_protocol::{
    admit::FaultProof,
    audit::{
        Archive, MemoryArchive, Options, Piece, Report, Severity, Verdict, codes,
        layout::{Name, blob_name, evidence_name, feed_name, frame},
        pieces, replay,
    },
    base::{Incarnation, MemberId, RecordId},
    code::{Domain, blob_hash},
    feed::{Checked, Evidence, EvidenceSpec, FaultSpec, Flaw, Reference, Release, Spec, sign},
    fixture,
    log::{Checkpoint, Origin, Tree, TreeHash, cosign, sign as signed_head},
    manifest::{Cut, Policy},
};

use super::{choices::Choices, network::seal, world::World};

/// Something is missing on which nothing rests.
const IDLE: [&str; 3] = ["BLB-005", "BLB-006", "EVD-004"];

/// Changes to one archive.
const CHANGES: usize = 8;

/// A small archive with a file of every kind, and what is needed to forge more of it.
struct Base {
    archive: MemoryArchive,
    /// Blobs and bundles on which nothing rests: that they are missing is a warning.
    idle: BTreeSet<String>,
    /// With the number of each one's author.
    records: Vec<(Checked, u64)>,
    heads: Vec<RecordId>,
    options: Options,
}

/// Two settled accusations with their bundles, a release, checkpoints, a log, a governor that voted twice and governs no more.
fn base() -> &'static Base {
    static BASE: LazyLock<Base> = LazyLock::new(|| {
        let mut world = World::play(3, 2, Policy { checkpoint_every: 2, ..fixture::policy() }, 7);
        let last = world.step(2);
        let bundle = Evidence::of(&last, &world.fork(2, &last)).unwrap();
        world.builder.evidence(bundle.to_bytes());
        let (accused, incarnation, seq) = bundle.accused();
        let spec = Spec::Evidence(EvidenceSpec { accused, incarnation, seq });
        world.write(0, &[], spec, Some(fixture::body(&bundle.to_bytes())));
        let fault = fault(&world, &last);
        world.builder.evidence(fault.to_bytes());
        let (record, flaw) = (fault.record().id(), Flaw::Rule);
        let spec = Spec::Fault(FaultSpec { accused, incarnation, seq, record, flaw });
        world.write(1, &[], spec, Some(fixture::body(&fault.to_bytes())));
        let stands = world.published[2][1].checked.clone();
        let last = Some((stands.record().seq, stands.id()));
        world.amend(|manifest| manifest.cuts = vec![Cut { member: accused, incarnation: Incarnation(0), last }]);
        world.step(0);
        let newest = world.step(1);
        let Spec::Update(update) = &newest.record().spec else { unreachable!("a step is an update") };
        let release = Release { round: update.round, label: "v1".into() };
        world.write(1, &[&newest], Spec::Release(release), None);
        vote_twice(&mut world);
        log(&mut world);
        let number = |member: MemberId| world.authors.iter().find(|author| author.id == member).unwrap().n;
        Base {
            idle: idle(&world),
            archive: world.archive(),
            records: world.records.iter().map(|one| (one.clone(), number(one.record().member))).collect(),
            heads: world.heads(),
            options: Options { threads: 1, ..world.options() },
        }
    });
    &BASE
}

/// That member 2 signed a clock, in the place of `last`, which nothing makes so large.
fn fault(world: &World, last: &Checked) -> FaultProof {
    let mut record = last.record().clone();
    record.clock.0 += 7;
    let named = record.prev.into_iter().chain(record.parent_ids()).map(|id| world.record(&id)).collect();
    FaultProof::of(sign(record, &fixture::author(2)).unwrap(), named, &world.chain).unwrap()
}

/// The one governor votes for two next versions, and hands over to another in the version after.
fn vote_twice(world: &mut World) {
    let mut other = fixture::next(&world.chain);
    other.policy.draw = 1;
    world.amend(|manifest| manifest.policy.draw = 2);
    world.builder.conflict(fixture::signed(other, &[0]));
    let mut next = fixture::next(&world.chain);
    next.governors = vec![fixture::governor(1).public()];
    world.chain.extend(fixture::signed(next, &[0, 1])).unwrap();
    world.builder.manifests(world.chain.signed());
}

/// Member 0's log of all records, with one cosigner.
fn log(world: &mut World) {
    let mut tree = Tree::new();
    world.records.iter().for_each(|record| tree.push(TreeHash::leaf(record.bytes())));
    let (owner, witness) = (fixture::member(0).id, fixture::member(1).id);
    let origin = |member| Origin::new(&world.chain.network(), &member);
    let (size, root) = (tree.len(), tree.root(tree.len()).unwrap());
    let head = Checkpoint { origin: origin(owner), size, root };
    let mut note = signed_head(&head, &fixture::author(0));
    note.add(cosign(&head, &origin(witness), &fixture::author(1), 1_700_000_200)).unwrap();
    let note = Bytes::from(note.to_bytes());
    world.builder.log(owner, &note, size, &[(size, note.clone())], Some(&tree));
}

/// The blobs without which the archive passes, and says so.
fn idle(world: &World) -> BTreeSet<String> {
    let archive = world.archive();
    let names = archive
        .iter()
        .map(|(name, _)| name.to_owned())
        .filter(|name| name.starts_with("blobs/") || name.starts_with("evidence/"));
    names
        .filter(|name| {
            let mut archive = archive.clone();
            archive.remove(name);
            let report = replay(&archive, &world.options(), &|_, _| {}).unwrap();
            report.verdict() == Verdict::Passed && report.findings.iter().any(|finding| IDLE.contains(&finding.code))
        })
        .collect()
}

/// One choice: a feed file follows as it is, or changes to an archive of a network; with an anchor or without.
pub fn run(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    let what = choices.byte();
    let mut archive = base().archive.clone();
    if what & 1 == 0 {
        let file = Bytes::copy_from_slice(choices.0);
        covered(&file);
        let record = base().records[0].0.record();
        archive.insert(feed_name(record.member, record.incarnation), file);
    } else {
        for _ in 0..CHANGES {
            if !choices.is_empty() {
                change(&mut archive, &mut choices);
            }
        }
    }
    let mut options = base().options.clone();
    if what & 2 == 2 {
        options.anchors = Vec::new();
        options.allow_unanchored = what & 4 == 4;
    }
    let report = replay(&archive, &options, &|_, _| {}).unwrap();
    let threads = Options { threads: 3, ..options.clone() };
    assert_eq!(report, replay(&archive, &threads, &|_, _| {}).unwrap());
    sound(&archive, &options, &report);
    report.verdict() == Verdict::Passed
}

/// The pieces of a feed file are the whole file.
fn covered(file: &Bytes) {
    let mut at = 0;
    for piece in pieces(file) {
        let (offset, length) = match &piece {
            Piece::Frame { offset, envelope } => (*offset, envelope.len() as u64 + 4),
            Piece::Damage { offset, length } => (*offset, *length),
        };
        assert_eq!((offset, length > 0), (at, true));
        if let Piece::Frame { envelope, .. } = &piece {
            let start = usize::try_from(at).unwrap();
            assert!(file[start..].starts_with(&frame(envelope)));
        }
        at += length;
    }
    assert_eq!(at, file.len() as u64);
}

/// What any report promises of itself, and a pass of the archive.
fn sound(archive: &MemoryArchive, options: &Options, report: &Report) {
    let mut worst = None;
    for finding in &report.findings {
        assert!(codes::explain(finding.code).is_some(), "{finding:?}");
        assert!(!finding.text.is_empty() && finding.text.len() < 1024, "{finding:?}");
        worst = worst.max(Some(finding.severity));
    }
    let wanted = match worst {
        Some(Severity::Failure) => Verdict::Failed,
        Some(Severity::Incomplete) => Verdict::Incomplete,
        _ => Verdict::Passed,
    };
    assert_eq!(report.verdict(), wanted);
    assert_eq!(report.findings.iter().any(|finding| finding.code == "ANC-002"), report.anchors.missing > 0);
    if wanted != Verdict::Passed {
        return;
    }
    assert!(report.counts.records.ok > 0 && (report.anchors.is_complete() || options.allow_unanchored));
    if !report.anchors.is_complete() {
        return;
    }
    for (record, _) in &base().records {
        let (member, incarnation) = (record.record().member, record.record().incarnation);
        let file = archive.read(&feed_name(member, incarnation), u64::MAX).expect("the feed of an anchor");
        let held =
            pieces(&file).any(|piece| matches!(piece, Piece::Frame { envelope, .. } if envelope == record.bytes()));
        assert!(held, "record {} of {member} is not there, and the archive passes", record.id());
    }
    let warned = report.findings.iter().any(|finding| IDLE.contains(&finding.code));
    // A note may lose a cosignature; a log, or that a governor voted twice, nobody knows who has not seen it.
    let kept = |name: &str| !["feeds/", "logs/", "conflicts/"].iter().any(|folder| name.starts_with(folder));
    for (name, bytes) in base().archive.iter().filter(|(name, _)| kept(name)) {
        match archive.read(name, u64::MAX) {
            Err(_) if warned && base().idle.contains(name) => {}
            read => assert_eq!(read.ok().as_ref(), Some(bytes), "{name} changed, and the archive passes"),
        }
    }
}

/// One change, as the choices say.
fn change(archive: &mut MemoryArchive, choices: &mut Choices<'_>) {
    let what = choices.byte();
    let names: Vec<String> = archive.iter().map(|(name, _)| name.to_owned()).collect();
    let name = names.get(choices.place(names.len())).cloned().unwrap_or_default();
    let bytes = archive.read(&name, u64::MAX).unwrap_or_default();
    match what % 10 {
        0 => {
            let mut bytes = bytes.to_vec();
            if let Some(byte) = bytes.get_mut(choices.offset(usize::MAX)) {
                *byte ^= choices.byte();
            }
            archive.insert(name, bytes.into());
        }
        1 => archive.insert(name, bytes.slice(..choices.offset(bytes.len()))),
        2 => drop(archive.remove(&name)),
        3 => archive.insert(name, choices.splice(&bytes).into()),
        4 => archive.insert(names[choices.place(names.len().max(1)).min(names.len().saturating_sub(1))].clone(), bytes),
        5 => {
            let content = Bytes::copy_from_slice(choices.some());
            archive.insert(new_name(choices, &content), content);
        }
        6 => again(archive, choices, false),
        7 => again(archive, choices, true),
        8 => payload(archive, choices),
        _ => next(archive, choices),
    }
}

/// A name of the layout, or none.
fn new_name(choices: &mut Choices<'_>, content: &[u8]) -> String {
    let record = base().records[choices.place(base().records.len())].0.record();
    let number = u64::from(choices.byte());
    match choices.byte() % 6 {
        0 => blob_name(blob_hash(content)),
        1 => evidence_name(blob_hash(content)),
        2 => Name::Manifest(number).to_string(),
        3 => feed_name(record.member, Incarnation(number)),
        4 => Name::Genesis.to_string(),
        _ => String::from_utf8_lossy(choices.some()).into_owned(),
    }
}

/// Puts `envelope` into its author's feed: in the place of another, or at the end.
fn put(archive: &mut MemoryArchive, (old, envelope): (&Checked, &[u8]), instead: bool) {
    let name = feed_name(old.record().member, old.record().incarnation);
    let file = archive.read(&name, u64::MAX).unwrap_or_default();
    let framed = frame(old.bytes());
    let at = file.windows(framed.len()).position(|part| part == framed).filter(|_| instead);
    let (before, after) = match at {
        Some(at) => (&file[..at], &file[at + framed.len()..]),
        None => (&file[..], &[][..]),
    };
    archive.insert(name, [before, &frame(envelope), after].concat().into());
}

/// Signs a record with other content, in the place of itself or beside it.
fn again(archive: &mut MemoryArchive, choices: &mut Choices<'_>, instead: bool) {
    let (record, author) = &base().records[choices.place(base().records.len())];
    let payload = choices.splice(&record.record().payload());
    put(archive, (record, &seal(Domain::Record, &payload, &fixture::author(*author))), instead);
}

/// Changes the payload of an update, which its author signs.
fn payload(archive: &mut MemoryArchive, choices: &mut Choices<'_>) {
    let (checked, author) = &base().records[choices.place(base().records.len())];
    let mut record = checked.record().clone();
    let Some(body) = record.body else { return };
    let bytes = archive.read(&blob_name(body.hash), u64::MAX).unwrap_or_default();
    let bytes = choices.splice(&bytes);
    record.body = Some(fixture::body(&bytes));
    archive.insert(blob_name(blob_hash(&bytes)), bytes.into());
    put(archive, (checked, &seal(Domain::Record, &record.payload(), &fixture::author(*author))), true);
}

/// One more record behind the last one of a feed: a copy of an earlier one in the next place, changed and signed.
fn next(archive: &mut MemoryArchive, choices: &mut Choices<'_>) {
    let (checked, author) = &base().records[choices.place(base().records.len())];
    let mut record = checked.record().clone();
    let own = base().records.iter().rfind(|(other, _)| other.record().member == record.member);
    let Some((last, _)) = own else { return };
    (record.seq, record.prev) = (last.record().seq.next(), Some(last.id()));
    record.clock = base().records.iter().map(|(other, _)| other.record().clock).max().unwrap_or_default().next();
    (record.manifest_version, record.manifest_hash) = (last.record().manifest_version, last.record().manifest_hash);
    if choices.byte() & 1 == 1
        && let Spec::Update(update) = &mut record.spec
    {
        let anchors = base().heads.iter().take(choices.place(4).min(2));
        let parents: Vec<Reference> =
            (0..).zip(anchors).map(|(member, record)| Reference { member, record: *record }).collect();
        update.weights = vec![1024; parents.len()];
        update.round.0 = u64::from(choices.byte() % 8);
        record.parents = parents;
    }
    let payload = choices.splice(&record.payload());
    put(archive, (last, &seal(Domain::Record, &payload, &fixture::author(*author))), false);
}
