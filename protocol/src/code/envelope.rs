//! What is signed and its signature: the CBOR array `[payload: bstr, signature: bstr64]`.

use bytes::Bytes;

use super::{
    AuthorKey, Domain, Signature,
    cbor::{CborError, Rule},
    walk::Reader,
};

/// A payload and a signature of which nothing is known.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    /// A part of the envelope's own bytes.
    pub(crate) payload: Bytes,
    /// 64 bytes.
    pub(crate) signature: Signature,
}

impl Envelope {
    /// Splits an envelope of at most `limit` bytes. Nothing is copied.
    pub(crate) fn split(bytes: &Bytes, limit: usize) -> Result<Self, CborError> {
        if bytes.len() > limit {
            return Err(CborError::TooLong { got: bytes.len(), limit });
        }
        let mut reader = Reader::new(bytes);
        if reader.expect(4)? != 2 {
            return Err(CborError::Strict { offset: 0, rule: Rule::Shape });
        }
        let length = reader.expect(2)?;
        let start = reader.at();
        reader.take(length)?;
        let payload = bytes.slice(start..reader.at());
        let offset = reader.at();
        let length = reader.expect(2)?;
        let signature = reader.take(length)?;
        let signature = signature.try_into().map_err(|_| CborError::Strict { offset, rule: Rule::Shape })?;
        reader.end()?;
        Ok(Self { payload, signature: Signature(signature) })
    }

    /// Signs `payload` and returns the envelope's bytes.
    pub(crate) fn seal(domain: Domain, payload: &[u8], key: &AuthorKey) -> Bytes {
        use super::map::{Blob, Raw};
        let signature = Raw(key.sign(domain, payload).0);
        super::cbor::encode(&(Blob(payload.to_vec()), signature)).into()
    }
}
