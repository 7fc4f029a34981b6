//! Notes, checkpoints, a witness's questions and answers, proof files, tiles' paths: written again as they were read.

use chorale_protocol::log::{
    Answer, Checkpoint, Keyring, Note, ProofFile, Request, Tile, TreeHash, judge, sign, verify,
};

use super::{
    choices::Choices,
    network::{self, chain, handed_over},
    refused,
};

/// Who signs: members, an observer, a stranger, and a member under the keys that follow its first one.
const SIGNERS: [&str; 7] = ["anna", "ben", "carl", "olga", "eve", "anna2", "anna3"];

/// One choice, what the bytes are, and by which keys they are judged; of a text to sign a second one says who signs.
pub fn run(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    let what = choices.byte();
    let chain = match what / 6 % 3 {
        0 => chain(),
        one => &handed_over()[usize::from(one) - 1],
    };
    let keyring = &Keyring::new(chain);
    match what % 6 {
        0 => note(choices.0, keyring),
        1 => signed(choices, keyring),
        2 => request(choices.0, keyring),
        3 => match Answer::parse(choices.0) {
            Ok(answer) => {
                assert_eq!(AsRef::<[u8]>::as_ref(&answer.to_bytes()), choices.0);
                true
            }
            Err(error) => refused(error.code(), &error.to_string()),
        },
        4 => match ProofFile::parse(choices.0) {
            Ok(file) => {
                assert_eq!(file.to_bytes(), choices.0);
                let record = file.record.clone().unwrap_or_default();
                if let Err(error) = file.verify(&record, keyring) {
                    refused(error.code(), &error.to_string());
                }
                true
            }
            Err(error) => refused(error.code(), &error.to_string()),
        },
        _ => {
            let path = String::from_utf8_lossy(choices.0);
            Tile::parse(&path).is_some_and(|tile| {
                assert_eq!(tile.path(), path);
                true
            })
        }
    }
}

fn note(bytes: &[u8], keyring: &Keyring) -> bool {
    match Note::parse(bytes) {
        Ok(note) => assert_eq!(note.to_bytes(), bytes),
        Err(error) => drop(refused(error.code(), &error.to_string())),
    }
    match verify(bytes, keyring) {
        Ok(verified) => {
            assert!(bytes.starts_with(verified.checkpoint.text().as_bytes()));
            true
        }
        Err(error) => refused(error.code(), &error.to_string()),
    }
}

/// A text that is a checkpoint's, signed: it verifies if whoever signs it is whom it names.
fn signed(mut choices: Choices<'_>, keyring: &Keyring) -> bool {
    let name = SIGNERS[choices.place(SIGNERS.len())];
    match Checkpoint::parse(&String::from_utf8_lossy(choices.0)) {
        Ok(checkpoint) => {
            assert_eq!(checkpoint.text(), String::from_utf8_lossy(choices.0));
            note(&sign(&checkpoint, &network::key(name)).to_bytes(), keyring)
        }
        Err(error) => refused(error.code(), &error.to_string()),
    }
}

fn request(bytes: &[u8], keyring: &Keyring) -> bool {
    match Request::parse(bytes) {
        Ok(request) => {
            assert_eq!(request.to_bytes(), bytes);
            let me = chain().current().members[0].id;
            for held in [None, Some((request.old, TreeHash([7; 32])))] {
                if let Err(refusal) = judge(&me, held, &request, keyring) {
                    refused(refusal.code(), &refusal.to_string());
                }
            }
            true
        }
        Err(error) => refused(error.code(), &error.to_string()),
    }
}
