//! How a record names others.
#![allow(clippy::unwrap_used, reason = "a test may stop at a failure")]

use chorale_protocol::{
    base::{BlobHash, Incarnation, Lamport, RecordId, Seq, UnixSeconds, limit},
    feed::{Body, Privacy, Record, Reference, Skip, SkipReason, Spec, Update, check, sign},
    fixture::{self, Author},
    manifest::Chain,
};

const MOST: u64 = (1 << 53) - 1;
const ID: RecordId = RecordId([0xff; 32]);
const BODY: Body = Body { hash: BlobHash([0xff; 32]), length: 1 << 31 };

fn chain() -> Chain {
    fixture::chain(3, fixture::policy())
}

/// An update whose every field is as long as it can be, but for parents and skipped.
fn longest(chain: &Chain) -> (Record, Update) {
    let update = Update {
        steps: MOST,
        examples: 1 << 52,
        loss_before_micro: Some(MOST),
        loss_after_micro: Some(MOST),
        privacy: Some(Privacy {
            sigma_milli: MOST,
            clip_milli: MOST,
            rate_micro: 1_000_000,
            steps: MOST,
            epsilon_milli: MOST,
            delta_log10_milli: MOST,
        }),
        dataset: Some([0xff; 32]),
        state: Some(BODY),
        ..fixture::update(chain, MOST, 0)
    };
    let record = Record {
        incarnation: Incarnation(63),
        seq: Seq(MOST),
        prev: Some(ID),
        manifest_version: MOST,
        clock: Lamport(MOST),
        claimed_time: UnixSeconds(MOST - MOST % 60),
        body: Some(BODY),
        seen: Some(BlobHash([0xff; 32])),
        ..Author::new(0).draft(chain, &[], Spec::Update(update.clone()))
    };
    (record, update)
}

/// With the parents and skipped members of the last places that a member list can have.
fn with(record: &Record, update: &Update, parents: u64, skipped: u64) -> Record {
    let last = limit::MEMBERS as u64 - parents - skipped;
    let skip = |place| Skip { member: last + place, reason: SkipReason::Distance, record: Some(ID) };
    let spec = Update {
        weights: (0..parents).map(|_| limit::WEIGHT).collect(),
        skipped: (parents..parents + skipped).map(skip).collect(),
        ..update.clone()
    };
    let parents = (0..parents).map(|place| Reference { member: last + place, record: ID }).collect();
    Record { parents, spec: Spec::Update(spec), ..record.clone() }
}

#[test]
fn sixty_four_parents_and_skipped_members_fit_into_a_record_and_a_65th_is_refused() {
    let chain = chain();
    let (record, update) = longest(&chain);
    for parents in 1..=64 {
        let signed = sign(with(&record, &update, parents, 64 - parents), &fixture::author(0)).unwrap();
        assert!(signed.bytes().len() > 3_000, "nearly the largest: {} bytes", signed.bytes().len());
    }
    for (parents, skipped, code) in [(1, 64, "REC-023"), (64, 1, "REC-023"), (65, 0, "REC-014")] {
        let refused = sign(with(&record, &update, parents, skipped), &fixture::author(0)).unwrap_err();
        assert_eq!(refused.code(), code, "{parents} and {skipped}");
    }
}

#[test]
fn a_parent_stands_once_for_each_member_in_the_order_of_the_list() {
    let chain = chain();
    let record = |members: &[u64]| {
        let parents = members.iter().map(|member| Reference { member: *member, record: ID }).collect();
        let spec = Spec::Update(fixture::update(&chain, 2, members.len()));
        let draft = Record { parents, ..Author::new(0).draft(&chain, &[], spec) };
        sign(draft, &fixture::author(0)).and_then(|signed| check(signed.bytes().clone(), &chain))
    };
    assert!(record(&[0, 1, 2]).is_ok());
    for (members, code) in [([0, 0], "REC-015"), ([2, 1], "REC-015"), ([1, 3], "REC-030")] {
        assert_eq!(record(&members).unwrap_err().code(), code, "{members:?}");
    }
}

#[test]
fn a_skip_names_an_update_exactly_where_its_reason_speaks_of_one() {
    let chain = chain();
    let refused = |reason, record| {
        let skipped = vec![Skip { member: 1, reason, record }];
        let spec = Spec::Update(Update { skipped, ..fixture::update(&chain, 1, 0) });
        let signed = sign(Author::new(0).draft(&chain, &[], spec), &fixture::author(0));
        signed.and_then(|signed| check(signed.bytes().clone(), &chain)).err().map(|refusal| refusal.code())
    };
    for reason in [SkipReason::Stale, SkipReason::Unreachable, SkipReason::Distance, SkipReason::Refused] {
        assert_eq!((refused(reason, Some(ID)), refused(reason, None)), (None, Some("REC-023")), "{reason:?}");
    }
    for reason in [SkipReason::Absent, SkipReason::Banned] {
        assert_eq!((refused(reason, None), refused(reason, Some(ID))), (None, Some("REC-023")), "{reason:?}");
    }
}

#[test]
fn an_update_names_up_to_64_recomputed_merges_each_once_and_in_order() {
    let chain = chain();
    let refused = |checked: Vec<RecordId>| {
        let spec = Spec::Update(Update { checked, ..fixture::update(&chain, 1, 0) });
        let draft = Record { body: Some(BODY), ..Author::new(0).draft(&chain, &[], spec) };
        let signed = sign(draft, &fixture::author(0));
        signed.and_then(|signed| check(signed.bytes().clone(), &chain)).err().map(|refusal| refusal.code())
    };
    let ids = |count: u8| (0..count).map(|n| RecordId([n; 32])).collect::<Vec<_>>();
    assert_eq!((refused(ids(0)), refused(ids(1)), refused(ids(64))), (None, None, None));
    assert_eq!(refused(ids(65)), Some("REC-033"));
    assert_eq!(refused(ids(3).into_iter().rev().collect()), Some("REC-033"));
    assert_eq!(refused(vec![ID, ID]), Some("REC-033"));
}
