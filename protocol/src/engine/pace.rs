//! How fast members work, and how long a wait for them pays.
//!
//! A member begins to work when it has the last of its inputs, and publishes when it is done. Both are seen here by the
//! arrival of records, so the time between them is its work, whatever it waited for before. Members of like speed are waited
//! for; who is slower by more than the budget is used as it is. Nothing remembers that a deadline was missed: whoever publishes
//! again is expected again.

use std::collections::{BTreeMap, VecDeque};

use crate::base::{MemberId, Millis, RecordId};

/// Durations and publications remembered.
const KEPT: usize = 8;
/// A fetch may take so many times as long as the usual one.
const FETCHES: u64 = 6;

/// The last durations of one kind, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Durations(VecDeque<u64>);

impl Durations {
    pub(super) fn observe(&mut self, ms: u64) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(ms);
    }

    /// The usual one: one outlier does not move it.
    pub(super) fn median(&self) -> Option<u64> {
        let sorted = self.sorted();
        sorted.get(sorted.len() / 2).copied()
    }

    /// A quarter of them are shorter.
    fn lower_quartile(&self) -> Option<u64> {
        let sorted = self.sorted();
        sorted.get(sorted.len() / 4).copied()
    }

    fn sorted(&self) -> Vec<u64> {
        let mut sorted: Vec<u64> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        sorted
    }
}

/// How long fetches take. Of each author counts what is usual with it, so that fewer than half of them make it neither long nor
/// short, however often they are fetched from.
#[derive(Debug, Default)]
pub(super) struct FetchTimes {
    of: BTreeMap<MemberId, Durations>,
    usual: Option<u64>,
}

impl FetchTimes {
    pub(super) fn observe(&mut self, author: MemberId, ms: u64) {
        self.of.entry(author).or_default().observe(ms);
        let mut sorted: Vec<u64> = self.of.values().filter_map(Durations::median).collect();
        sorted.sort_unstable();
        self.usual = sorted.get(sorted.len() / 2).copied();
    }

    /// The usual one.
    pub(super) const fn usual(&self) -> Option<u64> {
        self.usual
    }
}

/// When a member published, and how long it usually works.
#[derive(Debug, Default)]
pub(super) struct Pace {
    published: VecDeque<(RecordId, Millis)>,
    work: Durations,
}

impl Pace {
    /// When its newest update came; `None`: not since we started.
    pub(super) fn last(&self) -> Option<Millis> {
        self.published.back().map(|(_, at)| *at)
    }

    /// When this update of it came, if that was lately.
    pub(super) fn at(&self, record: &RecordId) -> Option<Millis> {
        self.published.iter().rev().find(|(id, _)| id == record).map(|(_, at)| *at)
    }

    /// How long it usually works. What is seen of it may contain a wait for somebody else whom it did not merge in the end, so
    /// the shorter ones say more.
    pub(super) fn work_ms(&self) -> Option<u64> {
        self.work.lower_quartile()
    }

    /// An update came; `inputs`: when the last record came that it builds on.
    pub(super) fn publish(&mut self, record: RecordId, now: Millis, inputs: Option<Millis>) {
        if let Some(inputs) = inputs {
            self.work.observe(now.since(inputs));
        }
        if self.published.len() == KEPT {
            self.published.pop_front();
        }
        self.published.push_back((record, now));
    }
}

/// What one gathering may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Our own usual work; `None`: not known yet.
    pub(super) work_ms: Option<u64>,
    /// The longest wait for publications.
    pub(super) budget_ms: u64,
    /// What a fetch may take.
    pub(super) fetch_ms: u64,
}

impl Patience {
    /// `share`: of the own work, in 2^-16. `floor_ms`: what a fetch may take at least; `guess_ms`: where none was observed.
    pub(super) fn new(work_ms: Option<u64>, share: u64, fetch_ms: Option<u64>, floor_ms: u64, guess_ms: u64) -> Self {
        let fetch_ms = fetch_ms.map_or(guess_ms, |ms| ms.saturating_mul(FETCHES)).max(floor_ms);
        let share = work_ms.map_or(0, |work| (u128::from(work) * u128::from(share)) >> 16);
        Self { work_ms, budget_ms: u64::try_from(share).unwrap_or(u64::MAX).max(fetch_ms), fetch_ms }
    }

    /// Until when the next publication of a member is waited for that published `last` and usually works for `work_ms`, in a
    /// gathering since `since`. `None`: it is slower by more than the budget, not due within it, or overdue by all of it.
    pub(super) fn awaits(&self, last: Millis, work_ms: Option<u64>, since: Millis) -> Option<Millis> {
        let own = self.work_ms.unwrap_or(self.budget_ms);
        let work = work_ms.unwrap_or(own);
        if work > own.saturating_add(self.budget_ms) {
            return None;
        }
        let end = since.after(self.budget_ms);
        let due = last.after(work);
        if due > end.after(self.fetch_ms) {
            return None;
        }
        Some(end.min(due.after(self.budget_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u64 = 1 << 16;

    fn patience() -> Patience {
        Patience::new(Some(1_000), ONE, Some(20), 50, 10_000)
    }

    #[test]
    fn the_budget_is_the_share_of_the_own_work_and_never_shorter_than_fetches() {
        assert_eq!((patience().budget_ms, patience().fetch_ms), (1_000, 120));
        assert_eq!(Patience::new(Some(1_000), ONE / 4, Some(200), 50, 10_000).budget_ms, 1_200);
        assert_eq!(Patience::new(None, ONE, None, 50, 10_000).budget_ms, 10_000);
        assert_eq!(Patience::new(Some(u64::MAX), u64::MAX, Some(u64::MAX), 50, 10_000).budget_ms, u64::MAX);
    }

    #[test]
    fn a_member_of_like_speed_is_awaited_wherever_it_is_in_its_round() {
        for offset in [0, 100, 500, 900, 1_000] {
            let until = patience().awaits(Millis(5_000 - offset), Some(1_000), Millis(5_000));
            assert_eq!(until, Some(Millis(6_000)), "{offset} ms after its last publication");
        }
        assert!(patience().awaits(Millis(4_500), Some(1_900), Millis(5_000)).is_none(), "not due within the budget");
        assert!(patience().awaits(Millis(4_000), Some(1_900), Millis(5_000)).is_some(), "due within it");
    }

    #[test]
    fn who_is_slower_by_more_than_the_budget_is_used_as_it_is() {
        assert_eq!(patience().awaits(Millis(2_500), Some(3_000), Millis(5_000)), None);
        assert_eq!(patience().awaits(Millis(4_999), Some(10_000), Millis(5_000)), None);
    }

    #[test]
    fn who_fell_silent_costs_one_budget() {
        // It published with us at 5,000 and not again: awaited after our next round, from 6,000 on, then no more.
        assert_eq!(patience().awaits(Millis(5_000), Some(1_000), Millis(6_000)), Some(Millis(7_000)));
        assert!(
            patience().awaits(Millis(5_000), Some(1_000), Millis(8_000)).is_none_or(|until| until <= Millis(8_000))
        );
    }

    #[test]
    fn one_very_long_round_does_not_change_what_is_usual() {
        let mut work = Durations::default();
        for ms in [100, 110, 90, 3_600_000, 100] {
            work.observe(ms);
        }
        assert_eq!(work.median(), Some(100));
    }

    #[test]
    fn who_serves_slowly_does_not_change_what_a_fetch_usually_takes() {
        let mut times = FetchTimes::default();
        for (n, ms) in [(1, 20), (2, 30), (3, 60_000), (3, 60_000), (3, 60_000), (3, 60_000), (3, 60_000)] {
            times.observe(MemberId([n; 32]), ms);
        }
        assert_eq!(times.usual(), Some(30));
    }

    #[test]
    fn a_wait_for_somebody_else_does_not_make_a_member_slow() {
        let mut pace = Pace::default();
        for (n, at) in (0..).zip([1_000, 10_000, 13_000, 14_000]) {
            pace.publish(RecordId([n; 32]), Millis(at), (n > 0).then(|| pace.last().unwrap_or_default()));
        }
        assert_eq!(pace.work_ms(), Some(1_000));
    }
}
