//! Codes of transparency logs and of what they say about time.

use super::{ASK_AGAIN, Code, FULLER, Failure, Incomplete, Warning, code};

pub(super) const LOGS: &[Code] = &[
    code(
        "LOG-001",
        Failure,
        "A checkpoint note is malformed, is in a file of another name, has a wrong signature of a known key, or is not signed by a participant whose log it is.",
        ASK_AGAIN,
    ),
    code("LOG-002", Failure, "The tiles of a log do not give the root of its newest checkpoint.", ASK_AGAIN),
    code(
        "LOG-003",
        Failure,
        "A member signed two heads of its log that contradict each other, or a log that does not go on from the head at which it was handed over to the member's key: it showed different logs to different members.",
        "Keep both notes, they prove it. Ask the member named for an explanation; governors may cut it from the network.",
    ),
    code(
        "LOG-004",
        Incomplete,
        "A log has leaves that are no records of this archive: records may have been left out.",
        FULLER,
    ),
    code("LOG-005", Incomplete, "A tile of a log, or its newest checkpoint, is missing.", FULLER),
    code(
        "LOG-006",
        Incomplete,
        "A note is signed by a key that no manifest version gives to a participant. That signature was not checked.",
        "Get an archive with all manifest versions; or, if the key is a foreign witness's, check the note with that witness's tools.",
    ),
    code(
        "LOG-007",
        Warning,
        "A head of a log is signed with an author key that does not sign for this part of it: one that was handed over, beyond what the handover names, or with a root that the log does not have there; or one before its part began. Whoever got hold of an old key can sign such a head. It counts for nothing.",
        "Nothing, if the member had changed its key because it was stolen. Else ask it whether it signed this head.",
    ),
    code(
        "WIT-001",
        Incomplete,
        "UNWITNESSED: no checkpoint that enough members cosigned covers these records. They may have been shown to some members and not to others.",
        "Get an archive written later, after more members have cosigned; or one with the logs of more members.",
    ),
    code(
        "TIME-001",
        Warning,
        "The claimed time lies outside of the time in which cosigners saw the record come to be.",
        "Go by the interval that `chorale-audit record` shows; the claimed time is its author's word alone.",
    ),
];
