//! What a member process says on its standard output: one JSON object a line.

use serde_json::Value;

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// Where it listens.
    Listening(String),
    /// A round of its own is done.
    Round(Round),
    /// It admitted another member's update: id, round.
    Admitted(String, u64),
    /// It refused something: the code.
    Refused(String),
    /// It convicted a member: the id.
    Convicted(String),
    /// It barred a member for a broken rule: the id, the code.
    Barred(String, String),
    /// A manifest version holds.
    Manifest(u64),
    /// It went on in another incarnation.
    Incarnation(u64),
    /// A round failed.
    Failed(String),
    /// What it does now.
    State(String),
    /// Microseconds of a round's job: round, merging, training, keeping.
    Work(u64, [u64; 3]),
    /// It ended.
    Ended(Result<String, String>),
}

/// One round of one member.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// The round published.
    pub round: u64,
    /// When it was announced, in microseconds since some moment of its process.
    pub at_us: u64,
    /// The merge it trained from.
    pub merge: String,
    /// Who was merged, by id, with weights.
    pub contributors: Vec<(String, u64)>,
    /// Who was not, and why.
    pub skipped: Vec<(String, String)>,
    /// Held-out loss of the merge, in millionths.
    pub loss_before: Option<u64>,
    /// Milliseconds between the announcement before and the order of this round.
    pub gather_ms: u64,
    /// Milliseconds of its job.
    pub work_ms: u64,
}

impl Line {
    /// Reads a line; `None` if it is none of these.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| value.get(key).and_then(Value::as_u64);
        Some(match value.get("line")?.as_str()? {
            "listening" => Self::Listening(text("address")?),
            "round" => Self::Round(Round {
                round: number("round")?,
                at_us: number("at_us")?,
                merge: text("merge")?,
                contributors: pairs(&value, "contributors", Value::as_u64)?,
                skipped: pairs(&value, "skipped", |why| why.as_str().map(str::to_owned))?,
                loss_before: number("loss_before"),
                gather_ms: number("gather_ms")?,
                work_ms: number("work_ms")?,
            }),
            "admitted" => Self::Admitted(text("member")?, number("round")?),
            "refused" => Self::Refused(text("code")?),
            "barred" => Self::Barred(text("member")?, text("code")?),
            "convicted" => Self::Convicted(text("member")?),
            "manifest" => Self::Manifest(number("version")?),
            "incarnation" => Self::Incarnation(number("incarnation")?),
            "failed" => Self::Failed(text("why")?),
            "state" => Self::State(text("state")?),
            "work" => Self::Work(number("round")?, [number("merge")?, number("train")?, number("keep")?]),
            "ended" => Self::Ended(text("error").map_or_else(|| Ok(text("state").unwrap_or_default()), Err)),
            _ => return None,
        })
    }
}

fn pairs<T>(value: &Value, key: &str, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<(String, T)>> {
    let list = value.get(key)?.as_array()?.iter();
    list.map(|pair| Some((pair.get(0)?.as_str()?.to_owned(), read(pair.get(1)?)?))).collect()
}
