//! Which blobs to fetch, from whom, and what to do when a fetch stalls or fails.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Engine, Event, FetchError, Output, Reason, Stage, checks::Lacking, holders_in_turn, index::Known, judge::Span,
};
use crate::{
    base::{BlobHash, MemberId, Millis, Round, TransportId},
    feed::{Accusation, Body, Flaw},
};

/// Holders named in one order.
const HOLDERS: usize = 8;
/// Bundles wanted at once.
const BUNDLES: usize = 64;
/// Those that records of one author name; one of them is looked for at a time.
const BUNDLES_OF_ONE: usize = 4;
/// Bundles under way at once: what nobody has must not keep payloads waiting.
const BUNDLE_FETCHES: usize = 2;
/// How often a bundle is looked for.
const BUNDLE_TRIES: u32 = 6;
/// Between tries of a fetch that failed: this, doubling, at most a minute.
const RETRY_MS: u64 = 100;

/// What a blob is fetched for; what comes first here is begun first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Aim {
    /// Our own next merge.
    Merge,
    /// To see what somebody's bundle shows.
    Bundle,
    /// A merge that we chose to recompute.
    Check,
    /// One that somebody accuses.
    Accused,
}

/// A blob that is wanted.
#[derive(Debug, Clone, Copy)]
struct Wish {
    body: Body,
    author: MemberId,
    payload: bool,
    aim: Aim,
}

/// A blob under way, or to be tried again.
#[derive(Debug)]
struct Active {
    body: Body,
    author: MemberId,
    payload: bool,
    aim: Aim,
    /// When the hands were told; `None`: not now.
    since: Option<Millis>,
    not_before: Millis,
    tries: u32,
    /// Peers that sent other bytes.
    liars: BTreeSet<TransportId>,
}

impl Active {
    fn new(wish: Wish, now: Millis) -> Self {
        let Wish { body, author, payload, aim } = wish;
        Self { body, author, payload, aim, since: None, not_before: now, tries: 0, liars: BTreeSet::new() }
    }
}

/// What is fetched, what is there, what is no good.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    active: BTreeMap<BlobHash, Active>,
    ready: BTreeSet<BlobHash>,
    bad: BTreeSet<BlobHash>,
    bundles: BTreeMap<BlobHash, (Accusation, MemberId, Body)>,
    dirty: bool,
}

impl Fetches {
    pub(super) fn is_ready(&self, hash: &BlobHash) -> bool {
        self.ready.contains(hash)
    }

    pub(super) fn is_bad(&self, hash: &BlobHash) -> bool {
        self.bad.contains(hash)
    }

    pub(super) fn set_ready(&mut self, hash: BlobHash) {
        self.ready.insert(hash);
        self.active.remove(&hash);
    }

    pub(super) fn forget(&mut self, hash: &BlobHash) {
        self.ready.remove(hash);
    }

    /// Something changed that may change what is wanted.
    pub(super) fn touch(&mut self) {
        self.dirty = true;
    }

    pub(super) fn want_bundle(&mut self, body: Body, accusation: Accusation, author: MemberId) {
        let of_author = self.bundles.values().filter(|(_, other, _)| *other == author).count();
        if self.bundles.len() < BUNDLES && of_author < BUNDLES_OF_ONE {
            self.bundles.entry(body.hash).or_insert((accusation, author, body));
            self.dirty = true;
        }
    }

    /// A fetch that is not for a bundle ended.
    pub(super) fn ended(&mut self, hash: &BlobHash) {
        self.active.remove(hash);
        self.dirty = true;
    }

    pub(super) fn bundle_arrived(&mut self, hash: &BlobHash) -> Option<(Accusation, MemberId)> {
        if self.active.get(hash).is_some_and(|active| active.aim == Aim::Bundle) {
            self.active.remove(hash);
        }
        self.bundles.remove(hash).map(|(accusation, author, _)| (accusation, author))
    }

    /// A holder may have come up: what waits for one is tried now.
    pub(super) fn reconsider(&mut self, now: Millis) {
        for active in self.active.values_mut().filter(|active| active.since.is_none()) {
            active.not_before = now;
        }
        self.dirty = true;
    }

    fn running(&self) -> usize {
        self.active.values().filter(|active| active.since.is_some()).count()
    }

    /// How many are under way for this.
    fn running_for(&self, aim: Aim) -> usize {
        self.active.values().filter(|active| active.aim == aim && active.since.is_some()).count()
    }

    /// Whether there is room to start this one, of `most` at once: half of it for merges that are recomputed, and half of that
    /// for those that are accused. So nobody keeps us by accusations from looking at what we chose.
    fn has_room_for(&self, active: &Active, most: usize) -> bool {
        let accused = self.running_for(Aim::Accused);
        let checks = self.running_for(Aim::Check) + accused;
        self.running() < most
            && match active.aim {
                Aim::Merge => true,
                Aim::Bundle => self.running_for(Aim::Bundle) < BUNDLE_FETCHES,
                Aim::Check => checks < (most / 2).max(1),
                Aim::Accused => checks < (most / 2).max(1) && accused < (most / 4).max(1),
            }
    }

    /// Forgets bundles that were looked for often enough, and names one of each author.
    fn open_bundles(&mut self) -> Vec<(BlobHash, MemberId, Body)> {
        let begun = |hash: &BlobHash| self.active.get(hash).filter(|active| active.aim == Aim::Bundle);
        let tries = |hash: &BlobHash| begun(hash).map_or(0, |active| active.tries);
        let lost: Vec<BlobHash> = self.bundles.keys().filter(|hash| tries(hash) >= BUNDLE_TRIES).copied().collect();
        for hash in &lost {
            self.bundles.remove(hash);
            self.active.remove(hash);
        }
        let mut open: BTreeMap<MemberId, (BlobHash, Body)> = BTreeMap::new();
        for (hash, (_, author, body)) in &self.bundles {
            let begun = self.active.get(hash).is_some_and(|active| active.aim == Aim::Bundle);
            if begun || !open.contains_key(author) {
                open.insert(*author, (*hash, *body));
            }
        }
        open.into_iter().map(|(author, (hash, body))| (hash, author, body)).collect()
    }

    /// When a fetch stalls or, if `most` are not under way already, may be tried again.
    pub(super) fn deadline(&self, fetch_ms: u64, most: usize) -> Option<Millis> {
        let due = |active: &Active| match active.since {
            Some(since) => Some(since.after(fetch_ms)),
            None => self.has_room_for(active, most).then_some(active.not_before),
        };
        self.active.values().filter_map(due).min()
    }
}

impl Engine {
    /// A payload is on disk.
    pub(super) fn on_payload(&mut self, hash: BlobHash) {
        let Some(active) = self.fetches.active.get(&hash) else {
            self.fetches.set_ready(hash);
            self.fetches.touch();
            return;
        };
        let author = active.author;
        if let Some(since) = active.since.filter(|_| active.aim == Aim::Merge) {
            self.fetch_times.observe(author, self.now.since(since));
        }
        self.fetches.set_ready(hash);
        self.fetches.touch();
        let known = self.index.newest(&author).filter(|known| known.payload.hash == hash).cloned();
        if let Some(known) = known {
            self.payload_ready(known);
        }
    }

    /// A fetch ended without its blob.
    pub(super) fn on_fetch_failed(&mut self, hash: BlobHash, why: FetchError) {
        let now = self.now;
        let Some(active) = self.fetches.active.get_mut(&hash) else { return };
        active.since = None;
        active.tries = active.tries.saturating_add(1);
        active.not_before = now.after((RETRY_MS << active.tries.min(10)).min(60_000));
        match why {
            FetchError::Unreachable => {}
            FetchError::WrongBytes { peer } => {
                active.not_before = now;
                active.liars.insert(peer.clone());
                self.emit(Output::Penalise { peer, code: "BLOB-001" });
            }
            FetchError::Malformed { code } => {
                let author = active.author;
                self.fetches.active.remove(&hash);
                self.fetches.bad.insert(hash);
                let text = "the payload that its author signed is not canonical".to_owned();
                self.emit(Output::Event(Event::PayloadRefused { member: author, hash, reason: Reason { code, text } }));
                match self.update_with(&author, &hash) {
                    Some(known) => self.bar_for_flaw(&known, code, Flaw::Payload),
                    None => {
                        self.transports(&author).into_iter().for_each(|peer| self.emit(Output::Penalise { peer, code }))
                    }
                }
            }
        }
        self.fetches.touch();
    }

    /// Starts, restarts and cancels fetches.
    pub(super) fn run_fetches(&mut self) {
        let now = self.now;
        let fetch_ms = self.config.fetch_ms;
        let stalled = |active: &Active| active.since.is_some_and(|since| now.since(since) >= fetch_ms);
        let waiting = |active: &Active| active.since.is_none() && active.not_before <= now;
        let due = self.fetches.active.values().any(|active| stalled(active) || waiting(active));
        if !self.fetches.dirty && !due {
            return;
        }
        self.fetches.dirty = false;
        for active in self.fetches.active.values_mut().filter(|active| stalled(active)) {
            active.since = None;
            active.tries = active.tries.saturating_add(1);
            active.not_before = now;
        }
        self.choose_fetches();
        let waiting: Vec<BlobHash> = {
            let mut all: Vec<_> = self.fetches.active.iter().filter(|(_, active)| waiting(active)).collect();
            all.sort_by_key(|(_, active)| (active.aim, active.tries));
            all.into_iter().map(|(hash, _)| *hash).collect()
        };
        let most = self.config.fetches.max(1);
        for hash in waiting {
            if self.fetches.active.get(&hash).is_some_and(|active| self.fetches.has_room_for(active, most)) {
                self.order_fetch(&hash);
            }
        }
    }

    /// Brings what is under way in line with what is wanted.
    fn choose_fetches(&mut self) {
        let (now, wishes) = (self.now, self.wishes());
        let gone: Vec<BlobHash> =
            self.fetches.active.keys().filter(|hash| !wishes.contains_key(hash)).copied().collect();
        for hash in gone {
            if let Some(Active { since: Some(_), author, aim, .. }) = self.fetches.active.remove(&hash) {
                self.standing(&author).superseded |= matches!(aim, Aim::Merge | Aim::Bundle);
                self.emit(Output::CancelFetch { hash });
            }
        }
        for (hash, wish) in wishes {
            match self.fetches.active.get_mut(&hash) {
                Some(active) if (active.body, active.payload) == (wish.body, wish.payload) => active.aim = wish.aim,
                other => {
                    if other.is_some_and(|active| active.since.is_some()) {
                        self.emit(Output::CancelFetch { hash });
                    }
                    self.fetches.active.insert(hash, Active::new(wish, now));
                }
            }
        }
    }

    /// What is wanted. Whoever names a hash says of what kind and length its blob is, and may be lying: what is wanted as a payload
    /// is fetched as one, whatever else it is called, and the rest after it.
    fn wishes(&mut self) -> BTreeMap<BlobHash, Wish> {
        let merge = |known: Known| Wish { body: known.payload, author: known.member, payload: true, aim: Aim::Merge };
        let mut all: Vec<Wish> = self.wanted_payloads().into_iter().map(merge).collect();
        let mut to_check: Vec<Wish> = self
            .wanted_for_checks()
            .into_iter()
            .map(|Lacking { body, author, payload, accused }| {
                let aim = if accused { Aim::Accused } else { Aim::Check };
                Wish { body, author, payload, aim }
            })
            .collect();
        to_check.sort_by_key(|wish| (!wish.payload, wish.aim));
        all.extend(to_check);
        let trust = &self.trust;
        self.fetches.bundles.retain(|hash, (named, ..)| !trust.has_bundle(named, hash));
        let open = self.fetches.open_bundles().into_iter();
        all.extend(open.map(|(_, author, body)| Wish { body, author, payload: false, aim: Aim::Bundle }));
        let mut wishes = BTreeMap::new();
        for wish in all {
            wishes.entry(wish.body.hash).or_insert(wish);
        }
        wishes
    }

    fn order_fetch(&mut self, hash: &BlobHash) {
        let now = self.now;
        let Some(active) = self.fetches.active.get(hash) else { return };
        let from = self.holders(active);
        let (body, payload) = (active.body, active.payload);
        let Some(active) = self.fetches.active.get_mut(hash) else { return };
        if from.is_empty() {
            // Somebody who has it may come up; that asks for a new choice.
            active.not_before = now.after(60_000);
            return;
        }
        active.since = Some(now);
        self.emit(Output::Fetch { body, from, payload });
    }

    /// Connected members, the author first, the others in an order that spreads the load; each try begins one further.
    fn holders(&self, active: &Active) -> Vec<TransportId> {
        let usable = |peer: &TransportId| self.peers.is_up(peer) && !active.liars.contains(peer);
        let author = self.transports(&active.author);
        let peers = self.peers.connected().filter(|peer| usable(peer));
        let mut holders = holders_in_turn(&author, peers, &active.body.hash, &self.config.me);
        if !holders.is_empty() {
            let length = holders.len();
            holders.rotate_left(usize::try_from(active.tries).unwrap_or(0) % length);
        }
        holders.truncate(HOLDERS);
        holders
    }

    /// Payloads that the next merge can use and that are not on disk: one for each of the first drawn members that can be
    /// used or waited for. The newest, but what is under way is let end if the last one was cut short. Nothing of whom we
    /// wait for to publish again.
    fn wanted_payloads(&mut self) -> Vec<Known> {
        if !self.own.is_acting() {
            return Vec::new();
        }
        let order = self.draw_to_gather_for();
        let draw = self.draw_size();
        let span = self.span();
        let since = if let Stage::Gathering { since, .. } = self.stage { since } else { self.now };
        let mut wanted = Vec::new();
        let mut counted = 0;
        for member in order.iter() {
            if counted >= draw {
                break;
            }
            if self.trust.is_barred(member) {
                continue;
            }
            let newest = self.index.newest(member);
            if newest.is_none_or(|newest| self.is_behind(newest)) && self.awaits(member, since).is_some() {
                counted += 1;
                continue;
            }
            let usable = newest.map(|newest| self.meant(newest));
            let usable =
                usable.filter(|known| self.is_in_span(&span, known) && !self.fetches.is_bad(&known.payload.hash));
            let Some(usable) = usable else { continue };
            counted += 1;
            if self.fetches.is_ready(&usable.payload.hash) {
                continue;
            }
            let running = self.standings.get(member).filter(|standing| standing.superseded).and_then(|_| {
                let running = self.fetches.active.iter();
                let theirs = running.filter(|(_, active)| active.author == *member && active.since.is_some());
                theirs.map(|(hash, _)| *hash).next()
            });
            let usable = usable.clone();
            wanted.push(running.and_then(|hash| self.update_of(&span, member, &hash)).unwrap_or(usable));
        }
        wanted
    }

    /// An update of a member by its payload, if it is recent.
    fn update_of(&self, span: &Span, member: &MemberId, payload: &BlobHash) -> Option<Known> {
        let recent = self.index.updates_below(Round(u64::MAX));
        let mut theirs = recent.filter(|known| known.member == *member && known.payload.hash == *payload);
        theirs.find(|known| self.is_in_span(span, known)).cloned()
    }
}
