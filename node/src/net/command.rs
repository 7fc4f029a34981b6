//! What the handle asks of the task.

use bytes::Bytes;
use chorale_protocol::engine::{Ticket, Verdict};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::oneshot;

use super::{NetError, topic::Subject};

/// One request. Whoever waits for a reply may be gone by then.
pub(super) enum Command {
    Publish { subject: Subject, bytes: Bytes, reply: oneshot::Sender<Result<(), NetError>> },
    Verdict { ticket: Ticket, verdict: Verdict },
    Penalise { peer: PeerId },
    Allow { peers: Vec<PeerId>, reply: oneshot::Sender<()> },
    Ban { peer: PeerId, reply: oneshot::Sender<()> },
    Pardon { peer: PeerId, reply: oneshot::Sender<()> },
    Dial { peer: PeerId, addresses: Vec<Multiaddr> },
    Addresses { reply: oneshot::Sender<Vec<Multiaddr>> },
    Score { peer: PeerId, reply: oneshot::Sender<Option<f64>> },
    Shutdown { reply: oneshot::Sender<()> },
}
