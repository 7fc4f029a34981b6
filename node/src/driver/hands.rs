//! The hands: what the engine orders becomes a job. Nothing here waits.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use chorale_protocol::{
    base::{BlobHash, MemberId, TransportId},
    engine::{Engine, Event, FetchError, Input, MergeCheck, Output, Recheck, RoundPlan},
    feed::{check_stored, check_unsigned},
    log::Keyring,
    manifest::{AdapterSpec, SignedManifest},
    wire::SyncRequest,
};
use tokio::sync::{broadcast, mpsc, watch};

use super::{
    Command, DriverError, LogState, Notice, State, Status,
    backfill::Backfill,
    clock::Clock,
    disk::Write,
    fetch::{Fetches, Kit, Order, Shape},
    home,
    linger::{Linger, Next},
    log::Refusals,
    notary::Circle,
    post::Letter,
    recheck,
    round::{Job, RoundError},
    trainer::Ended,
};

/// The longest that a finished node goes on fetching what it passed by.
const BACKFILL: Duration = Duration::from_secs(300);

/// Everything that a job is started with.
pub(super) struct Hands {
    pub(super) clock: Clock,
    pub(super) kit: Kit,
    pub(super) post: mpsc::Sender<Letter>,
    pub(super) disk: mpsc::Sender<Write>,
    pub(super) jobs: mpsc::Sender<Job>,
    /// Where fetches and syncs bring their ends.
    pub(super) done: mpsc::Sender<Input>,
    pub(super) shape: Arc<Shape>,
    /// What our trainer trains.
    pub(super) adapter: AdapterSpec,
    pub(super) peers: BTreeSet<TransportId>,
    pub(super) fetches: Fetches,
    pub(super) linger: Linger,
    pub(super) notary: Notarial,
    pub(super) refusals: Refusals,
    /// Inputs that need no waiting for.
    pub(super) pending: VecDeque<Input>,
    pub(super) faces: Faces,
}

/// What the notary is told, and what it tells.
pub(super) struct Notarial {
    pub(super) me: MemberId,
    /// Of the newest version.
    pub(super) keyring: Arc<Keyring>,
    pub(super) circle: watch::Sender<Option<Arc<Circle>>>,
    pub(super) state: watch::Receiver<LogState>,
}

/// What people and programs beside the node see.
pub(super) struct Faces {
    pub(super) notices: broadcast::Sender<Notice>,
    pub(super) status: Status,
    pub(super) newest: watch::Sender<Status>,
    pub(super) changed: bool,
}

impl Faces {
    pub(super) fn tell(&mut self, notice: Notice) {
        if let Notice::State(state) = notice {
            if self.status.state == state {
                return;
            }
            self.status.state = state;
        }
        self.changed = true;
        // Nobody listening is fine.
        let _ = self.notices.send(notice);
    }
}

impl Hands {
    /// Whether every queue takes one more; else outputs stay with the engine for a while.
    pub(super) fn room(&self) -> bool {
        self.post.capacity() > 0 && self.disk.capacity() > 0
    }

    /// Waits until every queue takes one more. Both empty into tasks that never wait for the loop.
    pub(super) async fn wait_for_room(&self) -> Result<(), DriverError> {
        self.post.reserve().await.map_err(|_| DriverError::Ended("the network"))?;
        self.disk.reserve().await.map_err(|_| DriverError::Ended("the disk's thread"))?;
        Ok(())
    }

    /// Starts what the engine orders.
    pub(super) fn start(&mut self, engine: &Engine, output: Output) -> Result<(), DriverError> {
        match output {
            Output::Persist { bytes, .. } => {
                let checked = check_stored(bytes, engine.chain()).map_err(|e| DriverError::Stored(e.to_string()))?;
                let ((entry, payload), signed) = (home::entry(&checked), home::signed(&checked));
                self.write(Write::Own { entry, payload, signed, at_ms: self.clock.unix_ms() })
            }
            // Void ones, too, which others built on: they are archived and handed out.
            Output::Store { id, bytes } => match check_unsigned(bytes, engine.chain()) {
                Ok(checked) => self.write(Write::Other(home::entry(&checked).0)),
                Err(error) => {
                    tracing::warn!(record = %id.short(), %error, "a record to store does not check; left out");
                    Ok(())
                }
            },
            Output::StoreManifest { bytes } => {
                let version = SignedManifest::parse(&bytes)?.manifest.version;
                self.follow(engine)?;
                self.mail(Letter::Allow(home::transports(engine.chain().current())))?;
                self.write(Write::Manifest { version, bytes })
            }
            Output::StoreEvidence { bytes } => self.write(Write::Evidence(bytes)),
            Output::StoreConflict { bytes } => self.write(Write::Conflict(bytes)),
            Output::Prune { blobs } => self.write(Write::Prune(blobs)),
            Output::Announce { bytes } => self.mail(Letter::Announce(bytes)),
            Output::Presence { head, manifest_version } => self.mail(Letter::Presence { head, manifest_version }),
            Output::Verdict { ticket, verdict } => self.mail(Letter::Verdict(ticket, verdict)),
            Output::Penalise { peer, code } => {
                tracing::debug!(?peer, code, "penalised");
                self.mail(Letter::Penalise(peer))
            }
            Output::Ban { peer, code } => {
                tracing::warn!(?peer, code, "banned");
                self.mail(Letter::Ban(peer))
            }
            Output::Pardon { peer } => {
                tracing::info!(?peer, "pardoned");
                self.mail(Letter::Pardon(peer))
            }
            Output::Dial { peer, addresses } => self.mail(Letter::Dial(peer, addresses)),
            Output::Sync { peer, have, wants, manifest_version } => {
                let request = SyncRequest { network: engine.chain().network(), manifest_version, have, wants };
                super::sync::start(self.kit.net.clone(), peer, request, self.done.clone());
                Ok(())
            }
            Output::Fetch { body, from, payload } => {
                let shape = payload.then(|| Arc::clone(&self.shape));
                self.fetches.start(self.kit.clone(), Order { body, from, shape }, self.done.clone());
                Ok(())
            }
            Output::CancelFetch { hash } => {
                self.fetches.cancel(&hash);
                Ok(())
            }
            Output::Round(plan) => self.round(engine, *plan),
            Output::Recheck(check) => {
                self.recheck(engine, *check);
                Ok(())
            }
            Output::Event(event) => {
                let new_key = matches!(event, Event::NewKey { .. });
                self.event(engine, event);
                if new_key { self.mail(Letter::Key(engine.signer().clone())) } else { Ok(()) }
            }
            Output::Finished => {
                self.linger.finished(self.clock.now());
                self.assemble(engine);
                self.faces.tell(Notice::State(State::Lingering));
                Ok(())
            }
        }
    }

    /// Takes the end of a round's job.
    pub(super) fn ended(&mut self, ended: Ended) -> Result<(), DriverError> {
        self.faces.tell(Notice::State(State::Gathering));
        match ended {
            Ok((trained, work)) => {
                self.pending.push_back(Input::Trained(trained));
                self.faces.tell(Notice::Work(work));
            }
            Err(RoundError::State { payload, why }) => return Err(DriverError::State { payload, why }),
            Err(error) => {
                if let RoundError::Payload { hash, .. } = &error {
                    self.lost(*hash)?;
                }
                self.pending.push_back(Input::TrainFailed { why: error.to_string() });
            }
        }
        Ok(())
    }

    /// Takes what the operator wants.
    pub(super) fn command(&mut self, command: Command) {
        let wall = self.clock.wall();
        self.pending.push_back(match command {
            Command::Release(label) => Input::Release { label, wall },
            Command::Close => Input::Close { wall },
            Command::Manifest(bytes) => Input::Manifest { bytes, from: None },
        });
    }

    /// What a finished node does next; how it ended, if it may go.
    pub(super) fn linger(&mut self, engine: &Engine) -> Option<State> {
        let served = self.kit.net.traffic().blob_out;
        let state = *self.notary.state.borrow();
        let asked = engine.chain().current().policy.witnesses.is_some();
        self.linger.witnessed = !asked || state.settled || state.frozen;
        match self.linger.next(self.clock.now(), served, engine.chain(), &self.peers) {
            Next::Wait => None,
            Next::Go => Some(if self.linger.expelled { State::Expelled } else { State::Finished }),
            Next::Backfill => {
                let peers = self.peers.iter().cloned().collect();
                let (kit, chain, shape) = (self.kit.clone(), engine.chain().clone(), Arc::clone(&self.shape));
                let search = Backfill::start(self.notary.me, kit, chain, shape, peers, BACKFILL);
                self.linger.search(search, self.clock.now());
                None
            }
        }
    }

    pub(super) fn peer(&mut self, engine: &Engine, peer: &TransportId, up: bool) {
        if up {
            self.peers.insert(peer.clone());
        } else {
            self.peers.remove(peer);
        }
        self.faces.status.peers(engine.chain(), self.peers.iter());
        self.faces.changed = true;
        self.assemble(engine);
    }

    /// Tells the notary who is there now.
    pub(super) fn assemble(&self, engine: &Engine) {
        let Notarial { me, keyring, .. } = &self.notary;
        let circle = Circle::new(*me, engine, Arc::clone(keyring), &self.peers, self.linger.is_finished());
        self.notary.circle.send_replace(Some(Arc::new(circle)));
    }

    /// Hands the status on, if it changed.
    pub(super) fn show(&mut self, engine: &Engine) {
        if std::mem::take(&mut self.faces.changed) {
            self.faces.status.head(engine.head());
            self.faces.status.traffic(self.kit.net.traffic());
            self.faces.status.log = *self.notary.state.borrow();
            self.faces.status.updated_ms = self.clock.unix_ms();
            self.faces.newest.send_replace(self.faces.status.clone());
        }
    }

    fn round(&mut self, engine: &Engine, plan: RoundPlan) -> Result<(), DriverError> {
        let chain = engine.chain();
        let Some((manifest, _)) = chain.at(plan.manifest_version) else {
            return self
                .refuse(format!("the plan names manifest version {}, which is not held", plan.manifest_version));
        };
        if !home::same_adapter(&self.adapter, &manifest.policy.adapter) {
            return self
                .refuse("the network changed its adapter; start the node with the new rank, alpha and targets".into());
        }
        let job = Job {
            plan,
            network: chain.network(),
            policy: Arc::new(manifest.policy.clone()),
            shape: Arc::clone(&self.shape),
        };
        match self.jobs.try_send(job) {
            Ok(()) => {
                self.faces.tell(Notice::State(State::Training));
                Ok(())
            }
            Err(mpsc::error::TrySendError::Full(_)) => self.refuse("a round is still being worked on".into()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(DriverError::Ended("the trainer's thread")),
        }
    }

    /// Another member's merges: those of another adapter than ours cannot be recomputed.
    fn recheck(&mut self, engine: &Engine, check: MergeCheck) {
        let chain = engine.chain();
        let policy = |version: u64| {
            let policy = &chain.at(version)?.0.policy;
            home::same_adapter(&self.adapter, &policy.adapter).then(|| Arc::new(policy.clone()))
        };
        let policies: Option<Vec<_>> = check.steps.iter().map(|step| policy(step.manifest_version)).collect();
        match policies {
            Some(policies) => {
                let (network, shape) = (chain.network(), Arc::clone(&self.shape));
                recheck::start(&self.kit, recheck::Order { check, network, policies, shape }, self.done.clone());
            }
            None => self.pending.push_back(Input::Rechecked(Recheck::Unable)),
        }
    }

    fn refuse(&mut self, why: String) -> Result<(), DriverError> {
        self.pending.push_back(Input::TrainFailed { why });
        Ok(())
    }

    /// A payload that the engine believes on disk is not: away with its remains.
    fn lost(&mut self, hash: BlobHash) -> Result<(), DriverError> {
        self.pending.push_back(Input::FetchFailed { hash, why: FetchError::Unreachable });
        self.write(Write::Prune(vec![hash]))
    }

    /// Takes up the newest policy's shape of payloads.
    fn follow(&mut self, engine: &Engine) -> Result<(), DriverError> {
        let policy = &engine.chain().current().policy;
        self.shape = home::shape(policy)?;
        self.faces.status.rounds = policy.rounds;
        self.linger.rounds = policy.rounds;
        self.faces.status.peers(engine.chain(), self.peers.iter());
        self.notary.keyring = Arc::new(Keyring::new(engine.chain()));
        self.assemble(engine);
        Ok(())
    }

    fn event(&mut self, engine: &Engine, event: Event) {
        if !matches!(event, Event::Refused { .. }) || self.refusals.tell(self.clock.now()) {
            super::log::event(engine.chain(), &event);
        }
        self.faces.status.event(&event, engine.chain());
        if let Event::Admitted { member, round, .. } = &event {
            self.linger.published(*member, *round);
        }
        if matches!(event, Event::Expelled) {
            self.linger.expelled = true;
        }
        self.faces.tell(Notice::Engine(event));
    }

    fn write(&mut self, write: Write) -> Result<(), DriverError> {
        // `room` was asked before; what is told after it (a lost payload) may wait for the next time.
        match self.disk.try_send(write) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(write)) => {
                tracing::warn!(?write, "the disk's queue is full; an order was dropped");
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(DriverError::Ended("the disk's thread")),
        }
    }

    fn mail(&mut self, letter: Letter) -> Result<(), DriverError> {
        match self.post.try_send(letter) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(letter)) => {
                tracing::warn!(?letter, "the post is full; a message was dropped");
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(DriverError::Ended("the network")),
        }
    }
}
