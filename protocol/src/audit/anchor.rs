//! What the auditor knows to exist, and how far it shows the archive to reach.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use super::{
    Options, Severity,
    finding::{Notes, Place},
    light::{Index, Stand},
    rules::Rules,
};
use crate::base::{Incarnation, ManifestHash, MemberId, NetworkId, RecordId, Seq};

/// Something that the auditor knows, by another way than the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anchor {
    /// This record exists: at best a feed's newest one.
    Record(RecordId),
    /// This manifest version exists: at best the newest one.
    Manifest(ManifestHash),
    /// This member has published nothing.
    Silent(MemberId),
}

impl From<RecordId> for Anchor {
    fn from(id: RecordId) -> Self {
        Self::Record(id)
    }
}

/// Why a text is no list of anchors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// A line has another form.
    #[error("{line:?} is no anchor")]
    Form {
        /** the line */
        line: String,
    },
    /// It says of which network it is, and that is another one.
    #[error("these are anchors of network {got}, the audit is of {want}")]
    Network {
        /** the one it names */
        got: NetworkId,
        /** the one audited */
        want: NetworkId,
    },
}

impl Anchor {
    /// The anchors of `network` in a text, one a line: `[record] ID`, `manifest HASH` or `none MEMBER`. A line `network ID` says of
    /// which network they are; what follows a `#` does not count.
    ///
    /// # Errors
    /// A line has another form, or they are of another network.
    pub fn in_lines(text: &str, network: NetworkId) -> Result<Vec<Self>, AnchorError> {
        let mut anchors = Vec::new();
        for line in text.lines() {
            anchors.extend(Self::in_line(line, network)?);
        }
        Ok(anchors)
    }

    fn in_line(line: &str, network: NetworkId) -> Result<Option<Self>, AnchorError> {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        let anchor = match words.as_slice() {
            [] => return Ok(None),
            [id] | ["record", id] => id.parse().ok().map(Self::Record),
            ["manifest", hash] => hash.parse().ok().map(Self::Manifest),
            ["none", member] => member.parse().ok().map(Self::Silent),
            ["network", id] => match id.parse::<NetworkId>() {
                Ok(got) if got == network => return Ok(None),
                Ok(got) => return Err(AnchorError::Network { got, want: network }),
                Err(_) => None,
            },
            _ => None,
        };
        anchor.map(Some).ok_or_else(|| AnchorError::Form { line: line.to_owned() })
    }
}

/// How far anchors reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// Anchors given.
    pub given: u64,
    /// Of these, records and manifest versions that are not in the archive.
    pub missing: u64,
    /// Feeds in the archive, and members that have none there.
    pub feeds: u64,
    /// Of these, those whose end is known: an anchor is the last record, or nothing that follows it would count.
    pub reached: u64,
}

impl Reach {
    /// Whether all anchors are there, and no feed could have been cut short without lacking one.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.given > 0 && self.missing == 0 && self.reached == self.feeds
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self { given: 0, .. } => "UNANCHORED".to_owned(),
            Self { missing: 1.., given, .. } => format!("{} of {given} anchors are not here", self.missing),
            Self { feeds, .. } if self.is_complete() => format!("anchors reach the end of all {feeds} feeds"),
            Self { reached, feeds, .. } => format!("anchors reach the end of {reached} of {feeds} feeds"),
        }
    }

    fn add(&mut self, other: &Ends) {
        self.feeds += other.feeds;
        self.reached += other.reached;
    }
}

/// Of one member's feeds, how many there are, and of how many the end is known; one that it lacks counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) feeds: u64,
    pub(super) reached: u64,
    /// Those whose end is not known; without an incarnation the one that it lacks.
    open: Vec<Option<Incarnation>>,
}

impl Ends {
    /// Whether a member that may publish has no feed here, and nothing says that it has none.
    pub(super) fn lacks_feed(&self) -> bool {
        self.open.contains(&None)
    }
}

/// Feeds that are named in the text of one finding.
const NAMED: usize = 8;

/// How far the anchors reach, for all and for each member that may publish.
pub(super) fn check(
    options: &Options,
    rules: &Rules,
    index: &Index,
    notes: &mut Notes,
) -> (Reach, BTreeMap<MemberId, Ends>) {
    let ends = ends(options, rules, index);
    let mut reach = Reach { given: options.anchors.len() as u64, ..Reach::default() };
    ends.values().for_each(|member| reach.add(member));
    let unwanted = if options.allow_unanchored { Severity::Warning } else { Severity::Incomplete };
    if options.anchors.is_empty() {
        let text = "UNANCHORED: a truncated archive would look the same";
        notes.add_as(unwanted, "ANC-001", &Place::default(), text);
        return (reach, ends);
    }
    for anchor in &options.anchors {
        let (code, record, what) = match anchor {
            Anchor::Record(id) if index.by_id(id).is_none() => ("ANC-002", Some(*id), format!("record {id}")),
            Anchor::Manifest(hash) if !rules.has(hash) => {
                ("ANC-003", None, format!("the manifest version of hash {hash}"))
            }
            Anchor::Record(_) | Anchor::Manifest(_) | Anchor::Silent(_) => continue,
        };
        reach.missing += 1;
        let place = Place { record, ..Place::default() };
        notes.add(code, &place, format!("{what} is not in the archive, or does not verify"));
    }
    if reach.reached < reach.feeds {
        let (reached, feeds) = (reach.reached, reach.feeds);
        let text = format!("anchors reach the end of {reached} of {feeds} feeds; not of {}", open(rules, &ends));
        notes.add_as(unwanted, "ANC-004", &Place::default(), text);
    }
    (reach, ends)
}

/// The feeds whose end is not known, in words.
fn open(rules: &Rules, ends: &BTreeMap<MemberId, Ends>) -> String {
    let mut text = String::new();
    let all = ends.iter().flat_map(|(member, ends)| ends.open.iter().map(move |feed| (member, feed)));
    let count = all.clone().count();
    for (member, feed) in all.take(NAMED) {
        let (before, label) = (if text.is_empty() { "" } else { ", " }, rules.label(member));
        // Writing to a string does not fail.
        let _ = match feed {
            Some(incarnation) => write!(text, "{before}{label:?} ({}.{incarnation})", member.short()),
            None => write!(text, "{before}{label:?} ({}, no feed of it is here)", member.short()),
        };
    }
    if count > NAMED {
        let _ = write!(text, " and {} more", count - NAMED);
    }
    text
}

/// The end of one feed: its greatest place and who stands there, and what its first record names as the record before.
#[derive(Default)]
struct End {
    last: Seq,
    ids: Vec<RecordId>,
    before: Vec<RecordId>,
}

fn ends(options: &Options, rules: &Rules, index: &Index) -> BTreeMap<MemberId, Ends> {
    let mut feeds: BTreeMap<MemberId, BTreeMap<Incarnation, End>> =
        rules.publishers().into_keys().map(|member| (member, BTreeMap::new())).collect();
    // By place: the greatest comes last. What is void is behind the end.
    let mut written = BTreeSet::new();
    for light in index.all() {
        written.insert(light.member);
        if light.stand == Stand::Void {
            continue;
        }
        let end = feeds.entry(light.member).or_default().entry(light.incarnation).or_default();
        if light.seq > end.last {
            end.ids.clear();
        }
        end.last = light.seq;
        end.ids.push(light.id);
        end.before.extend(light.prev);
    }
    let (mut known, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for anchor in &options.anchors {
        match anchor {
            Anchor::Record(id) => known.extend([*id]),
            Anchor::Silent(member) => silent.extend([*member]),
            Anchor::Manifest(_) => {}
        }
    }
    let of = |member: MemberId, feeds: &BTreeMap<Incarnation, End>| {
        // Where nothing that it wrote counts, nothing ends.
        let idle = feeds.is_empty() && written.contains(&member);
        if idle { Ends::default() } else { of_member(rules, index, &known, &silent, member, feeds) }
    };
    feeds.into_iter().map(|(member, feeds)| (member, of(member, &feeds))).collect()
}

fn of_member(
    rules: &Rules,
    index: &Index,
    known: &BTreeSet<RecordId>,
    silent: &BTreeSet<MemberId>,
    member: MemberId,
    feeds: &BTreeMap<Incarnation, End>,
) -> Ends {
    let mut ends = Ends { feeds: feeds.len() as u64, ..Ends::default() };
    if feeds.is_empty() {
        ends.feeds = 1;
        if silent.contains(&member) || rules.ends(&member, Incarnation(0), |_| false) {
            ends.reached = 1;
        } else {
            ends.open.push(None);
        }
    }
    // A later feed names the last record of an earlier one: the newest first.
    let mut named: BTreeSet<RecordId> = BTreeSet::new();
    for (incarnation, end) in feeds.iter().rev() {
        let anchored = end.ids.iter().any(|id| known.contains(id) || named.contains(id));
        if anchored || rules.ends(&member, *incarnation, |id| index.by_id(id).is_some()) {
            ends.reached += 1;
            named.extend(&end.before);
        } else {
            ends.open.push(Some(*incarnation));
        }
    }
    ends.open.reverse();
    ends
}
