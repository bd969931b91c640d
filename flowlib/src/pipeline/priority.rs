//! The bands of priorities.

use crate::types::Priority;

/// What matches when nothing else does.
pub const MISS: Priority = Priority(0);
/// What catches a whole kind of packet that no intent wants.
pub const LOW: Priority = Priority(10);
/// What catches a narrower kind, within which [`LOW`] would be wrong.
pub const MIDDLE: Priority = Priority(20);
/// What an intent asks for.
pub const NORMAL: Priority = Priority(30);
/// What goes before that.
pub const HIGH: Priority = Priority(40);

/// Where prefixes of `forward` begin: three for each length, longer ones above shorter ones.
const FORWARD: u16 = 100;

/// A shared flow that asks the controller who has an address of the prefix that is in no block.
#[must_use]
pub fn unknown_prefix(prefix_len: u8) -> Priority {
    Priority(FORWARD + 3 * u16::from(prefix_len))
}

/// A shared flow for a prefix: what an endpoint sends there leaves the node.
#[must_use]
pub fn remote_prefix(prefix_len: u8) -> Priority {
    Priority(FORWARD + 3 * u16::from(prefix_len) + 1)
}

/// The node's own flow for the same prefix, which goes before the shared one.
#[must_use]
pub fn own_prefix(prefix_len: u8) -> Priority {
    Priority(FORWARD + 3 * u16::from(prefix_len) + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_prefix_goes_before_any_shorter_one() {
        for len in 1..=128 {
            assert!(unknown_prefix(len) > own_prefix(len - 1));
            assert!(remote_prefix(len) > unknown_prefix(len));
            assert!(own_prefix(len) > remote_prefix(len));
        }
        assert!(unknown_prefix(0) > HIGH);
    }
}
