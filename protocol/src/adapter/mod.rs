//! The adapter as numbers: its layout, its starting values, its payload in block floating point, and what may be published.
//!
//! Values are Q.32 integers (`i64`, real = v·2⁻³²) where bits must agree, and `f32` where libtorch works.

mod encode;
mod layout;
mod payload;
mod publish;

pub use encode::{encode_f32, encode_q32, f32_view};
pub use layout::{Layout, LayoutError, Slot};
pub use payload::{Payload, PayloadError};
pub use publish::{PublishError, Published, publish};
