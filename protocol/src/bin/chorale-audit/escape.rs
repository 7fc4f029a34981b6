//! Foreign text made harmless for a terminal.

/// Control characters, and those that reorder or hide text, written out.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        let hides = matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
        if character.is_control() || hides {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// As [`escape`], and nothing in it is markup of HTML or XML, in a text or in a quoted attribute.
pub(crate) fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in escape(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_escape_sequence_and_no_reordering_reaches_a_terminal() {
        let hostile = "a\u{1b}[2Jb\rc\nd\u{9b}e\u{202e}f";
        assert_eq!(escape(hostile), "a\\u{1b}[2Jb\\u{d}c\\u{a}d\\u{9b}e\\u{202e}f");
        assert_eq!(markup("<b a=\"'\">&\n"), "&lt;b a=&quot;&#39;&quot;&gt;&amp;\\u{a}");
        assert_eq!(escape("Grüße, 東京 ±"), "Grüße, 東京 ±");
    }
}
