//! New author keys in a proposal, and where the old ones' records end.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use chorale::{config::Home, store::Store};
use chorale_protocol::{
    base::{Incarnation, KeyHash, MemberId, RecordId, Seq, TransportId},
    code::PublicKey,
    manifest::{Chain, Cut, Handover, Manifest, Role},
};

use crate::cli::{card::Card, key::Rotation};

/// A place in a member's feeds.
pub(crate) type Place = (Incarnation, Seq, RecordId);

/// A member's new key.
pub(crate) struct Change {
    pub(crate) member: MemberId,
    key: PublicKey,
    next: Option<KeyHash>,
    /// Other transport ids, if these change too.
    transport: Option<Vec<TransportId>>,
    /// The newest record under the old key, as the member says.
    head: Option<Place>,
}

/// A member's own wish, which must be for the key that it had committed to.
pub(crate) fn rotation(path: &Path, chain: &Chain) -> Result<Change> {
    let wish = Rotation::read(path)?;
    let entry = chain.member(&wish.member).with_context(|| format!("{} is no member", wish.member))?;
    ensure!(
        entry.next == Some(KeyHash::of(&wish.key)),
        "{}: {} had not committed to this key; if it lost its keys, governors may re-bind it: --rebind MEMBER=CARD",
        path.display(),
        entry.label
    );
    Ok(Change { member: wish.member, key: wish.key, next: Some(wish.next), transport: None, head: wish.head })
}

/// The keys of a new home for a member that lost its own.
pub(crate) fn rebinding(member: MemberId, card: &Path) -> Result<Change> {
    let card = Card::read(card)?.member(Role::Member)?;
    Ok(Change { member, key: card.author_key, next: card.next, transport: Some(card.transport), head: None })
}

/// Puts a new key into a proposal, for its vote too.
pub(crate) fn apply(change: Change, place: Option<Cut>, home: &Path, next: &mut Manifest) -> Result<()> {
    let Change { member, key, next: committed, transport, head } = change;
    let (incarnation, last) = match (place, head) {
        (Some(place), _) => (place.incarnation, place.last),
        (None, Some((incarnation, seq, id))) => (incarnation, Some((seq, id))),
        (None, None) => {
            let held = self::head(home, &member)
                .context("where the old key's records end: say it with --handover, or stop this home's node")?;
            let (incarnation, seq, id) = held.with_context(|| {
                format!("this home knows no record of {member}. If it published none, remove it and add its new card")
            })?;
            (incarnation, Some((seq, id)))
        }
    };
    let entry = next.members.iter_mut().find(|entry| entry.id == member).context("no such member")?;
    next.governors.iter_mut().filter(|governor| **governor == entry.author_key).for_each(|governor| *governor = key);
    (entry.author_key, entry.next) = (key, committed);
    if let Some(transport) = transport {
        entry.transport = transport;
    }
    next.handovers.push(Handover { member, incarnation, last });
    Ok(())
}

/// The newest record of a member that a home's store holds; its node must not run.
pub(crate) fn head(home: &Path, member: &MemberId) -> Result<Option<Place>> {
    let home = Home::open(home)?;
    if !home.root().join("store").is_dir() {
        return Ok(None);
    }
    let heads = Store::open(home.root()).and_then(|store| store.heads()).context("the store")?;
    let head = heads.into_iter().rfind(|head| head.member == *member);
    Ok(head.map(|head| (head.incarnation, head.seq, head.id)))
}
