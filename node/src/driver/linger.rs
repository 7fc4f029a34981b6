//! When a finished node may go: its last payload and its feed are wanted by those who are not done yet.

use std::collections::BTreeSet;

use super::backfill::Backfill;
use chorale_protocol::{
    base::{MemberId, Millis, Round, TransportId},
    manifest::{Chain, Role},
};

/// How long nothing must have been served before a node goes; and between two searches for what was passed by.
const QUIET_MS: u64 = 500;

/// What a finished node does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Serve.
    Wait,
    /// Fetch what was passed by.
    Backfill,
    /// End.
    Go,
}

/// Watches who is done.
#[derive(Debug)]
pub(super) struct Linger {
    /// The last round; 0: none.
    pub(super) rounds: u64,
    /// The longest wait.
    pub(super) linger_ms: u64,
    /// Serve until told to stop.
    pub(super) stay: bool,
    /// We are no member any more: go at once.
    pub(super) expelled: bool,
    /// Every record we hold is witnessed, or nobody asks for that.
    pub(super) witnessed: bool,
    /// The last search for what was passed by.
    pub(super) backfill: Option<Backfill>,
    /// Updates of others that came so far.
    news: u64,
    /// Those that had come when the last search began, and when that was.
    searched: (u64, Millis),
    done: BTreeSet<MemberId>,
    since: Option<Millis>,
    served: (u64, Millis),
}

impl Linger {
    pub(super) fn new(rounds: u64, linger_ms: u64, stay: bool) -> Self {
        Self {
            rounds,
            linger_ms,
            stay,
            expelled: false,
            witnessed: true,
            backfill: None,
            news: 0,
            searched: (0, Millis(0)),
            done: BTreeSet::new(),
            since: None,
            served: (0, Millis(0)),
        }
    }

    /// Our last round is done.
    pub(super) fn finished(&mut self, now: Millis) {
        self.since.get_or_insert(now);
        self.served.1 = now;
    }

    /// Another member published.
    pub(super) fn published(&mut self, member: MemberId, round: Round) {
        self.news += 1;
        if self.rounds > 0 && round.0 >= self.rounds {
            self.done.insert(member);
        }
    }

    /// A search for what was passed by begins.
    pub(super) fn search(&mut self, backfill: Backfill, now: Millis) {
        self.searched = (self.news, now);
        self.backfill = Some(backfill);
    }

    /// Whether our last round is done.
    pub(super) fn is_finished(&self) -> bool {
        self.since.is_some()
    }

    /// Whether to look again soon.
    pub(super) fn waiting(&self) -> bool {
        self.expelled || self.since.is_some()
    }

    /// What to do now; `blob_out` is what the node has served so far.
    pub(super) fn next(&mut self, now: Millis, blob_out: u64, chain: &Chain, peers: &BTreeSet<TransportId>) -> Next {
        if self.expelled {
            return Next::Go;
        }
        if blob_out != self.served.0 {
            self.served = (blob_out, now);
        }
        let Some(since) = self.since else { return Next::Wait };
        let mut members = peers.iter().filter_map(|peer| chain.by_transport(peer)).filter(|m| m.role == Role::Member);
        let all_done = members.all(|member| self.done.contains(&member.id));
        if !all_done && now.since(since) < self.linger_ms {
            return Next::Wait;
        }
        let late = now.since(since) >= self.linger_ms;
        match &self.backfill {
            None => Next::Backfill,
            Some(search) if !search.is_finished() => Next::Wait,
            // What came since, or could not be had, is looked for again: the archive holds what its records name.
            Some(search) if !late && (search.lacks() > 0 || self.searched.0 != self.news) => {
                if now.since(self.searched.1) >= QUIET_MS { Next::Backfill } else { Next::Wait }
            }
            Some(_) if self.stay => Next::Wait,
            // The last records are worth a last checkpoint, within the same bound.
            Some(_) if !self.witnessed && !late => Next::Wait,
            Some(_) if now.since(self.served.1) >= QUIET_MS && now.since(since) >= QUIET_MS => Next::Go,
            Some(_) => Next::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use chorale_protocol::fixture;

    use super::*;

    /// A node whose last round, the third, was done at 0, and nobody is connected.
    fn finished() -> (Linger, Chain) {
        let mut linger = Linger::new(3, 10_000, false);
        linger.finished(Millis(0));
        (linger, fixture::chain(3, fixture::policy()))
    }

    fn next(linger: &mut Linger, chain: &Chain, now: u64) -> Next {
        linger.next(Millis(now), 0, chain, &BTreeSet::new())
    }

    #[tokio::test]
    async fn what_could_not_be_had_is_searched_for_again_after_a_pause_and_as_long_as_a_node_waits() {
        let (mut linger, chain) = finished();
        assert_eq!(next(&mut linger, &chain, 1_000), Next::Backfill);
        linger.search(Backfill::endless(), Millis(1_000));
        assert_eq!(next(&mut linger, &chain, 5_000), Next::Wait, "one at a time");
        linger.search(Backfill::ended(2).await, Millis(5_000));
        assert_eq!(next(&mut linger, &chain, 5_000 + QUIET_MS - 1), Next::Wait);
        assert_eq!(next(&mut linger, &chain, 5_000 + QUIET_MS), Next::Backfill);
        assert_eq!(next(&mut linger, &chain, 9_999), Next::Backfill);
        assert_eq!(next(&mut linger, &chain, 10_000), Next::Go, "nobody keeps a node from ending");
        linger.search(Backfill::ended(0).await, Millis(6_000));
        assert_eq!(next(&mut linger, &chain, 6_000), Next::Go, "nothing is missing");
    }

    #[tokio::test]
    async fn what_was_published_since_a_search_began_is_searched_for_too() {
        let (mut linger, chain) = finished();
        let member = fixture::member(1).id;
        linger.published(member, Round(2));
        linger.search(Backfill::ended(0).await, Millis(1_000));
        assert_eq!(next(&mut linger, &chain, 2_000), Next::Go);
        linger.published(member, Round(3));
        assert_eq!(next(&mut linger, &chain, 2_000), Next::Backfill);
        linger.search(Backfill::ended(0).await, Millis(2_000));
        assert_eq!(next(&mut linger, &chain, 2_000), Next::Go);
    }

    #[tokio::test]
    async fn a_node_goes_when_all_that_are_connected_are_done_and_nothing_was_served_lately() {
        let (mut linger, chain) = finished();
        let peers: BTreeSet<TransportId> = [1, 2].map(fixture::transport).into();
        linger.search(Backfill::ended(0).await, Millis(1_000));
        linger.published(fixture::member(1).id, Round(3));
        linger.published(fixture::member(2).id, Round(2));
        linger.search(Backfill::ended(0).await, Millis(1_000));
        assert_eq!(linger.next(Millis(9_000), 7, &chain, &peers), Next::Wait, "one of two is not done");
        linger.published(fixture::member(2).id, Round(3));
        linger.search(Backfill::ended(0).await, Millis(9_000));
        assert_eq!(linger.next(Millis(9_000), 8, &chain, &peers), Next::Wait, "a blob was asked for just now");
        assert_eq!(linger.next(Millis(9_000 + QUIET_MS), 8, &chain, &peers), Next::Go);
    }
}
