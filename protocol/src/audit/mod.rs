//! The audit: a replay of what the engine did, from an archive, by the same functions.
//!
//! Two passes. The first takes each feed file apart and checks every record by itself (`scan`), then links them (`link`); what is
//! kept is a short form of each (`light`). The second goes through each member's records in order: parents, rules, draw, blobs,
//! and the merge computed again (`walk`). Both run on a few threads, hold no feed file whole, and give the same report on any
//! number of threads.

mod anchor;
mod archive;
mod attested;
mod blob;
mod bound;
mod bundles;
mod claims;
pub mod codes;
mod compare;
mod conflicts;
mod contents;
mod contradictions;
mod contribution;
mod draws;
mod effort;
mod faults;
mod finding;
mod forks;
mod frames;
pub mod layout;
mod light;
mod lineage;
mod link;
mod log_book;
mod log_check;
mod log_name;
mod log_split;
mod memory;
mod payloads;
mod pool;
mod remerge;
mod replay;
mod report;
mod rules;
mod scan;
mod shared;
mod source;
mod survey;
mod unlawful;
mod walk;
mod walk_merge;
mod window;
mod withheld;
mod witnessed;
pub mod words;
mod work;

pub use anchor::{Anchor, AnchorError, Reach};
pub use archive::Archive;
pub use compare::{Comparison, Sides, Split};
pub use contents::{ArchiveDigest, Contents, FileDigest};
pub use contribution::{Contribution, Publication};
pub use finding::{Finding, Severity};
pub use forks::{Fork, Forks};
pub use frames::{Piece, Pieces, pieces};
pub use light::Stand;
pub use lineage::{Ancestry, Lineage, Node};
pub use link::Branch;
pub use log_book::{LogBook, LogNote};
pub use log_split::{LogHead, LogSplit};
pub use memory::{ArchiveBuilder, MemoryArchive};
pub use replay::{Options, replay};
pub use report::{Counts, Intervals, MemberReport, Report, Tally, Verdict};
pub use survey::{FeedSurvey, Presence, Survey, SurveyError};
pub use witnessed::{Interval, Witnessed};
