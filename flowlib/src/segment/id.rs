//! Segment ids and owners: a cookie tells which segment a flow belongs to, and what in it.
//!
//! ```text
//!  63      60 59                        32 31 30 29                          0
//! +----------+----------------------------+-----+-----------------------------+
//! |   kind   |           number           |               owner               |
//! +----------+----------------------------+-----+-----------------------------+
//! '------------ segment id ---------------'
//! ```

use std::fmt;

use crate::types::{Cookie, EndpointId, NetworkId, NodeId, PoolId};

/// A set of flows that is installed and accounted for as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentId {
    /// What all nodes of a pool share: the fixed flows, and which nodes there are.
    Pool(PoolId),
    /// What all nodes share on which a network is present.
    Network(NetworkId),
    /// What is one node's alone: its endpoints, its own blocks.
    Node(NodeId),
}

const NUMBER_BITS: u32 = 28;
const NUMBER_MASK: u32 = (1 << NUMBER_BITS) - 1;
const KIND_POOL: u32 = 1;
const KIND_NETWORK: u32 = 2;
const KIND_NODE: u32 = 3;

impl SegmentId {
    /// The upper half of a cookie that covers its flows.
    pub const COOKIE_MASK: Cookie = Cookie(0xffff_ffff_0000_0000);

    /// The upper half of its flows' cookies, and the metadata of its ledger row.
    #[must_use]
    pub fn number(self) -> u32 {
        let (kind, number) = match self {
            Self::Pool(id) => (KIND_POOL, id.0),
            Self::Network(id) => (KIND_NETWORK, id.0),
            Self::Node(id) => (KIND_NODE, id.0),
        };
        kind << NUMBER_BITS | number & NUMBER_MASK
    }

    /// The segment of that number, if it is one.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        let n = number & NUMBER_MASK;
        match number >> NUMBER_BITS {
            KIND_POOL => Some(Self::Pool(PoolId(n))),
            KIND_NETWORK => Some(Self::Network(NetworkId(n))),
            KIND_NODE => Some(Self::Node(NodeId(n))),
            _ => None,
        }
    }

    /// The cookie of a flow of this segment that belongs to `owner`.
    #[must_use]
    pub fn cookie(self, owner: Owner) -> Cookie {
        Cookie(u64::from(self.number()) << 32 | u64::from(owner.number()))
    }

    /// The segment of a flow with that cookie.
    #[must_use]
    pub fn of(cookie: Cookie) -> Option<Self> {
        Self::from_number((cookie.0 >> 32) as u32)
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(id) => write!(f, "pool/{}", id.0),
            Self::Network(id) => write!(f, "network/{}", id.0),
            Self::Node(id) => write!(f, "node/{}", id.0),
        }
    }
}

/// What in a segment a flow belongs to: what is compiled, installed and refused as one.
///
/// Its number has 30 bits of identity under two of kind; the segment says what the identity means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The segment itself.
    Segment,
    /// Pool: a node.
    Node(NodeId),
    /// Node: one of its endpoints.
    Endpoint(EndpointId),
    /// Node: what the node needs for a network.
    Network(NetworkId),
    /// Network: a block or an exception, by its first address' offset in the subnet.
    Placement {
        /// Addresses between the subnet's first and the prefix' first.
        offset: u32,
        /// Whether it is an address off its block.
        exception: bool,
    },
    /// Network: an external neighbour, by its address' offset in the subnet.
    Neighbour {
        /// Addresses between the subnet's first and this one.
        offset: u32,
    },
    /// The segment's row in the ledger.
    Row,
}

const ROW: u32 = 0xffff_ffff;
const KIND_SHIFT: u32 = 30;
const IDENTITY: u32 = (1 << KIND_SHIFT) - 1;

impl Owner {
    /// The lower half of its flows' cookies.
    #[must_use]
    pub fn number(self) -> u32 {
        let (kind, identity) = match self {
            Self::Row => return ROW,
            Self::Segment => (0, 0),
            Self::Node(id) => (0, id.0),
            Self::Endpoint(id) => (0, id.0),
            Self::Network(id) => (1, id.0),
            Self::Placement { offset, exception: false } => (1, offset),
            Self::Placement { offset, exception: true } => (2, offset),
            Self::Neighbour { offset } => (3, offset),
        };
        kind << KIND_SHIFT | identity & IDENTITY
    }

    /// What a flow of `segment` with that cookie belongs to.
    #[must_use]
    pub fn of(segment: SegmentId, cookie: Cookie) -> Self {
        let number = cookie.0 as u32;
        let (kind, identity) = (number >> KIND_SHIFT, number & IDENTITY);
        match (segment, kind) {
            _ if number == ROW => Self::Row,
            _ if number == 0 => Self::Segment,
            (SegmentId::Pool(_), _) => Self::Node(NodeId(identity)),
            (SegmentId::Node(_), 0) => Self::Endpoint(EndpointId(identity)),
            (SegmentId::Node(_), _) => Self::Network(NetworkId(identity)),
            (SegmentId::Network(_), 0 | 1) => Self::Placement { offset: identity, exception: false },
            (SegmentId::Network(_), 2) => Self::Placement { offset: identity, exception: true },
            (SegmentId::Network(_), _) => Self::Neighbour { offset: identity },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_tells_segment_and_owner() {
        let node = SegmentId::Node(NodeId(7));
        let network = SegmentId::Network(NetworkId(0x0abc_def0));
        let pool = SegmentId::Pool(PoolId(1));
        for (segment, owner) in [
            (node, Owner::Endpoint(EndpointId(12))),
            (node, Owner::Network(NetworkId(3))),
            (node, Owner::Row),
            (network, Owner::Segment),
            (network, Owner::Placement { offset: 64, exception: false }),
            (network, Owner::Placement { offset: 65, exception: true }),
            (network, Owner::Neighbour { offset: 0x3fff_0000 }),
            (pool, Owner::Node(NodeId(9))),
        ] {
            let cookie = segment.cookie(owner);
            assert_eq!(SegmentId::of(cookie), Some(segment));
            assert_eq!(Owner::of(segment, cookie), owner);
        }
    }

    #[test]
    fn a_foreign_cookie_has_no_segment() {
        assert_eq!(SegmentId::of(Cookie(0)), None);
        assert_eq!(SegmentId::of(Cookie(u64::MAX)), None);
    }
}
