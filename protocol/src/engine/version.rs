//! Manifest versions that come while the network runs.

use bytes::Bytes;

use super::{Engine, Event, Output, Reason};
use crate::{
    adapter::Layout,
    base::TransportId,
    manifest::{ManifestError, Role},
};

impl Engine {
    /// A manifest version came; `from` is `None` for the operator's.
    pub(super) fn on_manifest(&mut self, bytes: Bytes, from: Option<TransportId>) {
        let now = self.now;
        match self.chain.extend(bytes.clone()) {
            Ok(()) => {}
            Err(ManifestError::Held { .. }) => return,
            Err(ManifestError::Ahead { got, .. }) => {
                let peer = from.into_iter();
                return peer.for_each(|peer| self.peers.lacks_version(got, peer.clone(), peer, now));
            }
            Err(ManifestError::Conflict { .. }) if self.keep_conflict(&bytes) => return,
            Err(error) => {
                let reason = Reason { code: error.code(), text: error.to_string() };
                return self.refuse_manifest(from, reason);
            }
        }
        let version = self.chain.current().version;
        self.peers.holds_version(version);
        self.note_length();
        self.emit(Output::StoreManifest { bytes });
        self.emit(Output::Event(Event::Manifest { version }));
        self.follow_handovers();
        self.recount_frontier();
        self.review_membership();
        self.review_keys();
        // Others pull what somebody announces.
        self.announce_presence();
        self.pending.retry_all();
        for (bytes, from) in self.own.take_unversioned() {
            self.take_record(bytes, &from);
        }
        self.retry_ready();
        self.fetches.touch();
    }

    fn refuse_manifest(&mut self, from: Option<TransportId>, reason: Reason) {
        if let Some(peer) = from.clone() {
            self.peers.brought_junk(&peer);
            self.emit(Output::Penalise { peer, code: reason.code });
        }
        self.emit(Output::Event(Event::Refused { from, reason }));
    }

    /// Whether the newest version lets us publish.
    pub(super) fn is_member(&self) -> bool {
        let manifest = self.chain.current();
        let me = &self.config.me;
        let listed = self.chain.member(me).is_some_and(|member| member.role == Role::Member);
        listed && !manifest.cuts.iter().any(|cut| cut.member == *me && cut.incarnation >= self.own.incarnation())
    }

    fn review_membership(&mut self) {
        let member = self.is_member();
        if !member && !self.expelled {
            self.expelled = true;
            self.halt();
            self.emit(Output::Event(Event::Expelled));
        } else if member && self.expelled {
            self.expelled = false;
            self.go_on();
        }
    }

    /// Publishes again, unless something else speaks against it.
    pub(super) fn go_on(&mut self) {
        let me = self.config.me;
        let barred = self.expelled || self.keyless || self.trust.is_convicted(&me) || self.index.is_closed(&me);
        let barred = barred || self.own.is_exhausted();
        if !barred && !self.own.is_acting() {
            self.own.resume();
            self.begin_gather();
        }
    }

    /// Bytes of a payload under a manifest version; 0 if that is not held.
    pub(super) fn payload_len(&self, version: u64) -> u64 {
        self.lengths.get(&version).copied().or_else(|| self.layout_len(version)).unwrap_or(0)
    }

    fn layout_len(&self, version: u64) -> Option<u64> {
        let (manifest, _) = self.chain.at(version)?;
        let layout = Layout::new(&manifest.policy.adapter).ok()?;
        Some(layout.payload_len(manifest.policy.codec))
    }

    /// Remembers it: a layout of hundreds of tensors is not built for every record.
    pub(super) fn note_length(&mut self) {
        let version = self.chain.current().version;
        if let Some(length) = self.layout_len(version) {
            self.lengths.insert(version, length);
        }
    }
}
