//! Loss curves as one SVG, without any library.

use std::fmt::Write as _;

/// One curve.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) label: String,
    /// (round, nats per token), rounds ascending.
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) style: Style,
}

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A member of the network.
    Federated,
    /// A member by itself.
    Alone,
    /// All data in one place.
    Pooled,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 480.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 56.0;
const COLOURS: [&str; 8] = ["#1b6ca8", "#c0392b", "#1e8449", "#8e44ad", "#b7950b", "#117a65", "#d35400", "#5d6d7e"];

/// Draws the curves.
pub(crate) fn svg(title: &str, series: &[Series]) -> String {
    let points = || series.iter().flat_map(|one| &one.points).filter(|(x, y)| x.is_finite() && y.is_finite());
    let last = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let high = points().map(|(_, y)| *y).fold(f64::NEG_INFINITY, f64::max);
    let low = points().map(|(_, y)| *y).fold(f64::INFINITY, f64::min).clamp(-1.0, 0.0);
    let high = if high.is_finite() && high > low { high * 1.05 } else { low + 1.0 };
    let x = |round: f64| LEFT + round / last * (WIDTH - LEFT - RIGHT);
    let y = |loss: f64| TOP + (high - loss) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let mut out = String::new();
    let _ = writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#fff"/>
<text x="{LEFT}" y="28" font-size="16">{}</text>"##,
        escape(title)
    );
    axes(&mut out, last, (low, high), &x, &y);
    let mut colours = [0_usize; 2];
    for (at, one) in series.iter().enumerate() {
        let (colour, dash, width) = match one.style {
            Style::Pooled => ("#000000", "", 2.5),
            Style::Federated => (next(&mut colours[0]), "", 2.0),
            Style::Alone => (next(&mut colours[1]), " stroke-dasharray=\"5 4\"", 1.3),
        };
        let path: Vec<String> = one
            .points
            .iter()
            .filter(|(_, loss)| loss.is_finite())
            .map(|(round, loss)| format!("{:.1},{:.1}", x(*round), y(*loss)))
            .collect();
        let _ = writeln!(
            out,
            r#"<polyline fill="none" stroke="{colour}" stroke-width="{width}"{dash} points="{}"/>"#,
            path.join(" ")
        );
        #[allow(clippy::cast_precision_loss)]
        let row = TOP + 10.0 + 20.0 * at as f64;
        let (from, to) = (WIDTH - RIGHT + 14.0, WIDTH - RIGHT + 44.0);
        let _ = writeln!(
            out,
            r##"<line x1="{from}" x2="{to}" y1="{row}" y2="{row}" stroke="{colour}" stroke-width="{width}"{dash}/>
<text x="{}" y="{}" fill="#222">{}</text>"##,
            to + 6.0,
            row + 4.0,
            escape(&one.label)
        );
    }
    out.push_str("</svg>\n");
    out
}

fn axes(out: &mut String, last: f64, (low, high): (f64, f64), x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let step = nice((high - low) / 6.0);
    let mut loss = (low / step).ceil() * step;
    while loss <= high {
        let at = y(loss);
        let _ = writeln!(
            out,
            r##"<line x1="{LEFT}" x2="{right}" y1="{at:.1}" y2="{at:.1}" stroke="#ddd"/><text x="{}" y="{:.1}" text-anchor="end" fill="#444">{loss:.1}</text>"##,
            LEFT - 8.0,
            at + 4.0
        );
        loss += step;
    }
    let step = nice(last / 8.0).max(1.0);
    let mut round = 0.0;
    while round <= last {
        let at = x(round);
        let _ = writeln!(
            out,
            r##"<text x="{at:.1}" y="{}" text-anchor="middle" fill="#444">{round:.0}</text>"##,
            bottom + 18.0
        );
        round += step;
    }
    let _ = writeln!(
        out,
        r##"<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#222"/>
<text x="{}" y="{}" text-anchor="middle" fill="#222">rounds</text>
<text transform="translate(18 {}) rotate(-90)" text-anchor="middle" fill="#222">held-out loss, nats per token</text>"##,
        f64::midpoint(LEFT, right),
        bottom + 42.0,
        f64::midpoint(TOP, bottom)
    );
}

/// 1, 2 or 5 times a power of ten, at least `wanted`.
fn nice(wanted: f64) -> f64 {
    let base = 10_f64.powf(wanted.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * base).find(|step| *step >= wanted).unwrap_or(base * 10.0)
}

fn next(at: &mut usize) -> &'static str {
    *at += 1;
    COLOURS[(*at - 1) % COLOURS.len()]
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_curve_is_drawn_and_labels_are_escaped() {
        let series = [
            Series {
                label: "a<b".into(),
                points: vec![(0.0, 3.0), (1.0, 2.0), (2.0, f64::NAN)],
                style: Style::Federated,
            },
            Series { label: "pooled".into(), points: vec![(0.0, 3.0), (20.0, 0.1)], style: Style::Pooled },
        ];
        let svg = svg("loss & more", &series);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("a&lt;b") && svg.contains("loss &amp; more") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn nothing_to_draw_is_still_a_picture() {
        let svg = svg("", &[]);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"));
    }
}
