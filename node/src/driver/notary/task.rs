//! The notary: signs how far our log has come, and gathers cosignatures.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chorale_protocol::{
    base::{MemberId, Millis},
    code::blob_hash,
    engine::Input,
    log::{Checkpoint, Keyring, Note, NoteError, Request, SIGNATURES, Tree, TreeHash, held_head, sign, verify},
};
use tokio::{
    sync::{mpsc, watch},
    task::{self, JoinSet},
    time,
};
use tokio_util::sync::CancellationToken;

use super::{
    Circle, LogState,
    ask::{Asking, Said},
};
use crate::{
    driver::clock::Clock,
    net::Net,
    store::{Store, StoreError},
};

/// How often a node that has finished looks whether all is witnessed.
const FINISHING: Duration = Duration::from_millis(200);
/// How long a node waits for its first peers before it looks again.
const FIRST: Duration = Duration::from_millis(500);
/// Times that a witness may correct us about what it holds.
const PASSES: usize = 3;

/// How long cosigners are waited for before a newer checkpoint takes the place of one that too few cosigned.
const GIVE_UP_MS: u64 = 10_000;

/// Why a turn ended early.
#[derive(Debug, thiserror::Error)]
enum NotaryError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the disk's task ended")]
    Task,
    #[error("our own checkpoint is damaged: {0}")]
    Own(#[from] NoteError),
}

/// Our newest checkpoint.
struct Signed {
    note: Note,
    checkpoint: Checkpoint,
    cosigners: BTreeSet<MemberId>,
    /// Enough cosigned, and it is on disk.
    kept: bool,
    since: Millis,
}

/// The task's state.
pub(in crate::driver) struct Notary {
    pub(in crate::driver) store: Store,
    pub(in crate::driver) net: Net,
    pub(in crate::driver) clock: Clock,
    pub(in crate::driver) circle: watch::Receiver<Option<Arc<Circle>>>,
    /// Told which note our next record may name.
    pub(in crate::driver) engine: mpsc::Sender<Input>,
    pub(in crate::driver) every: Duration,
    pub(in crate::driver) state: watch::Sender<LogState>,
}

/// A notary at work.
struct Work {
    notary: Notary,
    tree: Tree,
    signed: Option<Signed>,
    /// By which the log was taken up: another version may have given us another key, or a cosigner.
    keyring: Option<Arc<Keyring>>,
    /// Leaves of our log that a witness holds, as far as it said so: nothing new is signed before enough of them have.
    held: BTreeMap<MemberId, u64>,
}

impl Notary {
    /// Runs until `stop`.
    pub(in crate::driver) async fn run(self, stop: CancellationToken) {
        let mut wake = self.circle.clone();
        let every = self.every;
        let mut work = Work { notary: self, tree: Tree::default(), signed: None, keyring: None, held: BTreeMap::new() };
        loop {
            // A turn may wait for a silent peer; whatever it has signed is on disk, so that it may be broken off anywhere.
            let turned = tokio::select! {
                () = stop.cancelled() => return,
                turned = work.turn() => turned,
            };
            if let Err(error) = turned {
                tracing::warn!(%error, "no checkpoint was made");
            }
            let finishing = wake.borrow().as_ref().is_some_and(|circle| circle.finishing);
            let pause = if finishing {
                FINISHING
            } else if work.held.is_empty() {
                FIRST.min(every)
            } else {
                every
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = time::sleep(pause) => {}
                () = finish(&mut wake), if !finishing => {}
            }
        }
    }
}

/// Returns when the node has finished its rounds.
async fn finish(circle: &mut watch::Receiver<Option<Arc<Circle>>>) {
    let finished = |circle: &Option<Arc<Circle>>| circle.as_ref().is_some_and(|circle| circle.finishing);
    if circle.wait_for(finished).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Work {
    async fn turn(&mut self) -> Result<(), NotaryError> {
        let Some(circle) = self.notary.circle.borrow().clone() else { return Ok(()) };
        let known = self.keyring.as_ref().is_some_and(|keyring| Arc::ptr_eq(keyring, &circle.keyring));
        if known && self.frozen() || circle.peers.is_empty() || circle.key.is_none() {
            return Ok(());
        }
        self.grow().await?;
        if !known {
            self.take_up(&circle).await?;
        }
        // The last checkpoint is asked about before a new one is signed: witnesses may hold more than this home.
        for _ in 0..2 {
            self.sign_newest(&circle).await?;
            for _ in 0..PASSES {
                if self.frozen() || !self.ask_all(&circle).await {
                    break;
                }
            }
        }
        self.keep(&circle).await
    }

    fn frozen(&self) -> bool {
        self.notary.state.borrow().frozen
    }

    /// Takes up the leaves that were stored since.
    async fn grow(&mut self) -> Result<(), NotaryError> {
        let from = self.tree.len();
        let leaves = self.on_disk(move |store| store.leaves(from)).await?;
        leaves.into_iter().for_each(|leaf| self.tree.push(leaf));
        Ok(())
    }

    /// Goes on from the last checkpoint that we signed with the key that we have now; without one, from the head at which the log was
    /// handed over to this key, or from nothing.
    async fn take_up(&mut self, circle: &Circle) -> Result<(), NotaryError> {
        let Some(key) = &circle.key else { return Ok(()) };
        let (keyring, quorum) = (Arc::clone(&circle.keyring), circle.quorum.max(1));
        let read = move |store: &Store| Ok((store.signed_note()?, store.newest_cosigned_note(&keyring)?));
        let (signed, newest) = self.on_disk(read).await?;
        let newest = newest.filter(|(_, _, cosigners)| *cosigners >= quorum);
        let witnessed = newest.as_ref().map_or(0, |(size, ..)| *size);
        if let Some((_, note, _)) = &newest {
            let _ = self.notary.engine.send(Input::Seen { note: blob_hash(note) }).await;
        }
        let head = signed.as_ref().map(|bytes| held_head(bytes, &circle.keyring)).transpose()?.flatten();
        let start = || circle.keyring.start(&circle.origin()).unwrap_or_else(|| (0, TreeHash::empty()));
        let (size, root) = head.unwrap_or_else(start);
        let checkpoint = Checkpoint { origin: circle.origin(), size, root };
        let note = match (head, signed) {
            (Some(_), Some(bytes)) => Note::parse(&bytes)?,
            _ => sign(&checkpoint, key),
        };
        self.notary.state.send_modify(|state| (state.signed, state.witnessed, state.frozen) = (size, witnessed, false));
        if self.tree.root(size) != Ok(root) {
            self.freeze(size);
        }
        let (kept, since) = (witnessed == size && size > 0, self.notary.clock.now());
        self.signed = Some(Signed { note, checkpoint, cosigners: BTreeSet::new(), kept, since });
        self.held.clear();
        self.keyring = Some(Arc::clone(&circle.keyring));
        Ok(())
    }

    /// Whether fewer witnesses have said how much of our log they hold than must cosign it.
    fn knows_too_few(&self, circle: &Circle) -> bool {
        self.held.len() < circle.quorum.max(1)
    }

    /// Signs what has been added, once enough witnesses have said that they hold no more than we do.
    async fn sign_newest(&mut self, circle: &Circle) -> Result<(), NotaryError> {
        let size = self.tree.len();
        let now = self.notary.clock.now();
        // A checkpoint is not given up for a newer one as long as those who have not cosigned it may still do so.
        let done =
            |signed: &Signed| signed.kept || signed.checkpoint.size == 0 || now.since(signed.since) >= GIVE_UP_MS;
        let grown = self.signed.as_ref().is_some_and(|signed| signed.checkpoint.size < size && done(signed));
        if !grown || self.frozen() || self.knows_too_few(circle) {
            return Ok(());
        }
        let Ok(root) = self.tree.root(size) else { return Ok(()) };
        let checkpoint = Checkpoint { origin: circle.origin(), size, root };
        let Some(key) = &circle.key else { return Ok(()) };
        let note = sign(&checkpoint, key);
        let bytes = note.to_bytes();
        self.on_disk(move |store| store.put_signed_note(&bytes)).await?;
        self.notary.state.send_modify(|state| state.signed = size);
        self.signed = Some(Signed { note, checkpoint, cosigners: BTreeSet::new(), kept: false, since: now });
        Ok(())
    }

    /// Asks everyone who has not cosigned yet or, about one that enough cosigned, who has not said yet how much it holds; whether
    /// somebody holds less than was thought and is to be asked again.
    async fn ask_all(&mut self, circle: &Circle) -> bool {
        let few = self.knows_too_few(circle);
        let Some(signed) = self.signed.as_ref().filter(|signed| !signed.kept || few) else { return false };
        let size = signed.checkpoint.size;
        let mut asked = JoinSet::new();
        for (member, peer) in circle.peers.iter().take(SIGNATURES - 1) {
            let old = self.held.get(member).copied().unwrap_or(size);
            let Ok(proof) = self.tree.consistency(old, size) else { continue };
            if signed.cosigners.contains(member) || (signed.kept && self.held.contains_key(member)) {
                continue;
            }
            let request = Request { old, proof, note: signed.note.clone() };
            let Notary { net, store, clock, .. } = &self.notary;
            let (net, store, clock) = (net.clone(), store.clone(), *clock);
            asked.spawn(Asking { member: *member, peer: peer.clone(), request, size, net, store, clock }.ask());
        }
        let mut again = false;
        while let Some(said) = asked.join_next().await {
            let Ok((member, said)) = said else { continue };
            again |= self.hear(circle, member, said);
        }
        again
    }

    /// Takes in what a witness said; whether to ask it again.
    fn hear(&mut self, circle: &Circle, member: MemberId, said: Said) -> bool {
        let Some(signed) = &mut self.signed else { return false };
        match said {
            Said::Cosigned(signature) => {
                let mut note = signed.note.clone();
                let added = note.add(signature).and_then(|()| verify(&note.to_bytes(), &circle.keyring));
                if added.is_ok_and(|verified| verified.cosigners.iter().any(|(cosigner, _)| *cosigner == member)) {
                    signed.note = note;
                    signed.cosigners.insert(member);
                    self.held.insert(member, signed.checkpoint.size);
                } else {
                    tracing::debug!(%member, "its cosignature does not verify");
                }
                false
            }
            Said::Holds(size) => self.held.insert(member, size) != Some(size),
            Said::Ahead(note) => {
                let ahead = verify(&note, &circle.keyring);
                let ours = |of: &MemberId| *of == circle.me;
                match ahead {
                    Ok(held) if ours(&held.member) && held.checkpoint.size > signed.checkpoint.size => {
                        self.freeze(held.checkpoint.size);
                    }
                    _ => tracing::debug!(%member, "it says that it holds more of our log, and does not show it"),
                }
                false
            }
            Said::Nothing(why) => {
                tracing::debug!(%member, why, "no cosignature");
                false
            }
        }
    }

    /// Keeps a checkpoint that enough have cosigned, and tells how far we are.
    async fn keep(&mut self, circle: &Circle) -> Result<(), NotaryError> {
        let Some(signed) = &mut self.signed else { return Ok(()) };
        let size = signed.checkpoint.size;
        if !signed.kept && size > 0 && signed.cosigners.len() >= circle.quorum.max(1) {
            signed.kept = true;
            let bytes = signed.note.to_bytes();
            let note = blob_hash(&bytes);
            let (keyring, quorum) = (Arc::clone(&circle.keyring), circle.quorum.max(1));
            self.on_disk(move |store| store.put_cosigned_note(size, &bytes, (&keyring, quorum))).await?;
            self.notary.state.send_modify(|state| state.witnessed = size);
            let _ = self.notary.engine.send(Input::Seen { note }).await;
        }
        self.grow().await?;
        let stored = self.tree.len();
        self.notary.state.send_if_modified(|state| {
            let settled = state.witnessed == stored;
            std::mem::replace(&mut state.settled, settled) != settled
        });
        Ok(())
    }

    /// Our disk has lost leaves that we signed for: another tree of that size would be a lie.
    fn freeze(&mut self, size: u64) {
        tracing::error!(
            lost = size,
            "this home lost records of its transparency log that it had signed for (a restored backup?): it signs no more checkpoints; others witness its records as before"
        );
        self.notary.state.send_modify(|state| state.frozen = true);
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, NotaryError> {
        let store = self.notary.store.clone();
        Ok(task::spawn_blocking(move || work(&store)).await.map_err(|_| NotaryError::Task)??)
    }
}
