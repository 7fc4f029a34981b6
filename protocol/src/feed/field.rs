//! The fields of a record that rules of form look at.

/// A field of a record, for [`Refusal::Field`](super::Refusal::Field).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Presence of the record before.
    Prev,
    /// Presence of a body.
    Body,
    /// Length of the body.
    BodyLength,
    /// Codec of the body.
    Codec,
    /// Number of parents.
    Parents,
    /// Order of parents.
    ParentOrder,
    /// Place of a parent's author.
    ParentMember,
    /// Number of weights.
    Weights,
    /// One weight.
    Weight,
    /// Round.
    Round,
    /// Phase.
    Phase,
    /// Local steps.
    Steps,
    /// Examples.
    Examples,
    /// Skipped members.
    Skipped,
    /// Claimed time.
    ClaimedTime,
    /// Label of a release.
    Label,
    /// Privacy claim.
    Privacy,
    /// What a privacy claim costs.
    Epsilon,
    /// The privacy that the policy wants.
    PolicyPrivacy,
    /// Momentum checkpoint.
    State,
    /// Merges recomputed.
    Checked,
    /// Incarnation.
    Incarnation,
}

impl Field {
    /// A stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Prev => "REC-010",
            Self::Body => "REC-011",
            Self::BodyLength => "REC-012",
            Self::Codec => "REC-013",
            Self::Parents => "REC-014",
            Self::ParentOrder => "REC-015",
            Self::ParentMember => "REC-030",
            Self::Weights => "REC-016",
            Self::Weight => "REC-017",
            Self::Round => "REC-019",
            Self::Phase => "REC-020",
            Self::Steps => "REC-021",
            Self::Examples => "REC-022",
            Self::Skipped => "REC-023",
            Self::ClaimedTime => "REC-024",
            Self::Label => "REC-025",
            Self::Privacy => "REC-026",
            Self::Epsilon => "REC-031",
            Self::PolicyPrivacy => "REC-032",
            Self::State => "REC-027",
            Self::Incarnation => "REC-028",
            Self::Checked => "REC-033",
        }
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Prev => "prev",
            Self::Body => "body",
            Self::BodyLength => "body length",
            Self::Codec => "codec",
            Self::Parents => "parents",
            Self::ParentOrder => "order of parents",
            Self::ParentMember => "member of a parent",
            Self::Weights => "weights",
            Self::Weight => "weight",
            Self::Round => "round",
            Self::Phase => "phase",
            Self::Steps => "steps",
            Self::Examples => "examples",
            Self::Skipped => "skipped members",
            Self::ClaimedTime => "claimed time",
            Self::Label => "label",
            Self::Privacy => "privacy claim",
            Self::Epsilon => "epsilon of the privacy claim",
            Self::PolicyPrivacy => "privacy claim under the policy",
            Self::State => "state",
            Self::Checked => "merges recomputed",
            Self::Incarnation => "incarnation",
        })
    }
}
