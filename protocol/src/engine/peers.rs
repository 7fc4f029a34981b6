//! Who is connected, what is missing, and whom to ask for it, one question a peer at a time.

use std::collections::{BTreeMap, BTreeSet};

use super::missing::{List, Missing, Want};
use crate::{
    base::{Millis, RecordId, TransportId},
    wire::SyncRequest,
};

/// Questions under way at once.
const IN_FLIGHT: usize = 16;
/// Between two dials of one peer.
const DIAL_MS: u64 = 5_000;
/// How often a manifest version that a peer speaks of is asked for.
const CLAIM_TRIES: u32 = 7;
/// How long nothing that a peer says of versions counts after one that nobody could give.
const CLAIM_REST_MS: u64 = 600_000;
/// Peers whose word of versions is remembered.
const CLAIMS: usize = 4_096;

/// One participant's connection.
#[derive(Debug, Default)]
struct Peer {
    up: bool,
    /// A question is under way since then.
    asked: Option<Millis>,
    /// When it answered to the end last.
    answered: bool,
    /// When it was asked last.
    last: Option<Millis>,
    fails: u32,
    /// Answers with something in them that no honest peer keeps, less the useful ones since. Outlasts connections.
    faults: u32,
    not_before: Millis,
    dialled: Option<Millis>,
    answer: Answer,
}

/// What the answer under way brought.
#[derive(Debug, Default)]
struct Answer {
    bytes: usize,
    /// Something that was new.
    news: bool,
    /// Something that no honest peer keeps.
    junk: bool,
}

impl Peer {
    fn ask(&mut self, now: Millis) {
        self.asked = Some(now);
        self.last = Some(now);
        self.answer = Answer::default();
    }

    fn failed(&mut self, now: Millis) {
        self.fails = self.fails.saturating_add(1);
        let wait = (250 << self.fails.min(7)).max(if self.faults > 0 { 1_000 << self.faults.min(10) } else { 0 });
        self.not_before = now.after(wait);
    }
}

/// A newer manifest version that a peer speaks of.
#[derive(Debug)]
struct Claim {
    version: u64,
    missing: Missing,
    /// Nobody could give it: until then this peer's word does not count.
    rests: Option<Millis>,
}

/// Connections and open questions.
#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: BTreeMap<TransportId, Peer>,
    missing: List,
    /// Newer manifest versions that were heard of, one of each peer: a false one hides no true one.
    claims: BTreeMap<TransportId, Claim>,
    synced: bool,
}

impl Peers {
    pub(super) fn up(&mut self, peer: TransportId, now: Millis) {
        let entry = self.peers.entry(peer).or_default();
        entry.up = true;
        entry.answered = false;
        entry.asked = None;
        entry.fails = 0;
        if entry.faults == 0 {
            entry.not_before = now;
        }
    }

    pub(super) fn down(&mut self, peer: &TransportId) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.up = false;
            entry.asked = None;
        }
    }

    pub(super) fn is_up(&self, peer: &TransportId) -> bool {
        self.peers.get(peer).is_some_and(|entry| entry.up)
    }

    pub(super) fn connected(&self) -> impl Iterator<Item = &TransportId> {
        self.peers.iter().filter(|(_, entry)| entry.up).map(|(peer, _)| peer)
    }

    /// Asks everybody again.
    pub(super) fn ask_all(&mut self) {
        self.peers.values_mut().for_each(|entry| entry.answered = false);
    }

    /// Whether any peer has ever answered to the end.
    pub(super) fn synced(&self) -> bool {
        self.synced
    }

    /// Whether every connected peer has answered, or failed to.
    pub(super) fn all_answered(&self) -> bool {
        self.peers.values().filter(|entry| entry.up).all(|entry| entry.answered || entry.fails > 0 || entry.faults > 0)
    }

    /// So many bytes of a peer's answer came. No: the answer is spoilt, and the rest of it is not worth a look.
    pub(super) fn takes_answer(&mut self, peer: &TransportId, bytes: usize) -> bool {
        let Some(entry) = self.peers.get_mut(peer) else { return true };
        entry.answer.bytes = entry.answer.bytes.saturating_add(bytes);
        !entry.answer.junk
    }

    /// A peer's answer brought something new.
    pub(super) fn brought_news(&mut self, peer: &TransportId) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.answer.news = true;
        }
    }

    /// A peer's answer holds something that no honest peer keeps.
    pub(super) fn brought_junk(&mut self, peer: &TransportId) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.answer.junk = true;
        }
    }

    /// A question ended. Who brought half of what an answer holds, and something new in it, may have more.
    pub(super) fn ended(&mut self, peer: &TransportId, complete: bool, now: Millis) {
        let Some(entry) = self.peers.get_mut(peer) else {
            self.synced |= complete;
            return;
        };
        entry.asked = None;
        let Answer { bytes, news, junk } = std::mem::take(&mut entry.answer);
        if junk {
            entry.faults = entry.faults.saturating_add(1);
        } else if complete && news {
            entry.faults = entry.faults.saturating_sub(1);
        }
        if !complete || junk {
            return entry.failed(now);
        }
        entry.answered = !(news && bytes >= SyncRequest::ANSWER_BYTES / 2);
        entry.fails = 0;
        entry.not_before = now;
        self.synced = true;
    }

    /// A record is known to exist; `from` should have it.
    pub(super) fn lacks(&mut self, id: RecordId, want: Want, from: Option<TransportId>, now: Millis) {
        self.missing.insert(id, want, from, now);
    }

    /// It came.
    pub(super) fn found(&mut self, id: &RecordId) {
        self.missing.remove(id);
    }

    /// Records that a question asks for by id, ascending.
    pub(super) fn wants(&self) -> Vec<RecordId> {
        self.missing.wants(SyncRequest::WANTS)
    }

    /// A manifest version is known to exist; `from` should have it.
    pub(super) fn lacks_version(&mut self, version: u64, speaker: TransportId, from: TransportId, now: Millis) {
        let full = self.claims.len() >= CLAIMS;
        match self.claims.get_mut(&speaker) {
            Some(claim) if claim.rests.is_some_and(|until| now < until) => {}
            Some(claim) if claim.rests.is_none() => claim.version = claim.version.max(version),
            None if full => {}
            Some(_) | None => {
                let missing = Missing::new(Some(from), now);
                self.claims.insert(speaker, Claim { version, missing, rests: None });
            }
        }
    }

    /// We hold this version now.
    pub(super) fn holds_version(&mut self, version: u64) {
        self.claims.retain(|_, claim| claim.version > version);
    }

    fn open_claims(&self) -> impl Iterator<Item = &Missing> {
        self.claims.values().filter(|claim| claim.rests.is_none()).map(|claim| &claim.missing)
    }

    /// Whether to dial a peer that is not connected; says yes once in a while.
    pub(super) fn should_dial(&mut self, peer: &TransportId, now: Millis) -> bool {
        let entry = self.peers.entry(peer.clone()).or_default();
        let again = entry.dialled.is_none_or(|last| now.since(last) >= DIAL_MS);
        if entry.up || !again {
            return false;
        }
        entry.dialled = Some(now);
        true
    }

    /// Whom to ask now. Questions older than `patience_ms` count as failed.
    pub(super) fn questions(&mut self, now: Millis, patience_ms: u64) -> Vec<TransportId> {
        for entry in self.peers.values_mut() {
            if entry.asked.is_some_and(|since| now.since(since) >= patience_ms) {
                entry.asked = None;
                entry.failed(now);
            }
        }
        let mut room = IN_FLIGHT.saturating_sub(self.peers.values().filter(|entry| entry.asked.is_some()).count());
        let mut asked = Vec::new();
        for (peer, entry) in &mut self.peers {
            if room > 0 && entry.up && !entry.answered && entry.asked.is_none() && entry.not_before <= now {
                entry.ask(now);
                asked.push(peer.clone());
                room -= 1;
            }
        }
        if room > 0
            && self.is_due(now)
            && let Some(peer) = self.whom(now)
        {
            if let Some(entry) = self.peers.get_mut(&peer) {
                entry.ask(now);
            }
            self.postpone(now);
            asked.push(peer);
        }
        asked
    }

    fn is_due(&self, now: Millis) -> bool {
        self.missing.values().chain(self.open_claims()).any(|missing| missing.due <= now)
    }

    /// The peer that should know, else the one that was not asked for longest.
    fn whom(&self, now: Millis) -> Option<TransportId> {
        let free = |peer: &TransportId| {
            self.peers.get(peer).is_some_and(|entry| entry.up && entry.asked.is_none() && entry.not_before <= now)
        };
        let due = self.open_claims().chain(self.missing.values()).filter(|missing| missing.due <= now);
        for missing in due.filter(|missing| missing.tries % 2 == 0) {
            if let Some(from) = missing.from.as_ref().filter(|from| free(from)) {
                return Some(from.clone());
            }
        }
        let free = self.peers.iter().filter(|(peer, _)| free(peer));
        free.min_by_key(|(peer, entry)| (entry.last, (*peer).clone())).map(|(peer, _)| peer.clone())
    }

    /// One answer holds everything that the peer has: all that is due is asked for by it.
    fn postpone(&mut self, now: Millis) {
        let open = self.claims.values_mut().filter(|claim| claim.rests.is_none()).map(|claim| &mut claim.missing);
        for missing in self.missing.values_mut().chain(open).filter(|missing| missing.due <= now) {
            missing.postpone(now);
        }
    }

    /// What is missing and asked for.
    pub(super) fn missing_ids(&self) -> impl Iterator<Item = &RecordId> {
        self.missing.ids()
    }

    /// Removes and returns what was asked for often enough. `soon`: what few tries are enough for.
    pub(super) fn give_up(&mut self, now: Millis, soon: &BTreeSet<RecordId>) -> Vec<RecordId> {
        let open = self.claims.values_mut().filter(|claim| claim.rests.is_none());
        for claim in open.filter(|claim| claim.missing.tries >= CLAIM_TRIES && claim.missing.due <= now) {
            claim.rests = Some(now.after(CLAIM_REST_MS));
        }
        self.missing.give_up(now, soon)
    }

    /// When [`Self::questions`] may have something to say.
    pub(super) fn deadline(&self, now: Millis, patience_ms: u64) -> Option<Millis> {
        let running = self.peers.values().filter_map(|entry| entry.asked);
        let in_flight = running.clone().count();
        let patience = running.map(|since| since.after(patience_ms)).min();
        if in_flight >= IN_FLIGHT {
            return patience;
        }
        let free = || self.peers.values().filter(|entry| entry.up && entry.asked.is_none());
        let first = free().filter(|entry| !entry.answered).map(|entry| entry.not_before).min();
        let missing = self.missing.values().chain(self.open_claims()).map(|missing| missing.due).min();
        let askable = free().map(|entry| entry.not_before).min();
        let missing = missing.zip(askable).map(|(due, free)| due.max(free).max(now));
        [patience, first, missing].into_iter().flatten().min()
    }
}
