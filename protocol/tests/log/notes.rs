//! Notes, checkpoints, cosignatures.

use chorale_protocol::{
    base::Incarnation,
    fixture,
    log::{COSIGN_TIME_MAX, Checkpoint, NOTE_BYTES, Note, NoteSignature, SIGNATURES, TreeHash, cosign, sign, verify},
    manifest::{Chain, Handover},
};

use crate::{checkpoint, note, origin, tree, world};

/// A note of member 0 over five leaves, cosigned by members 1 and 2 at 1000 and 2000 s.
fn cosigned(chain: &Chain) -> Note {
    let mut note = note(chain, 0, &tree(5), 5);
    let head = checkpoint(chain, 0, &tree(5), 5);
    for member in [1, 2] {
        note.add(cosign(&head, &origin(chain, member), &fixture::author(member), 1000 * member)).unwrap();
    }
    note
}

fn text(note: &Note) -> String {
    String::from_utf8(note.to_bytes()).unwrap()
}

#[test]
fn a_note_is_read_as_it_was_written() {
    let (chain, keyring) = world();
    let note = cosigned(&chain);
    let bytes = note.to_bytes();
    assert_eq!(Note::parse(&bytes), Ok(note));
    let verified = verify(&bytes, &keyring).unwrap();
    assert_eq!(verified.checkpoint, checkpoint(&chain, 0, &tree(5), 5));
    assert_eq!(verified.member, fixture::member(0).id);
    let mut wanted = vec![(fixture::member(1).id, 1000), (fixture::member(2).id, 2000)];
    wanted.sort();
    assert_eq!(verified.cosigners, wanted);
    let seen = |count| verified.seen_by(count);
    assert_eq!((seen(0), seen(1), seen(2), seen(3)), (None, Some(1000), Some(2000), None));
}

#[test]
fn the_owner_and_a_second_key_of_a_cosigner_do_not_count_twice() {
    let (chain, _) = world();
    let mut next = fixture::next(&chain);
    let id = fixture::member(1).id;
    let place = next.members.iter().position(|member| member.id == id).unwrap();
    next.members[place].author_key = fixture::author(77).public();
    let nothing = Handover { member: id, incarnation: Incarnation(0), last: None, log: None };
    next.handovers = vec![nothing];
    let mut chain = chain;
    chain.extend(fixture::signed(next, &[0])).unwrap();
    let keyring = chorale_protocol::log::Keyring::new(&chain);
    let mut note = cosigned(&chain);
    let head = checkpoint(&chain, 0, &tree(5), 5);
    note.add(cosign(&head, &origin(&chain, 1), &fixture::author(77), 500)).unwrap();
    note.add(cosign(&head, &origin(&chain, 0), &fixture::author(0), 1)).unwrap();
    let verified = verify(&note.to_bytes(), &keyring).unwrap();
    assert_eq!(verified.cosigners.len(), 2, "{verified:?}");
    assert!(verified.cosigners.contains(&(id, 500)), "a member's earliest time counts");
    let by_new = sign(&head, &fixture::author(77));
    assert_eq!(verify(&by_new.to_bytes(), &keyring).unwrap_err().code(), "NOTE-012", "a key of another member");
}

/// Each with what is wrong and the code that says it.
#[test]
fn a_note_of_another_form_is_refused() {
    let (chain, keyring) = world();
    let good = text(&cosigned(&chain));
    let name = origin(&chain, 0).to_string();
    let line = |name: &str, base64: &str| format!("\u{2014} {name} {base64}\n");
    let root = good.lines().nth(2).unwrap();
    let own = good.lines().nth(4).unwrap();
    let cases = [
        ("no final newline", good.trim_end().to_owned(), "NOTE-003"),
        ("CRLF", good.replace('\n', "\r\n"), "NOTE-002"),
        ("a NUL", good.replacen("chorale", "chor\0le", 1), "NOTE-002"),
        ("no blank line", good.replacen("\n\n", "\n", 1), "NOTE-003"),
        ("no signature", format!("{}\n\n", good.split("\n\n").next().unwrap()), "NOTE-003"),
        ("a line too many at the end", format!("{good}\n"), "NOTE-003"),
        ("a hyphen for the dash", good.replacen('\u{2014}', "-", 1), "NOTE-003"),
        ("no name", good.replacen(&format!("\u{2014} {name} "), "\u{2014}  ", 1), "NOTE-004"),
        ("a plus in a name", good.clone() + &line("a+b", "AAAAAAA="), "NOTE-004"),
        ("a space in a name", good.clone() + &line("a b", "AAAAAAA="), "NOTE-005"),
        ("a no-break space in a name", good.clone() + &line("a\u{a0}b", "AAAAAAA="), "NOTE-004"),
        ("no base64", good.clone() + &line("ab", "AAAA*AA="), "NOTE-005"),
        ("base64 without padding", good.clone() + &line("ab", "AAAAAAA"), "NOTE-005"),
        ("base64 with bits left over", good.clone() + &line("ab", "AAAAAAB="), "NOTE-005"),
        ("a key id alone", good.clone() + &line("ab", "AAAAAA=="), "NOTE-005"),
        ("a signature twice", format!("{good}{own}\n"), "NOTE-007"),
        ("an unknown key twice", good.clone() + &line("ab", "AAAAAAA=").repeat(2), "NOTE-007"),
        ("an extension line", good.replacen("\n\n", "\nmore\n\n", 1), "NOTE-008"),
        ("a line missing", good.replacen("\n5\n", "\n", 1), "NOTE-008"),
        ("a leading zero", good.replacen("\n5\n", "\n05\n", 1), "NOTE-008"),
        ("a sign", good.replacen("\n5\n", "\n+5\n", 1), "NOTE-008"),
        ("no digits", good.replacen("\n5\n", "\n\u{665}\n", 1), "NOTE-008"),
        ("2^53 leaves", good.replacen("\n5\n", "\n9007199254740992\n", 1), "NOTE-008"),
        ("a root of 31 bytes", good.replacen(root, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", 1), "NOTE-008"),
        ("an empty tree with leaves' root", good.replacen("\n5\n", "\n0\n", 1), "NOTE-008"),
        ("another origin", good.replacen("chorale/", "corale/", 1), "NOTE-009"),
        (
            "an origin in capitals",
            good.replacen(&name, &name.to_uppercase().replacen("CHORALE", "chorale", 1), 1),
            "NOTE-009",
        ),
        ("another root", good.replacen(root, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1), "NOTE-013"),
        ("another size", good.replacen("\n5\n", "\n6\n", 1), "NOTE-013"),
        ("no signature of the owner", good.replacen(&format!("{own}\n"), "", 1), "NOTE-012"),
    ];
    assert!(verify(good.as_bytes(), &keyring).is_ok());
    for (what, note, code) in cases {
        assert_ne!(note, good, "{what} changed nothing");
        assert_eq!(verify(note.as_bytes(), &keyring).unwrap_err().code(), code, "{what}");
    }
    assert_eq!(verify(&[0xff, b'\n', b'\n'], &keyring).unwrap_err().code(), "NOTE-002");
    assert_eq!(verify(&vec![b'a'; NOTE_BYTES + 1], &keyring).unwrap_err().code(), "NOTE-001");
}

#[test]
fn unknown_keys_are_passed_over_up_to_the_bound() {
    let (chain, keyring) = world();
    let mut note = cosigned(&chain);
    let line = |n: usize| NoteSignature { name: format!("other.example/{n}"), id: [1, 2, 3, 4], bytes: vec![7; 64] };
    let before = verify(&note.to_bytes(), &keyring).unwrap();
    for n in note.signatures().len()..SIGNATURES {
        note.add(line(n)).unwrap();
    }
    assert_eq!(verify(&note.to_bytes(), &keyring), Ok(before), "a full note");
    assert_eq!(note.add(line(SIGNATURES)).unwrap_err().code(), "NOTE-006");
    let more = text(&note) + &line(SIGNATURES).line();
    assert!(more.len() <= NOTE_BYTES, "the count decides, not the length");
    assert_eq!(verify(more.as_bytes(), &keyring).unwrap_err().code(), "NOTE-006");
}

#[test]
fn the_right_name_with_another_key_id_is_an_unknown_key() {
    let (chain, keyring) = world();
    let good = cosigned(&chain);
    let changed = |place: usize, change: &dyn Fn(&mut NoteSignature)| {
        let mut lines = good.signatures().to_vec();
        change(&mut lines[place]);
        let lines: String = lines.iter().map(NoteSignature::line).collect();
        verify(format!("{}\n{lines}", good.text()).as_bytes(), &keyring)
    };
    let cosigners =
        |place, change: &dyn Fn(&mut NoteSignature)| changed(place, change).map(|verified| verified.cosigners.len());
    assert_eq!(cosigners(1, &|line| line.id[0] ^= 1), Ok(1), "a cosignature less");
    assert_eq!(changed(0, &|line| line.id[3] ^= 1).unwrap_err().code(), "NOTE-012");
    assert_eq!(changed(0, &|line| line.bytes[0] ^= 1).unwrap_err().code(), "NOTE-013");
    assert_eq!(changed(0, &|line| line.bytes.push(0)).unwrap_err().code(), "NOTE-013");
    assert_eq!(changed(2, &|line| line.bytes[8] ^= 1).unwrap_err().code(), "NOTE-013");
    assert_eq!(changed(2, &|line| line.bytes[7] ^= 1).unwrap_err().code(), "NOTE-013", "its time is signed");
    assert_eq!(changed(2, &|line| line.bytes.truncate(71)).unwrap_err().code(), "NOTE-014");
    assert_eq!(changed(2, &|line| line.bytes[0] |= 0x80).unwrap_err().code(), "NOTE-014", "a time of 2^63 and more");
}

#[test]
fn a_note_of_another_network_or_of_a_stranger_is_refused() {
    let (chain, keyring) = world();
    let other = fixture::chain(4, fixture::policy());
    let foreign = note(&other, 0, &tree(5), 5).to_bytes();
    assert_eq!(verify(&foreign, &keyring).unwrap_err().code(), "NOTE-010");
    let stranger = note(&chain, 9, &tree(5), 5).to_bytes();
    assert_eq!(verify(&stranger, &keyring).unwrap_err().code(), "NOTE-011");
}

#[test]
fn the_latest_time_is_cosigned_and_none_beyond() {
    let (chain, keyring) = world();
    for (asked, given) in [(0, 0), (COSIGN_TIME_MAX, COSIGN_TIME_MAX), (u64::MAX, COSIGN_TIME_MAX)] {
        let mut note = note(&chain, 0, &tree(5), 5);
        let head = checkpoint(&chain, 0, &tree(5), 5);
        note.add(cosign(&head, &origin(&chain, 1), &fixture::author(1), asked)).unwrap();
        assert_eq!(verify(&note.to_bytes(), &keyring).unwrap().seen_by(1), Some(given));
    }
}

#[test]
fn every_changed_bit_of_a_note_is_noticed() {
    let (chain, keyring) = world();
    let good = cosigned(&chain).to_bytes();
    let whole = verify(&good, &keyring).unwrap();
    for place in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[place] ^= 1 << bit;
            if let Ok(note) = Note::parse(&bad) {
                assert_eq!(note.to_bytes(), bad, "a note has one spelling");
            }
            // A changed name or key id leaves an unknown key, whose vote is gone.
            let verdict = verify(&bad, &keyring);
            assert!(
                verdict.as_ref().is_ok_and(|found| found.cosigners.len() < whole.cosigners.len()) || verdict.is_err()
            );
        }
    }
}

#[test]
fn a_checkpoint_of_an_empty_log_is_one() {
    let (chain, keyring) = world();
    let empty = Checkpoint { origin: origin(&chain, 3), size: 0, root: TreeHash::empty() };
    let note = sign(&empty, &fixture::author(3));
    assert_eq!(verify(&note.to_bytes(), &keyring).unwrap().checkpoint, empty);
}
