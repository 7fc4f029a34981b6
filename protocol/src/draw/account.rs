//! The account of a draw: how far its order was walked, and what became of each member on the way. Who publishes makes it by the
//! same walk as who checks it.

use std::collections::BTreeSet;

use crate::{
    base::{MemberId, limit},
    feed::{Record, Skip, SkipReason, Spec},
    manifest::Manifest,
};

/// What became of a member of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Its publication is fetched: merged, or left out for its distance.
    Fetched,
    /// It is passed over for another reason.
    Passed,
}

/// How far an order was walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// Members that were looked at.
    pub looked: usize,
    /// Of them, those whose publications are fetched.
    pub fetched: u64,
}

/// How many members of an order a record can name, as used or as skipped; the author's own parent takes a place.
const fn room(own: bool) -> usize {
    if own { limit::NAMED - 1 } else { limit::NAMED }
}

/// Walks the order from its first member on until `draw` are fetched, or a record can name no more. `own`: the author's last
/// publication is merged, too. Nobody behind is looked at. `look` ends the walk by `None`.
pub fn walk(order: &[MemberId], draw: u64, own: bool, mut look: impl FnMut(&MemberId) -> Option<Look>) -> Walked {
    let mut walked = Walked { looked: 0, fetched: 0 };
    for member in order.iter().take(room(own)) {
        if walked.fetched >= draw {
            break;
        }
        let Some(look) = look(member) else { break };
        walked.looked += 1;
        walked.fetched += u64::from(look == Look::Fetched);
    }
    walked
}

/// What a record says of its draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Others whose publications it merged.
    used: BTreeSet<MemberId>,
    /// Those skipped, in the record's order; `None` for a place that the member list does not have.
    skipped: Vec<(Option<MemberId>, SkipReason)>,
    /// Whether it merged an own publication, too.
    own: bool,
}

/// How an account differs from the draw.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// A member was used or skipped that is not next in the order, or behind the last one fetched.
    #[error("{what} out of turn: {next}")]
    Turn {
        /** who */
        what: String,
        /** who was next */
        next: String,
    },
    /// More were fetched than are drawn.
    #[error("{fetched} peers were drawn, the policy draws {draw}")]
    Many {
        /** how many */
        fetched: u64,
        /** the policy's */
        draw: u64,
    },
    /// Fewer were fetched, and the others are not accounted for.
    #[error("{fetched} of {draw} peers were drawn; {next}")]
    Few {
        /** how many */
        fetched: u64,
        /** the policy's */
        draw: u64,
        /** who was next */
        next: String,
    },
}

impl DrawError {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Turn { .. } => "DRW-001",
            Self::Many { .. } => "DRW-002",
            Self::Few { .. } => "DRW-003",
        }
    }
}

impl Account {
    /// The account of an update; `manifest` is the version that it names. Whom it merged is known by its references alone.
    #[must_use]
    pub fn of(record: &Record, manifest: &Manifest) -> Self {
        let members = record.parents.iter().filter_map(|parent| manifest.member_at(parent.member));
        let used = members.clone().filter(|member| *member != record.member).collect();
        let skips = if let Spec::Update(update) = &record.spec { update.skipped.as_slice() } else { &[] };
        let skipped = skips.iter().map(|skip: &Skip| (manifest.member_at(skip.member), skip.reason)).collect();
        Self { used, skipped, own: members.into_iter().any(|member| member == record.member) }
    }

    /// How many publications of others were fetched.
    fn fetched(&self) -> u64 {
        let distant = self.skipped.iter().filter(|(_, reason)| *reason == SkipReason::Distance);
        self.used.len() as u64 + distant.count() as u64
    }

    /// Checks that no more were fetched than are drawn. The order need not be known for it.
    ///
    /// # Errors
    /// More were.
    pub fn check_count(&self, draw: u64) -> Result<(), DrawError> {
        let fetched = self.fetched();
        if fetched > draw { Err(DrawError::Many { fetched, draw }) } else { Ok(()) }
    }

    /// Checks it against the order that was drawn. Each member of it, from the first one on, was used or is listed as skipped, in
    /// the order, until as many were fetched as are drawn; nobody else was. With fewer the whole order is accounted for, or as much
    /// of it as a record can name.
    ///
    /// # Errors
    /// The first way in which it differs.
    pub fn check(&self, order: &[MemberId], draw: u64) -> Result<(), DrawError> {
        self.check_count(draw)?;
        let mut merged = 0;
        let mut skips = self.skipped.iter().peekable();
        let walked = walk(order, draw, self.own, |member| {
            if self.used.contains(member) {
                merged += 1;
                return Some(Look::Fetched);
            }
            let (_, reason) = skips.next_if(|(skipped, _)| *skipped == Some(*member))?;
            Some(if *reason == SkipReason::Distance { Look::Fetched } else { Look::Passed })
        });
        let next = || match order.get(walked.looked) {
            _ if walked.fetched >= draw => "as many were drawn as the policy says".to_owned(),
            Some(member) => {
                format!("place {} of the draw is {member}, who was neither merged nor skipped there", walked.looked)
            }
            None => "the draw ends there".to_owned(),
        };
        if let Some((member, _)) = skips.peek() {
            let what = member.map_or_else(|| "nobody was skipped".to_owned(), |member| format!("{member} was skipped"));
            return Err(DrawError::Turn { what, next: next() });
        }
        if merged < self.used.len() {
            let what = format!("{} merged", self.used.len() - merged);
            return Err(DrawError::Turn { what, next: next() });
        }
        if walked.fetched < draw && walked.looked < order.len().min(room(self.own)) {
            return Err(DrawError::Few { fetched: walked.fetched, draw, next: next() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    /// What becomes of the skipped and used places of an order of a hundred, drawing 4.
    fn checked(skipped: &[(usize, SkipReason)], used: &[usize], own: bool) -> Result<(), &'static str> {
        let order: Vec<MemberId> = (0..100).map(|n| fixture::member(n).id).collect();
        let skipped = skipped.iter().map(|(place, reason)| (Some(order[*place]), *reason)).collect();
        let account = Account { used: used.iter().map(|place| order[*place]).collect(), skipped, own };
        account.check(&order, 4).map_err(|error| error.code())
    }

    fn absent(places: std::ops::Range<usize>) -> Vec<(usize, SkipReason)> {
        places.map(|place| (place, SkipReason::Absent)).collect()
    }

    #[test]
    fn a_full_record_lets_nobody_be_picked_behind_it() {
        assert_eq!(checked(&absent(0..64), &[], false), Ok(()), "no more can be named");
        assert_eq!(checked(&absent(0..63), &[63], false), Ok(()), "in turn");
        assert_eq!(checked(&absent(0..64), &[64], false), Err("DRW-001"));
        assert_eq!(checked(&absent(0..63), &[64], false), Err("DRW-001"));
        assert_eq!(checked(&absent(0..64), &[80], false), Err("DRW-001"));
        assert_eq!(checked(&absent(0..63), &[], true), Ok(()), "the own one takes a place");
        assert_eq!(checked(&absent(0..63), &[], false), Err("DRW-003"));
    }

    #[test]
    fn who_fetched_fewer_accounts_for_all_that_fit_and_who_fetched_all_for_no_more() {
        assert_eq!(checked(&absent(0..62), &[62], false), Err("DRW-003"));
        assert_eq!(checked(&[], &[0, 1, 2, 3], true), Ok(()));
        assert_eq!(
            checked(&[(3, SkipReason::Distance)], &[0, 1, 2], false),
            Ok(()),
            "the last one fetched was out of reach"
        );
        assert_eq!(checked(&absent(4..5), &[0, 1, 2, 3], false), Err("DRW-001"), "nobody looked at the fifth");
        assert_eq!(checked(&[(3, SkipReason::Distance)], &[0, 1, 2, 4], false), Err("DRW-002"));
    }

    #[test]
    fn an_account_names_members_in_the_order_of_the_draw() {
        let swapped = [(1, SkipReason::Absent), (0, SkipReason::Absent)];
        assert_eq!(checked(&swapped, &[2, 3, 4, 5], false), Err("DRW-001"));
        assert_eq!(checked(&absent(0..2), &[2, 3, 4, 5], false), Ok(()));
        assert_eq!(checked(&absent(1..2), &[2, 3, 4, 5], false), Err("DRW-001"), "the first one is not named");
        assert_eq!(checked(&absent(0..2), &[2, 3, 4, 6], false), Err("DRW-001"), "one was left out without a word");
    }

    #[test]
    fn the_walk_ends_where_as_many_are_fetched_as_are_drawn() {
        let order: Vec<MemberId> = (0..100).map(|n| fixture::member(n).id).collect();
        let every_second = |draw, own| {
            let mut at = 0;
            walk(&order, draw, own, |_| {
                at += 1;
                Some(if at % 2 == 0 { Look::Fetched } else { Look::Passed })
            })
        };
        assert_eq!(every_second(4, true), Walked { looked: 8, fetched: 4 });
        assert_eq!(every_second(63, false), Walked { looked: 64, fetched: 32 });
        assert_eq!(every_second(63, true), Walked { looked: 63, fetched: 31 });
    }
}
