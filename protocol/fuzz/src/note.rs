//! Notes, checkpoints, a witness's questions and answers, proof files, tiles' paths: written again as they were read.

use chorale_protocol::log::{
    Answer, Checkpoint, Keyring, Note, ProofFile, Request, Tile, TreeHash, judge, sign, verify,
};

use super::{
    choices::Choices,
    network::{self, AUTHORS, chain},
    refused,
};

/// One choice, what the bytes are; of a text to sign a second one says who signs.
pub fn run(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    match choices.byte() % 6 {
        0 => note(choices.0),
        1 => signed(choices),
        2 => request(choices.0),
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
                if let Err(error) = file.verify(&record, &Keyring::new(chain())) {
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

fn note(bytes: &[u8]) -> bool {
    match Note::parse(bytes) {
        Ok(note) => assert_eq!(note.to_bytes(), bytes),
        Err(error) => drop(refused(error.code(), &error.to_string())),
    }
    match verify(bytes, &Keyring::new(chain())) {
        Ok(verified) => {
            assert!(bytes.starts_with(verified.checkpoint.text().as_bytes()));
            true
        }
        Err(error) => refused(error.code(), &error.to_string()),
    }
}

/// A text that is a checkpoint's, signed: it verifies if whoever signs it is whom it names.
fn signed(mut choices: Choices<'_>) -> bool {
    let name = AUTHORS[choices.place(AUTHORS.len())];
    match Checkpoint::parse(&String::from_utf8_lossy(choices.0)) {
        Ok(checkpoint) => {
            assert_eq!(checkpoint.text(), String::from_utf8_lossy(choices.0));
            note(&sign(&checkpoint, &network::key(name)).to_bytes())
        }
        Err(error) => refused(error.code(), &error.to_string()),
    }
}

fn request(bytes: &[u8]) -> bool {
    match Request::parse(bytes) {
        Ok(request) => {
            assert_eq!(request.to_bytes(), bytes);
            let me = chain().current().members[0].id;
            for held in [None, Some((request.old, TreeHash([7; 32])))] {
                if let Err(refusal) = judge(&me, held, &request, &Keyring::new(chain())) {
                    refused(refusal.code(), &refusal.to_string());
                }
            }
            true
        }
        Err(error) => refused(error.code(), &error.to_string()),
    }
}
