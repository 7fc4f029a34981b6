//! The chain of manifests, as a member asks it.
#![allow(clippy::unwrap_used, reason = "a test may stop at a failure")]

use chorale_protocol::{
    admit::drawable,
    base::{Incarnation, KeyHash, MemberId, RecordId, Seq},
    feed::{Blame, check},
    fixture::{self, Author},
    manifest::{Chain, Cut, Handover, KeyEvent, Policy, Role, SignedManifest, Standing},
};

/// Version 1: member 2 is cut after its first record, and member 3 joins.
fn cut_and_grown(chain: &Chain, first: RecordId) -> Chain {
    let mut next = fixture::next(chain);
    next.members.retain(|member| member.id != fixture::member(2).id);
    next.members.push(fixture::member(3));
    next.members.sort_by_key(|member| member.id);
    next.cuts = vec![Cut { member: fixture::member(2).id, incarnation: Incarnation(0), last: Some((Seq(0), first)) }];
    let mut grown = chain.clone();
    grown.extend(fixture::signed(next, &[0])).unwrap();
    grown
}

#[test]
fn a_chain_answers_for_every_version_it_holds() {
    let chain = fixture::chain(3, fixture::policy());
    let grown = cut_and_grown(&chain, RecordId([1; 32]));
    assert_eq!((chain.current().version, grown.current().version), (0, 1));
    assert_eq!(grown.network(), chain.network());
    assert_eq!(grown.at(0), chain.at(0));
    assert_eq!(grown.at(1), Some((grown.current(), grown.current_hash())));
    assert_eq!(grown.at(2), None);
    assert_eq!(grown.at(u64::MAX), None);
    let again = grown.signed().split_first().map(|(genesis, later)| {
        let mut chain = Chain::genesis(genesis.clone()).unwrap();
        later.iter().for_each(|version| chain.extend(version.clone()).unwrap());
        chain.current_hash()
    });
    assert_eq!(again, Some(grown.current_hash()));
}

#[test]
fn members_are_found_by_id_and_by_transport_key_in_the_newest_version() {
    let chain = fixture::chain(3, fixture::policy());
    let grown = cut_and_grown(&chain, RecordId([1; 32]));
    for n in 0..4 {
        let member = fixture::member(n);
        let found = |chain: &Chain| {
            assert_eq!(chain.member(&member.id), chain.by_transport(&fixture::transport(n)));
            chain.member(&member.id).cloned()
        };
        assert_eq!(found(&chain), (n != 3).then(|| member.clone()), "{n}");
        assert_eq!(found(&grown), (n != 2).then(|| member.clone()), "{n}");
    }
    assert_eq!(chain.by_transport(&fixture::transport(99)), None);
}

#[test]
fn a_cut_leaves_what_came_before_and_takes_what_came_after() {
    let chain = fixture::chain(3, fixture::policy());
    let mut author = Author::new(2);
    let first = author.update(&chain, 1, &[]);
    let second = author.update(&chain, 2, &[&first]);
    let grown = cut_and_grown(&chain, first.id());
    assert!(check(second.bytes().clone(), &chain).is_ok());
    assert!(check(first.bytes().clone(), &grown).is_ok());
    let refusal = check(second.bytes().clone(), &grown).unwrap_err();
    assert_eq!((refusal.code(), refusal.blame()), ("REC-008", Blame::Nobody));
    let standing = |incarnation| grown.cut_of(&author.id, Incarnation(incarnation));
    assert_eq!(standing(0), Standing::UpTo(Seq(0), first.id()));
    assert_eq!(standing(1), Standing::Nothing);
    assert_eq!(grown.cut_of(&fixture::member(0).id, Incarnation(9)), Standing::Whole);
}

#[test]
fn a_record_of_a_later_version_waits_for_it_and_is_nobodys_fault() {
    let chain = fixture::chain(3, fixture::policy());
    let grown = cut_and_grown(&chain, RecordId([1; 32]));
    let record = Author::new(3).update(&grown, 1, &[]);
    let refusal = check(record.bytes().clone(), &chain).unwrap_err();
    assert_eq!((refusal.code(), refusal.blame()), ("REC-003", Blame::Nobody));
    assert!(check(record.bytes().clone(), &grown).is_ok());
}

#[test]
fn a_refused_version_leaves_the_chain_as_it_was() {
    let mut chain = fixture::chain(3, fixture::policy());
    let hash = chain.current_hash();
    let mut next = fixture::next(&chain);
    next.policy.adapter.alpha += 1;
    let error = chain.extend(fixture::signed(next.clone(), &[0])).unwrap_err();
    assert_eq!((error.code(), error.is_untimely()), ("MAN-010", false));
    next = fixture::next(&chain);
    next.policy.momentum = 0;
    let error = chain.extend(fixture::signed(next.clone(), &[0])).unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("momentum")), ("MAN-010", true));
    next = fixture::next(&chain);
    next.version = 2;
    let error = chain.extend(fixture::signed(next, &[0])).unwrap_err();
    assert_eq!((error.code(), error.is_untimely()), ("MAN-019", true));
    let genesis = chain.signed().remove(0);
    assert_eq!(chain.extend(genesis).unwrap_err().code(), "MAN-017");
    assert_eq!((chain.current_hash(), chain.signed().len()), (hash, 1));
}

#[test]
fn momentum_may_change_as_long_as_there_is_some() {
    let mut chain = fixture::chain(3, fixture::policy());
    let mut next = fixture::next(&chain);
    next.policy.momentum = 1;
    chain.extend(fixture::signed(next, &[0])).unwrap();
    let mut without = fixture::chain(3, Policy { momentum: 0, ..fixture::policy() });
    let mut next = fixture::next(&without);
    next.policy.momentum = 1;
    assert_eq!(without.extend(fixture::signed(next, &[0])).unwrap_err().code(), "MAN-010");
}

#[test]
fn votes_are_collected_one_by_one_in_any_order() {
    let mut manifest = fixture::genesis(2, fixture::policy());
    manifest.governors = (0..3).map(|n| fixture::governor(n).public()).collect();
    manifest.governors.sort();
    manifest.threshold = 2;
    let vote = |bytes: &[u8], n| {
        let mut signed = SignedManifest::parse(bytes).unwrap();
        signed.vote(&fixture::governor(n));
        signed.to_bytes()
    };
    let none = SignedManifest::new(manifest).unwrap().to_bytes();
    let one_way = [0, 1, 2, 1].into_iter().fold(none.clone(), |bytes, n| vote(&bytes, n));
    let other = [2, 1, 0].into_iter().fold(none.clone(), |bytes, n| vote(&bytes, n));
    assert_eq!(one_way, other);
    assert_eq!(Chain::genesis(none).unwrap_err().code(), "MAN-014");
    Chain::genesis(one_way).unwrap();
}

#[test]
fn a_member_id_is_that_of_its_first_key_and_stays_when_the_key_changes() {
    let mut chain = fixture::chain(2, fixture::policy());
    let anna = fixture::member(0).id;
    assert_eq!(anna, MemberId::of(&fixture::author(0).public()));
    let mut next = fixture::next(&chain);
    let place = next.members.iter().position(|member| member.id == anna).unwrap();
    next.members[place].author_key = fixture::author(77).public();
    next.members[place].role = Role::Observer;
    next.handovers = vec![Handover { member: anna, incarnation: Incarnation(0), last: None, log: None }];
    next.cuts = vec![Cut { member: anna, incarnation: Incarnation(0), last: None }];
    chain.extend(fixture::signed(next, &[0])).unwrap();
    let member = chain.member(&anna).unwrap();
    assert_eq!((member.author_key, member.role), (fixture::author(77).public(), Role::Observer));
    let mut next = fixture::next(&chain);
    next.members[place].id = MemberId([9; 32]);
    next.members.sort_by_key(|member| member.id);
    assert_eq!(chain.extend(fixture::signed(next, &[0])).unwrap_err().code(), "MAN-006");
}

#[test]
fn a_chain_knows_what_each_version_did_to_keys_and_what_stands_of_the_old_one() {
    let mut chain = fixture::chain(3, fixture::policy());
    let anna = fixture::member(0).id;
    let rekey = |chain: &mut Chain, key, next| {
        let mut version = fixture::next(chain);
        let entry = version.members.iter_mut().find(|member| member.id == anna).unwrap();
        let changed = entry.author_key != fixture::author(key).public();
        (entry.author_key, entry.next) = (fixture::author(key).public(), next);
        let last = Some((Seq(key), RecordId([7; 32])));
        version.handovers.extend(changed.then_some(Handover {
            member: anna,
            incarnation: Incarnation(0),
            last,
            log: None,
        }));
        chain.extend(fixture::signed(version, &[0])).unwrap();
    };
    let (hash, key) = (|key| KeyHash::of(&fixture::author(key).public()), |key| fixture::author(key).public());
    rekey(&mut chain, 0, Some(hash(10)));
    rekey(&mut chain, 10, None);
    rekey(&mut chain, 20, None);
    let member = anna;
    assert_eq!(chain.key_events(0), []);
    assert_eq!(chain.key_events(1), [KeyEvent::Recommitted { member, from: None, to: Some(hash(10)) }]);
    assert_eq!(chain.key_events(2), [KeyEvent::Rotated { member, from: key(0), to: key(10) }]);
    assert_eq!(chain.key_events(3), [KeyEvent::Rebound { member, from: key(10), to: key(20), committed: None }]);
    let places: Vec<_> = chain.handovers(&anna).iter().map(|(version, one)| (*version, one.last.unwrap().0)).collect();
    assert_eq!(places, [(2, Seq(10)), (3, Seq(20))]);
    assert_eq!(chain.handovers(&anna)[0].1.standing(Incarnation(0)), Standing::UpTo(Seq(10), RecordId([7; 32])));
    assert_eq!(chain.handovers(&fixture::member(1).id), []);
    let mut version = fixture::next(&chain);
    let entry = version.members.iter_mut().find(|member| member.id == anna).unwrap();
    entry.author_key = key(10);
    version.handovers = vec![Handover { member: anna, incarnation: Incarnation(1), last: None, log: None }];
    assert_eq!(chain.extend(fixture::signed(version, &[0])).unwrap_err().code(), "MAN-023");
    assert_eq!(chain.handovers(&anna).len(), 2, "a refused version leaves no trace");
}

#[test]
fn an_archivist_is_not_drawn_and_publishes_nothing() {
    let mut genesis = fixture::genesis(3, fixture::policy());
    let archivist = fixture::member(1).id;
    let entry = genesis.members.iter_mut().find(|member| member.id == archivist).unwrap();
    entry.role = Role::Archivist;
    let chain = Chain::genesis(fixture::signed(genesis, &[0])).unwrap();
    assert!(drawable(chain.current()).len() == 2 && !drawable(chain.current()).contains(&archivist));
    let update = Author::new(1).update(&chain, 1, &[]);
    assert_eq!(check(update.bytes().clone(), &chain).unwrap_err().code(), "REC-006");
    check(Author::new(2).update(&chain, 1, &[]).bytes().clone(), &chain).unwrap();
}
