//! Ports: what they are, their changes and how to change them.

use crate::types::{MacAddr, PortNo};
use crate::wire::{DecodeError, Part, Reader, Wire, Writer, open_enum};

use super::fixed_text::FixedText;

bitflags::bitflags! {
    /// How a port is set. Source: OpenFlow 1.3.5 §7.2.1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct PortConfig: u32 {
        /// OFPPC_PORT_DOWN.
        const PORT_DOWN = 1;
        /// OFPPC_NO_RECV.
        const NO_RECV = 1 << 2;
        /// OFPPC_NO_FWD.
        const NO_FWD = 1 << 5;
        /// OFPPC_NO_PACKET_IN.
        const NO_PACKET_IN = 1 << 6;
        const _ = !0;
    }
}

bitflags::bitflags! {
    /// How a port is. Source: OpenFlow 1.3.5 §7.2.1.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct PortState: u32 {
        /// OFPPS_LINK_DOWN.
        const LINK_DOWN = 1;
        /// OFPPS_BLOCKED.
        const BLOCKED = 1 << 1;
        /// OFPPS_LIVE.
        const LIVE = 1 << 2;
        const _ = !0;
    }
}

/// A port of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// Its number.
    pub port: PortNo,
    /// Its address.
    pub hw_addr: MacAddr,
    /// Its name.
    pub name: FixedText<16>,
    /// How it is set.
    pub config: PortConfig,
    /// How it is.
    pub state: PortState,
    /// OFPPF_ bits it uses.
    pub current: u32,
    /// OFPPF_ bits it advertises.
    pub advertised: u32,
    /// OFPPF_ bits it could use.
    pub supported: u32,
    /// OFPPF_ bits its peer advertises.
    pub peer: u32,
    /// Its bit rate in kbit/s.
    pub current_speed_kbps: u32,
    /// Its highest bit rate in kbit/s.
    pub max_speed_kbps: u32,
}

/// Shape: number `u32`, 4 zeros, MAC, 2 zeros, name 16 bytes, config, state, four feature sets and two speeds
/// `u32` each.
///
/// Source: OpenFlow 1.3.5 §7.2.1.
impl Wire for Port {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let port = PortNo(r.u32()?);
        r.skip(4)?;
        let hw_addr = MacAddr(r.array()?);
        r.skip(2)?;
        Ok(Self {
            port,
            hw_addr,
            name: FixedText(r.array()?),
            config: PortConfig::from_bits_retain(r.u32()?),
            state: PortState::from_bits_retain(r.u32()?),
            current: r.u32()?,
            advertised: r.u32()?,
            supported: r.u32()?,
            peer: r.u32()?,
            current_speed_kbps: r.u32()?,
            max_speed_kbps: r.u32()?,
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.port.0);
        w.zeros(4);
        w.bytes(&self.hw_addr.0);
        w.zeros(2);
        w.bytes(&self.name.0);
        w.u32(self.config.bits());
        w.u32(self.state.bits());
        w.u32(self.current);
        w.u32(self.advertised);
        w.u32(self.supported);
        w.u32(self.peer);
        w.u32(self.current_speed_kbps);
        w.u32(self.max_speed_kbps);
    }
}

open_enum! {
    /// What happened to a port. Source: OpenFlow 1.3.5 §7.4.3.
    pub struct PortReason(u8) {
        /// It is new.
        ADD = 0 => "ADD",
        /// It is gone.
        DELETE = 1 => "DEL",
        /// Something of it changed.
        MODIFY = 2 => "MOD",
    }
}

/// Something happened to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortStatus {
    /// What.
    pub reason: PortReason,
    /// The port as it is now, or was.
    pub port: Port,
}

/// Shape: reason `u8`, 7 zeros, port.
impl Wire for PortStatus {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let reason = PortReason(r.u8()?);
        r.skip(7)?;
        Ok(Self { reason, port: Port::decode(r)? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u8(self.reason.0);
        w.zeros(7);
        self.port.encode(w);
    }
}

/// A change of a port's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortMod {
    /// The port.
    pub port: PortNo,
    /// Its address: a check that the right port is meant.
    pub hw_addr: MacAddr,
    /// The settings.
    pub config: PortConfig,
    /// Which of them change.
    pub mask: PortConfig,
    /// OFPPF_ bits to advertise; 0: as before.
    pub advertise: u32,
}

/// Shape: number `u32`, 4 zeros, MAC, 2 zeros, config, mask, advertise `u32` each, 4 zeros.
///
/// Source: OpenFlow 1.3.5 §7.3.4.3.
impl Wire for PortMod {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::PortMod);
        let port = PortNo(r.u32()?);
        r.skip(4)?;
        let hw_addr = MacAddr(r.array()?);
        r.skip(2)?;
        let config = PortConfig::from_bits_retain(r.u32()?);
        let mask = PortConfig::from_bits_retain(r.u32()?);
        let advertise = r.u32()?;
        r.skip(4)?;
        Ok(Self { port, hw_addr, config, mask, advertise })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.port.0);
        w.zeros(4);
        w.bytes(&self.hw_addr.0);
        w.zeros(2);
        w.u32(self.config.bits());
        w.u32(self.mask.bits());
        w.u32(self.advertise);
        w.zeros(4);
    }
}
