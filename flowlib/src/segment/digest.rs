//! A segment's digest: the same for the same flows, in whatever order they came.

use std::fmt;

use xxhash_rust::xxh3::xxh3_128;

/// The sum, modulo 2¹²⁸, of the XXH3-128 hashes of a segment's encoded flow mods and meter mods (xid 0).
///
/// The same on every build and machine; 0 stands for a segment that is being changed. Adding and taking away a flow
/// are O(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Digest(pub u128);

impl Digest {
    /// What the row of a segment says that is being changed: it vouches for nothing.
    pub const IN_PROGRESS: Self = Self(0);

    /// With one more message.
    #[must_use]
    pub fn with(self, encoded: &[u8]) -> Self {
        Self(self.0.wrapping_add(xxh3_128(encoded)))
    }

    /// With one message less.
    #[must_use]
    pub fn without(self, encoded: &[u8]) -> Self {
        Self(self.0.wrapping_sub(xxh3_128(encoded)))
    }

    /// The digest of a segment without flows; not 0, which says something else.
    #[must_use]
    pub fn empty() -> Self {
        Self(1)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter() {
        let digest = |parts: [&[u8]; 3]| parts.into_iter().fold(Digest::empty(), Digest::with);
        assert_eq!(digest([b"a", b"b", b"c"]), digest([b"c", b"a", b"b"]));
        assert_ne!(digest([b"a", b"b", b"c"]), digest([b"a", b"b", b"b"]));
        assert_eq!(digest([b"a", b"b", b"c"]).without(b"b").with(b"d"), digest([b"a", b"d", b"c"]));
    }

    #[test]
    fn is_the_named_hash() {
        assert_eq!(Digest(0).with(b"").to_string(), "99aa06d3014798d86001c324468d497f");
    }
}
