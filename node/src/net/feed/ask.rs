//! The asking side of `/chorale/1/feed`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use chorale_protocol::{
    base::{TransportId, limit},
    wire::SyncRequest,
};
use libp2p::Stream;
use tokio::sync::mpsc;

use super::PROTOCOL;
use crate::net::{
    Frame, NetError,
    stream::{Client, Slow, Steady},
};

/// A stream that ended before any answer is asked for again so often: the peer was at its bounds.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(40);

/// Asks `peer`; frames go to `frames` as they come.
pub(in crate::net) async fn ask(
    client: &Client,
    peer: &TransportId,
    request: &SyncRequest,
    frames: &mpsc::Sender<Frame>,
) -> Result<(), NetError> {
    let bytes = request.to_bytes();
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= SyncRequest::BYTES);
    let Some(length) = length else {
        return Err(NetError::TooLong { got: bytes.len(), limit: SyncRequest::BYTES });
    };
    let question = [&length.to_le_bytes()[..], &bytes].concat();
    for attempt in 0..TRIES {
        let mut stream = client.open(peer, PROTOCOL).await?;
        client.tapped(&PROTOCOL, &question);
        if let Some(first) = begin(client, &mut stream, &question).await.map_err(|slow| client.blame(peer, slow))? {
            let (clock, room) = (client.pace.steady(), SyncRequest::ANSWER_BYTES);
            return Answer { client, peer, stream, clock, room }.take(first, frames).await;
        }
        tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
    }
    Err(NetError::Busy { peer: peer.clone() })
}

/// Sends the question; the first frame's length, or `None` if the peer closed at once.
async fn begin(client: &Client, stream: &mut Stream, question: &[u8]) -> Result<Option<u32>, Slow> {
    let sent = async {
        client.pace.write(stream, question).await?;
        client.pace.flush(stream).await
    };
    match sent.await {
        Ok(()) => {}
        Err(Slow::Io(_)) => return Ok(None),
        Err(stalled) => return Err(stalled),
    }
    let mut head = [0; 4];
    match client.pace.steady().fill(stream, &mut head).await {
        (_, Ok(())) => Ok(Some(u32::from_le_bytes(head))),
        (0, Err(Slow::Io(_))) => Ok(None),
        (_, Err(slow)) => Err(slow),
    }
}

struct Answer<'a> {
    client: &'a Client,
    peer: &'a TransportId,
    stream: Stream,
    clock: Steady,
    /// Bytes that may still come.
    room: usize,
}

impl Answer<'_> {
    async fn take(mut self, mut length: u32, frames: &mpsc::Sender<Frame>) -> Result<(), NetError> {
        while length != 0 {
            let frame = self.frame(length).await?;
            let ours = Instant::now();
            frames.send(frame).await.map_err(|_| NetError::Abandoned)?;
            self.clock.forgive(ours.elapsed());
            let mut head = [0; 4];
            self.exact(&mut head).await?;
            length = u32::from_le_bytes(head);
        }
        Ok(())
    }

    async fn frame(&mut self, length: u32) -> Result<Frame, NetError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.room = match self.room.checked_sub(length.saturating_add(4)) {
            Some(room) => room,
            None => return Err(self.malformed("the answer is longer than 16 MiB")),
        };
        let mut tag = [0; 1];
        self.exact(&mut tag).await?;
        let (body, most) = match tag {
            [0] => (length - 1, limit::MANIFEST_BYTES),
            [1] => (length - 1, limit::RECORD_BYTES),
            _ => return Err(self.malformed("an unknown kind of frame")),
        };
        if body > most {
            return Err(self.malformed("a frame longer than its kind may be"));
        }
        let bytes = self.clock.gather(&mut self.stream, body).await;
        let bytes = Bytes::from(bytes.map_err(|slow| self.client.blame(self.peer, slow))?);
        Ok(if tag == [0] { Frame::Manifest(bytes) } else { Frame::Record(bytes) })
    }

    async fn exact(&mut self, buf: &mut [u8]) -> Result<(), NetError> {
        let (_, read) = self.clock.fill(&mut self.stream, buf).await;
        read.map_err(|slow| self.client.blame(self.peer, slow))
    }

    fn malformed(&self, why: &'static str) -> NetError {
        NetError::Malformed { peer: self.peer.clone(), why }
    }
}
