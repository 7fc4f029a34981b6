//! The training state beside a publication: what a restart needs to go on as if nothing had happened.
//!
//! Two files, `store/state/0` and `1`, written in turn and in place: the one that belongs to the newest durable record is never
//! touched. Writing over pages that the system has at hand costs a fraction of what new ones do. Little-endian: magic · payload
//! hash · round u64 · values u64 · momentum flag u64 · X and v packed, if there is momentum · residual f32 · the trainer's bytes ·
//! BLAKE3 of all that precedes. A state is written before the record of its payload, and flushed to the disk right after: a
//! killed process finds it; where a power cut comes in between, the node goes on from its peers.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use chorale_protocol::{
    base::{BlobHash, Round},
    merge,
};

use super::{
    StoreError,
    pack::{PIECE, pack, unpack},
};

const MAGIC: &[u8; 16] = b"chorale state 4\n";
/// Magic and payload hash.
const NAME: usize = 16 + 32;
const HEAD: usize = NAME + 3 * 8;

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
#[derive(Debug)]
pub(super) struct States {
    files: [PathBuf; 2],
    held: Mutex<Held>,
}

/// What is in the files.
#[derive(Debug, Default)]
struct Held {
    /// The payload that each belongs to.
    payloads: [Option<BlobHash>; 2],
    /// The one that belongs to our newest durable record.
    newest: Option<usize>,
}

impl States {
    pub(super) fn open(store: &Path) -> Result<Self, StoreError> {
        let folder = store.join("state");
        fs::create_dir_all(&folder).map_err(StoreError::io(&folder, "make the folder"))?;
        let files = [folder.join("0"), folder.join("1")];
        let mut held = Held::default();
        for (slot, path) in held.payloads.iter_mut().zip(&files) {
            *slot = name(path).map_err(StoreError::io(path, "read"))?;
        }
        Ok(Self { files, held: Mutex::new(held) })
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of a payload.
    fn find(&self, payload: &BlobHash) -> Option<(usize, &Path)> {
        let slot = self.held().payloads.iter().position(|held| held.as_ref() == Some(payload))?;
        self.files.get(slot).map(|path| (slot, path.as_path()))
    }

    /// Writes the state that belongs to our publication `payload`. It outlives the process; [`Self::flush`] makes it outlive
    /// a power cut. One at a time.
    pub(super) fn put(&self, payload: &BlobHash, state: &TrainState) -> Result<(), StoreError> {
        let slot = {
            let mut held = self.held();
            let slot = usize::from(held.newest == Some(0));
            held.payloads[slot] = None;
            slot
        };
        let path = &self.files[slot];
        let mut options = OpenOptions::new();
        // The moments of an optimiser tell about the data: for this user only.
        options.create(true).write(true).truncate(false).mode(0o600);
        let written = options.open(path).and_then(|mut file| {
            let length = write(&mut file, payload, state)?;
            file.set_len(length)
        });
        written.map_err(StoreError::io(path, "write"))?;
        self.held().payloads[slot] = Some(*payload);
        Ok(())
    }

    /// From now on the state of `payload` is the one to keep.
    pub(super) fn keep(&self, payload: &BlobHash) {
        let slot = self.find(payload).map(|(slot, _)| slot);
        self.held().newest = slot;
    }

    /// Flushes a state to the disk, unless a later one has taken its place.
    pub(super) fn flush(&self, payload: &BlobHash) -> Result<(), StoreError> {
        let Some((_, path)) = self.find(payload) else { return Ok(()) };
        let flush = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        flush(path).and_then(|()| path.parent().map_or(Ok(()), flush)).map_err(StoreError::io(path, "flush to disk"))
    }

    /// Reads a state of `values` values; `None` if there is none.
    pub(super) fn load(&self, payload: &BlobHash, values: usize) -> Result<Option<TrainState>, StoreError> {
        let Some((_, path)) = self.find(payload) else { return Ok(None) };
        let bytes = fs::read(path).map_err(StoreError::io(path, "read"))?;
        match parse(&bytes, payload, values) {
            Ok(state) => Ok(Some(state)),
            Err(why) => Err(StoreError::Damaged { path: path.to_owned(), why: why.into() }),
        }
    }
}

/// The payload that a file says it belongs to; `None` if it is no state of this version.
fn name(path: &Path) -> io::Result<Option<BlobHash>> {
    let mut head = [0; NAME];
    match File::open(path).and_then(|mut file| file.read_exact(&mut head)) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    let (magic, hash) = head.split_at(MAGIC.len());
    Ok(hash.try_into().ok().filter(|_| magic == MAGIC).map(BlobHash))
}

/// Writes it and says how many bytes it takes.
fn write(out: &mut File, payload: &BlobHash, state: &TrainState) -> io::Result<u64> {
    let (mut hasher, mut length) = (blake3::Hasher::new(), 0);
    let mut put = |part: &[u8]| {
        hasher.update(part);
        length += part.len() as u64;
        out.write_all(part)
    };
    let numbers = [state.round.0, state.residual.len() as u64, u64::from(state.momentum.is_some())];
    let head = [&MAGIC[..], &payload.0, numbers.map(u64::to_le_bytes).as_flattened()].concat();
    put(&head)?;
    let mut piece = Vec::new();
    for values in state.momentum.iter().flat_map(|momentum| [&momentum.x, &momentum.v]) {
        for values in values.chunks(PIECE) {
            pack(values, &mut piece);
            put(&piece)?;
        }
    }
    for values in state.residual.chunks(PIECE) {
        piece.resize(4 * values.len(), 0);
        for (to, value) in piece.as_chunks_mut::<4>().0.iter_mut().zip(values) {
            *to = value.to_le_bytes();
        }
        put(&piece)?;
    }
    put(&state.trainer)?;
    let hash = hasher.finalize();
    out.write_all(hash.as_bytes())?;
    Ok(length + hash.as_bytes().len() as u64)
}

fn parse(bytes: &[u8], payload: &BlobHash, values: usize) -> Result<TrainState, &'static str> {
    let (body, hash) = bytes.split_last_chunk::<32>().ok_or("shorter than its hash")?;
    if !body.starts_with(MAGIC) || body.get(MAGIC.len()..NAME) != Some(&payload.0) {
        return Err("not the training state of this publication");
    }
    if blake3::hash(body).as_bytes() != hash {
        return Err("its bytes do not have the hash at its end");
    }
    let (head, mut rest) = body.split_at_checked(HEAD).ok_or("shorter than its head")?;
    let mut numbers = head[NAME..].chunks_exact(8).map(|chunk| chunk.try_into().map_or(0, u64::from_le_bytes));
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
