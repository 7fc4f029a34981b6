//! The public draw: in which order a member pulls its peers for its next publication.
//!
//! The stream: extendable output of BLAKE3 `derive_key` under "chorale v1 draw" of network (32 bytes) ‖ member (32) ‖
//! incarnation as u64 little-endian ‖ the seed, read as u64 little-endian words. The shuffle: members
//! other than the drawing one, ascending by id, each once; for i from the last place down to 1, take words x until
//! x < 2^64 − (2^64 mod (i + 1)), and swap places i and x mod (i + 1).

mod account;
mod seed;

pub use account::{Account, DrawError, Look, Walked, walk};
pub use seed::Seed;

use crate::{
    base::{Incarnation, MemberId, NetworkId, RecordId},
    code::Context,
};

/// All of `members` but `me`, shuffled by a seed that anybody can recompute: Fisher–Yates with rejection sampling over the
/// BLAKE3 stream of (network, member, incarnation, seed), from `members` sorted by id.
#[must_use]
pub fn order(
    network: &NetworkId,
    me: &MemberId,
    incarnation: Incarnation,
    seed: &Seed,
    members: &[MemberId],
) -> Vec<MemberId> {
    shuffle(me, members, Stream::new(network, me, incarnation, seed))
}

/// All of `members` but `me`, in the order in which their merges are spot-checked after a publication of `me`: the same shuffle, over
/// the stream of "chorale v1 check" of network (32 bytes) ‖ the publication's record id (32), which nobody else knew before.
#[must_use]
pub fn check_order(network: &NetworkId, me: &MemberId, published: &RecordId, members: &[MemberId]) -> Vec<MemberId> {
    let mut hasher = Context::Check.hasher();
    hasher.update(network.as_bytes()).update(published.as_bytes());
    shuffle(me, members, Stream::of(&hasher))
}

fn shuffle(me: &MemberId, members: &[MemberId], mut stream: Stream) -> Vec<MemberId> {
    let mut order: Vec<MemberId> = members.iter().filter(|member| *member != me).copied().collect();
    order.sort_unstable();
    order.dedup();
    for last in (1..order.len()).rev() {
        let chosen = stream.below(last as u64 + 1);
        order.swap(last, usize::try_from(chosen).unwrap_or(last));
    }
    order
}

/// Words of the stream, eight at a time: that many the hash gives at once.
struct Stream {
    output: blake3::OutputReader,
    words: std::array::IntoIter<u64, 8>,
}

impl Stream {
    fn new(network: &NetworkId, me: &MemberId, incarnation: Incarnation, seed: &Seed) -> Self {
        let mut hasher = Context::Draw.hasher();
        hasher.update(network.as_bytes()).update(me.as_bytes());
        hasher.update(&incarnation.0.to_le_bytes()).update(&seed.round.0.to_le_bytes());
        for record in &seed.merged {
            hasher.update(record.as_bytes());
        }
        Self::of(&hasher)
    }

    fn of(hasher: &blake3::Hasher) -> Self {
        let mut output = hasher.finalize_xof();
        let words = block(&mut output);
        Self { output, words }
    }

    fn word(&mut self) -> u64 {
        loop {
            if let Some(word) = self.words.next() {
                return word;
            }
            self.words = block(&mut self.output);
        }
    }

    /// Uniform in 0..`count`, for a count of at least 1.
    fn below(&mut self, count: u64) -> u64 {
        // 2^64 mod count words at the end are one incomplete round of remainders: they are drawn again.
        let incomplete = (u64::MAX % count + 1) % count;
        loop {
            let word = self.word();
            if word <= u64::MAX - incomplete {
                return word % count;
            }
        }
    }
}

fn block(output: &mut blake3::OutputReader) -> std::array::IntoIter<u64, 8> {
    let mut words = [[0; 8]; 8];
    output.fill(words.as_flattened_mut());
    words.map(u64::from_le_bytes).into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{RecordId, Round};

    fn member(number: u8) -> MemberId {
        MemberId([number; 32])
    }

    fn drawn(round: u64, members: &[MemberId]) -> Vec<MemberId> {
        let seed = Seed { round: Round(round), merged: Vec::new() };
        order(&NetworkId([7; 32]), &member(0), Incarnation(1), &seed, members)
    }

    #[test]
    fn everyone_but_the_drawing_member_is_drawn_once_whatever_the_order_given() {
        let members: Vec<_> = (0..20).map(member).collect();
        let mut shuffled: Vec<_> = members.iter().rev().copied().collect();
        shuffled.extend([member(3), member(0)]);
        let order = drawn(5, &members);
        assert_eq!(order, drawn(5, &shuffled));
        assert_ne!(order, drawn(6, &members));
        let mut sorted = order;
        sorted.sort_unstable();
        assert_eq!(sorted, members[1..]);
    }

    #[test]
    fn what_others_published_decides_and_its_order_counts() {
        let members: Vec<_> = (0..20).map(member).collect();
        let after = |merged: &[u8]| {
            let merged = merged.iter().map(|id| RecordId([*id; 32])).collect();
            order(&NetworkId([7; 32]), &member(0), Incarnation(1), &Seed { round: Round(5), merged }, &members)
        };
        let seeds: [&[u8]; 5] = [&[], &[1], &[2], &[1, 2], &[2, 1]];
        let orders: std::collections::BTreeSet<_> = seeds.into_iter().map(after).collect();
        assert_eq!(orders.len(), 5);
    }

    #[test]
    fn nobody_else_is_an_empty_draw() {
        assert!(drawn(0, &[]).is_empty());
        assert!(drawn(0, &[member(0)]).is_empty());
        assert_eq!(drawn(0, &[member(9)]), [member(9)]);
    }

    #[test]
    fn every_member_is_first_about_as_often() {
        let members: Vec<_> = (0..=8).map(member).collect();
        let mut first = [0_u32; 9];
        for round in 0..4000 {
            first[usize::from(drawn(round, &members)[0].0[0])] += 1;
        }
        // 500 each is expected; six standard deviations are 126. The stream is fixed, so this cannot fail by luck.
        assert!(first[1..].iter().all(|count| (374..=626).contains(count)), "{first:?}");
    }
}
