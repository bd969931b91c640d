//! What a VLAN's gateway should route where, so that it knows one neighbour a node instead of one an endpoint.
//!
//! Pure: it is said what there is.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use flowlib::compile::model::{self as compiled, EndpointId, NodeId};
use ipnet::Ipv4Net;

use crate::intent::Space;
use crate::intent::model::Network;

/// Addresses of a network that are to be reached by one next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// A block; 32 bits long for an exception.
    pub prefix: Ipv4Net,
    /// The next hop: an own address of the node; `None`: the address itself, which its node answers for as for any other.
    pub via: Option<Ipv4Addr>,
    /// Where they are.
    pub node: NodeId,
}

/// The routes of a network, blocks first; `node_of`: where an endpoint is, if it is not being removed.
///
/// A block whose own address an endpoint on another node has, or a host of the VLAN, goes by another own address of its
/// node; if there is none it has no route, and its endpoints are found one by one. An exception has a route because its
/// block's would catch it.
pub fn routes(
    network: &Network,
    space: &Space,
    node_of: impl Fn(EndpointId) -> Option<NodeId>,
) -> Vec<Route> {
    let compiled = compiled::Network::from(network);
    let at = |address: &Ipv4Addr| space.used.get(address)?.iter().rev().find_map(|id| node_of(*id));
    let own_addresses = space.blocks.values().filter_map(|block| {
        let own = compiled.own_address(block.prefix)?;
        let is_its = at(&own).is_none_or(|node| node == block.node) && !space.neighbours.contains_key(&own);
        is_its.then_some((block.prefix, block.node, own))
    });
    let (mut own_of, mut of_node) = (BTreeMap::new(), BTreeMap::new());
    for (prefix, node, own) in own_addresses {
        own_of.insert(prefix, own);
        of_node.entry(node).or_insert(own);
    }
    let blocks = space.blocks.values().filter_map(|block| {
        let via = own_of.get(&block.prefix).or_else(|| of_node.get(&block.node))?;
        Some(Route { prefix: block.prefix, via: Some(*via), node: block.node })
    });
    let exceptions = space.used.keys().filter(|_| !of_node.is_empty()).filter_map(|address| {
        let node = at(address)?;
        let is_exception = space.block_around(*address).is_none_or(|block| space.blocks[&block].node != node);
        is_exception.then(|| Route { prefix: (*address).into(), via: of_node.get(&node).copied(), node })
    });
    blocks.chain(exceptions).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flowlib::compile::model::{Driver, NetworkId, PoolId};
    use flowlib::types::{MacAddr, VlanVid};

    use super::*;
    use crate::intent::model::{Block, Neighbour};

    /// A network of three blocks: of the nodes 1, 2 and 2 again; endpoints are on the node of their number's tens.
    fn shown(endpoints: &[(&str, u32)], hosts: &[&str]) -> Vec<String> {
        let network = Network {
            id: NetworkId(1),
            pool: PoolId(1),
            name: "net".to_owned(),
            driver: Driver::Vlan(VlanVid::new(100).unwrap()),
            subnet: "10.0.0.0/24".parse().unwrap(),
            gateway: Some("10.0.0.1".parse().unwrap()),
            mtu: 1500,
            block_prefix_len: 26,
            request_key: String::new(),
            revision: 1,
        };
        let mut space = Space::default();
        for (prefix, node) in [("10.0.0.0/26", 1), ("10.0.0.64/26", 2), ("10.0.0.128/26", 2)] {
            let (network, prefix) = (NetworkId(1), prefix.parse().unwrap());
            space.give(Arc::new(Block { network, prefix, node: NodeId(node), revision: 1 }));
        }
        for (address, id) in endpoints {
            space.occupy(address.parse().unwrap(), EndpointId(*id));
        }
        for address in hosts {
            let address = address.parse().unwrap();
            let host = Neighbour { network: NetworkId(1), address, mac: MacAddr::ZERO, revision: 1 };
            space.neighbours.insert(address, Arc::new(host));
        }
        let node_of = |id: EndpointId| (id.0 < 100).then_some(NodeId(id.0 / 10));
        let route = |route: Route| {
            let via = route.via.map_or("itself".to_owned(), |via| via.to_string());
            format!("{} via {via} on {}", route.prefix, route.node.0)
        };
        routes(&network, &space, node_of).into_iter().map(route).collect()
    }

    const BLOCKS: [&str; 3] = [
        "10.0.0.0/26 via 10.0.0.2 on 1",
        "10.0.0.64/26 via 10.0.0.64 on 2",
        "10.0.0.128/26 via 10.0.0.128 on 2",
    ];

    #[test]
    fn one_route_a_block_and_none_an_endpoint() {
        assert_eq!(shown(&[("10.0.0.3", 10), ("10.0.0.65", 20)], &[]), BLOCKS);
    }

    #[test]
    fn an_exception_has_a_route_of_its_own() {
        let moved = shown(&[("10.0.0.3", 20), ("10.0.0.65", 10), ("10.0.0.66", 30), ("10.0.0.67", 300)], &[]);
        assert_eq!(moved[..3], BLOCKS);
        let exceptions = [
            "10.0.0.3/32 via 10.0.0.64 on 2",
            "10.0.0.65/32 via 10.0.0.2 on 1",
            "10.0.0.66/32 via itself on 3",
        ];
        assert_eq!(moved[3..], exceptions);
    }

    #[test]
    fn an_own_address_that_another_has_is_no_next_hop() {
        let both = ["10.0.0.64/26 via 10.0.0.128 on 2", "10.0.0.64/32 via 10.0.0.2 on 1"];
        let given_away = shown(&[("10.0.0.64", 10)], &[]);
        assert_eq!([&given_away[1], &given_away[3]], both.each_ref());
        assert_eq!(shown(&[("10.0.0.64", 20)], &[]), BLOCKS, "its node answers for it");
        assert_eq!(shown(&[], &["10.0.0.2"]), BLOCKS[1..]);
    }
}
