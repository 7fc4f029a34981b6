//! The answering side of `/chorale/1/witness`.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use libp2p::{PeerId, Stream};
use tokio::time::timeout;

use super::{ANSWER_BYTES, PROTOCOL, QUESTION_BYTES};
use crate::net::{
    Leaving,
    peer_id::transport_id,
    stream::{NoQuestion, Server, Slow},
};

/// How long our own desk may take.
const DESK: Duration = Duration::from_secs(10);

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
            tracing::debug!(%peer, %why, "a witness's question was not answered");
        }
    }
    .boxed()
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error(transparent)]
    Question(#[from] NoQuestion),
    #[error("nobody here witnesses")]
    Nobody,
    #[error("our desk: {0}")]
    Desk(String),
    #[error(transparent)]
    Slow(#[from] Slow),
}

async fn answer(server: &Server, peer: PeerId, mut stream: Stream) -> Result<(), Why> {
    let desk = server.witness.as_ref().ok_or(Why::Nobody)?;
    let question = server.pace.question(&mut stream, QUESTION_BYTES).await?;
    let answered = timeout(DESK, desk.answer(transport_id(&peer), question)).await;
    let bytes = answered.map_err(|_| Why::Desk("took too long".into()))?.map_err(|e| Why::Desk(e.to_string()))?;
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= ANSWER_BYTES);
    let length = length.ok_or_else(|| Why::Desk(format!("an answer of {} bytes", bytes.len())))?;
    let leaving = Leaving::Note { to: peer, note: &bytes };
    server.leaves(leaving).map_err(|error| Why::Desk(error.to_string()))?;
    let frame = [&length.to_le_bytes()[..], &bytes].concat();
    server.tapped(&PROTOCOL, &frame);
    server.pace.write(&mut stream, &frame).await?;
    server.pace.close(&mut stream).await?;
    Ok(())
}
