//! The post: the engine's messages to the network, in order, by a task of its own so that the loop waits for nobody.

use bytes::Bytes;
use chorale_protocol::{
    base::{Incarnation, MemberId, NetworkId, RecordId, Seq, TransportId, limit},
    code::AuthorKey,
    engine::{Ticket, Verdict},
    wire::Presence,
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::net::{Net, NetError};

/// Messages that may wait.
pub(super) const QUEUE: usize = 4096;
const ADDRESS_BYTES: usize = 256;

/// What to tell the network.
#[derive(Debug)]
pub(super) enum Letter {
    Announce(Bytes),
    Presence {
        head: Option<(Incarnation, Seq, RecordId)>,
        manifest_version: u64,
    },
    Verdict(Ticket, Verdict),
    Penalise(TransportId),
    Ban(TransportId),
    Pardon(TransportId),
    Allow(Vec<TransportId>),
    Dial(TransportId, Vec<Vec<u8>>),
    /// From now on this key signs.
    Key(AuthorKey),
}

/// Signs our presence messages.
pub(super) struct Herald {
    pub(super) network: NetworkId,
    pub(super) member: MemberId,
    pub(super) peer: TransportId,
    pub(super) key: AuthorKey,
    /// Greater than in any earlier message.
    pub(super) counter: u64,
}

/// Starts the task; it ends when the sender is gone or the network is.
pub(super) fn start(net: Net, mut herald: Herald) -> (mpsc::Sender<Letter>, JoinHandle<()>) {
    let (sender, mut letters) = mpsc::channel(QUEUE);
    let task = tokio::spawn(async move {
        while let Some(letter) = letters.recv().await {
            match deliver(&net, &mut herald, letter).await {
                Err(NetError::Stopped) => return,
                Err(error) => tracing::debug!(%error, "the network refused a message"),
                Ok(()) => {}
            }
        }
    });
    (sender, task)
}

async fn deliver(net: &Net, herald: &mut Herald, letter: Letter) -> Result<(), NetError> {
    match letter {
        Letter::Announce(bytes) => net.announce(bytes).await,
        Letter::Presence { head, manifest_version } => {
            let mut addresses: Vec<Vec<u8>> = net.addresses().await?.iter().map(|address| address.to_vec()).collect();
            addresses.retain(|address| address.len() <= ADDRESS_BYTES);
            addresses.truncate(limit::ADDRESSES);
            herald.counter += 1;
            let presence = Presence {
                network: herald.network,
                member: herald.member,
                peer: herald.peer.clone(),
                addresses,
                head,
                manifest_version,
                counter: herald.counter,
            };
            net.presence(presence.sign(&herald.key)).await
        }
        Letter::Verdict(ticket, verdict) => net.verdict(ticket, verdict).await,
        Letter::Penalise(peer) => net.penalise(peer).await,
        Letter::Ban(peer) => net.ban(peer).await,
        Letter::Pardon(peer) => net.pardon(peer).await,
        Letter::Allow(peers) => net.allow(peers).await,
        Letter::Dial(peer, addresses) => net.dial(peer, addresses).await,
        Letter::Key(key) => {
            herald.key = key;
            Ok(())
        }
    }
}
