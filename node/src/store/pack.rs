//! Q.32 values in 4 or 8 bytes each: adapter values are small, and nearly every piece fits 4, which halves what a round writes.

/// Values that share a width.
pub(super) const PIECE: usize = 1 << 15;

/// Writes up to [`PIECE`] values to `out`, in the place of what it held: a width byte, 4 or 8, then as many low bytes of each.
pub(super) fn pack(values: &[i64], out: &mut Vec<u8>) {
    // Narrow iff sign and 31 bits are all there is. Without an early end, so that registers can work on many at a time.
    let wide = values.iter().fold(0, |all, &value| all | (value ^ (value >> 63))) >> 31 != 0;
    let width = if wide { 8 } else { 4 };
    out.clear();
    out.resize(1 + width * values.len(), 0);
    let Some((first, bytes)) = out.split_first_mut() else { return };
    *first = width as u8;
    if wide {
        for (to, value) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(values) {
            *to = value.to_le_bytes();
        }
    } else {
        for (to, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
            *to = (*value as i32).to_le_bytes();
        }
    }
}

/// Takes `count` values, packed piece by piece, off `bytes`; `None` if it does not begin with that many.
pub(super) fn unpack(bytes: &mut &[u8], count: usize) -> Option<Vec<i64>> {
    // No value takes less than a byte: a count that cannot be is refused before memory is taken for it.
    let mut values = Vec::with_capacity(Some(count).filter(|count| *count <= bytes.len())?);
    while values.len() < count {
        let length = PIECE.min(count - values.len());
        let (&width, rest) = bytes.split_first()?;
        let (piece, rest) = rest.split_at_checked(usize::from(width) * length)?;
        *bytes = rest;
        match width {
            4 => values.extend(piece.as_chunks::<4>().0.iter().map(|value| i64::from(i32::from_le_bytes(*value)))),
            8 => values.extend(piece.as_chunks::<8>().0.iter().map(|value| i64::from_le_bytes(*value))),
            _ => return None,
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::{PIECE, pack, unpack};

    fn packed(values: &[i64]) -> Vec<u8> {
        let (mut all, mut piece) = (Vec::new(), Vec::new());
        for values in values.chunks(PIECE) {
            pack(values, &mut piece);
            all.extend_from_slice(&piece);
        }
        all
    }

    #[test]
    fn every_magnitude_and_both_signs_come_back() {
        for bit in 0..63 {
            for value in [1_i64 << bit, (1 << bit) - 1, -(1 << bit), -(1 << bit) - 1] {
                let bytes = packed(&[0, value, 7]);
                assert_eq!(bytes.len(), if i32::try_from(value).is_ok() { 13 } else { 25 }, "{value}");
                assert_eq!(unpack(&mut &bytes[..], 3), Some(vec![0, value, 7]), "{value}");
            }
        }
        let values: Vec<i64> =
            (0..2 * PIECE as i64 + 5).map(|at| at * at * at - 12_345).chain([i64::MAX, i64::MIN]).collect();
        let bytes = [packed(&values), vec![7; 3]].concat();
        let mut rest = &bytes[..];
        assert_eq!(unpack(&mut rest, values.len()), Some(values));
        assert_eq!(rest, [7; 3], "what follows stays");
    }

    #[test]
    fn short_and_odd_bytes_are_refused() {
        assert_eq!(unpack(&mut &packed(&[7; 64])[..], 65), None);
        assert_eq!(unpack(&mut &[5; 600][..], 64), None);
        assert_eq!(unpack(&mut &[4; 1][..], 1), None);
        assert_eq!(unpack(&mut &[4; 9][..], usize::MAX), None);
    }
}
