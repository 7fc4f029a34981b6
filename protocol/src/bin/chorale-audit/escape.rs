//! Foreign text made harmless for a terminal.

/// Control characters, and those that reorder or hide text, written out.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// As [`escape`], for a line of JSON: with its own escapes, so that it means the same.
pub(crate) fn json(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for character in line.chars() {
        if is_harmful(character) {
            let units =
                character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            out.push_str(&units);
        } else {
            out.push(character);
        }
    }
    out
}

/// Whether a character moves the cursor, or reorders or hides text.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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
        let value = serde_json::json!({ "file": format!("{hostile}\u{7f}\u{e0041}Grüße") });
        let line = json(&value.to_string());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
        assert!(line.ends_with("\\u009be\\u202ef\\u007f\\udb40\\udc41Grüße\"}"), "{line}");
        assert_eq!(escape("Grüße, 東京 ±"), "Grüße, 東京 ±");
    }
}
