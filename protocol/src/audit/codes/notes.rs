//! Codes of notes, proofs and requests to witnesses: what `checkpoint` says of a file by itself, and what `LOG-001` quotes.

use super::{ASK_AGAIN, Code, Failure, code};

const FORM: &str = "No honest program writes this. Ask whoever gave you the file for it again.";
const KEYS: &str =
    "Give all manifest versions, with --archive or --manifest; if it stays so, ask whoever gave you the file.";
const PROVE: &str =
    "Make the proof again from an archive with that log's tiles, and check it against a head of the same log.";
const NODE: &str = "Nothing for an auditor: the member that asks puts it right with its next request.";

pub(super) const NOTES: &[Code] = &[
    code("NOTE-001", Failure, "A note longer than any note may be.", FORM),
    code("NOTE-002", Failure, "A note that is not UTF-8, or has a control character other than the newline.", FORM),
    code(
        "NOTE-003",
        Failure,
        "A file that is no note: its empty line, its last newline or its signatures are missing, or a signature line does not begin as one.",
        FORM,
    ),
    code("NOTE-004", Failure, "A signature line whose key has no name, or one with a space or a plus sign.", FORM),
    code("NOTE-005", Failure, "A signature line that is not base64 of a key id and a signature.", FORM),
    code("NOTE-006", Failure, "A note with more signatures than a note may have.", FORM),
    code("NOTE-007", Failure, "A note with two signatures of one key.", FORM),
    code(
        "NOTE-008",
        Failure,
        "A note whose text is no checkpoint: it has other lines than origin, size and root, or one of them is malformed.",
        FORM,
    ),
    code("NOTE-009", Failure, "A checkpoint whose origin is not written as this protocol writes one.", FORM),
    code(
        "NOTE-010",
        Failure,
        "A checkpoint of a log of another network.",
        "Check that note, genesis and archive are of the network that you mean.",
    ),
    code("NOTE-011", Failure, "A checkpoint of a log whose owner no manifest version names.", KEYS),
    code(
        "NOTE-012",
        Failure,
        "A checkpoint that its log's owner has not signed with a key that a manifest version gives it.",
        KEYS,
    ),
    code(
        "NOTE-013",
        Failure,
        "A signature of a known key that does not verify: the checkpoint is not the one that was signed.",
        ASK_AGAIN,
    ),
    code("NOTE-014", Failure, "A cosignature of another length, or with a time that is none.", FORM),
    code(
        "NOTE-015",
        Failure,
        "A checkpoint that its log's owner signed with a key which does not sign for this part of the log: the manifest's handover says with how many leaves and which root one key's part ends and the next one's begins.",
        KEYS,
    ),
    code("PRF-001", Failure, "A proof that a record is a leaf which the tree does not have.", PROVE),
    code("PRF-002", Failure, "A proof that a log continues a longer one.", "Give the smaller head first."),
    code("PRF-003", Failure, "A proof of another number of hashes than it takes.", PROVE),
    code(
        "PRF-004",
        Failure,
        "A proof that does not lead to the root: the record is not that leaf, or the log does not continue the other.",
        PROVE,
    ),
    code("PRF-006", Failure, "A file that is no proof as c2sp.org/tlog-proof lays it out, or too long.", FORM),
    code("ASK-001", Failure, "A request to a witness of another form than c2sp.org/tlog-witness.", NODE),
    code("ASK-002", Failure, "A member asked itself to cosign its own log.", NODE),
    code("ASK-003", Failure, "A request that goes on from another size than the witness holds.", NODE),
    code(
        "ASK-004",
        Failure,
        "A request to cosign another root for a size that the witness already cosigned: the log was split.",
        "Keep both checkpoints, they prove it. Governors may cut the log's owner from the network.",
    ),
    code(
        "ASK-005",
        Failure,
        "A request whose checkpoint the log's owner signed with a key that was handed over.",
        NODE,
    ),
];
