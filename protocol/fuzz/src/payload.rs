//! A payload is the one encoding of its values, or is refused.

use bytes::Bytes;
use chorale_protocol::{
    adapter::{Layout, Payload, encode_f32, encode_q32, f32_view},
    fixture,
    manifest::{AdapterSpec, Codec, Factor, TensorSpec},
};

use super::{choices::Choices, refused};

/// Two choices, shape and what the bytes are; then a payload, values in Q.32 or floats.
pub fn run(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    let layout = layout(choices.byte());
    let what = choices.byte();
    let codec = if what & 1 == 0 { Codec::Bfp16 } else { Codec::Bfp8 };
    match what >> 1 & 3 {
        0 => payload(&layout, codec, choices.0).is_some(),
        1 => {
            let words = choices.0.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap()));
            let values = fill(words, &layout);
            match encode_f32(&layout, codec, &values) {
                Ok(bytes) => {
                    payload(&layout, codec, &bytes).expect("what was encoded is a payload");
                    true
                }
                Err(error) => refused(error.code(), &error.to_string()),
            }
        }
        2 => {
            let words = choices.0.chunks_exact(8).map(|word| i64::from_le_bytes(word.try_into().unwrap()));
            let values = fill(words, &layout);
            match encode_q32(&layout, codec, &values) {
                Ok(bytes) => {
                    payload(&layout, codec, &bytes).expect("what was encoded is a payload");
                    true
                }
                Err(error) => refused(error.code(), &error.to_string()),
            }
        }
        _ => {
            let (one, two) = choices.0.split_at(choices.0.len() / 2);
            let (one, two) = (payload(&layout, codec, one), payload(&layout, codec, two));
            let (Some(one), Some(two)) = (one, two) else { return false };
            let distance = one.distance2(&two, &layout);
            assert_eq!(distance, two.distance2(&one, &layout));
            assert_eq!(distance, one.distance2_q32(&two.to_q32(&layout), &layout));
            assert_eq!(distance == 0, one.to_q32(&layout) == two.to_q32(&layout));
            true
        }
    }
}

/// As many values as the layout has: those that came, again and again.
fn fill<V: Copy + Default>(values: impl Iterator<Item = V>, layout: &Layout) -> Vec<V> {
    let values: Vec<V> = values.collect();
    (0..layout.len()).map(|at| values.get(at % values.len().max(1)).copied().unwrap_or_default()).collect()
}

fn layout(choice: u8) -> Layout {
    let tensor = |name: &str, rows, columns| TensorSpec { name: name.into(), factor: Factor::A, rows, columns };
    let tensors = match choice % 4 {
        0 => return Layout::new(&fixture::adapter()).unwrap(),
        1 => vec![tensor("one", 1, 1)],
        2 => vec![tensor("block", 8, 8), tensor("more", 5, 13)],
        _ => vec![tensor("a", 1, 63), tensor("b", 2, 64), tensor("c", 1, 1)],
    };
    Layout::new(&AdapterSpec { tensors, ..fixture::adapter() }).unwrap()
}

fn payload(layout: &Layout, codec: Codec, bytes: &[u8]) -> Option<Payload> {
    match Payload::check(layout, codec, Bytes::copy_from_slice(bytes)) {
        Ok(payload) => {
            let values = payload.to_q32(layout);
            assert!(values.iter().all(|value| value.abs() < 1 << 46));
            assert_eq!(encode_q32(layout, codec, &values).unwrap(), bytes);
            assert_eq!(encode_f32(layout, codec, &payload.to_f32(layout)).unwrap(), bytes);
            assert_eq!(f32_view(&values), payload.to_f32(layout));
            assert_eq!(payload.distance2(&payload, layout), 0);
            Some(payload)
        }
        Err(error) => {
            refused(error.code(), &error.to_string());
            None
        }
    }
}
