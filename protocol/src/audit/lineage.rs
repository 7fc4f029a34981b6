//! Where a record comes from: the records that it builds on, and those that they build on.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::{Stand, Survey};
use crate::{
    base::{Incarnation, Lamport, MemberId, RecordId, Round, Seq, UnixSeconds},
    feed::{Checked, Kind, Spec},
};

/// A record in a lineage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Which.
    pub id: RecordId,
    /// Whose.
    pub member: MemberId,
    /// Which of its feeds.
    pub incarnation: Incarnation,
    /// Where in it.
    pub seq: Seq,
    /// Its logical time.
    pub clock: Lamport,
    /// When it was written, as its author claims.
    pub claimed_time: UnixSeconds,
    /// What it is.
    pub kind: Kind,
    /// Of an update or release.
    pub round: Option<Round>,
    /// Of a release: what people call it.
    pub release: Option<String>,
    /// How it stands.
    pub stand: Stand,
    /// What it merged or releases.
    pub parents: Vec<RecordId>,
    /// The record before it in its author's feed.
    pub prev: Option<RecordId>,
}

impl Node {
    fn new(stand: Stand, checked: &Checked) -> Self {
        let record = checked.record();
        let (kind, round, release) = match &record.spec {
            Spec::Update(update) => (Kind::Update, Some(update.round), None),
            Spec::Release(release) => (Kind::Release, Some(release.round), Some(release.label.clone())),
            Spec::Evidence(_) => (Kind::Evidence, None, None),
            Spec::Fault(_) => (Kind::Fault, None, None),
            Spec::Close(_) => (Kind::Close, None, None),
            Spec::Other(_) => (Kind::Other, None, None),
        };
        Self {
            id: checked.id(),
            member: record.member,
            incarnation: record.incarnation,
            seq: record.seq,
            clock: record.clock,
            claimed_time: record.claimed_time,
            kind,
            round,
            release,
            stand,
            parents: record.parent_ids().collect(),
            prev: record.prev,
        }
    }

    /// All that it names: its parents, and the record before it if that is none of them.
    pub fn before(&self) -> impl Iterator<Item = RecordId> {
        let prev = self.prev.filter(|prev| !self.parents.contains(prev));
        self.parents.iter().copied().chain(prev)
    }
}

/// Every genuine record of an archive, by id, to follow lineages in.
#[derive(Debug, Clone, Default)]
pub struct Ancestry {
    nodes: BTreeMap<RecordId, Node>,
    /// The newest linked record of each member.
    heads: BTreeMap<MemberId, RecordId>,
    labels: BTreeMap<MemberId, String>,
}

/// The ancestors of some records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// Of which.
    pub of: Vec<RecordId>,
    /// They and their ancestors, the newest first: by clock, then by id.
    pub nodes: Vec<Node>,
    /// Named by one of the nodes, and not in the archive.
    pub missing: BTreeSet<RecordId>,
    /// Named by one of the nodes, and left out: too far up, or too many.
    pub left_out: BTreeSet<RecordId>,
}

impl Ancestry {
    /// Reads every feed.
    ///
    /// # Errors
    /// The medium.
    pub fn of(survey: &Survey<'_>) -> io::Result<Self> {
        let mut ancestry = Self::default();
        let feeds = survey.each_feed(|(member, _), feed| {
            let nodes = feed.records.iter().map(|(stand, checked)| Node::new(*stand, checked)).collect::<Vec<_>>();
            (member, feed.head, nodes)
        })?;
        for (member, head, nodes) in feeds {
            // Feeds come by incarnation: the newest one's head stays.
            ancestry.heads.extend(head.map(|head| (member, head.id)));
            ancestry.labels.insert(member, survey.label(&member));
            ancestry.nodes.extend(nodes.into_iter().map(|node| (node.id, node)));
        }
        Ok(ancestry)
    }

    /// The newest record of each member, by member.
    #[must_use]
    pub fn heads(&self) -> Vec<RecordId> {
        self.heads.values().copied().collect()
    }

    /// Every release that stands, by clock and id.
    #[must_use]
    pub fn releases(&self) -> Vec<&Node> {
        let stands = |node: &&Node| node.kind == Kind::Release && node.stand == Stand::Linked;
        let mut releases: Vec<&Node> = self.nodes.values().filter(stands).collect();
        releases.sort_by_key(|node| (node.clock, node.id));
        releases
    }

    /// The newest update of each member that stands, by member.
    #[must_use]
    pub fn newest_updates(&self) -> Vec<&Node> {
        let mut newest: BTreeMap<MemberId, &Node> = BTreeMap::new();
        for node in self.nodes.values().filter(|node| node.kind == Kind::Update && node.stand == Stand::Linked) {
            let held = newest.entry(node.member).or_insert(node);
            if (held.incarnation, held.seq) < (node.incarnation, node.seq) {
                *held = node;
            }
        }
        newest.into_values().collect()
    }

    /// A member's label.
    #[must_use]
    pub fn label(&self, member: &MemberId) -> &str {
        self.labels.get(member).map_or("", String::as_str)
    }

    /// A record.
    #[must_use]
    pub fn node(&self, id: &RecordId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// What a person may mean: records whose id begins so, releases of this label, and the heads of members of this label or
    /// whose id begins so. Beginnings of ids have 4 digits or more.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<RecordId> {
        self.named(text, self.heads.iter().map(|(member, id)| (*member, *id)))
    }

    /// As [`find`](Self::find), but a member means its newest update that stands: its feed may go on behind it.
    #[must_use]
    pub fn find_update(&self, text: &str) -> Vec<RecordId> {
        self.named(text, self.newest_updates().into_iter().map(|node| (node.member, node.id)))
    }

    fn named(&self, text: &str, of_members: impl Iterator<Item = (MemberId, RecordId)>) -> Vec<RecordId> {
        let begins = |id: &dyn std::fmt::Display| text.len() >= 4 && id.to_string().starts_with(text);
        let meant = |node: &&Node| node.release.as_deref() == Some(text) || begins(&node.id);
        let mut found: BTreeSet<RecordId> = self.nodes.values().filter(meant).map(|node| node.id).collect();
        found.extend(of_members.filter(|(member, _)| self.label(member) == text || begins(member)).map(|(_, id)| id));
        found.into_iter().collect()
    }

    /// The lineage of these records, up to `depth` steps up, and about `limit` records at most.
    #[must_use]
    pub fn lineage(&self, of: &[RecordId], depth: u64, limit: usize) -> Lineage {
        let mut lineage =
            Lineage { of: of.to_vec(), nodes: Vec::new(), missing: BTreeSet::new(), left_out: BTreeSet::new() };
        let mut seen: BTreeSet<RecordId> = of.iter().copied().collect();
        let mut level: Vec<RecordId> = seen.iter().copied().collect();
        let mut left = depth;
        while !level.is_empty() {
            let mut above = BTreeSet::new();
            for id in level {
                let Some(node) = self.nodes.get(&id) else {
                    lineage.missing.insert(id);
                    continue;
                };
                if lineage.nodes.len() >= limit {
                    lineage.left_out.insert(id);
                    continue;
                }
                above.extend(node.before().filter(|before| !seen.contains(before)));
                lineage.nodes.push(node.clone());
            }
            if left == 0 {
                let (here, missing): (Vec<_>, Vec<_>) = above.into_iter().partition(|id| self.nodes.contains_key(id));
                lineage.left_out.extend(here);
                lineage.missing.extend(missing);
                break;
            }
            left -= 1;
            seen.extend(&above);
            level = above.into_iter().collect();
        }
        lineage.nodes.sort_by(|one, other| (other.clock, one.id).cmp(&(one.clock, other.id)));
        lineage
    }
}
