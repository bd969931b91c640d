//! Roles of controllers, and which asynchronous messages they get.

use super::{ConnectionId, Switch};
use crate::openflow::role::{ControllerRole, RoleReason};
use crate::openflow::{AsyncConfig, AsyncMask, AsyncProperty, ErrorCode, Message, NxRole, Role, RoleStatus};
use crate::types::Xid;

/// The reasons that OpenFlow 1.3 knows of packet-ins, port status and flow removed.
const REASONS: [u32; 3] = [7, 7, 0xf];

fn known(mask: AsyncMask, reasons: u32) -> AsyncMask {
    AsyncMask { primary: mask.primary & reasons, secondary: mask.secondary & reasons }
}

impl Switch {
    /// Answers what concerns roles.
    ///
    /// # Errors
    /// `OFPRRFC_STALE` if a greater generation id has been named.
    pub(super) fn change_role(
        &mut self,
        id: ConnectionId,
        xid: Xid,
        message: Message,
    ) -> Result<(), ErrorCode> {
        let reply = match message {
            Message::RoleRequest(request) => {
                if ![ControllerRole::NO_CHANGE, ControllerRole::EQUAL].contains(&request.role) {
                    self.name_generation(request.generation_id)?;
                }
                let role = self.take_role(id, request.role);
                Message::RoleReply(Role { role, generation_id: self.generation.unwrap_or(u64::MAX) })
            }
            Message::NxRoleRequest(role) => {
                let found = self.take_role(id, standard_role(role));
                Message::NxRoleReply(nicira_role(found))
            }
            message => return self.change_masks(id, xid, message),
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.send(xid, &reply);
        }
        Ok(())
    }

    fn name_generation(&mut self, generation: u64) -> Result<(), ErrorCode> {
        let is_older = |last: u64| generation.wrapping_sub(last) > i64::MAX as u64;
        if self.generation.is_some_and(is_older) {
            return Err(ErrorCode::OFPRRFC_STALE);
        }
        self.generation = Some(generation);
        Ok(())
    }

    /// Gives a connection a role; another primary becomes a secondary one. The role that it has then.
    fn take_role(&mut self, id: ConnectionId, role: ControllerRole) -> ControllerRole {
        let has_role = self.connections.get(&id).map_or(role, |connection| connection.role);
        if role == ControllerRole::NO_CHANGE {
            return has_role;
        }
        if role == ControllerRole::PRIMARY && has_role != role {
            self.depose();
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.role = role;
        }
        role
    }

    /// Open vSwitch tells of it whatever the connection wants to hear.
    fn depose(&mut self) {
        let reason = RoleReason::PRIMARY_REQUEST;
        let status = Message::RoleStatus(RoleStatus {
            role: ControllerRole::SECONDARY,
            reason,
            generation_id: self.generation.unwrap_or(u64::MAX),
            properties: Box::default(),
        });
        for connection in self.connections.values_mut() {
            if connection.role == ControllerRole::PRIMARY {
                connection.send(Xid(0), &status);
                connection.role = ControllerRole::SECONDARY;
            }
        }
    }

    fn change_masks(&mut self, id: ConnectionId, xid: Xid, message: Message) -> Result<(), ErrorCode> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        match message {
            Message::SetAsync(config) | Message::NxSetAsyncConfig(config) => {
                let masks = [config.packet_in, config.port_status, config.flow_removed];
                for ((place, mask), reasons) in connection.masks.iter_mut().zip(masks).zip(REASONS) {
                    *place = known(mask, reasons);
                }
            }
            Message::NxSetAsyncConfig2(list) => {
                for property in list {
                    let AsyncProperty::Mask { property_type, mask } = property else { continue };
                    if let Some(place) = connection.masks.get_mut(usize::from(property_type.0 / 2)) {
                        let is_secondary = property_type.0 % 2 == 0;
                        *(if is_secondary { &mut place.secondary } else { &mut place.primary }) = mask;
                    }
                }
            }
            _ => {
                let [packet_in, port_status, flow_removed, ..] = connection.masks;
                let config = AsyncConfig {
                    packet_in: known(packet_in, REASONS[0]),
                    port_status: known(port_status, REASONS[1]),
                    flow_removed: known(flow_removed, REASONS[2]),
                };
                connection.send(xid, &Message::GetAsyncReply(config));
            }
        }
        Ok(())
    }
}

fn standard_role(role: NxRole) -> ControllerRole {
    match role {
        NxRole::PRIMARY => ControllerRole::PRIMARY,
        NxRole::SECONDARY => ControllerRole::SECONDARY,
        _ => ControllerRole::EQUAL,
    }
}

fn nicira_role(role: ControllerRole) -> NxRole {
    match role {
        ControllerRole::PRIMARY => NxRole::PRIMARY,
        ControllerRole::SECONDARY => NxRole::SECONDARY,
        _ => NxRole::OTHER,
    }
}
