//! The switch's own forwarding: it learns where addresses are, and floods what it does not know.

use std::collections::HashMap;

use super::trace::NodeKind;
use super::translate::Translation;
use crate::packet::{VlanTag, ethertype};
use crate::types::{MacAddr, PortNo};

/// Where addresses were seen, by VLAN.
#[derive(Clone, Debug, Default)]
pub(super) struct MacTable(HashMap<(MacAddr, u16), PortNo>);

impl MacTable {
    /// Says whether that is new.
    fn learn(&mut self, address: MacAddr, vlan: u16, port: PortNo) -> bool {
        !address.is_multicast() && self.0.insert((address, vlan), port) != Some(port)
    }
}

impl Translation<'_> {
    /// OFPP_NORMAL, with every port a trunk of all VLANs.
    ///
    /// Source: `xlate_normal` in `ofproto/ofproto-dpif-xlate.c` of Open vSwitch 3.1.
    pub(super) fn normal(&mut self) {
        let in_port = self.key.in_port;
        let Some(name) = self.switch.ports.get(&in_port).map(|port| port.name.clone()) else {
            self.note(NodeKind::Error, format!("received packet on unknown port {}", in_port.0 & 0xffff));
            self.note(NodeKind::Warning, "no input bundle, dropping");
            return;
        };
        if ethertype::is_vlan(self.key.eth_type) && !self.key.vlans[0].is_present() {
            self.note(NodeKind::Warning, "partial VLAN tag, dropping");
            return;
        }
        if is_reserved(self.key.eth_dst) {
            self.note(NodeKind::Detail, "packet has reserved destination MAC, dropping");
            return;
        }
        let vlan = if self.key.vlans[0].is_present() { self.key.vlans[0].vid() } else { 0 };
        let source = self.key.eth_src;
        if self.has_side_effects && self.key.is_ethernet() && self.switch.macs.learn(source, vlan, in_port) {
            self.note(NodeKind::Detail, format!("learned that {source} is on port {name} in VLAN {vlan}"));
        }
        match self.switch.macs.0.get(&(self.key.eth_dst, vlan)).copied() {
            Some(port) if port == in_port => {
                self.note(NodeKind::Detail, "learned port is input port, dropping");
            }
            Some(port) if self.switch.ports.contains_key(&port) => {
                self.note(NodeKind::Detail, "forwarding to learned port");
                self.output_normal(port);
            }
            Some(_) => self.note(NodeKind::Warning, "learned port is unknown, dropping"),
            None => {
                self.note(NodeKind::Detail, "no learned MAC for destination, flooding");
                let ports: Vec<_> = self
                    .switch
                    .ports
                    .values()
                    .filter(|port| !port.no_flood)
                    .map(|port| port.number)
                    .collect();
                for port in ports.into_iter().filter(|port| *port != in_port) {
                    self.output_normal(port);
                }
            }
        }
    }

    /// A tag that says neither VLAN nor priority is left off.
    fn output_normal(&mut self, port: PortNo) {
        let vlans = self.key.vlans;
        for tag in &mut self.key.vlans {
            if tag.tci & !VlanTag::PRESENT == 0 {
                tag.tci = 0;
            }
        }
        self.output_to(port, None);
        self.key.vlans = vlans;
    }
}

/// Addresses of protocols between neighbouring switches, which are not forwarded.
///
/// Source: IEEE 802.1Q §8.6.3; `eth_addr_is_reserved` in `lib/packets.c` of Open vSwitch 3.1.
fn is_reserved(address: MacAddr) -> bool {
    match address.0 {
        [0x01, 0x80, 0xc2, 0, 0, last] => last <= 0x0f,
        [0x00, 0xe0, 0x2b, 0, 0, last] => matches!(last, 0x00 | 0x04 | 0x06),
        [0x01, 0x00, 0x0c, 0, 0, 0] => true,
        [0x01, 0x00, 0x0c, 0xcc, 0xcc, last] => matches!(last, 0xcc | 0xcd | 0xc0..=0xc7),
        [0x01, 0x00, 0x0c, 0xcd, 0xcd, 0xcd] => true,
        _ => false,
    }
}
