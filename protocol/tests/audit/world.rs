//! A network played honestly in memory: members merge, train (a seeded walk), publish; and what to change to be dishonest.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "each test uses its part")]

use std::sync::Arc;

use bytes::Bytes;
use chorale_protocol::{
    adapter::{Layout, Payload, encode_q32, f32_view, publish, start_hash},
    admit,
    audit::{Anchor, ArchiveBuilder, MemoryArchive, Options, Report, layout::Name, replay},
    base::{KeyHash, MemberId, RecordId},
    code::blob_hash,
    draw::{self, Seed},
    feed::{Body, Checked, Record, Skip, SkipReason, Spec, Update, sign},
    fixture::{self, Author},
    manifest::{Chain, Handover, LogEnd, Policy},
    merge::{Merged, Plan, State, Voice, merge_hash, perform, weight},
};

/// One publication as its author holds it.
#[derive(Clone)]
pub struct Published {
    pub checked: Checked,
    pub voice: Voice,
    pub state: Option<State>,
}

/// A record about to be signed, and what it publishes.
pub struct Draft {
    pub record: Record,
    pub payload: Bytes,
    pub merged: Merged,
    /// Whom the author would merge, in draw order.
    pub others: Vec<Voice>,
}

impl Draft {
    pub fn update(&mut self) -> &mut Update {
        let Spec::Update(update) = &mut self.record.spec else { panic!("no update") };
        update
    }
}

pub struct World {
    pub chain: Chain,
    pub layout: Arc<Layout>,
    pub authors: Vec<Author>,
    /// Every publication, by member, in order.
    pub published: Vec<Vec<Published>>,
    pub builder: ArchiveBuilder,
    pub records: Vec<Checked>,
    random: u64,
}

impl World {
    pub fn new(members: u64, mut policy: Policy, seed: u64) -> Self {
        let layout = Layout::new(&policy.adapter).unwrap();
        policy.adapter.start = start_hash(&layout.start(policy.adapter.seed));
        let chain = fixture::chain(members, policy);
        Self {
            builder: ArchiveBuilder::new(chain.signed()),
            layout: Arc::new(layout),
            authors: (0..members).map(Author::new).collect(),
            published: vec![Vec::new(); usize::try_from(members).unwrap()],
            records: Vec::new(),
            random: seed,
            chain,
        }
    }

    /// Plays `rounds` rounds: in each, every member publishes once.
    pub fn play(members: u64, rounds: u64, policy: Policy, seed: u64) -> Self {
        let mut world = Self::new(members, policy, seed);
        world.rounds(rounds);
        world
    }

    pub fn rounds(&mut self, rounds: u64) {
        for _ in 0..rounds {
            for who in 0..self.authors.len() {
                self.step(who);
            }
        }
    }

    /// One honest publication.
    pub fn step(&mut self, who: usize) -> Checked {
        self.step_with(who, |_| {})
    }

    /// One publication, changed before it is signed.
    pub fn step_with(&mut self, who: usize, change: impl FnOnce(&mut Draft)) -> Checked {
        let own = self.published[who].last().cloned();
        self.step_from(who, own, change)
    }

    /// One publication on a momentum state that its author made up, every number of it `off` from the right one, under a merge hash
    /// that covers it.
    pub fn step_made_up(&mut self, who: usize, off: i64) -> Checked {
        self.step_made_up_with(who, off, |_| {})
    }

    /// The same, changed before it is signed.
    pub fn step_made_up_with(&mut self, who: usize, off: i64, change: impl FnOnce(&mut Draft)) -> Checked {
        self.step_shifted(who, (off, off), change)
    }

    /// The same, with X and v off by numbers of their own.
    pub fn step_shifted(&mut self, who: usize, (x, v): (i64, i64), change: impl FnOnce(&mut Draft)) -> Checked {
        let (network, layout, policy) =
            (self.chain.network(), self.layout.clone(), self.chain.current().policy.clone());
        let known: Vec<(RecordId, MemberId)> = self.records.iter().map(|one| (one.id(), one.record().member)).collect();
        let member = |id: &RecordId| known.iter().find(|(known, _)| known == id).unwrap().1;
        self.step_with(who, |draft| {
            draft.merged.values.iter_mut().for_each(|number| *number += x);
            draft.merged.momentum.iter_mut().flatten().for_each(|number| *number += v);
            let state = fixture::body(&draft.merged.checkpoint().unwrap());
            draft.payload = encode_q32(&layout, policy.codec, &draft.merged.values).unwrap();
            let (parents, weights) = (draft.record.parents.clone(), draft.update().weights.clone());
            let used = parents.iter().zip(weights).map(|(one, weight)| (member(&one.record), one.record, weight));
            let merge = merge_hash(network, draft.merged.round, policy.merge, used, &state.hash);
            (draft.update().state, draft.update().merge) = (Some(state), merge);
            change(draft);
        })
    }

    /// Takes the payload of a record out of an archive.
    pub fn withhold(archive: &mut MemoryArchive, record: &Checked) {
        archive.remove(&Name::Blob(record.record().body.unwrap().hash).to_string()).unwrap();
    }

    /// One publication that goes on from `own`.
    pub fn step_from(&mut self, who: usize, own: Option<Published>, change: impl FnOnce(&mut Draft)) -> Checked {
        let mut draft = self.draft(who, own.as_ref());
        change(&mut draft);
        if let Some(body) = &mut draft.record.body
            && body.hash != blob_hash(&draft.payload)
        {
            *body = fixture::body(&draft.payload);
        }
        let checkpoint = draft.update().state.is_some();
        if let Some(bytes) = draft.merged.checkpoint().filter(|_| checkpoint) {
            self.builder.blob(bytes);
        }
        let checked = self.authors[who].write(draft.record);
        self.builder.blob(draft.payload.clone());
        self.keep(&checked);
        let policy = &self.chain.current().policy;
        if let Ok(payload) = Payload::check(&self.layout, policy.codec, draft.payload) {
            let Spec::Update(update) = &checked.record().spec else { panic!("no update") };
            let member = self.authors[who].id;
            let voice = Voice { member, record: checked.id(), round: update.round, payload };
            self.published[who].push(Published { checked: checked.clone(), voice, state: draft.merged.into_state() });
        }
        checked
    }

    /// Merges, trains and describes.
    pub fn draft(&mut self, who: usize, own: Option<&Published>) -> Draft {
        let author = &self.authors[who];
        let policy = self.chain.current().policy.clone();
        let pool = admit::drawable(self.chain.current());
        let order = draw::order(&self.chain.network(), &author.id, author.incarnation, &self.seed(who), &pool);
        let (others, mut skipped) = self.survey(&order, &policy, own);
        let merged = perform(Plan {
            network: self.chain.network(),
            policy: &policy,
            layout: &self.layout,
            own: own.map(|own| &own.voice),
            others: &others,
            state: own.and_then(|own| own.state.clone()),
            spare: Vec::new(),
            threads: 1,
        })
        .unwrap();
        let far = others.iter().filter(|voice| merged.out_of_reach.contains(&voice.member));
        skipped.extend(far.map(|voice| self.skip(&voice.member, SkipReason::Distance, Some(voice.record))));
        let member = |skip: &Skip| self.chain.current().member_at(skip.member).unwrap();
        skipped.sort_by_key(|skip| order.iter().position(|other| *other == member(skip)));
        let payload = self.train(&merged, &policy);
        let parents: Vec<Checked> = merged.used.iter().map(|(id, _)| self.record(id)).collect();
        let state = merged
            .checkpoint()
            .filter(|_| policy.checkpoint_every > 0 && merged.round.0.is_multiple_of(policy.checkpoint_every));
        let update = Update {
            round: merged.round,
            phase: merged.phase,
            weights: merged.used.iter().map(|(_, weight)| *weight).collect(),
            merge: merged.hash,
            skipped,
            state: state.map(|bytes| fixture::body(&bytes)),
            ..fixture::update(&self.chain, 1, 0)
        };
        let parents: Vec<&Checked> = parents.iter().collect();
        let mut record = self.authors[who].draft(&self.chain, &parents, Spec::Update(update));
        record.body = Some(Body { hash: blob_hash(&payload), length: payload.len() as u64 });
        Draft { record, payload, merged, others }
    }

    /// What the next draw of a member is made from.
    pub fn seed(&self, who: usize) -> Seed {
        let Author { id, incarnation, .. } = self.authors[who];
        let of_feed = |record: &Record| (record.member, record.incarnation) == (id, incarnation);
        let mut newest = self.records.iter().rev().map(Checked::record).filter(|record| of_feed(record));
        let seed = |record: &Record| Seed::after(record, self.chain.at(record.manifest_version).unwrap().0);
        newest.find_map(seed).unwrap_or_default()
    }

    /// An entry of the list of the skipped.
    pub fn skip(&self, member: &MemberId, reason: SkipReason, record: Option<RecordId>) -> Skip {
        Skip { member: self.place(member), reason, record }
    }

    fn survey(&self, order: &[MemberId], policy: &Policy, own: Option<&Published>) -> (Vec<Voice>, Vec<Skip>) {
        let newest = || self.published.iter().flatten().map(|published| published.voice.round).max();
        let base = own.map(|own| own.voice.round).or_else(newest).unwrap_or_default();
        let (mut others, mut skipped) = (Vec::new(), Vec::new());
        for member in order {
            if others.len() as u64 >= policy.draw {
                break;
            }
            let who = self.authors.iter().position(|author| author.id == *member).unwrap();
            match self.published[who].last() {
                Some(published) if weight(&policy.ages, base, published.voice.round).is_none() => {
                    skipped.push(self.skip(member, SkipReason::Stale, Some(published.voice.record)));
                }
                Some(published) => others.push(published.voice.clone()),
                None => skipped.push(self.skip(member, SkipReason::Absent, None)),
            }
        }
        (others, skipped)
    }

    /// A step of a random walk, as a trained adapter is published.
    fn train(&mut self, merged: &Merged, policy: &Policy) -> Bytes {
        let mut trained = f32_view(&merged.values);
        for value in &mut trained {
            *value += (self.number() % 2001) as f32 / 1e5 - 0.01;
        }
        let mut residual = vec![0.0; trained.len()];
        let (codec, bound) = (policy.codec, policy.norm_bound);
        let published =
            publish(&self.layout, codec, merged.phase, bound, &merged.values, &trained, &mut residual, &mut Vec::new())
                .unwrap();
        published.payload.bytes().clone()
    }

    /// Signs a record of another kind and adds it.
    pub fn write(&mut self, who: usize, parents: &[&Checked], spec: Spec, body: Option<Body>) -> Checked {
        let mut record = self.authors[who].draft(&self.chain, parents, spec);
        record.body = body;
        let checked = self.authors[who].write(record);
        self.keep(&checked);
        checked
    }

    /// A second record for the place of `first`, by its author: a fork. Not added to the archive.
    pub fn fork(&self, who: usize, first: &Checked) -> Checked {
        let mut record = first.record().clone();
        record.claimed_time.0 += 60;
        sign(record, &fixture::author(self.authors[who].key)).unwrap()
    }

    pub fn keep(&mut self, checked: &Checked) {
        self.builder.record(checked);
        self.records.push(checked.clone());
    }

    /// The next manifest version.
    pub fn amend(&mut self, change: impl FnOnce(&mut chorale_protocol::manifest::Manifest)) {
        let mut next = fixture::next(&self.chain);
        change(&mut next);
        self.chain.extend(fixture::signed(next, &[0])).unwrap();
        self.builder.manifests(self.chain.signed());
    }

    /// A version in which the member signs with key number `key`, and what it signed before stands up to its newest record.
    pub fn rotate(&mut self, who: usize, key: u64) {
        self.rotate_at(who, key, None);
    }

    /// The same, with the head at which its log passes to the new key.
    pub fn rotate_at(&mut self, who: usize, key: u64, log: Option<LogEnd>) {
        let member = self.authors[who].id;
        let head = self.records.iter().rfind(|record| record.record().member == member).unwrap();
        let (incarnation, seq) = (head.record().incarnation, head.record().seq);
        let last = Some((seq, head.id()));
        self.amend(|manifest| {
            let entry = manifest.members.iter_mut().find(|entry| entry.id == member).unwrap();
            (entry.author_key, entry.next) = (fixture::author(key).public(), None);
            manifest.handovers.push(Handover { member, incarnation, last, log });
        });
        self.authors[who].hand_over(key);
    }

    /// A commitment of a member to key number `key`.
    pub fn commit(&mut self, who: usize, key: Option<u64>) {
        let member = self.authors[who].id;
        self.amend(|manifest| {
            let entry = manifest.members.iter_mut().find(|entry| entry.id == member).unwrap();
            entry.next = key.map(|key| KeyHash::of(&fixture::author(key).public()));
        });
    }

    pub fn record(&self, id: &RecordId) -> Checked {
        self.records.iter().find(|record| record.id() == *id).unwrap().clone()
    }

    /// A member's place in the newest manifest.
    pub fn place(&self, member: &MemberId) -> u64 {
        self.chain.current().place_of(member).unwrap()
    }

    pub fn archive(&self) -> MemoryArchive {
        self.builder.build()
    }

    /// The newest record of every author.
    pub fn heads(&self) -> Vec<RecordId> {
        let place = |record: &&Checked| (record.record().incarnation, record.record().seq);
        let of = |author: &Author| {
            self.records.iter().filter(|record| record.record().member == author.id).max_by_key(place)
        };
        self.authors.iter().filter_map(of).map(Checked::id).collect()
    }

    pub fn options(&self) -> Options {
        Options {
            network: self.chain.network(),
            anchors: self.heads().into_iter().map(Anchor::from).collect(),
            allow_unanchored: false,
            allow_pruned: false,
            recompute: true,
            witnesses: 0,
            heads_only: false,
            threads: 2,
        }
    }

    pub fn audit(&self) -> Report {
        audit(&self.archive(), &self.options())
    }

    /// SplitMix64.
    pub fn number(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

pub fn audit(archive: &MemoryArchive, options: &Options) -> Report {
    replay(archive, options, &|_, _| {}).unwrap()
}
