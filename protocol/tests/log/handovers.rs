//! Logs whose owner's or cosigner's key was handed over, perhaps because it was stolen.

use chorale_protocol::{
    base::{Incarnation, MemberId},
    fixture,
    log::{Checkpoint, Keyring, NoteError, Request, Tree, TreeHash, cosign, held_head, judge, sign, verify},
    manifest::{Chain, Handover, LogEnd},
};

use crate::{checkpoint, leaf, origin, tree, world};

/// A version in which a member signs with this key, and its log passes to it at `log`.
fn hand_over(chain: &mut Chain, member: u64, key: u64, log: Option<LogEnd>) {
    let mut next = fixture::next(chain);
    let id = fixture::member(member).id;
    next.members.iter_mut().find(|entry| entry.id == id).unwrap().author_key = fixture::author(key).public();
    let incarnation = Incarnation(chain.current().version);
    next.handovers = vec![Handover { member: id, incarnation, last: None, log }];
    chain.extend(fixture::signed(next, &[0])).unwrap();
}

fn end(size: u64) -> LogEnd {
    LogEnd { size, root: tree(size).root(size).unwrap().0 }
}

/// The heads of a log of five leaves that goes on otherwise.
fn other(size: u64) -> Tree {
    Tree::from_leaves((0..size).map(|n| leaf(if n < 5 { n } else { n + 100 })))
}

/// Whether a note of member 0 over this head verifies, signed with this key.
fn by(chain: &Chain, key: u64, head: &Checkpoint) -> Result<MemberId, &'static str> {
    let verified = verify(&sign(head, &fixture::author(key)).to_bytes(), &Keyring::new(chain));
    verified.map(|found| found.member).map_err(|error| error.code())
}

#[test]
fn a_key_signs_for_its_part_of_the_log_alone() {
    let id = fixture::member(0).id;
    let (mut chain, _) = world();
    let at = |chain: &Chain, size: u64| checkpoint(chain, 0, &tree(size), size);
    let before = chain.clone();
    assert_eq!(by(&before, 0, &at(&before, 9)), Ok(id));
    hand_over(&mut chain, 0, 77, Some(end(5)));
    for size in [0, 3, 5] {
        assert_eq!(by(&chain, 0, &at(&chain, size)), Ok(id), "{size} leaves");
    }
    assert_eq!(by(&chain, 0, &at(&chain, 6)), Err("NOTE-015"), "whoever has the old key goes on");
    assert_eq!(by(&chain, 0, &checkpoint(&chain, 0, &other(9), 9)), Err("NOTE-015"));
    let odd = Checkpoint { root: TreeHash([7; 32]), ..at(&chain, 5) };
    assert_eq!(
        [by(&chain, 0, &odd), by(&chain, 77, &odd)],
        [Err("NOTE-015"); 2],
        "another root where it was handed over"
    );
    assert_eq!([by(&chain, 77, &at(&chain, 5)), by(&chain, 77, &at(&chain, 6))], [Ok(id); 2]);
    assert_eq!(by(&chain, 77, &at(&chain, 4)), Err("NOTE-015"), "what was there is not taken back");
    assert_eq!(by(&chain, 1, &at(&chain, 5)), Err("NOTE-012"), "a key of somebody else");
    let keyring = Keyring::new(&chain);
    assert_eq!(keyring.start(&origin(&chain, 0)), Some((5, TreeHash(end(5).root))));
    assert_eq!(keyring.start(&origin(&chain, 1)), None);
}

#[test]
fn a_handover_that_names_no_log_ends_what_was_signed_for_it() {
    let id = fixture::member(0).id;
    let (mut chain, _) = world();
    hand_over(&mut chain, 0, 77, None);
    for size in [0, 3, 9] {
        let head = checkpoint(&chain, 0, &tree(size), size);
        assert_eq!((by(&chain, 0, &head), by(&chain, 77, &head)), (Err("NOTE-015"), Ok(id)), "{size} leaves");
    }
}

#[test]
fn a_later_handover_may_take_an_earlier_one_back_and_never_goes_beyond_it() {
    let id = fixture::member(0).id;
    let at = |chain: &Chain, size: u64| checkpoint(chain, 0, &tree(size), size);
    let (mut back, _) = world();
    hand_over(&mut back, 0, 77, Some(end(9)));
    hand_over(&mut back, 0, 78, Some(end(5)));
    assert_eq!([by(&back, 0, &at(&back, 5)), by(&back, 0, &at(&back, 9))], [Ok(id), Err("NOTE-015")]);
    assert_eq!(by(&back, 77, &at(&back, 9)), Err("NOTE-015"));
    assert_eq!(by(&back, 78, &at(&back, 6)), Ok(id));
    let (mut on, _) = world();
    hand_over(&mut on, 0, 77, Some(end(5)));
    hand_over(&mut on, 0, 78, Some(end(9)));
    assert_eq!([by(&on, 0, &at(&on, 5)), by(&on, 0, &at(&on, 9))], [Ok(id), Err("NOTE-015")]);
    assert_eq!([by(&on, 77, &at(&on, 9)), by(&on, 78, &at(&on, 9))], [Ok(id); 2]);
    hand_over(&mut on, 0, 79, None);
    assert_eq!([by(&on, 0, &at(&on, 3)), by(&on, 78, &at(&on, 9))], [Err("NOTE-015"); 2]);
}

#[test]
fn a_cosignature_by_a_key_that_was_handed_over_does_not_count() {
    let (mut chain, _) = world();
    let head = checkpoint(&chain, 0, &tree(5), 5);
    let mut note = sign(&head, &fixture::author(0));
    for member in [1, 2] {
        note.add(cosign(&head, &origin(&chain, member), &fixture::author(member), 1000)).unwrap();
    }
    let cosigners = |chain: &Chain, note: &[u8]| verify(note, &Keyring::new(chain)).unwrap().cosigners;
    assert_eq!(cosigners(&chain, &note.to_bytes()).len(), 2);
    hand_over(&mut chain, 1, 77, Some(end(9)));
    assert_eq!(cosigners(&chain, &note.to_bytes()), [(fixture::member(2).id, 1000)], "a thief gives any time");
    note.add(cosign(&head, &origin(&chain, 1), &fixture::author(77), 3000)).unwrap();
    let both = cosigners(&chain, &note.to_bytes());
    assert!(both.len() == 2 && both.contains(&(fixture::member(1).id, 3000)), "{both:?}");
    // That it does not count does not mean that it may be wrong.
    let text = String::from_utf8(note.to_bytes()).unwrap().replace("\n5\n", "\n6\n");
    assert_eq!(verify(text.as_bytes(), &Keyring::new(&chain)).unwrap_err(), {
        let name = origin(&chain, 0).to_string();
        NoteError::Signature { name }
    });
}

/// Member 0 asks member 1 for `new`, from `old` on.
fn asks(chain: &Chain, tree: &Tree, key: u64, old: u64, new: u64) -> Request {
    let proof = tree.consistency(old.min(new), new).unwrap();
    Request { old, proof, note: sign(&checkpoint(chain, 0, tree, new), &fixture::author(key)) }
}

/// Before the handover nobody can tell a thief from the member; what the thief got cosigned does not bind the member after it.
#[test]
fn a_witness_goes_on_from_the_handover_whatever_an_earlier_key_made_it_cosign() {
    let (mut chain, keyring) = world();
    let me = fixture::member(1).id;
    let stolen = asks(&chain, &other(30), 0, 0, 30);
    let accepted = judge(&me, None, &stolen, &keyring).unwrap();
    let signature = accepted.cosign(&origin(&chain, 1), &fixture::author(1), 99);
    let kept = accepted.note(&stolen, &keyring, signature).unwrap().to_bytes();
    let held = held_head(&kept, &keyring).unwrap();
    assert_eq!(held.map(|(size, _)| size), Some(30));
    let refusal = |keyring: &Keyring, held, request: &Request| judge(&me, held, request, keyring).unwrap_err().code();
    assert_eq!(refusal(&keyring, held, &asks(&chain, &tree(12), 0, 30, 12)), "PRF-002", "the member's log is blocked");

    hand_over(&mut chain, 0, 77, Some(end(5)));
    let keyring = Keyring::new(&chain);
    assert_eq!(held_head(&kept, &keyring).unwrap(), None);
    let go_on = asks(&chain, &tree(12), 77, 5, 12);
    let accepted = judge(&me, None, &go_on, &keyring).unwrap();
    assert_eq!(accepted.head(), (12, tree(12).root(12).unwrap()));
    let signature = accepted.cosign(&origin(&chain, 1), &fixture::author(1), 199);
    let kept = accepted.note(&go_on, &keyring, signature).unwrap().to_bytes();
    assert_eq!(held_head(&kept, &keyring).unwrap(), Some(accepted.head()));

    assert_eq!(refusal(&keyring, None, &asks(&chain, &tree(12), 77, 0, 12)), "ASK-003", "it tells from where");
    let foreign = Tree::from_leaves((200..212).map(leaf));
    assert_eq!(refusal(&keyring, None, &asks(&chain, &foreign, 77, 5, 12)), "PRF-004", "it continues another log");
    assert_eq!(refusal(&keyring, None, &asks(&chain, &tree(12), 0, 5, 12)), "NOTE-015");
    for size in [3, 5] {
        let request = asks(&chain, &tree(5), 0, size, size);
        assert_eq!(refusal(&keyring, None, &request), "ASK-005", "{size} leaves: an earlier key signs nothing new");
    }
}
