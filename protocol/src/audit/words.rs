//! Manifests in words: what a version says, and what it changes of another.

use std::collections::BTreeMap;

use crate::{
    base::{KeyHash, MemberId},
    manifest::{
        Codec, Cut, Handover, KeyEvent, LogEnd, LoraRule, Manifest, Member, MergeRule, Policy, PrivacyTerms, Role,
    },
};

/// A policy, a name and a value at a time, in the order of its encoding. Values say their units.
#[must_use]
pub fn policy(policy: &Policy) -> Vec<(&'static str, String)> {
    let Policy { adapter, steps, .. } = policy;
    let ages: Vec<String> = policy.ages.iter().map(|age| share(*age)).collect();
    let or_none = |value: u64, none: &str, unit: &str| match value {
        0 => none.to_owned(),
        value => format!("{value}{unit}"),
    };
    vec![
        ("base model", hex::encode(policy.base_model)),
        ("adapter", format!("LoRA of rank {}, alpha {}, seed {}", adapter.rank, adapter.alpha, adapter.seed)),
        ("adapter start", hex::encode(adapter.start)),
        ("adapter size", format!("{} tensors, {} values", adapter.tensors.len(), adapter.values())),
        (
            "factors",
            match policy.lora_rule {
                LoraRule::Both => "both train in every round".to_owned(),
                LoraRule::Alternate(period) => format!("B and A alternate every {period} rounds"),
                LoraRule::Ffa => "only B trains".to_owned(),
            },
        ),
        (
            "merge rule",
            match policy.merge {
                MergeRule::Mean => "weighted mean".to_owned(),
            },
        ),
        ("outer momentum", share(policy.momentum)),
        ("weights by age", ages.join(", ")),
        ("reach", share(policy.reach)),
        ("draw", format!("{} peers a round", policy.draw)),
        ("norm bound", share(policy.norm_bound)),
        (
            "codec",
            match policy.codec {
                Codec::Bfp16 => "BFP16".to_owned(),
                Codec::Bfp8 => "BFP8".to_owned(),
            },
        ),
        ("last round", or_none(policy.rounds, "none", "")),
        ("local steps", format!("{} to {}", steps.min, steps.max)),
        ("round length", or_none(policy.round_ms, "not set", " ms")),
        ("momentum checkpoints", or_none(policy.checkpoint_every, "never", " rounds apart")),
        ("blobs kept", or_none(policy.keep_rounds, "all", " rounds back")),
        ("parts of a payload", policy.parts.join(", ")),
        ("witnesses", or_none(policy.witnesses.unwrap_or_default(), "none asked", " a checkpoint")),
        ("privacy", policy.privacy.as_ref().map_or_else(|| "no claim asked".to_owned(), privacy)),
    ]
}

/// A number in units of 2⁻¹⁶, to six digits, and as it stands.
#[allow(clippy::cast_precision_loss)] // Six digits are shown, and the number itself.
fn share(value: u64) -> String {
    format!("{:.6} ({value}/65536)", value as f64 / 65_536.0)
}

/// The privacy that every update claims.
#[allow(clippy::cast_precision_loss)] // For people.
fn privacy(terms: &PrivacyTerms) -> String {
    let real = |milli: u64| milli as f64 / 1e3;
    format!("epsilon of at most {} at delta 10^-{}", real(terms.epsilon_milli), real(terms.delta_log10_milli))
}

/// What a participant may do.
#[must_use]
pub const fn role(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Observer => "observer",
        Role::Relay => "relay",
        Role::Archivist => "archivist",
    }
}

/// Up to where a member's records stand.
#[must_use]
pub fn cut(cut: &Cut) -> String {
    let Cut { member, incarnation, last } = cut;
    match last {
        Some((seq, id)) => {
            format!("records of {member} stand up to incarnation {incarnation}, seq {seq}, record {id}")
        }
        None => format!("nothing of {member} stands from incarnation {incarnation} on"),
    }
}

/// Up to where a member's records under its earlier keys stand.
#[must_use]
pub fn handover(handover: &Handover) -> String {
    let Handover { member, incarnation, last, log } = handover;
    let stands = match last {
        Some((seq, id)) => format!(
            "records of {member} under its earlier keys stand up to incarnation {incarnation}, seq {seq}, record {id}"
        ),
        None => format!("nothing of {member} under its earlier keys stands from incarnation {incarnation} on"),
    };
    match log {
        Some(LogEnd { size, root }) => {
            format!("{stands}; its log passes to the new key with {size} leaves, root {}", hex::encode(root))
        }
        None => format!("{stands}; it begins its log anew"),
    }
}

/// What a version does to a member's key.
#[must_use]
pub fn key_event(event: &KeyEvent) -> String {
    match event {
        KeyEvent::Rotated { member, from, to } => {
            format!("{member} rotated its key from {from} to {to}, to which it had committed")
        }
        KeyEvent::Rebound { member, from, to, committed: None } => {
            format!("governors gave {member} the key {to} in the place of {from}; it had committed to none")
        }
        KeyEvent::Rebound { member, from, to, committed: Some(hash) } => {
            format!("governors gave {member} the key {to} in the place of {from}; it had committed to {hash}")
        }
        KeyEvent::Recommitted { member, from, to } => {
            let (from, to) = (commitment(*from), commitment(*to));
            format!("governors changed what the next key of {member} must be: {to}; before, {from}")
        }
    }
}

fn commitment(hash: Option<KeyHash>) -> String {
    hash.map_or_else(|| "no commitment".to_owned(), |hash| format!("a key of hash {hash}"))
}

/// What `new` changes of `old`, a sentence each; empty if nothing but version and predecessor differ.
#[must_use]
pub fn changes(old: &Manifest, new: &Manifest) -> Vec<String> {
    let mut all = Vec::new();
    for key in new.governors.iter().filter(|key| !old.governors.contains(key)) {
        all.push(format!("governor {key} is new"));
    }
    for key in old.governors.iter().filter(|key| !new.governors.contains(key)) {
        all.push(format!("governor {key} is gone"));
    }
    let votes = |manifest: &Manifest| format!("{} of {}", manifest.threshold, manifest.governors.len());
    if votes(old) != votes(new) {
        all.push(format!("{} governors decide; before, {}", votes(new), votes(old)));
    }
    members(old, new, &mut all);
    for now in &new.cuts {
        match old.cut(&now.member) {
            None => all.push(format!("cut: {}", cut(now))),
            Some(before) if before != now => all.push(format!("cut moved: {}; before, {}", cut(now), cut(before))),
            Some(_) => {}
        }
    }
    for one in &new.handovers {
        all.push(format!("handover: {}", handover(one)));
    }
    for gone in old.cuts.iter().filter(|before| new.cut(&before.member).is_none()) {
        all.push(format!("cut lifted: {}", cut(gone)));
    }
    for ((name, before), (_, now)) in policy(&old.policy).into_iter().zip(policy(&new.policy)) {
        if before != now {
            all.push(format!("policy: {name} is {now}; before, {before}"));
        }
    }
    if old.policy.adapter.tensors != new.policy.adapter.tensors {
        all.push("policy: the adapter's tensors differ".to_owned());
    }
    all
}

fn members(old: &Manifest, new: &Manifest, all: &mut Vec<String>) {
    let by_id = |manifest: &Manifest| -> BTreeMap<MemberId, Member> {
        manifest.members.iter().map(|member| (member.id, member.clone())).collect()
    };
    let (before, after) = (by_id(old), by_id(new));
    for (id, member) in &after {
        let label = &member.label;
        let Some(was) = before.get(id) else {
            all.push(format!("{label} ({id}) takes part as {}", role(member.role)));
            continue;
        };
        if was.label != *label {
            all.push(format!("{} ({id}) is now called {label}", was.label));
        }
        if was.role != member.role {
            all.push(format!("{label} ({id}) is now {}; before, {}", role(member.role), role(was.role)));
        }
        if was.author_key != member.author_key {
            let how = match was.next {
                Some(next) if next == KeyHash::of(&member.author_key) => "to which it had committed",
                Some(_) => "the governors' word alone, for it had committed to another",
                None => "the governors' word alone, for it had committed to none",
            };
            let (now, before) = (member.author_key, was.author_key);
            all.push(format!("{label} ({id}) signs with key {now}, {how}; before, {before}"));
        }
        if was.next != member.next {
            let (now, before) = (commitment(member.next), commitment(was.next));
            all.push(format!("{label} ({id}) goes on with {now} next; before, {before}"));
        }
        if was.rank != member.rank {
            let words =
                |rank: Option<u64>| rank.map_or_else(|| "the adapter's rank".to_owned(), |rank| format!("rank {rank}"));
            let (now, before) = (words(member.rank), words(was.rank));
            all.push(format!("{label} ({id}) publishes at {now}; before, {before}"));
        }
        if was.transport != member.transport {
            let (now, before) = (member.transport.len(), was.transport.len());
            all.push(format!("{label} ({id}) has other transport ids: {now}; before, {before}"));
        }
    }
    for (id, member) in before.iter().filter(|(id, _)| !after.contains_key(id)) {
        all.push(format!("{} ({id}) no longer takes part", member.label));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Incarnation, RecordId, Seq},
        fixture,
    };

    #[test]
    fn every_kind_of_change_has_its_sentence_and_no_change_has_none() {
        let old = fixture::genesis(3, fixture::policy());
        assert_eq!(changes(&old, &Manifest { version: 1, ..old.clone() }), Vec::<String>::new());
        let mut new = old.clone();
        new.governors.push(fixture::governor(1).public());
        new.governors.sort();
        new.threshold = 2;
        let gone = new.members.remove(0);
        new.members[0].label = "renamed".into();
        (new.members[1].role, new.members[1].rank) = (Role::Observer, Some(2));
        new.members.push(fixture::member(9));
        new.cuts.push(Cut { member: gone.id, incarnation: Incarnation(0), last: Some((Seq(4), RecordId([1; 32]))) });
        new.policy.draw = 2;
        let found = changes(&old, &new).join("\n");
        for wanted in [
            "is new",
            "2 of 2 governors decide; before, 1 of 1",
            "renamed",
            "is now observer; before, member",
            "publishes at rank 2; before, the adapter's rank",
            "silo-9",
            "no longer takes part",
            "up to incarnation 0, seq 4",
            "draw is 2 peers a round; before, 3",
        ] {
            assert!(found.contains(wanted), "{wanted}: {found}");
        }
        assert_eq!(found.lines().count(), 9, "{found}");
        assert!(changes(&new, &old).iter().any(|text| text.starts_with("cut lifted")));
    }

    #[test]
    fn every_field_of_a_policy_is_named() {
        let policies = |change: &dyn Fn(&mut Policy)| {
            let mut changed = fixture::policy();
            change(&mut changed);
            policy(&changed) != policy(&fixture::policy())
        };
        assert!(policies(&|policy| policy.base_model[0] ^= 1));
        assert!(policies(&|policy| policy.adapter.rank += 1));
        assert!(policies(&|policy| policy.adapter.start[0] ^= 1));
        assert!(policies(&|policy| policy.lora_rule = LoraRule::Ffa));
        assert!(policies(&|policy| policy.momentum += 1));
        assert!(policies(&|policy| policy.ages[1] -= 1));
        assert!(policies(&|policy| policy.norm_bound += 1));
        assert!(policies(&|policy| policy.reach += 1));
        assert!(policies(&|policy| policy.codec = Codec::Bfp8));
        assert!(policies(&|policy| policy.rounds += 1));
        assert!(policies(&|policy| policy.steps.max += 1));
        assert!(policies(&|policy| policy.round_ms += 1));
        assert!(policies(&|policy| policy.checkpoint_every += 1));
        assert!(policies(&|policy| policy.keep_rounds += 1));
        assert!(policies(&|policy| policy.parts.push("more".into())));
        assert!(policies(&|policy| policy.witnesses = Some(2)));
        let terms = PrivacyTerms { delta_log10_milli: 6_000, epsilon_milli: 8_000 };
        assert!(policies(&|policy| policy.privacy = Some(terms)));
    }
}
