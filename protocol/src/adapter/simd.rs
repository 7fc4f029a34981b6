//! One portable kernel, compiled again for wider registers, chosen when it runs.
//!
//! The kernels are plain integer and exact floating-point loops; wider registers change their speed and no bit.

/// A loop over numbers, marked `#[inline(always)]` so that it is compiled with its caller's instructions.
pub(crate) trait Kernel {
    /// What it yields.
    type Output;
    /// Runs it.
    fn run(self) -> Self::Output;
}

/// Which instructions may be used: only what this processor was found to have, or the target's baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// Every level of this processor, for tests that compare them.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = [avx2().then_some(Self(Kind::Avx2)), avx512().then_some(Self(Kind::Avx512))];
        #[cfg(not(target_arch = "x86_64"))]
        let wide: [Option<Self>; 0] = [];
        [Some(Self(Kind::Baseline))].into_iter().chain(wide).flatten().collect()
    }

    /// The widest level of this processor.
    pub(crate) fn widest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if avx512() {
                return Self(Kind::Avx512);
            }
            if avx2() {
                return Self(Kind::Avx2);
            }
        }
        Self(Kind::Baseline)
    }

    /// Runs `kernel` with this level's instructions.
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Kind::Baseline => kernel.run(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: only `all` and `widest` make this level, and only where the processor has the instructions.
            #[allow(unsafe_code)]
            Kind::Avx2 => unsafe { with_avx2(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            #[allow(unsafe_code)]
            Kind::Avx512 => unsafe { with_avx512(kernel) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

#[cfg(target_arch = "x86_64")]
fn avx512() -> bool {
    avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
fn with_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}
