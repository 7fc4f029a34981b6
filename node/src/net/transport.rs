//! How bytes travel: TCP with noise and yamux, or QUIC.

use std::{sync::Arc, time::Duration};

use futures::future::Either;
use libp2p::{
    PeerId, Transport,
    core::{
        muxing::StreamMuxerBox,
        transport::{Boxed, OrTransport},
        upgrade::Version,
    },
    identity::Keypair,
    noise, quic, tcp, yamux,
};

use super::{NetError, counted::Counted, traffic::Counters};

/// From the first byte to a ready connection.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// TCP (no delay) with noise and yamux, or QUIC; both count into `counters`.
pub(super) fn transport(
    identity: &Keypair,
    counters: Arc<Counters>,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, NetError> {
    let noise = noise::Config::new(identity).map_err(|error| NetError::Setup(error.to_string()))?;
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux::Config::default())
        .timeout(HANDSHAKE);
    // A peer that died without a word is noticed after 10 s.
    let mut quic = quic::Config::new(identity);
    quic.max_idle_timeout = 10_000;
    quic.keep_alive_interval = Duration::from_secs(4);
    quic.handshake_timeout = HANDSHAKE;
    let quic = quic::tokio::Transport::new(quic);
    Ok(OrTransport::new(tcp, quic)
        .map(move |either, _| {
            let (peer, muxer) = match either {
                Either::Left((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
                Either::Right((peer, muxer)) => (peer, StreamMuxerBox::new(muxer)),
            };
            (peer, StreamMuxerBox::new(Counted::new(muxer, Arc::clone(&counters))))
        })
        .boxed())
}
