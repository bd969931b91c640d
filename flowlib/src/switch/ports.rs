//! Ports, and packets that a controller sends to them.

use super::body::uses_of;
use super::datapath::Datapath;
use crate::openflow::port::PortConfig;
use crate::openflow::{ErrorCode, PacketOut, Port, PortMod};
use crate::types::PortNo;

impl Datapath {
    /// Whether a port can be changed like that.
    ///
    /// # Errors
    /// As Open vSwitch.
    pub(super) fn check_port(&self, port_mod: &PortMod) -> Result<(), ErrorCode> {
        let port = self.ports.get(&port_mod.port).ok_or(ErrorCode::OFPPMFC_BAD_PORT)?;
        if port.hw_addr == port_mod.hw_addr { Ok(()) } else { Err(ErrorCode::OFPPMFC_BAD_HW_ADDR) }
    }

    /// Changes a port that [`Self::check_port`] has looked at; gives it back if it is another now.
    pub(super) fn change_port(&mut self, port_mod: &PortMod) -> Option<Port> {
        let known =
            PortConfig::PORT_DOWN | PortConfig::NO_RECV | PortConfig::NO_FWD | PortConfig::NO_PACKET_IN;
        let port = self.ports.get_mut(&port_mod.port)?;
        let mask = port_mod.mask & known;
        let config = (port.config - mask) | (port_mod.config & mask);
        if port.config == config {
            return None;
        }
        port.config = config;
        Some(*port)
    }

    /// Whether a packet can be sent like that.
    ///
    /// # Errors
    /// As Open vSwitch.
    pub(super) fn check_packet(&self, packet: &PacketOut) -> Result<(), ErrorCode> {
        let is_nowhere = [PortNo::LOCAL, PortNo::CONTROLLER, PortNo::ANY].contains(&packet.in_port);
        if packet.in_port >= PortNo::MAX && !is_nowhere {
            return Err(ErrorCode::OFPBRC_BAD_PORT);
        }
        if packet.buffer_id.is_some() {
            return Err(ErrorCode::OFPBRC_BUFFER_UNKNOWN);
        }
        self.check_uses(&uses_of(&packet.actions))
    }
}
