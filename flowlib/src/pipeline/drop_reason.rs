//! Why packets are discarded: a name and a counter each.

/// A reason; its number goes into reg7 and its packets to table 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum DropReason {
    /// From the fabric, but not on a VLAN of a network that is here.
    UnknownOrigin = 1,
    /// A tagged frame from an endpoint.
    Tagged = 2,
    /// From the tunnel, but not from one of the pool's nodes, or with a VNI that is no network's.
    TunnelSource = 3,
    /// Not from an endpoint's port with that endpoint's MAC and IP address.
    Spoofed = 4,
    /// An ARP probe, or ARP of an endpoint for its own address: an answer would be taken for a duplicate address.
    OwnAddress = 5,
    /// IPv6 from an endpoint.
    Ipv6 = 6,
    /// ARP for an address that is not answered for here.
    NeighbourUnanswered = 7,
    /// Neither ARP nor IP addressed to this hop's MAC.
    NotAddressedHere = 8,
    /// To an address that is in no block, nor beyond a gateway.
    NoRoute = 9,
    /// To an address of this node that no endpoint has.
    NoEndpoint = 10,
}

impl DropReason {
    /// All reasons in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::UnknownOrigin,
        Self::Tagged,
        Self::TunnelSource,
        Self::Spoofed,
        Self::OwnAddress,
        Self::Ipv6,
        Self::NeighbourUnanswered,
        Self::NotAddressedHere,
        Self::NoRoute,
        Self::NoEndpoint,
    ];

    /// Its number in reg7.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The reason of that number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.number() == number)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownOrigin => "unknown-origin",
            Self::Tagged => "tagged",
            Self::TunnelSource => "tunnel-source",
            Self::Spoofed => "spoofed",
            Self::OwnAddress => "own-address",
            Self::Ipv6 => "ipv6",
            Self::NeighbourUnanswered => "neighbour-unanswered",
            Self::NotAddressedHere => "not-addressed-here",
            Self::NoRoute => "no-route",
            Self::NoEndpoint => "no-endpoint",
        }
    }

    /// What it means, in a line.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::UnknownOrigin => "from the fabric, but not on a VLAN of a network that is here",
            Self::Tagged => "a tagged frame from an endpoint",
            Self::TunnelSource => {
                "from the tunnel, but not from a node of the pool or with a VNI of no network"
            }
            Self::Spoofed => "not from an endpoint's port with that endpoint's MAC and IP address",
            Self::OwnAddress => "an ARP probe, or an endpoint's ARP for its own address",
            Self::Ipv6 => "IPv6 from an endpoint",
            Self::NeighbourUnanswered => "ARP for an address that is not answered for here",
            Self::NotAddressedHere => "neither ARP nor IP addressed to this hop",
            Self::NoRoute => "to an address in no block and behind no gateway",
            Self::NoEndpoint => "to an address of this node that no endpoint has",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique() {
        for (i, a) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(DropReason::from_number(a.number()), Some(a));
            assert!(DropReason::ALL[i + 1..].iter().all(|b| b.name() != a.name()));
        }
    }
}
