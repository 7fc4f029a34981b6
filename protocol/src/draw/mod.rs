//! The public draw: in which order a member pulls its peers for its next publication.

use crate::base::{Incarnation, MemberId, NetworkId, Seq};

/// All of `members` but `me`, shuffled by a seed that anybody can recompute: Fisher–Yates with rejection sampling over the
/// BLAKE3 stream of (network, member, incarnation, seq), from `members` sorted by id. `seq` is that of the publication to come.
#[must_use]
pub fn order(
    network: &NetworkId,
    me: &MemberId,
    incarnation: Incarnation,
    seq: Seq,
    members: &[MemberId],
) -> Vec<MemberId> {
    let _ = (network, me, incarnation, seq, members);
    todo!("P2")
}
