//! The adapter as numbers: its layout, its starting values, its payload in block floating point, and what may be published.
//!
//! Values are Q.32 integers (`i64`, real = v·2⁻³²) where bits must agree, and `f32` where libtorch works.

pub(crate) mod block;
mod distance;
mod encode;
mod error;
mod layout;
#[cfg(test)]
mod levels;
mod payload;
mod publish;
pub(crate) mod simd;
mod start;
mod update;
mod view;

pub(crate) use distance::{from_values, in_tile, most_in_tile};
pub(crate) use layout::Tile;
pub(crate) use payload::{Checking, Part};
pub(crate) use view::{MAGIC, hash_view, whole};

pub use distance::within_bound;
pub use encode::{encode_f32, encode_q32};
pub use error::PayloadError;
pub use layout::{Layout, LayoutError, Slot};
pub use payload::Payload;
pub use publish::{PublishError, Published, check_frozen, publish};
pub use start::start_hash;
pub use view::{f32_view, f32_view_into};
