//! The two topics of a network.

use chorale_protocol::base::{NetworkId, limit};
use libp2p::gossipsub::{IdentTopic, TopicHash};

/// What is gossiped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// Records.
    Records,
    /// Presence.
    Presence,
}

impl Subject {
    /// Bytes of one message.
    pub(super) fn limit(self) -> usize {
        match self {
            Self::Records => limit::RECORD_BYTES,
            Self::Presence => limit::PRESENCE_BYTES,
        }
    }
}

/// The topics: `chorale/<first 16 hex digits of the network id>/records` and `…/presence`.
pub(super) struct Topics {
    records: IdentTopic,
    presence: IdentTopic,
}

impl Topics {
    pub(super) fn new(network: &NetworkId) -> Self {
        let id = hex::encode(&network.0[..8]);
        Self {
            records: IdentTopic::new(format!("chorale/{id}/records")),
            presence: IdentTopic::new(format!("chorale/{id}/presence")),
        }
    }

    pub(super) fn of(&self, subject: Subject) -> &IdentTopic {
        match subject {
            Subject::Records => &self.records,
            Subject::Presence => &self.presence,
        }
    }

    pub(super) fn all(&self) -> [&IdentTopic; 2] {
        [&self.records, &self.presence]
    }

    /// `None`: not ours.
    pub(super) fn subject(&self, hash: &TopicHash) -> Option<Subject> {
        [Subject::Records, Subject::Presence].into_iter().find(|subject| self.of(*subject).hash() == *hash)
    }
}
