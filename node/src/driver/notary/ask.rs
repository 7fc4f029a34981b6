//! One witness asked.

use std::time::Duration;

use chorale_protocol::{
    base::{MemberId, TransportId},
    code::blob_hash,
    log::{Answer, NoteSignature, Request},
};
use tokio::time::timeout;

use crate::{
    driver::clock::Clock,
    net::{HELD, Net},
    store::{Store, ledger::Left},
};

/// How long a witness may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a witness said.
#[derive(Debug)]
pub(super) enum Said {
    Cosigned(NoteSignature),
    /// It holds fewer leaves than was thought, or as many.
    Holds(u64),
    /// It holds more than we signed, and this note is to show it.
    Ahead(Vec<u8>),
    /// Nothing of use.
    Nothing(String),
}

/// Whom to ask, and with what.
pub(super) struct Asking {
    pub(super) member: MemberId,
    pub(super) peer: TransportId,
    pub(super) request: Request,
    /// Leaves of the checkpoint in it.
    pub(super) size: u64,
    pub(super) net: Net,
    pub(super) store: Store,
    pub(super) clock: Clock,
}

impl Asking {
    pub(super) async fn ask(self) -> (MemberId, Said) {
        let said = match timeout(PATIENCE, self.exchange()).await {
            Ok(Ok(said)) => said,
            Ok(Err(why)) => Said::Nothing(why),
            Err(_) => Said::Nothing("it took too long".into()),
        };
        (self.member, said)
    }

    async fn exchange(&self) -> Result<Said, String> {
        let answer = self.put(&self.request.to_bytes()).await?;
        Ok(match Answer::parse(&answer).map_err(|error| error.to_string())? {
            Answer::Cosigned(signature) => Said::Cosigned(signature),
            Answer::Conflict(size) if size <= self.size => Said::Holds(size),
            Answer::Conflict(_) => Said::Ahead(self.put(HELD).await?),
            Answer::Refused(code) => Said::Nothing(format!("refused: {code}")),
        })
    }

    /// Puts a question that was listed first: what cannot be listed does not leave.
    async fn put(&self, question: &[u8]) -> Result<Vec<u8>, String> {
        let to = crate::net::peer_id(&self.peer).map_err(|error| error.to_string())?.to_string();
        let left = Left::Note { hash: blob_hash(question).to_string(), bytes: question.len() as u64, to };
        self.store.ledger().list(self.clock.unix_ms(), [left]).map_err(|error| error.to_string())?;
        self.net.witness(self.peer.clone(), question).await.map_err(|error| error.to_string())
    }
}
