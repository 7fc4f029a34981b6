//! `chorale ledger`: what left this home.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};
use chorale::{
    config::Home,
    net::transport_id,
    store::ledger::{self, Left, Listed},
};
use chorale_protocol::manifest::Chain;
use libp2p::PeerId;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    network,
    out::{Out, bytes, safe},
};

/// List what left this home: every record and blob, to whom, when, and under which privacy claim
///
/// Reads egress.jsonl, which the node writes before anything leaves, and checks that no line of it was changed, put in or taken
/// out. That lines were cut off its end it cannot see. Presence messages (addresses, head, version) and the protocol's own traffic hold
/// no data and are not listed. A line says that something was about to leave: a peer that breaks off gets less.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The member's home folder; its node may be running
    #[arg(long)]
    home: PathBuf,
    /// Lines from then on only: a time such as 2026-11-22T10:00:00Z, or how long ago: 90s, 30m, 24h, 7d
    #[arg(long)]
    since: Option<Since>,
    /// Totals only
    #[arg(long)]
    totals: bool,
}

/// A moment, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Since(u64);

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
            return Ok(Self(u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)));
        }
        let wanted = || format!("got {text:?}, wanted a time such as 2026-11-22T10:00:00Z or a span such as 24h");
        let unit = text.chars().last().ok_or_else(wanted)?;
        let seconds: u64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wanted()),
        };
        let count: u64 = text.strip_suffix(unit).and_then(|count| count.parse().ok()).ok_or_else(wanted)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let span = count.saturating_mul(seconds).saturating_mul(1_000);
        Ok(Self(u64::try_from(now).unwrap_or(u64::MAX).saturating_sub(span)))
    }
}

/// What one peer, or gossip, was sent.
#[derive(Debug, Default, Clone, Copy)]
struct Total {
    records: u64,
    manifests: u64,
    notes: u64,
    blobs: u64,
    /// Of the blobs, this member's own.
    own_blobs: u64,
    bytes: u64,
}

/// What is known while the lines go by.
struct Reading {
    chain: Option<Chain>,
    /// What we signed for: records, adapters, momentum states, evidence, each with a word on it.
    ours: BTreeMap<String, String>,
    totals: BTreeMap<String, Total>,
    signed: u64,
}

impl Args {
    pub(crate) fn run(self, out: &Out) -> Result<()> {
        let home = Home::open(&self.home)?;
        let chain = network::stored_chain(&home).ok();
        let mut reading = Reading { chain, ours: BTreeMap::new(), totals: BTreeMap::new(), signed: 0 };
        let since = self.since.map_or(0, |since| since.0);
        let mut lines = 0_u64;
        for listed in ledger::read(home.root())? {
            let listed = listed?;
            lines += 1;
            reading.learn(&listed.left);
            if listed.at_ms < since {
                continue;
            }
            reading.count(&listed.left);
            if !self.totals {
                out.result(&reading.value(&listed)?, reading.line(&listed));
            }
        }
        if lines == 0 {
            bail!(
                "{}: nothing is listed there; no node has run in this home",
                home.root().join(ledger::FILE).display()
            );
        }
        out.result(&reading.sums(lines), reading.table(lines));
        Ok(())
    }
}

impl Reading {
    fn learn(&mut self, left: &Left) {
        let Left::Signed { record, round, body, state, privacy, .. } = left else { return };
        let what = round.map_or_else(String::new, |round| format!(" of round {round}"));
        let claim = privacy.as_ref().map_or_else(|| "no privacy claim".to_owned(), |claim| format!("claims {claim}"));
        self.ours.insert(record.clone(), format!("our record{what}"));
        if let Some(body) = body {
            let kind = if round.is_some() { "our adapter" } else { "evidence" };
            self.ours.insert(body.clone(), format!("{kind}{what}, {claim}"));
        }
        if let Some(state) = state {
            self.ours.insert(state.clone(), format!("our momentum state{what}, {claim}"));
        }
    }

    fn count(&mut self, left: &Left) {
        let (to, count) = match left {
            Left::Signed { .. } => {
                self.signed += 1;
                return;
            }
            Left::Gossip { bytes, .. } => {
                ("gossip".to_owned(), Total { records: 1, bytes: *bytes, ..Total::default() })
            }
            Left::Record { bytes, to, .. } => (to.clone(), Total { records: 1, bytes: *bytes, ..Total::default() }),
            Left::Manifest { bytes, to, .. } => (to.clone(), Total { manifests: 1, bytes: *bytes, ..Total::default() }),
            Left::Note { bytes, to, .. } => (to.clone(), Total { notes: 1, bytes: *bytes, ..Total::default() }),
            Left::Blob { blob, bytes, to } => {
                let own_blobs = u64::from(self.ours.contains_key(blob));
                (to.clone(), Total { blobs: 1, own_blobs, bytes: *bytes, ..Total::default() })
            }
        };
        let total = self.totals.entry(to).or_default();
        total.records += count.records;
        total.manifests += count.manifests;
        total.notes += count.notes;
        total.blobs += count.blobs;
        total.own_blobs += count.own_blobs;
        total.bytes = total.bytes.saturating_add(count.bytes);
    }

    /// The label of the member that a peer id belongs to, else the peer id.
    fn name(&self, to: &str) -> String {
        let peer = PeerId::from_str(to).ok().map(|peer| transport_id(&peer));
        let member = peer.as_ref().and_then(|peer| self.chain.as_ref()?.by_transport(peer));
        member.map_or_else(|| to.to_owned(), |member| member.label.clone())
    }

    fn what(&self, hash: &str, other: &str) -> String {
        self.ours.get(hash).cloned().unwrap_or_else(|| other.to_owned())
    }

    fn value(&self, listed: &Listed) -> Result<Value> {
        let mut value = serde_json::to_value(listed)?;
        let (hash, to) = match &listed.left {
            Left::Signed { .. } => return Ok(value),
            Left::Gossip { record, .. } => (record, None),
            Left::Record { record, to, .. } => (record, Some(to)),
            Left::Manifest { hash, to, .. } | Left::Note { hash, to, .. } => (hash, Some(to)),
            Left::Blob { blob, to, .. } => (blob, Some(to)),
        };
        let more = value.as_object_mut().context("a line that is no object")?;
        more.insert("own".into(), self.ours.contains_key(hash).into());
        if let Some(to) = to {
            more.insert("member".into(), self.name(to).into());
        }
        Ok(value)
    }

    fn line(&self, listed: &Listed) -> String {
        let (hash, what, size, to) = match &listed.left {
            Left::Signed { record, bytes, .. } => {
                (record, format!("signed {}", self.what(record, "")), *bytes, String::new())
            }
            Left::Gossip { record, bytes, peers } => {
                (record, self.what(record, "another's record"), *bytes, format!("gossip, {peers} peers"))
            }
            Left::Record { record, bytes, to } => {
                (record, self.what(record, "another's record"), *bytes, self.name(to))
            }
            Left::Manifest { hash, bytes, to } => (hash, "manifest".into(), *bytes, self.name(to)),
            Left::Note { hash, bytes, to } => (hash, "checkpoint or cosignature".into(), *bytes, self.name(to)),
            Left::Blob { blob, bytes, to } => (blob, self.what(blob, "another's blob"), *bytes, self.name(to)),
        };
        let short = hash.get(..8).unwrap_or(hash);
        let to = if to.is_empty() { to } else { format!(" to {to}") };
        safe(&format!("{} {short} {:>9} {what}{to}", moment(listed.at_ms), bytes(size)))
    }

    fn sums(&self, lines: u64) -> Value {
        let to: serde_json::Map<String, Value> = self
            .totals
            .iter()
            .map(|(to, total)| {
                let Total { records, manifests, notes, blobs, own_blobs, bytes } = total;
                let value = json!({
                    "member": self.name(to), "records": records, "manifests": manifests, "notes": notes,
                    "blobs": blobs, "own_blobs": own_blobs, "bytes": bytes,
                });
                (to.clone(), value)
            })
            .collect();
        json!({ "lines_checked": lines, "signed": self.signed, "to": to })
    }

    fn table(&self, lines: u64) -> String {
        let mut text = format!(
            "\n{:<24} {:>8} {:>9} {:>6} {:>6} {:>6} {:>10}",
            "to", "records", "manifests", "notes", "blobs", "ours", "bytes"
        );
        for (to, total) in &self.totals {
            let Total { records, manifests, notes, blobs, own_blobs, bytes: size } = total;
            let row = format!(
                "\n{:<24} {records:>8} {manifests:>9} {notes:>6} {blobs:>6} {own_blobs:>6} {:>10}",
                safe(&self.name(to)),
                bytes(*size)
            );
            text.push_str(&row);
        }
        text.push_str(&format!(
            "\n{} records signed; {lines} lines checked, none changed or missing before the last",
            self.signed
        ));
        text
    }
}

fn moment(at_ms: u64) -> String {
    let seconds = i64::try_from(at_ms / 1_000).unwrap_or(i64::MAX);
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|at| at.format(&Rfc3339).ok());
    at.unwrap_or_else(|| at_ms.to_string())
}

#[cfg(test)]
mod tests {
    use super::Since;

    #[test]
    fn moments_and_spans_are_understood_and_nothing_else() {
        assert_eq!("1970-01-01T00:00:02Z".parse(), Ok(Since(2_000)));
        let (day, hour): (Since, Since) = ("1d".parse().unwrap(), "1h".parse().unwrap());
        assert!((hour.0 - day.0).abs_diff(23 * 3_600_000) < 60_000);
        for odd in ["", "h", "5", "5w", "-1h", "yesterday", "2026-11-22"] {
            assert!(odd.parse::<Since>().is_err(), "{odd}");
        }
    }
}
