//! Every code of a finding: what it means and what to do about it.

mod logs;
mod notes;
mod rules;

use super::Severity::{self, Failure, Incomplete, Warning};

/// One code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Stable, such as `MRG-001`.
    pub code: &'static str,
    /// What it does to the verdict, unless the circumstances say otherwise.
    pub severity: Severity,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub action: &'static str,
}

/// The code of this name.
#[must_use]
pub fn explain(code: &str) -> Option<&'static Code> {
    all().find(|entry| entry.code == code)
}

/// Every code, by subject.
pub fn all() -> impl Iterator<Item = &'static Code> {
    [ARCHIVE, rules::BYTES, rules::MANIFESTS, rules::RECORDS, FEEDS, UPDATES, MERGES, logs::LOGS, notes::NOTES]
        .into_iter()
        .flatten()
}

/// The severity of a code; one that is not listed is a failure.
pub(super) fn severity(code: &str) -> Severity {
    explain(code).map_or(Failure, |entry| entry.severity)
}

const fn code(code: &'static str, severity: Severity, meaning: &'static str, action: &'static str) -> Code {
    Code { code, severity, meaning, action }
}

const ASK_AGAIN: &str = "Ask another member for an archive and audit that one too.";
const ASK_AUTHOR: &str = "Ask the member named for an explanation; governors may cut it from the network.";
const FULLER: &str = "Get a fuller archive: from a member that keeps more rounds, or one written later.";

const ARCHIVE: &[Code] = &[
    code(
        "ANC-001",
        Incomplete,
        "No anchor was given. A truncated archive verifies just as well: this report cannot say whether the newest records are there.",
        "Ask every member for the id of its newest record and pass them with --anchors; or accept the risk with --allow-unanchored.",
    ),
    code(
        "ANC-002",
        Failure,
        "A record that the auditor knows to exist is not in the archive: it was truncated, or the id is wrong.",
        ASK_AGAIN,
    ),
    code(
        "ANC-003",
        Failure,
        "A manifest version that the auditor knows to exist is not in the archive: versions were withheld, or the hash is wrong.",
        ASK_AGAIN,
    ),
    code(
        "ANC-004",
        Incomplete,
        "Anchors do not reach the end of every feed: the others may have been cut short, or left out.",
        "Ask the members named for the ids of their newest records, or whether they published nothing, and pass them with --anchors; or accept the risk with --allow-unanchored.",
    ),
    code(
        "ARC-001",
        Warning,
        "A file whose name is not of the archive layout. It was not read. In a folder of the layout, something may be missing for it.",
        "Ask who put it there. Leave the archive as it is: it is what was handed over.",
    ),
    code(
        "ARC-002",
        Warning,
        "A blob that no record in the archive names. It was not read.",
        "Nothing here depends on it. If records are missing, it may be theirs: get a fuller archive.",
    ),
    code("ARC-003", Incomplete, "Not one record was verified: the archive shows nothing.", FULLER),
    code("ARC-004", Failure, "A file is longer than any file of its kind may be. It was not read.", ASK_AGAIN),
    code(
        "ARC-005",
        Incomplete,
        "A manifest version is missing between two that are there; the later ones cannot be checked.",
        FULLER,
    ),
    code(
        "NET-001",
        Failure,
        "The genesis is that of another network.",
        "Check the network id that you were told out of band; then ask for the right archive.",
    ),
    code("NET-002", Incomplete, "The archive has no genesis: nothing can be checked against it.", FULLER),
    code(
        "EVD-001",
        Failure,
        "An evidence bundle does not prove what it claims.",
        "It convicts nobody. Ask the member that handed out the archive where it came from.",
    ),
    code("EVD-002", Failure, "An evidence file does not have the hash that names it.", ASK_AGAIN),
    code(
        "EVD-003",
        Failure,
        "An evidence record accuses another member or place than the bundle in its body.",
        ASK_AUTHOR,
    ),
    code(
        "EVD-004",
        Warning,
        "The bundle that an evidence record names is not in the archive: an accusation without its proof, which convicts nobody.",
        "Ask the member that accuses for the bundle. Whoever signed two histories is found by those as well.",
    ),
];

const FEEDS: &[Code] = &[
    code(
        "FRM-001",
        Failure,
        "Bytes in a feed file that are no frame: it is damaged or was tampered with. Reading went on behind them.",
        ASK_AGAIN,
    ),
    code("FRM-002", Failure, "A record stands in the file of another feed.", ASK_AGAIN),
    code("LNK-001", Incomplete, "Records are missing from the middle or the beginning of a feed.", FULLER),
    code("LNK-002", Warning, "A record stands twice in its file.", "Nothing depends on it."),
    code("LNK-003", Failure, "Behind a gap, a record does not continue the one before it.", ASK_AUTHOR),
    code(
        "INC-001",
        Warning,
        "A member opened a new feed: under a new key, or because it lost its state, for example to a restored backup.",
        "Without a handover before it, ask the member whether that is so. Work that it did not publish before is lost.",
    ),
    code(
        "INC-002",
        Failure,
        "The first record of a new incarnation does not name a record of an earlier one of the same member.",
        ASK_AUTHOR,
    ),
    code(
        "INC-003",
        Incomplete,
        "The record that a new incarnation names as its last one is not in the archive.",
        FULLER,
    ),
    code(
        "CUT-001",
        Warning,
        "A record lies beyond the point up to which a cut, or the handover of its key, lets its author's records stand. It counts no longer.",
        "Nothing: governors settled it.",
    ),
    code(
        "FORK-001",
        Failure,
        "A member signed two histories, and no manifest version settles it.",
        "Show the evidence to the governors: they can cut the member from the network.",
    ),
    code(
        "FORK-002",
        Warning,
        "A member signed two histories; a manifest version settled which one stands.",
        "Nothing: governors settled it.",
    ),
    code(
        "FLT-001",
        Failure,
        "A member signed a record that breaks a rule, as a bundle proves, and no manifest version settles it.",
        "Ask the member whether its program is at fault. Governors can cut it from the network before that record.",
    ),
    code(
        "FLT-002",
        Warning,
        "A member signed a record that breaks a rule; by a cut or a handover it no longer stands.",
        "Nothing: governors settled it.",
    ),
    code(
        "FLT-003",
        Failure,
        "A member accuses another of a flaw in a payload or a merge that is in order.",
        ASK_AUTHOR,
    ),
    code(
        "FLT-004",
        Warning,
        "A member accuses another of a flaw that could not be checked: what it takes is not in the archive.",
        "Ask the member that accuses for an archive that has it.",
    ),
    code(
        "FLT-005",
        Failure,
        "A member says in an update that it recomputed a merge and found it right, and the merge is wrong; or it names an update of its own.",
        "Ask the member named whether its program is at fault. What else it says it recomputed is worth no more.",
    ),
    code("DAG-001", Incomplete, "A record builds on a record that is not in the archive.", FULLER),
];

const UPDATES: &[Code] = &[
    code(
        "UPD-004",
        Failure,
        "An update goes on from a publication of its author that is not the author's newest.",
        ASK_AUTHOR,
    ),
    code("UPD-006", Failure, "An update by a member that had published the last round before.", ASK_AUTHOR),
    code(
        "UPD-007",
        Warning,
        "An update claims a number of local steps outside the policy's bounds.",
        "Steps are claimed, not proved. Ask the member.",
    ),
    code(
        "UPD-009",
        Warning,
        "A member started afresh although its last publication was recent.",
        "Ask the member whether it lost its training state.",
    ),
    code(
        "DRW-001",
        Failure,
        "The peers merged and skipped are not the ones that the public draw names, in its order.",
        ASK_AUTHOR,
    ),
    code("DRW-002", Failure, "An update merges more peers than the policy's draw allows.", ASK_AUTHOR),
    code(
        "DRW-003",
        Failure,
        "An update merges fewer peers than the draw and does not account for the others.",
        ASK_AUTHOR,
    ),
    code(
        "DRW-004",
        Failure,
        "A member is called absent although what the author builds on merged its update.",
        ASK_AUTHOR,
    ),
];

const MERGES: &[Code] = &[
    code("BLB-001", Incomplete, "A blob that a record names is not in the archive.", FULLER),
    code(
        "BLB-002",
        Incomplete,
        "A blob is no longer kept by the policy: it was pruned.",
        "Audit archives before their blobs are pruned, or ask a member that keeps all rounds.",
    ),
    code(
        "BLB-003",
        Failure,
        "A blob does not have the hash that names it: it is damaged or was tampered with.",
        ASK_AGAIN,
    ),
    code("BLB-004", Failure, "A blob has another length than its author signed.", ASK_AGAIN),
    code(
        "BLB-005",
        Warning,
        "A blob is not in the archive that only a record names which does not count: of a fork, or beyond a cut.",
        "Nothing depends on it.",
    ),
    code(
        "BLB-006",
        Warning,
        "A blob is not in the archive that an update names on which no other member's record builds, nor on a later one of its author.",
        "Nobody else's work depends on it. Ask its author, or another member, if you want to see it.",
    ),
    code(
        "MRG-001",
        Failure,
        "The merge recomputed from the parents is not the one that the author claims to have trained from.",
        ASK_AUTHOR,
    ),
    code(
        "MRG-002",
        Failure,
        "A publication was left out as too distant and is not, or was merged and is too distant.",
        ASK_AUTHOR,
    ),
    code(
        "MRG-003",
        Incomplete,
        "A merge could not be recomputed: a payload or the momentum state before it is not there.",
        FULLER,
    ),
    code("MRG-004", Failure, "An update moved farther from its merge than the policy's norm bound.", ASK_AUTHOR),
    code("MRG-005", Failure, "An update changed factors that its phase freezes.", ASK_AUTHOR),
    code("MRG-007", Incomplete, "Merges were not recomputed, as asked.", "Run again without --no-recompute."),
    code("MRG-008", Incomplete, "A publication left out as too distant is not there to be checked.", FULLER),
    code("MRG-009", Failure, "A checkpoint blob is malformed.", ASK_AUTHOR),
    code(
        "MRG-010",
        Warning,
        "A merge could not be recomputed, or only from a state that its author alone vouches for; no other member's record builds on it, nor on a later one of its author.",
        "Nobody else's work depends on it.",
    ),
    code(
        "MRG-011",
        Warning,
        "A merge was not recomputed because it took payloads that the policy no longer keeps, as was allowed, or was so from the checkpoint of such a one.",
        "Audit archives before their blobs are pruned, or ask a member that keeps all rounds.",
    ),
    code(
        "MRG-012",
        Incomplete,
        "A merge was recomputed from a momentum state that only its author vouches for: the merge before that checkpoint was not.",
        FULLER,
    ),
    code(
        "MRG-013",
        Failure,
        "A merge misses payloads, and no payloads within reach give what its author made of it: the momentum state in its checkpoint, or what it published.",
        ASK_AUTHOR,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_once_and_says_something() {
        let mut codes: Vec<&str> = all().map(|entry| entry.code).collect();
        codes.sort_unstable();
        assert!(codes.is_sorted_by(|one, other| one < other), "a code stands twice");
        assert!(all().all(|entry| !entry.meaning.is_empty() && !entry.action.is_empty()));
    }

    #[test]
    fn nothing_that_was_handed_over_is_to_be_removed() {
        assert!(all().all(|entry| !entry.action.to_lowercase().contains("remove")));
    }

    #[test]
    fn every_code_that_the_sources_name_is_explained() {
        let sources = [
            include_str!("../../admit/mod.rs"),
            include_str!("../../adapter/error.rs"),
            include_str!("../../code/cbor.rs"),
            include_str!("../../code/sign.rs"),
            include_str!("../../code/walk.rs"),
            include_str!("../../feed/field.rs"),
            include_str!("../../feed/refusal.rs"),
            include_str!("../../log/error.rs"),
            include_str!("../../log/proof_file.rs"),
            include_str!("../../log/witness.rs"),
            include_str!("../../manifest/double_vote.rs"),
            include_str!("../../manifest/error.rs"),
            include_str!("../anchor.rs"),
            include_str!("../blob.rs"),
            include_str!("../compare.rs"),
            include_str!("../conflicts.rs"),
            include_str!("../faults.rs"),
            include_str!("../../admit/draws.rs"),
            include_str!("../../merge/claim.rs"),
            include_str!("../attested.rs"),
            include_str!("../bound.rs"),
            include_str!("../bundles.rs"),
            include_str!("../../draw/account.rs"),
            include_str!("../log_book.rs"),
            include_str!("../log_check.rs"),
            include_str!("../remerge.rs"),
            include_str!("../replay.rs"),
            include_str!("../rules.rs"),
            include_str!("../scan.rs"),
            include_str!("../source.rs"),
            include_str!("../walk.rs"),
            include_str!("../walk_merge.rs"),
        ];
        // Of presence messages and of encoding values: no archive holds either.
        let others = ["PRES-", "PAY-005", "PAY-006", "PAY-007"];
        let mut found = 0;
        for text in sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2)) {
            let code = text.split_once('-').is_some_and(|(kind, number)| {
                kind.bytes().all(|byte| byte.is_ascii_uppercase()) && number.len() == 3 && number.parse::<u16>().is_ok()
            });
            if code && !others.iter().any(|other| text.starts_with(other)) {
                assert!(explain(text).is_some(), "{text} is not explained");
                found += 1;
            }
        }
        assert!(found > 100, "{found} codes found");
    }
}
