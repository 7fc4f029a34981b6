//! What a witness cosigns, and what it refuses.

use chorale_protocol::{
    fixture,
    log::{
        Accepted, Answer, Keyring, NoteSignature, PROOF_LINES, REQUEST_BYTES, Request, Tree, TreeHash, WitnessRefusal,
        judge, verify,
    },
    manifest::Chain,
};

use crate::{leaf, note, origin, tree, world};

/// Member 0 asks for `new`, from `old` on, in its tree.
fn request(chain: &Chain, tree: &Tree, old: u64, new: u64) -> Request {
    let proof = tree.consistency(old.min(new), new).unwrap();
    Request { old, proof, note: note(chain, 0, tree, new) }
}

/// Member 1 holds the head of `held` leaves.
fn judged(keyring: &Keyring, held: Option<(u64, TreeHash)>, request: &Request) -> Result<Accepted, WitnessRefusal> {
    judge(&fixture::member(1).id, held, request, keyring)
}

fn head(tree: &Tree, size: u64) -> Option<(u64, TreeHash)> {
    Some((size, tree.root(size).unwrap()))
}

#[test]
fn a_log_that_grows_is_cosigned_step_by_step() {
    let ((chain, keyring), tree) = (world(), tree(40));
    let mut held = None;
    for size in [0, 1, 1, 2, 7, 8, 39, 40] {
        let old = held.map_or(0, |(size, _)| size);
        let request = Request::parse(&request(&chain, &tree, old, size).to_bytes()).unwrap();
        let accepted = judged(&keyring, held, &request).unwrap();
        assert_eq!(Some(accepted.head()), head(&tree, size));
        held = Some(accepted.head());
        let signature = accepted.cosign(&origin(&chain, 1), &fixture::author(1), 99);
        let Ok(Answer::Cosigned(signature)) = Answer::parse(&Answer::Cosigned(signature).to_bytes()) else { panic!() };
        let mut note = request.note;
        note.add(signature).unwrap();
        let cosigners = verify(&note.to_bytes(), &keyring).unwrap().cosigners;
        assert_eq!(cosigners, [(fixture::member(1).id, 99)], "{size} leaves");
    }
}

/// Whoever asks chooses the other lines: they shall make nobody's archive long, or one that cannot be checked.
#[test]
fn what_a_witness_keeps_has_the_owners_signature_and_its_own_alone() {
    let ((chain, keyring), tree) = (world(), tree(5));
    let mut request = request(&chain, &tree, 0, 5);
    for number in 0..90 {
        let line = format!("\u{2014} foreign{number} {}", "A".repeat(100));
        request.note.add(NoteSignature::parse(&line).unwrap()).unwrap();
    }
    let request = Request::parse(&request.to_bytes()).unwrap();
    let accepted = judged(&keyring, None, &request).unwrap();
    let signature = accepted.cosign(&origin(&chain, 1), &fixture::author(1), 99);
    let kept = accepted.note(&request, &keyring, signature).unwrap();
    assert_eq!(kept.signatures().len(), 2);
    assert_eq!(verify(&kept.to_bytes(), &keyring).unwrap().cosigners, [(fixture::member(1).id, 99)]);
}

#[test]
fn another_head_than_the_one_held_is_a_conflict_that_names_it() {
    let ((chain, keyring), tree) = (world(), tree(12));
    for (held, old) in [(None, 3), (head(&tree, 5), 3), (head(&tree, 5), 0), (head(&tree, 5), 7)] {
        let refusal = judged(&keyring, held, &request(&chain, &tree, old, 12)).unwrap_err();
        let size = held.map_or(0, |(size, _)| size);
        assert_eq!(refusal, WitnessRefusal::Conflict { size });
        assert_eq!(Answer::parse(&Answer::from(&refusal).to_bytes()), Ok(Answer::Conflict(size)));
    }
}

#[test]
fn a_rollback_is_refused() {
    let ((chain, keyring), tree) = (world(), tree(12));
    let back = request(&chain, &tree, 8, 5);
    assert_eq!(judged(&keyring, head(&tree, 8), &back).unwrap_err().code(), "PRF-002");
    let lied = request(&chain, &tree, 5, 5);
    assert_eq!(judged(&keyring, head(&tree, 8), &lied), Err(WitnessRefusal::Conflict { size: 8 }));
}

#[test]
fn two_roots_of_one_size_prove_a_split_whatever_the_old_size_says() {
    let ((chain, keyring), tree) = (world(), tree(8));
    let other = Tree::from_leaves((100..108).map(leaf));
    for old in [8, 3, 0] {
        let refusal = judged(&keyring, head(&tree, 8), &request(&chain, &other, old, 8)).unwrap_err();
        let (held, got) = (tree.root(8).unwrap(), other.root(8).unwrap());
        assert_eq!(refusal, WitnessRefusal::Split { size: 8, held, got });
        assert_eq!(Answer::from(&refusal), Answer::Refused("ASK-004".into()));
    }
    // Unsigned it proves nothing.
    let mut forged = request(&chain, &other, 8, 8);
    let bytes = forged.note.to_bytes();
    let text = String::from_utf8(bytes).unwrap().replacen("\u{2014} chorale", "\u{2014} horale", 1);
    forged.note = chorale_protocol::log::Note::parse(text.as_bytes()).unwrap();
    assert_eq!(judged(&keyring, head(&tree, 8), &forged).unwrap_err().code(), "NOTE-012");
}

#[test]
fn a_rewritten_log_has_no_proof() {
    let ((chain, keyring), tree) = (world(), tree(8));
    let other = Tree::from_leaves((100..120).map(leaf));
    let request = request(&chain, &other, 8, 20);
    assert_eq!(judged(&keyring, head(&tree, 8), &request).unwrap_err().code(), "PRF-004");
    let mut short = request.clone();
    short.proof.pop();
    assert_eq!(judged(&keyring, head(&tree, 8), &short).unwrap_err().code(), "PRF-003");
}

#[test]
fn nobody_witnesses_its_own_log_and_nobody_a_strangers() {
    let ((chain, keyring), tree) = (world(), tree(3));
    let own = judge(&fixture::member(0).id, None, &request(&chain, &tree, 0, 3), &keyring);
    assert_eq!(own, Err(WitnessRefusal::Own));
    let stranger = Request { old: 0, proof: Vec::new(), note: note(&chain, 9, &tree, 3) };
    assert_eq!(judged(&keyring, None, &stranger).unwrap_err().code(), "NOTE-011");
}

#[test]
fn a_request_of_another_form_is_refused() {
    let ((chain, _), tree) = (world(), tree(30));
    let good = String::from_utf8(request(&chain, &tree, 3, 30).to_bytes()).unwrap();
    let proof = good.lines().nth(1).unwrap();
    let cases = [
        ("empty", String::new(), "ASK-001"),
        ("no old size", good.replacen("old 3\n", "", 1), "ASK-001"),
        ("a leading zero", good.replacen("old 3", "old 03", 1), "ASK-001"),
        ("2^53", good.replacen("old 3", "old 9007199254740992", 1), "ASK-001"),
        ("a space behind", good.replacen("old 3", "old 3 ", 1), "ASK-001"),
        ("a hash of 33 bytes", good.replacen(proof, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 1), "ASK-001"),
        ("no base64", good.replacen(proof, "?", 1), "ASK-001"),
        ("64 hashes", good.replacen(proof, &[proof; 64].join("\n"), 1), "ASK-001"),
        ("no note", good.split("\n\n").next().unwrap().to_owned() + "\n\n", "NOTE-003"),
        ("a long note", good.clone() + &"a".repeat(REQUEST_BYTES), "ASK-001"),
    ];
    Request::parse(good.as_bytes()).unwrap();
    let most = good.replacen(proof, &[proof; PROOF_LINES - 5].join("\n"), 1);
    assert!(Request::parse(most.as_bytes()).unwrap().proof.len() <= PROOF_LINES);
    for (what, bytes, code) in cases {
        assert_eq!(Request::parse(bytes.as_bytes()).unwrap_err().code(), code, "{what}");
    }
}

#[test]
fn an_answer_is_one_of_three() {
    for bytes in [
        "",
        "\n",
        "conflict 5",
        "conflict 05\n",
        "conflict -1\n",
        "refused a\n",
        "refused ASK-001\nmore\n",
        "yes\n",
        "\r\n",
    ] {
        assert!(Answer::parse(bytes.as_bytes()).is_err(), "{bytes:?}");
    }
    assert_eq!(Answer::parse(b"refused PRF-004\n"), Ok(Answer::Refused("PRF-004".into())));
    assert!(Answer::parse(&[b'a'; 513]).is_err());
}
