//! What the program says: for people on a terminal, JSON lines elsewhere or when asked; foreign text never reaches the
//! terminal unescaped.

use std::io::{IsTerminal, Write};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

/// Where and how to say things.
#[derive(Debug, Clone)]
pub(crate) struct Out {
    json: bool,
    terminal: bool,
    bars: MultiProgress,
}

impl Out {
    /// JSON when `json` asks for it.
    pub(crate) fn new(json: bool) -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal() && !json;
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { json, terminal, bars: MultiProgress::with_draw_target(target) }
    }

    /// Whether JSON was asked for.
    #[cfg(feature = "torch")]
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Whether somebody watches.
    pub(crate) fn terminal(&self) -> bool {
        self.terminal
    }

    /// A line for people, above any progress bar. It must hold no foreign text but through [`safe`]. Nothing if JSON.
    pub(crate) fn line(&self, text: impl AsRef<str>) {
        if !self.json {
            self.put(text.as_ref());
        }
    }

    /// A result: `value` as one JSON line, or `text` for people.
    pub(crate) fn result(&self, value: &Value, text: impl AsRef<str>) {
        if self.json {
            self.put(&value.to_string());
        } else {
            self.put(text.as_ref());
        }
    }

    /// One JSON line, whatever was asked for.
    pub(crate) fn record(&self, value: &Value) {
        self.put(&value.to_string());
    }

    /// A bar of `length` steps; hidden without a terminal.
    pub(crate) fn bar(&self, label: &str, length: u64) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(length));
        let style = ProgressStyle::with_template("{prefix:>12} [{bar:24}] {pos:>4}/{len} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        bar.set_prefix(safe(label));
        bar
    }

    fn put(&self, text: &str) {
        // A reader that went away is no reason to fail: the work counts.
        self.bars.suspend(|| {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{text}").and_then(|()| out.flush());
        });
    }
}

/// `text` with control characters and invisible direction marks escaped, so that a peer or a file cannot drive the terminal.
pub(crate) fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let hidden =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || hidden { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// As [`safe`], but keeps line breaks.
pub(crate) fn safe_lines(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("\n")
}

/// Bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["B", "kB", "MB", "GB"];
    #[allow(clippy::cast_precision_loss)]
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_drive_the_terminal() {
        assert_eq!(safe("a\u{1b}[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c\\u{a}");
        assert_eq!(safe_lines("a\nb\u{7}"), "a\nb\\u{7}");
        assert_eq!(safe("żółć 病院"), "żółć 病院");
    }

    #[test]
    fn bytes_have_units() {
        assert_eq!(
            (bytes(999).as_str(), bytes(1500).as_str(), bytes(2_000_000).as_str()),
            ("999 B", "1.5 kB", "2.0 MB")
        );
    }
}
