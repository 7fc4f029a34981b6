//! A feed file taken apart into frames, resynchronising after damage.

use bytes::Bytes;

use crate::base::limit::RECORD_BYTES;

/// A stretch of a feed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A frame whose content has the outer shape of an envelope.
    Frame {
        /// Of the frame in the file.
        offset: u64,
        /// The envelope.
        envelope: Bytes,
    },
    /// Bytes that are no frame.
    Damage {
        /// Of the first of them in the file.
        offset: u64,
        /// How many.
        length: u64,
    },
}

/// The pieces of a feed file, in order; together they are the whole file.
#[must_use]
pub fn pieces(file: &Bytes) -> Pieces {
    Pieces { file: file.clone(), at: 0 }
}

/// The pieces of a feed file.
#[derive(Debug, Clone)]
pub struct Pieces {
    file: Bytes,
    at: usize,
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let start = self.at;
        if start >= self.file.len() {
            return None;
        }
        if let Some(length) = frame_at(&self.file, start) {
            self.at = start + 4 + length;
            return Some(Piece::Frame { offset: start as u64, envelope: self.file.slice(start + 4..self.at) });
        }
        let next = (start + 1..self.file.len()).find(|at| frame_at(&self.file, *at).is_some());
        self.at = next.unwrap_or(self.file.len());
        Some(Piece::Damage { offset: start as u64, length: (self.at - start) as u64 })
    }
}

/// The length of the envelope in the frame at `at`, if its length and the heads of payload and signature agree.
fn frame_at(file: &[u8], at: usize) -> Option<usize> {
    let head: [u8; 4] = file.get(at..at + 4)?.try_into().ok()?;
    let length = usize::try_from(u32::from_le_bytes(head)).ok().filter(|length| *length <= RECORD_BYTES)?;
    let envelope = file.get(at + 4..at + 4 + length)?;
    let (payload_head, payload) = match *envelope {
        [0x82, 0x58, short, ..] => (3, usize::from(short)),
        [0x82, 0x59, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
        _ => return None,
    };
    let signature = payload_head + payload;
    (envelope.get(signature..signature + 2)? == [0x58, 0x40] && length == signature + 66).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::layout::frame;

    fn envelope(fill: u8, payload: u8) -> Vec<u8> {
        let body = vec![fill; usize::from(payload)];
        [&[0x82, 0x58, payload][..], &body, &[0x58, 0x40], &[fill; 64]].concat()
    }

    #[test]
    fn frames_after_damage_are_found_again() {
        let (one, two) = (frame(&envelope(1, 40)), frame(&envelope(2, 200)));
        let file: Bytes = [&one[..], &[9, 9, 9], &two].concat().into();
        let found: Vec<Piece> = pieces(&file).collect();
        let at = one.len() as u64;
        assert_eq!(
            found,
            [
                Piece::Frame { offset: 0, envelope: envelope(1, 40).into() },
                Piece::Damage { offset: at, length: 3 },
                Piece::Frame { offset: at + 3, envelope: envelope(2, 200).into() },
            ]
        );
    }

    #[test]
    fn pieces_cover_every_mutant_and_every_prefix_of_a_file() {
        let file: Vec<u8> = (1..4).flat_map(|fill| frame(&envelope(fill, 40))).collect();
        let covered = |bytes: Vec<u8>| -> u64 {
            pieces(&bytes.into())
                .map(|piece| match piece {
                    Piece::Frame { envelope, .. } => envelope.len() as u64 + 4,
                    Piece::Damage { length, .. } => length,
                })
                .sum()
        };
        for at in 0..file.len() {
            let mut mutant = file.clone();
            mutant[at] ^= 0xff;
            assert_eq!(covered(mutant), file.len() as u64, "mutant {at}");
            assert_eq!(covered(file[..at].to_vec()), at as u64, "prefix {at}");
        }
    }
}
