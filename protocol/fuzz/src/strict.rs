//! The strict walk accepts what a plain recursive reading of the rules accepts, and no other bytes.

use chorale_protocol::code::cbor::{self, Bounds};

use super::{choices::Choices, refused};

/// One choice, the bounds; then the bytes.
pub fn run(data: &[u8]) -> bool {
    let mut choices = Choices(data);
    let bounds = match choices.byte() % 4 {
        0 => Bounds::RECORD,
        1 => Bounds::MANIFEST,
        2 => Bounds { bytes: 8400, items: 4, depth: 1 },
        _ => Bounds { bytes: 64, items: 9, depth: 2 },
    };
    let bytes = choices.0;
    let result = cbor::strict(bytes, bounds);
    let (mut at, mut items) = (0, bounds.items);
    let plain =
        bytes.len() <= bounds.bytes && item(bytes, &mut at, bounds.depth, &mut items).is_some() && at == bytes.len();
    assert_eq!(result.is_ok(), plain, "{result:?}");
    match result {
        Ok(()) => {
            let value: serde_cbor::Value = serde_cbor::from_slice(bytes).unwrap();
            assert_eq!(serde_cbor::to_vec(&value).unwrap(), bytes);
        }
        Err(error) => drop(refused(error.code(), &error.to_string())),
    }
    plain
}

/// Reads one item at `at`, within so many containers and items; `None` if it breaks a rule.
fn item(bytes: &[u8], at: &mut usize, depth: usize, items: &mut usize) -> Option<()> {
    *items = items.checked_sub(1)?;
    let (major, value) = head(bytes, at)?;
    match major {
        0 => (value < 1 << 53).then_some(()),
        2 => take(bytes, at, value).map(|_| ()),
        3 => {
            let text = take(bytes, at, value)?;
            let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._/-".contains(byte);
            (text.len() <= 128 && text.iter().all(allowed)).then_some(())
        }
        4 => {
            let depth = depth.checked_sub(1)?;
            (0..value).try_for_each(|_| item(bytes, at, depth, items))
        }
        5 => {
            let depth = depth.checked_sub(1)?;
            let mut next = 0;
            (0..value).try_for_each(|_| {
                *items = items.checked_sub(1)?;
                let key = *bytes.get(*at).filter(|key| (next..24).contains(*key))?;
                *at += 1;
                next = key + 1;
                item(bytes, at, depth, items)
            })
        }
        _ => None,
    }
}

/// The major type and the value of a head that is as short as it can be.
fn head(bytes: &[u8], at: &mut usize) -> Option<(u8, u64)> {
    let first = take(bytes, at, 1)?[0];
    let value = match first & 31 {
        small @ 0..24 => u64::from(small),
        info @ 24..28 => {
            let tail = take(bytes, at, 1 << (info - 24))?;
            let value = tail.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
            let least = [24, 1 << 8, 1 << 16, 1 << 32][usize::from(info - 24)];
            Some(value).filter(|value| *value >= least)?
        }
        _ => return None,
    };
    Some((first >> 5, value))
}

fn take<'a>(bytes: &'a [u8], at: &mut usize, count: u64) -> Option<&'a [u8]> {
    let end = at.checked_add(usize::try_from(count).ok()?)?;
    let taken = bytes.get(*at..end)?;
    *at = end;
    Some(taken)
}
