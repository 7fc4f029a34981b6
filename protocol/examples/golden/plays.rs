//! What happened in each network.

use bytes::Bytes;
use chorale_protocol::{
    admit::FaultProof,
    audit::{MemoryArchive, layout::Name},
    base::{Incarnation, Lamport, MergeHash, RecordId, Seq},
    code::blob_hash,
    feed::{Checked, Close, Evidence, EvidenceSpec, FaultSpec, Flaw, Record, Release, Spec, sign},
    fixture,
    log::TreeHash,
    manifest::{Cut, LogEnd, Policy},
};

use crate::{Case, Golden, ledger::Ledger, world::World};

pub(crate) const SEED: u64 = 1;
/// When checkpoints were cosigned, in seconds since 1970: around the claimed times of the fixtures.
const BEFORE: u64 = 1_700_000_050;
const AFTER: u64 = 1_700_000_200;

/// What befell whole networks: logs, keys, votes, forks, payloads that are gone, files that are damaged.
pub(crate) fn all() -> Vec<Golden> {
    vec![
        clean(),
        forked(),
        accused(),
        revoked(),
        everything(),
        stolen_log(),
        voted_twice(),
        pruned(),
        forged_momentum(),
        attested(),
        tampered(),
        truncated(),
        empty(),
    ]
}

fn texts(ids: &[RecordId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// With these anchors.
pub(crate) fn anchored(anchors: &[RecordId], exit: u8, codes: &[&'static str]) -> Case {
    Case { anchors: texts(anchors), allow_unanchored: false, exit, codes: codes.to_vec(), by: None, attested: 0 }
}

/// The same, of findings that are each of a member, by its number in `world`.
pub(crate) fn blaming(world: &World, anchors: &[RecordId], exit: u8, found: &[(&'static str, usize)]) -> Case {
    let mut by: Vec<_> = found.iter().map(|(code, who)| (*code, world.authors[*who].id)).collect();
    by.sort_unstable();
    let codes: Vec<&str> = by.iter().map(|(code, _)| *code).collect();
    Case { by: Some(by), ..anchored(anchors, exit, &codes) }
}

/// Without an anchor: the codes found beside the one that says so.
fn unanchored(allowed: bool, exit: u8, codes: &[&'static str]) -> Case {
    let mut codes = [&["ANC-001"], codes].concat();
    codes.sort_unstable();
    Case { anchors: Vec::new(), allow_unanchored: allowed, exit, codes, by: None, attested: 0 }
}

pub(crate) fn golden(name: &'static str, world: &World, archive: MemoryArchive, cases: Vec<Case>) -> Golden {
    Golden { name, network: world.chain.network().to_string(), archive, cases }
}

/// Three honest members, whose records two others each witnessed; a release; momentum checkpoints.
fn witnessed(policy: Policy) -> World {
    let mut world = World::play(3, 1, Policy { witnesses: Some(2), ..policy }, SEED);
    let mut ledger = Ledger::of(0, &world);
    let first = ledger.publish(&world, &[(1, BEFORE), (2, BEFORE + 5)]);
    for who in [0, 1, 2, 0, 1, 2] {
        let seen = Some(blob_hash(&first));
        let record = world.step_with(who, |draft| draft.record.seen = seen);
        ledger.accept(&record);
    }
    let newest = world.published[1].last().unwrap().checked.clone();
    let Spec::Update(update) = &newest.record().spec else { panic!("no update") };
    let label = "v1".to_owned();
    ledger.accept(&world.write(1, &[&newest], Spec::Release(Release { round: update.round, label }), None));
    ledger.publish(&world, &[(1, AFTER + 10), (2, AFTER + 30)]);
    ledger.put(&mut world);
    world
}

fn clean() -> Golden {
    let world = witnessed(Policy { checkpoint_every: 2, ..fixture::policy() });
    let heads = world.heads();
    let cases = vec![
        anchored(&heads, 0, &[]),
        unanchored(true, 0, &[]),
        unanchored(false, 3, &[]),
        anchored(&[RecordId([7; 32])], 1, &["ANC-002", "ANC-004"]),
    ];
    golden("clean", &world, world.archive(), cases)
}

/// Member 2 signs two histories; member 0 proves it.
fn fork(world: &mut World) -> Cut {
    let last = world.step(2);
    let twin = world.fork(2, &last);
    let bundle = Evidence::of(&last, &twin).unwrap();
    world.keep(&twin);
    world.builder.evidence(bundle.to_bytes());
    let (member, incarnation, seq) = bundle.accused();
    let spec = Spec::Evidence(EvidenceSpec { accused: member, incarnation, seq });
    world.write(0, &[], spec, Some(fixture::body(&bundle.to_bytes())));
    Cut { member, incarnation, last: last.record().prev.map(|prev| (Seq(seq.0 - 1), prev)) }
}

fn forked() -> Golden {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    fork(&mut world);
    world.step(1);
    let heads = world.heads();
    golden("forked", &world, world.archive(), vec![anchored(&heads, 1, &["FORK-001"])])
}

/// Member 2 signed a record with a clock that nothing makes so large, which member 0 proves; it also accuses a payload that is not
/// here, and member 1 a merge that is in order.
fn accused() -> Golden {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let last = world.published[2][1].checked.clone();
    let mut record = last.record().clone();
    record.clock = Lamport(record.clock.0 + 7);
    let bad = sign(record, &fixture::author(2)).unwrap();
    let named = last.record().prev.into_iter().chain(last.record().parent_ids());
    let others = named.map(|id| world.record(&id)).collect();
    let proof = FaultProof::of(bad, others, &world.chain).unwrap();
    let bundle = proof.to_bytes();
    world.builder.evidence(bundle.clone());
    let accusation = |of: &Checked, record: RecordId, flaw| {
        let Record { member, incarnation, seq, .. } = *of.record();
        Spec::Fault(FaultSpec { accused: member, incarnation, seq, record, flaw })
    };
    let proved = accusation(proof.record(), proof.record().id(), Flaw::Rule);
    world.write(0, &[], proved, Some(fixture::body(&bundle)));
    world.write(0, &[], accusation(&last, RecordId([7; 32]), Flaw::Payload), None);
    let sound = world.published[0][1].checked.clone();
    world.write(1, &[], accusation(&sound, sound.id(), Flaw::Merge), None);
    let heads = world.heads();
    golden("accused", &world, world.archive(), vec![anchored(&heads, 1, &["FLT-001", "FLT-003", "FLT-004"])])
}

/// A member's last record is taken back; the others go on.
fn revoked() -> Golden {
    let mut world = World::play(3, 3, fixture::policy(), SEED);
    let member = world.authors[1].id;
    let stands = world.published[1][1].checked.clone();
    let cut = Cut { member, incarnation: Incarnation(0), last: Some((stands.record().seq, stands.id())) };
    world.amend(|manifest| manifest.cuts = vec![cut]);
    world.step(0);
    world.step(2);
    let heads = world.heads();
    golden("revoked", &world, world.archive(), vec![anchored(&heads, 0, &["CUT-001"])])
}

/// A file of every kind, and all of it in order: logs, a settled fork, a key that was handed over and a thief who has the old one and
/// signs a record and a head of the log with it, a governor that voted twice and governs no more, a blob that nobody names.
fn everything() -> Golden {
    let mut world = World::play(3, 1, Policy { witnesses: Some(1), ..fixture::policy() }, SEED);
    world.commit(1, Some(70));
    let (mut thief, before) = (world.authors[1].clone(), world.chain.clone());
    let mut handed_over = Ledger::of(1, &world);
    handed_over.publish(&world, &[(2, BEFORE)]);
    let (size, root) = (handed_over.tree.len(), handed_over.tree.root(handed_over.tree.len()).unwrap().0);
    // Cosigned by nobody: a cosignature on a note that counts for nothing may change unseen.
    handed_over.notes.insert(0, (50, handed_over.note_of(&world, 50, TreeHash([7; 32]), &[])));
    world.rotate_at(1, 70, Some(LogEnd { size, root }));
    handed_over.key = 70;
    handed_over.accept(&world.step(1));
    handed_over.publish(&world, &[(0, AFTER)]);
    handed_over.put(&mut world);
    let stolen = thief.draft(&before, &[], Spec::Close(Close::Left));
    world.keep(&thief.write(stolen));
    let cut = fork(&mut world);
    let mut other = fixture::next(&world.chain);
    other.policy.draw = 1;
    world.amend(|manifest| manifest.cuts = vec![cut]);
    world.builder.conflict(fixture::signed(other, &[0]));
    let mut next = fixture::next(&world.chain);
    next.governors = vec![fixture::governor(1).public()];
    world.chain.extend(fixture::signed(next, &[0, 1])).unwrap();
    world.builder.manifests(world.chain.signed());
    world.step(0);
    world.builder.blob(Bytes::from_static(b"nobody names this"));
    let mut ledger = Ledger::of(0, &world);
    ledger.publish(&world, &[(2, AFTER)]);
    ledger.put(&mut world);
    // Member 2 is cut, and member 1's earlier feed was handed over: their ends are known.
    let heads = &world.heads()[..2];
    let codes = ["ARC-002", "CUT-001", "CUT-001", "FORK-002", "GOV-003", "INC-001", "KEY-002", "LOG-007"];
    golden("everything", &world, world.archive(), vec![anchored(heads, 0, &codes), unanchored(true, 0, &codes)])
}

/// A key that was handed over, and a thief who has the old one and brings a witness to cosign a head of the log behind the handover. The
/// note counts for nothing, whoever signed it; the log goes on under the new key.
fn stolen_log() -> Golden {
    let mut world = World::play(3, 1, Policy { witnesses: Some(1), ..fixture::policy() }, SEED);
    world.commit(1, Some(70));
    let mut log = Ledger::of(1, &world);
    log.publish(&world, &[(2, BEFORE)]);
    let (size, root) = (log.tree.len(), log.tree.root(log.tree.len()).unwrap().0);
    log.notes.insert(0, (50, log.note_of(&world, 50, TreeHash([7; 32]), &[(0, BEFORE), (2, AFTER)])));
    world.rotate_at(1, 70, Some(LogEnd { size, root }));
    log.key = 70;
    for who in [0, 1, 2] {
        log.accept(&world.step(who));
    }
    log.publish(&world, &[(0, AFTER)]);
    log.put(&mut world);
    let heads = world.heads();
    let codes = ["INC-001", "KEY-002", "LOG-007"];
    golden("stolen-log", &world, world.archive(), vec![anchored(&heads, 0, &codes), unanchored(true, 0, &codes)])
}

fn voted_twice() -> Golden {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let mut other = fixture::next(&world.chain);
    other.policy.draw = 1;
    world.amend(|manifest| manifest.policy.draw = 2);
    world.builder.conflict(fixture::signed(other, &[0]));
    let heads = world.heads();
    golden("voted-twice", &world, world.archive(), vec![anchored(&heads, 1, &["GOV-001"])])
}

/// The blobs of the first rounds are gone, as the policy says; merges go on from checkpoints.
fn pruned() -> Golden {
    let world = World::play(3, 4, Policy { checkpoint_every: 4, keep_rounds: 2, ..fixture::policy() }, SEED);
    let mut archive = world.archive();
    for published in world.published.iter().flatten().filter(|published| published.voice.round.0 < 2) {
        archive.remove(&Name::Blob(published.checked.record().body.unwrap().hash).to_string());
    }
    let heads = world.heads();
    // One payload is of round 1; a merge of each member needs it, its author's and the others' first. Two go on from checkpoints.
    // On the newest of one member nobody has built yet.
    let codes = ["BLB-002", "MRG-003", "MRG-003", "MRG-003", "MRG-010", "MRG-012", "MRG-012"];
    golden("pruned", &world, archive, vec![anchored(&heads, 3, &codes)])
}

/// A member keeps a payload back, makes up the momentum state behind it, signs that, and goes on from there by the rules.
fn forged_momentum() -> Golden {
    let mut world = World::play(3, 2, Policy { checkpoint_every: 1, reach: 1_000 << 16, ..fixture::policy() }, SEED);
    let hidden = world.step(2);
    world.step_made_up(2, 40 << 32);
    world.rounds(2);
    let mut archive = world.archive();
    World::withhold(&mut archive, &hidden);
    let heads = world.heads();
    // X does not follow from v and the state before; nothing goes on from it. The next merge finds no state, and the last one is on the
    // word of that one.
    let codes = ["BLB-001", "MRG-003", "MRG-010", "MRG-013"];
    golden("forged-momentum", &world, archive, vec![anchored(&heads, 1, &codes)])
}

/// A payload is kept back; two others say that they had recomputed what follows, one of them of the merges on the state behind it, too. It
/// also says so of a merge that is wrong.
fn attested() -> Golden {
    let mut world = World::play(3, 2, Policy { checkpoint_every: 1, ..fixture::policy() }, SEED);
    let hidden = world.step(2);
    let (behind, next) = (world.step(2), world.step(2));
    let wrong = world.step_with(0, |draft| draft.update().merge = MergeHash([9; 32]));
    let say = |world: &mut World, who: usize, mut updates: Vec<RecordId>| {
        updates.sort_unstable();
        world.step_with(who, |draft| draft.update().checked = updates);
    };
    say(&mut world, 1, vec![hidden.id(), behind.id(), next.id(), wrong.id()]);
    say(&mut world, 0, vec![behind.id(), RecordId([7; 32])]);
    let mut archive = world.archive();
    World::withhold(&mut archive, &hidden);
    let heads = world.heads();
    // The checkpoint of the wrong one does not give its merge hash.
    let codes = ["BLB-001", "FLT-005", "MRG-001", "MRG-003", "MRG-012", "RULE-019"];
    let case = Case { attested: 2, ..anchored(&heads, 1, &codes) };
    golden("attested", &world, archive, vec![case])
}

/// One bit of the signature on a member's newest record: its payload is then nobody's, and who merged it lacks a parent.
fn tampered() -> Golden {
    let world = World::play(3, 2, fixture::policy(), SEED);
    let mut archive = world.archive();
    let name = Name::Feed(world.authors[1].id, Incarnation(0)).to_string();
    let mut bytes = archive.remove(&name).unwrap().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    archive.insert(name, bytes.into());
    let first = world.published[0][0].checked.id();
    golden(
        "tampered",
        &world,
        archive,
        vec![anchored(&[first], 1, &["ANC-004", "ARC-002", "DAG-001", "MRG-003", "SIG-003"])],
    )
}

/// The newest record of a feed that nobody builds on was left out.
fn truncated() -> Golden {
    let mut world = World::play(3, 2, fixture::policy(), SEED);
    let kept = world.heads();
    let archive = world.archive();
    let cut_off = world.step(1).id();
    let cases =
        vec![anchored(&kept, 0, &[]), unanchored(true, 0, &[]), anchored(&[cut_off], 1, &["ANC-002", "ANC-004"])];
    golden("truncated", &world, archive, cases)
}

fn empty() -> Golden {
    let world = World::play(2, 1, fixture::policy(), SEED);
    let case = unanchored(true, 3, &["ARC-003", "NET-002"]);
    let codes = case.codes.into_iter().filter(|code| *code != "ANC-001").collect();
    golden("empty", &world, MemoryArchive::default(), vec![Case { codes, ..case }])
}
