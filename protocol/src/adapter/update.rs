//! The arithmetic of a publication: how long an update is, what to encode, what rounding lost. Private to a member, so f64.

use super::{
    Layout, Payload, PublishError,
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

impl Update<'_> {
    /// ‖y − M‖₂ over what trained.
    pub(super) fn length(&self) -> Result<f64, PublishError> {
        let mut sum = 0.0;
        for tile in trained_tiles(self.layout, self.codec, self.phase) {
            let part = self.level.run(Length { update: self, tile: &tile });
            if !part.is_finite() {
                return Err(PublishError::NotFinite { tensor: self.layout.name(tile.slot) });
            }
            sum += part;
        }
        Ok(sum.sqrt())
    }

    /// M + shrink · (y − M) + e on what trained, M on what did not; Q.32.
    pub(super) fn target(&self, shrink: f64, carry: bool) -> Vec<i64> {
        let mut target = self.merged.to_vec();
        for tile in trained_tiles(self.layout, self.codec, self.phase) {
            if let Some(target) = target.get_mut(tile.values.clone()) {
                let carry = if carry { 1.0 } else { 0.0 };
                self.level.run(Target { update: self, tile: &tile, shrink, carry, target });
            }
        }
        target
    }

    #[inline(always)]
    fn parts(&self, tile: &Tile) -> (&[i64], &[f32], &[f32]) {
        (
            self.merged.get(tile.values.clone()).unwrap_or_default(),
            self.trained.get(tile.values.clone()).unwrap_or_default(),
            self.residual.get(tile.values.clone()).unwrap_or_default(),
        )
    }
}

/// e ← target − published, on what trained.
pub(super) fn keep_lost(layout: &Layout, phase: Phase, target: &[i64], published: &Payload, residual: &mut [f32]) {
    let level = Level::widest();
    let mut values = Vec::new();
    for tile in trained_tiles(layout, published.codec(), phase) {
        let target = target.get(tile.values.clone()).unwrap_or_default();
        values.resize(target.len(), 0);
        published.decode_tile(&tile, &mut values, level);
        if let Some(residual) = residual.get_mut(tile.values.clone()) {
            level.run(Lost { target, published: &values, residual });
        }
    }
}

fn trained_tiles(layout: &Layout, codec: Codec, phase: Phase) -> impl Iterator<Item = Tile> {
    let trains = move |tile: &Tile| layout.slots().get(tile.slot).is_some_and(|slot| phase.trains(slot.factor));
    layout.tiles(codec).filter(trains)
}

struct Length<'a> {
    update: &'a Update<'a>,
    tile: &'a Tile,
}

impl Kernel for Length<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let (merged, trained, _) = self.update.parts(self.tile);
        let mut sums = [0.0; LANES];
        for (merged, trained) in merged.chunks(LANES).zip(trained.chunks(LANES)) {
            for (sum, (m, y)) in sums.iter_mut().zip(merged.iter().zip(trained)) {
                let gap = f64::from(*y) - whole(*m) / ONE;
                *sum += gap * gap;
            }
        }
        sums.iter().sum()
    }
}

struct Target<'a> {
    update: &'a Update<'a>,
    tile: &'a Tile,
    shrink: f64,
    /// 1, or 0 to leave e out.
    carry: f64,
    target: &'a mut [i64],
}

impl Kernel for Target<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { update, tile, shrink, carry, target } = self;
        let (merged, trained, residual) = update.parts(tile);
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
