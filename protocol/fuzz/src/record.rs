//! A record is what it was signed as, or is refused.

use bytes::Bytes;
use chorale_protocol::{
    code::Domain,
    feed::{check, check_despite_cut, check_stored, peek_id, sign},
};

use super::{
    choices::Choices,
    network::{self, AUTHORS, chain, payload_of, seal},
    refused,
};

/// One choice: an envelope follows, or a payload that is signed for whom the choice names.
pub fn run(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    let bytes = match AUTHORS.get(usize::from(choices.byte()).wrapping_sub(1)) {
        Some(author) => seal(Domain::Record, choices.0, &network::key(author)),
        None => Bytes::copy_from_slice(choices.0),
    };
    let (full, stored) = (check(bytes.clone(), chain()), check_stored(bytes.clone(), chain()));
    let despite = check_despite_cut(bytes.clone(), chain());
    match full {
        Ok(checked) => {
            assert_eq!(checked.bytes(), &bytes);
            assert_eq!(Some(checked.record().payload()), payload_of(&bytes));
            let ids = [stored.unwrap().id(), despite.unwrap().id(), peek_id(&bytes).unwrap()];
            assert_eq!(ids, [checked.id(); 3]);
            if let Some(name) = AUTHORS.iter().find(|name| network::key(name).public() == checked.record().key) {
                let again = sign(checked.record().clone(), &network::key(name)).unwrap();
                // Another nonce gives another signature, which is as good; the same author makes the same.
                assert_eq!(again.id(), checked.id());
                assert_eq!(again.bytes().len(), bytes.len());
            }
            true
        }
        Err(refusal) => {
            refused(refusal.code(), &refusal.to_string());
            if let Ok(despite) = despite {
                assert_eq!(refusal.code(), "REC-008");
                assert_eq!(despite.bytes(), &bytes);
            }
            if let Ok(stored) = stored {
                assert_eq!(refusal.code(), "SIG-003");
                assert_eq!(Some(stored.id()), peek_id(&bytes));
            }
            false
        }
    }
}
