//! VXLAN: out of the tunnel, to the VTEP of the node that holds the address. Source: RFC 7348 §4.

use std::net::Ipv4Addr;

use crate::compile::flow::load;
use crate::openflow::Action;
use crate::openflow::oxm::field;
use crate::pipeline::port;
use crate::pipeline::register;
use crate::pipeline::table::Table;
use crate::types::Vni;

/// To another node's VTEP.
pub(super) fn to_node(vni: Vni, vtep: Ipv4Addr) -> (Vec<Action>, Table) {
    let actions = vec![
        Action::set_field(field::TUNNEL_ID, u64::from(vni.get())),
        Action::set_field(field::TUN_IPV4_DST, vtep),
        load(register::PORT, port::TUNNEL.0),
    ];
    (actions, Table::Output)
}
