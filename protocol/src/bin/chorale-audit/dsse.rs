//! DSSE envelopes of one signature: an in-toto statement, signed as its bytes are.

use anyhow::{Context, anyhow, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use chorale_protocol::code::{AuthorKey, Domain, PublicKey, Signature};
use serde_json::{Value, json};

/// What every payload here is.
pub(crate) const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The payload's type of every envelope here.
const TYPE: &str = "application/vnd.in-toto+json";
/// Signatures of an envelope that are looked at.
const SIGNATURES: usize = 64;

/// Signs a statement.
pub(crate) fn seal(statement: &Value, key: &AuthorKey) -> String {
    let payload = statement.to_string();
    let signature = key.sign(Domain::Dsse, &encoding(payload.as_bytes()));
    let envelope = json!({
        "payload": STANDARD.encode(payload),
        "payloadType": TYPE,
        "signatures": [{ "keyid": key.public().to_string(), "sig": STANDARD.encode(signature.0) }],
    });
    format!("{envelope}\n")
}

/// The statement in an envelope that this key signed. What the envelope says of keys is not believed.
pub(crate) fn open(envelope: &[u8], key: &PublicKey) -> anyhow::Result<Value> {
    let envelope: Value = serde_json::from_slice(envelope).context("no DSSE envelope")?;
    ensure!(envelope["payloadType"] == TYPE, "the payload's type is not {TYPE}");
    let payload = decoded(&envelope["payload"]).context("payload")?;
    let message = encoding(&payload);
    let signatures = envelope["signatures"].as_array().ok_or_else(|| anyhow!("it has no signatures"))?;
    let verifies = |signature: &Value| {
        let bytes = decoded(&signature["sig"]).ok().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
        bytes.is_some_and(|bytes| key.verify(Domain::Dsse, &message, &Signature(bytes)).is_ok())
    };
    ensure!(signatures.iter().take(SIGNATURES).any(verifies), "no signature verifies under this key");
    serde_json::from_slice(&payload).context("what was signed is no JSON")
}

fn decoded(text: &Value) -> anyhow::Result<Vec<u8>> {
    let text = text.as_str().ok_or_else(|| anyhow!("no text"))?;
    STANDARD.decode(text).map_err(|error| anyhow!("no base64: {error}"))
}

/// The pre-authentication encoding behind its first word, which is the domain.
fn encoding(payload: &[u8]) -> Vec<u8> {
    let head = format!("{} {TYPE} {} ", TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_opens_under_its_key_alone_and_as_it_was_signed() {
        let (key, other) = (AuthorKey::from_seed(&[1; 32]), AuthorKey::from_seed(&[2; 32]));
        let statement = json!({ "a": 1 });
        let sealed = seal(&statement, &key);
        assert_eq!(open(sealed.as_bytes(), &key.public()).unwrap(), statement);
        assert!(open(sealed.as_bytes(), &other.public()).is_err());
        let mut envelope: Value = serde_json::from_str(&sealed).unwrap();
        envelope["payload"] = STANDARD.encode("{\"a\":2}").into();
        assert!(open(envelope.to_string().as_bytes(), &key.public()).is_err());
        assert!(open(b"{}", &key.public()).is_err() && open(b"[", &key.public()).is_err());
    }

    #[test]
    fn the_message_is_the_one_of_the_dsse_specification() {
        let message = [&*Domain::Dsse.bytes(), &encoding(b"hello world")].concat();
        assert_eq!(message, b"DSSEv1 28 application/vnd.in-toto+json 11 hello world");
    }
}
