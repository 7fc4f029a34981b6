//! A manifest is what was voted for, or is refused and changes nothing.

use bytes::Bytes;
use chorale_protocol::manifest::{Chain, SignedManifest};

use super::{
    choices::Choices,
    network::{GOVERNORS, chain, genesis, voted},
    refused,
};

/// One choice: a manifest with its votes follows, or a payload for which those vote whom the choice names.
pub fn run(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    let who = choices.byte();
    let bytes = if who == 0 {
        Bytes::copy_from_slice(choices.0)
    } else {
        let named = GOVERNORS.iter().enumerate().filter(|(at, _)| who >> at & 1 == 1);
        voted(choices.0, &named.map(|(_, name)| *name).collect::<Vec<_>>())
    };
    let mut accepted = alone(&bytes);
    match Chain::genesis(bytes.clone()) {
        Ok(chain) => assert_eq!(chain.signed(), std::slice::from_ref(&bytes)),
        Err(error) => drop(refused(error.code(), &error.to_string())),
    }
    for mut chain in [genesis(), chain().clone()] {
        let before = (chain.signed(), chain.current().clone(), chain.current_hash());
        match chain.extend(bytes.clone()) {
            Ok(()) => {
                assert_eq!(chain.signed().last(), Some(&bytes));
                accepted = true;
                assert_eq!((chain.current().network, chain.current().prev), (Some(chain.network()), Some(before.2)));
            }
            Err(error) => {
                refused(error.code(), &error.to_string());
                assert_eq!((chain.signed(), chain.current().clone(), chain.current_hash()), before);
            }
        }
    }
    accepted
}

/// A manifest by itself.
fn alone(bytes: &[u8]) -> bool {
    match SignedManifest::parse(bytes) {
        Ok(signed) => {
            assert_eq!(signed.to_bytes(), bytes);
            assert_eq!(signed.manifest.payload(), signed.payload);
            assert_eq!(SignedManifest::new(signed.manifest.clone()).unwrap().hash(), signed.hash());
            true
        }
        Err(error) => refused(error.code(), &error.to_string()),
    }
}
