//! A member of the manifest whose program is its own: it signs what it likes and hands it to everybody.

use bytes::Bytes;
use chorale_protocol::{
    adapter::{Payload, encode_f32, f32_view},
    admit::drawable,
    base::{MemberId, NetworkId, Round},
    draw::{self, Seed},
    engine::Input,
    feed::{Body, Checked, Record, Skip, SkipReason, Spec, Update},
    fixture::{self, Author},
    manifest::Chain,
    merge::{self, Plan, Voice},
};

use super::world::World;

/// Such a member. Its node does not run.
#[derive(Debug)]
pub struct Insider {
    node: usize,
    author: Author,
    chain: Chain,
    /// Its last update, and what that published.
    last: Option<(Checked, Payload)>,
    /// Whether it merges whom the draw names; else it calls everybody absent and goes on from itself alone.
    merges: bool,
}

/// What it is about to sign: an update that keeps every rule, unless somebody changes it.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Unsigned.
    pub record: Record,
    /// What the record names as its body.
    pub payload: Bytes,
    /// The merge that it rests on, as f32.
    pub merged: Vec<f32>,
}

impl Draft {
    /// What the update says.
    pub fn update(&mut self) -> &mut Update {
        match &mut self.record.spec {
            Spec::Update(update) => update,
            other => panic!("a draft of an update, not of {other:?}"),
        }
    }

    /// Publishes other bytes.
    pub fn publish(&mut self, payload: Bytes) {
        self.record.body = Some(fixture::body(&payload));
        self.payload = payload;
    }
}

impl Insider {
    /// The member of this node, under the genesis; it goes on from itself alone.
    #[must_use]
    pub fn new(world: &World, node: usize) -> Self {
        Self { node, author: Author::new(node as u64), chain: world.chain(), last: None, merges: false }
    }

    /// As [`new`](Self::new), but it merges whom the draw names.
    #[must_use]
    pub fn merging(world: &World, node: usize) -> Self {
        Self { merges: true, ..Self::new(world, node) }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.author.id
    }

    /// The chain that it holds.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Takes the next manifest version up.
    pub fn follow(&mut self, manifest: Bytes) {
        self.chain.extend(manifest).expect("the next version");
    }

    /// Its last update.
    #[must_use]
    pub fn last(&self) -> Option<&Checked> {
        self.last.as_ref().map(|(checked, _)| checked)
    }

    /// The round of its last update, 0 before the first.
    #[must_use]
    pub fn round(&self) -> Round {
        match self.last().map(|last| &last.record().spec) {
            Some(Spec::Update(update)) => update.round,
            _ => Round(0),
        }
    }

    /// Whom the draw of its next update names, in order.
    #[must_use]
    pub fn order(&self) -> Vec<MemberId> {
        let manifest = self.chain.current();
        let seed = self.last().and_then(|last| Seed::after(last.record(), manifest)).unwrap_or_default();
        let network: NetworkId = self.chain.network();
        draw::order(&network, &self.author.id, self.author.incarnation, &seed, &drawable(manifest))
    }

    /// Another member's newest update, if the first node has one.
    #[must_use]
    pub fn voice(&self, world: &World, member: &MemberId) -> Option<(Checked, Voice)> {
        let checked = world.nodes()[0].disk().newest(member, &self.chain)?;
        let body = checked.record().body?;
        let bytes = world.nodes().iter().find_map(|node| node.disk().blob(&body.hash))?;
        let codec = self.chain.current().policy.codec;
        let payload = Payload::check(world.layout(), codec, bytes).ok()?;
        let Spec::Update(update) = &checked.record().spec else { return None };
        let voice = Voice { member: *member, record: checked.id(), round: update.round, payload };
        Some((checked, voice))
    }

    /// The next update, with the first so many that the draw names and that published something, or with none.
    #[must_use]
    pub fn draft(&self, world: &World) -> Draft {
        let draw = usize::try_from(self.chain.current().policy.draw).unwrap();
        let mut chosen = Vec::new();
        let mut passed = Vec::new();
        for member in self.order() {
            if chosen.len() >= draw {
                break;
            }
            match self.voice(world, &member).filter(|_| self.merges) {
                Some(found) => chosen.push(found),
                None => passed.push(member),
            }
        }
        self.draft_of(world, chosen, &passed)
    }

    /// As [`draft`](Self::draft), with the newest updates of these members, and these called absent.
    #[must_use]
    pub fn draft_with(&self, world: &World, members: &[MemberId], absent: &[MemberId]) -> Draft {
        let chosen = members.iter().map(|member| self.voice(world, member).expect("it has published")).collect();
        self.draft_of(world, chosen, absent)
    }

    /// An update that goes on from nothing, not even its own last one, and calls everybody absent.
    #[must_use]
    pub fn draft_afresh(&self, world: &World) -> Draft {
        let afresh =
            Self { node: self.node, author: self.author.clone(), chain: self.chain.clone(), last: None, merges: false };
        afresh.draft_of(world, Vec::new(), &self.order())
    }

    fn draft_of(&self, world: &World, chosen: Vec<(Checked, Voice)>, absent: &[MemberId]) -> Draft {
        let manifest = self.chain.current();
        let policy = &manifest.policy;
        let own = self.last.as_ref().map(|(checked, payload)| Voice {
            member: self.author.id,
            record: checked.id(),
            round: self.round(),
            payload: payload.clone(),
        });
        let (records, others): (Vec<Checked>, Vec<Voice>) = chosen.into_iter().unzip();
        let plan = Plan {
            network: self.chain.network(),
            policy,
            layout: world.layout(),
            own: own.as_ref(),
            others: &others,
            state: None,
            spare: Vec::new(),
            threads: 1,
        };
        let merged = merge::perform(plan).expect("publications within the window");
        let base = f32_view(&merged.values);
        let moved: Vec<f32> = base.iter().map(|value| value + (self.node + 1) as f32 / 4096.0).collect();
        let payload = encode_f32(world.layout(), policy.codec, &moved).expect("finite values");
        let near = |record: &&Checked| !merged.out_of_reach.contains(&record.record().member);
        let parents: Vec<&Checked> = self.last().into_iter().chain(records.iter().filter(near)).collect();
        let mut update = fixture::update(&self.chain, merged.round.0, parents.len());
        update.weights = merged.used.iter().map(|(_, weight)| *weight).collect();
        update.merge = merged.hash;
        update.steps = policy.steps.min;
        update.skipped = absent.iter().map(|member| skip(&self.chain, member, SkipReason::Absent)).collect();
        for far in records.iter().filter(|record| !near(record)) {
            let mut skip = skip(&self.chain, &far.record().member, SkipReason::Distance);
            skip.record = Some(far.id());
            update.skipped.push(skip);
        }
        if !merged.out_of_reach.is_empty() {
            let order = self.order();
            let place = |skip: &Skip| order.iter().position(|member| manifest.place_of(member) == Some(skip.member));
            update.skipped.sort_by_key(place);
        }
        let skipped = update.skipped.clone();
        let mut record = self.author.draft(&self.chain, &parents, Spec::Update(update));
        if let Spec::Update(update) = &mut record.spec {
            update.skipped = skipped;
        }
        record.body = Some(fixture::body(&payload));
        Draft { record, payload, merged: base }
    }

    /// A record that is no update, unsigned.
    #[must_use]
    pub fn say(&self, parents: &[&Checked], spec: Spec) -> Record {
        self.author.draft(&self.chain, parents, spec)
    }

    /// Signs a record in the next place and hands it, and its blob, to everybody who runs.
    pub fn hand_out(&mut self, world: &mut World, record: Record, blob: &Bytes) -> Checked {
        let checked = self.sign(world, record, blob);
        world.hand_to_all(self.node, checked.bytes(), checked.record().body, blob);
        checked
    }

    /// Signs a record in the next place and goes on from it; nobody hears of it.
    pub fn sign(&mut self, world: &World, record: Record, blob: &Bytes) -> Checked {
        let checked = self.author.write(record);
        let codec = self.chain.current().policy.codec;
        if matches!(checked.record().spec, Spec::Update(_))
            && let Ok(payload) = Payload::check(world.layout(), codec, blob.clone())
        {
            self.last = Some((checked.clone(), payload));
        }
        checked
    }

    /// Signs and hands out the next update, which keeps every rule.
    pub fn publish(&mut self, world: &mut World) -> Checked {
        let Draft { record, payload, .. } = self.draft(world);
        self.hand_out(world, record, &payload)
    }

    /// Publishes until its last update is of this round.
    pub fn publish_up_to(&mut self, world: &mut World, round: Round) {
        while self.round() < round {
            self.publish(world);
        }
    }

    /// A second history: what would stand in the place of its last record.
    #[must_use]
    pub fn twin(&self, record: &Record) -> Checked {
        let mut record = record.clone();
        record.claimed_time.0 += 60;
        chorale_protocol::feed::sign(record, &fixture::author(self.author.key)).expect("a well-formed record")
    }

    /// Hands a signed record to everybody who runs.
    pub fn show(&self, world: &mut World, checked: &Checked, blob: &Bytes) {
        world.hand_to_all(self.node, checked.bytes(), checked.record().body, blob);
    }
}

/// A member passed over.
#[must_use]
pub fn skip(chain: &Chain, member: &MemberId, reason: SkipReason) -> Skip {
    Skip { member: chain.current().place_of(member).expect("a member"), reason, record: None }
}

impl World {
    /// Puts a record of a node that does not run before everybody who does, and its blob on their disks.
    fn hand_to_all(&mut self, from: usize, record: &Bytes, body: Option<Body>, blob: &Bytes) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].engine.is_some() {
                self.nodes[node].disk.blobs.extend(body.map(|body| (body.hash, blob.clone())));
                let from = self.transport(from);
                self.inject(node, Input::Record { bytes: record.clone(), from, ticket: None });
            }
        }
    }
}
