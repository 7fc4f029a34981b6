//! Checkpoints in words and as JSON.

use std::fmt::Write;

use chorale_protocol::{audit::words, base::MemberId, log::Verified, manifest::Chain};
use serde_json::{Value, json};

use crate::{escape::escape, evidence::label, json, when};

pub(super) fn text(verified: &Verified, chain: &Chain, asked: u64) -> String {
    let Verified { checkpoint, member, cosigners, .. } = verified;
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(out, "Log         {} ({member})", escape(&label(chain, member)));
    let _ = writeln!(out, "Origin      {}", checkpoint.origin);
    let _ = writeln!(out, "Leaves      {}", checkpoint.size);
    let _ = writeln!(out, "Root        {}", checkpoint.root);
    let _ = writeln!(out, "Cosigners   {}; {asked} are asked for", cosigners.len());
    for (member, time) in cosigners {
        let role = chain.member(member).map_or("no longer a participant", |member| words::role(member.role));
        let _ = writeln!(out, "  {}  {} ({member}, {role})", when::date(*time), escape(&label(chain, member)));
    }
    out
}

pub(super) fn value(verified: &Verified, chain: &Chain, asked: u64) -> Value {
    let Verified { checkpoint, member, cosigners, .. } = verified;
    let cosigner = |(member, time): &(MemberId, u64)| json!({ "member": member.to_string(), "label": label(chain, member), "time_s": time });
    json!({
        "schema": json::SCHEMA,
        "type": "checkpoint",
        "member": member.to_string(),
        "label": label(chain, member),
        "origin": checkpoint.origin.to_string(),
        "size": checkpoint.size,
        "root": checkpoint.root.to_string(),
        "cosigners": cosigners.iter().map(cosigner).collect::<Vec<_>>(),
        "witnesses": asked,
    })
}
