//! Anchors as users give them: on the command line, or in a file.

use std::path::Path;

use anyhow::{Context, anyhow};
use chorale_protocol::{audit::Anchor, base::NetworkId, manifest::SignedManifest};

use crate::{
    exit::{Exit, OrExit, Trouble},
    file,
};

/// Bytes of a file of anchors.
const ANCHOR_BYTES: u64 = 16 << 20;

/// All anchors of a call, each once, in one order.
pub(crate) fn all(given: &[String], network: NetworkId) -> Result<Vec<Anchor>, Trouble> {
    let mut anchors = Vec::new();
    for text in given {
        anchors.extend(one(text, network)?);
    }
    anchors.sort_unstable();
    anchors.dedup();
    Ok(anchors)
}

/// As `--anchor` takes it.
pub(crate) fn text(anchor: &Anchor) -> String {
    match anchor {
        Anchor::Record(id) => id.to_string(),
        Anchor::Manifest(hash) => format!("manifest:{hash}"),
        Anchor::Silent(member) => format!("none:{member}"),
    }
}

/// An anchor, or a file of them, or the file of a manifest.
fn one(text: &str, network: NetworkId) -> Result<Vec<Anchor>, Trouble> {
    if let Ok(anchors) = Anchor::in_lines(&text.replacen(':', " ", 1), network) {
        return Ok(anchors);
    }
    let path = Path::new(text);
    if !path.is_file() {
        let error =
            anyhow!("--anchor {text:?} is neither 64 hexadecimal digits, nor manifest:HEX or none:HEX, nor a file");
        return Err(Trouble { exit: Exit::Usage, error });
    }
    let bytes = file::read(path, ANCHOR_BYTES).or_io()?;
    // A signed manifest is an array of two; a file of anchors is text.
    if bytes.first() == Some(&0x82) {
        let signed = SignedManifest::parse(&bytes).with_context(|| format!("{text} is no manifest")).or_usage()?;
        return Ok(vec![Anchor::Manifest(signed.hash())]);
    }
    let content = String::from_utf8(bytes).with_context(|| format!("{text} is no text")).or_usage()?;
    let anchors = Anchor::in_lines(&content, network).with_context(|| format!("in {text}")).or_usage()?;
    if anchors.is_empty() {
        return Err(Trouble { exit: Exit::Usage, error: anyhow!("{text} holds no anchor") });
    }
    Ok(anchors)
}
