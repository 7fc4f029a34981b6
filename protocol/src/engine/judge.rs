//! Whether a record in its place keeps the rules, and how far the members have come.

use super::{Engine, Reason, index::Known};
use crate::{
    admit::{self, Parent, RuleError},
    base::{MemberId, Millis, Round, Seq},
    feed::{Record, Spec},
    manifest::Role,
    merge,
};

/// What speaks against a record.
#[derive(Debug)]
pub(super) enum Doubt {
    /// It breaks a rule, whatever else is known: its author signed something that no honest member signs.
    Broken(Reason),
    /// It may be right, but is ahead of what is known here.
    Early,
}

impl From<RuleError> for Doubt {
    fn from(rule: RuleError) -> Self {
        Self::Broken(Reason { code: rule.code(), text: rule.to_string() })
    }
}

/// The rounds that a merge of ours can use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// What ages count from.
    base: Round,
    /// Nothing beyond: one member alone does not pull the others along.
    last: Round,
}

impl Span {
    /// Whether this round is beyond.
    pub(super) fn is_beyond(&self, round: Round) -> bool {
        round > self.last
    }
}

impl Engine {
    /// The rules that need the records it builds on.
    pub(super) fn judge(&self, record: &Record) -> Result<(), Doubt> {
        let prev = record.prev.and_then(|id| self.index.parent(&id));
        if let Some(prev) = prev.filter(|_| record.seq == Seq(0)) {
            admit::check_opening(record.member, record.incarnation, &prev)?;
        }
        let parents: Vec<Option<Parent>> = record.parent_ids().map(|id| self.index.parent(&id)).collect();
        let Some((manifest, _)) = self.chain.at(record.manifest_version) else { return Err(Doubt::Early) };
        let length = self.payload_len(record.manifest_version);
        admit::check_named(record, manifest, |id| self.index.parent(id))?;
        admit::check(record, prev, &parents, &manifest.policy, length)?;
        if parents.iter().any(Option::is_none) { self.judge_forgiven(record) } else { Ok(()) }
    }

    /// A parent will never come, and somebody's history has two branches or was cut off: the record may honestly build on what
    /// we cannot have. What it can do at most is to claim the next round. That depends on what we know, so it is no reason to
    /// blame anybody.
    fn judge_forgiven(&self, record: &Record) -> Result<(), Doubt> {
        let round = if let Spec::Update(update) = &record.spec { update.round } else { Round(0) };
        let limit = self.frontier().unwrap_or_default().next();
        if round <= limit && record.clock <= self.index.most_clock() { Ok(()) } else { Err(Doubt::Early) }
    }

    /// The round that more than a third of the members have published, ourselves included: whoever is ahead of it alone, or
    /// with few others, does not move it. Of two members at most, the larger one. Who was not heard of for long does not
    /// count; a program that has just begun cannot tell who that is.
    pub(super) fn frontier(&self) -> Option<Round> {
        let sure = self.now.since(self.started) >= self.silence_ms();
        self.frontier_of(|known| !sure || self.is_present(known))
    }

    fn frontier_of(&self, counts: impl Fn(&Known) -> bool) -> Option<Round> {
        let manifest = self.chain.current();
        let is_drawable = |id: &MemberId| {
            let member = manifest.member(id).is_some_and(|member| member.role == Role::Member);
            member && manifest.cut(id).is_none() && !self.trust.is_barred(id)
        };
        let known = self.index.all_newest().filter(|known| is_drawable(&known.member) && counts(known));
        let mut rounds: Vec<Round> = known.map(|known| known.round).collect();
        rounds.sort_unstable_by(|one, other| other.cmp(one));
        let place = if rounds.len() < 3 { 0 } else { rounds.len() / 3 };
        rounds.get(place).copied()
    }

    /// Whether a member is there: ourselves, alive, or done.
    fn is_present(&self, known: &Known) -> bool {
        let rounds = self.chain.current().policy.rounds;
        let done = rounds > 0 && known.round.0 >= rounds;
        known.member == self.config.me || done || self.is_alive(&known.member)
    }

    /// The rounds that our next merge can use: back from our own last publication's (without one, the frontier), ahead as far
    /// as the window lets a member lag behind the frontier.
    pub(super) fn span(&self) -> Span {
        let frontier = self.frontier().unwrap_or_default();
        let base = self.own_voice().map_or(frontier, |known| known.round);
        Span { base, last: Round(base.max(frontier).0.saturating_add(self.window().max(1))) }
    }

    /// Whether a merge of ours can use it.
    pub(super) fn is_in_span(&self, span: &Span, known: &Known) -> bool {
        !span.is_beyond(known.round)
            && merge::weight(&self.chain.current().policy.ages, span.base, known.round).is_some()
    }

    /// Whether those who are there have fallen so far behind that they do not use what we publish.
    pub(super) fn is_ahead(&self) -> bool {
        let frontier = || self.frontier_of(|known| self.is_present(known));
        let last = |frontier: Round| frontier.0.saturating_add(self.window().max(1));
        self.own.last().is_some_and(|own| frontier().is_some_and(|frontier| own.round.0 > last(frontier)))
    }

    /// Until when the others may catch up.
    pub(super) fn patience_for_others(&self, since: Millis) -> Millis {
        since.after(self.config.gather_max_ms)
    }
}
