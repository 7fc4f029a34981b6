//! Whether a record in its place keeps the rules, and how far the members have come.

use super::{Engine, Reason, index::Known, pending::Until};
use crate::{
    admit::{self, Parent, RuleError},
    base::{Lamport, Millis, Round, Seq},
    feed::{Record, Spec},
    merge,
};

/// By how much the clock of a record with an unknown parent may exceed all that counts here: a bound on the records that barred
/// members can have signed for one another and nobody has.
const UNSEEN: u64 = 1 << 20;

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
    /// Nothing beyond of an older manifest version than the newest.
    last_old: Round,
}

impl Engine {
    /// The rules that need the records it builds on.
    pub(super) fn judge(&self, record: &Record) -> Result<(), Doubt> {
        let prev = record.prev.and_then(|id| self.index.parent(&id));
        // A member makes a broken rule good behind the record that broke it.
        let behind = prev.or_else(|| record.prev.and_then(|id| self.index.unlawful(&id).copied()));
        if let Some(behind) = behind.filter(|_| record.seq == Seq(0)) {
            admit::check_opening(record.member, record.incarnation, &behind)?;
        }
        let parents: Vec<Option<Parent>> = record.parent_ids().map(|id| self.index.parent(&id)).collect();
        let Some((manifest, _)) = self.chain.at(record.manifest_version) else { return Err(Doubt::Early) };
        let length = self.payload_len(record.manifest_version);
        admit::check_named(record, manifest, |id| self.index.parent(id))?;
        let feed = self.index.feed(&record.member, record.incarnation);
        let since = feed.and_then(|feed| feed.since(record.manifest_version));
        admit::check(record, prev, &parents, (&manifest.policy, length), since)?;
        let complete = record.prev.is_some() == prev.is_some() && parents.iter().all(Option::is_some);
        if complete { Ok(()) } else { self.judge_incomplete(record, &parents) }
    }

    /// A record before it will never come or breaks a rule, and its author's history has two branches or was cut off: the record
    /// may honestly build on what we cannot have. Of others' records nothing is excused. Its author cannot have merged what lay
    /// beyond the window. How far that is depends on what we know, so it is no reason to blame anybody.
    fn judge_incomplete(&self, record: &Record, parents: &[Option<Parent>]) -> Result<(), Doubt> {
        let mut unknown = record.parents.iter().filter(|named| self.is_unknown(&named.record));
        if !unknown.all(|named| self.is_excused(record, named)) {
            return Err(Doubt::Early);
        }
        let round = if let Spec::Update(update) = &record.spec { update.round } else { Round(0) };
        let known = parents.iter().flatten().filter_map(|parent| parent.round).max();
        let base = self.frontier().max(known).unwrap_or_default();
        let last = base.0.saturating_add(self.unseen_rounds());
        let clock = self.index.clock().0.saturating_add(UNSEEN);
        if round.0 <= last && record.clock.0 <= clock { Ok(()) } else { Err(Doubt::Early) }
    }

    /// How far above what is known a record may be that builds on what we cannot have.
    fn unseen_rounds(&self) -> u64 {
        self.window().max(1).saturating_add(1)
    }

    /// What must be known before a record that came too early can be judged otherwise, unless one that it builds on comes.
    pub(super) fn too_early_until(&self, record: &Record) -> Until {
        let round = if let Spec::Update(update) = &record.spec { update.round } else { Round(0) };
        Until {
            round: Round(round.0.saturating_sub(self.unseen_rounds())),
            clock: Lamport(record.clock.0.saturating_sub(UNSEEN)),
        }
    }

    /// The last round that is not far ahead of a frontier.
    pub(super) fn lead_of(&self, frontier: Round) -> Round {
        Round(frontier.0.saturating_add(self.chain.current().policy.lead()))
    }

    /// The rounds that our next merge can use: back from our own last publication's, ahead as far as the policy's lead before
    /// the frontier. Without an own publication ages count from the common round, which depends on who lies within reach: back
    /// from the frontier and nothing ahead of it, so that none can be too old, whoever is left.
    pub(super) fn span(&self) -> Span {
        self.span_from(self.own_voice())
    }

    /// The same for a merge that goes on from `own`.
    pub(super) fn span_from(&self, own: Option<&Known>) -> Span {
        let frontier = self.frontier().unwrap_or_default();
        match own {
            Some(own) => Span { base: own.round, last: self.lead_of(frontier), last_old: self.last_of_old(own) },
            None => Span { base: frontier, last: frontier, last_old: frontier },
        }
    }

    /// The last round of an older manifest version that we can merge. Before our first update under the newest version that
    /// follows from the least round which that one can be of.
    fn last_of_old(&self, own: &Known) -> Round {
        let manifest = self.chain.current();
        let feed = self.index.feed(&self.config.me, self.own.incarnation());
        let since = feed.and_then(|feed| feed.since(manifest.version));
        admit::last_of_old(&manifest.policy, since.unwrap_or_else(|| own.round.next()))
    }

    /// Whether a merge of ours can use it.
    pub(super) fn is_in_span(&self, span: &Span, known: &Known) -> bool {
        let old = known.manifest_version < self.chain.current().version;
        let last = if old { span.last.min(span.last_old) } else { span.last };
        known.round <= last && merge::weight(&self.chain.current().policy.ages, span.base, known.round).is_some()
    }

    /// Whom of these our next merge leaves out: the one farthest ahead of the frontier, if those beyond it would carry us
    /// farther than our own next round and than the frontier. Landing where the others are is no harm; but a public draw may
    /// give one merge more of those who run ahead than its common round withstands.
    pub(super) fn who_carries_us_ahead<'a>(&self, voices: &'a [Known]) -> Option<&'a Known> {
        let own = self.own_voice().map(|own| own.round);
        let frontier = self.frontier().unwrap_or_default();
        let policy = &self.chain.current().policy;
        let with = |last: Round| {
            let rounds = voices.iter().map(|voice| voice.round).filter(|round| *round <= last);
            merge::round_published(policy, own, merge::common_round(policy, own.into_iter().chain(rounds)))
        };
        let ahead = voices.iter().max_by_key(|voice| voice.round).filter(|voice| voice.round > frontier)?;
        let most = own.unwrap_or_default().next().max(frontier).max(with(frontier));
        (with(ahead.round) > most).then_some(ahead)
    }

    /// Until when the others may catch up.
    pub(super) fn patience_for_others(&self, since: Millis) -> Millis {
        since.after(self.config.gather_max_ms)
    }
}
