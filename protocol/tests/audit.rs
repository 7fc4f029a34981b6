//! What an audit promises: honest archives pass, and every deviation is found and laid at the right door.

mod world;

use bytes::Bytes;
use chorale_protocol::{
    audit::{Finding, MemoryArchive, Report, Severity, Verdict, layout::Name},
    base::MemberId,
    feed::{Close, Evidence, EvidenceSpec, Release, SkipReason, Spec},
    fixture,
    manifest::{Codec, Cut, LoraRule, Policy},
};
use world::{World, audit};

const SEED: u64 = 20_261_122;

fn policies() -> Vec<Policy> {
    let mut policies = Vec::new();
    for codec in [Codec::Bfp16, Codec::Bfp8] {
        for momentum in [0, 32_768] {
            for lora_rule in [LoraRule::Both, LoraRule::Alternate(2), LoraRule::Ffa] {
                policies.push(Policy { codec, momentum, lora_rule, checkpoint_every: 3, ..fixture::policy() });
            }
        }
    }
    policies
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

fn find<'a>(report: &'a Report, code: &str) -> &'a Finding {
    let found = report.findings.iter().find(|finding| finding.code == code);
    found.unwrap_or_else(|| panic!("no {code} in {:#?}", report.findings))
}

/// The report fails, with this code, at this member's door; nobody else's record fails.
fn blames(report: &Report, code: &str, member: MemberId) {
    assert_eq!(report.verdict(), Verdict::Failed, "{:#?}", report.findings);
    let finding = find(report, code);
    assert_eq!(finding.severity, Severity::Failure);
    assert_eq!(finding.feed.map(|feed| feed.0), Some(member), "{finding:?}");
    for other in report.findings.iter().filter(|finding| finding.severity == Severity::Failure) {
        assert_eq!(other.feed.map(|feed| feed.0), Some(member), "{other:?}");
    }
}

#[test]
fn an_honest_archive_passes_for_every_codec_momentum_and_lora_rule() {
    for policy in policies() {
        let mut world = World::play(4, 6, policy.clone(), SEED);
        let last = world.published[1].last().unwrap().checked.clone();
        let Spec::Update(update) = &last.record().spec else { panic!() };
        let release = Spec::Release(Release { round: update.round, label: "v1".into() });
        world.write(0, &[&last], release, None);
        for who in 0..4 {
            world.write(who, &[], Spec::Close(Close::Finished), None);
        }
        let report = world.audit();
        assert_eq!(report.verdict(), Verdict::Passed, "{policy:?} {:#?}", report.findings);
        assert_eq!(report.findings, [], "{policy:?}");
        assert_eq!((report.counts.merges.ok, report.counts.merges.failed, report.counts.merges.missing), (24, 0, 0));
        assert_eq!(report.counts.records.ok, 29);
        assert_eq!(report.counts.feeds.ok, 4);
        assert!(report.anchored);
        for member in &report.members {
            assert_eq!((member.updates, member.merges.ok), (6, 6));
            assert!(member.merged_by_others > 0 && member.merged_others > 0);
        }
    }
}
