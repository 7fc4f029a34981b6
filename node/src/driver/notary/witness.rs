//! The witness: cosigns others' checkpoints.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use chorale_protocol::{
    base::{MemberId, TransportId},
    code::AuthorKey,
    log::{Accepted, Answer, Checkpoint, NoteError, NoteSignature, Request, WitnessRefusal, held_head, judge},
};
use tokio::{sync::watch, task};

use super::Circle;
use crate::{
    driver::clock::Clock,
    net::{HELD, WitnessDesk, Witnessing},
    store::{Store, StoreError},
};

/// Judges one question at a time: what is held is read, compared and replaced in one step.
pub(in crate::driver) struct Witness {
    store: Store,
    clock: Clock,
    circle: watch::Receiver<Option<Arc<Circle>>>,
    turn: Arc<Mutex<()>>,
}

/// Why a question stays without an answer.
#[derive(Debug, thiserror::Error)]
enum Mute {
    #[error("this node is no participant yet")]
    Early,
    #[error("the newest manifest version names another key than this node has")]
    Keyless,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the checkpoint held of {0} is damaged: {1}")]
    Held(MemberId, NoteError),
}

impl Witness {
    pub(in crate::driver) fn new(store: Store, clock: Clock, circle: watch::Receiver<Option<Arc<Circle>>>) -> Self {
        Self { store, clock, circle, turn: Arc::default() }
    }
}

impl WitnessDesk for Witness {
    fn answer(&self, from: TransportId, question: Vec<u8>) -> Witnessing {
        let circle = self.circle.borrow().clone();
        let (store, turn) = (self.store.clone(), Arc::clone(&self.turn));
        let now = self.clock.wall().0;
        Box::pin(async move {
            let answered = task::spawn_blocking(move || {
                let circle = circle.ok_or(Mute::Early)?;
                let key = circle.key.as_ref().ok_or(Mute::Keyless)?;
                let _one = turn.lock().unwrap_or_else(PoisonError::into_inner);
                if question == HELD {
                    return held(&store, &circle, &from);
                }
                Ok(match consider(&store, &circle, &question)? {
                    Ok((request, accepted)) => {
                        Answer::Cosigned(cosign(&store, &circle, key, now, (&request, &accepted))?).to_bytes()
                    }
                    Err(refusal) => {
                        tracing::debug!(?from, %refusal, "a checkpoint was not cosigned");
                        Answer::from(&refusal).to_bytes()
                    }
                })
            });
            answered.await.map_err(io::Error::other)?.map_err(|mute: Mute| io::Error::other(mute))
        })
    }
}

/// What we hold of the asker's own log.
fn held(store: &Store, circle: &Circle, from: &TransportId) -> Result<Vec<u8>, Mute> {
    let owner = circle.member(from).ok_or(Mute::Early)?;
    Ok(store.held_note(&owner)?.map_or_else(Vec::new, |note| note.to_vec()))
}

/// The request and what it was judged to be, if we may cosign it.
fn consider(
    store: &Store,
    circle: &Circle,
    question: &[u8],
) -> Result<Result<(Request, Accepted), WitnessRefusal>, Mute> {
    let request = match Request::parse(question) {
        Ok(request) => request,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let owner = Checkpoint::parse(request.note.text()).ok().and_then(|new| circle.keyring.owner(&new.origin));
    let (mut bytes, mut head) = (None, None);
    if let Some(owner) = owner {
        bytes = store.held_note(&owner)?;
        let read = |bytes: &bytes::Bytes| held_head(bytes, &circle.keyring).map_err(|why| Mute::Held(owner, why));
        head = bytes.as_ref().map(read).transpose()?.flatten();
    }
    let judged = judge(&circle.me, head, &request, &circle.keyring);
    Ok(match judged {
        Ok(accepted) => Ok((request, accepted)),
        Err(refusal) => {
            if let (WitnessRefusal::Split { .. }, Some(owner), Some(held)) = (&refusal, owner, bytes) {
                tracing::error!(member = %owner, %refusal, "a member signed two histories of its log; both are kept");
                store.put_split(&owner, [&held, &request.note.to_bytes()])?;
            }
            Err(refusal)
        }
    })
}

/// Keeps the checkpoint, and only then gives the cosignature away.
fn cosign(
    store: &Store,
    circle: &Circle,
    key: &AuthorKey,
    now: u64,
    (request, accepted): (&Request, &Accepted),
) -> Result<NoteSignature, Mute> {
    let owner = accepted.verified.member;
    let signature = accepted.cosign(&circle.origin(), key, now);
    let note = accepted.note(request, &circle.keyring, signature.clone()).map_err(|why| Mute::Held(owner, why))?;
    store.hold_note(&owner, &note.to_bytes())?;
    Ok(signature)
}
