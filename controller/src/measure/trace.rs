//! What a request is called in logs and answers.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A request's trace, shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

impl TraceId {
    /// The trace that a caller's `traceparent` names: version, trace, span and flags, as in
    /// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`. A trace of zeros is none.
    ///
    /// Source: W3C Trace Context §3.2.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let (version, trace) = (parts.next()?, parts.next()?);
        let is_hex = |text: &str, n| text.len() == n && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex(version, 2) || version == "ff" || !is_hex(trace, 32) {
            return None;
        }
        u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0).map(Self)
    }

    /// A trace of its own.
    #[must_use]
    pub fn random() -> Self {
        let half = || u128::from(RandomState::new().build_hasher().finish());
        Self(half() << 64 | half() | 1)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_trace_is_kept_and_nonsense_is_none() {
        let shown = |text| TraceId::parse(text).map(|trace| trace.to_string());
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(shown("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(), Some(trace));
        for bad in [
            "",
            "00-4bf9",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(shown(bad), None, "{bad}");
        }
        assert_ne!(TraceId::random(), TraceId::random());
    }
}
