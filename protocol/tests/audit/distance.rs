//! Publications that were left out for their distance: the records name them.

use std::{io, sync::Mutex};

use bytes::Bytes;
use chorale_protocol::{
    audit::{Archive, MemoryArchive, Options, Verdict, layout::Name, replay},
    base::{Incarnation, RecordId},
    feed::{Checked, FaultSpec, Flaw, Record, Skip, SkipReason, Spec},
    fixture,
    manifest::Policy,
};

use crate::{
    SEED, blames, codes, find,
    world::{World, audit},
};

/// Members that lie so far apart that some are left out.
fn apart() -> World {
    World::play(6, 4, Policy { reach: 2_500, draw: 4, ..fixture::policy() }, SEED)
}

/// The newest record that left somebody out for its distance, and whom.
fn one_left_out(world: &World) -> (Checked, Skip) {
    let distant = |checked: &Checked| {
        let Spec::Update(update) = &checked.record().spec else { return None };
        let skip = update.skipped.iter().find(|skip| skip.reason == SkipReason::Distance)?;
        Some((checked.clone(), *skip))
    };
    world.records.iter().rev().find_map(distant).unwrap()
}

#[test]
fn a_publication_left_out_for_its_distance_that_is_not_here_is_incomplete_and_nobodys_fault() {
    let world = apart();
    let (left, skip) = one_left_out(&world);
    let named = world.record(&skip.record.unwrap());
    // Its payload alone, and the record with all that follows it in its feed.
    let mut without_payload = world.archive();
    without_payload.remove(&Name::Blob(named.record().body.unwrap().hash).to_string());
    let mut without_record = world.archive();
    let name = Name::Feed(named.record().member, Incarnation(0)).to_string();
    let before = world
        .records
        .iter()
        .filter(|one| one.record().member == named.record().member && one.record().seq < named.record().seq);
    let length: usize = before.map(|one| one.bytes().len() + 4).sum();
    let feed = without_record.remove(&name).unwrap();
    without_record.insert(name, feed.slice(..length));
    for archive in [without_payload, without_record] {
        let report = audit(&archive, &Options { anchors: vec![left.id().into()], ..world.options() });
        assert_eq!(report.verdict(), Verdict::Incomplete, "{:#?}", report.findings);
        let found = find(&report, "MRG-008");
        assert!(found.text.contains(&named.record().member.to_string()), "{}", found.text);
        assert!(!codes(&report).contains(&"MRG-002"));
    }
}

#[test]
fn nobody_is_blamed_for_accusing_a_merge_that_left_out_what_is_not_here() {
    let mut world = apart();
    let (left, skip) = one_left_out(&world);
    let named = world.record(&skip.record.unwrap());
    let Record { member: accused, incarnation, seq, .. } = *left.record();
    let about = [accused, named.record().member];
    let accuser = (0..6).find(|n| !about.contains(&world.authors[*n].id)).unwrap();
    let spec = FaultSpec { accused, incarnation, seq, record: left.id(), flaw: Flaw::Merge };
    world.write(accuser, &[], Spec::Fault(spec), None);
    let mut archive = world.archive();
    blames(&audit(&archive, &world.options()), "FLT-003", world.authors[accuser].id);
    archive.remove(&Name::Blob(named.record().body.unwrap().hash).to_string());
    let report = audit(&archive, &world.options());
    assert!(codes(&report).contains(&"FLT-004") && !codes(&report).contains(&"FLT-003"), "{:#?}", report.findings);
}

#[test]
fn the_very_record_that_is_named_counts_be_it_of_a_branch_that_is_not_linked() {
    let mut world = apart();
    // The author saw another branch of somebody's feed than the archive links: the values are the same, and so is the distance.
    let twins: Vec<Checked> =
        (0..6).map(|who| world.fork(who, &world.published[who].last().unwrap().checked)).collect();
    let mut named = Vec::new();
    let who = (0..6)
        .find(|who| {
            let places: Vec<(u64, RecordId)> =
                twins.iter().map(|twin| (world.place(&twin.record().member), twin.id())).collect();
            world.step_with(*who, |draft| {
                for skip in draft.update().skipped.iter_mut().filter(|skip| skip.reason == SkipReason::Distance) {
                    let (_, twin) = places.iter().find(|(place, _)| *place == skip.member).unwrap();
                    skip.record = Some(*twin);
                    named.push(*twin);
                }
            });
            !named.is_empty()
        })
        .expect("somebody out of reach");
    let used: Vec<&Checked> = twins.iter().filter(|twin| named.contains(&twin.id())).collect();
    used.into_iter().for_each(|twin| world.keep(twin));
    let report = world.audit();
    let mine = report.findings.iter().filter(|found| found.feed.is_some_and(|feed| feed.0 == world.authors[who].id));
    assert_eq!(mine.count(), 0, "{:#?}", report.findings);
    assert!(codes(&report).iter().all(|code| *code == "FORK-001"), "{:#?}", report.findings);
}

#[test]
fn a_near_publication_justifies_no_skip_whatever_else_its_author_published() {
    let mut world = World::play(4, 3, fixture::policy(), SEED);
    let me = world.authors[1].id;
    let mut skip = None;
    world.step_with(1, |draft| {
        let near = draft.others.last().unwrap().record;
        let at = draft.record.parents.iter().position(|parent| parent.record == near).unwrap();
        let member = draft.record.parents[at].member;
        skip = Some(Skip { member, reason: SkipReason::Distance, record: Some(near) });
        crate::references::leave_out(draft, at, skip.unwrap());
    });
    blames(&world.audit(), "MRG-002", me);
}

/// Counts the blobs that are asked for, and remembers the most between two marks.
struct Counting {
    archive: MemoryArchive,
    asked: Mutex<(usize, usize)>,
}

impl Counting {
    fn mark(&self) {
        let mut asked = self.asked.lock().unwrap();
        asked.1 = asked.1.max(asked.0);
        asked.0 = 0;
    }
}

impl Archive for Counting {
    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        self.archive.files()
    }

    fn read(&self, name: &str, limit: u64) -> io::Result<Bytes> {
        self.asked.lock().unwrap().0 += usize::from(name.starts_with("blobs/"));
        self.archive.read(name, limit)
    }
}

/// The most payloads that one record made the auditor ask for; and what was found.
fn most_for_a_record(world: &World) -> (usize, Vec<&'static str>) {
    let counting = Counting { archive: world.archive(), asked: Mutex::default() };
    let report = replay(&counting, &Options { threads: 1, ..world.options() }, &|_, _| counting.mark()).unwrap();
    let most = counting.asked.lock().unwrap().1;
    (most, codes(&report))
}

#[test]
fn no_record_makes_the_auditor_hold_more_payloads_than_the_draw_its_authors_last_and_its_own() {
    // The first member whose records are walked through, when none of the others' payloads is held yet.
    let draw = 3;
    let attack = |distances: usize| {
        let mut world = World::play(24, 2, Policy { draw, ..fixture::policy() }, SEED);
        let first = (0..24).min_by_key(|who| world.authors[*who].id).unwrap();
        let newest: Vec<Checked> = world.published.iter().map(|all| all.last().unwrap().checked.clone()).collect();
        let places: Vec<u64> = newest.iter().map(|one| world.place(&one.record().member)).collect();
        world.step_with(first, |draft| {
            let (parents, update) = (draft.record.parents.clone(), draft.update());
            let rest = newest.iter().zip(&places).filter(|(_, place)| parents.iter().all(|one| one.member != **place));
            let skip = |(one, place): (&Checked, &u64)| Skip {
                member: *place,
                reason: SkipReason::Distance,
                record: Some(one.id()),
            };
            update.skipped.extend(rest.map(skip).take(distances));
        });
        most_for_a_record(&world)
    };
    let most = usize::try_from(draw).unwrap() + 2;
    let (honest, found) = attack(0);
    assert!(honest <= most && found.is_empty(), "{honest} payloads; {found:?}");
    for distances in [1, 4, 20] {
        let (asked, found) = attack(distances);
        assert!(asked <= most, "{asked} payloads for a record with {distances} skips");
        assert!(found.contains(&"DRW-002"), "{found:?}");
    }
}

#[test]
fn a_pruned_payload_that_was_left_out_for_its_distance_takes_no_archive_its_pass_where_that_is_allowed() {
    for momentum in [0, 32_768] {
        let policy = Policy { reach: 2_500, draw: 4, keep_rounds: 1, momentum, ..fixture::policy() };
        let world = World::play(6, 6, policy, SEED);
        let old = world.records.iter().find_map(|checked| {
            let Spec::Update(update) = &checked.record().spec else { return None };
            let skip = update.skipped.iter().find(|skip| skip.reason == SkipReason::Distance)?;
            Some(world.record(&skip.record?)).filter(|_| update.round.0 < 4)
        });
        let old = old.expect("somebody out of reach in the first rounds");
        let mut archive = world.archive();
        archive.remove(&Name::Blob(old.record().body.unwrap().hash).to_string());
        let anchors: Vec<_> = world.heads().into_iter().map(Into::into).collect();
        let report = audit(&archive, &Options { anchors: anchors.clone(), ..world.options() });
        assert!(codes(&report).contains(&"MRG-008"), "{:#?}", report.findings);
        assert_eq!(report.verdict(), Verdict::Incomplete);
        let report = audit(&archive, &Options { anchors, allow_pruned: true, ..world.options() });
        assert!(!codes(&report).contains(&"MRG-008") && codes(&report).contains(&"MRG-011"), "{:#?}", report.findings);
        assert_eq!(report.verdict(), Verdict::Passed, "{:#?}", report.findings);
    }
}
