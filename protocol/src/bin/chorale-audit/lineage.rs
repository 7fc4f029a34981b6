//! `lineage`: what a release, a head or any record was made of.

use std::fmt::Write;

use anyhow::anyhow;
use chorale_protocol::{
    audit::{Ancestry, Lineage, Node, Stand},
    base::{NetworkId, RecordId},
    feed::Kind,
};
use serde_json::{Value, json};

use crate::{
    archive,
    args::{Drawing, LineageArgs},
    exit::{Exit, Trouble},
    file, json, survey, svg,
    table::Table,
    when, words,
};

/// Records of a lineage that are shown.
pub(crate) const SHOWN: usize = 10_000;

pub(crate) fn lineage(args: &LineageArgs) -> Result<Exit, Trouble> {
    use crate::exit::OrExit;
    let network = args.pin.network()?;
    let archive = archive::open(&args.archive)?;
    let survey = survey::open(&*archive, &args.archive, network)?;
    let ancestry = survey::read(Ancestry::of(&survey), &args.archive)?;
    let of = meant(&ancestry, args.of.as_deref())?;
    let lineage = ancestry.lineage(&of, args.depth, SHOWN);
    let text = match args.drawing {
        Drawing::Text => survey::banner(survey.chain().network(), network.is_some()) + &text(&ancestry, &lineage),
        Drawing::Dot => dot(&ancestry, &lineage),
        Drawing::Json => lines(&ancestry, &lineage, survey.chain().network()),
        Drawing::Svg => svg::lineage(&ancestry, &lineage),
    };
    file::print(&text).or_io()?;
    Ok(if lineage.missing.is_empty() { Exit::Passed } else { Exit::Incomplete })
}

/// The one record that `of` means; without it, every head.
pub(crate) fn meant(ancestry: &Ancestry, of: Option<&str>) -> Result<Vec<RecordId>, Trouble> {
    let Some(text) = of else {
        let heads = ancestry.heads();
        let nothing =
            || Trouble { exit: Exit::Incomplete, error: anyhow!("the archive holds no record that verifies") };
        return if heads.is_empty() { Err(nothing()) } else { Ok(heads) };
    };
    one(text, &ancestry.find(text)).map(|id| vec![id])
}

/// The one record found under a name.
pub(crate) fn one(text: &str, found: &[RecordId]) -> Result<RecordId, Trouble> {
    let ids: Vec<String> = found.iter().take(8).map(ToString::to_string).collect();
    let error = match found {
        [one] => return Ok(*one),
        [] => anyhow!("no record, release or member here is called {text:?}"),
        _ => anyhow!("{text:?} may mean {} records: {}", found.len(), ids.join(", ")),
    };
    Err(Trouble { exit: Exit::Usage, error })
}

/// What a record is, in a few words.
pub(crate) fn what(node: &Node) -> String {
    let round = node.round.map_or_else(String::new, |round| format!(" of round {round}"));
    let stand = match node.stand {
        Stand::Linked => "",
        Stand::Loose => " (not in the chain)",
        Stand::Void => " (void: cut)",
    };
    match (node.kind, &node.release) {
        (Kind::Release, Some(label)) => format!("release {label}{round}{stand}"),
        (Kind::Release, None) => format!("release{round}{stand}"),
        (Kind::Update, _) => format!("update{round}{stand}"),
        (Kind::Evidence, _) => format!("evidence{stand}"),
        (Kind::Fault, _) => format!("fault{stand}"),
        (Kind::Close, _) => format!("close{stand}"),
        (Kind::Other, _) => format!("record of an unknown kind{stand}"),
    }
}

/// 16 digits: enough to find a record by.
fn brief(id: &RecordId) -> String {
    id.to_string().chars().take(16).collect()
}

fn text(ancestry: &Ancestry, lineage: &Lineage) -> String {
    let mut out = String::new();
    for id in &lineage.of {
        // Writing to a string does not fail.
        let _ = writeln!(out, "Lineage of {id}");
    }
    let mut table = Table::new(5, &["record", "member", "place", "what", "claimed time", "clock", "builds on"]);
    for node in &lineage.nodes {
        table.row([
            brief(&node.id),
            ancestry.label(&node.member).to_owned(),
            format!("{}/{}", node.incarnation, node.seq),
            what(node),
            when::date(node.claimed_time.0),
            node.clock.to_string(),
            node.before().map(|id| brief(&id)).collect::<Vec<_>>().join(" "),
        ]);
    }
    let _ = write!(out, "\n{}", table.text());
    for id in &lineage.missing {
        let _ = writeln!(out, "MISSING {id} is named here and not in the archive");
    }
    if !lineage.left_out.is_empty() {
        let left_out = lineage.left_out.len();
        let _ =
            writeln!(out, "\n{left_out} records named here are in the archive and not shown; --depth goes further up.");
    }
    let _ =
        writeln!(out, "\nSignatures and links were checked; rules and merges are checked by `chorale-audit verify`.");
    out
}

fn dot(ancestry: &Ancestry, lineage: &Lineage) -> String {
    let quote = |text: &str| text.chars().flat_map(char::escape_default).collect::<String>();
    let mut out = "digraph lineage {\n  rankdir = RL;\n  node [shape = box, fontname = \"sans-serif\"];\n".to_owned();
    out += "  labelloc = b;\n  label = \"bold box: asked for; dashed box: not in the archive; solid arrow: merged or released; dotted arrow: the record before\";\n";
    for node in &lineage.nodes {
        let label = quote(ancestry.label(&node.member));
        let (what, place) = (quote(&what(node)), format!("{}/{}", node.incarnation, node.seq));
        let bold = if lineage.of.contains(&node.id) { ", penwidth = 2" } else { "" };
        let _ = writeln!(out, "  \"{}\" [label = \"{label} {place}\\n{what}\"{bold}];", node.id);
    }
    for id in &lineage.missing {
        let _ = writeln!(out, "  \"{id}\" [label = \"missing\", style = dashed];");
    }
    for node in &lineage.nodes {
        for before in node.before().filter(|id| !lineage.left_out.contains(id)) {
            let style = if node.parents.contains(&before) { "" } else { " [style = dotted]" };
            let _ = writeln!(out, "  \"{}\" -> \"{before}\"{style};", node.id);
        }
    }
    out + "}\n"
}

fn lines(ancestry: &Ancestry, lineage: &Lineage, network: NetworkId) -> String {
    let ids = |ids: &mut dyn Iterator<Item = RecordId>| ids.map(|id| id.to_string()).collect::<Vec<_>>();
    let node = |node: &Node| -> Value {
        json!({
            "schema": json::SCHEMA,
            "type": "node",
            "record": node.id.to_string(),
            "member": node.member.to_string(),
            "label": ancestry.label(&node.member),
            "incarnation": node.incarnation.0,
            "seq": node.seq.0,
            "clock": node.clock.0,
            "claimed_time": when::date(node.claimed_time.0),
            "kind": words::kind(node.kind),
            "round": node.round.map(|round| round.0),
            "release": node.release,
            "stand": words::stand(node.stand),
            "parents": ids(&mut node.parents.iter().copied()),
            "prev": node.prev.map(|id| id.to_string()),
        })
    };
    let summary = json!({
        "schema": json::SCHEMA,
        "type": "summary",
        "network": network.to_string(),
        "of": ids(&mut lineage.of.iter().copied()),
        "nodes": lineage.nodes.len(),
        "missing": ids(&mut lineage.missing.iter().copied()),
        "left_out": ids(&mut lineage.left_out.iter().copied()),
    });
    json::lines(lineage.nodes.iter().map(node).chain([summary]))
}
