//! How far the members have come: the round that more than a third of them have published.
//!
//! Kept up to date record by record. All members are counted again when one comes, goes, or is barred, and once a second, for
//! silence makes no noise.

use std::collections::BTreeMap;

use super::{Engine, index::Known};
use crate::{
    base::{MemberId, Millis, Round},
    manifest::Role,
};

/// How often all members are counted again when nothing else asks for it.
const RECOUNT_MS: u64 = 1_000;

/// The newest rounds of the members that count.
#[derive(Debug, Default)]
pub(super) struct Frontier {
    of: BTreeMap<MemberId, Round>,
    members: BTreeMap<Round, usize>,
    counted: Option<Millis>,
}

impl Frontier {
    fn set(&mut self, member: MemberId, round: Round) {
        if let Some(before) = self.of.insert(member, round)
            && let Some(count) = self.members.get_mut(&before)
        {
            *count -= 1;
            if *count == 0 {
                self.members.remove(&before);
            }
        }
        *self.members.entry(round).or_default() += 1;
    }

    /// The round that more than a third of the members have reached; of two at most, the larger one.
    fn round(&self) -> Option<Round> {
        let place = if self.of.len() < 3 { 0 } else { self.of.len() / 3 };
        let mut ahead = 0;
        for (round, count) in self.members.iter().rev() {
            ahead += count;
            if ahead > place {
                return Some(*round);
            }
        }
        None
    }
}

impl Engine {
    /// The round that more than a third of the members have published, ourselves included: whoever is ahead of it alone, or
    /// with few others, does not move it. Of two members at most, the larger one. Who was not heard of for long does not
    /// count, nor who was there and went; a program that has just begun cannot tell who was away before.
    pub(super) fn frontier(&self) -> Option<Round> {
        self.frontier.round()
    }

    /// A member has a new update.
    pub(super) fn advance_frontier(&mut self, member: &MemberId) {
        let Some(newest) = self.index.newest(member) else { return };
        if self.counts(newest) {
            let (member, round) = (newest.member, newest.round);
            self.frontier.set(member, round);
        }
    }

    /// Counts all members again, if that was long ago.
    pub(super) fn refresh_frontier(&mut self) {
        if self.frontier.counted.is_none_or(|counted| self.now.since(counted) >= RECOUNT_MS) {
            self.recount_frontier();
        }
    }

    /// Counts all members again: one came, went, or was barred.
    pub(super) fn recount_frontier(&mut self) {
        let mut frontier = Frontier { counted: Some(self.now), ..Frontier::default() };
        for known in self.index.all_newest().filter(|known| self.counts(known)) {
            frontier.set(known.member, known.round);
        }
        self.frontier = frontier;
    }

    fn counts(&self, known: &Known) -> bool {
        let sure = self.now.since(self.started) >= self.silence_ms();
        let was_heard = self.standings.get(&known.member).is_some_and(|standing| standing.was_heard);
        self.is_drawable(&known.member) && (self.is_present(known) || !(sure || was_heard))
    }

    fn is_drawable(&self, id: &MemberId) -> bool {
        let manifest = self.chain.current();
        let member = manifest.member(id).is_some_and(|member| member.role == Role::Member);
        member && manifest.cut(id).is_none() && !self.trust.is_barred(id)
    }

    /// Whether a member is there: ourselves, alive, or done.
    fn is_present(&self, known: &Known) -> bool {
        let rounds = self.chain.current().policy.rounds;
        let done = rounds > 0 && known.round.0 >= rounds;
        known.member == self.config.me || done || self.is_alive(&known.member)
    }

    /// Whether those who are there have fallen so far behind that they do not use what we publish.
    pub(super) fn is_ahead(&self) -> bool {
        let Some(own) = self.own.last() else { return false };
        let sure = self.now.since(self.started) >= self.silence_ms();
        if sure || self.frontier().is_none() {
            return self.frontier().is_some_and(|frontier| own.round > self.lead_of(frontier));
        }
        // Who never came up since we started counts as there for all but this.
        let mut there = Frontier::default();
        for known in self.index.all_newest() {
            if self.is_drawable(&known.member) && self.is_present(known) {
                there.set(known.member, known.round);
            }
        }
        there.round().is_some_and(|frontier| own.round > self.lead_of(frontier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_more_than_a_third_have_reached_whatever_the_order() {
        let of = |rounds: &[u64]| {
            let mut frontier = Frontier::default();
            for (n, round) in (0..).zip(rounds) {
                frontier.set(MemberId([n; 32]), Round(1));
                frontier.set(MemberId([n; 32]), Round(*round));
            }
            frontier.round().map(|round| round.0)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some(7));
        assert_eq!(of(&[3, 9]), Some(9));
        assert_eq!(of(&[9, 3, 4]), Some(4));
        assert_eq!(of(&[100, 5, 5, 5]), Some(5), "one alone does not move it");
        assert_eq!(of(&[100, 100, 5, 5]), Some(100), "two of four do");
        assert_eq!(of(&[1, 100, 2, 100, 3, 4, 5]), Some(5));
    }
}
