//! Hand-written `Serialize` and `Deserialize` by macro: structs as maps with integer keys, enums as integers, and
//! fixed byte strings.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A struct as a map: `map! { Type { [0 field] [1 optional ?] [2 array raw] } }`, keys ascending. `?` omits an absent
/// option, `list` an empty list; `raw` writes `[u8; 32]` as a byte string. An unknown, missing or doubled key is an error.
macro_rules! map {
    ($type:ident $(<$of:ident>)? { $([$key:literal $field:ident $($mode:tt)*])+ }) => {
        impl$(<$of: serde::Serialize>)? serde::Serialize for $type$(<$of>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap as _;
                let length = 0 $(+ $crate::code::map::map!(@count self.$field, $($mode)*))+;
                let mut map = serializer.serialize_map(Some(length))?;
                $($crate::code::map::map!(@put map, $key, self.$field, $($mode)*);)+
                map.end()
            }
        }

        impl<'de $(, $of: serde::Deserialize<'de>)?> serde::Deserialize<'de> for $type$(<$of>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor<T>(std::marker::PhantomData<T>);

                impl<'de $(, $of: serde::Deserialize<'de>)?> serde::de::Visitor<'de> for Visitor<$type$(<$of>)?> {
                    type Value = $type$(<$of>)?;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("the map of ", stringify!($type)))
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        use serde::de::Error as _;
                        $(let mut $field = None;)+
                        while let Some(key) = map.next_key::<u8>()? {
                            match key {
                                $($key => {
                                    if $field.is_some() {
                                        return Err(A::Error::duplicate_field(stringify!($field)));
                                    }
                                    $field = Some($crate::code::map::map!(@next map, $($mode)*));
                                })+
                                _ => return Err(A::Error::custom(format_args!(
                                    concat!("key {} is not of ", stringify!($type)), key
                                ))),
                            }
                        }
                        Ok($type { $($field: $crate::code::map::map!(@take A, $field, $($mode)*)),+ })
                    }
                }
                deserializer.deserialize_map(Visitor(std::marker::PhantomData))
            }
        }
    };
    (@count $value:expr, ? $($raw:ident)?) => { usize::from($value.is_some()) };
    (@count $value:expr, list) => { usize::from(!$value.is_empty()) };
    (@count $value:expr, $($raw:ident)?) => { 1 };
    (@put $map:ident, $key:literal, $value:expr, ? raw) => {
        if let Some(value) = $value { $map.serialize_entry(&$key, &$crate::code::map::Raw(value))?; }
    };
    (@put $map:ident, $key:literal, $value:expr, ?) => {
        if let Some(value) = &$value { $map.serialize_entry(&$key, value)?; }
    };
    (@put $map:ident, $key:literal, $value:expr, list) => {
        if !$value.is_empty() { $map.serialize_entry(&$key, &$value)?; }
    };
    (@put $map:ident, $key:literal, $value:expr, raw) => {
        $map.serialize_entry(&$key, &$crate::code::map::Raw($value))?
    };
    (@put $map:ident, $key:literal, $value:expr,) => { $map.serialize_entry(&$key, &$value)? };
    (@next $map:ident, $(?)? raw) => { $map.next_value::<$crate::code::map::Raw<32>>()?.0 };
    (@next $map:ident, list) => { $map.next_value::<$crate::code::map::Filled<_>>()?.0 };
    (@next $map:ident, $(?)?) => { $map.next_value()? };
    (@take $access:ident, $field:ident, ? $($raw:ident)?) => { $field };
    (@take $access:ident, $field:ident, list) => { $field.unwrap_or_default() };
    (@take $access:ident, $field:ident, $($raw:ident)?) => {
        $field.ok_or_else(|| $access::Error::missing_field(stringify!($field)))?
    };
}
pub(crate) use map;

/// An enum without fields as an integer: `numbers! { Type { One = 1, Two = 2 } }`. Any other number is an error.
macro_rules! numbers {
    ($type:ident { $($variant:ident = $number:literal),+ $(,)? }) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u64(match self { $(Self::$variant => $number),+ })
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match u64::deserialize(deserializer)? {
                    $($number => Ok(Self::$variant),)+
                    other => Err(serde::de::Error::custom(format_args!(
                        concat!("{} is not a number of ", stringify!($type)), other
                    ))),
                }
            }
        }
    };
}
pub(crate) use numbers;

/// N bytes as a byte string; without this, serde writes an array of integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Raw<const N: usize>(pub(crate) [u8; N]);

impl<const N: usize> Serialize for Raw<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Raw<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const N: usize>;

        impl<const N: usize> de::Visitor<'_> for Visitor<N> {
            type Value = Raw<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Raw<N>, E> {
                bytes.try_into().map(Raw).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// A list that is not empty: an empty one is written by leaving it out.
pub(crate) struct Filled<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Filled<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let list = Vec::deserialize(deserializer)?;
        if list.is_empty() { Err(de::Error::custom("an empty list that is there")) } else { Ok(Self(list)) }
    }
}

/// Any number of bytes as a byte string; what holds it bounds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob(pub(crate) Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use crate::code::cbor::{self, Bounds};

    #[derive(Debug, PartialEq)]
    struct Things {
        count: u64,
        name: Option<String>,
        digest: Option<[u8; 32]>,
        kind: Kind,
        list: Vec<u64>,
    }

    #[derive(Debug, PartialEq)]
    enum Kind {
        One,
        Two,
    }

    map! { Things { [0 count] [1 name ?] [2 digest ? raw] [5 kind] [6 list list] } }
    numbers! { Kind { One = 1, Two = 2 } }

    fn decode(hex: &str) -> Result<Things, String> {
        cbor::decode(&hex::decode(hex).unwrap(), Bounds::RECORD).map_err(|error| error.to_string())
    }

    #[test]
    fn a_struct_is_a_map_with_integer_keys_and_absent_options_are_omitted() {
        let full = Things { count: 7, name: Some("ab".into()), digest: Some([1; 32]), kind: Kind::Two, list: vec![] };
        let bytes = cbor::encode(&full);
        assert_eq!(hex::encode(&bytes), format!("a40007016261620258 20{}0502", "01".repeat(32)).replace(' ', ""));
        assert_eq!(decode(&hex::encode(bytes)).unwrap(), full);
        let least = Things { count: 7, name: None, digest: None, kind: Kind::One, list: vec![] };
        assert_eq!(hex::encode(cbor::encode(&least)), "a200070501");
        assert_eq!(decode("a200070501").unwrap(), least);
        let listed = Things { list: vec![9], ..least };
        assert_eq!(hex::encode(cbor::encode(&listed)), "a300070501068109");
        assert_eq!(decode("a300070501068109").unwrap(), listed);
    }

    #[test]
    fn unknown_missing_and_misshapen_fields_are_refused_by_name() {
        for (hex, word) in [
            ("a10007", "kind"),
            ("a10501", "count"),
            ("a30007030005 01", "key 3"),
            ("a300070501 0680", "an empty list"),
            ("a200070503", "3 is not a number of Kind"),
            ("a3000702410105 01", "32 bytes"),
            ("a200610005 01", "CBOR"),
            ("820701", "Things"),
        ] {
            let hex = hex.replace(' ', "");
            let error = decode(&hex).unwrap_err();
            assert!(error.contains(word) || word == "CBOR", "{hex}: {error}");
        }
    }

    #[test]
    fn a_doubled_key_is_refused_by_the_typed_decode_alone() {
        let error = cbor::typed::<Things>(&hex::decode("a3000700070501").unwrap()).unwrap_err();
        assert!(error.to_string().contains("duplicate field `count`"), "{error}");
    }

    #[test]
    fn what_is_not_its_own_encoding_is_refused_by_the_third_gate_alone() {
        // An integer in two bytes, keys out of order: the typed decode takes both.
        for lenient in ["a20018070501", "a205010007"] {
            let error = cbor::typed::<Things>(&hex::decode(lenient).unwrap()).unwrap_err();
            assert_eq!(error.code(), "CBOR-017", "{lenient}");
        }
    }
}
