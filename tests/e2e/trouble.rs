//! A network in which much goes wrong at once: the audit names each by its code, and blames nobody else.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use chorale_protocol::{
    audit::{Report, Severity, Verdict},
    base::MemberId,
    feed::Spec,
    manifest::{Chain, Cut},
};
use chorale_tests::fleet::{Line, Member, Options, Shape};

use crate::{
    common::Fleet,
    oracle::{agree, programs},
};

const REVOKED: usize = 2;
const RESTORED: usize = 3;
const EQUIVOCATOR: usize = 4;

/// Which codes of this severity the audit found, and with whose feed.
fn found(report: &Report, severity: Severity) -> BTreeSet<(&'static str, Option<MemberId>)> {
    let of = report.findings.iter().filter(|finding| finding.severity == severity);
    of.map(|finding| (finding.code, finding.feed.map(|(member, _)| member))).collect()
}

/// Stops a member, and starts it again from an older copy of its home, `options` telling whom it meets; and where its feed ended
/// in that copy.
fn start_from_backup(fleet: &Fleet, member: Member, options: &Options) -> (Member, Cut) {
    let index = member.index();
    member.kill();
    let (backup, end) = (fleet.back_up(index), cut(fleet, index, 0));
    let mut again = fleet.member(index, &Options { bootstrap: vec![fleet.address.clone()], ..options.clone() });
    let mut rounds = 0;
    again.round("three more rounds", |_| {
        rounds += 1;
        rounds == 3
    });
    again.kill();
    fleet.restore(index, &backup);
    (fleet.member(index, options), end)
}

/// A cut that leaves a stopped member all of its feed but the newest `less` records.
fn cut(fleet: &Fleet, index: usize, less: usize) -> Cut {
    let member = fleet.network.id(index);
    let last = fleet.records(index).into_iter().filter(|one| one.record().member == member).nth_back(less).unwrap();
    let record = last.record();
    Cut { member, incarnation: record.incarnation, last: Some((record.seq, last.id())) }
}

/// Whether the program exits like this for an archive, without an anchor.
fn must_exit(wanted: i32, auditor: &Path, archive: &Path, chain: &Chain) {
    let mut command = Command::new(auditor);
    command.arg("verify").arg(archive).args(["--network", &chain.network().to_string(), "--allow-unanchored"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(wanted), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn an_audit_names_the_equivocator_the_revoked_and_the_restored_and_blames_nobody_else() {
    let options = Options { step_ms: 20, ..Options::default() };
    let (fleet, mut members) = Fleet::start(Shape { seed: 41, members: 5, values: 512, ..Shape::default() }, &options);
    let alone = Options { start_wait_ms: Some(0), ..options.clone() };
    let together = Options { bootstrap: vec![fleet.address.clone()], ..options.clone() };
    for member in &mut members {
        member.round("full round", |round| round.contributors.len() == 5);
    }
    let mut equivocator = members.pop().unwrap();
    let mut restored = members.pop().unwrap();
    let revoked = members.pop().unwrap();

    // An old backup, and a network to meet: it goes on in a new incarnation.
    (restored, _) = start_from_backup(&fleet, restored, &together);
    let incarnation = |line: &Line| if let Line::Incarnation(number) = line { Some(*number) } else { None };
    assert_eq!(restored.until("new incarnation", incarnation), 1);
    restored.round("round", |round| round.contributors.len() > 1);

    // An old backup that writes its own history while nobody is there to warn it, and is then shown to the others.
    let fork;
    (equivocator, fork) = start_from_backup(&fleet, equivocator, &alone);
    let mut rounds = 0;
    equivocator.round("a longer history", |_| {
        rounds += 1;
        rounds == 8
    });
    equivocator.kill();
    let equivocator = fleet.member(EQUIVOCATOR, &together);
    let liar = fleet.network.name(EQUIVOCATOR);
    for member in &mut members {
        member.until("conviction", |line| matches!(line, Line::Convicted(who) if *who == liar).then_some(()));
    }
    drop(equivocator);

    // Governors take the last records of a member back.
    drop(revoked.kill());
    let mut versions = fleet.network.chain();
    let revocation = cut(&fleet, REVOKED, 3);
    let first = fleet.network.amend(&versions, |manifest| manifest.cuts = vec![revocation]);
    versions.extend(first.clone()).unwrap();
    fleet.hand_in(1, &first);
    for member in &mut members {
        member.until("version 1", |line| matches!(line, Line::Manifest(1)).then_some(()));
        member.round("round after it", |_| true);
    }

    // The fork is not settled: it alone is a failure.
    drop(members.pop().unwrap().kill());
    let (unsettled, report) = fleet.audit(1);
    let id = |index| Some(fleet.network.id(index));
    assert_eq!(report.verdict(), Verdict::Failed);
    assert_eq!(found(&report, Severity::Failure), BTreeSet::from([("FORK-001", id(EQUIVOCATOR))]), "{report:#?}");
    let warnings = found(&report, Severity::Warning);
    assert!(warnings.contains(&("INC-001", id(RESTORED))), "{warnings:?}");
    assert!(warnings.contains(&("CUT-001", id(REVOKED))), "{warnings:?}");

    // Governors say which history stands, and when the network is done.
    let rounds = 10 + newest_round(&fleet, 1);
    members.push(fleet.member(1, &together));
    let second = fleet.network.amend(&versions, |manifest| {
        manifest.cuts.push(fork);
        manifest.cuts.sort_by_key(|cut| cut.member);
        manifest.policy.rounds = rounds;
    });
    fleet.hand_in(0, &second);
    members.push(restored);
    members.into_iter().for_each(|member| drop(member.finish()));

    for index in [0, 1, RESTORED] {
        let archive = settled(&fleet, index);
        if index == 0 {
            both_verifiers_say_so(&versions, &unsettled, &archive);
        }
    }
}

/// Audits the archive of a member after the fork was settled: three warnings, each about the member whose it is.
fn settled(fleet: &Fleet, index: usize) -> PathBuf {
    let (archive, report) = fleet.audit_with(index, true);
    assert_eq!(report.verdict(), Verdict::Passed, "m{index}: {:#?}", report.findings);
    let warnings = found(&report, Severity::Warning);
    let id = |index| Some(fleet.network.id(index));
    for (code, who) in [("FORK-002", EQUIVOCATOR), ("INC-001", RESTORED), ("CUT-001", REVOKED)] {
        let named: BTreeSet<_> = warnings.iter().filter(|(other, _)| *other == code).map(|(_, who)| *who).collect();
        // The fork's records were cut off, too.
        let also = BTreeSet::from([id(who), id(EQUIVOCATOR)]);
        assert!(named.contains(&id(who)) && named.is_subset(&also), "m{index}: {code} names {named:?}");
    }
    archive
}

/// The program exits with 1 and 0, and the second verifier finds what it does, in mutants too.
fn both_verifiers_say_so(chain: &Chain, unsettled: &Path, settled: &Path) {
    let Some((python, auditor)) = programs() else { return };
    must_exit(1, &auditor, unsettled, chain);
    must_exit(0, &auditor, settled, chain);
    let (auditor, network) = (auditor.to_str().unwrap(), chain.network().to_string());
    for archive in [unsettled, settled] {
        let args = ["differential.py", auditor, archive.to_str().unwrap(), &network, "--count", "10"];
        agree(&python, &[&args[..], &["--seed", "1", "--allow-unanchored"]].concat());
    }
}

fn newest_round(fleet: &Fleet, index: usize) -> u64 {
    let rounds = fleet.records(index).into_iter().filter_map(|one| match &one.record().spec {
        Spec::Update(update) => Some(update.round.0),
        _ => None,
    });
    rounds.max().unwrap()
}
