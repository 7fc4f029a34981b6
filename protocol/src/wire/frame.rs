//! The frames of a sync answer: u32-LE length of all that follows in the frame, one tag byte (0 manifest, 1 record), the
//! bytes; a length of 0 ends the answer.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::SyncRequest;
use crate::base::limit;

/// One part of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A signed manifest (0).
    Manifest(Bytes),
    /// The envelope of a record (1).
    Record(Bytes),
}

/// Why a stream is no answer. All of it is the sender's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than what its tag allows, or without content.
    #[error("a frame of {got} bytes, 2 to {limit} are allowed")]
    Length {
        /** bytes, tag included */
        got: usize,
        /** the bound */
        limit: usize,
    },
    /// Neither manifest nor record.
    #[error("a frame with tag {got}; 0 and 1 are known")]
    Tag {
        /** which */
        got: u8,
    },
    /// A manifest after a record.
    #[error("a manifest after a record; manifests come first")]
    Order,
    /// More bytes than an answer may have.
    #[error("more than {limit} bytes in one answer")]
    TooLong {
        /** the bound */
        limit: usize,
    },
    /// Bytes after the end.
    #[error("{got} bytes after the end of the answer")]
    Trailing {
        /** bytes */
        got: usize,
    },
}

impl FrameError {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "SYNC-001",
            Self::Tag { .. } => "SYNC-002",
            Self::Order => "SYNC-003",
            Self::TooLong { .. } => "SYNC-004",
            Self::Trailing { .. } => "SYNC-005",
        }
    }
}

impl Frame {
    /// The end of an answer.
    pub const END: [u8; 4] = [0; 4];

    /// Bytes on the wire.
    #[must_use]
    pub fn wire_len(&self) -> usize {
        4 + 1 + self.content().len()
    }

    /// What it carries.
    #[must_use]
    pub fn content(&self) -> &Bytes {
        match self {
            Self::Manifest(bytes) | Self::Record(bytes) => bytes,
        }
    }

    /// Appends the frame to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        let tag = match self {
            Self::Manifest(_) => 0,
            Self::Record(_) => 1,
        };
        // Bounded by 4 MiB, so no length is cut off.
        let length = u32::try_from(1 + self.content().len()).unwrap_or(u32::MAX);
        out.put_u32_le(length);
        out.put_u8(tag);
        out.put_slice(self.content());
    }
}

/// Takes an answer apart as it arrives. Holds one unfinished frame at most, if every [`Frames::push`] is followed by
/// [`Frames::next`] until that gives `None`.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
    seen: usize,
    records: bool,
    ended: bool,
}

impl Frames {
    /// For one answer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they came.
    ///
    /// # Errors
    /// Too many in all, or any after the end.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        // The last frame may begin below the bound and end above it.
        let limit = SyncRequest::ANSWER_BYTES + limit::MANIFEST_BYTES;
        self.seen = self.seen.saturating_add(bytes.len());
        if self.seen > limit {
            return Err(FrameError::TooLong { limit });
        }
        if self.ended && !bytes.is_empty() {
            return Err(FrameError::Trailing { got: bytes.len() });
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole frame; `None`: more bytes are needed, or the answer [has ended](Self::is_ended).
    ///
    /// # Errors
    /// What came is no frame. Nothing after it can be understood.
    #[allow(clippy::should_implement_trait, reason = "fallible, and None does not mean the end")]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.ended {
            return Ok(None);
        }
        let Some(head) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*head)).unwrap_or(usize::MAX);
        if length == 0 {
            self.ended = true;
            self.buffer.advance(4);
            let got = self.buffer.len();
            return if got == 0 { Ok(None) } else { Err(FrameError::Trailing { got }) };
        }
        // The length is judged before the tag, so that nobody makes us wait for 4 GiB, and the same is said however it arrives.
        let tag = self.buffer.get(4).copied();
        let within =
            |limit| if (2..=limit).contains(&length) { Ok(()) } else { Err(FrameError::Length { got: length, limit }) };
        within(1 + limit::MANIFEST_BYTES)?;
        match tag {
            Some(0) | None => {}
            Some(1) => within(1 + limit::RECORD_BYTES)?,
            Some(got) => return Err(FrameError::Tag { got }),
        }
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        self.buffer.advance(5);
        let content = self.buffer.split_to(length - 1).freeze();
        match tag {
            Some(1) => {
                self.records = true;
                Ok(Some(Frame::Record(content)))
            }
            _ if self.records => Err(FrameError::Order),
            _ => Ok(Some(Frame::Manifest(content))),
        }
    }

    /// Whether the end has come.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in() {
        let sent = [Frame::Manifest("m".into()), Frame::Record("one".into()), Frame::Record("two".into())];
        let mut wire = BytesMut::new();
        sent.iter().for_each(|frame| frame.encode(&mut wire));
        assert_eq!(wire.len(), sent.iter().map(Frame::wire_len).sum::<usize>());
        wire.extend_from_slice(&Frame::END);
        let mut frames = Frames::new();
        let mut got = Vec::new();
        for byte in &wire {
            assert!(!frames.is_ended());
            frames.push(&[*byte]).unwrap();
            got.extend(frames.next().unwrap());
        }
        assert_eq!(got, sent);
        assert!(frames.is_ended());
    }

    #[test]
    fn an_answer_without_end_is_refused_before_it_fills_the_memory() {
        let mut frame = BytesMut::new();
        Frame::Manifest(vec![0; limit::MANIFEST_BYTES].into()).encode(&mut frame);
        let mut frames = Frames::new();
        let mut taken = 0;
        let refusal = loop {
            if let Err(error) = frames.push(&frame) {
                break error;
            }
            taken += frames.next().unwrap().map_or(0, |frame| frame.content().len());
            assert!(frames.buffer.len() < frame.len(), "what came out is kept");
        };
        assert_eq!(refusal.code(), "SYNC-004");
        assert!(taken <= SyncRequest::ANSWER_BYTES + limit::MANIFEST_BYTES, "{taken}");
    }
}
