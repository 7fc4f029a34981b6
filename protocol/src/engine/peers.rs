//! Who is connected, what is missing, and whom to ask for it, one question a peer at a time.

use std::collections::BTreeMap;

use crate::base::{Millis, RecordId, TransportId};

/// Questions under way at once.
const IN_FLIGHT: usize = 16;
/// How long a record may be missing before it is asked for: gossip reorders.
const GRACE_MS: u64 = 250;
/// How often a missing record is asked for before it is given up.
const TRIES: u32 = 7;
/// Missing records remembered.
const MISSING: usize = 1024;
/// Between two dials of one peer.
const DIAL_MS: u64 = 5_000;

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
    not_before: Millis,
    dialled: Option<Millis>,
}

/// Something that we know exists and do not have.
#[derive(Debug)]
struct Missing {
    from: Option<TransportId>,
    due: Millis,
    tries: u32,
}

/// Connections and open questions.
#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: BTreeMap<TransportId, Peer>,
    missing: BTreeMap<RecordId, Missing>,
    /// A newer manifest version was heard of.
    version: Option<(u64, Missing)>,
    synced: bool,
}

impl Peers {
    pub(super) fn up(&mut self, peer: TransportId, now: Millis) {
        let entry = self.peers.entry(peer).or_default();
        entry.up = true;
        entry.answered = false;
        entry.asked = None;
        entry.fails = 0;
        entry.not_before = now;
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

    /// Whether any peer has ever answered to the end.
    pub(super) fn synced(&self) -> bool {
        self.synced
    }

    /// Whether every connected peer has answered, or failed to.
    pub(super) fn all_answered(&self) -> bool {
        self.peers.values().filter(|entry| entry.up).all(|entry| entry.answered || entry.fails > 0)
    }

    /// A question ended. `more`: the answer was so long that there may be more.
    pub(super) fn ended(&mut self, peer: &TransportId, complete: bool, more: bool, now: Millis) {
        self.synced |= complete;
        let Some(entry) = self.peers.get_mut(peer) else { return };
        entry.asked = None;
        if complete {
            entry.answered = !more;
            entry.fails = 0;
            entry.not_before = now;
        } else {
            entry.fails = entry.fails.saturating_add(1);
            entry.not_before = now.after(250 << entry.fails.min(7));
        }
    }

    /// A record is known to exist; `from` should have it.
    pub(super) fn lacks(&mut self, id: RecordId, from: Option<TransportId>, grace: bool, now: Millis) {
        if self.missing.len() >= MISSING || self.missing.contains_key(&id) {
            return;
        }
        let due = if grace { now.after(GRACE_MS) } else { now };
        self.missing.insert(id, Missing { from, due, tries: 0 });
    }

    /// It came.
    pub(super) fn found(&mut self, id: &RecordId) {
        self.missing.remove(id);
    }

    /// A manifest version is known to exist; `from` should have it.
    pub(super) fn lacks_version(&mut self, version: u64, from: Option<TransportId>, now: Millis) {
        if self.version.as_ref().is_none_or(|(known, _)| *known < version) {
            self.version = Some((version, Missing { from, due: now, tries: 0 }));
        }
    }

    /// We hold this version now.
    pub(super) fn holds_version(&mut self, version: u64) {
        if self.version.as_ref().is_some_and(|(known, _)| *known <= version) {
            self.version = None;
        }
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
                entry.fails = entry.fails.saturating_add(1);
                entry.not_before = now.after(250 << entry.fails.min(7));
            }
        }
        let mut room = IN_FLIGHT.saturating_sub(self.peers.values().filter(|entry| entry.asked.is_some()).count());
        let mut asked = Vec::new();
        for (peer, entry) in &mut self.peers {
            if room > 0 && entry.up && !entry.answered && entry.asked.is_none() && entry.not_before <= now {
                entry.asked = Some(now);
                entry.last = Some(now);
                asked.push(peer.clone());
                room -= 1;
            }
        }
        if room > 0
            && self.is_due(now)
            && let Some(peer) = self.whom(now)
        {
            if let Some(entry) = self.peers.get_mut(&peer) {
                entry.asked = Some(now);
                entry.last = Some(now);
            }
            self.postpone(now);
            asked.push(peer);
        }
        asked
    }

    fn is_due(&self, now: Millis) -> bool {
        let version = self.version.iter().map(|(_, missing)| missing);
        self.missing.values().chain(version).any(|missing| missing.due <= now)
    }

    /// The peer that should know, else the one that was not asked for longest.
    fn whom(&self, now: Millis) -> Option<TransportId> {
        let free = |peer: &TransportId| {
            self.peers.get(peer).is_some_and(|entry| entry.up && entry.asked.is_none() && entry.not_before <= now)
        };
        let version = self.version.iter().map(|(_, missing)| missing);
        let due = version.chain(self.missing.values()).filter(|missing| missing.due <= now);
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
        let version = self.version.iter_mut().map(|(_, missing)| missing);
        for missing in self.missing.values_mut().chain(version).filter(|missing| missing.due <= now) {
            missing.tries += 1;
            missing.due = now.after(500 << missing.tries.min(7));
        }
    }

    /// Removes and returns what was asked for often enough, `tries` times for instance.
    pub(super) fn give_up(&mut self, now: Millis, impatient: bool) -> Vec<RecordId> {
        let tries = if impatient { 3 } else { TRIES };
        let lost = self.missing.iter().filter(|(_, missing)| missing.tries >= tries && missing.due <= now);
        let lost: Vec<RecordId> = lost.map(|(id, _)| *id).collect();
        for id in &lost {
            self.missing.remove(id);
        }
        lost
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
        let version = self.version.iter().map(|(_, missing)| missing.due);
        let missing = self.missing.values().map(|missing| missing.due).chain(version).min();
        let askable = free().map(|entry| entry.not_before).min();
        let missing = missing.zip(askable).map(|(due, free)| due.max(free).max(now));
        [patience, first, missing].into_iter().flatten().min()
    }
}
