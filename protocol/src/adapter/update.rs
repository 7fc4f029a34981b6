//! The arithmetic of a publication: how long an update is, what to encode, what rounding lost. Private to a member, so f64.

use super::{
    Layout, Payload, PayloadError, PublishError,
    encode::encode_tile,
    layout::Tile,
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
pub(super) struct Update<'a> {
    pub(super) layout: &'a Layout,
    pub(super) codec: Codec,
    pub(super) phase: Phase,
    pub(super) merged: &'a [i64],
    pub(super) trained: &'a [f32],
    pub(super) residual: &'a mut [f32],
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

impl Update<'_> {
    /// ‖y − M‖₂ over what trained.
    pub(super) fn length(&self) -> Result<f64, PublishError> {
        let mut sum = 0.0;
        for tile in self.layout.tiles(self.codec).filter(|tile| self.trains(tile)) {
            let (merged, trained, _) = self.parts(&tile);
            let part = self.level.run(Length { merged, trained });
            if !part.is_finite() {
                return Err(PublishError::NotFinite { tensor: self.layout.name(tile.slot) });
            }
            sum += part;
        }
        Ok(sum.sqrt())
    }

    /// The encoding of the [target](Self::target), tile by tile: it is never in memory as a whole.
    pub(super) fn encode(&self, share: Share) -> Result<Vec<u8>, PayloadError> {
        let (mut bytes, mut target) = (vec![0; self.layout.bytes(self.codec)], Vec::new());
        for tile in self.layout.tiles(self.codec) {
            self.target(&tile, share, &mut target);
            encode_tile(self.layout, self.codec, &tile, &target, &mut bytes, self.level)?;
        }
        Ok(bytes)
    }

    /// e ← target − published, on what trained.
    pub(super) fn keep_lost(&mut self, share: Share, published: &Payload) {
        let (layout, level) = (self.layout, self.level);
        let (mut target, mut decoded) = (Vec::new(), Vec::new());
        for tile in layout.tiles(self.codec) {
            if self.trains(&tile) {
                self.target(&tile, share, &mut target);
                decoded.resize(target.len(), 0);
                published.decode_tile(&tile, &mut decoded, level);
                let residual = self.residual.get_mut(tile.values).unwrap_or_default();
                level.run(Lost { target: &target, published: &decoded, residual });
            }
        }
    }

    /// M + shrink · (y − M) + e on what trained, M on what did not; Q.32.
    fn target(&self, tile: &Tile, share: Share, target: &mut Vec<i64>) {
        let (merged, trained, residual) = self.parts(tile);
        if self.trains(tile) {
            let carry = if share.carry { 1.0 } else { 0.0 };
            target.resize(merged.len(), 0);
            self.level.run(Target { merged, trained, residual, shrink: share.shrink, carry, target });
        } else {
            target.clear();
            target.extend_from_slice(merged);
        }
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

struct Length<'a> {
    merged: &'a [i64],
    trained: &'a [f32],
}

impl Kernel for Length<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let mut sums = [0.0; LANES];
        for (merged, trained) in self.merged.chunks(LANES).zip(self.trained.chunks(LANES)) {
            for (sum, (m, y)) in sums.iter_mut().zip(merged.iter().zip(trained)) {
                let gap = f64::from(*y) - whole(*m) / ONE;
                *sum += gap * gap;
            }
        }
        sums.iter().sum()
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
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { merged, trained, residual, shrink, carry, target } = self;
        for ((to, m), (y, e)) in target.iter_mut().zip(merged).zip(trained.iter().zip(residual)) {
            // A residual that was damaged on disk must not stop the member: it is only what rounding lost.
            let e = if e.abs() < f32::MAX { f64::from(*e) } else { 0.0 };
            let step = (shrink * (f64::from(*y) - whole(*m) / ONE) + carry * e) * ONE;
            let step = if step > FAR { FAR } else { step };
            let step = if step < -FAR { -FAR } else { step };
            let step = (step + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits()).cast_signed();
            *to = m.wrapping_add(step); // Both are below 2^51.
        }
    }
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
