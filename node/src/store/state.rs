//! The training state beside a publication: what a restart needs to go on as if nothing had happened.
//!
//! `store/state/<payload hex>.state`, little-endian: magic · round u64 · values u64 · momentum flag u64 · X and v packed, if
//! there is momentum · residual f32 · the trainer's bytes · BLAKE3 of all that precedes. It is there, whole, before the
//! record of its payload is, and flushed to the disk right after: a killed process finds it; where a power cut comes in
//! between, the node goes on from its peers.

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
    pack::{BLOCK, pack, unpack},
};

const MAGIC: &[u8; 16] = b"chorale state 2\n";
const HEAD: usize = 16 + 3 * 8;
/// Values written at a time.
const PIECE: usize = 512 * BLOCK;

/// Everything that a restart needs.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainState {
    /// The round published.
    pub round: Round,
    /// Outer momentum after that round's merge; `None` if μ = 0.
    pub momentum: Option<merge::State>,
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

    /// Writes the state that belongs to our publication `payload`. It outlives the process; [`Self::flush`] makes it outlive
    /// a power cut.
    pub(super) fn put(&self, payload: &BlobHash, state: &TrainState) -> Result<(), StoreError> {
        atomic::write(&self.path(payload), &self.temp, Durable::No, |out| write(out, state))
    }

    /// Flushes a state to the disk, unless a later one has taken its place.
    pub(super) fn flush(&self, payload: &BlobHash) -> Result<(), StoreError> {
        let path = self.path(payload);
        match File::open(&path).and_then(|file| file.sync_data()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::io(&path, "flush to disk")(error)),
            Ok(()) => atomic::sync_folder(&self.folder),
        }
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
    let mut hasher = blake3::Hasher::new();
    let mut put = |part: &[u8]| {
        hasher.update(part);
        out.write_all(part)
    };
    put(MAGIC)?;
    for number in [state.round.0, state.residual.len() as u64, u64::from(state.momentum.is_some())] {
        put(&number.to_le_bytes())?;
    }
    let mut piece = Vec::with_capacity(4 * PIECE + PIECE / BLOCK);
    for values in state.momentum.iter().flat_map(|momentum| [&momentum.x, &momentum.v]) {
        for values in values.chunks(PIECE) {
            piece.clear();
            pack(values, &mut piece);
            put(&piece)?;
        }
    }
    for values in state.residual.chunks(PIECE) {
        piece.clear();
        values.iter().for_each(|value| piece.extend_from_slice(&value.to_le_bytes()));
        put(&piece)?;
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
    let (round, count, momentum) = (number(), number(), number() == 1);
    if usize::try_from(count) != Ok(values) {
        return Err("of another adapter's shape");
    }
    let mut row = || unpack(&mut rest, values).ok_or("its momentum does not unpack");
    let momentum = if momentum { Some(merge::State { x: row()?, v: row()? }) } else { None };
    let (residual, trainer) = rest.split_at_checked(4 * values).ok_or("shorter than its residual")?;
    let residual = residual.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
    Ok(TrainState { round: Round(round), momentum, residual, trainer: trainer.to_vec() })
}
