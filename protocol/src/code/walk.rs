//! The strict walk over CBOR bytes: no recursion, and nothing is allocated by a claimed length.

use std::fmt;

use super::cbor::{Bounds, CborError};
use crate::base::limit;

/// A rule of the strict walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// The bytes end inside an item.
    Truncated,
    /// Bytes follow the one item.
    Trailing,
    /// A head is longer than its value needs.
    Minimal,
    /// A length is not given at the start.
    Indefinite,
    /// Additional information 28 to 30.
    Reserved,
    /// A tag.
    Tag,
    /// A float or a simple value.
    Simple,
    /// A negative integer.
    Negative,
    /// An integer of 2^53 or more.
    Integer,
    /// A map key that is not an integer from 0 to 23.
    Key,
    /// Map keys that do not ascend.
    Order,
    /// A text outside of the allowed characters, or too long.
    Text,
    /// Nested too deep.
    Depth,
    /// Too many items.
    Items,
    /// Another shape than the one expected here.
    Shape,
}

impl Rule {
    /// A stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Truncated => "CBOR-002",
            Self::Trailing => "CBOR-003",
            Self::Minimal => "CBOR-004",
            Self::Indefinite => "CBOR-005",
            Self::Reserved => "CBOR-006",
            Self::Tag => "CBOR-007",
            Self::Simple => "CBOR-008",
            Self::Negative => "CBOR-009",
            Self::Integer => "CBOR-010",
            Self::Key => "CBOR-011",
            Self::Order => "CBOR-012",
            Self::Text => "CBOR-013",
            Self::Depth => "CBOR-014",
            Self::Items => "CBOR-015",
            Self::Shape => "CBOR-018",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the bytes end inside an item",
            Self::Trailing => "bytes follow the item; one item is wanted",
            Self::Minimal => "a head longer than its value needs",
            Self::Indefinite => "an indefinite length; lengths stand at the start",
            Self::Reserved => "a reserved head",
            Self::Tag => "a tag; none are allowed",
            Self::Simple => "a float or simple value; none are allowed",
            Self::Negative => "a negative integer; none are allowed",
            Self::Integer => "an integer of 2^53 or more",
            Self::Key => "a map key that is not an integer from 0 to 23",
            Self::Order => "map keys that do not strictly ascend",
            Self::Text => "a text of other characters than A-Z a-z 0-9 . _ / -, or of more than 128",
            Self::Depth => "arrays and maps nested too deep",
            Self::Items => "too many items",
            Self::Shape => "another shape than the one expected here",
        })
    }
}

/// An array or map whose end was not reached.
struct Open {
    /// Items to come, keys included.
    left: u64,
    /// For a map: the smallest key that may come next.
    key: Option<u64>,
    /// For a map: a key is next.
    at_key: bool,
}

/// Walks over one item and all in it.
pub(super) fn walk(bytes: &[u8], bounds: Bounds) -> Result<(), CborError> {
    let mut reader = Reader::new(bytes);
    let mut open: Vec<Open> = Vec::with_capacity(bounds.depth.min(16));
    let mut items = 0;
    loop {
        let offset = reader.at;
        items += 1;
        if items > bounds.items {
            return Err(broken(offset, Rule::Items));
        }
        let mut is_key = false;
        if let Some(parent) = open.last_mut() {
            parent.left -= 1;
            if let Some(least) = &mut parent.key {
                is_key = parent.at_key;
                parent.at_key = !is_key;
                if is_key {
                    *least = reader.key(*least)? + 1;
                }
            }
        }
        if !is_key && let Some(inner) = reader.item()? {
            if open.len() >= bounds.depth {
                return Err(broken(offset, Rule::Depth));
            }
            if inner.left > (bounds.items - items) as u64 {
                return Err(broken(offset, Rule::Items));
            }
            open.push(inner);
        }
        while open.last().is_some_and(|inner| inner.left == 0) {
            open.pop();
        }
        if open.is_empty() {
            return reader.end();
        }
    }
}

fn broken(offset: usize, rule: Rule) -> CborError {
    CborError::Strict { offset, rule }
}

/// Reads heads and strings, strictly.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The place of the next byte.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// Nothing follows.
    pub(super) fn end(&self) -> Result<(), CborError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(broken(self.at, Rule::Trailing)) }
    }

    /// The version under key 0, with which every map of ours begins.
    pub(super) fn version(&mut self) -> Result<u64, CborError> {
        self.expect(5)?;
        self.field(0, 0)
    }

    /// The head value of the entry `key`, which must be next and of major type `major`.
    pub(super) fn field(&mut self, key: u64, major: u8) -> Result<u64, CborError> {
        let offset = self.at;
        if self.expect(0)? != key {
            return Err(broken(offset, Rule::Shape));
        }
        self.expect(major)
    }

    /// The head value of the next item, which must be of major type `major`.
    pub(super) fn expect(&mut self, major: u8) -> Result<u64, CborError> {
        let offset = self.at;
        let (got, value) = self.head()?;
        if got == major { Ok(value) } else { Err(broken(offset, Rule::Shape)) }
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], CborError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let taken = taken.ok_or_else(|| broken(self.at, Rule::Truncated))?;
        self.at += taken.len();
        Ok(taken)
    }

    /// A map key, not below `least`.
    fn key(&mut self, least: u64) -> Result<u64, CborError> {
        let offset = self.at;
        match self.bytes.get(offset) {
            Some(&byte) if byte < 24 => {
                self.at += 1;
                if u64::from(byte) < least { Err(broken(offset, Rule::Order)) } else { Ok(u64::from(byte)) }
            }
            Some(_) => Err(broken(offset, Rule::Key)),
            None => Err(broken(offset, Rule::Truncated)),
        }
    }

    /// One scalar or string whole, or the head of an array or map.
    fn item(&mut self) -> Result<Option<Open>, CborError> {
        let offset = self.at;
        let (major, value) = self.head()?;
        let rest = (self.bytes.len() - self.at) as u64;
        match major {
            0 if value > limit::UINT_MAX => Err(broken(offset, Rule::Integer)),
            0 => Ok(None),
            2 => self.take(value).map(|_| None),
            3 => {
                let text = self.take(value)?;
                let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._/-".contains(byte);
                if text.len() > limit::TEXT_CHARS || !text.iter().all(allowed) {
                    return Err(broken(offset, Rule::Text));
                }
                Ok(None)
            }
            4 if value > rest => Err(broken(offset, Rule::Truncated)),
            4 => Ok(Some(Open { left: value, key: None, at_key: false })),
            _ if value > 24 => Err(broken(offset, Rule::Key)),
            _ => Ok(Some(Open { left: 2 * value, key: Some(0), at_key: true })),
        }
    }

    /// Major type (0, 2, 3, 4 or 5) and value of the next head.
    fn head(&mut self) -> Result<(u8, u64), CborError> {
        let offset = self.at;
        let first = *self.bytes.get(offset).ok_or_else(|| broken(offset, Rule::Truncated))?;
        let (major, info) = (first >> 5, first & 31);
        match (major, info) {
            (7, 31) | (0..=6, 31) => return Err(broken(offset, Rule::Indefinite)),
            (_, 28..=30) => return Err(broken(offset, Rule::Reserved)),
            (1, _) => return Err(broken(offset, Rule::Negative)),
            (6, _) => return Err(broken(offset, Rule::Tag)),
            (7, _) => return Err(broken(offset, Rule::Simple)),
            _ => self.at += 1,
        }
        let (length, least) = match info {
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            _ => return Ok((major, u64::from(info))),
        };
        let value = self.take(length)?.iter().fold(0, |value, &byte| value << 8 | u64::from(byte));
        if value < least {
            return Err(broken(offset, Rule::Minimal));
        }
        Ok((major, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> (usize, Rule) {
        match walk(bytes, Bounds::RECORD) {
            Err(CborError::Strict { offset, rule }) => (offset, rule),
            other => panic!("{}: {other:?}", hex::encode(bytes)),
        }
    }

    #[test]
    fn a_refusal_names_the_byte() {
        assert_eq!(refusal(&[0x83, 0x00, 0x18, 0x05, 0x00]), (2, Rule::Minimal));
        assert_eq!(refusal(&[0xa2, 0x01, 0x00, 0x00, 0x00]), (3, Rule::Order));
        assert_eq!(refusal(&[0x80, 0x00]), (1, Rule::Trailing));
        assert_eq!(refusal(&[0xa1, 0x00, 0xf6]), (2, Rule::Simple));
    }

    #[test]
    fn every_cut_is_noticed() {
        let whole = hex::decode("a4000101820203024301020303a1006161").unwrap();
        walk(&whole, Bounds::RECORD).unwrap();
        for length in 0..whole.len() {
            assert_eq!(refusal(&whole[..length]).1, Rule::Truncated, "{length} bytes");
        }
    }

    #[test]
    fn bounds_hold_to_the_item_and_level() {
        let bounds = |items, depth| Bounds { bytes: 100, items, depth };
        let three = [0x82, 0x00, 0x81, 0x00];
        walk(&three, bounds(4, 2)).unwrap();
        let rule = |bounds| walk(&three, bounds).unwrap_err().code();
        assert_eq!((rule(bounds(3, 2)), rule(bounds(4, 1))), ("CBOR-015", "CBOR-014"));
        assert_eq!(walk(&[0x00], bounds(0, 0)).unwrap_err().code(), "CBOR-015");
    }
}
