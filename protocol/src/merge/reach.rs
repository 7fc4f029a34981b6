//! Which publications lie near enough to be merged.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use super::Voice;
use crate::adapter::{Layout, Tile, in_tile, most_in_tile, simd::Level, within_bound};

/// Whether each of `others` is within `reach` [2^-16] of the reference: `own`, without it the medoid of three or more.
pub(super) fn within(own: Option<&Voice>, others: &[Voice], reach: u64, layout: &Layout, threads: usize) -> Vec<bool> {
    let near = |distance2: u128| within_bound(distance2, reach);
    match own {
        Some(own) => {
            let mut within: Vec<bool> = others.iter().map(|other| near(most(own, other, layout))).collect();
            // Only those whose exponents leave it open are measured.
            let open: Vec<_> = others.iter().zip(&within).filter(|(_, near)| !**near).map(|(o, _)| (own, o)).collect();
            let measured = distances(&open, layout, threads);
            for (slot, distance2) in within.iter_mut().filter(|near| !**near).zip(measured) {
                *slot = near(distance2);
            }
            within
        }
        None if others.len() < 3 => vec![true; others.len()],
        None => from_medoid(others, layout, threads).into_iter().map(near).collect(),
    }
}

/// No less than the squared distance of two.
fn most(a: &Voice, b: &Voice, layout: &Layout) -> u128 {
    let tiles = layout.tiles(a.payload.codec());
    tiles.map(|tile| most_in_tile(&a.payload, &b.payload, &tile)).fold(0, u128::saturating_add)
}

/// Squared distances of all to the one with the least sum of distances; the smaller member id wins a tie.
fn from_medoid(voices: &[Voice], layout: &Layout, threads: usize) -> Vec<u128> {
    let count = voices.len();
    let places: Vec<_> = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
    let pairs: Vec<_> = places.iter().filter_map(|(a, b)| Some((voices.get(*a)?, voices.get(*b)?))).collect();
    let mut table = vec![vec![0; count]; count];
    for ((a, b), distance2) in places.into_iter().zip(distances(&pairs, layout, threads)) {
        table[a][b] = distance2;
        table[b][a] = distance2;
    }
    let sum = |row: &Vec<u128>| -> u128 { row.iter().map(|distance2| distance2.isqrt()).sum() };
    let medoid = voices.iter().zip(table).min_by_key(|(voice, row)| (sum(row), voice.member));
    medoid.map(|(_, row)| row).unwrap_or_default()
}

/// The squared distance of each pair. Tile by tile, so that a publication is read once for all its pairs; the tiles are
/// dealt to the threads.
fn distances(pairs: &[(&Voice, &Voice)], layout: &Layout, threads: usize) -> Vec<u128> {
    let Some((first, _)) = pairs.first() else { return Vec::new() };
    let tiles: Vec<_> = layout.tiles(first.payload.codec()).collect();
    let level = Level::widest();
    let of = |tiles: &[Tile]| {
        let mut sums = vec![0; pairs.len()];
        for tile in tiles {
            for (sum, (a, b)) in sums.iter_mut().zip(pairs) {
                *sum = in_tile(&a.payload, &b.payload, tile, level).saturating_add(*sum);
            }
        }
        sums
    };
    if threads <= 1 {
        return of(&tiles);
    }
    let sums = Mutex::new(vec![0; pairs.len()]);
    thread::scope(|scope| {
        for tiles in tiles.chunks(tiles.len().div_ceil(threads).max(1)) {
            let (of, sums) = (&of, &sums);
            scope.spawn(move || {
                let part = of(tiles);
                let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
                for (sum, part) in sums.iter_mut().zip(part) {
                    *sum = part.saturating_add(*sum);
                }
            });
        }
    });
    sums.into_inner().unwrap_or_else(PoisonError::into_inner)
}
