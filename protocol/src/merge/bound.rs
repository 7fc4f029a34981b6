//! How far a merge may lie from what it would be without the payloads that are missing.
//!
//! An author that goes on from its own publication o leaves out whatever lies beyond reach R of o. So put o in the place of every
//! payload of another member that is missing: with w the sum of the missing weights and W that of all, the exact mean moves by at
//! most w·R/W. Both means are rounded, by at most half a unit in each of n values: √n more for the two. So the means lie at most
//! b = ⌈w·R/W⌉ + ⌊√n⌋ + 1 apart.

use super::{
    State,
    mean::{Mean, Weighed},
    momentum::{MOST, scaled},
};
use crate::{
    adapter::{Layout, Payload, Tile, block::Form, from_values, simd::Level},
    base::limit::WEIGHT_SUM,
    manifest::{Codec, Policy},
};

/// What is to be said of a merge that misses payloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It lies within the bound.
    Kept,
    /// Nothing speaks against it, and not all of it is bounded.
    Open,
    /// No merge of any payloads within reach gives it: why.
    Broken(&'static str),
}

/// The mean with the author's own last publication in the place of what is missing, and how far the right one may lie from it.
#[derive(Debug)]
pub(crate) struct Bound {
    codec: Codec,
    /// With their weights; the first is the author's own, which has those of the missing ones, too.
    voices: Vec<(Payload, u32)>,
    sum: u32,
    /// b, in units of 2⁻³².
    apart: u128,
}

impl Bound {
    /// Of the author's own last publication, of the others that are here, all of the policy's codec, with their weights; and of the sum
    /// of the weights of those that are missing. `None` if no merge has such weights.
    pub(crate) fn new(
        (policy, layout): (&Policy, &Layout),
        (own, weight): (Payload, u64),
        others: Vec<(Payload, u64)>,
        missing: u64,
    ) -> Option<Self> {
        let all: Vec<(Payload, u64)> = [(own, weight.checked_add(missing)?)].into_iter().chain(others).collect();
        let sum = all.iter().fold(0_u64, |sum, (_, weight)| sum.saturating_add(*weight));
        if !(1..=WEIGHT_SUM).contains(&sum) || all.iter().any(|(payload, _)| payload.codec() != policy.codec) {
            return None;
        }
        let moved = u128::from(missing) * (u128::from(policy.reach) << 16);
        let apart = moved.div_ceil(u128::from(sum)) + layout.len().isqrt() as u128 + 1;
        let narrow = |(payload, weight)| Some((payload, u32::try_from(weight).ok()?));
        let voices = all.into_iter().map(narrow).collect::<Option<_>>()?;
        Some(Self { codec: policy.codec, voices, sum: u32::try_from(sum).ok()?, apart })
    }

    /// Judges what was published on top of a merge without momentum: it lies within C of the right mean, thus within C + b of this one.
    pub(crate) fn judge(&self, norm_bound: u64, payload: &Payload, layout: &Layout) -> Judged {
        let level = Level::widest();
        let distance2 =
            self.distance2(layout, |tile, mean| from_values(payload.part(tile), payload.codec(), mean, level));
        if is_within(distance2, (u128::from(norm_bound) << 16).saturating_add(self.apart)) {
            Judged::Kept
        } else {
            Judged::Broken("the payload lies farther from the mean of those at hand than norm bound and reach allow")
        }
    }

    /// Adds up what `of` gives for each tile and the mean there.
    fn distance2(&self, layout: &Layout, of: impl Fn(&Tile, &[i64]) -> u128) -> u128 {
        let (form, level) = (Form::of(self.codec), Level::widest());
        let (mut distance2, mut mean) = (0_u128, Vec::new());
        for tile in layout.tiles(self.codec) {
            let voices = self.voices.iter();
            let voices: Vec<_> =
                voices.map(|(payload, weight)| Weighed { part: payload.part(&tile), weight: *weight }).collect();
            mean.resize(tile.values.len(), 0);
            level.run(Mean { form, voices: &voices, sum: self.sum, values: &mut mean });
            distance2 = distance2.saturating_add(of(&tile, &mean));
        }
        distance2
    }
}

/// What the momentum state before a merge says of the one after it.
#[derive(Debug)]
pub(crate) struct Before {
    /// μ in units of 2⁻¹⁶.
    momentum: i64,
    /// X − RNE(μ·v): with the new v it is the mean that was merged.
    base: Vec<i64>,
}

impl Before {
    pub(crate) fn new(policy: &Policy, state: State) -> Option<Self> {
        let momentum = i64::try_from(policy.momentum).ok().filter(|momentum| *momentum < 1 << 16)?;
        let State { x: mut base, v } = state;
        for (base, v) in base.iter_mut().zip(&v) {
            *base -= scaled(momentum, *v);
        }
        Some(Self { momentum, base })
    }

    /// Judges the state that an author says its merge left. A number that is held at the limit may tell no more than a range in which
    /// the mean lay: its nearest end counts, and the state does not count as bounded.
    pub(crate) fn judge(&self, state: &State, bound: Option<&Bound>, layout: &Layout) -> Judged {
        let (base, State { x, v }) = (self.base.as_slice(), state);
        let mut open = false;
        for ((base, x), v) in base.iter().zip(x).zip(v) {
            let Some((low, high)) = self.mean_of(*base, *x, *v) else {
                return Judged::Broken("the momentum state in its checkpoint does not follow from the one before");
            };
            open |= low < high;
        }
        let Some(bound) = bound else { return Judged::Open };
        let distance2 = bound.distance2(layout, |tile, mean| {
            let at = || tile.values.clone();
            let (base, x, v) = (base.get(at()), x.get(at()), v.get(at()));
            let (base, x, v) = (base.unwrap_or_default(), x.unwrap_or_default(), v.unwrap_or_default());
            let apart = base.iter().zip(x).zip(v).zip(mean).map(|(((base, x), v), mean)| {
                let nearest = self.mean_of(*base, *x, *v).map_or(*mean, |(low, high)| (*mean).max(low).min(high));
                u128::from((nearest - mean).unsigned_abs())
            });
            apart.fold(0, |sum: u128, apart| sum.saturating_add(apart * apart))
        });
        if !is_within(distance2, bound.apart) {
            return Judged::Broken(
                "by its checkpoint what it merged lies farther from the mean of the payloads at hand than reach allows",
            );
        }
        if open { Judged::Open } else { Judged::Kept }
    }

    /// The least and the largest mean that give X and v in one place; `None` if none does. All are below 2^46 in magnitude, as what
    /// payloads hold is.
    fn mean_of(&self, base: i64, x: i64, v: i64) -> Option<(i64, i64)> {
        let moved = scaled(self.momentum, v);
        // v = hold(mean − base).
        let (low, high) = match v {
            MOST.. => (base + MOST, MOST),
            ..=LEAST => (LEAST, base - MOST),
            _ => (base + v, base + v),
        };
        // X = hold(mean + RNE(μ·v)).
        let (from, to) = match x {
            MOST.. => (MOST - moved, MOST),
            ..=LEAST => (LEAST, LEAST - moved),
            _ => (x - moved, x - moved),
        };
        let (low, high) = (low.max(from).max(LEAST), high.min(to).min(MOST));
        (low <= high).then_some((low, high))
    }
}

/// The least M and v.
const LEAST: i64 = -MOST;

/// Where the square passes 2^128 nothing is out of bounds.
fn is_within(distance2: u128, most: u128) -> bool {
    most.checked_mul(most).is_none_or(|most2| distance2 <= most2)
}

#[cfg(test)]
mod tests;
