//! Promises of the engine, as inputs and outputs.

mod accused;
mod attests;
mod bundles;
mod claims;
mod faults;
mod floods;
mod insider;
mod keys;
mod life;
mod records;
mod rounds;
mod void;

use bytes::Bytes;

use super::{Config, Engine, Event, Input, Output, RoundPlan, Stored, Ticket, Trained, Verdict};
use crate::{
    adapter::Layout,
    base::{MergeHash, Millis, Round, TransportId, UnixSeconds},
    code::blob_hash,
    feed::{Body, Checked, Spec},
    fixture::{self, Author},
    manifest::{Chain, Phase, Policy},
    merge,
};

/// The engine of member 0 in a network of four, and everybody else's pens.
struct Desk {
    engine: Engine,
    chain: Chain,
    now: u64,
    authors: Vec<Author>,
}

const WALL: UnixSeconds = UnixSeconds(1_700_000_077);

fn policy() -> Policy {
    Policy { momentum: 0, ..fixture::policy() }
}

fn config() -> Config {
    Config {
        me: fixture::member(0).id,
        key: fixture::author(0),
        spare: vec![fixture::author(70)],
        start_wait_ms: 5_000,
        wait_share: 1 << 16,
        gather_max_ms: 10_000,
        gather_min_ms: 100,
        fetch_ms: 1_000,
        presence_ms: 30_000,
        fetches: 4,
    }
}

impl Desk {
    fn new(policy: Policy) -> Self {
        Self::stored(policy, Stored::default())
    }

    fn stored(policy: Policy, stored: Stored) -> Self {
        let chain = fixture::chain(4, policy);
        let engine = Engine::new(config(), chain.clone(), stored, Millis(1_000_000)).unwrap();
        Self { engine, chain, now: 1_000_000, authors: (0..4).map(Author::new).collect() }
    }

    /// All outputs of an input.
    fn give(&mut self, input: Input) -> Vec<Output> {
        self.engine.handle(Millis(self.now), input);
        std::iter::from_fn(|| self.engine.poll()).collect()
    }

    /// All outputs of the passing of time, timer by timer.
    fn wait(&mut self, ms: u64) -> Vec<Output> {
        let end = self.now + ms;
        let mut outputs = Vec::new();
        while let Some(due) = self.engine.deadline().filter(|due| due.0 <= end) {
            assert!(due.0 > self.now || outputs.len() < 1_000, "a timer that is always due");
            self.now = self.now.max(due.0);
            outputs.extend(self.give(Input::Tick));
        }
        self.now = end;
        outputs
    }

    fn body(&self, name: &str) -> Body {
        let policy = &self.chain.current().policy;
        let length = Layout::new(&policy.adapter).unwrap().payload_len(policy.codec);
        Body { hash: blob_hash(name.as_bytes()), length }
    }

    /// An update of member `n` that follows the rules; parents with fresh weights.
    fn update(&mut self, n: usize, parents: &[&Checked]) -> Checked {
        let round = parents.iter().filter_map(|parent| round_of(parent)).max().unwrap_or(0) + 1;
        let body = self.body(&format!("payload of {n} in round {round}"));
        let spec = Spec::Update(fixture::update(&self.chain, round, parents.len()));
        let mut draft = self.authors[n].draft(&self.chain, parents, spec);
        draft.body = Some(body);
        self.authors[n].write(draft)
    }

    /// Hands a record in by gossip.
    fn gossip(&mut self, record: &Checked, from: u64) -> Vec<Output> {
        self.give_bytes(record.bytes().clone(), from)
    }

    fn give_bytes(&mut self, bytes: Bytes, from: u64) -> Vec<Output> {
        self.give(Input::Record { bytes, from: fixture::transport(from), ticket: Some(Ticket(7)) })
    }

    /// Lets a peer come up and answer the first question with nothing.
    fn meet(&mut self, n: u64) -> Vec<Output> {
        let peer = fixture::transport(n);
        let mut outputs = self.give(Input::PeerUp { peer: peer.clone() });
        outputs.extend(self.give(Input::Synced { peer, complete: true }));
        outputs
    }

    /// Starts alone and returns the first plan.
    fn start_alone(&mut self) -> RoundPlan {
        plan(&self.wait(5_000)).expect("a plan after the wait")
    }

    /// Meets everybody and returns the first plan.
    fn start_together(&mut self) -> RoundPlan {
        let outputs: Vec<Output> = (1..4).flat_map(|n| self.meet(n)).collect();
        plan(&outputs).expect("everybody is up")
    }

    /// Ends a round as the hands would, merging all of the plan; the outputs up to the record's persistence, then after it.
    fn finish(&mut self, plan: &RoundPlan) -> (Vec<Output>, Vec<Output>) {
        let trained = self.trained(plan);
        let before = self.give(Input::Trained(Box::new(trained)));
        let Some(Output::Persist { id, .. }) = before.iter().find(|output| matches!(output, Output::Persist { .. }))
        else {
            panic!("no record to persist: {before:?}");
        };
        let after = self.give(Input::Persisted { id: *id });
        (before, after)
    }

    fn trained(&self, plan: &RoundPlan) -> Trained {
        let mut voices: Vec<_> = plan.own.iter().chain(&plan.others).collect();
        let newest = voices.iter().map(|voice| voice.round).max();
        let base = plan.own.as_ref().map(|own| own.round).or(newest).unwrap_or_default();
        let ages = &self.chain.current().policy.ages;
        let weigh = |round: Round| merge::weight(ages, base, round).expect("within the window");
        voices.sort_unstable_by_key(|voice| voice.member);
        let used = voices.iter().map(|voice| (voice.record, weigh(voice.round))).collect();
        let round = newest.map_or(Round(1), Round::next);
        Trained {
            round,
            phase: Phase::Both,
            used,
            out_of_reach: Vec::new(),
            merge: MergeHash([1; 32]),
            payload: self.body(&format!("own payload {round} {}", plan.seq)),
            state: None,
            steps: 8,
            examples: 100,
            loss_before_micro: None,
            loss_after_micro: None,
            privacy: None,
            dataset: None,
            wall: WALL,
        }
    }
}

fn round_of(checked: &Checked) -> Option<u64> {
    if let Spec::Update(update) = &checked.record().spec { Some(update.round.0) } else { None }
}

fn plan(outputs: &[Output]) -> Option<RoundPlan> {
    outputs.iter().find_map(|output| if let Output::Round(plan) = output { Some((**plan).clone()) } else { None })
}

fn verdict(outputs: &[Output]) -> Option<Verdict> {
    outputs.iter().find_map(|output| if let Output::Verdict { verdict, .. } = output { Some(*verdict) } else { None })
}

fn events(outputs: &[Output]) -> Vec<&Event> {
    outputs.iter().filter_map(|output| if let Output::Event(event) = output { Some(event) } else { None }).collect()
}

fn refusal(outputs: &[Output]) -> Option<&'static str> {
    events(outputs).into_iter().find_map(|event| match event {
        Event::Refused { reason, .. } => Some(reason.code),
        _ => None,
    })
}

fn asked(outputs: &[Output]) -> Vec<TransportId> {
    outputs
        .iter()
        .filter_map(|output| if let Output::Sync { peer, .. } = output { Some(peer.clone()) } else { None })
        .collect()
}

fn fetched(outputs: &[Output]) -> Vec<(Body, bool)> {
    let fetch = |output: &Output| match output {
        Output::Fetch { body, payload, .. } => Some((*body, *payload)),
        _ => None,
    };
    outputs.iter().filter_map(fetch).collect()
}
