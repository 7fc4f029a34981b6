//! The answering side of `/chorale/1/feed`.

use std::{sync::Arc, time::Duration};

use chorale_protocol::wire::SyncRequest;
use futures::{FutureExt, future::BoxFuture};
use libp2p::{PeerId, Stream};
use tokio::time::timeout;

use super::PROTOCOL;
use crate::net::{
    Leaving,
    stream::{NoQuestion, Server, Slow},
};

/// How long our own store may take.
const STORE: Duration = Duration::from_secs(30);

/// Answers one question. Who asks too much gets nothing.
pub(in crate::net) fn serve(
    server: Arc<Server>,
    peer: PeerId,
    stream: Stream,
    admitted: bool,
) -> BoxFuture<'static, ()> {
    async move {
        if !admitted {
            return;
        }
        if let Err(why) = answer(&server, peer, stream).await {
            tracing::debug!(%peer, %why, "a feed question was not answered");
        }
    }
    .boxed()
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Question(#[from] NoQuestion),
    #[error("the question is out of form: {0}")]
    Form(String),
    #[error("our store: {0}")]
    Store(String),
    #[error(transparent)]
    Slow(#[from] Slow),
}

async fn answer(server: &Server, peer: PeerId, mut stream: Stream) -> Result<(), Why> {
    let question = server.pace.question(&mut stream, SyncRequest::BYTES).await?;
    let question = SyncRequest::parse(&question).map_err(|error| Why::Form(error.to_string()))?;
    let frames = timeout(STORE, server.feeds.answer(question))
        .await
        .map_err(|_| Why::Store("took too long".to_owned()))?
        .map_err(|error| Why::Store(error.to_string()))?;
    server.leaves(Leaving::Answer { to: peer, frames: &frames }).map_err(|error| Why::Store(error.to_string()))?;
    server.tapped(&PROTOCOL, &frames);
    server.pace.write(&mut stream, &frames).await?;
    server.pace.close(&mut stream).await?;
    Ok(())
}
