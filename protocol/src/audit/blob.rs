//! Blobs read from an archive: there or not, and right or not.

use std::io;

use bytes::Bytes;

use super::{finding::Notes, layout::Name, source::Source};
use crate::{
    adapter::{Layout, Payload},
    base::limit,
    code::blob_hash,
    feed::Body,
    manifest::Codec,
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
    let Some(length) = source.length(name) else { return Ok(Err(Lack::Missing)) };
    if length != body.length || length > limit::BLOB_BYTES {
        let text = format!("{name} has {length} bytes, its author signed {}", body.length);
        return Ok(Err(Lack::Wrong("BLB-004", text)));
    }
    // A length within the bound gives no finding.
    let Some(bytes) = source.read(name, limit::BLOB_BYTES, &mut Notes::default())? else {
        return Ok(Err(Lack::Missing));
    };
    let got = blob_hash(&bytes);
    if got != body.hash {
        return Ok(Err(Lack::Wrong("BLB-003", format!("the bytes of {name} have the hash {got}"))));
    }
    Ok(Ok(bytes))
}

/// The payload that an update names.
pub(super) fn payload(
    source: &Source<'_>,
    layout: &Layout,
    body: Body,
    codec: Codec,
) -> io::Result<Result<Payload, Lack>> {
    let bytes = match read(source, Name::Blob(body.hash), body)? {
        Ok(bytes) => bytes,
        Err(lack) => return Ok(Err(lack)),
    };
    Ok(Payload::check(layout, codec, bytes).map_err(|error| Lack::Wrong(error.code(), error.to_string())))
}
