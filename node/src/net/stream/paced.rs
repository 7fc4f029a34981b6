//! Reading and writing that must keep moving: [`STEP`] bytes within the stall time, or the end of what is wanted.

use std::{io, time::Duration};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

/// What must pass within one stall time. One byte at a time would hold a place for ever.
const STEP: usize = 64 << 10;

/// What is reserved for bytes that were only promised.
const PIECE: usize = 64 << 10;

/// Why a stream ended too early.
#[derive(Debug, thiserror::Error)]
pub(in crate::net) enum Slow {
    /// Less than [`STEP`] bytes in the stall time.
    #[error("stood still")]
    Stalled,
    /// It broke.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Why there is no question to answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::net) enum NoQuestion {
    /// More than its protocol allows.
    #[error("the question has {got} bytes, at most {most} are allowed")]
    TooLong {
        /** bytes that were promised */
        got: usize,
        /** bytes that are allowed */
        most: usize,
    },
    /// It did not come.
    #[error(transparent)]
    Slow(#[from] Slow),
}

/// The stall time.
#[derive(Debug, Clone, Copy)]
pub(in crate::net) struct Pace(pub(in crate::net) Duration);

impl Pace {
    /// A reader's clock over many reads.
    pub(in crate::net) fn steady(self) -> Steady {
        Steady { stall: self.0, step: 0, deadline: Instant::now() + self.0 }
    }

    /// Fills `buf`.
    pub(in crate::net) async fn exact(self, stream: &mut (impl AsyncRead + Unpin), buf: &mut [u8]) -> Result<(), Slow> {
        self.steady().fill(stream, buf).await.1
    }

    /// Reads a question: u32-LE length, `most` at most, and as many bytes.
    pub(in crate::net) async fn question(
        self,
        stream: &mut (impl AsyncRead + Unpin),
        most: usize,
    ) -> Result<Vec<u8>, NoQuestion> {
        let mut head = [0; 4];
        self.exact(stream, &mut head).await?;
        let got = usize::try_from(u32::from_le_bytes(head)).unwrap_or(usize::MAX);
        if got > most {
            return Err(NoQuestion::TooLong { got, most });
        }
        Ok(self.steady().gather(stream, got).await?)
    }

    /// Writes all of `bytes`.
    pub(in crate::net) async fn write(self, stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), Slow> {
        for step in bytes.chunks(STEP) {
            self.within(stream.write_all(step)).await?;
        }
        Ok(())
    }

    /// Sends what is buffered and says that no more comes.
    pub(in crate::net) async fn close(self, stream: &mut (impl AsyncWrite + Unpin)) -> Result<(), Slow> {
        self.within(stream.close()).await
    }

    /// Sends what is buffered.
    pub(in crate::net) async fn flush(self, stream: &mut (impl AsyncWrite + Unpin)) -> Result<(), Slow> {
        self.within(stream.flush()).await
    }

    async fn within(self, work: impl Future<Output = io::Result<()>>) -> Result<(), Slow> {
        Ok(timeout(self.0, work).await.map_err(|_| Slow::Stalled)??)
    }
}

/// The clock of a reader: it runs out unless [`STEP`] bytes come within each stall time, in however many reads.
#[derive(Debug)]
pub(in crate::net) struct Steady {
    stall: Duration,
    step: usize,
    deadline: Instant,
}

impl Steady {
    /// Fills `buf`; with the error comes how much of it was filled.
    pub(in crate::net) async fn fill(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        buf: &mut [u8],
    ) -> (usize, Result<(), Slow>) {
        let mut filled = 0;
        while filled < buf.len() {
            match timeout_at(self.deadline, stream.read(&mut buf[filled..])).await {
                Err(_) => return (filled, Err(Slow::Stalled)),
                Ok(Err(error)) => return (filled, Err(error.into())),
                Ok(Ok(0)) => return (filled, Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())),
                Ok(Ok(n)) => {
                    filled += n;
                    self.step += n;
                    if self.step >= STEP {
                        self.step = 0;
                        self.deadline = Instant::now() + self.stall;
                    }
                }
            }
        }
        (filled, Ok(()))
    }

    /// Reads `length` bytes; memory grows with what came, not with what was promised.
    pub(in crate::net) async fn gather(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        length: usize,
    ) -> Result<Vec<u8>, Slow> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let had = bytes.len();
            bytes.resize(had + PIECE.min(length - had), 0);
            self.fill(stream, &mut bytes[had..]).await.1?;
        }
        Ok(bytes)
    }

    /// Time that we took ourselves is not the peer's.
    pub(in crate::net) fn forgive(&mut self, ours: Duration) {
        self.deadline += ours;
    }
}
