//! Wider registers change no bit of a payload, a distance or a view.

use super::{Checking, Layout, Payload, distance, encode::encode, simd::Level, view::hash_view};
use crate::{
    code::tree::{Joined, Run},
    manifest::{AdapterSpec, Codec, Factor, TensorSpec},
};

fn layout() -> Layout {
    let shapes = [(1, 1), (130, 130), (3, 64), (7, 11)];
    let tensors = shapes.into_iter().enumerate().map(|(number, (rows, columns))| TensorSpec {
        name: format!("t{number}"),
        factor: Factor::A,
        rows,
        columns,
    });
    let tensors = tensors.collect();
    Layout::new(&AdapterSpec { rank: 1, alpha: 1, seed: 0, start: [0; 32], tensors }).unwrap()
}

/// Values of every size, with ties.
fn values(layout: &Layout, seed: u64) -> Vec<i64> {
    let start = layout.start(seed);
    let sized = |(place, value): (usize, &i64)| {
        let bits = u32::try_from((place / 64) % 46).unwrap();
        let value = value.wrapping_mul(0x9e37_79b9) % (1 << bits);
        if place % 5 == 0 { value / 4096 * 4096 + 2048 } else { value }
    };
    start.iter().enumerate().map(sized).collect()
}

#[test]
fn every_level_encodes_checks_decodes_and_measures_the_same() {
    let layout = layout();
    let [a, b] = [1, 2].map(|seed| values(&layout, seed));
    let floats: Vec<f32> = super::f32_view(&a);
    for codec in [Codec::Bfp16, Codec::Bfp8] {
        let of = |level| {
            let first = encode(&layout, codec, &a, level).unwrap();
            let second = encode(&layout, codec, &b, level).unwrap();
            let third = encode(&layout, codec, &floats, level).unwrap();
            let [first, second, third] =
                [first, second, third].map(|bytes| Payload::check_at(&layout, codec, bytes, level).unwrap());
            (
                [&first, &second, &third].map(|payload| payload.bytes().clone()),
                first.decode::<i64>(&layout, level),
                first.decode::<f32>(&layout, level),
                distance::between(&first, &second, &layout, level),
                distance::to_values(&first, &b, &layout, level),
                view_hash(&a, a.len(), level),
            )
        };
        let levels = Level::all();
        assert_eq!(levels.last(), Some(&Level::widest()));
        let expected = of(levels[0]);
        for level in levels {
            assert_eq!(of(level), expected, "{level:?}");
        }
    }
}

#[test]
fn every_level_refuses_the_same_block() {
    let layout = layout();
    let codec = Codec::Bfp8;
    let good = encode(&layout, codec, &values(&layout, 3), Level::widest()).unwrap();
    for place in 0..good.len() {
        let mut bytes = good.to_vec();
        bytes[place] = 0x80;
        let of = |level| Payload::check_at(&layout, codec, bytes.clone().into(), level).unwrap_err();
        let levels = Level::all();
        let expected = of(levels[0]);
        assert!(["PAY-002", "PAY-003"].contains(&expected.code()), "{expected}");
        for level in levels {
            assert_eq!(of(level), expected, "{level:?}, byte {place}");
        }
    }
}

#[test]
fn a_payload_that_comes_in_pieces_is_judged_as_one_that_comes_whole() {
    let layout = layout();
    for codec in [Codec::Bfp16, Codec::Bfp8] {
        let good = encode(&layout, codec, &values(&layout, 3), Level::widest()).unwrap();
        let in_pieces = |bytes: &[u8], piece: usize| {
            let mut checking = Checking::new(&layout, codec);
            for end in (0..bytes.len()).step_by(piece).skip(1).chain([bytes.len()]) {
                checking.take(&bytes[..end]);
            }
            checking.finish(bytes.to_vec().into()).map(|payload| payload.bytes().clone())
        };
        let whole =
            |bytes: &[u8]| Payload::check(&layout, codec, bytes.to_vec().into()).map(|payload| payload.bytes().clone());
        for piece in [1, 77, 4096, good.len()] {
            assert_eq!(in_pieces(&good, piece).as_ref(), Ok(&good));
            assert_eq!(in_pieces(&good[1..], piece), whole(&good[1..]));
            for places in [[0, 1], [good.len() / 2, good.len() - 1], [140, 10_000]] {
                let mut bytes = good.to_vec();
                for place in places {
                    bytes[place] = 0x80;
                }
                assert_eq!(in_pieces(&bytes, piece), whole(&bytes), "{codec:?}, {places:?}, pieces of {piece}");
                assert!(in_pieces(&bytes, piece).is_err() || codec == Codec::Bfp16, "no mantissa of 8 bits is 0x80");
            }
        }
    }
}

/// In two runs that meet at `border`.
fn view_hash(values: &[i64], border: usize, level: Level) -> [u8; 32] {
    let (first, second) = values.split_at(border);
    let mut joined = Joined::default();
    for (start, values) in [(0, first), (border, second)] {
        let mut run = Run::new(4 * start as u64);
        for part in values.chunks(9000) {
            hash_view(&mut run, part, level);
        }
        joined.run(&run);
    }
    joined.finish()
}

#[test]
fn a_view_hash_is_that_of_its_bytes_wherever_its_runs_meet() {
    let layout = layout();
    let values: Vec<_> = values(&layout, 5).into_iter().cycle().take(40_000).collect();
    let bytes: Vec<_> = super::f32_view(&values).iter().flat_map(|value| value.to_le_bytes()).collect();
    for border in [0, 1, 2, 63, 255, 256, 16_383, 16_384, 16_385, 32_768, 39_999, 40_000] {
        let hash = view_hash(&values, border, Level::widest());
        assert_eq!(hash, *blake3::hash(&bytes).as_bytes(), "cut at {border}");
    }
}

#[test]
fn views_of_any_integers_are_rounded_once() {
    let values: Vec<i64> = (0..64).flat_map(|bit| [1_i64 << bit, (1 << bit) + 1, !(1 << bit), 3 << bit]).collect();
    for (value, view) in values.iter().zip(super::f32_view(&values)) {
        #[allow(clippy::cast_precision_loss)]
        let expected = *value as f32 / 4_294_967_296.0;
        assert_eq!(view.to_bits(), expected.to_bits(), "{value}");
    }
}
