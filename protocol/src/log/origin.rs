//! The name of a log, and of the keys of its owner.

use std::{fmt, str::FromStr};

use super::NoteError;
use crate::base::{MemberId, NetworkId};

/// `chorale/<16 hex of the network id>/<16 hex of the member id>`: the origin of a member's log, and the name of the keys with
/// which that member signs its own checkpoints and cosigns those of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The network id's first 8 bytes.
    pub network: [u8; 8],
    /// The member id's first 8 bytes.
    pub member: [u8; 8],
}

impl Origin {
    /// Of a member in a network.
    #[must_use]
    pub fn new(network: &NetworkId, member: &MemberId) -> Self {
        Self { network: first(network.as_bytes()), member: first(member.as_bytes()) }
    }
}

/// The first 8 of 32 bytes.
pub(super) fn first(bytes: &[u8; 32]) -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = *bytes;
    [a, b, c, d, e, f, g, h]
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chorale/{}/{}", hex::encode(self.network), hex::encode(self.member))
    }
}

impl FromStr for Origin {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut origin = Self { network: [0; 8], member: [0; 8] };
        let parts = text.strip_prefix("chorale/").and_then(|rest| rest.split_once('/'));
        let (network, member) = parts.ok_or(NoteError::Origin)?;
        let read = |text: &str, bytes: &mut [u8; 8]| hex::decode_to_slice(text, bytes).map_err(|_| NoteError::Origin);
        read(network, &mut origin.network)?;
        read(member, &mut origin.member)?;
        // Upper case is another spelling.
        if origin.to_string() == text { Ok(origin) } else { Err(NoteError::Origin) }
    }
}
