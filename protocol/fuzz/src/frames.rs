//! What goes between nodes: answers in frames, questions, presence.

use bytes::{Bytes, BytesMut};
use chorale_protocol::{
    code::Domain,
    wire::{Frame, FrameError, Frames, Presence, SyncRequest},
};

use super::{
    choices::Choices,
    network::{self, AUTHORS, chain, seal},
    refused,
};

/// One choice: an answer, a question, a presence, or the payload of one that is signed for whom a second choice names.
pub fn run(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    match choices.byte() % 4 {
        0 => answer(choices),
        1 => question(choices.0),
        2 => presence(Bytes::copy_from_slice(choices.0)),
        _ => {
            let key = network::key(AUTHORS[choices.place(AUTHORS.len())]);
            presence(seal(Domain::Presence, choices.0, &key))
        }
    }
}

/// The frames of an answer that comes in steps of so many bytes; whether it ended.
fn read(bytes: &[u8], step: usize) -> (Vec<Frame>, Result<bool, FrameError>) {
    let (mut frames, mut found) = (Frames::new(), Vec::new());
    for part in bytes.chunks(step.max(1)) {
        if let Err(error) = frames.push(part) {
            return (found, Err(error));
        }
        loop {
            match frames.next() {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(error) => return (found, Err(error)),
            }
        }
    }
    (found, Ok(frames.is_ended()))
}

/// It comes apart the same however it arrives, and together again as it was.
fn answer(mut choices: Choices<'_>) -> bool {
    let step = usize::from(choices.byte());
    let bytes = choices.0;
    let (found, result) = read(bytes, usize::MAX);
    let (found_in_steps, result_in_steps) = read(bytes, step);
    assert_eq!(found, found_in_steps);
    assert_eq!(result.map_err(|error| error.code()), result_in_steps.map_err(|error| error.code()));
    let mut again = BytesMut::new();
    found.iter().for_each(|frame| frame.encode(&mut again));
    assert_eq!(again.len(), found.iter().map(Frame::wire_len).sum::<usize>());
    match result {
        Ok(ended) => {
            again.extend_from_slice(if ended { &Frame::END } else { &bytes[again.len()..] });
            assert_eq!(again, bytes);
            ended
        }
        Err(error) => {
            refused(error.code(), &error.to_string());
            assert!(bytes.starts_with(&again));
            false
        }
    }
}

fn question(bytes: &[u8]) -> bool {
    match SyncRequest::parse(bytes) {
        Ok(question) => {
            assert_eq!(question.to_bytes(), bytes);
            true
        }
        Err(error) => refused(error.code(), &error.to_string()),
    }
}

fn presence(bytes: Bytes) -> bool {
    match Presence::check(&bytes, chain()) {
        Ok(presence) => {
            let key = chain().member(&presence.member).expect("a participant").author_key;
            let name = AUTHORS.iter().find(|name| network::key(name).public() == key).expect("a key of ours");
            let again = presence.sign(&network::key(name));
            assert_eq!(network::payload_of(&again), network::payload_of(&bytes));
            true
        }
        Err(refusal) => refused(refusal.code(), &refusal.to_string()),
    }
}
