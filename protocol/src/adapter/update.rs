//! The arithmetic of a publication: how long an update is, what to encode, what rounding lost. Private to a member, so f64.

use super::{
    Layout, PublishError, distance,
    encode::encode_tile,
    layout::Tile,
    payload::{Part, decode_part},
    simd::{Kernel, Level},
    view::{MAGIC, whole},
};
use crate::manifest::{Codec, Phase};

/// 2^32, the unit of Q.32.
pub(super) const ONE: f64 = 4_294_967_296.0;
/// Far beyond what can be encoded, and still an integer that [`MAGIC`] rounds to.
const FAR: f64 = 1_125_899_906_842_624.0;
/// Sums kept side by side: their order is fixed, and registers hold them.
const LANES: usize = 8;

/// A merge result M [Q.32], what was trained from it, y, and what rounding lost before, e.
#[derive(Clone, Copy)]
pub(super) struct Update<'a> {
    pub(super) layout: &'a Layout,
    pub(super) codec: Codec,
    pub(super) phase: Phase,
    pub(super) merged: &'a [i64],
    pub(super) trained: &'a [f32],
    pub(super) residual: &'a [f32],
    pub(super) level: Level,
}

/// How much of an update is published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// Of y − M, 0 to 1.
    pub(super) shrink: f64,
    /// Whether e goes along.
    pub(super) carry: bool,
}

/// An encoded share of an update.
pub(super) struct Encoded {
    /// The payload's bytes, P.
    pub(super) bytes: Vec<u8>,
    /// ‖P − M‖² [2⁻⁶⁴], exactly.
    pub(super) distance2: u128,
    /// ‖y − M‖ over what trained, of the whole update.
    pub(super) length: f64,
}

impl Update<'_> {
    /// Encodes M + shrink · (y − M) + e on what trained and M on what did not, and writes what that loses to `lost` (of what
    /// did not train: e as it was). One pass, tile by tile: at no time more of it is in memory.
    pub(super) fn encode(&self, share: Share, lost: &mut [f32]) -> Result<Encoded, PublishError> {
        let Self { layout, codec, level, .. } = *self;
        let (mut bytes, mut square, mut distance2) = (vec![0; layout.bytes(codec)], 0.0, 0_u128);
        let (mut target, mut published) = (Vec::new(), Vec::new());
        for tile in layout.tiles(codec) {
            let (merged, _, residual) = self.parts(&tile);
            let gap2 = self.target(&tile, share, &mut target);
            if !gap2.is_finite() {
                return Err(PublishError::NotFinite { tensor: layout.name(tile.slot) });
            }
            square += gap2;
            encode_tile(layout, codec, &tile, &target, &mut bytes, level)?;
            let part = Part::of(&bytes, &tile);
            distance2 = distance2.saturating_add(distance::from_values(part, codec, merged, level));
            let Some(lost) = lost.get_mut(tile.values.clone()) else { continue };
            if self.trains(&tile) {
                published.resize(target.len(), 0);
                decode_part(part, codec, &mut published, level);
                level.run(Lost { target: &target, published: &published, residual: lost });
            } else {
                lost.copy_from_slice(residual);
            }
        }
        Ok(Encoded { bytes, distance2, length: square.sqrt() })
    }

    /// ‖y − M‖ over what trained.
    pub(super) fn length(&self) -> Result<f64, PublishError> {
        let (mut square, mut target) = (0.0, Vec::new());
        for tile in self.layout.tiles(self.codec) {
            let gap2 = self.target(&tile, Share { shrink: 0.0, carry: false }, &mut target);
            if !gap2.is_finite() {
                return Err(PublishError::NotFinite { tensor: self.layout.name(tile.slot) });
            }
            square += gap2;
        }
        Ok(square.sqrt())
    }

    /// What is to be encoded of a tile, Q.32; and ‖y − M‖² if it trained, else 0. Not finite if y is not.
    fn target(&self, tile: &Tile, share: Share, target: &mut Vec<i64>) -> f64 {
        let (merged, trained, residual) = self.parts(tile);
        if !self.trains(tile) {
            target.clear();
            target.extend_from_slice(merged);
            return 0.0;
        }
        let carry = if share.carry { 1.0 } else { 0.0 };
        target.resize(merged.len(), 0);
        self.level.run(Target { merged, trained, residual, shrink: share.shrink, carry, target })
    }

    fn trains(&self, tile: &Tile) -> bool {
        self.layout.slots().get(tile.slot).is_some_and(|slot| self.phase.trains(slot.factor))
    }

    fn parts(&self, tile: &Tile) -> (&[i64], &[f32], &[f32]) {
        (
            self.merged.get(tile.values.clone()).unwrap_or_default(),
            self.trained.get(tile.values.clone()).unwrap_or_default(),
            self.residual.get(tile.values.clone()).unwrap_or_default(),
        )
    }
}

struct Target<'a> {
    merged: &'a [i64],
    trained: &'a [f32],
    residual: &'a [f32],
    shrink: f64,
    /// 1, or 0 to leave e out.
    carry: f64,
    target: &'a mut [i64],
}

impl Kernel for Target<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let Self { merged, trained, residual, shrink, carry, target } = self;
        let mut sums = [0.0; LANES];
        let (targets, last) = target.as_chunks_mut::<LANES>();
        let (merged, merged_last) = merged.as_chunks::<LANES>();
        let (trained, trained_last) = trained.as_chunks::<LANES>();
        let (residual, residual_last) = residual.as_chunks::<LANES>();
        for ((to, m), (y, e)) in targets.iter_mut().zip(merged).zip(trained.iter().zip(residual)) {
            for lane in 0..LANES {
                sums[lane] += one(&mut to[lane], m[lane], y[lane], e[lane], shrink, carry);
            }
        }
        let values = merged_last.iter().zip(trained_last.iter().zip(residual_last));
        for (to, (m, (y, e))) in last.iter_mut().zip(values) {
            sums[0] += one(to, *m, *y, *e, shrink, carry);
        }
        sums.iter().sum()
    }
}

/// One value's target; (y − M)².
#[inline(always)]
fn one(to: &mut i64, m: i64, y: f32, e: f32, shrink: f64, carry: f64) -> f64 {
    let gap = f64::from(y) - whole(m) / ONE;
    // A residual that was damaged on disk must not stop the member: it is only what rounding lost.
    let e = if e.abs() < f32::MAX { f64::from(e) } else { 0.0 };
    let step = (shrink * gap + carry * e) * ONE;
    let step = if step > FAR { FAR } else { step };
    let step = if step < -FAR { -FAR } else { step };
    let step = (step + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()).cast_signed();
    *to = m.wrapping_add(step); // Both are below 2^51.
    gap * gap
}

struct Lost<'a> {
    target: &'a [i64],
    published: &'a [i64],
    residual: &'a mut [f32],
}

impl Kernel for Lost<'_> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)] // To f32, which is what a residual is kept in.
    fn run(self) {
        for (e, (z, p)) in self.residual.iter_mut().zip(self.target.iter().zip(self.published)) {
            *e = (whole(z - p) / ONE) as f32;
        }
    }
}
