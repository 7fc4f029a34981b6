//! Whom to ask for a blob, and in which order.

use crate::base::{BlobHash, MemberId, TransportId};

/// The author's transport keys among `peers` first, then the other peers, in an order that differs from member to member and from
/// blob to blob, so that no peer has to serve everybody.
#[must_use]
pub fn holders_in_turn<'a>(
    author: &[TransportId],
    peers: impl Iterator<Item = &'a TransportId>,
    hash: &BlobHash,
    me: &MemberId,
) -> Vec<TransportId> {
    let (mut holders, mut others): (Vec<TransportId>, Vec<TransportId>) =
        peers.cloned().partition(|peer| author.contains(peer));
    if !others.is_empty() {
        let place = usize::from(hash.0[0]) + usize::from(me.0[0]);
        let length = others.len();
        others.rotate_left(place % length);
    }
    holders.append(&mut others);
    holders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_author_comes_first_and_the_others_begin_elsewhere_for_each_blob_and_member() {
        let peers: Vec<TransportId> = (0..5).map(fixture::transport).collect();
        let order = |author: &[TransportId], hash: u8, me: u8| {
            holders_in_turn(author, peers.iter(), &BlobHash([hash; 32]), &MemberId([me; 32]))
        };
        let author = [fixture::transport(3), fixture::transport(9)];
        assert_eq!(order(&author, 0, 0)[0], author[0], "only who is connected");
        let firsts: Vec<TransportId> = (0..4).map(|hash| order(&author, hash, 0)[1].clone()).collect();
        assert_eq!(firsts, [0, 1, 2, 4].map(fixture::transport));
        assert_eq!(order(&author, 0, 1), order(&author, 1, 0));
        assert_eq!(order(&author, 7, 7).len(), 5, "each once");
        assert_eq!(order(&[], 0, 0), peers);
        assert_eq!(holders_in_turn(&author, [].iter(), &BlobHash([1; 32]), &MemberId([1; 32])), []);
    }
}
