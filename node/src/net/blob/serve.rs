//! The answering side of `/chorale/1/blob`.

use std::{fs::File, os::unix::fs::FileExt, sync::Arc};

use bao_tree::{io::sync::Outboard, iter::BaoChunk};
use chorale_protocol::base::BlobHash;
use futures::{FutureExt, future::BoxFuture};
use libp2p::{PeerId, Stream};
use tokio::{
    sync::mpsc,
    time::{Duration, timeout},
};

use super::{
    PROTOCOL,
    outboard::{Tree, TreeError},
    plan::{Plan, Section, encoded},
    verify::Verifier,
    wire::{Question, Status},
};
use crate::net::{
    Leaving,
    stream::{Pace, Server, Slow},
    traffic::add,
};

/// How long a refusal may take to be read.
const REFUSAL: Duration = Duration::from_secs(5);
/// Sections read ahead of the network.
const AHEAD: usize = 2;

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Slow(#[from] Slow),
    #[error("our disk: {0}")]
    Tree(#[from] TreeError),
    #[error("our disk: {0}")]
    Disk(#[from] std::io::Error),
    #[error("what leaves cannot be listed: {0}")]
    Unlisted(std::io::Error),
}

/// Answers one question.
pub(in crate::net) fn serve(
    server: Arc<Server>,
    peer: PeerId,
    stream: Stream,
    admitted: bool,
) -> BoxFuture<'static, ()> {
    async move {
        let result =
            if admitted { answer(&server, peer, stream).await } else { refuse(&server, stream, Status::Busy).await };
        match result {
            Ok(()) => {}
            Err(why @ (Why::Tree(_) | Why::Disk(_) | Why::Unlisted(_))) => {
                tracing::error!(%peer, %why, "a blob could not be sent")
            }
            Err(why) => tracing::debug!(%peer, %why, "a blob was not taken to its end"),
        }
    }
    .boxed()
}

async fn refuse(server: &Server, mut stream: Stream, status: Status) -> Result<(), Why> {
    let pace = Pace(server.pace.0.min(REFUSAL));
    pace.write(&mut stream, &[status as u8]).await?;
    Ok(pace.close(&mut stream).await?)
}

async fn answer(server: &Server, peer: PeerId, mut stream: Stream) -> Result<(), Why> {
    let mut bytes = [0; Question::BYTES];
    server.pace.exact(&mut stream, &mut bytes).await?;
    let question = Question::parse(&bytes);
    let Some((path, length)) = server.blobs.complete(&question.hash) else {
        return refuse(server, stream, Status::Absent).await;
    };
    let Some(end) = question.end(length) else {
        return refuse(server, stream, Status::Range).await;
    };
    // Whoever waits for its turn is not told so: its own stall time bounds the wait.
    let Ok(Some(_turn)) = timeout(server.pace.0 / 2, server.sends.turn(peer)).await else {
        return refuse(server, stream, Status::Busy).await;
    };
    let tree = match server.outboards.tree(question.hash, &path, length).await {
        Ok(tree) => tree,
        Err(error) => {
            refuse(server, stream, Status::Absent).await?;
            return Err(error.into());
        }
    };
    let leaving = Leaving::Blob { to: peer, hash: question.hash, bytes: end.saturating_sub(question.start) };
    if let Err(error) = server.leaves(leaving) {
        refuse(server, stream, Status::Busy).await?;
        return Err(Why::Unlisted(error));
    }
    let mut head = [0; 9];
    head[0] = Status::Here as u8;
    head[1..].copy_from_slice(&length.to_le_bytes());
    server.pace.write(&mut stream, &head).await?;
    let (sections, mut ready) = mpsc::channel(AHEAD);
    let file = File::open(&path)?;
    let plan = Plan::new(length, question.start, end);
    let reader = tokio::task::spawn_blocking(move || read(&file, &tree, &question.hash, plan, &sections));
    while let Some(section) = ready.recv().await {
        server.tapped(&PROTOCOL, &section);
        server.pace.write(&mut stream, &section).await?;
        add(&server.counters.blob_out, section.len());
    }
    reader.await.map_err(TreeError::from)??;
    Ok(server.pace.close(&mut stream).await?)
}

/// Reads, checks and encodes, section by section, until the range or the interest ends. The check costs a third of a
/// second per GB and keeps a rotten disk from making a liar of us.
fn read(
    file: &File,
    tree: &Tree,
    hash: &BlobHash,
    plan: Plan,
    sections: &mpsc::Sender<Vec<u8>>,
) -> Result<(), TreeError> {
    let mut verifier = Verifier::new(hash);
    for section in plan {
        let bytes = encode(file, tree, &mut verifier, &section)?;
        if sections.blocking_send(bytes).is_err() {
            break;
        }
    }
    Ok(())
}

fn encode(file: &File, tree: &Tree, verifier: &mut Verifier, section: &Section) -> Result<Vec<u8>, TreeError> {
    let mut bytes = vec![0; section.encoded];
    let mut rest = &mut bytes[..];
    for part in &section.parts {
        let (slot, after) = rest.split_at_mut_checked(encoded(part)).ok_or(TreeError::Rotten)?;
        rest = after;
        match part {
            BaoChunk::Parent { node, .. } => {
                let (l, r) = tree.load(*node)?.ok_or(TreeError::Rotten)?;
                slot[..32].copy_from_slice(l.as_bytes());
                slot[32..].copy_from_slice(r.as_bytes());
            }
            BaoChunk::Leaf { start_chunk, .. } => file.read_exact_at(slot, start_chunk.to_bytes())?,
        }
        verifier.check(part, slot).map_err(|_| TreeError::Rotten)?;
    }
    Ok(bytes)
}
