//! `contributions`: who put in what, and what the others made of it.

use std::fmt::Write;

use anyhow::Context;
use chorale_protocol::{
    audit::{Contribution, Options, Report, replay},
    base::{MemberId, NetworkId},
    feed::SkipReason,
};
use serde_json::{Value, json};

use crate::{
    archive,
    args::Contributions,
    exit::{Exit, OrExit, Trouble},
    file, human, json, progress, survey,
    table::{Table, bytes, milli, norm},
    verify,
};

pub(crate) fn contributions(args: &Contributions) -> Result<Exit, Trouble> {
    let pinned = args.pin.network()?;
    let archive = archive::open(&args.archive)?;
    let network = match pinned {
        Some(network) => network,
        None => survey::open(&*archive, &args.archive, None)?.chain().network(),
    };
    let options = Options {
        network,
        anchors: Vec::new(),
        allow_unanchored: true,
        allow_pruned: false,
        recompute: !args.no_recompute,
        witnesses: 0,
        heads_only: false,
        threads: verify::threads(args.threads),
    };
    let bar = progress::bar();
    let report = replay(&*archive, &options, &progress::seen(&bar));
    bar.finish_and_clear();
    let report = report.with_context(|| format!("cannot read {}", args.archive.display())).or_io()?;
    let text = if args.json { lines(&report) } else { text(&report, network, pinned.is_some()) };
    file::print(&text).or_io()?;
    Ok(report.verdict().into())
}

fn text(report: &Report, network: NetworkId, pinned: bool) -> String {
    let mut out = survey::banner(network, pinned);
    out += &table(&report.contributions).text();
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "\nClaimed: examples (each rounded up to a power of two), epsilon, sigma. Measured: moved (norm of what training"
    );
    let _ = writeln!(
        out,
        "changed, where payloads are there), merged and passed over by others. Records that a cut voids do not count."
    );
    let _ = writeln!(
        out,
        "\nThe audit behind this table: {}; `chorale-audit verify` says why, and asks for anchors.",
        human::verdict(report)
    );
    out
}

/// One row a member.
pub(crate) fn table(contributions: &[(MemberId, String, Contribution)]) -> Table {
    let mut table = Table::new(
        2,
        &[
            "member",
            "id",
            "rounds",
            "last round",
            "examples",
            "examples last",
            "published",
            "moved mean",
            "moved max",
            "epsilon",
            "sigma",
            "merged",
            "passed over",
            "why",
        ],
    );
    for (member, label, part) in contributions {
        let last = part.publications.last();
        let (mean, max) = moved(part).map_or_else(Default::default, |(mean, max)| (mean, norm(max)));
        table.row([
            label.clone(),
            member.short(),
            part.rounds().to_string(),
            last.map_or_else(|| "-".to_owned(), |last| last.round.to_string()),
            part.examples().to_string(),
            last.map_or(0, |last| last.examples).to_string(),
            bytes(part.bytes),
            mean,
            max,
            part.privacy.map_or_else(|| "-".to_owned(), |claim| milli(claim.epsilon_milli)),
            part.privacy.map_or_else(|| "-".to_owned(), |claim| milli(claim.sigma_milli)),
            part.merged_by_others.to_string(),
            part.skipped().to_string(),
            reasons(part),
        ]);
    }
    table
}

/// Mean of the norms, and the largest square, of those publications that were measured.
#[allow(clippy::cast_precision_loss)] // Six digits are shown.
fn moved(part: &Contribution) -> Option<(String, u128)> {
    let squares: Vec<u128> = part.publications.iter().filter_map(|publication| publication.moved2).collect();
    let max = squares.iter().max()?;
    let sum: f64 = squares.iter().map(|square| (*square as f64).sqrt() / 4_294_967_296.0).sum();
    Some((format!("{:.6}", sum / squares.len() as f64), *max))
}

fn reasons(part: &Contribution) -> String {
    let one = |(reason, times): (&SkipReason, &u64)| format!("{times} {}", reason.word());
    part.skipped_by_others.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn lines(report: &Report) -> String {
    let members = report.contributions.iter().map(|(member, label, part)| line(member, label, part));
    let summary = json!({
        "schema": json::SCHEMA,
        "type": "summary",
        "network": report.network.to_string(),
        "verdict": report.verdict().text(),
        "recomputed": report.recomputed,
        "exit": Exit::from(report.verdict()) as u8,
    });
    json::lines(members.chain([summary]))
}

fn line(member: &MemberId, label: &str, part: &Contribution) -> Value {
    let skipped: serde_json::Map<String, Value> =
        part.skipped_by_others.iter().map(|(reason, times)| (reason.word().to_owned(), json!(times))).collect();
    let publications: Vec<Value> = part
        .publications
        .iter()
        .map(|publication| {
            json!({
                "round": publication.round.0,
                "examples": publication.examples,
                "loss_after_micro": publication.loss_after_micro,
                "moved": publication.moved2.map(norm),
            })
        })
        .collect();
    json!({
        "schema": json::SCHEMA,
        "type": "contribution",
        "member": member.to_string(),
        "label": label,
        "rounds": part.rounds(),
        "examples_sum": part.examples(),
        "examples_last": part.publications.last().map(|last| last.examples),
        "bytes": part.bytes,
        "private_publications": part.private,
        "privacy": part.privacy.as_ref().map(json::privacy),
        "merged_by_others": part.merged_by_others,
        "skipped_by_others": skipped,
        "publications": publications,
    })
}
