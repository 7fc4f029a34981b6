//! `record`: one record, in full.

use std::{
    fmt::{Display, Write},
    path::Path,
};

use anyhow::anyhow;
use chorale_protocol::{
    audit::{Interval, Presence, Stand, Survey, Witnessed},
    base::MemberId,
    feed::{Checked, Close, Kind, Privacy, Record, Spec, Update},
    log::TreeHash,
    manifest::Codec,
};
use serde_json::{Value, json};

use crate::{
    archive,
    escape::escape,
    evidence,
    exit::{Exit, OrExit, Trouble},
    file, json, survey,
    table::{bytes, micro, milli},
    when, words,
};

/// Candidates that are named where more than one record may be meant.
const NAMED: usize = 8;

/// Shows the one record whose id begins so.
pub(crate) fn record(path: &Path, prefix: &str, as_json: bool) -> Result<Exit, Trouble> {
    let archive = archive::open(path)?;
    let survey = survey::open(&*archive, path, None)?;
    let (stand, checked) = find(&survey, prefix, path)?;
    let (witnesses, interval) = interval(&survey, &checked, path)?;
    let payload = checked.record().body.filter(|_| checked.record().spec.kind() == Kind::Update);
    let presence = payload.map(|body| survey::read(survey.presence(body), path)).transpose()?;
    let seen = Seen { survey: &survey, stand, checked: &checked, witnesses, interval, presence };
    let text = if as_json { json::lines([seen.value()].into_iter()) } else { seen.text() };
    file::print(&text).or_io()?;
    Ok(Exit::Passed)
}

/// The one genuine record whose id begins so.
pub(crate) fn find(survey: &Survey<'_>, prefix: &str, path: &Path) -> Result<(Stand, Checked), Trouble> {
    if prefix.len() < 4 {
        return Err(anyhow!("at least 4 digits of a record's id are wanted")).or_usage();
    }
    let meant = survey.each_feed(|_, feed| {
        let records = feed.records.into_iter();
        records.filter(|(_, checked)| checked.id().to_string().starts_with(prefix)).collect::<Vec<_>>()
    });
    let mut all: Vec<(Stand, Checked)> = survey::read(meant, path)?.into_iter().flatten().collect();
    all.sort_by_key(|(_, checked)| checked.id());
    all.dedup_by_key(|(_, checked)| checked.id());
    let named: Vec<String> = all.iter().take(NAMED).map(|(_, checked)| candidate(survey, checked)).collect();
    match (all.pop(), all.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(anyhow!("the archive has no record that begins with {prefix:?}")).or_usage(),
        (Some(_), others) => {
            let more = if others < NAMED { String::new() } else { format!("; and {} more", others + 1 - NAMED) };
            let named = named.join("; ");
            Err(anyhow!("{} records begin with {prefix:?}, give more digits: {named}{more}", others + 1)).or_usage()
        }
    }
}

fn candidate(survey: &Survey<'_>, checked: &Checked) -> String {
    let Record { member, incarnation, seq, spec, .. } = checked.record();
    format!("{} ({} of {}, place {incarnation}/{seq})", checked.id(), words::spec(spec), survey.label(member))
}

/// How many cosigners count, and between which times by their word the record came to be.
fn interval(survey: &Survey<'_>, checked: &Checked, path: &Path) -> Result<(u64, Interval), Trouble> {
    let witnesses = survey.chain().current().policy.witnesses.unwrap_or(1);
    let leaf = TreeHash::leaf(checked.bytes());
    let mut witnessed = Witnessed::new(witnesses, [leaf]);
    for member in survey.logs() {
        witnessed.add(&survey::read(survey.log_book(member), path)?.0);
    }
    Ok((witnesses, witnessed.interval(&leaf, checked.record().seen.as_ref())))
}

/// A record, and what the archive says of it.
struct Seen<'a> {
    survey: &'a Survey<'a>,
    stand: Stand,
    checked: &'a Checked,
    witnesses: u64,
    interval: Interval,
    presence: Option<Presence>,
}

/// A line of a form: a name, and what is to be said.
fn row(out: &mut String, name: &str, value: impl Display) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{name:<17} {}", escape(&value.to_string()));
}

impl Seen<'_> {
    fn named(&self, member: &MemberId) -> String {
        format!("{} ({member})", evidence::label(self.survey.chain(), member))
    }

    fn text(&self) -> String {
        let Record { network, member, key, incarnation, seq, prev, .. } = self.checked.record();
        let Record { manifest_version, manifest_hash, clock, claimed_time, spec, .. } = self.checked.record();
        let mut out = format!("Record {}\n\n", self.checked.id());
        row(&mut out, "What", words::spec(spec));
        row(&mut out, "Member", self.named(member));
        row(&mut out, "Place", format!("incarnation {incarnation}, seq {seq}"));
        row(&mut out, "Stands", words::stands(self.stand));
        row(&mut out, "Network", network);
        row(&mut out, "Manifest version", format!("{manifest_version} ({manifest_hash})"));
        row(&mut out, "Signed with key", key);
        row(&mut out, "Record before", or_none(prev.as_ref(), "none: it is the first of its feed"));
        row(&mut out, "Clock", clock);
        let outside =
            if self.interval.excludes(*claimed_time) { ", which is outside of what cosigners saw" } else { "" };
        row(&mut out, "Time claimed", format!("{}{outside}", when::date(claimed_time.0)));
        row(&mut out, "Time by cosigners", format!("{} ({} needed)", when::interval(&self.interval), self.witnesses));
        row(&mut out, "Checkpoint seen", or_none(self.checked.record().seen.as_ref(), "none"));
        if let Some(body) = self.checked.record().body {
            let name = if self.presence.is_some() { "Payload" } else { "Bundle" };
            let here = self.presence.map_or_else(String::new, |here| format!(", here: {}", words::presence(here)));
            row(&mut out, name, format!("{} ({}{here})", body.hash, bytes(body.length)));
        }
        match spec {
            Spec::Update(update) => self.update(&mut out, update),
            Spec::Release(_) => {
                row(&mut out, "Update released", or_none(self.checked.record().parent_ids().next().as_ref(), "none"));
            }
            Spec::Evidence(spec) => {
                row(&mut out, "Accused", self.named(&spec.accused));
                row(&mut out, "At place", format!("incarnation {}, seq {}", spec.incarnation, spec.seq));
            }
            Spec::Fault(spec) => {
                row(&mut out, "Accused", self.named(&spec.accused));
                row(&mut out, "At place", format!("incarnation {}, seq {}", spec.incarnation, spec.seq));
                row(&mut out, "Record", spec.record.to_string());
                row(&mut out, "Flaw", spec.flaw.word());
            }
            Spec::Other(other) => row(&mut out, "Says", hex::encode(&other.item)),
            Spec::Close(_) => {}
        }
        out + "\nIts signature and membership were checked; rules and merge are checked by `chorale-audit verify`.\n"
    }

    fn update(&self, out: &mut String, update: &Update) {
        let record = self.checked.record();
        row(out, "Trained", words::phase(update.phase));
        row(out, "Codec", record.codec.map_or("none", codec));
        row(out, "Merge hash", update.merge);
        for (place, (parent, weight)) in record.parents.iter().zip(&update.weights).enumerate() {
            let name = if place == 0 { "Merged" } else { "" };
            let who = self.who(parent.member);
            row(out, name, format!("{} of {who} with weight {weight}/1024", parent.record));
        }
        if record.parents.is_empty() {
            row(out, "Merged", "nothing: it began from the network's starting adapter");
        }
        for (place, skip) in update.skipped.iter().enumerate() {
            let name = if place == 0 { "Passed over" } else { "" };
            let of = skip.record.map_or_else(String::new, |id| format!(", its update {id}"));
            row(out, name, format!("{}: {}{of}", self.who(skip.member), skip.reason.word()));
        }
        row(out, "Local steps", format!("{} (claimed)", update.steps));
        row(out, "Examples", format!("at most {} (claimed, rounded up to a power of two)", update.examples));
        let loss = |loss: Option<u64>| match loss {
            Some(loss) => format!("{} nats per token (claimed)", micro(loss)),
            None => "not said".to_owned(),
        };
        row(out, "Loss before", loss(update.loss_before_micro));
        row(out, "Loss after", loss(update.loss_after_micro));
        row(out, "Privacy", update.privacy.as_ref().map_or_else(|| "no claim".to_owned(), privacy));
        row(out, "Data commitment", update.dataset.map_or_else(|| "none".to_owned(), hex::encode));
        if let Some(state) = update.state {
            row(out, "Momentum state", format!("{} ({})", state.hash, bytes(state.length)));
        }
        for (place, id) in update.checked.iter().enumerate() {
            let name = if place == 0 { "Recomputed" } else { "" };
            row(out, name, format!("the merge of {id} (claimed)"));
        }
    }

    /// Who has this place in the member list of the version that the record names.
    fn at(&self, place: u64) -> Option<MemberId> {
        let (manifest, _) = self.survey.chain().at(self.checked.record().manifest_version)?;
        manifest.member_at(place)
    }

    fn who(&self, place: u64) -> String {
        self.at(place).map_or_else(|| format!("place {place}"), |id| self.named(&id))
    }

    fn value(&self) -> Value {
        let record = self.checked.record();
        let claimed = record.claimed_time;
        let body = record.body.map(|body| {
            let here = self.presence.map(words::presence);
            json!({ "blake3": body.hash.to_string(), "bytes": body.length, "here": here })
        });
        json!({
            "schema": json::SCHEMA,
            "type": "record",
            "record": self.checked.id().to_string(),
            "kind": words::kind(record.spec.kind()),
            "stand": words::stand(self.stand),
            "network": record.network.to_string(),
            "member": record.member.to_string(),
            "label": evidence::label(self.survey.chain(), &record.member),
            "key": record.key.to_string(),
            "incarnation": record.incarnation.0,
            "seq": record.seq.0,
            "prev": record.prev.map(|id| id.to_string()),
            "clock": record.clock.0,
            "manifest_version": record.manifest_version,
            "manifest_hash": record.manifest_hash.to_string(),
            "body": body,
            "codec": record.codec.map(codec),
            "parents": record.parents.iter().map(|parent| json!({
                "place": parent.member,
                "member": self.at(parent.member).map(|id| id.to_string()),
                "record": parent.record.to_string(),
            })).collect::<Vec<_>>(),
            "seen": record.seen.map(|note| note.to_string()),
            "claimed_time_s": claimed.0,
            "claimed_time": when::date(claimed.0),
            "claimed_time_outside": self.interval.excludes(claimed),
            "interval": when::value(&self.interval),
            "witnesses": self.witnesses,
            "spec": self.spec(),
        })
    }

    /// What it says, by kind.
    fn spec(&self) -> Value {
        match &self.checked.record().spec {
            Spec::Update(update) => json!({
                "round": update.round.0,
                "phase": words::phase(update.phase),
                "weights": update.weights,
                "merge": update.merge.to_string(),
                "skipped": update.skipped.iter().map(|skip| json!({
                    "place": skip.member,
                    "member": self.at(skip.member).map(|id| id.to_string()),
                    "record": skip.record.map(|id| id.to_string()),
                    "reason": skip.reason.word(),
                })).collect::<Vec<_>>(),
                "steps": update.steps,
                "examples": update.examples,
                "loss_before_micro": update.loss_before_micro,
                "loss_after_micro": update.loss_after_micro,
                "privacy": update.privacy.as_ref().map(json::privacy),
                "dataset": update.dataset.map(hex::encode),
                "state": update.state.map(|state| json!({ "blake3": state.hash.to_string(), "bytes": state.length })),
                "checked": update.checked.iter().map(ToString::to_string).collect::<Vec<_>>(),
            }),
            Spec::Release(release) => json!({ "round": release.round.0, "label": release.label }),
            Spec::Evidence(spec) => json!({
                "accused": spec.accused.to_string(),
                "incarnation": spec.incarnation.0,
                "seq": spec.seq.0,
            }),
            Spec::Fault(spec) => json!({
                "accused": spec.accused.to_string(),
                "incarnation": spec.incarnation.0,
                "seq": spec.seq.0,
                "record": spec.record.to_string(),
                "flaw": spec.flaw.word(),
            }),
            Spec::Close(Close::Finished) => json!({ "reason": "finished" }),
            Spec::Close(Close::Left) => json!({ "reason": "left" }),
            Spec::Other(other) => json!({ "kind": other.kind, "item": hex::encode(&other.item) }),
        }
    }
}

fn or_none(id: Option<&impl Display>, none: &str) -> String {
    id.map_or_else(|| none.to_owned(), ToString::to_string)
}

const fn codec(codec: Codec) -> &'static str {
    match codec {
        Codec::Bfp16 => "BFP16",
        Codec::Bfp8 => "BFP8",
    }
}

fn privacy(claim: &Privacy) -> String {
    format!(
        "epsilon {}, delta 10^-{}, sigma {}, clipping norm {}, sampling rate {}, {} noisy steps (claimed)",
        milli(claim.epsilon_milli),
        milli(claim.delta_log10_milli),
        milli(claim.sigma_milli),
        milli(claim.clip_milli),
        micro(claim.rate_micro),
        claim.steps
    )
}
