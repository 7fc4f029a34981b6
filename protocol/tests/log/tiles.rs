//! Tiles: paths, and trees out of them.

use std::collections::BTreeMap;

use chorale_protocol::log::{Tile, TileError, Tree, rebuild, tiles};

use crate::tree;

#[test]
fn paths_are_grouped_by_thousands() {
    let path = |level, index, width| Tile { level, index, width }.path();
    assert_eq!(path(0, 0, 256), "tile/0/000");
    assert_eq!(path(1, 67, 256), "tile/1/067");
    assert_eq!(path(0, 1234, 256), "tile/0/x001/234");
    assert_eq!(path(0, 1_234_067, 256), "tile/0/x001/x234/067");
    assert_eq!(path(2, 273, 112), "tile/2/273.p/112");
    assert_eq!(path(0, 1000, 1), "tile/0/x001/000.p/1");
}

#[test]
fn only_the_one_spelling_of_a_path_is_read() {
    for size in [1, 255, 256, 257, 65_536, 300_000, 70_000_000] {
        for tile in tiles(size).step_by(97) {
            assert_eq!(Tile::parse(&tile.path()), Some(tile));
        }
    }
    let wrong = [
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/7/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/234",
        "tile/0/x01/234",
        "tile/0/x001",
        "tile/0/x001/x234",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/+00",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0",
        "tile/0/000.p/1/2",
        "tile/0/x999/x999/x999/x999/x999/999",
        "tile/entries/000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/x999/999",
    ];
    for path in wrong {
        assert_eq!(Tile::parse(path), None, "{path}");
    }
}

#[test]
fn a_size_has_these_tiles_and_no_other() {
    let paths = |size| tiles(size).map(|tile| tile.path()).collect::<Vec<_>>();
    assert_eq!(paths(0), [""; 0]);
    assert_eq!(paths(255), ["tile/0/000.p/255"]);
    assert_eq!(paths(256), ["tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(paths(257), ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]);
    assert_eq!(paths(70_000).len(), 273 + 1 + 1 + 1 + 1, "256 and more tiles make a second level and begin a third");
    // Lazy: the tiles of a size that someone only claims are not made at once.
    assert_eq!(tiles((1 << 53) - 1).next().map(|tile| tile.path()), Some("tile/0/000".into()));
}

fn written(tree: &Tree, size: u64) -> BTreeMap<Tile, Vec<u8>> {
    tiles(size).map(|tile| (tile, tile.bytes(tree).unwrap())).collect()
}

#[test]
fn a_tree_comes_back_out_of_its_tiles() {
    let large = tree(66_000);
    for size in [0, 1, 255, 256, 257, 511, 65_536, 65_793, 66_000] {
        let tiles = written(&large, size);
        let tree = rebuild(size, |tile| tiles.get(tile)).unwrap();
        assert_eq!((tree.len(), tree.root(size)), (size, large.root(size)), "{size}");
    }
}

#[test]
fn each_missing_or_changed_tile_is_named() {
    let whole = tree(70_000);
    let good = written(&whole, 70_000);
    for tile in good.keys().filter(|tile| tile.level > 0 || tile.index % 60 == 0 || tile.width < 256) {
        let mut some = good.clone();
        some.remove(tile);
        assert_eq!(rebuild(70_000, |tile| some.get(tile)).unwrap_err(), TileError::Missing(*tile));
        let mut long = good.clone();
        long.get_mut(tile).unwrap().push(0);
        let got = 32 * usize::from(tile.width) + 1;
        assert_eq!(rebuild(70_000, |tile| long.get(tile)).unwrap_err(), TileError::Length { tile: *tile, got });
        let mut changed = good.clone();
        changed.get_mut(tile).unwrap()[5] ^= 1;
        // A changed hash shows in the level above, or, right of what that one covers, in the root.
        match rebuild(70_000, |tile| changed.get(tile)) {
            Err(error) => assert!(matches!(error, TileError::Differs(_)), "{tile:?}: {error}"),
            Ok(other) => {
                assert_ne!(other.root(70_000), whole.root(70_000), "{tile:?}");
                assert!(tile.level == 0 && tile.width < 256, "{tile:?}");
            }
        }
    }
}
