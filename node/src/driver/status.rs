//! `status.json`: what the node does, for people and programs beside it.

use std::{collections::BTreeMap, collections::VecDeque, time::Duration};

use chorale_protocol::{
    base::{MemberId, TransportId},
    engine::{Event, RoundReport},
    feed::Head,
    manifest::Chain,
};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task};

use super::LogState;
use crate::{net::Traffic, store::Store};

/// Rounds that the status remembers.
const ROUNDS: usize = 32;
/// How often the file is written at most.
const PAUSE: Duration = Duration::from_millis(100);

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The manifest does not name this node yet.
    Joining,
    /// Waiting for and fetching from peers.
    Gathering,
    /// A round is being merged and trained.
    Training,
    /// The last round is done; serving others.
    Lingering,
    /// Finished, and ended.
    Finished,
    /// Told to stop.
    Stopped,
    /// No longer a member.
    Expelled,
    /// Ended by an error.
    Failed,
}

/// The document. Ids are hexadecimal, losses nats per token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of this document.
    pub version: u32,
    /// The process.
    pub pid: u32,
    /// What the node does.
    pub state: State,
    /// Why it ended, if by an error.
    pub error: Option<String>,
    /// The network.
    pub network: String,
    /// The member; absent while joining.
    pub member: Option<String>,
    /// What people call it.
    pub label: Option<String>,
    /// The newest manifest version held.
    pub manifest_version: u64,
    /// Our newest publication's round.
    pub round: u64,
    /// The policy's last round; 0: none.
    pub rounds: u64,
    /// Updates published since this start.
    #[serde(default)]
    pub updates: u64,
    /// How many of the newest of them, in a row, merged nobody else.
    #[serde(default)]
    pub alone: u64,
    /// Our newest record.
    pub head: Option<HeadStatus>,
    /// Held-out loss of the newest merge.
    pub loss_before: Option<f64>,
    /// Held-out loss after training from it.
    pub loss_after: Option<f64>,
    /// Where the node listens.
    pub listening: Vec<String>,
    /// Connected participants, by label (by the tail of the peer id if the manifest has none).
    pub peers: Vec<String>,
    /// The newest rounds, oldest first.
    pub history: VecDeque<RoundStatus>,
    /// How many records, payloads and messages were refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// Members proved to have equivocated, by label.
    pub convicted: Vec<String>,
    /// Members that broke a rule, and its code: what follows in that feed does not count.
    pub barred: Vec<(String, String)>,
    /// How far our transparency log has come.
    #[serde(default)]
    pub log: LogState,
    /// Governors that voted for two manifests of one version: the version and the key.
    #[serde(default)]
    pub double_votes: Vec<(u64, String)>,
    /// The manifest version that gives this member a key which the node does not have: nothing is signed.
    #[serde(default)]
    pub key_gone: Option<u64>,
    /// Bytes of blobs received.
    pub blob_in: u64,
    /// Bytes of blobs sent.
    pub blob_out: u64,
    /// All bytes received.
    pub total_in: u64,
    /// All bytes sent.
    pub total_out: u64,
    /// Milliseconds since 1970 when this was written.
    pub updated_ms: u64,
}

/// A record's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadStatus {
    /// Which of our feeds.
    pub incarnation: u64,
    /// Its place.
    pub seq: u64,
    /// Its id.
    pub id: String,
}

/// One round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundStatus {
    /// The round published.
    pub round: u64,
    /// Our record.
    pub record: String,
    /// The merge hash.
    pub merge: String,
    /// Who was merged, with weights.
    pub contributors: Vec<(String, u64)>,
    /// How many others were merged.
    #[serde(default)]
    pub others: u64,
    /// How many others it could merge at most.
    #[serde(default)]
    pub wanted: u64,
    /// Who was drawn and not merged, and why.
    pub skipped: Vec<(String, String)>,
    /// Local steps.
    pub steps: u64,
    /// Held-out loss of the merge.
    pub loss_before: Option<f64>,
    /// Held-out loss after training.
    pub loss_after: Option<f64>,
    /// Milliseconds of waiting for and fetching from peers.
    pub gather_ms: u64,
    /// Milliseconds of merging, training and encoding.
    pub work_ms: u64,
}

impl Status {
    pub(super) fn new(chain: &Chain) -> Self {
        Self {
            version: 1,
            pid: std::process::id(),
            state: State::Joining,
            error: None,
            network: chain.network().to_string(),
            member: None,
            label: None,
            manifest_version: chain.current().version,
            round: 0,
            rounds: chain.current().policy.rounds,
            updates: 0,
            alone: 0,
            head: None,
            loss_before: None,
            loss_after: None,
            listening: Vec::new(),
            peers: Vec::new(),
            history: VecDeque::new(),
            refused: BTreeMap::new(),
            convicted: Vec::new(),
            barred: Vec::new(),
            log: LogState::default(),
            double_votes: Vec::new(),
            key_gone: None,
            blob_in: 0,
            blob_out: 0,
            total_in: 0,
            total_out: 0,
            updated_ms: 0,
        }
    }

    pub(super) fn member(&mut self, chain: &Chain, me: MemberId) {
        self.member = Some(me.to_string());
        self.label = Some(label(chain, &me));
        self.manifest_version = chain.current().version;
    }

    pub(super) fn event(&mut self, event: &Event, chain: &Chain) {
        match event {
            Event::RoundDone(report) => self.round_done(report, chain),
            Event::Refused { reason, .. } | Event::PayloadRefused { reason, .. } => {
                *self.refused.entry(reason.code.to_owned()).or_default() += 1;
            }
            Event::Convicted { member, .. } => self.convicted.push(label(chain, member)),
            Event::Barred { member, code, .. } => {
                self.barred.push((label(chain, member), (*code).to_owned()));
            }
            Event::Manifest { version } => self.manifest_version = *version,
            Event::NewKey { .. } => self.key_gone = None,
            Event::KeyGone { version } => self.key_gone = Some(*version),
            Event::DoubleVote { version, governors } => {
                self.double_votes.extend(governors.iter().map(|key| (*version, key.to_string())));
            }
            Event::Expelled => self.state = State::Expelled,
            Event::Admitted { .. } | Event::NewIncarnation { .. } | Event::RoundFailed { .. } => {}
        }
    }

    fn round_done(&mut self, report: &RoundReport, chain: &Chain) {
        self.updates += 1;
        self.alone = if report.is_alone() { self.alone + 1 } else { 0 };
        let nats = |micro: Option<u64>| micro.map(|micro| micro as f64 / 1e6);
        let (before, after) = report.loss_micro;
        (self.round, self.loss_before, self.loss_after) = (report.round.0, nats(before), nats(after));
        if self.history.len() == ROUNDS {
            self.history.pop_front();
        }
        let skipped = report.skipped.iter().map(|(member, why)| (label(chain, member), why.word().to_owned()));
        self.history.push_back(RoundStatus {
            round: report.round.0,
            record: report.record.to_string(),
            merge: report.merge.to_string(),
            contributors: report.contributors.iter().map(|(member, weight)| (label(chain, member), *weight)).collect(),
            others: report.others,
            wanted: report.wanted,
            skipped: skipped.collect(),
            steps: report.steps,
            loss_before: nats(before),
            loss_after: nats(after),
            gather_ms: report.gather_ms,
            work_ms: report.work_ms,
        });
    }

    pub(super) fn peers<'a>(&mut self, chain: &Chain, peers: impl Iterator<Item = &'a TransportId>) {
        let name = |peer| chain.by_transport(peer).map_or_else(|| format!("{peer:?}"), |member| member.label.clone());
        self.peers = peers.map(name).collect();
    }

    pub(super) fn head(&mut self, head: Option<Head>) {
        self.head =
            head.map(|head| HeadStatus { incarnation: head.incarnation.0, seq: head.seq.0, id: head.id.to_string() });
    }

    pub(super) fn traffic(&mut self, traffic: Traffic) {
        (self.blob_in, self.blob_out) = (traffic.blob_in, traffic.blob_out);
        (self.total_in, self.total_out) = (traffic.total_in, traffic.total_out);
    }
}

/// A member's label, or the start of its id.
pub(super) fn label(chain: &Chain, member: &MemberId) -> String {
    chain.member(member).map_or_else(|| member.short(), |member| member.label.clone())
}

/// Writes the newest status whenever there is one, until the sender is gone; then once more.
pub(super) fn start(store: Store, mut newest: watch::Receiver<Status>) -> task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let more = newest.changed().await.is_ok();
            let status = newest.borrow_and_update().clone();
            let store = store.clone();
            let written = task::spawn_blocking(move || {
                let bytes = serde_json::to_vec_pretty(&status).unwrap_or_default();
                store.put_file("status.json", &bytes)
            });
            if let Ok(Err(error)) = written.await {
                tracing::warn!(%error, "the status could not be written");
            }
            if !more {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    })
}
