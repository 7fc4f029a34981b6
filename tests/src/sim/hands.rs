//! The hands of a simulated node: what an output does, and when its answer comes.

use chorale_protocol::{
    adapter::{Payload, f32_view, publish},
    base::{BlobHash, RecordId, TransportId, UnixSeconds},
    code::blob_hash,
    engine::{FetchError, Input, Output, PlannedVoice, RoundPlan, Trained},
    feed::Body,
    merge::{self, Plan, Voice},
    wire::{Presence, SyncRequest},
};

use super::{
    clock::Event,
    disk::{Finished, Saved},
    gossip::Topic,
    node::{Fetch, Seen},
    world::World,
};

/// How long a transfer stands still before the next holder is tried.
const STALL_MS: u64 = 200;

impl World {
    /// Gives an input to a node's engine and carries out what follows.
    pub(super) fn handle(&mut self, node: usize, input: Input) {
        let now = self.millis();
        if let Some(engine) = self.nodes[node].engine.as_mut() {
            engine.handle(now, input);
            self.drain(node);
        }
    }

    pub(super) fn drain(&mut self, node: usize) {
        loop {
            let Some(engine) = self.nodes[node].engine.as_mut() else { return };
            let Some(output) = engine.poll() else { break };
            if self.step(node) {
                return;
            }
            self.carry_out(node, output);
        }
        let one = &mut self.nodes[node];
        let Some(deadline) = one.engine.as_ref().and_then(|engine| engine.deadline()) else { return };
        one.wake += 1;
        let event = Event::Wake { node, life: one.life, wake: one.wake };
        self.clock.at(deadline.0, event);
    }

    /// Counts a step; true: the node crashes instead of doing it.
    pub(super) fn step(&mut self, node: usize) -> bool {
        self.nodes[node].steps += 1;
        if self.nodes[node].crash_at == Some(self.nodes[node].steps) {
            self.nodes[node].crash_at = None;
            self.crash(node);
            let event = Event::Start { node };
            self.clock.after(self.restart_ms, event);
            return true;
        }
        false
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        let life = self.nodes[node].life;
        match output {
            Output::Persist { id, bytes } => {
                let delay = self.rng.between(1, 4);
                self.clock.after(delay, Event::Durable { node, life, id, bytes });
            }
            Output::Store { bytes, .. } => self.put(node, &bytes),
            Output::StoreManifest { bytes } => self.nodes[node].disk.manifests.push(bytes),
            Output::StoreConflict { .. } => {}
            Output::StoreEvidence { bytes } => {
                let disk = &mut self.nodes[node].disk;
                disk.blobs.insert(blob_hash(&bytes), bytes.clone());
                disk.evidence.push(bytes);
            }
            Output::Announce { bytes } => self.publish(node, Topic::Records, &bytes),
            Output::Presence { head, manifest_version } => {
                self.nodes[node].counter += 1;
                let one = &self.nodes[node];
                let presence = Presence {
                    network: self.network(),
                    member: one.id,
                    peer: self.transport(node),
                    addresses: Vec::new(),
                    head,
                    manifest_version,
                    counter: one.counter,
                };
                let bytes = presence.sign(&one.key);
                self.publish(node, Topic::Presence, &bytes);
            }
            Output::Verdict { ticket, verdict } => self.on_verdict(node, ticket, verdict),
            Output::Sync { peer, have, wants, manifest_version } => {
                let question = SyncRequest { network: self.network(), manifest_version, have, wants };
                self.ask(node, &peer, question);
            }
            Output::Fetch { body, from, payload } => self.fetch(node, body, &from, payload),
            Output::CancelFetch { hash } => {
                self.nodes[node].fetches.remove(&hash);
            }
            Output::Round(plan) => self.work(node, &plan),
            Output::Recheck(check) => self.recheck(node, &check),
            Output::Prune { blobs } => {
                for blob in blobs {
                    self.nodes[node].disk.blobs.remove(&blob);
                    self.nodes[node].disk.saved.remove(&blob);
                }
            }
            Output::Event(event) => {
                let at = self.clock.now();
                self.nodes[node].seen.push(Seen { at, event });
            }
            Output::Finished => self.nodes[node].finished = true,
            Output::Penalise { .. } | Output::Ban { .. } | Output::Pardon { .. } | Output::Dial { .. } => {}
        }
    }

    fn put(&mut self, node: usize, bytes: &bytes::Bytes) {
        let one = &mut self.nodes[node];
        if let Some(engine) = one.engine.as_ref() {
            one.disk.put(bytes, engine.chain());
        }
    }

    /// A record of the node is durable.
    pub(super) fn on_durable(&mut self, node: usize, id: RecordId, bytes: &bytes::Bytes) {
        self.put(node, bytes);
        if !self.step(node) {
            self.handle(node, Input::Persisted { id });
        }
    }

    fn ask(&mut self, node: usize, peer: &TransportId, question: SyncRequest) {
        let life = self.nodes[node].life;
        let lost = self.link.loses(&mut self.rng);
        let other = self.node_of(peer).filter(|other| self.is_connected(node, *other) && !lost);
        if let Some(other) = other {
            let delay = self.link.delay(&mut self.rng);
            self.clock.after(delay, Event::Question { node: other, from: node, life, question });
        } else {
            let input = Box::new(Input::Synced { peer: peer.clone(), complete: false });
            self.clock.after(STALL_MS, Event::Input { node, life, input });
        }
    }

    /// A question reached `node`: its disk answers.
    pub(super) fn on_question(&mut self, node: usize, from: usize, life: u64, question: &SyncRequest) {
        let Some(engine) = self.nodes[node].engine.as_ref() else { return };
        let peer = self.transport(node);
        let skip = usize::try_from(question.manifest_version + 1).unwrap_or(usize::MAX);
        let manifests = engine.chain().signed().into_iter().skip(skip);
        let mut inputs: Vec<Input> =
            manifests.map(|bytes| Input::Manifest { bytes, from: Some(peer.clone()) }).collect();
        let records = self.nodes[node].disk.lacking(question).into_iter();
        inputs.extend(records.map(|bytes| Input::Record { bytes, from: peer.clone(), ticket: None }));
        inputs.push(Input::Synced { peer: peer.clone(), complete: true });
        let delay = self.link.delay(&mut self.rng);
        for input in inputs {
            self.clock.after(delay, Event::Input { node: from, life, input: Box::new(input) });
        }
    }

    fn fetch(&mut self, node: usize, body: Body, from: &[TransportId], payload: bool) {
        let life = self.nodes[node].life;
        self.jobs += 1;
        let job = self.jobs;
        self.nodes[node].fetches.insert(body.hash, Fetch { job, body, payload });
        if payload && self.nodes[node].disk.blobs.contains_key(&body.hash) {
            self.clock.after(0, Event::Blob { node, life, job, holder: node });
            return;
        }
        let mut after = 0;
        for peer in from {
            let Some(holder) = self.node_of(peer) else { continue };
            if !self.is_connected(node, holder) || self.link.loses(&mut self.rng) {
                after += STALL_MS;
                continue;
            }
            if self.nodes[holder].frozen.is_some() {
                // It never answers; the engine loses patience.
                return;
            }
            after += self.link.delay(&mut self.rng) + self.link.delay(&mut self.rng);
            if self.nodes[holder].disk.blobs.contains_key(&body.hash) {
                self.clock.after(after, Event::Blob { node, life, job, holder });
                return;
            }
        }
        self.clock.after(after.max(1), Event::NoBlob { node, life, job });
    }

    fn take_fetch(&mut self, node: usize, job: u64) -> Option<Fetch> {
        let fetches = &mut self.nodes[node].fetches;
        let hash = fetches.iter().find(|(_, fetch)| fetch.job == job).map(|(hash, _)| *hash)?;
        fetches.remove(&hash)
    }

    /// A transfer is complete, if its holder is still there.
    pub(super) fn on_blob(&mut self, node: usize, job: u64, holder: usize) {
        let Some(Fetch { body, payload, .. }) = self.take_fetch(node, job) else { return };
        let hash = body.hash;
        let reachable = holder == node || self.is_connected(node, holder);
        let bytes = self.nodes[holder].disk.blobs.get(&hash).filter(|_| reachable).cloned();
        let Some(bytes) = bytes else {
            return self.handle(node, Input::FetchFailed { hash, why: FetchError::Unreachable });
        };
        if !payload {
            return self.handle(node, Input::Blob { hash, bytes });
        }
        if let Err(error) = Payload::check(&self.layout, self.codec, bytes.clone()) {
            let why = FetchError::Malformed { code: error.code() };
            return self.handle(node, Input::FetchFailed { hash, why });
        }
        self.nodes[node].disk.blobs.insert(hash, bytes);
        if !self.step(node) {
            self.handle(node, Input::PayloadArrived { hash });
        }
    }

    /// A fetch ended without its blob.
    pub(super) fn on_no_blob(&mut self, node: usize, job: u64) {
        if let Some(fetch) = self.take_fetch(node, job) {
            let why = FetchError::Unreachable;
            self.handle(node, Input::FetchFailed { hash: fetch.body.hash, why });
        }
    }

    fn voice(&self, node: usize, planned: &PlannedVoice) -> Voice {
        let bytes = self.nodes[node].disk.blobs.get(&planned.payload.hash).cloned();
        let bytes = bytes.unwrap_or_else(|| panic!("a planned payload is not on the disk ({})", self.tag()));
        let payload = Payload::check(&self.layout, self.codec, bytes).expect("payloads on the disk were checked");
        Voice { member: planned.member, record: planned.record, round: planned.round, payload }
    }

    /// One round: merged and trained at once, its end comes when the node's speed lets it.
    fn work(&mut self, node: usize, plan: &RoundPlan) {
        let engine = self.nodes[node].engine.as_ref().expect("it ordered the round");
        let policy = engine.chain().at(plan.manifest_version).expect("the plan's version is held").0.policy.clone();
        let own = plan.own.as_ref().map(|own| self.voice(node, own));
        let others: Vec<Voice> = plan.others.iter().map(|voice| self.voice(node, voice)).collect();
        let before = plan.own.as_ref().map(|own| {
            let saved = self.nodes[node].disk.saved.get(&own.payload.hash);
            saved.cloned().unwrap_or_else(|| panic!("no training state for the own payload ({})", self.tag()))
        });
        let (layout, network) = (self.layout.clone(), self.network());
        let merged = merge::perform(Plan {
            network,
            policy: &policy,
            layout: &layout,
            own: own.as_ref(),
            others: &others,
            state: before.as_ref().and_then(|saved| saved.momentum.clone()),
            spare: Vec::new(),
            threads: 1,
        });
        let merged = merged.unwrap_or_else(|error| panic!("a plan that cannot be merged: {error} ({})", self.tag()));
        let base = f32_view(&merged.values);
        let first = plan.own.is_none() && plan.others.is_empty();
        let values = self.training.train(self.seed, node, first, &base);
        let mut residual = before.map_or_else(|| vec![0.0; layout.len()], |saved| saved.residual);
        let published = publish(
            &layout,
            policy.codec,
            merged.phase,
            policy.norm_bound,
            &merged.values,
            &values,
            &mut residual,
            &mut Vec::new(),
        );
        let payload = published.expect("finite values").payload.bytes().clone();
        let step_ms = self.nodes[node].step_ms.max(1);
        let fitted = if policy.round_ms == 0 { policy.steps.max } else { policy.round_ms / step_ms };
        let steps = fitted.clamp(plan.steps.min, plan.steps.max);
        let trained = Trained {
            round: merged.round,
            phase: merged.phase,
            used: merged.used.clone(),
            out_of_reach: merged.out_of_reach.clone(),
            merge: merged.hash,
            payload: Body { hash: blob_hash(&payload), length: payload.len() as u64 },
            state: None,
            steps,
            examples: steps * 8,
            loss_before_micro: None,
            loss_after_micro: None,
            privacy: None,
            dataset: None,
            wall: UnixSeconds(1_700_000_000 + self.clock.now() / 1000),
        };
        let saved = Saved { residual, momentum: merged.into_state() };
        let finished = Box::new(Finished { payload, saved, trained });
        let life = self.nodes[node].life;
        let jitter = (self.nodes[node].jitter * 1_000.0) as u64;
        let thousandths = if jitter == 0 { 1_000 } else { self.rng.between(1_000 - jitter, 1_000 + jitter) };
        self.clock.after(steps * step_ms * thousandths / 1_000, Event::Round { node, life, finished });
    }

    /// A round's job ended: payload and state first, then the word.
    pub(super) fn on_round(&mut self, node: usize, finished: Finished) {
        let hash: BlobHash = finished.trained.payload.hash;
        self.nodes[node].disk.saved.insert(hash, finished.saved);
        self.nodes[node].disk.blobs.insert(hash, finished.payload);
        if !self.step(node) {
            self.handle(node, Input::Trained(Box::new(finished.trained)));
        }
    }
}
