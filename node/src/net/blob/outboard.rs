//! Hash trees of the blobs that were asked for lately: 64 bytes per 16 KiB, made in one pass over the file.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bao_tree::{
    BaoTree,
    blake3::Hash,
    io::{outboard::PreOrderMemOutboard, sync},
};
use chorale_protocol::base::BlobHash;
use tokio::sync::OnceCell;

use super::plan::BLOCK;

/// Trees kept.
const KEPT: usize = 64;
/// Their bytes in all: the trees of 8 GiB of blobs.
const KEPT_BYTES: u64 = 32 << 20;

pub(super) type Tree = Arc<PreOrderMemOutboard>;
type Cell = Arc<OnceCell<Tree>>;

/// The trees, newest last.
#[derive(Default)]
pub(in crate::net) struct Outboards {
    kept: Mutex<VecDeque<(BlobHash, u64, Cell)>>,
}

/// Why there is no tree.
#[derive(Debug, thiserror::Error)]
pub(super) enum TreeError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the file does not have its hash: the disk is at fault")]
    Rotten,
    #[error("the worker thread broke: {0}")]
    Worker(#[from] tokio::task::JoinError),
}

impl Outboards {
    /// The tree of a blob; many askers share one pass.
    pub(super) async fn tree(&self, hash: BlobHash, path: &Path, length: u64) -> Result<Tree, TreeError> {
        let cell = self.cell(hash, length);
        let path = path.to_owned();
        let made = cell.get_or_try_init(|| async move {
            tokio::task::spawn_blocking(move || make(&hash, &path, length)).await?.map(Arc::new)
        });
        made.await.cloned()
    }

    fn cell(&self, hash: BlobHash, length: u64) -> Cell {
        let bytes = BaoTree::new(length, BLOCK).outboard_size();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|(known, size, _)| *known == hash && *size == bytes);
        let entry = place.and_then(|place| kept.remove(place)).unwrap_or_else(|| (hash, bytes, Cell::default()));
        let cell = Arc::clone(&entry.2);
        kept.push_back(entry);
        while kept.len() > 1 && (kept.len() > KEPT || kept.iter().map(|(_, bytes, _)| bytes).sum::<u64>() > KEPT_BYTES)
        {
            kept.pop_front();
        }
        cell
    }
}

fn make(hash: &BlobHash, path: &Path, length: u64) -> Result<PreOrderMemOutboard, TreeError> {
    let tree = BaoTree::new(length, BLOCK);
    let bytes = usize::try_from(tree.outboard_size()).map_err(io::Error::other)?;
    let mut outboard = PreOrderMemOutboard { root: Hash::from_bytes([0; 32]), tree, data: vec![0; bytes] };
    outboard.root = sync::outboard(File::open(path)?, tree, &mut outboard)?;
    if outboard.root.as_bytes() != hash.as_bytes() {
        return Err(TreeError::Rotten);
    }
    Ok(outboard)
}
