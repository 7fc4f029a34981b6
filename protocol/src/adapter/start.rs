//! The starting adapter, in integers, so that every machine and language starts from the same bits.

use super::{Layout, layout::Slot, simd::Level, view::hash_view};
use crate::{
    code::{
        Context,
        tree::{Joined, Run},
    },
    manifest::Factor,
};

/// Values drawn from the stream at a time.
const DRAWN: usize = 1024;

/// See [`Layout::start_in`].
pub(super) fn values(layout: &Layout, seed: u64, mut values: Vec<i64>) -> Vec<i64> {
    values.resize(layout.len(), 0);
    for slot in layout.slots() {
        let Some(values) = values.get_mut(slot.values.clone()) else { continue };
        match slot.factor {
            Factor::A => draw(slot, seed, values),
            Factor::B | Factor::Dense => values.fill(0),
        }
    }
    values
}

fn draw(slot: &Slot, seed: u64, values: &mut [i64]) {
    let columns = slot.shape[1].max(1) as u128;
    // At most 2^32, for one column: the products below stay within ±2^63.
    let bound = i64::try_from(((1_u128 << 64) / columns).isqrt()).unwrap_or(1 << 32);
    let mut hasher = Context::Start.hasher();
    hasher.update(&seed.to_le_bytes()).update(slot.name.as_bytes());
    let mut stream = hasher.finalize_xof();
    let mut bytes = [0; 4 * DRAWN];
    for chunk in values.chunks_mut(DRAWN) {
        stream.fill(&mut bytes);
        for (value, word) in chunk.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *value = ((i64::from(u32::from_le_bytes(*word)) - (1 << 31)) * bound) >> 31;
        }
        // A short chunk is the last one: what was drawn too much is of no account.
    }
}

/// BLAKE3 of the f32 little-endian view of Q.32 `values`: what [`AdapterSpec::start`](crate::manifest::AdapterSpec) names.
#[must_use]
pub fn start_hash(values: &[i64]) -> [u8; 32] {
    let (mut run, mut joined) = (Run::new(0), Joined::default());
    hash_view(&mut run, values, Level::widest());
    joined.run(&run);
    joined.finish()
}
