//! "Here I am": a member's addresses and head, signed by its author key, gossiped for discovery.
//!
//! Envelope as a record's. Payload: a map with the keys 0 v (1) · 1 net · 2 member · 3 peer id · 4 addresses (binary
//! multiaddrs, bstr) · 5 head `[inc, seq, id]` (absent before the first record) · 6 manifest version · 7 counter.

use bytes::Bytes;

use crate::{
    base::{Incarnation, MemberId, NetworkId, RecordId, Seq, TransportId, limit},
    code::{
        AuthorKey, Domain, Envelope,
        cbor::{self, Bounds},
        map::{Blob, map},
    },
    feed::Refusal,
    manifest::Chain,
};

/// The version of the encoding.
const VERSION: u64 = 1;
/// Bytes of one address.
const ADDRESS_BYTES: usize = 256;

/// A presence message. Any participant may send one, whatever its role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// The network.
    pub network: NetworkId,
    /// Who.
    pub member: MemberId,
    /// Under which of its transport keys.
    pub peer: TransportId,
    /// Where it listens: binary multiaddrs, at most 16 of at most 256 bytes.
    pub addresses: Vec<Vec<u8>>,
    /// Its newest record.
    pub head: Option<(Incarnation, Seq, RecordId)>,
    /// The newest manifest version that it holds.
    pub manifest_version: u64,
    /// Greater than in any earlier presence of this member: milliseconds since 1970 at its start, plus one a message.
    pub counter: u64,
}

struct Payload {
    v: u64,
    network: NetworkId,
    member: MemberId,
    peer: TransportId,
    addresses: Vec<Blob>,
    head: Option<(Incarnation, Seq, RecordId)>,
    manifest_version: u64,
    counter: u64,
}

map! { Payload {
    [0 v] [1 network] [2 member] [3 peer] [4 addresses] [5 head ?] [6 manifest_version] [7 counter]
} }

impl Presence {
    /// Decodes and verifies. A presence names a transport key that the newest manifest gives to its member.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(bytes: &[u8], chain: &Chain) -> Result<Self, Refusal> {
        let Envelope { payload, signature } = Envelope::split(&Bytes::copy_from_slice(bytes), limit::PRESENCE_BYTES)?;
        let bounds = Bounds { bytes: limit::PRESENCE_BYTES, ..Bounds::RECORD };
        cbor::strict(&payload, bounds)?;
        let version = cbor::version(&payload)?;
        if version != VERSION {
            return Err(Refusal::Unsupported { what: "presence version", got: version });
        }
        let Payload { v: _, network, member, peer, addresses, head, manifest_version, counter } =
            cbor::typed(&payload)?;
        if network != chain.network() {
            return Err(Refusal::Network { got: network, wanted: chain.network() });
        }
        let addresses: Vec<Vec<u8>> = addresses.into_iter().map(|address| address.0).collect();
        let longest = addresses.iter().map(Vec::len).max().unwrap_or(0);
        if addresses.len() > limit::ADDRESSES || longest > ADDRESS_BYTES || addresses.iter().any(Vec::is_empty) {
            return Err(Refusal::Addresses { got: addresses.len(), longest });
        }
        let version = chain.current().version;
        let author = chain.member(&member).ok_or(Refusal::NotListed { member, version })?;
        if !author.transport.contains(&peer) {
            return Err(Refusal::Transport { member, peer });
        }
        author.author_key.verify(Domain::Presence, &payload, &signature)?;
        Ok(Self { network, member, peer, addresses, head, manifest_version, counter })
    }

    /// Whose a message says it is, and its counter: enough to pass over what is not new without verifying it.
    #[must_use]
    pub fn peek(bytes: &[u8]) -> Option<(MemberId, u64)> {
        let envelope = Envelope::split(&Bytes::copy_from_slice(bytes), limit::PRESENCE_BYTES).ok()?;
        let bounds = Bounds { bytes: limit::PRESENCE_BYTES, ..Bounds::RECORD };
        cbor::strict(&envelope.payload, bounds).ok()?;
        let Payload { member, counter, .. } = cbor::known(&envelope.payload).ok()?;
        Some((member, counter))
    }

    /// The signed envelope.
    #[must_use]
    pub fn sign(&self, key: &AuthorKey) -> Bytes {
        let payload = cbor::encode(&Payload {
            v: VERSION,
            network: self.network,
            member: self.member,
            peer: self.peer.clone(),
            addresses: self.addresses.iter().cloned().map(Blob).collect(),
            head: self.head,
            manifest_version: self.manifest_version,
            counter: self.counter,
        });
        Envelope::seal(Domain::Presence, &payload, key)
    }
}
