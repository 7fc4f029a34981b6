//! What a member is to do, as data.

use bytes::Bytes;

use super::Ticket;
use crate::{
    base::{BlobHash, Incarnation, MemberId, MergeHash, RecordId, Round, Seq, TransportId},
    code::PublicKey,
    feed::{Body, SkipReason},
    manifest::{Phase, Steps},
    wire::Have,
};

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Make our own record and the new head durable (one fsynced transaction), then say [`super::Input::Persisted`].
    Persist {
        /** its id */
        id: RecordId,
        /** whole bytes */
        bytes: Bytes,
    },
    /// Store another member's record, or one of our own that a peer gave back. No answer is needed.
    Store {
        /** its id */
        id: RecordId,
        /** whole bytes */
        bytes: Bytes,
    },
    /// Store an accepted manifest version, and let the network gate follow [`super::Engine::chain`].
    StoreManifest {
        /** whole bytes */
        bytes: Bytes,
    },
    /// Keep a manifest that convicts governors of a double vote.
    StoreConflict {
        /** whole bytes */
        bytes: Bytes,
    },
    /// Publish on the records topic.
    Announce {
        /** whole bytes */
        bytes: Bytes,
    },
    /// Sign and publish presence: the hands add addresses and counter.
    Presence {
        /** our newest record */
        head: Option<(Incarnation, Seq, RecordId)>,
        /** version held */
        manifest_version: u64,
    },
    /// Answer a gossip message.
    Verdict {
        /** which */
        ticket: Ticket,
        /** how */
        verdict: Verdict,
    },
    /// Lower a peer's standing.
    Penalise {
        /** whom */
        peer: TransportId,
        /** a refusal's code */
        code: &'static str,
    },
    /// Close and refuse connections of this transport key.
    Ban {
        /** whom */
        peer: TransportId,
        /** why */
        code: &'static str,
    },
    /// Take back the ban of this transport key: its member's key had failed, and it has another one.
    Pardon {
        /** whom */
        peer: TransportId,
    },
    /// A member announced addresses and is not connected: dial it.
    Dial {
        /** whom */
        peer: TransportId,
        /** binary multiaddrs */
        addresses: Vec<Vec<u8>>,
    },
    /// Ask this peer for what we lack; hand in each part, then say [`super::Input::Synced`].
    Sync {
        /** whom */
        peer: TransportId,
        /** what we have */
        have: Vec<Have>,
        /** records that others build on and that we lack */
        wants: Vec<RecordId>,
        /** version held */
        manifest_version: u64,
    },
    /// Fetch a blob from any of these, one after the other; check hash, length and, for a payload, its canonical form. Answered
    /// by [`super::Input::PayloadArrived`] (at once if it is on disk), for what is no payload by [`super::Input::Blob`], or by
    /// [`super::Input::FetchFailed`]. A later order for the same hash replaces this one.
    Fetch {
        /** what */
        body: Body,
        /** connected holders, the likeliest first */
        from: Vec<TransportId>,
        /** whether it is an update's payload */
        payload: bool,
    },
    /// Stop fetching it.
    CancelFetch {
        /** which */
        hash: BlobHash,
    },
    /// Merge, train, publish: one round, on the trainer's thread. One at a time.
    Round(Box<RoundPlan>),
    /// Recompute another member's merges, beside the round; answered by [`super::Input::Rechecked`]. One at a time.
    Recheck(Box<MergeCheck>),
    /// Write an evidence bundle, as evidence and as a blob that peers can fetch, and pin it. It precedes the `Persist` of a
    /// record that names it.
    StoreEvidence {
        /** whole bytes */
        bytes: Bytes,
    },
    /// Delete blobs that no longer count.
    Prune {
        /** which */
        blobs: Vec<BlobHash>,
    },
    /// Something people want to know.
    Event(Event),
    /// The last round is done and announced; the hands may stop when peers have had time to fetch.
    Finished,
}

/// How a gossip message is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it.
    Accept,
    /// Do not forward; nobody is at fault.
    Ignore,
    /// Do not forward; the forwarder is at fault.
    Reject,
}

/// One round's work.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundPlan {
    /// Where the publication will stand in our feed.
    pub incarnation: Incarnation,
    /// Its place.
    pub seq: Seq,
    /// The manifest version whose policy applies.
    pub manifest_version: u64,
    /// Our own last publication (record, round, payload), unless we are new or were long absent. `Some`: go on from the
    /// training and momentum state saved with that payload. `None`: start afresh.
    pub own: Option<PlannedVoice>,
    /// Others' publications, in draw order; their payloads are on disk.
    pub others: Vec<PlannedVoice>,
    /// Bounds on local steps.
    pub steps: Steps,
    /// Whether to write the momentum checkpoint blob.
    pub checkpoint: bool,
}

/// Another member's merges, to be recomputed one after the other: with momentum each goes on from the state that the one before left.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeCheck {
    /// Oldest first; not empty.
    pub steps: Vec<MergeStep>,
    /// The checkpoint of the momentum before the first, where there is momentum and an own publication.
    pub state: Option<Bytes>,
}

/// One of another member's merges.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeStep {
    /// Its record.
    pub record: RecordId,
    /// The manifest version whose policy applies.
    pub manifest_version: u64,
    /// The author's last publication, if it merged that.
    pub own: Option<PlannedVoice>,
    /// Others' publications that it merged or left out for their distance; their payloads are on disk.
    pub others: Vec<PlannedVoice>,
    /// Those left out for their distance.
    pub far: Vec<MemberId>,
    /// The merge hash that it says.
    pub merge: MergeHash,
    /// What trained.
    pub phase: Phase,
    /// What it published, on disk.
    pub payload: Body,
}

/// One publication to merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedVoice {
    /// Whose.
    pub member: MemberId,
    /// The update record.
    pub record: RecordId,
    /// Its round.
    pub round: Round,
    /// Its payload.
    pub payload: Body,
}

/// Why something happened, as data for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// A stable code.
    pub code: &'static str,
    /// The refusal's text.
    pub text: String,
}

/// What people want to know. Events change nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Our round is persisted and announced.
    RoundDone(Box<RoundReport>),
    /// Another member's update was admitted.
    Admitted {
        /** whose */
        member: MemberId,
        /** its round */
        round: Round,
        /** which */
        record: RecordId,
    },
    /// A record, presence or manifest was refused.
    Refused {
        /** who handed it over */
        from: Option<TransportId>,
        /** why */
        reason: Reason,
    },
    /// A payload was refused.
    PayloadRefused {
        /** whose */
        member: MemberId,
        /** which */
        hash: BlobHash,
        /** why */
        reason: Reason,
    },
    /// A member was proved to have equivocated.
    Convicted {
        /** whom */
        member: MemberId,
        /** where */
        incarnation: Incarnation,
        /** at which place */
        seq: Seq,
    },
    /// A member broke a rule: nothing counts that follows in this feed.
    Barred {
        /** who */
        member: MemberId,
        /** in which incarnation */
        incarnation: Incarnation,
        /** at which place */
        seq: Seq,
        /** which rule */
        code: &'static str,
    },
    /// A new manifest version holds.
    Manifest {
        /** which */
        version: u64,
    },
    /// Our own feed was ahead of our disk (a restored backup), or our key is a new one. We go on in a new incarnation.
    NewIncarnation {
        /** which */
        incarnation: Incarnation,
    },
    /// A round failed; when it will be tried again.
    RoundFailed {
        /** what happened */
        why: String,
        /** in so many milliseconds */
        retry_ms: u64,
    },
    /// The newest manifest gives us another key, which is ours: we sign with it from now on.
    NewKey {
        /** by which version */
        version: u64,
    },
    /// The newest manifest gives us a key that we do not have: we sign nothing any more.
    KeyGone {
        /** by which version */
        version: u64,
    },
    /// Governors voted for two manifests of one version.
    DoubleVote {
        /** which */
        version: u64,
        /** who */
        governors: Vec<PublicKey>,
    },
    /// We are no longer a member of the network.
    Expelled,
}

/// What one round merged: who, who not, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundReport {
    /// The round published.
    pub round: Round,
    /// Our record.
    pub record: RecordId,
    /// The merge that it trained from.
    pub merge: MergeHash,
    /// Who was merged, with weights, ourselves included.
    pub contributors: Vec<(MemberId, u64)>,
    /// How many others were merged.
    pub others: u64,
    /// How many others it could merge at most: the draw, or all others if they are fewer.
    pub wanted: u64,
    /// Who was drawn and not merged, and why.
    pub skipped: Vec<(MemberId, SkipReason)>,
    /// Local steps.
    pub steps: u64,
    /// Held-out loss before and after, in millionths of a nat per token.
    pub loss_micro: (Option<u64>, Option<u64>),
    /// Milliseconds from our previous announcement to the order of this round: waiting for and fetching from peers.
    pub gather_ms: u64,
    /// Milliseconds from the order to the end of the round's job.
    pub work_ms: u64,
}

impl RoundReport {
    /// Whether only our own last publication was merged, though there are others.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.wanted > 0 && self.others == 0 && !self.contributors.is_empty()
    }
}
