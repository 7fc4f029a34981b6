//! Blobs read from an archive: there or not, and right or not.

use std::io;

use bytes::Bytes;

use super::{layout::Name, source::Source};
use crate::{
    base::{BlobHash, limit},
    feed::Body,
};

/// Why a blob cannot be used.
#[derive(Debug, Clone)]
pub(super) enum Lack {
    /// It is not in the archive.
    Missing,
    /// It is there and wrong: a code, and what was found.
    Wrong(&'static str, String),
}

/// The bytes of `name`, if they are those that the author signed.
pub(super) fn read(source: &Source<'_>, name: Name, body: Body) -> io::Result<Result<Bytes, Lack>> {
    read_along(source, name, body, &mut |_| {})
}

/// As [`read`]; `look` is shown what has come so far whenever some of it has, before its hash is known to be right.
pub(super) fn read_along(
    source: &Source<'_>,
    name: Name,
    body: Body,
    look: &mut dyn FnMut(&[u8]),
) -> io::Result<Result<Bytes, Lack>> {
    let Some(length) = source.length(name) else { return Ok(Err(Lack::Missing)) };
    if length != body.length || length > limit::BLOB_BYTES {
        let text = format!("{name} has {length} bytes, its author signed {}", body.length);
        return Ok(Err(Lack::Wrong("BLB-004", text)));
    }
    let mut hasher = blake3::Hasher::new();
    let mut hashed = 0;
    let bytes = source.read_along(name, limit::BLOB_BYTES, &mut |so_far| {
        hasher.update(so_far.get(hashed..).unwrap_or_default());
        hashed = so_far.len();
        look(so_far);
    })?;
    let got = BlobHash(*hasher.finalize().as_bytes());
    if got != body.hash {
        return Ok(Err(Lack::Wrong("BLB-003", format!("the bytes of {name} have the hash {got}"))));
    }
    Ok(Ok(bytes))
}
