//! "Here I am", said and heard; connections that come and go.

use bytes::Bytes;

use super::{Engine, Event, Output, Reason, Ticket, Verdict, missing::Want};
use crate::{
    base::{MemberId, Millis, TransportId},
    feed::{Blame, Head},
    wire::Presence,
};

/// Connections beyond which only drawn members are dialled.
const CONNECTIONS: usize = 32;
/// Presence messages of one member that are taken at once, and how long until there is room for one more.
const BURST: u64 = 8;
const REFILL_MS: u64 = 250;

/// How many presence messages of a member were taken lately.
#[derive(Debug, Default)]
pub(super) struct Quota {
    used: u64,
    since: Millis,
}

impl Quota {
    fn refill(&mut self, now: Millis) {
        let back = now.since(self.since) / REFILL_MS;
        self.used = self.used.saturating_sub(back);
        self.since = if self.used == 0 { now } else { self.since.after(back * REFILL_MS) };
    }

    fn is_spent(&mut self, now: Millis) -> bool {
        self.refill(now);
        self.used >= BURST
    }

    fn spend(&mut self, now: Millis) {
        self.refill(now);
        self.used += 1;
    }
}

impl Engine {
    /// Tells everybody our head and manifest version.
    pub(super) fn announce_presence(&mut self) {
        if self.keyless {
            return;
        }
        let head = self.head().map(|head| (head.incarnation, head.seq, head.id));
        let manifest_version = self.chain.current().version;
        self.presence_due = Some(self.now.after(self.config.presence_ms));
        self.emit(Output::Presence { head, manifest_version });
    }

    /// Somebody's presence.
    pub(super) fn on_presence(&mut self, bytes: &Bytes, from: TransportId, ticket: Option<Ticket>) {
        let passed_over = self.passes_over(bytes).then_some(Verdict::Ignore);
        let verdict = passed_over.unwrap_or_else(|| self.take_presence(bytes, from));
        if let Some(ticket) = ticket {
            self.emit(Output::Verdict { ticket, verdict });
        }
    }

    fn take_presence(&mut self, bytes: &Bytes, from: TransportId) -> Verdict {
        match Presence::check(bytes, &self.chain) {
            Ok(presence) => self.hear_presence(presence, from),
            Err(refusal) => {
                let reason = Reason { code: refusal.code(), text: refusal.to_string() };
                self.emit(Output::Event(Event::Refused { from: Some(from.clone()), reason }));
                if refusal.blame() == Blame::Nobody {
                    Verdict::Ignore
                } else {
                    self.emit(Output::Penalise { peer: from, code: refusal.code() });
                    Verdict::Reject
                }
            }
        }
    }

    /// Whether a message is not new, or one too many of its member: it is not worth verifying.
    fn passes_over(&mut self, bytes: &[u8]) -> bool {
        let now = self.now;
        let Some((member, counter)) = Presence::peek(bytes) else { return false };
        let Some(standing) = self.standings.get_mut(&member) else { return false };
        standing.counter.is_some_and(|last| counter <= last) || standing.presences.is_spent(now)
    }

    fn hear_presence(&mut self, presence: Presence, from: TransportId) -> Verdict {
        let now = self.now;
        if presence.member == self.config.me {
            return Verdict::Ignore;
        }
        let standing = self.standing(&presence.member);
        standing.counter = Some(presence.counter);
        standing.presences.spend(now);
        self.hear(&presence.member);
        self.fetches.touch();
        let asked = if self.peers.is_up(&presence.peer) { presence.peer.clone() } else { from };
        if presence.manifest_version > self.chain.current().version {
            self.peers.lacks_version(presence.manifest_version, presence.peer.clone(), asked.clone(), now);
        }
        if let Some((incarnation, seq, id)) = presence.head {
            let head = Head { member: presence.member, incarnation, seq, id };
            if self.is_news(&head) {
                self.peers.lacks(id, Want::Head(presence.member), Some(asked), now);
            }
        }
        if !presence.addresses.is_empty() && self.wants_connection(&presence.member, &presence.peer) {
            self.emit(Output::Dial { peer: presence.peer, addresses: presence.addresses });
        }
        Verdict::Accept
    }

    fn wants_connection(&mut self, member: &MemberId, peer: &TransportId) -> bool {
        if self.peers.is_up(peer) || self.trust.is_convicted(member) {
            return false;
        }
        let room = self.peers.connected().count() < CONNECTIONS;
        let drawn = || {
            let draw = usize::try_from(self.draw_size()).unwrap_or(usize::MAX);
            self.drawn.order().is_some_and(|order| order.iter().take(draw).any(|other| other == member))
        };
        (room || drawn()) && self.peers.should_dial(peer, self.now)
    }

    /// A connection stands.
    pub(super) fn on_peer_up(&mut self, peer: TransportId) {
        let member = self.chain.by_transport(&peer).map(|member| member.id);
        if let Some(member) = member {
            self.hear(&member);
        }
        self.peers.up(peer, self.now);
        self.fetches.reconsider(self.now);
        if self.presence_due.is_none() {
            self.announce_presence();
            // The last announcement may have died with us.
            let head = self.head().and_then(|head| self.index.bytes(&head.id).cloned());
            if let Some(bytes) = head {
                self.emit(Output::Announce { bytes });
            }
        }
    }

    /// The last connection to it is gone: nobody waits for that member until it is heard again.
    pub(super) fn on_peer_down(&mut self, peer: &TransportId) {
        self.peers.down(peer);
        let member = self.chain.by_transport(peer).map(|member| member.id);
        if let Some(member) = member.filter(|member| !self.is_connected(member)) {
            self.standing(&member).heard = None;
        }
        self.recount_frontier();
        self.fetches.touch();
    }
}
