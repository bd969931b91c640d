//! The compiler's input: what a controller intends, in the terms of flows.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

pub use crate::types::{EndpointId, NetworkId, NodeId, PoolId};
use crate::types::{MacAddr, PortNo, VlanVid, Vni};

/// How a network reaches its other nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// Out of the uplink, tagged.
    Vlan(VlanVid),
    /// Out of the tunnel, to the node that holds the address.
    Vxlan(Vni),
}

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its number.
    pub id: NetworkId,
    /// How it reaches other nodes.
    pub driver: Driver,
    /// Its addresses.
    pub subnet: Ipv4Net,
    /// The next hop of what is not in the subnet.
    pub gateway: Option<Ipv4Addr>,
}

impl Network {
    /// The longest prefix of blocks of which an address is the node's own: of smaller ones it would be too large a part.
    const OWN_ADDRESS_PREFIX_LEN_MAX: u8 = 29;

    /// The address of a block that is its node's own: the first that a host may have and that is not the gateway's. By it
    /// a gateway routes the block, and needs to know no endpoint of it. On a VLAN only; elsewhere nobody would ask.
    #[must_use]
    pub fn own_address(&self, block: Ipv4Net) -> Option<Ipv4Addr> {
        let is_routed =
            matches!(self.driver, Driver::Vlan(_)) && block.prefix_len() <= Self::OWN_ADDRESS_PREFIX_LEN_MAX;
        let is_host =
            |address: &Ipv4Addr| *address != self.subnet.network() && Some(*address) != self.gateway;
        // Two may be taken: the network's and the gateway's.
        let first = u32::from(block.network());
        (0..3).filter(|_| is_routed).map(|n| Ipv4Addr::from(first | n)).find(is_host)
    }
}

/// A node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its number.
    pub id: NodeId,
    /// The one address it shows on the fabric.
    pub nat_mac: MacAddr,
    /// Its VTEP's address.
    pub tunnel_address: Ipv4Addr,
}

/// Addresses of a network that are to be found on one node: a block, or one address placed off its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Placement {
    /// The network they belong to.
    pub network: NetworkId,
    /// The block; 32 bits long for an exception.
    pub prefix: Ipv4Net,
    /// Where they are.
    pub node: NodeId,
}

/// One attachment of a container to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its number.
    pub id: EndpointId,
    /// The network it is attached to.
    pub network: NetworkId,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its MAC address, which only its own node ever sees.
    pub mac: MacAddr,
    /// Its port on its node's br-int.
    pub ofport: PortNo,
}

/// A host of a VLAN that is no endpoint, as resolved: the gateway, a bare host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its MAC address.
    pub mac: MacAddr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocks_own_address_is_the_first_that_is_free() {
        let network = |driver, gateway: Option<&str>| Network {
            id: NetworkId(1),
            driver,
            subnet: "10.1.0.0/22".parse().unwrap(),
            gateway: gateway.map(|text| text.parse().unwrap()),
        };
        let vlan = Driver::Vlan(VlanVid::new(5).unwrap());
        for (gateway, block, own) in [
            (None, "10.1.0.0/26", Some("10.1.0.1")),
            (Some("10.1.0.1"), "10.1.0.0/26", Some("10.1.0.2")),
            (Some("10.1.0.1"), "10.1.2.64/26", Some("10.1.2.64")),
            (Some("10.1.2.64"), "10.1.2.64/29", Some("10.1.2.65")),
            (None, "10.1.2.64/30", None),
        ] {
            let found = network(vlan, gateway).own_address(block.parse().unwrap());
            assert_eq!(found, own.map(|text| text.parse().unwrap()), "{gateway:?} {block}");
        }
        let vxlan = Driver::Vxlan(Vni::new(5).unwrap());
        assert_eq!(network(vxlan, None).own_address("10.1.2.64/26".parse().unwrap()), None);
    }
}
