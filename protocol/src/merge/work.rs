//! The merge's one pass over the values: tile by tile, on one thread or several.

use std::{mem, thread};

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
    pub(super) state: Option<&'a State>,
    pub(super) level: Level,
}

/// A run of tiles and the values that they make.
struct Span<'a> {
    tiles: &'a [Tile],
    /// Where the first value lies in the adapter.
    start: usize,
    values: &'a mut [i64],
    /// As long as `values`; empty without momentum.
    x: &'a mut [i64],
    v: &'a mut [i64],
}

impl Work<'_> {
    /// M, the new state if there is momentum, and the bytes of M's f32 view into `hasher`.
    pub(super) fn run(self, threads: usize, hasher: &mut ViewHasher) -> (Vec<i64>, Option<State>) {
        let count = self.layout.len();
        let kept = if self.momentum == 0 { 0 } else { count };
        let (mut values, mut x, mut v) = (vec![0; count], vec![0; kept], vec![0; kept]);
        let tiles: Vec<_> = self.layout.tiles(self.codec).collect();
        let whole = Span { tiles: &tiles, start: 0, values: &mut values, x: &mut x, v: &mut v };
        if threads <= 1 {
            self.fill(whole, |values| hasher.view(values));
        } else {
            thread::scope(|scope| {
                for span in split(whole, threads) {
                    scope.spawn(move || self.fill(span, |_| ()));
                }
            });
            hasher.view(&values);
        }
        let state = (self.momentum != 0).then_some(State { x, v });
        (values, state)
    }

    /// Fills a span, handing each finished tile to `done`.
    fn fill(self, span: Span<'_>, mut done: impl FnMut(&[i64])) {
        let Span { tiles, start, values, x, v } = span;
        let mut voices = Vec::with_capacity(self.voices.len());
        for tile in tiles {
            let place = tile.values.start - start..tile.values.end - start;
            let Some(values) = values.get_mut(place.clone()) else { continue };
            voices.clear();
            voices.extend(
                self.voices.iter().map(|(voice, weight)| Weighed { part: voice.payload.part(tile), weight: *weight }),
            );
            self.level.run(Mean { form: Form::of(self.codec), voices: &voices, sum: self.sum, values });
            if let (Some(x), Some(v)) = (x.get_mut(place.clone()), v.get_mut(place)) {
                let before = self
                    .state
                    .and_then(|state| Some((state.x.get(tile.values.clone())?, state.v.get(tile.values.clone())?)));
                self.level.run(Step { momentum: self.momentum, before, values, x, v });
            }
            done(values);
        }
    }
}

/// Cuts a span into about equal ones.
fn split(span: Span<'_>, parts: usize) -> Vec<Span<'_>> {
    let Span { tiles, mut start, mut values, mut x, mut v } = span;
    let share = tiles.len().div_ceil(parts.max(1)).max(1);
    tiles
        .chunks(share)
        .map(|tiles| {
            let count = tiles.iter().map(|tile| tile.values.len()).sum();
            let span = Span {
                tiles,
                start,
                values: front(&mut values, count),
                x: front(&mut x, count),
                v: front(&mut v, count),
            };
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
