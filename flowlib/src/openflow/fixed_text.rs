//! Text in a field of fixed length.

use std::fmt;

/// Text in `N` bytes, ended by a zero if it is shorter. All `N` bytes are kept as they came.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FixedText<const N: usize>(pub [u8; N]);

impl<const N: usize> FixedText<N> {
    /// The text, cut to what leaves room for the zero at its end.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; N];
        for (byte, from) in bytes.iter_mut().take(N.saturating_sub(1)).zip(text.bytes()) {
            *byte = from;
        }
        Self(bytes)
    }

    /// The bytes before the first zero.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or(&[])
    }
}

impl<const N: usize> fmt::Display for FixedText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

impl<const N: usize> fmt::Debug for FixedText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.as_bytes()), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_at_the_first_zero_or_at_its_end() {
        assert_eq!(FixedText::<4>::new("abcdef").to_string(), "abc");
        assert_eq!(FixedText(*b"abcd").to_string(), "abcd");
        assert_eq!(FixedText(*b"a\0cd").to_string(), "a");
    }
}
