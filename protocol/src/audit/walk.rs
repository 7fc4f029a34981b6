//! One member's records, one after the other: what they build on, whom they merged, what they published.

use std::{collections::BTreeMap, io};

use super::{
    blob::{self, Lack},
    claims::Claims,
    contribution::{Choices, Contribution},
    draws::{Draws, contradicted},
    effort::Effort,
    faults::{Checked, Proved},
    finding::{Notes, Severity},
    layout::Name,
    light::{Light, Spot, Stand},
    remerge::{Inputs, Known},
    report::Counts,
    shared::Audit,
    window::Window,
    withheld::{Lacking, Used, Withheld},
};
use crate::{
    adapter::Payload,
    admit,
    base::{MemberId, RecordId, Round},
    feed::{Accusation, Body, Flaw, Kind, Record, Reference, Spec, Update, read_again},
    manifest::{Codec, Manifest},
    merge::State,
};

/// What came of it.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) notes: Notes,
    pub(super) counts: Counts,
    /// What the member did to the others.
    pub(super) choices: Choices,
    /// On whose records it builds.
    pub(super) used: Used,
    /// What its updates lack.
    pub(super) withheld: Withheld,
    /// What it put in.
    pub(super) own: Contribution,
    /// What was found of records that others accuse.
    pub(super) found: Checked,
    /// Updates whose merges are wrong, whoever recomputes them from what their authors' records before say.
    pub(super) wrong: Vec<RecordId>,
}

/// Walks through a member's records.
pub(super) fn walk(audit: &Audit<'_>, member: &MemberId, effort: &Effort<'_>) -> io::Result<Walk> {
    let mut walker = Walker {
        audit,
        window: None,
        last: None,
        since: None,
        payload: None,
        draws: Draws::default(),
        claims: Claims::default(),
        state: None,
        lost_by_pruning: false,
        spots: BTreeMap::new(),
        walk: Walk::default(),
    };
    for light in audit.index.of(member) {
        walker.record(&light)?;
        effort.walked(light.length as u64, audit.payload_bytes(&light));
    }
    Ok(walker.walk)
}

pub(super) struct Walker<'a> {
    pub(super) audit: &'a Audit<'a>,
    window: Option<Window>,
    /// The newest update so far.
    pub(super) last: Option<Light>,
    /// The first update of its feed under its manifest version.
    since: Option<Light>,
    /// Its payload, if that is there.
    pub(super) payload: Option<Payload>,
    draws: Draws,
    claims: Claims,
    /// The newest momentum state.
    pub(super) state: Option<Known>,
    /// That state is not known because of payloads that the policy no longer keeps.
    pub(super) lost_by_pruning: bool,
    /// By the place of a member in the manifest's list: where its newest record that was a parent is.
    spots: BTreeMap<u64, Spot>,
    pub(super) walk: Walk,
}

impl Walker<'_> {
    fn record(&mut self, light: &Light) -> io::Result<()> {
        if light.incarnation.0 > 0 && light.seq.0 == 0 {
            self.incarnation(light);
        }
        let payload = self.bodies(light)?;
        if light.stand != Stand::Linked {
            return Ok(());
        }
        self.draws.follow(light);
        let record = self.decode(light)?;
        let Some((manifest, drawable)) = self.audit.rules.at(record.manifest_version) else { return Ok(()) };
        let mut facts = Vec::with_capacity(record.parents.len());
        let mut parents: Vec<Light> = Vec::with_capacity(record.parents.len());
        for reference in &record.parents {
            let parent = self.referred(reference);
            facts.push(parent.map(|parent| parent.parent()));
            parents.extend(parent);
        }
        self.walk.used.note(&light.member, &parents);
        let sound = parents.len() == record.parents.len();
        if !sound {
            let lacking = record.parents.len() - parents.len();
            self.walk.notes.run("DAG-001", &light.place(), format_args!("{lacking} parents are absent or break rules"));
        }
        let prev = record.prev.and_then(|id| self.named(&id));
        let prev = self.claims.pass(&record, prev);
        let policy = (&manifest.policy, self.audit.rules.payload_bytes());
        let known = |id: &RecordId| {
            let parent = parents.iter().find(|parent| parent.id == *id).map(Light::parent);
            parent.or_else(|| self.named(id).map(|found| found.parent()))
        };
        let named = admit::check_named(&record, manifest, known);
        let since = self.since(light);
        let ruled = named.and_then(|()| admit::check(&record, prev, &facts, policy, since));
        if let Err(error) = &ruled {
            self.fail(light, error.code(), error.to_string());
        }
        let mut moved2 = None;
        if let Spec::Update(update) = &record.spec {
            if sound {
                self.rules(light, update, &parents, manifest);
            }
            let drawn = self.draws.check(&self.audit.network, &record, (manifest, drawable));
            let inputs = match (&drawn, sound) {
                (Err(_), _) => Inputs::Undrawn,
                (Ok(()), false) => Inputs::Incomplete,
                (Ok(()), true) => Inputs::Known(&parents),
            };
            if let Err(error) = &drawn {
                self.fail(light, error.code(), error.to_string());
            }
            self.own_attested(light, update);
            let known = (inputs, &*facts, ruled.is_ok());
            moved2 = self.merge((light, &record, update), known, manifest, payload.as_ref())?;
            self.absent(light, &record, manifest, &parents)?;
            self.draws.advance(&record, manifest);
            self.choices(light, update, &parents, manifest);
            self.since = self.since(light).map_or(Some(*light), |_| self.since);
            self.last = Some(*light);
            self.payload = payload;
        }
        self.walk.own.add(&record, moved2);
        Ok(())
    }

    /// The round of the first update of this record's feed under its manifest version, if there is one before it.
    fn since(&self, light: &Light) -> Option<Round> {
        let feed = |light: &Light| (light.incarnation, light.manifest_version);
        self.since.filter(|since| feed(since) == feed(light)).and_then(|since| since.round)
    }

    /// A record by id, unless it breaks a rule and does not count; mostly it is the author's last one.
    fn named(&self, id: &RecordId) -> Option<Light> {
        let last = self.last.filter(|last| last.id == *id);
        last.or_else(|| self.audit.index.by_id(id)).filter(|light| self.audit.is_lawful(light))
    }

    /// The same of a parent. Its author's one before it was a parent of the record before, as a rule.
    fn referred(&mut self, parent: &Reference) -> Option<Light> {
        let last = self.last.filter(|last| last.id == parent.record);
        let near = self.spots.entry(parent.member).or_default();
        let found = last.or_else(|| self.audit.index.by_id_near(&parent.record, near));
        found.filter(|light| self.audit.is_lawful(light))
    }

    /// Whom it merged, and whom it passed over.
    fn choices(&mut self, light: &Light, update: &Update, parents: &[Light], manifest: &Manifest) {
        let Choices { merged, skipped } = &mut self.walk.choices;
        for parent in parents.iter().filter(|parent| parent.member != light.member) {
            *merged.entry(parent.member).or_default() += 1;
        }
        for skip in &update.skipped {
            if let Some(member) = manifest.member_at(skip.member) {
                *skipped.entry((member, skip.reason)).or_default() += 1;
            }
        }
    }

    /// What was found of a record, if somebody accuses it of that.
    pub(super) fn find(&mut self, light: &Light, flaw: Flaw, is_there: bool) {
        if self.audit.accused.contains(&light.id) {
            self.walk.found.insert((light.id, flaw), is_there);
        }
    }

    /// A failure of a record that was linked.
    pub(super) fn fail(&mut self, light: &Light, code: &'static str, text: String) {
        self.walk.notes.add(code, &light.place(), text);
    }

    fn incarnation(&mut self, light: &Light) {
        let place = light.place();
        let text = format!("incarnation {} begins here", light.incarnation);
        self.walk.notes.add("INC-001", &place, text);
        let Some(prev) = light.prev else { return };
        let Some(prev) = self.audit.index.by_id(&prev) else {
            return self.walk.notes.add("INC-003", &place, format!("record {prev} is not in the archive"));
        };
        if let Err(error) = admit::check_opening(light.member, light.incarnation, &prev.parent()) {
            self.walk.notes.add(error.code(), &place, error.to_string());
        }
    }

    /// Reads a record again from its feed file. It was genuine when the file was scanned.
    fn decode(&mut self, light: &Light) -> io::Result<Record> {
        let name = Name::Feed(light.member, light.incarnation);
        let window = match &mut self.window {
            Some(window) if window.name() == name => window,
            window => window.insert(Window::new(name)),
        };
        let envelope = window.envelope(self.audit.source, light.offset, light.length)?;
        match read_again(&envelope, light.id, self.audit.rules.chain()) {
            Some(record) => Ok(record),
            None => Err(io::Error::other(format!("{name} changed while it was audited"))),
        }
    }

    /// The blobs that a record names; an update's payload is given back.
    fn bodies(&mut self, light: &Light) -> io::Result<Option<Payload>> {
        let audit = self.audit;
        if let (Some(body), Some(accusation)) = (light.body, light.accused) {
            self.bundle(light, body, &accusation)?;
        }
        if let Some(state) = light.state {
            match blob::read(audit.source, Name::Blob(state.hash), state)? {
                Err(lack) => self.lack(light, lack),
                Ok(bytes) if State::parse(&bytes, audit.rules.layout()).is_none() => {
                    self.lack(
                        light,
                        Lack::Wrong("MRG-009", "the checkpoint is no momentum state of this layout".into()),
                    );
                }
                Ok(_) => self.walk.counts.blobs.ok += 1,
            }
        }
        let (Kind::Update, Some(body)) = (light.kind, light.body) else { return Ok(None) };
        let codec = light.codec.unwrap_or(Codec::Bfp16);
        match audit.payloads.read(audit.source, audit.rules.layout(), body, codec)? {
            Ok(payload) => {
                self.walk.counts.blobs.ok += 1;
                self.find(light, Flaw::Payload, false);
                Ok(Some(payload))
            }
            Err(lack) => {
                if matches!(lack, Lack::Wrong(..)) {
                    self.find(light, Flaw::Payload, true);
                }
                self.lack(light, lack);
                Ok(None)
            }
        }
    }

    fn bundle(&mut self, light: &Light, body: Body, accusation: &Accusation) -> io::Result<()> {
        let audit = self.audit;
        // A bundle counts where bundles are looked for; a copy among the blobs does not.
        match blob::read(audit.source, Name::Evidence(body.hash), body)? {
            Ok(_) => self.walk.counts.blobs.ok += 1,
            Err(Lack::Missing) if light.stand == Stand::Linked => {
                self.walk.counts.blobs.missing += 1;
                self.walk.notes.add("EVD-004", &light.place(), format!("bundle {} is not in evidence/", body.hash));
                return Ok(());
            }
            Err(lack) => {
                self.lack(light, lack);
                return Ok(());
            }
        }
        match audit.proved.get(&body.hash) {
            Some(proved) if proved.is(accusation) => {}
            Some(Proved { place: (member, incarnation, seq), .. }) => {
                let text = format!("the bundle convicts {member}.{incarnation} at seq {seq}");
                self.fail(light, "EVD-003", text);
            }
            None => self.fail(light, "EVD-001", "the bundle does not verify".into()),
        }
        Ok(())
    }

    fn lack(&mut self, light: &Light, lack: Lack) {
        let place = light.place();
        match lack {
            // Nothing that counts rests on it: no member need keep what such a record names.
            Lack::Missing if light.stand != Stand::Linked => {
                let text = "a blob of a record that does not count is not in the archive";
                self.walk.notes.run("BLB-005", &place, text);
            }
            Lack::Missing => {
                self.walk.counts.blobs.missing += 1;
                let round = light.round.unwrap_or_default();
                if self.audit.is_pruned(round) {
                    let severity = if self.audit.allow_pruned { Severity::Warning } else { Severity::Incomplete };
                    self.walk.notes.run_as(severity, "BLB-002", &place, Lacking::Blob(round));
                } else {
                    self.walk.withheld.add(place, Lacking::Blob(round));
                }
            }
            Lack::Wrong(code, text) => {
                self.walk.counts.blobs.failed += 1;
                self.walk.notes.add(code, &place, text);
            }
        }
    }

    /// The rules of an update that need the author's other records.
    fn rules(&mut self, light: &Light, update: &Update, parents: &[Light], manifest: &Manifest) {
        let policy = &manifest.policy;
        let own = parents.iter().find(|parent| parent.member == light.member);
        match (own, self.last) {
            (Some(own), Some(last)) if own.id != last.id && last.incarnation == light.incarnation => {
                let text = format!("it goes on from seq {}, the newest before it is seq {}", own.seq, last.seq);
                self.fail(light, "UPD-004", text);
            }
            (None, Some(last)) => {
                let (round, window) = (last.round.unwrap_or_default(), policy.ages.len() as u64);
                if round.0.saturating_add(window) >= update.round.0 {
                    let text = format!("its last publication is of round {round}, this one of round {}", update.round);
                    self.walk.notes.add("UPD-009", &light.place(), text);
                }
            }
            _ => {}
        }
        if let Some(done) = self.last.and_then(|last| last.round)
            && policy.rounds > 0
            && done.0 >= policy.rounds
        {
            let text = format!("round {} after its author's round {done}, the last is {}", update.round, policy.rounds);
            self.fail(light, "UPD-006", text);
        }
        if !(policy.steps.min..=policy.steps.max).contains(&update.steps) {
            let text = format!("{} steps, the policy wants {} to {}", update.steps, policy.steps.min, policy.steps.max);
            self.walk.notes.add("UPD-007", &light.place(), text);
        }
    }

    /// Nobody's own word is one more for its merges.
    fn own_attested(&mut self, light: &Light, update: &Update) {
        for id in &update.checked {
            let named = self.audit.index.by_id(id).filter(|named| named.kind == Kind::Update);
            if named.is_some_and(|named| named.member == light.member) {
                self.fail(light, "FLT-005", format!("it says that its author recomputed the author's own update {id}"));
            }
        }
    }

    /// Nobody is absent whose update the author builds on.
    fn absent(&mut self, light: &Light, record: &Record, manifest: &Manifest, parents: &[Light]) -> io::Result<()> {
        if let Some(other) = contradicted(self.audit, record, manifest, parents, &self.draws)? {
            let (member, round) = (other.member, other.round.unwrap_or_default());
            let text = format!(
                "{member} is called absent; what it builds on merged that one's record {} of round {round}",
                other.id
            );
            self.fail(light, "DRW-004", text);
        }
        Ok(())
    }
}
