//! What the notary must know of the network.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chorale_protocol::{
    base::{MemberId, TransportId},
    code::AuthorKey,
    engine::Engine,
    log::{Keyring, Origin},
};

/// Who is who, who is there, and how many must cosign.
#[derive(Debug, Clone)]
pub(in crate::driver) struct Circle {
    pub(super) me: MemberId,
    /// Our author key, if it is the one that the newest version names.
    pub(super) key: Option<AuthorKey>,
    pub(super) keyring: Arc<Keyring>,
    /// Cosigners that the newest policy asks for.
    pub(super) quorum: usize,
    /// Connected participants.
    pub(super) peers: BTreeMap<MemberId, TransportId>,
    /// The last round is done: everything is to be witnessed soon.
    pub(super) finishing: bool,
}

impl Circle {
    /// `keyring`: of the engine's chain.
    pub(in crate::driver) fn new(
        me: MemberId,
        engine: &Engine,
        keyring: Arc<Keyring>,
        peers: &BTreeSet<TransportId>,
        finishing: bool,
    ) -> Self {
        let chain = engine.chain();
        let named = chain.member(&me).map(|member| member.author_key);
        let key = Some(engine.signer().clone()).filter(|key| Some(key.public()) == named);
        let quorum = usize::try_from(chain.current().policy.witnesses.unwrap_or_default()).unwrap_or(usize::MAX);
        let member = |peer: &TransportId| chain.by_transport(peer).map(|member| (member.id, peer.clone()));
        let peers = peers.iter().filter_map(member).filter(|(id, _)| *id != me).collect();
        Self { me, key, keyring, quorum, peers, finishing }
    }

    /// The name of our log and of our keys.
    pub(super) fn origin(&self) -> Origin {
        Origin::new(&self.keyring.network(), &self.me)
    }

    /// Whom a connected transport key belongs to.
    pub(super) fn member(&self, transport: &TransportId) -> Option<MemberId> {
        self.peers.iter().find(|(_, peer)| *peer == transport).map(|(id, _)| *id)
    }
}
