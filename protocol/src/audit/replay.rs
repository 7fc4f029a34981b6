//! The replay: check, link, admit and merge again everything in an archive.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::{
    Anchor, Archive, Contribution, Reach,
    anchor::{self, Ends},
    bundles, conflicts,
    contradictions::Contradictions,
    contribution::{self, Choices},
    effort::Effort,
    faults::{self, Faults},
    finding::{Notes, Place},
    layout::Name,
    light::{Index, Lights, Stand},
    link::Scan,
    log_check,
    payloads::Payloads,
    pool::Pool,
    report::{Counts, Intervals, MemberReport, Report},
    rules::Rules,
    scan::{self, Keep, Reading, scan_each},
    shared::Audit,
    source::Source,
    unlawful::unlawful,
    walk::{Walk, walk},
    withheld::Used,
    work::each,
};
use crate::{
    base::{BlobHash, MemberId, NetworkId},
    feed::{Head, Kind},
};

/// What to check.
#[derive(Debug, Clone)]
pub struct Options {
    /// The network that the auditor was told of, out of band.
    pub network: NetworkId,
    /// What must be there: the newest records and manifest version that the auditor knows of. Without any the report is UNANCHORED.
    pub anchors: Vec<Anchor>,
    /// Whether a report may pass although anchors do not reach the end of every feed.
    pub allow_unanchored: bool,
    /// Whether blobs that the policy no longer keeps may be missing in a report that passes.
    pub allow_pruned: bool,
    /// Recompute merges where the blobs are there.
    pub recompute: bool,
    /// How many cosigners a checkpoint takes to count, if that is more than the newest policy asks for.
    pub witnesses: u64,
    /// Check the newest signature of each run of records only, which by the hashes in it vouches for those before. Weaker.
    pub heads_only: bool,
    /// Threads.
    pub threads: usize,
}

/// Replays an archive. Never stops at the first finding. `progress` is told of work done and work in all, in a unit of its own:
/// what is left of it takes about the share of the time that it is of the whole. All of it changes once, when the records are known.
///
/// Memory: a short form of every record (some 200 bytes, and 40 for each merge that it says was recomputed), payloads used lately (256 MiB at most), and for each thread a part of a
/// feed file, the payloads of one merge and its result.
///
/// # Errors
/// The medium failed, or changed while it was read.
pub fn replay(archive: &dyn Archive, options: &Options, progress: &(dyn Fn(u64, u64) + Sync)) -> io::Result<Report> {
    let mut notes = Notes::default();
    let mut counts = Counts::default();
    let source = Source::new(archive, &mut notes)?;
    let Some(rules) = Rules::load(&source, options.network, &mut counts.manifests, &mut notes)? else {
        notes.add("ARC-003", &Place::default(), "no record could be checked");
        let reach = Reach { given: options.anchors.len() as u64, ..Reach::default() };
        let witnessed = (options.witnesses, Intervals::default());
        return Ok(report(options, None, reach, (counts, witnessed), (Vec::new(), Vec::new()), notes));
    };
    rules.check_start(&mut notes);
    let feeds = source.feeds();
    let effort = Effort::new(progress, options, source.bytes_of_feeds(), source.bytes_of_blobs());

    let (heads_only, threads) = (options.heads_only, options.threads);
    let reading = Reading { source: &source, rules: &rules, keep: Keep::Short, heads_only, threads };
    let mut gathered = Gathered::default();
    let scans = scan_each(&reading, &feeds, &|bytes| effort.scanned(bytes), |scan| scan)?;
    for scan in scans {
        counts.add(&scan.counts);
        counts.feeds.add(scan::tally(&scan.counts.records));
        gathered.take(scan, &mut notes);
    }
    let Gathered { lights, heads, mut forks } = gathered;
    let index = Index::new(lights);
    let mut faults = Faults::default();
    let proved = bundles::check(&source, &rules, (&mut forks, &mut faults), &mut counts.evidence, &mut notes)?;
    conflicts::check(&source, &rules, &mut counts.evidence, &mut notes)?;
    unreferenced(&source, &index, &mut notes);
    let (witnesses, intervals) = log_check::check(&source, &rules, &index, options, &mut counts, &mut notes)?;

    let members = index.members();
    let newest = index.all().filter_map(|light| light.round).max().unwrap_or_default();
    let audit = Audit {
        source: &source,
        rules: &rules,
        index: &index,
        payloads: &Payloads::new(options.recompute),
        pool: &Pool::default(),
        network: options.network,
        recompute: options.recompute,
        allow_pruned: options.allow_pruned,
        threads: (options.threads / members.len().max(1)).max(1),
        unlawful: &unlawful(&source, &rules, &index)?,
        newest,
        proved: &proved,
        accused: &faults::accused(&index),
    };
    let (records, payloads) = index.all().fold((0_u64, 0_u64), |(records, payloads), light| {
        (records.saturating_add(light.length as u64), payloads.saturating_add(audit.payload_bytes(&light)))
    });
    effort.expect(records, payloads);
    let walks = each(members.len(), options.threads, |at| walk(&audit, &members[at], &effort));
    let walks = walks.into_iter().collect::<io::Result<Vec<Walk>>>()?;

    let (reach, ends) = anchor::check(options, &rules, &index, &mut notes);
    counts.feeds.missing += ends.values().filter(|ends| ends.lacks_feed()).count() as u64;
    let walked: BTreeMap<MemberId, &Walk> = members.iter().copied().zip(&walks).collect();
    let mut reports = ends.iter().map(|one| member_report(&rules, &index, &heads, &walked, one)).collect::<Vec<_>>();
    let (parts, found) = join(&audit, members, walks, &mut counts, &mut notes);
    let contributions = contribution::gather(rules.publishers(), parts.into_iter());
    faults::judge(&index, &found, &mut notes);
    faults.tell(&mut notes);
    settle(&rules, &forks, &mut reports, &mut notes);
    left_out(options, &counts, &mut notes);
    let version = rules.chain().current().version;
    let counted = (counts, (witnesses, intervals));
    Ok(report(options, Some(version), reach, counted, (reports, contributions), notes))
}

fn report(
    options: &Options,
    manifest_version: Option<u64>,
    anchors: Reach,
    (counts, (witnesses, intervals)): (Counts, (u64, Intervals)),
    (members, contributions): (Vec<MemberReport>, Vec<(MemberId, String, Contribution)>),
    notes: Notes,
) -> Report {
    Report {
        network: options.network,
        manifest_version,
        anchors,
        recomputed: options.recompute,
        witnesses,
        intervals,
        heads_only: options.heads_only,
        counts,
        members,
        contributions,
        findings: notes.into_findings(),
    }
}

/// Takes the walks together: counts, findings, and what each member did.
fn join(
    audit: &Audit<'_>,
    members: Vec<MemberId>,
    walks: Vec<Walk>,
    counts: &mut Counts,
    notes: &mut Notes,
) -> (Vec<(MemberId, Contribution, Choices)>, faults::Checked) {
    let (mut parts, mut found) = (Vec::new(), faults::Checked::new());
    let (mut used, mut withheld, mut wrong) = (Used::default(), Vec::new(), Vec::new());
    for (member, walk) in members.into_iter().zip(walks) {
        counts.add(&walk.counts);
        used.absorb(walk.used);
        withheld.push(walk.withheld);
        notes.absorb(walk.notes);
        found.extend(walk.found);
        wrong.extend(walk.wrong);
        parts.push((member, walk.own, walk.choices));
    }
    for one in withheld {
        let mut about = Notes::default();
        one.tell(audit, &used, &mut about);
        notes.absorb(about);
    }
    audit.judge_attested(&wrong, notes);
    (parts, found)
}

/// What was not checked, as asked, or because nothing is there.
fn left_out(options: &Options, counts: &Counts, notes: &mut Notes) {
    if options.heads_only {
        notes.add("SIG-004", &Place::default(), "the audit was asked to check the newest signatures only");
    }
    if !options.recompute {
        notes.add("MRG-007", &Place::default(), "the audit was asked not to recompute merges");
    }
    if counts.records.ok == 0 {
        notes.add("ARC-003", &Place::default(), "no record could be verified");
    }
}

/// What the scans of all feeds give together.
#[derive(Default)]
struct Gathered {
    lights: Vec<Lights>,
    heads: Vec<Head>,
    forks: Contradictions,
}

impl Gathered {
    fn take(&mut self, scan: Scan, notes: &mut Notes) {
        self.lights.push(scan.lights);
        self.heads.extend(scan.head);
        self.forks.absorb(scan.forks);
        notes.absorb(scan.notes);
    }
}

/// Blobs that nothing names. Evidence bundles are also handed out as blobs.
fn unreferenced(source: &Source<'_>, index: &Index, notes: &mut Notes) {
    let mut unnamed: BTreeSet<BlobHash> = source.blobs().collect();
    for body in index.all().flat_map(|light| [light.body, light.state]).flatten() {
        unnamed.remove(&body.hash);
    }
    for hash in source.evidence() {
        unnamed.remove(&hash);
    }
    for hash in unnamed {
        notes.add("ARC-002", &Place::file(Name::Blob(hash)), "no record here names this blob");
    }
}

/// Says of each fork whether the manifests settle it.
fn settle(rules: &Rules, forks: &Contradictions, reports: &mut [MemberReport], notes: &mut Notes) {
    for ((member, incarnation, seq), seen) in forks.iter() {
        let code = if seen.settled { "FORK-002" } else { "FORK-001" };
        let label = rules.label(member);
        let whose = if seen.own { "" } else { ", one with a key that had been handed over" };
        let text = format!("member {label:?} ({member}) signed two records for place {incarnation}/{seq}{whose}");
        let place = Place { feed: Some((*member, *incarnation)), seq: Some(*seq), ..seen.place.clone() };
        notes.add(code, &place, text);
        for report in reports.iter_mut().filter(|report| seen.own && report.member == *member) {
            report.equivocated = true;
        }
    }
}

fn member_report(
    rules: &Rules,
    index: &Index,
    heads: &[Head],
    walks: &BTreeMap<MemberId, &Walk>,
    (member, ends): (&MemberId, &Ends),
) -> MemberReport {
    let records = || index.of(member).filter(|light| light.stand != Stand::Loose);
    let updates = || records().filter(|light| light.kind == Kind::Update);
    let own = walks.get(member);
    let heads: Vec<Head> = heads.iter().filter(|head| head.member == *member).copied().collect();
    let newest = heads.last().and_then(|head| index.of(member).find(|light| light.id == head.id));
    MemberReport {
        member: *member,
        label: rules.label(member),
        heads,
        newest_time: newest.map(|light| light.claimed_time),
        feeds: ends.feeds,
        reached: ends.reached,
        lacks_feed: ends.lacks_feed(),
        records: records().count() as u64,
        updates: updates().count() as u64,
        last_round: updates().filter_map(|light| light.round).max().unwrap_or_default(),
        merged_by_others: walks.values().filter_map(|walk| walk.choices.merged.get(member)).sum(),
        merged_others: own.map_or(0, |walk| walk.choices.merged.values().sum()),
        merges: own.map(|walk| walk.counts.merges).unwrap_or_default(),
        equivocated: false,
    }
}
