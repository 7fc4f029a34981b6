//! The merge's one pass over the values: tile by tile, on one thread or several.

use std::{mem, panic::resume_unwind, thread};

use super::{
    State, Voice,
    mean::{Mean, Weighed},
    momentum::Step,
};
use crate::{
    adapter::{Layout, Tile, ViewHasher, block::Form, simd::Level},
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
    pub(super) level: Level,
}

/// What the pass works in: as many values as the layout has.
pub(super) struct Memory {
    /// M; before, X if there was a state.
    pub(super) values: Vec<i64>,
    /// v; empty without momentum.
    pub(super) v: Vec<i64>,
    /// Whether X and v of an earlier merge are in it. Without one X is the mean and v is 0: the mean stays.
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

/// A run of tiles and the values that they make.
struct Span<'a> {
    tiles: &'a [Tile],
    /// Where the first value lies in the adapter.
    start: usize,
    values: &'a mut [i64],
    /// As long as `values`; empty without an earlier state.
    v: &'a mut [i64],
}

impl Work<'_> {
    /// Makes M, and the new v if there is momentum, and hands the bytes of M's f32 view to `hasher`. `None` if the state before
    /// holds values that no merge yields.
    pub(super) fn run(self, mut memory: Memory, threads: usize, hasher: &mut ViewHasher) -> Option<Memory> {
        let tiles: Vec<_> = self.layout.tiles(self.codec).collect();
        let v = if memory.before { &mut memory.v[..] } else { &mut [] };
        let whole = Span { tiles: &tiles, start: 0, values: &mut memory.values, v };
        let bounded = if threads <= 1 {
            self.fill(whole, |values| hasher.view(values))
        } else {
            let bounded = thread::scope(|scope| {
                let spans = split(whole, threads).into_iter();
                let running: Vec<_> = spans.map(|span| scope.spawn(move || self.fill(span, |_| ()))).collect();
                running.into_iter().all(|span| span.join().unwrap_or_else(|panic| resume_unwind(panic)))
            });
            hasher.view(&memory.values);
            bounded
        };
        bounded.then_some(memory)
    }

    /// Fills a span, handing each finished tile to `done`. Whether the state before was within bounds.
    fn fill(self, span: Span<'_>, mut done: impl FnMut(&[i64])) -> bool {
        let Span { tiles, start, values, v } = span;
        let mut bounded = true;
        let (mut voices, mut mean) = (Vec::with_capacity(self.voices.len()), Vec::new());
        for tile in tiles {
            let place = tile.values.start - start..tile.values.end - start;
            let Some(values) = values.get_mut(place.clone()) else { continue };
            voices.clear();
            voices.extend(
                self.voices.iter().map(|(voice, weight)| Weighed { part: voice.payload.part(tile), weight: *weight }),
            );
            let (form, sum) = (Form::of(self.codec), self.sum);
            if let Some(v) = v.get_mut(place) {
                mean.resize(values.len(), 0);
                self.level.run(Mean { form, voices: &voices, sum, values: &mut mean });
                bounded &= self.level.run(Step { momentum: self.momentum, mean: &mean, x: values, v });
            } else {
                self.level.run(Mean { form, voices: &voices, sum, values });
            }
            done(values);
        }
        bounded
    }
}

/// Cuts a span into about equal ones.
fn split(span: Span<'_>, parts: usize) -> Vec<Span<'_>> {
    let Span { tiles, mut start, mut values, mut v } = span;
    let share = tiles.len().div_ceil(parts.max(1)).max(1);
    tiles
        .chunks(share)
        .map(|tiles| {
            let count = tiles.iter().map(|tile| tile.values.len()).sum();
            let span = Span { tiles, start, values: front(&mut values, count), v: front(&mut v, count) };
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
