//! Tiles (c2sp.org/tlog-tiles): the hashes of a tree in files of 256, as C2SP's tools read them.

use super::{Tree, TreeHash};
use crate::base::limit::UINT_MAX;

/// Hashes of a full tile.
pub const TILE_WIDTH: u64 = 256;
/// Levels of tiles that a tree of 2^53 leaves has.
const LEVELS: u8 = 7;

/// Which tile: `width` hashes of the subtrees of 256^`level` leaves, from number 256·`index` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// 0 for the leaves.
    pub level: u8,
    /// From 0.
    pub index: u64,
    /// Hashes; 256, or fewer in a partial tile.
    pub width: u16,
}

/// Why tiles make no tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// It is not there.
    #[error("{} is missing", .0.path())]
    Missing(Tile),
    /// It has not 32 bytes for each of its hashes.
    #[error("{} has {got} bytes", .tile.path())]
    Length {
        /** which */
        tile: Tile,
        /** bytes that came */
        got: usize,
    },
    /// It has other hashes than the tiles below it give.
    #[error("{} is not what the tiles below it give", .0.path())]
    Differs(Tile),
}

impl Tile {
    /// `tile/<level>/<index>[.p/<width>]`; an index has groups of three digits, all but the last with an `x`.
    #[must_use]
    pub fn path(&self) -> String {
        let mut index = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            index = format!("x{:03}/{index}", rest % 1000);
            rest /= 1000;
        }
        let part = if u64::from(self.width) < TILE_WIDTH { format!(".p/{}", self.width) } else { String::new() };
        format!("tile/{}/{index}{part}", self.level)
    }

    /// Reads a path, which must be as [`path`](Self::path) writes it.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().ok()?),
            None => (rest, 256),
        };
        let mut number = 0_u64;
        for group in index.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            number = number.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
        }
        let tile = Self { level: level.parse().ok()?, index: number, width };
        let fits = tile.level < LEVELS && number <= UINT_MAX / TILE_WIDTH && (1..=256).contains(&width);
        (fits && tile.path() == path).then_some(tile)
    }

    /// The tile's bytes, 32 a hash, out of a tree that has them all.
    #[must_use]
    pub fn bytes(&self, tree: &Tree) -> Option<Vec<u8>> {
        let from = self.index * TILE_WIDTH;
        let hashes = from..from + u64::from(self.width);
        let level = 8 * u32::from(self.level);
        let hashes: Option<Vec<[u8; 32]>> = hashes.map(|index| tree.node(level, index).map(|hash| hash.0)).collect();
        Some(hashes?.concat())
    }
}

/// The tiles of a tree of `size` leaves: level by level from the leaves up, ascending.
pub fn tiles(size: u64) -> impl Iterator<Item = Tile> {
    (0..LEVELS).flat_map(move |level| {
        let hashes = size >> (8 * u32::from(level));
        let partial = hashes % TILE_WIDTH;
        let full = (0..hashes / TILE_WIDTH).map(move |index| Tile { level, index, width: 256 });
        // Below 256, so it fits.
        let last = Tile { level, index: hashes / TILE_WIDTH, width: partial as u16 };
        full.chain((partial > 0).then_some(last))
    })
}

/// The tree of `size` leaves out of its tiles. Every tile must agree with those below it; the root is the caller's to compare.
///
/// # Errors
/// The first tile that is missing or wrong.
pub fn rebuild<B: AsRef<[u8]>>(size: u64, mut tile: impl FnMut(&Tile) -> Option<B>) -> Result<Tree, TileError> {
    let mut tree = Tree::new();
    for which in tiles(size) {
        let bytes = tile(&which).ok_or(TileError::Missing(which))?;
        let bytes = bytes.as_ref();
        let (hashes, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || hashes.len() != usize::from(which.width) {
            return Err(TileError::Length { tile: which, got: bytes.len() });
        }
        if which.level == 0 {
            hashes.iter().for_each(|&hash| tree.push(TreeHash(hash)));
        } else if which.bytes(&tree).as_deref() != Some(bytes) {
            return Err(TileError::Differs(which));
        }
    }
    Ok(tree)
}
