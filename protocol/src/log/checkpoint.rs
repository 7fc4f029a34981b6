//! Checkpoints (c2sp.org/tlog-checkpoint): whose log, how many leaves, which root.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{NoteError, Origin, TreeHash};
use crate::base::limit::UINT_MAX;

/// A log's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log.
    pub origin: Origin,
    /// Leaves; at most 2^53 - 1.
    pub size: u64,
    /// Root over them.
    pub root: TreeHash,
}

impl Checkpoint {
    /// The three lines that are signed.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// Reads a note's text: three lines, without any extension.
    ///
    /// # Errors
    /// Another number of lines, or a line that is not as [`text`](Self::text) writes it.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let refuse = |why| NoteError::Checkpoint { why };
        let lines: Vec<&str> = text.split('\n').collect();
        let [origin, size, root, ""] = lines[..] else {
            return Err(refuse("three lines are wanted: origin, size, root"));
        };
        let origin = origin.parse()?;
        let size = decimal(size).ok_or_else(|| refuse("the size is a decimal number below 2^53"))?;
        let root = hash(root).ok_or_else(|| refuse("the root is the base64 of 32 bytes"))?;
        if size == 0 && root != TreeHash::empty() {
            return Err(refuse("an empty tree has the root of nothing"));
        }
        Ok(Self { origin, size, root })
    }
}

/// Digits without a sign or leading zeros, up to 2^53 - 1.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|&number| plain && number <= UINT_MAX)
}

/// 32 bytes in base64.
pub(super) fn hash(text: &str) -> Option<TreeHash> {
    STANDARD.decode(text).ok()?.try_into().ok().map(TreeHash)
}
