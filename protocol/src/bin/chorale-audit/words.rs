//! Records in words: the same ones wherever they are shown.

use chorale_protocol::{
    audit::{Presence, Stand},
    feed::{Close, Kind, Spec},
    manifest::{Chain, Phase},
};

use crate::evidence::label;

/// What a record is.
pub(crate) fn spec(spec: &Spec) -> String {
    match spec {
        Spec::Update(update) => format!("update of round {}", update.round),
        Spec::Release(release) => format!("release {} of round {}", release.label, release.round),
        Spec::Evidence(evidence) => format!("evidence against {}", evidence.accused),
        Spec::Fault(fault) => format!("fault of {}: {}", fault.accused, fault.flaw.word()),
        Spec::Close(Close::Finished) => "close: the last round was reached".to_owned(),
        Spec::Close(Close::Left) => "close: the member left".to_owned(),
        Spec::Other(other) => format!("record of unknown kind {}", other.kind),
    }
}

pub(crate) const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Update => "update",
        Kind::Release => "release",
        Kind::Evidence => "evidence",
        Kind::Fault => "fault",
        Kind::Close => "close",
        Kind::Other => "unknown",
    }
}

/// For machines.
pub(crate) const fn stand(stand: Stand) -> &'static str {
    match stand {
        Stand::Linked => "linked",
        Stand::Loose => "loose",
        Stand::Void => "void",
    }
}

/// For people.
pub(crate) const fn stands(stand: Stand) -> &'static str {
    match stand {
        Stand::Linked => "yes",
        Stand::Loose => "no: not in the chain",
        Stand::Void => "no: cut",
    }
}

pub(crate) const fn presence(presence: Presence) -> &'static str {
    match presence {
        Presence::Here => "yes",
        Presence::Missing => "no",
        Presence::Damaged => "damaged",
    }
}

pub(crate) const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Both => "both",
        Phase::A => "a",
        Phase::B => "b",
    }
}

/// A text with every member's id in it followed by the member's label.
pub(crate) fn labelled(chain: &Chain, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(|character: char| !character.is_ascii_hexdigit()) {
        let id = word.trim_end_matches(|character: char| !character.is_ascii_hexdigit());
        let name = id.parse().ok().map(|member| label(chain, &member)).filter(|label| !label.is_empty());
        match name {
            Some(name) => out.extend([id, " (", &name, ")", word.get(id.len()..).unwrap_or_default()]),
            None => out.push_str(word),
        }
    }
    out
}
