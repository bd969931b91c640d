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
