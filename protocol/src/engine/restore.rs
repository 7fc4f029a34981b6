//! From what a store holds to an engine that goes on where it stopped.

use std::collections::BTreeMap;

use super::{Config, Engine, Stage, Stored, index::Known, own::Own};
use crate::{
    base::{Incarnation, Millis, UnixSeconds},
    feed::{Checked, Evidence, Linked, Refusal, Spec, check_stored, check_unsigned},
    manifest::Chain,
};

impl Engine {
    pub(super) fn restore(config: Config, chain: Chain, stored: Stored, now: Millis) -> Result<Self, String> {
        let mut engine = Self::empty(config, chain, now);
        engine.note_length();
        let (proofs, faults) = engine.restore_bundles(&stored.evidence)?;
        let forks = engine.restore_records(stored.records)?;
        for hash in stored.payloads {
            engine.fetches.set_ready(hash);
        }
        engine.restore_exclusions(&faults);
        engine.restore_own();
        engine.restore_standings();
        engine.recount_frontier();
        // What the store knows is no news.
        engine.out.clear();
        engine.publish_stored();
        forks.iter().for_each(|fork| engine.convict(fork));
        proofs.iter().for_each(|proof| engine.take_proof(proof));
        engine.take_named_branches();
        if !engine.is_member() {
            return Err("this node's author key is no member of the network's newest manifest".to_owned());
        }
        engine.review_keys();
        if engine.keyless {
            let version = engine.chain.current().version;
            return Err(format!("manifest version {version} gives this member a key that this home does not have"));
        }
        if engine.own.is_acting() {
            engine.stage = Stage::Starting { since: now };
            engine.resume_new_incarnation();
        }
        if engine.index.is_closed(&engine.config.me) {
            engine.finish();
        }
        Ok(engine)
    }

    /// Gives the proofs that lie in the records themselves.
    fn restore_records(&mut self, records: Vec<bytes::Bytes>) -> Result<Vec<Evidence>, String> {
        let me = self.config.me;
        let mut checked: Vec<Checked> = Vec::with_capacity(records.len());
        for bytes in records {
            match check_stored(bytes.clone(), &self.chain) {
                Ok(record) => checked.push(record),
                // A manifest version since then ended the feed before it, or it was stored because others built on it.
                Err(Refusal::Cut { .. } | Refusal::HandedOver { .. }) => {
                    if let Ok(void) = check_unsigned(bytes, &self.chain) {
                        self.index.restore_void(&void);
                    }
                }
                Err(refusal) if refusal.needs_version().is_none() => {}
                Err(refusal) => return Err(format!("a stored record: {} ({})", refusal, refusal.code())),
            }
        }
        let mut forks = Vec::new();
        // Parents before children, each feed ascending.
        checked.sort_by_key(|one| (one.record().clock, one.record().member, one.id()));
        for one in &checked {
            // A bundle that was on its way when the process ended is still wanted.
            match (&one.record().spec, one.record().body) {
                (Spec::Evidence(spec), Some(body)) => self.fetch_bundle((*spec).into(), body, one.record().member),
                (Spec::Fault(spec), Some(body)) => self.fetch_bundle((*spec).into(), body, one.record().member),
                _ => {}
            }
            // Whoever has our key may have signed another history; then we write no more.
            let mine = one.record().member == me && !self.trust.is_convicted(&me);
            match self.index.offer(one, &self.chain) {
                Ok(Linked::Appended) => self.index.insert(one),
                Ok(Linked::Duplicate) => {}
                Ok(Linked::Fork(_)) if mine => {
                    return Err(format!("record {} forks this node's own stored feed", one.id()));
                }
                Ok(Linked::Gap { from }) if mine => {
                    return Err(format!("this node's own stored feed lacks its record {from}"));
                }
                Err(refusal) if mine => {
                    return Err(format!("own record {}: {} ({})", one.id(), refusal, refusal.code()));
                }
                Ok(Linked::Fork(fork)) => {
                    self.index.restore_void(one);
                    forks.push(*fork);
                }
                Ok(Linked::Gap { .. }) | Err(_) => self.index.restore_void(one),
            }
        }
        Ok(forks)
    }

    fn restore_own(&mut self) {
        let me = self.config.me;
        let mut updates: Vec<&Known> =
            self.index.updates_below(crate::base::Round(u64::MAX)).filter(|known| known.member == me).collect();
        updates.sort_by_key(|known| (known.incarnation, known.seq));
        let mut newest = updates.into_iter().rev().cloned();
        let updates = (newest.next(), newest.next());
        let incarnation =
            self.index.head_before(&me, Incarnation(u64::MAX)).map_or(Incarnation(0), |head| head.incarnation);
        let wall = self.head_time().unwrap_or_default();
        let convicted = self.trust.is_convicted(&me);
        self.own = Own::restored(incarnation, updates, wall);
        if convicted {
            self.halt();
        }
    }

    fn head_time(&self) -> Option<UnixSeconds> {
        let head = self.index.head_before(&self.config.me, Incarnation(u64::MAX))?;
        let bytes = self.index.bytes(&head.id)?.clone();
        check_stored(bytes, &self.chain).ok().map(|checked| checked.record().claimed_time)
    }

    /// An own update whose training state is not on this disk came from others: the disk was a restored backup, and stopped
    /// before the new incarnation had a record. It is opened again.
    fn resume_new_incarnation(&mut self) {
        let written = self.index.head(&self.config.me, self.own.incarnation()).is_some();
        let lost = self.own.last().is_some_and(|own| !self.fetches.is_ready(&own.payload.hash));
        if written && lost && !self.index.is_closed(&self.config.me) {
            self.open_incarnation(self.own.incarnation().next());
        }
    }

    fn restore_standings(&mut self) {
        let mut ready: BTreeMap<_, Known> = BTreeMap::new();
        for known in self.index.updates_below(crate::base::Round(u64::MAX)) {
            let newer = |held: &Known| (held.incarnation, held.seq) < (known.incarnation, known.seq);
            if self.fetches.is_ready(&known.payload.hash) && ready.get(&known.member).is_none_or(newer) {
                ready.insert(known.member, known.clone());
            }
        }
        let me = self.config.me;
        for member in crate::admit::drawable(self.chain.current()) {
            if member != me {
                self.standing(&member).ready = ready.remove(&member);
            }
        }
    }
}
