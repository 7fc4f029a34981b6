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
    Pieces { file: file.clone(), cutter: Cutter::default() }
}

/// The pieces of a feed file.
#[derive(Debug, Clone)]
pub struct Pieces {
    file: Bytes,
    cutter: Cutter,
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        self.cutter.next(&self.file, 0, true)
    }
}

/// The most bytes that tell whether a frame begins.
const FRAME: usize = 4 + RECORD_BYTES;

/// Takes a file apart that comes in parts.
#[derive(Debug, Clone, Default)]
pub(super) struct Cutter {
    /// The first byte of which nothing is said yet.
    at: u64,
    /// Where a run of bytes began that are no frame.
    damage: Option<u64>,
}

impl Cutter {
    /// Where the next part has to begin.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The next piece in `part`, which begins at byte `start` of the file and is the last one or not; `None` if there is none, or
    /// if the next part must say.
    pub(super) fn next(&mut self, part: &Bytes, start: u64, last: bool) -> Option<Piece> {
        let mut from = usize::try_from(self.at.checked_sub(start)?).ok()?;
        while from < part.len() && (last || part.len() - from >= FRAME) {
            let Some(length) = frame_at(part, from) else {
                self.damage.get_or_insert(self.at);
                from += 1;
                self.at += 1;
                continue;
            };
            let damage = self.damaged();
            if damage.is_none() {
                let offset = self.at;
                self.at += 4 + length as u64;
                return Some(Piece::Frame { offset, envelope: part.slice(from + 4..from + 4 + length) });
            }
            return damage;
        }
        if last { self.damaged() } else { None }
    }

    fn damaged(&mut self) -> Option<Piece> {
        self.damage.take().map(|offset| Piece::Damage { offset, length: self.at - offset })
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
    fn a_file_that_comes_in_parts_has_the_same_pieces() {
        let frames: Vec<u8> = (1..200).flat_map(|fill| frame(&envelope(fill, 250))).collect();
        let mut damaged = frames.clone();
        damaged[1_000..9_000].fill(0x82);
        let mut cut_short = damaged.clone();
        cut_short.truncate(frames.len() - 100);
        for file in [frames, damaged, cut_short].map(Bytes::from) {
            let whole: Vec<Piece> = pieces(&file).collect();
            for size in [FRAME, FRAME + 1, 5_000, 9_999, 1 << 20] {
                let (mut cutter, mut found) = (Cutter::default(), Vec::new());
                loop {
                    let start = usize::try_from(cutter.at()).unwrap();
                    let end = file.len().min(start + size);
                    let last = end == file.len();
                    let part = file.slice(start..end);
                    found.extend(std::iter::from_fn(|| cutter.next(&part, start as u64, last)));
                    if last {
                        break;
                    }
                }
                assert_eq!(found, whole, "parts of {size} bytes");
            }
        }
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
