//! The training state beside a publication: what a restart needs to go on as if nothing had happened.
//!
//! `store/state/<payload hex>.state`, little-endian: magic · round u64 · values u64 · momentum flag u64 · four lengths u64 ·
//! X and v packed · residual f32 · the trainer's bytes · BLAKE3 of all that precedes. It is on disk before the record
//! of its payload is.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use chorale_protocol::{
    base::{BlobHash, Round},
    merge,
};

use super::{
    StoreError,
    atomic::{self, Durable},
    pack::{pack, unpack},
};

const MAGIC: &[u8; 16] = b"chorale state 1\n";
const HEAD: usize = 16 + 7 * 8;

/// Outer momentum (X, v), packed: half the memory of the numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedState {
    x: Vec<u8>,
    v: Vec<u8>,
    values: usize,
}

impl PackedState {
    /// Packs.
    #[must_use]
    pub fn new(state: &merge::State) -> Self {
        Self { x: pack(&state.x), v: pack(&state.v), values: state.x.len() }
    }

    /// X alone: the merge that training started from.
    #[must_use]
    pub fn x(&self) -> Option<Vec<i64>> {
        unpack(&self.x, self.values)
    }

    /// Unpacks; `None` if the bytes are not what [`Self::new`] made.
    #[must_use]
    pub fn unpack(&self) -> Option<merge::State> {
        Some(merge::State { x: self.x()?, v: unpack(&self.v, self.values)? })
    }
}

/// Everything that a restart needs.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainState {
    /// The round published.
    pub round: Round,
    /// Outer momentum after that round's merge; `None` if μ = 0.
    pub momentum: Option<PackedState>,
    /// What rounding lost so far, layout order.
    pub residual: Vec<f32>,
    /// The trainer's own.
    pub trainer: Vec<u8>,
}

/// The state files of one home.
#[derive(Debug, Clone)]
pub(super) struct States {
    folder: PathBuf,
    temp: PathBuf,
}

impl States {
    pub(super) fn open(store: &Path) -> Result<Self, StoreError> {
        let folder = store.join("state");
        fs::create_dir_all(&folder).map_err(StoreError::io(&folder, "make the folder"))?;
        Ok(Self { folder, temp: store.join("partial").join("state.temp") })
    }

    fn path(&self, payload: &BlobHash) -> PathBuf {
        self.folder.join(format!("{payload}.state"))
    }

    /// Writes the state that belongs to our publication `payload`, durably.
    pub(super) fn put(&self, payload: &BlobHash, state: &TrainState) -> Result<(), StoreError> {
        atomic::write(&self.path(payload), &self.temp, Durable::Yes, |out| write(out, state))
    }

    /// Reads a state of `values` values; `None` if there is none.
    pub(super) fn load(&self, payload: &BlobHash, values: usize) -> Result<Option<TrainState>, StoreError> {
        let path = self.path(payload);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(&path, "read")(error)),
        };
        match parse(&bytes, values) {
            Ok(state) => Ok(Some(state)),
            Err(why) => Err(StoreError::Damaged { path, why: why.into() }),
        }
    }

    /// Deletes every state but the one of `payload`.
    pub(super) fn keep_only(&self, payload: &BlobHash) -> Result<(), StoreError> {
        let keep = self.path(payload);
        let list = fs::read_dir(&self.folder).map_err(StoreError::io(&self.folder, "list"))?;
        for entry in list {
            let path = entry.map_err(StoreError::io(&self.folder, "list"))?.path();
            if path != keep {
                fs::remove_file(&path).map_err(StoreError::io(&path, "delete"))?;
            }
        }
        Ok(())
    }
}

fn write(out: &mut BufWriter<File>, state: &TrainState) -> io::Result<()> {
    let empty = Vec::new();
    let (x, v) = state.momentum.as_ref().map_or((&empty, &empty), |momentum| (&momentum.x, &momentum.v));
    let lengths = [x.len(), v.len(), state.residual.len() * 4, state.trainer.len()];
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&state.round.0.to_le_bytes());
    head.extend_from_slice(&(state.residual.len() as u64).to_le_bytes());
    head.extend_from_slice(&u64::from(state.momentum.is_some()).to_le_bytes());
    for length in lengths {
        head.extend_from_slice(&(length as u64).to_le_bytes());
    }
    let mut hasher = blake3::Hasher::new();
    let mut put = |part: &[u8]| {
        hasher.update(part);
        out.write_all(part)
    };
    put(&head)?;
    put(x)?;
    put(v)?;
    let mut block = Vec::with_capacity(1 << 16);
    for values in state.residual.chunks(1 << 14) {
        block.clear();
        values.iter().for_each(|value| block.extend_from_slice(&value.to_le_bytes()));
        put(&block)?;
    }
    put(&state.trainer)?;
    out.write_all(hasher.finalize().as_bytes())
}

fn parse(bytes: &[u8], values: usize) -> Result<TrainState, &'static str> {
    let (body, hash) = bytes.split_last_chunk::<32>().ok_or("shorter than its hash")?;
    if !body.starts_with(MAGIC) {
        return Err("not a training state of this version");
    }
    if blake3::hash(body).as_bytes() != hash {
        return Err("its bytes do not have the hash at its end");
    }
    let (head, mut rest) = body.split_at_checked(HEAD).ok_or("shorter than its head")?;
    let mut numbers = head[16..].chunks_exact(8).map(|chunk| chunk.try_into().map_or(0, u64::from_le_bytes));
    let mut number = || numbers.next().unwrap_or(0);
    let (round, count, momentum) = (number(), number(), number());
    if usize::try_from(count) != Ok(values) {
        return Err("of another adapter's shape");
    }
    let mut part = || {
        let length = usize::try_from(number()).map_err(|_| "a length out of range")?;
        let (part, after) = rest.split_at_checked(length).ok_or("shorter than its parts")?;
        rest = after;
        Ok::<_, &'static str>(part)
    };
    let (x, v, residual, trainer) = (part()?, part()?, part()?, part()?);
    if residual.len() != values * 4 || !rest.is_empty() {
        return Err("its parts do not fill it");
    }
    let momentum = (momentum == 1).then(|| PackedState { x: x.to_vec(), v: v.to_vec(), values });
    let residual = residual.chunks_exact(4).map(|chunk| chunk.try_into().map_or(0.0, f32::from_le_bytes)).collect();
    Ok(TrainState { round: Round(round), momentum, residual, trainer: trainer.to_vec() })
}
