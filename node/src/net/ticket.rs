//! Gossip messages that wait for their verdict.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chorale_protocol::engine::Ticket;
use libp2p::{PeerId, gossipsub::MessageId};

use super::topic::Subject;

/// As long as gossipsub keeps a message for its verdict.
const PATIENCE: Duration = Duration::from_secs(12);
/// Open tickets at once; the oldest gives way.
const OPEN: usize = 1024;

/// A message without verdict.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) message: MessageId,
    pub(super) forwarder: PeerId,
    pub(super) subject: Subject,
    pub(super) bytes: Bytes,
    since: Instant,
}

/// The open tickets.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    next: u64,
    open: BTreeMap<u64, Open>,
}

impl Tickets {
    /// A ticket for a message; and the one that gave way, if any.
    pub(super) fn issue(
        &mut self,
        message: MessageId,
        forwarder: PeerId,
        subject: Subject,
        bytes: Bytes,
        now: Instant,
    ) -> (Ticket, Option<Open>) {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let displaced = if self.open.len() >= OPEN { self.open.pop_first().map(|(_, open)| open) } else { None };
        self.open.insert(number, Open { message, forwarder, subject, bytes, since: now });
        (Ticket(number), displaced)
    }

    /// The message of a ticket, once. `None`: unknown, answered or expired.
    pub(super) fn redeem(&mut self, ticket: Ticket) -> Option<Open> {
        self.open.remove(&ticket.0)
    }

    /// Takes out one whose patience ended, oldest first.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Open> {
        let (_, oldest) = self.open.first_key_value()?;
        if now.saturating_duration_since(oldest.since) < PATIENCE {
            return None;
        }
        self.open.pop_first().map(|(_, open)| open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue(tickets: &mut Tickets, now: Instant) -> (Ticket, Option<Open>) {
        tickets.issue(MessageId::new(b"m"), PeerId::random(), Subject::Records, Bytes::new(), now)
    }

    #[test]
    fn a_ticket_is_answered_once_and_expires() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        let (first, _) = issue(&mut tickets, now);
        let (second, _) = issue(&mut tickets, now);
        assert!(tickets.redeem(first).is_some());
        assert!(tickets.redeem(first).is_none());
        assert!(tickets.expire(now).is_none());
        assert!(tickets.expire(now + PATIENCE).is_some());
        assert!(tickets.redeem(second).is_none());
    }

    #[test]
    fn open_tickets_are_bounded() {
        let (mut tickets, now) = (Tickets::default(), Instant::now());
        let displaced = (0..3 * OPEN).filter(|_| issue(&mut tickets, now).1.is_some()).count();
        assert_eq!((tickets.open.len(), displaced), (OPEN, 2 * OPEN));
    }
}
