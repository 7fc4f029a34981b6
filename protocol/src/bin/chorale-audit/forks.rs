//! `forks`: who signed two histories, and whether governors settled which one stands; and which governors voted twice.

use std::fmt::Write;

use chorale_protocol::{
    audit::{Fork, Forks, codes},
    base::NetworkId,
    feed::{Checked, EvidenceForm, Record},
    manifest::DoubleVote,
};
use serde_json::{Value, json};

use crate::{
    archive,
    args::ForksArgs,
    escape::escape,
    exit::{Exit, OrExit, Trouble},
    file, json, survey, when, words,
};

pub(crate) fn forks(args: &ForksArgs) -> Result<Exit, Trouble> {
    let network = args.pin.network()?;
    let archive = archive::open(&args.archive)?;
    let survey = survey::open(&*archive, &args.archive, network)?;
    let forks = survey::read(Forks::of(&survey), &args.archive)?;
    let exit = exit(&forks);
    let text = if args.json {
        lines(&forks, survey.chain().network(), exit)
    } else {
        survey::banner(survey.chain().network(), network.is_some()) + &text(&forks)
    };
    file::print(&text).or_io()?;
    Ok(exit)
}

fn exit(forks: &Forks) -> Exit {
    match () {
        () if forks.unsettled() => Exit::Failed,
        // What cannot be read may hide a fork, and where nothing was read there is none to see.
        () if !forks.findings.is_empty() || forks.more > 0 || forks.records == 0 => Exit::Incomplete,
        () => Exit::Passed,
    }
}

fn text(forks: &Forks) -> String {
    let mut out = String::new();
    for fork in &forks.found {
        out += &one(fork);
    }
    for (file, double) in &forks.double_votes {
        out += &format!(
            "DOUBLE VOTE on manifest version {}\n{}  where    {}\n\n",
            double.version,
            votes(double),
            escape(file)
        );
    }
    // Writing to a string does not fail.
    if forks.more > 0 {
        let _ = writeln!(out, "{} further records contradict what is shown; they are not told apart.\n", forks.more);
    }
    if !forks.findings.is_empty() {
        let _ = writeln!(
            out,
            "{} findings say what could not be checked and may hide forks; `chorale-audit verify` shows them.\n",
            forks.findings.len()
        );
    }
    let settled = forks.found.iter().filter(|fork| fork.settled).count();
    let (records, all) = (forks.records, forks.found.len());
    let _ = writeln!(
        out,
        "{records} records: {all} forks, {settled} settled by a manifest version, {} not; {} double votes.",
        all - settled,
        forks.double_votes.len()
    );
    out
}

/// Who voted for which two payloads.
pub(crate) fn votes(double: &DoubleVote) -> String {
    let mut out = format!("  one      {}, in force\n  other    {}\n", double.held, double.other);
    for key in &double.governors {
        let _ = writeln!(out, "  both by  governor {key}");
    }
    out
}

/// A double vote as JSON.
pub(crate) fn double_vote(double: &DoubleVote) -> Value {
    json!({
        "schema": json::SCHEMA,
        "type": "double_vote",
        "version": double.version,
        "held": double.held.to_string(),
        "other": double.other.to_string(),
        "governors": double.governors.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn one(fork: &Fork) -> String {
    let (member, incarnation, seq) = fork.evidence.accused();
    let verdict = if fork.settled { "settled by a manifest version" } else { "NOT SETTLED" };
    let mut out = format!("FORK {} ({member}) in place {incarnation}/{seq}: {verdict}\n", escape(&fork.label));
    let _ = writeln!(out, "  how      {}", form(fork.evidence.form));
    for (name, checked) in [("one", &fork.evidence.first), ("other", &fork.evidence.second)] {
        let _ = writeln!(out, "  {name:<8} {}", record(checked));
    }
    if let Some((seq, id)) = fork.linked {
        let _ = writeln!(out, "  goes on  one history ends here with seq {seq}, record {id}");
    }
    if let Some((seq, records)) = fork.other {
        let _ = writeln!(out, "           the other ends with seq {seq}, after {records} records of its own");
    }
    let _ = writeln!(out, "  where    {}", escape(&fork.file));
    if let Some(entry) = codes::explain(if fork.settled { "FORK-002" } else { "FORK-001" }) {
        let _ = writeln!(out, "  next     {}", entry.action);
    }
    out + "\n"
}

/// What two records of this form prove.
pub(crate) const fn form(form: EvidenceForm) -> &'static str {
    match form {
        EvidenceForm::SamePlace => "two records in one place of one feed",
        EvidenceForm::OtherPrev => {
            "the second follows another record than the first, which stands in the place before it"
        }
    }
}

/// A record in one line.
pub(crate) fn record(checked: &Checked) -> String {
    let Record { incarnation, seq, clock, claimed_time, spec, .. } = checked.record();
    let (id, what, date) = (checked.id(), words::spec(spec), when::date(claimed_time.0));
    escape(&format!("{id} place {incarnation}/{seq} clock {clock} claimed time {date} {what}"))
}

fn lines(forks: &Forks, network: NetworkId, exit: Exit) -> String {
    let fork = |fork: &Fork| -> Value {
        let (member, incarnation, seq) = fork.evidence.accused();
        json!({
            "schema": json::SCHEMA,
            "type": "fork",
            "member": member.to_string(),
            "label": fork.label,
            "incarnation": incarnation.0,
            "seq": seq.0,
            "form": fork.evidence.form as u8,
            "first": fork.evidence.first.id().to_string(),
            "second": fork.evidence.second.id().to_string(),
            "settled": fork.settled,
            "file": fork.file,
            "linked_to": fork.linked.map(|(seq, id)| json!({ "seq": seq.0, "record": id.to_string() })),
            "other_to": fork.other.map(|(seq, records)| json!({ "seq": seq.0, "records": records })),
        })
    };
    let summary = json!({
        "schema": json::SCHEMA,
        "type": "summary",
        "network": network.to_string(),
        "records": forks.records,
        "forks": forks.found.len(),
        "unsettled": forks.found.iter().filter(|fork| !fork.settled).count(),
        "double_votes": forks.double_votes.len(),
        "not_told_apart": forks.more,
        "unchecked": forks.findings.len(),
        "exit": exit as u8,
    });
    let double = |(file, double): &(String, DoubleVote)| {
        let mut line = double_vote(double);
        line["file"] = file.as_str().into();
        line
    };
    json::lines(forks.found.iter().map(fork).chain(forks.double_votes.iter().map(double)).chain([summary]))
}
