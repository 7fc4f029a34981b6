//! The promises of payloads and merges, on any input: one encoding, the same bits whatever the way.
use bytes::Bytes;
use chorale_protocol::{
    adapter::{Layout, Payload, encode_f32, encode_q32},
    manifest::{AdapterSpec, Codec, Factor, TensorSpec},
};

fn layout(shapes: &[(u64, u64)]) -> Layout {
    let tensors = shapes
        .iter()
        .enumerate()
        .map(|(i, (rows, columns))| TensorSpec {
            name: format!("t{i:03}"),
            factor: if i % 2 == 0 { Factor::A } else { Factor::B },
            rows: *rows,
            columns: *columns,
        })
        .collect();
    Layout::new(&AdapterSpec { rank: 4, alpha: 8, seed: 1, start: [0; 32], tensors }).unwrap()
}

#[test]
fn quick() {
    let l = layout(&[(4, 50), (33, 4)]);
    let start = l.start(7);
    for codec in [Codec::Bfp16, Codec::Bfp8] {
        let bytes = encode_q32(&l, codec, &start).unwrap();
        let p = Payload::check(&l, codec, bytes.clone()).unwrap();
        assert_eq!(encode_q32(&l, codec, &p.to_q32(&l)).unwrap(), bytes);
        assert_eq!(encode_f32(&l, codec, &p.to_f32(&l)).unwrap(), bytes);
        println!("{}", p.distance2_q32(&start, &l));
        let _: &Bytes = p.bytes();
    }
}
