//! Records that break a rule, or of which this version cannot judge all.

use bytes::Bytes;
use chorale_protocol::{
    audit::{
        ArchiveBuilder, MemoryArchive,
        layout::{Name, frame},
    },
    base::{Incarnation, Lamport, RecordId, Round},
    code::Domain,
    feed::{Checked, Close, Other, Privacy, Record, Release, SkipReason, Spec},
    fixture,
    manifest::{Chain, Policy, PrivacyTerms},
};

use crate::{
    Golden,
    merges::without,
    plays::{SEED, anchored, blaming, golden},
    world::World,
};

pub(crate) fn all() -> Vec<Golden> {
    vec![rounds(), releases(), old_versions(), unknown_kind(), other_start(), privacy(), privacy_terms(), refused()]
}

fn round(checked: &Checked) -> Round {
    let Spec::Update(update) = &checked.record().spec else { panic!("no update") };
    update.round
}

/// A round too far on, one that does not rise, a clock too far on, and a weight that is not its age's. An update that does not rise
/// is not linked, and no other rule is asked of it.
fn rounds() -> Golden {
    let mut world = World::play(4, 2, fixture::policy(), SEED);
    world.step_with(0, |draft| draft.update().round = Round(9));
    world.step_with(2, |draft| draft.record.clock = Lamport(100));
    world.step_with(3, |draft| draft.update().weights[0] -= 1);
    let last = round(&world.published[1].last().unwrap().checked);
    world.step_with(1, |draft| draft.update().round = last);
    let heads = world.heads();
    let found = [("RULE-005", 0), ("FEED-008", 1), ("RULE-004", 2), ("RULE-008", 3)];
    golden("rounds", &world, world.archive(), vec![blaming(&world, &heads, 1, &found)])
}

fn release(world: &mut World, who: usize, of: &Checked, round: Round) {
    world.write(who, &[of], Spec::Release(Release { round, label: "v1".into() }), None);
}

/// An update that is released twice, one of another round, one of another member; and what follows a close.
fn releases() -> Golden {
    let mut world = World::play(4, 1, fixture::policy(), SEED);
    let own: Vec<Checked> = world.published.iter().map(|list| list[0].checked.clone()).collect();
    (0..2).for_each(|_| release(&mut world, 0, &own[0], round(&own[0])));
    release(&mut world, 1, &own[1], Round(7));
    release(&mut world, 2, &own[0], round(&own[0]));
    (0..2).for_each(|_| drop(world.write(3, &[], Spec::Close(Close::Left), None)));
    let heads = world.heads();
    let found = [("FEED-009", 0), ("RULE-011", 1), ("RULE-016", 2), ("FEED-004", 3)];
    golden("releases", &world, world.archive(), vec![blaming(&world, &heads, 1, &found)])
}

/// A member stays under the genesis when there is a version 1, and publishes there from its own last one alone; another one merges that
/// too late. Then the first one merges what was published under version 1, and still names the genesis.
fn old_versions() -> Golden {
    let mut world = World::play(3, 2, Policy { ages: vec![65_536, 46_341], ..fixture::policy() }, SEED);
    let old = (world.chain.current().version, world.chain.current_hash());
    world.amend(|manifest| manifest.policy.round_ms = 1_000);
    (1..3).for_each(|who| drop(world.step(who)));
    let newest: Vec<(u64, RecordId)> = world
        .published
        .iter()
        .map(|list| list.last().unwrap())
        .map(|one| (world.place(&one.voice.member), one.voice.record))
        .collect();
    for _ in 0..4 {
        without(&mut world, 0, &[1, 2], |draft| {
            (draft.record.manifest_version, draft.record.manifest_hash) = old;
            for skip in &mut draft.update().skipped {
                skip.reason = SkipReason::Unreachable;
                skip.record = newest.iter().find(|(place, _)| *place == skip.member).map(|(_, record)| *record);
            }
        });
    }
    world.step(1);
    world.step_with(0, |draft| (draft.record.manifest_version, draft.record.manifest_hash) = old);
    let heads = world.heads();
    let found = [("RULE-018", 1), ("RULE-017", 0)];
    golden("old-versions", &world, world.archive(), vec![blaming(&world, &heads, 1, &found)])
}

/// A record of a kind that this version does not know; what stands behind it is judged.
fn unknown_kind() -> Golden {
    let mut world = World::play(3, 1, fixture::policy(), SEED);
    world.write(1, &[], Spec::Other(Other { kind: 9, item: vec![0x81, 0x07] }), None);
    world.rounds(1);
    let heads = world.heads();
    golden("unknown-kind", &world, world.archive(), vec![blaming(&world, &heads, 3, &[("REC-001", 1)])])
}

/// A start that is not its seed's. The first merges, of nobody, are of the right one.
fn other_start() -> Golden {
    let mut world = World::new(2, fixture::policy(), SEED);
    let mut policy = world.chain.current().policy.clone();
    policy.adapter.start[0] ^= 1;
    world.chain = Chain::genesis(fixture::signed(fixture::genesis(2, policy), &[0])).unwrap();
    world.builder = ArchiveBuilder::new(world.chain.signed());
    world.rounds(1);
    let heads = world.heads();
    golden("other-start", &world, world.archive(), vec![anchored(&heads, 1, &["MAN-024"])])
}

const SPENT: Privacy = Privacy {
    sigma_milli: 1_000,
    clip_milli: 500,
    rate_micro: 10_000,
    steps: 1_000,
    epsilon_milli: 4_000,
    delta_log10_milli: 6_000,
};

fn claim(world: &mut World, who: usize, claim: Privacy) -> Checked {
    world.step_with(who, |draft| draft.update().privacy = Some(claim))
}

/// Claims that rise; one that takes back what was spent behind an update without any, one of another δ, and one that takes it back in
/// a later incarnation.
fn privacy() -> Golden {
    let mut world = World::new(4, fixture::policy(), SEED);
    (0..4).for_each(|who| drop(claim(&mut world, who, SPENT)));
    claim(&mut world, 0, Privacy { steps: 1_001, epsilon_milli: 4_001, clip_milli: 1, ..SPENT });
    world.step(1);
    claim(&mut world, 1, Privacy { epsilon_milli: 3_999, ..SPENT });
    claim(&mut world, 2, Privacy { delta_log10_milli: 5_999, ..SPENT });
    world.authors[3].incarnation = Incarnation(1);
    claim(&mut world, 3, Privacy { steps: 999, ..SPENT });
    let heads = world.heads();
    let found = [("RULE-020", 1), ("RULE-020", 2), ("INC-001", 3), ("RULE-020", 3)];
    golden("privacy", &world, world.archive(), vec![blaming(&world, &heads, 1, &found)])
}

/// A payload, in order or not, as the holder of author key number `who` signs it.
fn envelope(payload: &[u8], who: u64) -> Bytes {
    let head = match u8::try_from(payload.len()) {
        Ok(length) => vec![0x82, 0x58, length],
        Err(_) => [[0x82, 0x59], u16::try_from(payload.len()).unwrap().to_be_bytes()].concat(),
    };
    let signature = fixture::author(who).sign(Domain::Record, payload);
    [head.as_slice(), payload, &[0x58, 0x40], &signature.0].concat().into()
}

/// Adds a frame to a record's feed.
fn append(archive: &mut MemoryArchive, record: &Record, envelope: &[u8]) {
    let name = Name::Feed(record.member, record.incarnation).to_string();
    let feed = archive.remove(&name).unwrap();
    archive.insert(name, [feed, frame(envelope).into()].concat().into());
}

/// A policy that wants claims: where it takes another δ, ε may fall; updates without a claim, of too much, and of less than such steps
/// cost, are refused.
fn privacy_terms() -> Golden {
    let terms = PrivacyTerms { delta_log10_milli: 6_000, epsilon_milli: 5_000 };
    let mut world = World::new(4, Policy { privacy: Some(terms), ..fixture::policy() }, SEED);
    (0..4).for_each(|who| drop(claim(&mut world, who, SPENT)));
    let terms = PrivacyTerms { delta_log10_milli: 5_000, ..terms };
    world.amend(|manifest| manifest.policy.privacy = Some(terms));
    let less = Privacy { delta_log10_milli: 5_000, epsilon_milli: 3_900, ..SPENT };
    claim(&mut world, 0, less);
    let heads = world.heads();
    let own = world.published[3].last().cloned();
    let mut low = world.draft(3, own.as_ref());
    low.update().privacy = Some(Privacy { epsilon_milli: less.least_epsilon_milli() - 1, ..less });
    let refused = [world.step(1), claim(&mut world, 2, Privacy { epsilon_milli: 5_001, ..less })];
    let mut archive = world.archive();
    refused.iter().for_each(|record| World::withhold(&mut archive, record));
    append(&mut archive, &low.record, &envelope(&low.record.payload(), 3));
    let found = [("REC-032", 1), ("REC-032", 2), ("REC-031", 3)];
    golden("privacy-terms", &world, archive, vec![blaming(&world, &heads, 1, &found)])
}

/// Records that are not CBOR of the one encoding, of another version, of another manifest than this version's, by another key than the
/// member's, and of another feed; and a version of the manifest without a vote.
fn refused() -> Golden {
    let mut world = World::play(5, 1, fixture::policy(), SEED);
    let heads = world.heads();
    world.builder.manifests(vec![world.chain.signed()[0].clone(), fixture::signed(fixture::next(&world.chain), &[])]);
    let mut archive = world.archive();
    for who in 0..5 {
        let mut record = world.authors[who].draft(&world.chain, &[], Spec::Close(Close::Left));
        match who {
            2 => record.manifest_hash.0[0] ^= 1,
            3 => record.key = fixture::author(9).public(),
            _ => {}
        }
        let mut payload = record.payload();
        // A map begins with its head and key 0, the version: 1.
        match who {
            0 => drop(payload.splice(2..3, [0x18, 0x01])),
            1 => payload[2] = 2,
            _ => {}
        }
        let envelope = envelope(&payload, if who == 3 { 9 } else { who as u64 });
        let feed = if who == 4 { world.published[0][0].checked.bytes() } else { &envelope };
        append(&mut archive, &record, feed);
    }
    let codes = ["CBOR-004", "FRM-002", "MAN-014", "REC-001", "REC-004", "REC-007"];
    golden("refused", &world, archive, vec![anchored(&heads, 1, &codes)])
}
