//! Drawings, as SVG that fits into a page by itself: no script, no style sheet, nothing from elsewhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use chorale_protocol::{
    audit::{Ancestry, Lineage, Stand},
    base::{Incarnation, MemberId, RecordId},
    feed::Kind,
};

use crate::{escape::markup, lineage::what};

const LANE: usize = 34;
const STEP: usize = 44;
const NAMES: usize = 170;
/// Below the lanes, what colours and lines mean.
const LEGEND: usize = 44;
const LEGEND_WIDTH: usize = 460;

/// A lane for each feed, time from left to right; an arc for each record that another builds on.
pub(crate) fn lineage(ancestry: &Ancestry, lineage: &Lineage) -> String {
    let feeds: BTreeSet<(MemberId, Incarnation)> =
        lineage.nodes.iter().map(|node| (node.member, node.incarnation)).collect();
    let lanes: BTreeMap<(MemberId, Incarnation), usize> = feeds.into_iter().zip(0..).collect();
    let steps = steps(lineage);
    let width = NAMES + STEP * (steps.values().max().copied().unwrap_or_default() + 1);
    let width = width.max(LEGEND_WIDTH);
    let below = LANE * lanes.len() + 10;
    let height = below + LEGEND;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" font-family=\"sans-serif\" font-size=\"11\">\n<title>Lineage</title>\n"
    );
    for ((member, incarnation), lane) in &lanes {
        let (y, name) = (LANE * lane + LANE / 2, markup(ancestry.label(member)));
        // Writing to a string does not fail.
        let _ = writeln!(out, "<text x=\"4\" y=\"{}\">{name} .{incarnation}</text>", y + 4);
        let _ = writeln!(out, "<line x1=\"{NAMES}\" y1=\"{y}\" x2=\"{width}\" y2=\"{y}\" stroke=\"#ddd\"/>");
    }
    let places: BTreeMap<RecordId, (usize, usize)> = lineage
        .nodes
        .iter()
        .filter_map(|node| {
            let lane = lanes.get(&(node.member, node.incarnation))?;
            Some((node.id, (NAMES + STEP * steps.get(&node.id)? + STEP / 2, LANE * lane + LANE / 2)))
        })
        .collect();
    for node in &lineage.nodes {
        let Some((x, y)) = places.get(&node.id) else { continue };
        for (before, (from, lane)) in node.before().filter_map(|id| Some((id, places.get(&id)?))) {
            let colour = if node.parents.contains(&before) { "#789" } else { "#ccc" };
            let middle = usize::midpoint(*from, *x);
            let _ = writeln!(
                out,
                "<path d=\"M{from} {lane} C{middle} {lane} {middle} {y} {x} {y}\" fill=\"none\" stroke=\"{colour}\"/>"
            );
        }
    }
    for node in &lineage.nodes {
        let Some((x, y)) = places.get(&node.id) else { continue };
        let fill = match (node.stand, node.kind) {
            (Stand::Loose | Stand::Void, _) => "#fff",
            (_, Kind::Update) => "#47a",
            (_, Kind::Release) => "#b72",
            _ => "#888",
        };
        let ring = if lineage.of.contains(&node.id) { " stroke-width=\"3\"" } else { "" };
        let round = node.round.map_or_else(String::new, |round| round.to_string());
        let _ = writeln!(
            out,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"6\" fill=\"{fill}\" stroke=\"#123\"{ring}><title>{}: {}</title></circle>\
             <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" font-size=\"8\">{round}</text>",
            node.id,
            markup(&what(node)),
            y + 15
        );
    }
    legend(&mut out, below);
    out + "</svg>\n"
}

/// What colours and lines mean.
fn legend(out: &mut String, y: usize) {
    let marks = [("#47a", "update"), ("#b72", "release"), ("#888", "other record"), ("#fff", "does not count")];
    let (text, mark) = (y + 14, y + 5);
    for (at, (colour, what)) in (0..).zip(marks) {
        let x = 4 + at * 110;
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{mark}\" width=\"10\" height=\"10\" rx=\"5\" fill=\"{colour}\" stroke=\"#123\"/>\
             <text x=\"{}\" y=\"{text}\">{what}</text>",
            x + 15
        );
    }
    let (text, mark) = (text + 20, mark + 20);
    for (x, colour, what) in [(4, "#789", "merged or released"), (164, "#ccc", "the record before")] {
        let (y, end) = (mark + 5, x + 24);
        let _ = writeln!(
            out,
            "<line x1=\"{x}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{}\" y=\"{text}\">{what}</text>",
            end + 5
        );
    }
    let _ = writeln!(out, "<text x=\"324\" y=\"{text}\">thick rim: asked for</text>");
}

/// How far to the right a record stands: one step beyond the rightmost that it builds on.
fn steps(lineage: &Lineage) -> BTreeMap<RecordId, usize> {
    let mut steps: BTreeMap<RecordId, usize> = BTreeMap::new();
    // The oldest first: by clock, a record comes after all that it builds on.
    for node in lineage.nodes.iter().rev() {
        let before = node.before().filter_map(|id| steps.get(&id)).max();
        let step = before.map_or(0, |step| step + 1);
        steps.insert(node.id, step);
    }
    steps
}
