//! Charts of what members put in, over rounds.

use std::fmt::Write;

use chorale_protocol::{audit::Contribution, base::MemberId};

use crate::escape::markup;

/// Columns that a chart has at most: of more rounds, some share one.
const COLUMNS: u64 = 60;
/// Members that a chart shows at most.
const MEMBERS: usize = 64;
const CELL: u64 = 12;
const NAMES: u64 = 150;
const LEGEND_WIDTH: u64 = 470;

/// A row for each member, a column for so many rounds; the darker, the more was published.
pub(super) fn publications(contributions: &[(MemberId, String, Contribution)]) -> String {
    let legend = "the darker, the more of these rounds it published; white: none";
    chart(contributions, "Publications over rounds", legend, |part, from, to| {
        let count = part.publications.iter().filter(|one| (from..to).contains(&one.round.0)).count() as u64;
        let full = to - from;
        (count > 0).then(|| (count.min(full) * 100 / full, format!("{count} publications")))
    })
}

/// As before; the darker, the farther training moved what was published, of the farthest.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)] // A shade from 0 to 100.
pub(super) fn moved(contributions: &[(MemberId, String, Contribution)]) -> String {
    let all = contributions.iter().flat_map(|(_, _, part)| &part.publications);
    let Some(most) = all.filter_map(|one| one.moved2).max() else { return String::new() };
    let legend = format!(
        "the darker, the farther; darkest: norm {}; white: not published or not measured",
        crate::table::norm(most)
    );
    chart(contributions, "How far training moved the merge, over rounds", &legend, |part, from, to| {
        let within = part.publications.iter().filter(|one| (from..to).contains(&one.round.0));
        let most_here = within.filter_map(|one| one.moved2).max()?;
        let share = if most == 0 { 0.0 } else { (most_here as f64 / most as f64).sqrt() };
        Some(((share * 100.0) as u64, format!("norm {}", crate::table::norm(most_here))))
    })
}

/// `cell` gives a shade, 0 to 100, and a text, for a member and the rounds from the first, inclusive, to the second, exclusive.
fn chart(
    contributions: &[(MemberId, String, Contribution)],
    title: &str,
    legend: &str,
    cell: impl Fn(&Contribution, u64, u64) -> Option<(u64, String)>,
) -> String {
    let rounds = || contributions.iter().flat_map(|(_, _, part)| &part.publications).map(|one| one.round.0);
    let (Some(first), Some(last)) = (rounds().min(), rounds().max()) else { return String::new() };
    let each = (last - first + 1).div_ceil(COLUMNS).max(1);
    let columns = (last - first + 1).div_ceil(each);
    let rows = contributions.len().min(MEMBERS) as u64;
    let width = (NAMES + columns * CELL + 10).max(LEGEND_WIDTH);
    let height = rows * CELL + 48;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" font-family=\"sans-serif\" font-size=\"10\">\n<title>{title}</title>\n"
    );
    for (row, (_, label, part)) in (0..).zip(contributions.iter().take(MEMBERS)) {
        let y = row * CELL;
        // Writing to a string does not fail.
        let _ = writeln!(out, "<text x=\"4\" y=\"{}\">{}</text>", y + CELL - 2, markup(label));
        for column in 0..columns {
            let (from, to) = (first + column * each, first + (column + 1) * each);
            let x = NAMES + column * CELL;
            let (shade, text) = match cell(part, from, to) {
                // At most 99, so that the opacity has two digits.
                Some((shade, text)) => (15 + shade.min(100) * 84 / 100, text),
                None => (0, "nothing".to_owned()),
            };
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{0}\" height=\"{0}\" fill=\"#157\" fill-opacity=\"0.{shade:02}\" \
                 stroke=\"#ddd\"><title>{1}, rounds {from} to {2}: {text}</title></rect>",
                CELL - 1,
                markup(label),
                to - 1
            );
        }
    }
    let y = rows * CELL + 14;
    let _ = writeln!(out, "<text x=\"{NAMES}\" y=\"{y}\">round {first}</text>");
    let end = NAMES + columns * CELL;
    let _ = writeln!(out, "<text x=\"{end}\" y=\"{y}\" text-anchor=\"end\">round {last}</text>");
    let _ = writeln!(out, "<text x=\"4\" y=\"{}\">{legend}</text>", y + 18);
    if contributions.len() > MEMBERS {
        let _ = writeln!(out, "<text x=\"4\" y=\"{y}\">the first {MEMBERS} of {} members</text>", contributions.len());
    }
    out + "</svg>\n"
}
