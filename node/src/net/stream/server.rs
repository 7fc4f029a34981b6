//! The answering side: one task per question, within budgets.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, future::BoxFuture};
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::IncomingStreams;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Budget, Limits, Pace, sends::Sends};
use crate::net::{BlobFiles, Egress, FeedSource, Leaving, Tap, WitnessDesk, blob::Outboards, traffic::Counters};

/// Questions of one protocol at once, from all peers, waiting ones included.
const AT_ONCE: usize = 512;

/// How a protocol answers. `admitted`: the peer is within its budget; else it is told so and no more.
pub(in crate::net) type Serve = fn(Arc<Server>, PeerId, Stream, bool) -> BoxFuture<'static, ()>;

/// What answering needs.
pub(in crate::net) struct Server {
    pub(in crate::net) blobs: Arc<dyn BlobFiles>,
    pub(in crate::net) feeds: Arc<dyn FeedSource>,
    pub(in crate::net) counters: Arc<Counters>,
    pub(in crate::net) outboards: Outboards,
    pub(in crate::net) sends: Sends,
    pub(in crate::net) pace: Pace,
    egress: Option<Arc<dyn Egress>>,
    pub(in crate::net) witness: Option<Arc<dyn WitnessDesk>>,
    tap: Option<Arc<dyn Tap>>,
}

impl Server {
    pub(in crate::net) fn new(
        blobs: Arc<dyn BlobFiles>,
        feeds: Arc<dyn FeedSource>,
        counters: Arc<Counters>,
        stall: Duration,
        egress: Option<Arc<dyn Egress>>,
        witness: Option<Arc<dyn WitnessDesk>>,
        tap: Option<Arc<dyn Tap>>,
    ) -> Self {
        let (outboards, sends) = (Outboards::default(), Sends::default());
        Self { blobs, feeds, counters, outboards, sends, pace: Pace(stall), egress, witness, tap }
    }

    /// Answers a protocol's streams until `stop`.
    pub(in crate::net) async fn accept(
        self: Arc<Self>,
        mut incoming: IncomingStreams,
        serve: Serve,
        limits: Limits,
        stop: CancellationToken,
    ) {
        let budget = Budget::new(limits);
        let mut running = JoinSet::new();
        loop {
            let next = tokio::select! {
                () = stop.cancelled() => return,
                Some(_) = running.join_next() => continue,
                next = incoming.next() => next,
            };
            let Some((peer, stream)) = next else { return };
            if running.len() >= AT_ONCE {
                // Dropped without a word: who asks sees a broken stream and asks again later.
                continue;
            }
            let place = budget.admit(peer, Instant::now());
            let answer = serve(Arc::clone(&self), peer, stream, place.is_some());
            running.spawn(async move {
                answer.await;
                drop(place);
            });
        }
    }

    /// Tells what is about to leave. An error: it must not.
    pub(in crate::net) fn leaves(&self, what: Leaving<'_>) -> std::io::Result<()> {
        self.egress.as_ref().map_or(Ok(()), |egress| egress.leaves(what))
    }

    /// Shows the tap what leaves.
    pub(in crate::net) fn tapped(&self, protocol: &StreamProtocol, bytes: &[u8]) {
        if let Some(tap) = &self.tap {
            tap.sent(protocol.as_ref(), bytes);
        }
    }
}
