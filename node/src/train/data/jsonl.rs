//! From a line of a JSON-lines file to an example.

use serde_json::{Map, Value};

use super::Example;
use crate::train::Format;

/// Why a line is no example.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReason {
    /// Not JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// JSON, but not an object.
    #[error("JSON, but not an object")]
    NotObject,
    /// None of the known sets of fields.
    #[error("fields {got}; wanted {wanted}")]
    Fields {
        /** the fields that came, cut */
        got: String,
        /** what would do */
        wanted: String,
    },
    /// A field that is not a text.
    #[error("field {0:?} is not a text")]
    NotText(String),
    /// Nothing to learn from.
    #[error("nothing follows the prompt, or the text is blank")]
    Blank,
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// More bytes than the bound.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// The last line has no line feed and is not whole.
    #[error("unfinished last line")]
    Unfinished,
}

/// The example of a line: a text, a prompt and completion, or a question and answer, by the first set of fields that is
/// there.
///
/// # Errors
/// The line is not such an object.
pub fn parse_line(line: &str, format: &Format) -> Result<Example, BadReason> {
    let value: Value = serde_json::from_str(line).map_err(|error| BadReason::NotJson(error.to_string()))?;
    let Value::Object(fields) = value else { return Err(BadReason::NotObject) };
    let example = if let Some(text) = field(&fields, &format.text)? {
        Example::text(text)
    } else if let Some((prompt, completion)) = pair(&fields, &format.prompt, &format.completion)? {
        Example::prompted(prompt, completion)
    } else if let Some((question, answer)) = pair(&fields, &format.question, &format.answer)? {
        Example::asked(&format.template, question, answer)
    } else {
        let got = fields.keys().take(8).map(|name| name.chars().take(32).collect()).collect::<Vec<String>>().join(", ");
        let Format { text, prompt, completion, question, answer, .. } = format;
        let wanted = format!("{text}, or {prompt} and {completion}, or {question} and {answer}");
        return Err(BadReason::Fields { got, wanted });
    };
    example.ok_or(BadReason::Blank)
}

fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, BadReason> {
    match fields.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(BadReason::NotText(name.to_owned())),
    }
}

fn pair<'a>(
    fields: &'a Map<String, Value>,
    first: &str,
    second: &str,
) -> Result<Option<(&'a str, &'a str)>, BadReason> {
    if fields.contains_key(first) && fields.contains_key(second) {
        Ok(field(fields, first)?.zip(field(fields, second)?))
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_fields_makes_an_example() {
        let format = Format::default();
        let parts = |line| parse_line(line, &format).map(|e| (e.prompt().to_owned(), e.completion().to_owned()));
        assert_eq!(parts(r#"{"text": "Hello"}"#), Ok((String::new(), "Hello".into())));
        assert_eq!(parts(r#"{"prompt": "a", "completion": "b", "id": 1}"#), Ok(("a".into(), "b".into())));
        assert_eq!(parts(r#"{"question": "q", "answer": "a"}"#), Ok(("Question: q\nAnswer:".into(), " a".into())));
    }

    #[test]
    fn field_names_are_configurable() {
        let format = Format { question: "q".into(), answer: "a".into(), ..Format::default() };
        assert!(parse_line(r#"{"q": "x", "a": "y"}"#, &format).is_ok());
        assert!(parse_line(r#"{"question": "x", "answer": "y"}"#, &format).is_err());
    }

    #[test]
    fn every_unusable_line_has_its_reason() {
        let reason = |line| parse_line(line, &Format::default()).unwrap_err();
        assert!(matches!(reason("{"), BadReason::NotJson(_)));
        assert_eq!(reason("[1]"), BadReason::NotObject);
        assert!(matches!(reason(r#"{"a": 1}"#), BadReason::Fields { .. }));
        assert_eq!(reason(r#"{"text": 5}"#), BadReason::NotText("text".into()));
        assert_eq!(reason(r#"{"prompt": "a", "completion": " "}"#), BadReason::Blank);
    }
}
