//! Records, feeds and evidence, as a member sees them.
#![allow(clippy::unwrap_used, reason = "a test may stop at a failure")]

use chorale_protocol::{
    base::{Incarnation, Seq, UnixSeconds},
    feed::{
        Checked, Close, Evidence, EvidenceForm, EvidenceSpec, Feed, Linked, Spec, check, check_stored, peek_id, sign,
    },
    fixture::{self, Author},
    manifest::{Chain, Handover},
};

fn three(chain: &Chain, author: &mut Author) -> Vec<Checked> {
    let mut records = vec![author.update(chain, 1, &[])];
    for round in 2..=3 {
        let parent = records[records.len() - 1].clone();
        records.push(author.update(chain, round, &[&parent]));
    }
    records
}

fn none(_: &chorale_protocol::base::RecordId) -> Option<Checked> {
    None
}

#[test]
fn a_record_checks_out_with_its_own_bytes_and_id() {
    let chain = fixture::chain(3, fixture::policy());
    let (mut anna, mut ben) = (Author::new(0), Author::new(1));
    let first = anna.update(&chain, 1, &[]);
    let second = ben.update(&chain, 2, &[&first]);
    let checked = check(second.bytes().clone(), &chain).unwrap();
    assert_eq!((checked.id(), checked.record()), (second.id(), second.record()));
    assert_eq!(check_stored(second.bytes().clone(), &chain).unwrap().id(), second.id());
}

#[test]
fn an_id_is_seen_without_a_look_at_the_signature() {
    let chain = fixture::chain(1, fixture::policy());
    let record = Author::new(0).update(&chain, 1, &[]);
    assert_eq!(peek_id(record.bytes()), Some(record.id()));
    let mut other = record.bytes().to_vec();
    *other.last_mut().unwrap() ^= 1;
    assert_eq!(peek_id(&other.clone().into()), Some(record.id()));
    other.pop();
    assert_eq!(peek_id(&other.into()), None);
}

#[test]
fn each_key_of_a_member_has_sixty_four_incarnations() {
    let mut chain = fixture::chain(1, fixture::policy());
    let mut author = Author::new(0);
    let code = |chain: &Chain, author: &Author, incarnation| {
        let mut record = author.draft(chain, &[], Spec::Close(Close::Left));
        record.prev = Some(chorale_protocol::base::RecordId([1; 32]));
        record.incarnation = Incarnation(incarnation);
        let signed = sign(record, &fixture::author(author.key)).unwrap();
        check(signed.bytes().clone(), chain).err().map(|refusal| refusal.code())
    };
    for (incarnation, want) in [(63, None), (64, Some("REC-028")), (1 << 52, Some("REC-028"))] {
        assert_eq!(code(&chain, &author, incarnation), want, "{incarnation}");
    }
    let mut next = fixture::next(&chain);
    next.members[0].author_key = fixture::author(70).public();
    next.handovers = vec![Handover { member: author.id, incarnation: Incarnation(5), last: None, log: None }];
    chain.extend(fixture::signed(next, &[0])).unwrap();
    author.hand_over(70);
    for (incarnation, want) in [(5, Some("REC-029")), (6, None), (69, None), (70, Some("REC-028"))] {
        assert_eq!(code(&chain, &author, incarnation), want, "{incarnation}");
    }
}

#[test]
fn a_feed_takes_records_in_order_and_names_gaps() {
    let chain = fixture::chain(1, fixture::policy());
    let mut anna = Author::new(0);
    let records = three(&chain, &mut anna);
    let mut feed = Feed::new(anna.id, Incarnation(0));
    assert!(matches!(feed.offer(&records[1], none), Ok(Linked::Gap { from: Seq(0) })));
    for record in &records {
        assert!(matches!(feed.offer(record, none), Ok(Linked::Appended)));
        assert!(matches!(feed.offer(record, none), Ok(Linked::Duplicate)));
    }
    assert_eq!(feed.head().unwrap().id, records[2].id());
    assert_eq!(feed.next(), Seq(3));
}

#[test]
fn two_records_in_one_place_are_proof_whichever_comes_first() {
    let chain = fixture::chain(2, fixture::policy());
    let (mut one, mut two) = (Author::new(0), Author::new(0));
    let honest = three(&chain, &mut one);
    let mut other = two.draft(&chain, &[], honest[0].record().spec.clone());
    other.claimed_time = UnixSeconds(60);
    let other = two.write(other);
    let fork = Evidence::of(&honest[0], &other).unwrap();
    assert_eq!(fork.form, EvidenceForm::SamePlace);
    assert_eq!(fork.to_bytes(), Evidence::of(&other, &honest[0]).unwrap().to_bytes());
    let parsed = Evidence::parse(&fork.to_bytes(), &chain).unwrap();
    assert_eq!(parsed.accused(), (one.id, Incarnation(0), Seq(0)));
    for (first, second) in [(&honest[0], &other), (&other, &honest[0])] {
        let mut feed = Feed::new(one.id, Incarnation(0));
        feed.offer(first, none).unwrap();
        let linked = feed.offer(second, |id| (*id == first.id()).then(|| first.clone())).unwrap();
        let Linked::Fork(found) = linked else { panic!("no fork: {linked:?}") };
        assert_eq!(found.to_bytes(), fork.to_bytes());
        assert_eq!(feed.offer(second, none).unwrap_err().code(), "FEED-005");
    }
}

#[test]
fn evidence_supports_only_the_record_that_names_its_place() {
    let chain = fixture::chain(2, fixture::policy());
    let (mut one, mut two) = (Author::new(0), Author::new(0));
    let first = one.update(&chain, 1, &[]);
    let mut other = first.record().clone();
    other.claimed_time = UnixSeconds(60);
    let evidence = Evidence::of(&first, &two.write(other)).unwrap();
    let said = EvidenceSpec { accused: one.id, incarnation: Incarnation(0), seq: Seq(0) };
    assert_eq!(evidence.supports(&said), Ok(()));
    let wrong = [
        EvidenceSpec { accused: fixture::member(1).id, ..said },
        EvidenceSpec { incarnation: Incarnation(1), ..said },
        EvidenceSpec { seq: Seq(1), ..said },
    ];
    for spec in wrong {
        assert_eq!(evidence.supports(&spec).unwrap_err().code(), "FEED-007");
    }
}

#[test]
fn another_prev_is_proof_though_its_record_is_withheld() {
    let chain = fixture::chain(2, fixture::policy());
    let (mut one, mut two) = (Author::new(0), Author::new(0));
    let honest = three(&chain, &mut one);
    let mut hidden = two.draft(&chain, &[], honest[0].record().spec.clone());
    hidden.claimed_time = UnixSeconds(60);
    let hidden = two.write(hidden);
    let next = two.update(&chain, 2, &[&hidden]);
    let mut feed = Feed::new(one.id, Incarnation(0));
    feed.offer(&honest[0], none).unwrap();
    let Linked::Fork(found) = feed.offer(&next, |_| Some(honest[0].clone())).unwrap() else { panic!("no fork") };
    assert_eq!(found.form, EvidenceForm::OtherPrev);
    assert_eq!(Evidence::parse(&found.to_bytes(), &chain).unwrap().accused().2, Seq(0));
    // Records that follow one another contradict nothing.
    assert!(Evidence::of(&honest[0], &honest[1]).is_none());
    assert!(Evidence::of(&honest[0], &honest[0]).is_none());
}

#[test]
fn nothing_follows_a_close() {
    let chain = fixture::chain(1, fixture::policy());
    let mut anna = Author::new(0);
    let mut feed = Feed::new(anna.id, Incarnation(0));
    let first = anna.update(&chain, 1, &[]);
    let close = anna.write(anna.draft(&chain, &[], Spec::Close(Close::Left)));
    let late = anna.update(&chain, 2, &[&first]);
    for record in [&first, &close] {
        assert!(matches!(feed.offer(record, none), Ok(Linked::Appended)));
    }
    assert!(feed.is_closed());
    assert_eq!(feed.offer(&late, none).unwrap_err().code(), "FEED-004");
}

#[test]
fn a_clock_that_stands_still_is_refused() {
    let chain = fixture::chain(1, fixture::policy());
    let mut anna = Author::new(0);
    let mut feed = Feed::new(anna.id, Incarnation(0));
    let first = anna.update(&chain, 1, &[]);
    feed.offer(&first, none).unwrap();
    let mut still = anna.draft(&chain, &[&first], Spec::Update(fixture::update(&chain, 2, 1)));
    still.clock = first.record().clock;
    let still = sign(still, &fixture::author(0)).unwrap();
    assert_eq!(feed.offer(&still, none).unwrap_err().code(), "FEED-002");
}
