//! Flow mods: changes to flow tables.

use crate::types::{Cookie, GroupId, PortNo, Priority, TableId};
use crate::wire::{DecodeError, Fixed, Part, Reader, Wire, Writer, open_enum};

use super::flow::Flow;
use super::instruction::Instruction;
use super::oxm::Match;

open_enum! {
    /// What a flow mod does. Source: OpenFlow 1.3.5 §7.3.4.1.
    pub struct FlowModCommand(u8) {
        /// A new flow; one of the same match and priority gives way.
        ADD = 0 => "add",
        /// New instructions for all flows that match.
        MODIFY = 1 => "modify",
        /// New instructions for the one flow of that match and priority.
        MODIFY_STRICT = 2 => "modify_strict",
        /// Removes all flows that match.
        DELETE = 3 => "delete",
        /// Removes the one flow of that match and priority.
        DELETE_STRICT = 4 => "delete_strict",
    }
}

bitflags::bitflags! {
    /// What the switch should do with a flow besides. Source: OpenFlow 1.3.5 §7.3.4.1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    pub struct FlowModFlags: u16 {
        /// OFPFF_SEND_FLOW_REM: say when it goes.
        const SEND_FLOW_REM = 1;
        /// OFPFF_CHECK_OVERLAP: refuse it if another of its priority matches the same packets.
        const CHECK_OVERLAP = 1 << 1;
        /// OFPFF_RESET_COUNTS.
        const RESET_COUNTS = 1 << 2;
        /// OFPFF_NO_PKT_COUNTS.
        const NO_PKT_COUNTS = 1 << 3;
        /// OFPFF_NO_BYT_COUNTS.
        const NO_BYT_COUNTS = 1 << 4;
        const _ = !0;
    }
}

/// A change to a flow table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlowMod {
    /// What it does.
    pub command: FlowModCommand,
    /// The table; [`TableId::ALL`] for deletes from all.
    pub table: TableId,
    /// The priority; only adds and strict commands have one.
    pub priority: Priority,
    /// The flow's cookie, or what the cookies of flows to change look like.
    pub cookie: Cookie,
    /// Which bits of the cookie say which flows to change; 0: it does not matter.
    pub cookie_mask: u64,
    /// Seconds; see [`Flow`].
    pub idle_timeout_s: u16,
    /// Seconds; see [`Flow`].
    pub hard_timeout_s: u16,
    /// A packet the switch has kept, to be sent through the new flow.
    pub buffer_id: Option<u32>,
    /// Deletes only flows that send to this port.
    pub out_port: Option<PortNo>,
    /// Deletes only flows that send to this group.
    pub out_group: Option<GroupId>,
    /// See [`FlowModFlags`].
    pub flags: FlowModFlags,
    /// The packets.
    pub flow_match: Match,
    /// What is done with them.
    pub instructions: Vec<Instruction>,
}

impl Default for FlowMod {
    fn default() -> Self {
        Self {
            command: FlowModCommand::ADD,
            table: TableId(0),
            priority: Priority(0),
            cookie: Cookie(0),
            cookie_mask: 0,
            idle_timeout_s: 0,
            hard_timeout_s: 0,
            buffer_id: None,
            out_port: None,
            out_group: None,
            flags: FlowModFlags::empty(),
            flow_match: Match::new(),
            instructions: Vec::new(),
        }
    }
}

impl FlowMod {
    /// Installs a flow.
    #[must_use]
    pub fn add(flow: &Flow) -> Self {
        Self {
            table: flow.table,
            priority: flow.priority,
            cookie: flow.cookie,
            idle_timeout_s: flow.idle_timeout_s,
            hard_timeout_s: flow.hard_timeout_s,
            flags: flow.flags,
            flow_match: flow.flow_match.clone(),
            instructions: flow.instructions.clone(),
            ..Self::default()
        }
    }

    /// Removes that very flow: same table, match, priority and cookie.
    #[must_use]
    pub fn delete_strict(flow: &Flow) -> Self {
        Self {
            command: FlowModCommand::DELETE_STRICT,
            table: flow.table,
            priority: flow.priority,
            cookie: flow.cookie,
            cookie_mask: u64::MAX,
            flow_match: flow.flow_match.clone(),
            ..Self::default()
        }
    }

    /// Removes every flow, in any table, whose cookie is `cookie` where `mask` has ones.
    #[must_use]
    pub fn delete_by_cookie(cookie: Cookie, mask: u64) -> Self {
        Self {
            command: FlowModCommand::DELETE,
            table: TableId::ALL,
            cookie,
            cookie_mask: mask,
            ..Self::default()
        }
    }

    /// The flow that an add installs.
    #[must_use]
    pub fn into_flow(self) -> Flow {
        Flow {
            table: self.table,
            priority: self.priority,
            cookie: self.cookie,
            flow_match: self.flow_match,
            instructions: self.instructions,
            idle_timeout_s: self.idle_timeout_s,
            hard_timeout_s: self.hard_timeout_s,
            flags: self.flags,
        }
    }
}

/// Shape: cookie `u64`, mask `u64`, table `u8`, command `u8`, idle and hard timeout `u16`, priority `u16`,
/// buffer `u32`, out port `u32`, out group `u32`, flags `u16`, 2 zeros, match, instructions to the end.
///
/// Source: OpenFlow 1.3.5 §7.3.4.1.
impl Wire for FlowMod {
    #[inline]
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::FlowMod);
        let mut fixed = r.fixed::<40>()?;
        let flow_match = Match::decode(r)?;
        let instructions = Instruction::decode_list(r.take())?;
        Ok(Self {
            cookie: Cookie(fixed.u64()?),
            cookie_mask: fixed.u64()?,
            table: TableId(fixed.u8()?),
            command: FlowModCommand(fixed.u8()?),
            idle_timeout_s: fixed.u16()?,
            hard_timeout_s: fixed.u16()?,
            priority: Priority(fixed.u16()?),
            buffer_id: Some(fixed.u32()?).filter(|id| *id != u32::MAX),
            out_port: Some(PortNo(fixed.u32()?)).filter(|port| *port != PortNo::ANY),
            out_group: Some(GroupId(fixed.u32()?)).filter(|group| *group != GroupId::ANY),
            flags: FlowModFlags::from_bits_retain(fixed.u16()?),
            flow_match,
            instructions,
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mut fixed = Fixed::<40>::default();
        fixed.u64(self.cookie.0);
        fixed.u64(self.cookie_mask);
        fixed.u8(self.table.0);
        fixed.u8(self.command.0);
        fixed.u16(self.idle_timeout_s);
        fixed.u16(self.hard_timeout_s);
        fixed.u16(self.priority.0);
        fixed.u32(self.buffer_id.unwrap_or(u32::MAX));
        fixed.u32(self.out_port.unwrap_or(PortNo::ANY).0);
        fixed.u32(self.out_group.unwrap_or(GroupId::ANY).0);
        fixed.u16(self.flags.bits());
        fixed.append_to(w);
        self.flow_match.encode(w);
        for instruction in &self.instructions {
            instruction.encode(w);
        }
    }
}
