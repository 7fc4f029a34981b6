//! Transparency logs: what a member accepted, in a Merkle tree whose heads it signs and others cosign.
//!
//! Every member keeps an RFC 6962 tree (SHA-256) over the envelopes of the records that it accepted, in the order in which
//! it accepted them, and publishes its heads as checkpoints. The formats are those of C2SP, so that its tools read them:
//! signed notes (c2sp.org/signed-note), checkpoints (c2sp.org/tlog-checkpoint), cosignatures (c2sp.org/tlog-cosignature),
//! a witness's question and answer (c2sp.org/tlog-witness), tiles (c2sp.org/tlog-tiles) and proof files (c2sp.org/tlog-proof). No IO: the caller keeps.
//!
//! A log is written with [`Tree::push`] and [`sign`], judged by a witness with [`judge`], cosigned with [`cosign`], and
//! verified by anyone with [`verify`] under a [`Keyring`].

mod checkpoint;
mod cosign;
mod error;
mod hash;
mod keyring;
mod note;
mod origin;
mod proof;
mod proof_file;
mod signed;
mod tile;
mod tree;
mod witness;

pub use checkpoint::Checkpoint;
pub use cosign::{COSIGN_TIME_MAX, Cosignature, cosign};
pub use error::{NoteError, ProofError};
pub use hash::TreeHash;
pub use keyring::Keyring;
pub use note::{NOTE_BYTES, Note, NoteSignature, SIGNATURES};
pub use origin::Origin;
pub use proof::{verify_consistency, verify_inclusion};
pub use proof_file::{PROOF_FILE_BYTES, ProofFile, ProofFileError};
pub use signed::{Verified, sign, verify};
pub use tile::{TILE_WIDTH, Tile, TileError, rebuild, tiles};
pub use tree::{Tree, TreeError};
pub use witness::{Accepted, Answer, PROOF_LINES, REQUEST_BYTES, Request, WitnessRefusal, held_head, judge};
