//! The asking side of `/chorale/1/blob`: a pipeline of two, the network reads one section while the disk job checks and
//! writes the one before.

use std::{
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use chorale_protocol::{
    base::{TransportId, limit},
    feed::Body,
};
use libp2p::Stream;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{
    PROTOCOL,
    partial::Partial,
    plan::{Plan, Section},
    verify::Wrong,
    wire::{Question, Status},
};
use crate::net::{
    NetError,
    stream::{Client, Slow, Steady},
    traffic::add,
};

/// A holder that is at its bounds is asked again so often.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(25);

/// Fetches `body` from `peer` into its partial file.
pub(in crate::net) async fn fetch(client: &Client, peer: &TransportId, body: &Body) -> Result<(), NetError> {
    if body.length > limit::BLOB_BYTES {
        return Err(NetError::TooLong {
            got: usize::try_from(body.length).unwrap_or(usize::MAX),
            limit: usize::try_from(limit::BLOB_BYTES).unwrap_or(usize::MAX),
        });
    }
    let alone = client.fills.enter(body.hash).await;
    let fetch = Fetch { client, peer, body: *body, path: client.blobs.partial(&body.hash) };
    let (path, Body { hash, length, .. }) = (fetch.path.clone(), *body);
    let mut partial = fetch.disk(move || Partial::open(&path, &hash, length, alone)).await?;
    // A prefix that was on disk before is proved by the whole only; if it was damaged, once more from the beginning.
    loop {
        let before = partial.length();
        if before < length {
            partial = fetch.rest(partial).await?;
        }
        if before == 0 && length > 0 {
            return Ok(());
        }
        let (kept, holds) = fetch.disk(move || partial.holds(&hash).map(|holds| (partial, holds))).await?;
        partial = kept;
        if holds {
            return Ok(());
        }
        tracing::warn!(%hash, "a partial file was damaged: begun anew");
        if length == 0 {
            // The record is wrong: no holder can have it.
            return Err(NetError::Absent { peer: peer.clone(), hash });
        }
    }
}

struct Fetch<'a> {
    client: &'a Client,
    peer: &'a TransportId,
    body: Body,
    path: PathBuf,
}

impl Fetch<'_> {
    /// Fetches from where the file stands to the end.
    async fn rest(&self, partial: Partial) -> Result<Partial, NetError> {
        let (start, length) = (partial.length(), self.body.length);
        let mut stream = self.begin(Question { hash: self.body.hash, start, wanted: length - start }).await?;
        let mut clock = self.client.pace.steady();
        let mut head = [0; 8];
        clock.fill(&mut stream, &mut head).await.1.map_err(|slow| self.client.blame(self.peer, slow))?;
        let got = u64::from_le_bytes(head);
        if got != length {
            let (peer, hash) = (self.peer.clone(), self.body.hash);
            return Err(NetError::OtherLength { peer, hash, got, wanted: length });
        }
        self.stream(partial, Plan::new(length, start, length), &mut stream, &mut clock).await
    }

    async fn stream(
        &self,
        partial: Partial,
        plan: Plan,
        stream: &mut Stream,
        clock: &mut Steady,
    ) -> Result<Partial, NetError> {
        let mut idle = Some(partial);
        let mut job: Option<JoinHandle<io::Result<Appended>>> = None;
        let mut spare = Vec::new();
        for section in plan {
            let mut bytes: Vec<u8> = std::mem::take(&mut spare);
            bytes.resize(section.encoded, 0);
            let (filled, read) = clock.fill(stream, &mut bytes).await;
            add(&self.client.counters.blob_in, filled);
            bytes.truncate(filled);
            let ours = Instant::now();
            let partial = match (job.take(), idle.take()) {
                (Some(job), _) => {
                    let (partial, buffer) = self.appended(job).await?;
                    spare = buffer;
                    partial
                }
                (None, Some(partial)) => partial,
                (None, None) => return Err(NetError::Stopped),
            };
            clock.forgive(ours.elapsed());
            let running = spawn_blocking(move || append(partial, &section, bytes));
            if let Err(slow) = read {
                // What came before the break is kept.
                self.appended(running).await?;
                return Err(self.client.blame(self.peer, slow));
            }
            job = Some(running);
        }
        match (job, idle) {
            (Some(job), _) => Ok(self.appended(job).await?.0),
            (None, Some(partial)) => Ok(partial),
            (None, None) => Err(NetError::Stopped),
        }
    }

    /// A stream whose holder said that the blob is here.
    async fn begin(&self, question: Question) -> Result<Stream, NetError> {
        let (client, peer) = (self.client, self.peer);
        let question = question.to_bytes();
        for attempt in 0..TRIES {
            let mut stream = client.open(peer, PROTOCOL).await?;
            client.tapped(&PROTOCOL, &question);
            // A holder at its bounds answers without reading; then the write may fail and the answer still be there.
            let sent = async {
                client.pace.write(&mut stream, &question).await?;
                client.pace.flush(&mut stream).await
            };
            if let Err(Slow::Stalled) = sent.await {
                return Err(client.blame(peer, Slow::Stalled));
            }
            let mut status = [0; 1];
            match client.pace.exact(&mut stream, &mut status).await {
                Err(Slow::Stalled) => return Err(client.blame(peer, Slow::Stalled)),
                Err(Slow::Io(_)) => {}
                Ok(()) => match Status::parse(status[0]) {
                    Some(Status::Here) => return Ok(stream),
                    Some(Status::Busy) => {}
                    Some(Status::Absent) => {
                        return Err(NetError::Absent { peer: peer.clone(), hash: self.body.hash });
                    }
                    Some(Status::Range) => return Err(self.malformed("it holds the blob with another length")),
                    None => return Err(self.malformed("an unknown status")),
                },
            }
            drop(stream);
            tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
        }
        Err(NetError::Busy { peer: peer.clone() })
    }

    fn malformed(&self, why: &'static str) -> NetError {
        NetError::Malformed { peer: self.peer.clone(), why }
    }

    async fn appended(&self, job: JoinHandle<io::Result<Appended>>) -> Result<(Partial, Vec<u8>), NetError> {
        let Appended { partial, bytes, right } = self.joined(job).await?;
        match right {
            Ok(()) => Ok((partial, bytes)),
            Err(Wrong) => {
                Err(NetError::WrongBytes { peer: self.peer.clone(), hash: self.body.hash, offset: partial.length() })
            }
        }
    }

    async fn disk<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, NetError> {
        self.joined(spawn_blocking(job)).await
    }

    async fn joined<T>(&self, job: JoinHandle<io::Result<T>>) -> Result<T, NetError> {
        let result = job.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        result.map_err(|source| NetError::Disk { path: self.path.clone(), source })
    }
}

struct Appended {
    partial: Partial,
    /// The buffer, to be used again.
    bytes: Vec<u8>,
    right: Result<(), Wrong>,
}

fn append(mut partial: Partial, section: &Section, mut bytes: Vec<u8>) -> io::Result<Appended> {
    let right = partial.append(&section.parts, &mut bytes)?;
    Ok(Appended { partial, bytes, right })
}
