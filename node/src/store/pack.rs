//! Q.32 values in as few bytes as each block of 64 needs: a width byte, then the values' low bytes.
//!
//! Adapter values are small: most blocks need 3 or 4 of 8 bytes, which halves what a round writes and a node holds.

/// Values that share a width.
pub(super) const BLOCK: usize = 64;

/// Appends `values` to `out`; whoever packs a long row in pieces cuts it at multiples of [`BLOCK`].
pub(super) fn pack(values: &[i64], out: &mut Vec<u8>) {
    for block in values.chunks(BLOCK) {
        // One bit more than the magnitude: two's complement.
        let magnitude = block.iter().fold(0, |all, &v| all | (v ^ (v >> 63)).cast_unsigned());
        let width = (65 - magnitude.leading_zeros()).div_ceil(8) as usize;
        out.push(width as u8);
        match width {
            1 => put::<1>(out, block),
            2 => put::<2>(out, block),
            3 => put::<3>(out, block),
            4 => put::<4>(out, block),
            5 => put::<5>(out, block),
            6 => put::<6>(out, block),
            7 => put::<7>(out, block),
            _ => put::<8>(out, block),
        }
    }
}

/// Takes `count` values off `bytes`; `None` if it does not begin with that many.
pub(super) fn unpack(bytes: &mut &[u8], count: usize) -> Option<Vec<i64>> {
    // No value takes less than a byte: a count that cannot be is refused before memory is taken for it.
    let mut values = Vec::with_capacity(Some(count).filter(|count| *count <= bytes.len())?);
    while values.len() < count {
        let (&width, rest) = bytes.split_first()?;
        let width = usize::from(width);
        let length = BLOCK.min(count - values.len());
        let (block, rest) = rest.split_at_checked(width * length)?;
        *bytes = rest;
        match width {
            1 => take::<1>(&mut values, block),
            2 => take::<2>(&mut values, block),
            3 => take::<3>(&mut values, block),
            4 => take::<4>(&mut values, block),
            5 => take::<5>(&mut values, block),
            6 => take::<6>(&mut values, block),
            7 => take::<7>(&mut values, block),
            8 => take::<8>(&mut values, block),
            _ => return None,
        }
    }
    Some(values)
}

fn put<const W: usize>(out: &mut Vec<u8>, block: &[i64]) {
    let mut bytes = [[0; W]; BLOCK];
    for (bytes, value) in bytes.iter_mut().zip(block) {
        bytes.copy_from_slice(&value.to_le_bytes()[..W]);
    }
    out.extend_from_slice(bytes[..block.len()].as_flattened());
}

fn take<const W: usize>(values: &mut Vec<i64>, block: &[u8]) {
    let shift = 64 - 8 * W as u32;
    let (chunks, _) = block.as_chunks::<W>();
    values.extend(chunks.iter().map(|chunk| {
        let mut bytes = [0; 8];
        bytes[..W].copy_from_slice(chunk);
        // Shifted up and down again, the sign comes back.
        (i64::from_le_bytes(bytes) << shift) >> shift
    }));
}

#[cfg(test)]
mod tests {
    use super::{pack, unpack};

    fn packed(values: &[i64]) -> Vec<u8> {
        let mut out = Vec::new();
        pack(values, &mut out);
        out
    }

    #[test]
    fn every_width_and_both_signs_come_back() {
        let mut values = vec![0, 1, -1, i64::MAX, i64::MIN];
        for bit in 0..63 {
            for value in [1_i64 << bit, (1 << bit) - 1, -(1 << bit), -(1 << bit) - 1] {
                values.push(value);
                let block = [value; 70];
                assert_eq!(unpack(&mut &packed(&block)[..], 70).as_deref(), Some(&block[..]), "{value}");
            }
        }
        let bytes = [packed(&values), vec![7; 3]].concat();
        let mut rest = &bytes[..];
        assert_eq!(unpack(&mut rest, values.len()), Some(values));
        assert_eq!(rest, [7; 3], "what follows stays");
    }

    #[test]
    fn short_and_wide_bytes_are_refused() {
        assert_eq!(unpack(&mut &packed(&[7; 64])[..], 65), None);
        assert_eq!(unpack(&mut &[9; 600][..], 64), None);
        assert_eq!(unpack(&mut &[0; 1][..], 1), None);
        assert_eq!(unpack(&mut &[1; 9][..], usize::MAX), None);
    }
}
