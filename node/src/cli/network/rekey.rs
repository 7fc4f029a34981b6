//! New author keys in a proposal, and where the old ones' records end.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use chorale::{config::Home, store::Store};
use chorale_protocol::{
    base::{Incarnation, KeyHash, MemberId, RecordId, Seq, TransportId},
    code::PublicKey,
    manifest::{Chain, Cut, Handover, LogEnd, Manifest, Role},
};

use super::propose::find;
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
    /// Where its log passes to the new key, as the member says, or governors do.
    pub(crate) log: Option<LogEnd>,
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
    Ok(Change {
        member: wish.member,
        key: wish.key,
        next: Some(wish.next),
        transport: None,
        head: wish.head,
        log: wish.log,
    })
}

/// The keys of a new home for a member that lost its own.
pub(crate) fn rebinding(member: MemberId, card: &Path) -> Result<Change> {
    let card = Card::read(card)?.member(Role::Member)?;
    Ok(Change { member, key: card.author_key, next: card.next, transport: Some(card.transport), head: None, log: None })
}

/// Puts a new key into a proposal, for its vote too.
pub(crate) fn apply(change: Change, place: Option<Cut>, home: &Path, next: &mut Manifest) -> Result<()> {
    let Change { member, key, next: committed, transport, head, log } = change;
    let (incarnation, last) = match (place, head) {
        (Some(place), _) => (place.incarnation, place.last),
        (None, Some((incarnation, seq, id))) => (incarnation, Some((seq, id))),
        (None, None) => bail!(unknown_end(home, &member)),
    };
    let entry = next.members.iter_mut().find(|entry| entry.id == member).context("no such member")?;
    next.governors.iter_mut().filter(|governor| **governor == entry.author_key).for_each(|governor| *governor = key);
    (entry.author_key, entry.next) = (key, committed);
    if let Some(transport) = transport {
        entry.transport = transport;
    }
    next.handovers.push(Handover { member, incarnation, last, log });
    Ok(())
}

/// Reads MEMBER:SIZE:ROOT, or MEMBER:0 for a log that begins anew.
pub(crate) fn log_end(manifest: &Manifest, text: &str) -> Result<(MemberId, Option<LogEnd>)> {
    let want = || format!("--log-end: got {text:?}, wanted MEMBER:SIZE:ROOT or MEMBER:0");
    let parts: Vec<&str> = text.split(':').collect();
    Ok(match parts[..] {
        [who, "0"] => (find(manifest, who)?, None),
        [who, size, root] => {
            let size = size.parse().with_context(want)?;
            let mut bytes = [0; 32];
            hex::decode_to_slice(root, &mut bytes).with_context(want)?;
            (find(manifest, who)?, Some(LogEnd { size, root: bytes }))
        }
        _ => bail!(want()),
    })
}

/// Nobody said where the records of an old key end. What this home holds may be whoever's who stole the key.
fn unknown_end(home: &Path, member: &MemberId) -> String {
    let held = match head(home, member) {
        Ok(Some((incarnation, seq, id))) => {
            format!(
                "the newest that this home holds is {member}:{incarnation}:{seq}:{id}; if somebody stole the key, it may be theirs"
            )
        }
        Ok(None) => "this home knows no record of it; if it published none, remove it and add its new card".to_owned(),
        Err(_) => "stop this home's node to see the newest that this home holds".to_owned(),
    };
    format!(
        "nobody says with which record the old key of {member} ends. Ask the member, and say it with --handover: {held}"
    )
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
