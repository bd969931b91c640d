//! How the files of this room write a flow.

use ipnet::Ipv4Net;

use super::limit::UNKNOWN_METER;
use crate::openflow::action::Controller;
use crate::openflow::oxm::field;
use crate::openflow::{Action, Flow, Instruction, Match, SubField};
use crate::pipeline::drop_reason::DropReason;
use crate::pipeline::register::{self, Origin, Register};
use crate::pipeline::table::Table;
use crate::types::{MeterId, NetworkId, Priority};

/// EtherType of IPv4.
pub(super) const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub(super) const ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub(super) const IPV6: u16 = 0x86dd;
/// The bit that Open vSwitch and OpenFlow set in `vlan_vid` when there is a tag. Source: OpenFlow 1.3.5 §7.2.3.7.
pub(super) const VLAN_PRESENT: u16 = 0x1000;
/// ARP operation: request.
pub(super) const ARP_REQUEST: u16 = 1;
/// ARP operation: reply.
pub(super) const ARP_REPLY: u16 = 2;

/// A flow of `table` that applies `actions` and ends there.
pub(super) fn flow(table: Table, priority: Priority, flow_match: Match, actions: Vec<Action>) -> Flow {
    let instructions = if actions.is_empty() { vec![] } else { vec![Instruction::ApplyActions(actions)] };
    Flow { table: table.id(), priority, flow_match, instructions, ..Flow::default() }
}

/// Adding to a flow what comes before or after its actions.
pub(super) trait Then {
    /// Goes on to `table` afterwards.
    fn then(self, table: Table) -> Flow;
    /// Is held to `meter` before anything else.
    fn metered(self, meter: MeterId) -> Flow;
}

impl Then for Flow {
    fn then(mut self, table: Table) -> Flow {
        debug_assert!(table.id() > self.table, "packets only move forward");
        self.instructions.push(Instruction::GotoTable(table.id()));
        self
    }

    fn metered(mut self, meter: MeterId) -> Flow {
        self.instructions.insert(0, Instruction::Meter(meter));
        self
    }
}

/// The actions that show the controller a packet to an address that nobody is known to have, and discard it.
///
/// The meter limits the copy alone, so that all packets are counted.
pub(super) fn ask(reason: DropReason) -> Vec<Action> {
    let controller = Controller { meter: Some(UNKNOWN_METER), ..Controller::default() };
    let mut actions = vec![Action::Controller(Box::new(controller))];
    actions.extend(discard(reason));
    actions
}

/// The actions that discard a packet under a name.
pub(super) fn discard(reason: DropReason) -> Vec<Action> {
    vec![load(register::DROP_REASON, reason.number()), Action::resubmit(Table::Drop.id())]
}

/// Loads all of a register.
pub(super) fn load(register: Register, value: u32) -> Action {
    Action::load(SubField::all(register.field), value.into())
}

/// Matches that begin every flow of this pipeline.
pub(super) trait Matching {
    /// Packets of a network.
    fn network(self, id: NetworkId) -> Match;
    /// Packets that came from there.
    fn origin(self, origin: Origin) -> Match;
    /// IPv4 packets.
    fn ipv4(self) -> Match;
    /// IPv4 packets to one of those addresses.
    fn to(self, prefix: Ipv4Net) -> Match;
    /// ARP packets.
    fn arp(self) -> Match;
    /// Frames without a VLAN tag.
    fn untagged(self) -> Match;
}

impl Matching for Match {
    fn network(self, id: NetworkId) -> Match {
        self.with(register::NETWORK.field, id.0)
    }

    fn origin(self, origin: Origin) -> Match {
        self.with(register::ORIGIN.field, origin as u32)
    }

    fn ipv4(self) -> Match {
        self.with(field::ETH_TYPE, IPV4)
    }

    fn to(self, prefix: Ipv4Net) -> Match {
        let to_ip = self.ipv4();
        if prefix.prefix_len() == 0 { to_ip } else { to_ip.with_prefix(field::IPV4_DST, prefix) }
    }

    fn arp(self) -> Match {
        self.with(field::ETH_TYPE, ARP)
    }

    fn untagged(self) -> Match {
        self.with(field::VLAN_VID, 0u16)
    }
}
