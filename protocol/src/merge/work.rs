//! The merge's one pass over the values: tile by tile, on one thread or several.

use std::{mem, panic::resume_unwind, thread};

use super::{
    State, Voice,
    digest::Digest,
    mean::{Mean, Weighed},
    momentum::Step,
};
use crate::{
    adapter::{Layout, Payload, Tile, block::Form, from_values, simd::Level},
    base::BlobHash,
    manifest::Codec,
};

/// What the pass is to do.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) layout: &'a Layout,
    pub(super) codec: Codec,
    /// Voices with their weights; their sum is 1 to 2^16.
    pub(super) voices: &'a [(&'a Voice, u32)],
    pub(super) sum: u32,
    /// μ in units of 2^-16, below 2^16; 0 is off.
    pub(super) momentum: i64,
    /// Whose distance from M is wanted.
    pub(super) measured: Option<&'a Payload>,
    pub(super) level: Level,
}

/// What the pass works in: as many values as the layout has.
pub(super) struct Memory {
    /// M; before, X if there was a state.
    pub(super) values: Vec<i64>,
    /// v; empty without momentum.
    pub(super) v: Vec<i64>,
    /// Whether X and v of an earlier merge are in it. Without, X is the mean and v is 0: the mean stays.
    pub(super) before: bool,
}

impl Memory {
    pub(super) fn new(count: usize, momentum: bool, state: Option<State>, mut spare: Vec<i64>) -> Self {
        if let Some(State { x, v }) = state {
            return Self { values: x, v, before: true };
        }
        spare.resize(count, 0);
        Self { values: spare, v: if momentum { vec![0; count] } else { Vec::new() }, before: false }
    }
}

/// What the pass yields.
pub(super) struct Made {
    pub(super) memory: Memory,
    pub(super) state: BlobHash,
    /// The squared distance of what was to be measured, else 0.
    pub(super) moved2: u128,
}

/// A run of tiles and the values that they make.
struct Span<'a> {
    tiles: &'a [Tile],
    /// Where the first value lies in the adapter.
    start: usize,
    values: &'a mut [i64],
    /// As long as `values`; empty without momentum.
    v: &'a mut [i64],
    /// See [`Memory::before`].
    before: bool,
}

/// What came of a span.
struct Part {
    digest: Digest,
    moved2: u128,
    /// Whether the state before was within bounds.
    bounded: bool,
}

impl Work<'_> {
    /// Makes M, and the new v if there is momentum, and hashes them. `None` if the state before holds values that no merge yields.
    pub(super) fn run(self, mut memory: Memory, threads: usize) -> Option<Made> {
        let tiles: Vec<_> = self.layout.tiles(self.codec).collect();
        let Memory { values, v, before } = &mut memory;
        let whole = Span { tiles: &tiles, start: 0, values, v, before: *before };
        let parts = if threads <= 1 {
            vec![self.fill(whole)]
        } else {
            thread::scope(|scope| {
                let spans = split(whole, threads).into_iter();
                let running: Vec<_> = spans.map(|span| scope.spawn(move || self.fill(span))).collect();
                running.into_iter().map(|span| span.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
            })
        };
        let bounded = parts.iter().all(|part| part.bounded);
        let moved2 = parts.iter().fold(0, |sum: u128, part| sum.saturating_add(part.moved2));
        let digests: Vec<Digest> = parts.into_iter().map(|part| part.digest).collect();
        bounded.then(|| Made { memory, state: Digest::finish(&digests), moved2 })
    }

    /// Fills a span. While a tile is near, it is hashed and measured.
    fn fill(self, span: Span<'_>) -> Part {
        let Span { tiles, start, values, v, before } = span;
        let digest = Digest::new(start, self.layout.len(), self.momentum != 0, self.level);
        let mut part = Part { digest, moved2: 0, bounded: true };
        let (mut voices, mut mean) = (Vec::with_capacity(self.voices.len()), Vec::new());
        for tile in tiles {
            let place = tile.values.start - start..tile.values.end - start;
            let Some(values) = values.get_mut(place.clone()) else { continue };
            let v = v.get_mut(place).unwrap_or_default();
            voices.clear();
            voices.extend(
                self.voices.iter().map(|(voice, weight)| Weighed { part: voice.payload.part(tile), weight: *weight }),
            );
            let (form, sum) = (Form::of(self.codec), self.sum);
            if before {
                mean.resize(values.len(), 0);
                self.level.run(Mean { form, voices: &voices, sum, values: &mut mean });
                part.bounded &= self.level.run(Step { momentum: self.momentum, mean: &mean, x: values, v });
            } else {
                self.level.run(Mean { form, voices: &voices, sum, values });
            }
            if let Some(payload) = self.measured {
                let moved2 = from_values(payload.part(tile), self.codec, values, self.level);
                part.moved2 = part.moved2.saturating_add(moved2);
            }
            part.digest.take(values, v);
        }
        part
    }
}

/// Cuts a span into about equal ones.
fn split(span: Span<'_>, parts: usize) -> Vec<Span<'_>> {
    let Span { tiles, mut start, mut values, mut v, before } = span;
    let share = tiles.len().div_ceil(parts.max(1)).max(1);
    tiles
        .chunks(share)
        .map(|tiles| {
            let count = tiles.iter().map(|tile| tile.values.len()).sum();
            let (values, v) = (front(&mut values, count), front(&mut v, count));
            let span = Span { tiles, start, values, v, before };
            start += count;
            span
        })
        .collect()
}

/// Takes the first `count` values off `rest`, or as many as there are.
fn front<'a>(rest: &mut &'a mut [i64], count: usize) -> &'a mut [i64] {
    let (front, back) = mem::take(rest).split_at_mut_checked(count).unwrap_or_default();
    *rest = back;
    front
}
