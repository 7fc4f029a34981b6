//! The asking side of `/chorale/1/witness`.

use chorale_protocol::base::TransportId;

use super::{ANSWER_BYTES, PROTOCOL, QUESTION_BYTES};
use crate::net::{
    NetError,
    stream::{Client, Slow},
};

/// Puts a question to `peer`; its answer, whole.
pub(in crate::net) async fn ask(client: &Client, peer: &TransportId, question: &[u8]) -> Result<Vec<u8>, NetError> {
    let length = u32::try_from(question.len()).ok().filter(|_| question.len() <= QUESTION_BYTES);
    let Some(length) = length else {
        return Err(NetError::TooLong { got: question.len(), limit: QUESTION_BYTES });
    };
    let question = [&length.to_le_bytes()[..], question].concat();
    let mut stream = client.open(peer, PROTOCOL).await?;
    client.tapped(&PROTOCOL, &question);
    let blame = |slow: Slow| client.blame(peer, slow);
    client.pace.write(&mut stream, &question).await.map_err(blame)?;
    client.pace.flush(&mut stream).await.map_err(blame)?;
    let (mut clock, mut head) = (client.pace.steady(), [0; 4]);
    clock.fill(&mut stream, &mut head).await.1.map_err(blame)?;
    let length = usize::try_from(u32::from_le_bytes(head)).unwrap_or(usize::MAX);
    if length > ANSWER_BYTES {
        return Err(NetError::Malformed { peer: peer.clone(), why: "an answer longer than a note may be" });
    }
    clock.gather(&mut stream, length).await.map_err(blame)
}
