//! Which blobs no longer count.

use std::collections::BTreeSet;

use super::{Engine, Output, index::Known};
use crate::base::{BlobHash, Round};

impl Engine {
    /// Orders the deletion of payloads and checkpoints of updates older than the policy keeps. What stays: what a release
    /// pins, every member's newest, our own last two, and our checkpoints from the newest at or before the limit on.
    pub(super) fn prune(&mut self) {
        let keep = self.chain.current().policy.keep_rounds;
        let Some(frontier) = self.frontier() else { return };
        // Whoever merges may still need what the window lets in.
        let limit = Round(frontier.0.saturating_sub(keep.max(self.window())));
        if keep == 0 || limit == Round(0) {
            return;
        }
        let me = self.config.me;
        let own_states = self.index.updates_below(limit.next()).filter(|known| known.member == me);
        let anchor = own_states.filter(|known| known.state.is_some()).map(|known| known.round).max();
        let held: BTreeSet<BlobHash> = self.index.all_newest().map(|known| known.payload.hash).collect();
        let stays = |known: &Known| {
            held.contains(&known.payload.hash)
                || self.own.is_recent(known)
                || self.index.is_pinned(&known.payload.hash)
                || self.standings.get(&known.member).is_some_and(|standing| standing.ready.as_ref() == Some(known))
        };
        let mut blobs = BTreeSet::new();
        let mut gone = BTreeSet::new();
        for known in self.index.updates_below(limit) {
            if stays(known) || (known.state.is_some() && Some(known.round) == anchor && known.member == me) {
                continue;
            }
            if self.fetches.is_ready(&known.payload.hash) {
                blobs.insert(known.payload.hash);
            }
            if let Some(state) = known.state.filter(|_| known.member == me) {
                blobs.insert(state.hash);
            }
            gone.insert(known.record);
        }
        self.index.forget_below(limit, |known| gone.contains(&known.record));
        for hash in &blobs {
            self.fetches.forget(hash);
        }
        if !blobs.is_empty() {
            self.emit(Output::Prune { blobs: blobs.into_iter().collect() });
        }
    }
}
