//! Records of the intent in the compiler's terms.

use flowlib::compile::model as compiled;

use crate::intent::model::{Endpoint, Network, Node};

impl From<&Node> for compiled::Node {
    fn from(node: &Node) -> Self {
        Self { id: node.id, nat_mac: node.nat_mac, tunnel_address: node.tunnel_address }
    }
}

impl From<&Network> for compiled::Network {
    fn from(network: &Network) -> Self {
        Self { id: network.id, driver: network.driver, subnet: network.subnet, gateway: network.gateway }
    }
}

impl From<&Endpoint> for compiled::Endpoint {
    fn from(endpoint: &Endpoint) -> Self {
        let Endpoint { id, network, address, mac, node: _, ofport } = *endpoint;
        Self { id, network, address, mac, ofport }
    }
}
