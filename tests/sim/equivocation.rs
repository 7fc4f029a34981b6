//! A member that signs two histories.

use chorale_protocol::{engine::Input, feed::SkipReason, fixture};
use chorale_tests::sim::{Setup, World, seed};

#[test]
fn an_equivocator_is_convicted_by_all_and_no_longer_drawn() {
    let mut world = World::new(&Setup::new(5, seed(80)));
    (0..4).for_each(|node| world.start_after(node, 0));
    world.run_for(8_000);
    // Member 4 does not run: its two histories are written here.
    let chain = world.chain();
    let mut one = fixture::Author::new(4);
    let mut other = fixture::Author::new(4);
    let length = world.layout().payload_len(chain.current().policy.codec);
    let write = |author: &mut fixture::Author, what: &[u8]| {
        let spec = chorale_protocol::feed::Spec::Update(fixture::update(&chain, 1, 0));
        let mut draft = author.draft(&chain, &[], spec);
        draft.body = Some(chorale_protocol::feed::Body { hash: chorale_protocol::code::blob_hash(what), length });
        if let chorale_protocol::feed::Spec::Update(update) = &mut draft.spec {
            update.steps = 1;
        }
        author.write(draft)
    };
    let (first, second) = (write(&mut one, b"one"), write(&mut other, b"other"));
    for (node, record) in [(0, &first), (1, &second)] {
        let from = world.transport(4);
        world.inject(node, Input::Record { bytes: record.bytes().clone(), from, ticket: None });
        let bytes = record.bytes().clone();
        world.announce(node, &bytes);
    }
    let liar = fixture::member(4).id;
    let convicted = |world: &World| (0..4).all(|node| world.nodes()[node].convicted().contains(&liar));
    assert!(world.run_until(20_000, convicted), "not convicted by all: {}", world.tag());
    let convicted_at = world.now();
    world.run_for(6_000);
    for node in 0..4 {
        assert_eq!(world.nodes()[node].convicted().len(), 1, "an honest member was convicted: {}", world.tag());
        let after = world.nodes()[node].rounds().filter(|(at, _)| *at > convicted_at + 1_000);
        let mut rounds = 0;
        for (_, report) in after {
            rounds += 1;
            assert_eq!(report.contributors.len(), 4, "{report:?} {}", world.tag());
            assert_eq!(report.skipped, [(liar, SkipReason::Banned)], "{}", world.tag());
        }
        assert!(rounds > 10, "{rounds} rounds after the conviction: {}", world.tag());
    }
}
