//! What proves a record wrong proves it wrong whatever else is shown, an audit of that record finds the same, and nothing proves an
//! honest record wrong.

use std::sync::LazyLock;

use chorale_protocol::{
    admit::{Bundle, FaultProof},
    audit::{Archive, MemoryArchive, Options, Severity, Verdict, layout::feed_name, layout::frame, replay},
    base::{Incarnation, RecordId},
    code::Domain,
    feed::{
        Checked, Close, FaultSpec, Flaw, Other, Privacy, Record, Reference, Release, Skip, SkipReason, Spec,
        check_despite_cut,
    },
    fixture,
    manifest::{Chain, Codec, Phase, Policy},
};

use super::{choices::Choices, network::seal, refused, world::World};

/// Changes to one record.
const CHANGES: usize = 4;
/// What an audit says of such a record by the rules that a proof is judged by, and that need nothing but what a proof may show.
const JUDGED: [&str; 22] = [
    "RULE-001", "RULE-003", "RULE-004", "RULE-005", "RULE-006", "RULE-007", "RULE-008", "RULE-009", "RULE-010",
    "RULE-011", "RULE-014", "RULE-015", "RULE-016", "RULE-017", "RULE-019", "RULE-020", "DRW-001", "DRW-002",
    "DRW-003", "FEED-003", "FEED-004", "FEED-010",
];

/// An honest network: two manifest versions, privacy claims, a second incarnation, a release, records of an unknown kind, a close.
struct Base {
    chain: Chain,
    archive: MemoryArchive,
    /// With the number of each one's author.
    records: Vec<(Checked, u64)>,
    options: Options,
}

fn base() -> &'static Base {
    static BASE: LazyLock<Base> = LazyLock::new(|| {
        let policy = Policy { draw: 2, checkpoint_every: 2, ages: vec![65_536, 46_341], ..fixture::policy() };
        let mut world = World::play(4, 2, policy, 11);
        for steps in [40, 60] {
            let claim = Privacy {
                sigma_milli: 1_100,
                clip_milli: 500,
                rate_micro: 10_000,
                steps,
                epsilon_milli: 9_000,
                delta_log10_milli: 6_000,
            };
            world.step_with(1, |draft| draft.update().privacy = Some(claim));
        }
        world.amend(|manifest| manifest.policy.draw = 3);
        world.rounds(1);
        let newest = world.step(0);
        let Spec::Update(update) = &newest.record().spec else { unreachable!("a step is an update") };
        let release = Release { round: update.round, label: "v1".into() };
        world.write(0, &[&newest], Spec::Release(release), None);
        for _ in 0..16 {
            world.write(2, &[], Spec::Other(Other { kind: 5, item: vec![0] }), None);
        }
        world.write(3, &[], Spec::Close(Close::Left), None);
        world.authors[1].incarnation = Incarnation(1);
        world.step(1);
        let number = |one: &Checked| world.authors.iter().find(|author| author.id == one.record().member).unwrap().n;
        let base = Base {
            chain: world.chain.clone(),
            archive: world.archive(),
            records: world.records.iter().map(|one| (one.clone(), number(one))).collect(),
            options: Options { threads: 1, ..world.options() },
        };
        for (record, _) in &base.records {
            assert!(base.proof(record, u64::MAX).is_none(), "{:?} is proved wrong", record.record());
        }
        base
    });
    &BASE
}

impl Base {
    /// What the records that the mask has show of another.
    fn proof(&self, accused: &Checked, mask: u64) -> Option<FaultProof> {
        let records = self.records.iter().enumerate().filter(|(at, _)| mask >> (at % 64) & 1 == 1);
        let others = records.map(|(_, (record, _))| record.clone()).filter(|record| record.id() != accused.id());
        FaultProof::of(accused.clone(), others.collect(), &self.chain)
    }

    fn some(&self, choices: &mut Choices<'_>) -> &(Checked, u64) {
        &self.records[choices.place(self.records.len())]
    }

    /// The last record of a feed.
    fn last(&self, record: &Record) -> &Checked {
        let feed = |other: &&(Checked, u64)| {
            (other.0.record().member, other.0.record().incarnation) == (record.member, record.incarnation)
        };
        self.records.iter().filter(feed).max_by_key(|(other, _)| other.record().seq).map(|(other, _)| other).unwrap()
    }
}

/// One choice, what is done; which others are shown; then a record, in its place or behind the last one of its feed, and changes to it.
pub fn run(data: &[u8]) -> bool {
    let (base, mut choices) = (base(), Choices(data));
    let what = choices.byte();
    let mask = (0..4).fold(0, |mask, _| mask << 16 | u64::from(choices.short()));
    let (old, author) = base.some(&mut choices);
    let mut record = old.record().clone();
    if what & 1 == 1 {
        let last = base.last(&record);
        (record.seq, record.prev) = (last.record().seq.next(), Some(last.id()));
        let clocks = record.parent_ids().filter_map(|id| base.records.iter().find(|(one, _)| one.id() == id));
        record.clock =
            clocks.map(|(one, _)| one.record().clock).max().unwrap_or_default().max(last.record().clock).next();
    }
    for _ in 0..CHANGES {
        if !choices.is_empty() {
            change(&mut record, &mut choices, base);
        }
    }
    let payload = if what & 2 == 2 { choices.splice(&record.payload()) } else { record.payload() };
    let accused = match check_despite_cut(seal(Domain::Record, &payload, &fixture::author(*author)), &base.chain) {
        Ok(accused) => accused,
        Err(refusal) => return refused(refusal.code(), &refusal.to_string()),
    };
    let whole = base.proof(&accused, u64::MAX);
    if let Some(proof) = base.proof(&accused, mask) {
        assert!(whole.is_some(), "{} ({}) with less, and nothing with more", proof.code(), proof.text());
        bundled(&proof, &mut choices, base);
    }
    if what & 4 == 4 && base.records.iter().all(|(known, _)| known.id() != accused.id()) {
        audited(&accused, whole.as_ref(), base);
    }
    whole.is_some()
}

/// The bytes of a proof give the proof; other bytes give another, or nothing.
fn bundled(proof: &FaultProof, choices: &mut Choices<'_>, base: &Base) {
    refused(proof.code(), proof.text());
    let bytes = proof.to_bytes();
    let again = FaultProof::parse(&bytes, &base.chain).unwrap();
    assert_eq!((again.code(), again.text(), again.to_bytes()), (proof.code(), proof.text(), bytes.clone()));
    let (accused, incarnation, seq) = proof.accused();
    let spec = FaultSpec { accused, incarnation, seq, record: proof.record().id(), flaw: Flaw::Rule };
    proof.supports(&spec).unwrap();
    if choices.is_empty() {
        return;
    }
    let other = choices.splice(&bytes);
    match Bundle::parse(&other, &base.chain) {
        Ok(Bundle::Fault(proof)) => assert_eq!(proof.to_bytes(), other),
        Ok(Bundle::Evidence(evidence)) => assert_eq!(evidence.to_bytes(), other),
        Err(refusal) => drop(refused(refusal.code(), &refusal.to_string())),
    }
}

/// An audit of the network with the record at the end of its feed.
fn audited(accused: &Checked, proof: Option<&FaultProof>, base: &Base) {
    let record = accused.record();
    let name = feed_name(record.member, record.incarnation);
    let mut archive = base.archive.clone();
    let file = archive.read(&name, u64::MAX).unwrap_or_default();
    archive.insert(name, [&file[..], &frame(accused.bytes())].concat().into());
    let report = replay(&archive, &base.options, &|_, _| {}).unwrap();
    let of_it = report.findings.iter().filter(|one| one.record == Some(accused.id()));
    let found: Vec<&str> = of_it.filter(|one| one.severity == Severity::Failure).map(|one| one.code).collect();
    assert!(proof.is_some() || found.iter().all(|code| !JUDGED.contains(code)), "{found:?}, and no proof: {record:?}");
    let known = base
        .records
        .iter()
        .any(|(one, _)| (one.record().member, one.record().incarnation) == (record.member, record.incarnation));
    let follows = known && {
        let last = base.last(record);
        record.prev == Some(last.id()) && record.seq == last.record().seq.next()
    };
    if let Some(proof) = proof.filter(|_| follows) {
        assert_eq!(report.verdict(), Verdict::Failed, "{}: {record:?}", proof.code());
        let first = found.iter().any(|code| code.starts_with("FEED-") || *code == "RULE-018");
        assert!(first || found.contains(&proof.code()), "{}, and an audit says {found:?}: {record:?}", proof.code());
    }
}

/// A number near another.
fn near(number: &mut u64, choices: &mut Choices<'_>) {
    *number = number.saturating_add_signed(i64::from(choices.byte().cast_signed()));
}

fn change(record: &mut Record, choices: &mut Choices<'_>, base: &Base) {
    match choices.byte() % 10 {
        0 => near(&mut record.clock.0, choices),
        1 => near(&mut record.seq.0, choices),
        2 => near(&mut record.incarnation.0, choices),
        3 => record.prev = Some(base.some(choices).0.id()).filter(|_| choices.byte() & 1 == 0),
        4 => {
            record.manifest_version = u64::from(choices.byte() & 1);
            record.manifest_hash = base.chain.at(record.manifest_version).unwrap().1;
        }
        5 => parents(record, choices, base),
        6 => {
            if let Some(body) = &mut record.body {
                near(&mut body.length, choices);
            }
        }
        7 => record.codec = [None, Some(Codec::Bfp8), Some(Codec::Bfp16)][choices.place(3)],
        8 => {
            record.spec = base.some(choices).0.record().spec.clone();
            (record.body, record.codec) = (None, None);
        }
        _ => spec(record, choices, base),
    }
}

/// One parent more or less, or another one.
fn parents(record: &mut Record, choices: &mut Choices<'_>, base: &Base) {
    let (at, other) = (choices.place(record.parents.len()), base.some(choices).0.clone());
    let place = base.chain.current().place_of(&other.record().member).unwrap_or_default();
    match choices.byte() % 3 {
        0 if !record.parents.is_empty() => drop(record.parents.remove(at)),
        1 if !record.parents.is_empty() => record.parents[at].record = other.id(),
        _ => record.parents.push(Reference { member: place, record: other.id() }),
    }
    record.parents.sort_unstable();
    if let Spec::Update(update) = &mut record.spec {
        update.weights.resize(record.parents.len(), 1024);
    }
}

fn spec(record: &mut Record, choices: &mut Choices<'_>, base: &Base) {
    let update = match &mut record.spec {
        Spec::Update(update) => update,
        Spec::Release(release) => return near(&mut release.round.0, choices),
        _ => return,
    };
    match choices.byte() % 6 {
        0 => near(&mut update.round.0, choices),
        1 => update.phase = [Phase::Both, Phase::A, Phase::B][choices.place(3)],
        2 => {
            let at = choices.place(update.weights.len());
            update.weights.get_mut(at).into_iter().for_each(|weight| near(weight, choices));
        }
        3 => {
            let claim = update.privacy.get_or_insert(Privacy {
                sigma_milli: 1_100,
                clip_milli: 500,
                rate_micro: 10_000,
                steps: 60,
                epsilon_milli: 9_000,
                delta_log10_milli: 6_000,
            });
            let numbers = [&mut claim.sigma_milli, &mut claim.rate_micro, &mut claim.steps, &mut claim.epsilon_milli];
            let number = numbers.into_iter().nth(choices.place(4)).unwrap();
            near(number, choices);
        }
        4 => update.state = Some(fixture::body(&[7; 448])).filter(|_| choices.byte() & 1 == 0),
        _ => skipped(&mut update.skipped, choices, base),
    }
}

/// One more named as skipped, one less, or another reason.
fn skipped(skipped: &mut Vec<Skip>, choices: &mut Choices<'_>, base: &Base) {
    const REASONS: [SkipReason; 6] = [
        SkipReason::Absent,
        SkipReason::Stale,
        SkipReason::Unreachable,
        SkipReason::Distance,
        SkipReason::Refused,
        SkipReason::Banned,
    ];
    let (at, what, reason) = (choices.place(skipped.len()), choices.byte(), REASONS[choices.place(6)]);
    let record: Option<RecordId> = reason.is_of_record().then(|| base.some(choices).0.id());
    match (what % 3, skipped.get_mut(at)) {
        (0, Some(_)) => drop(skipped.remove(at)),
        (1, Some(skip)) => (skip.reason, skip.record) = (reason, record),
        _ => skipped.push(Skip { member: u64::from(what / 3 % 5), reason, record }),
    }
}
