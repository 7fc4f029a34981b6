//! The outer momentum between two rounds: at hand while it is small, packed while the trainer needs the memory.

use std::borrow::Cow;

use chorale_protocol::merge::State;

use crate::store::PackedState;

/// Values up to which X and v stay as they are: 64 MiB.
const OPEN: usize = 1 << 22;

/// X and v after a merge.
pub(super) enum Momentum {
    Open(State),
    Packed(PackedState),
}

impl Momentum {
    pub(super) fn new(state: State) -> Self {
        if state.x.len() <= OPEN { Self::Open(state) } else { Self::Packed(PackedState::new(&state)) }
    }

    /// X: the merge itself. `None` if the packed form is damaged.
    pub(super) fn x(&self) -> Option<Cow<'_, [i64]>> {
        match self {
            Self::Open(state) => Some(Cow::Borrowed(&state.x)),
            Self::Packed(packed) => packed.x().map(Cow::Owned),
        }
    }

    /// X and v. `None` if the packed form is damaged.
    pub(super) fn open(self) -> Option<State> {
        match self {
            Self::Open(state) => Some(state),
            Self::Packed(packed) => packed.unpack(),
        }
    }

    /// The form on disk.
    pub(super) fn packed(&self) -> Cow<'_, PackedState> {
        match self {
            Self::Open(state) => Cow::Owned(PackedState::new(state)),
            Self::Packed(packed) => Cow::Borrowed(packed),
        }
    }
}
