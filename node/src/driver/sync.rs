//! Sync jobs: ask a peer what we lack and hand each part to the engine.

use chorale_protocol::{base::TransportId, engine::Input, wire::SyncRequest};
use tokio::sync::mpsc;

use crate::net::{Frame, Net};

/// Frames that may wait for the loop.
const FRAMES: usize = 64;

/// Starts a sync; its parts and its end come through `done`, in order.
pub(super) fn start(net: Net, peer: TransportId, request: SyncRequest, done: mpsc::Sender<Input>) {
    tokio::spawn(async move {
        let (sender, mut frames) = mpsc::channel(FRAMES);
        let hand_in = async {
            while let Some(frame) = frames.recv().await {
                let input = match frame {
                    Frame::Manifest(bytes) => Input::Manifest { bytes, from: Some(peer.clone()) },
                    Frame::Record(bytes) => Input::Record { bytes, from: peer.clone(), ticket: None },
                };
                if done.send(input).await.is_err() {
                    break;
                }
            }
        };
        let (answer, ()) = tokio::join!(net.sync(peer.clone(), request, sender), hand_in);
        if let Err(error) = &answer {
            tracing::debug!(%error, "a sync broke off");
        }
        let _ = done.send(Input::Synced { peer, complete: answer.is_ok() }).await;
    });
}
