//! Numbers with units. Mixing a round with a sequence number does not compile.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::limit::UINT_MAX;

macro_rules! count {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl $name {
            /// One more, saturating.
            #[must_use]
            pub const fn next(self) -> Self { Self(self.0.saturating_add(1)) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> { serializer.serialize_u64(self.0) }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = u64::deserialize(deserializer)?;
                if value > UINT_MAX {
                    return Err(de::Error::custom("an integer of 2^53 or more"));
                }
                Ok(Self(value))
            }
        }
    )+ };
}

count! {
    /// A logical clock of training: an update's round follows those of what was merged. A first publication is of round 1 or later.
    Round,
    /// The place of a record in one feed, from 0.
    Seq,
    /// Which of a member's feeds: 0, and one more after each restored backup.
    Incarnation,
    /// Lamport clock: greater than that of every parent and of the previous record.
    Lamport,
    /// Seconds since 1970. Claimed by an author, never trusted.
    UnixSeconds,
    /// Milliseconds of a monotonic clock that starts anywhere.
    Millis,
}

impl Millis {
    /// This time, `ms` later.
    #[must_use]
    pub const fn after(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds since `earlier`; 0 if that is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stop_at_their_ends_instead_of_turning_over() {
        assert_eq!(Round(u64::MAX).next(), Round(u64::MAX));
        assert_eq!(Millis(5).after(u64::MAX), Millis(u64::MAX));
        assert_eq!((Millis(5).since(Millis(7)), Millis(7).since(Millis(5))), (0, 2));
    }
}
