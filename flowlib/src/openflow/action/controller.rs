//! Packet-ins by Nicira's two controller actions.

use crate::types::MeterId;
use crate::wire::{DecodeError, Part, Problem, Reader, Writer, open_enum};

open_enum! {
    /// Why a packet came to the controller. Source: OpenFlow 1.3.5 §7.4.1, 1.4 for the later ones.
    pub struct PacketInReason(u8) {
        /// A table-miss flow.
        NO_MATCH = 0 => "no_match",
        /// An output to the controller.
        ACTION = 1 => "action",
        /// A TTL that was 0.
        INVALID_TTL = 2 => "invalid_ttl",
        /// An output to the controller in an action set.
        ACTION_SET = 3 => "action_set",
        /// An output to the controller in a group bucket.
        GROUP = 4 => "group",
        /// An output to the controller in a packet-out.
        PACKET_OUT = 5 => "packet_out",
    }
}

/// A packet-in with more to it than an output to the controller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Controller {
    /// Bytes of the packet.
    pub max_len: u16,
    /// Which controller connections get it.
    pub controller_id: u16,
    /// The reason it will give.
    pub reason: PacketInReason,
    /// Bytes that come back with the packet.
    pub userdata: Vec<u8>,
    /// Whether the pipeline stops here, to be continued by the controller.
    pub pause: bool,
    /// A meter that limits it, if not the bridge's own.
    pub meter: Option<MeterId>,
}

impl Default for Controller {
    fn default() -> Self {
        Self {
            max_len: super::Action::NO_BUFFER,
            controller_id: 0,
            reason: PacketInReason::ACTION,
            userdata: Vec::new(),
            pause: false,
            meter: None,
        }
    }
}

const MAX_LEN: u16 = 0;
const CONTROLLER_ID: u16 = 1;
const REASON: u16 = 2;
const USERDATA: u16 = 3;
const PAUSE: u16 = 4;
const METER_ID: u16 = 5;

impl Controller {
    /// Whether only NXAST_CONTROLLER2 can say it.
    pub(super) fn needs_properties(&self) -> bool {
        !self.userdata.is_empty() || self.pause || self.meter.is_some()
    }

    /// Reads NXAST_CONTROLLER behind its subtype.
    ///
    /// Shape: max_len `u16`, controller_id `u16`, reason `u8`, a zero.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (max_len, controller_id, reason) = (r.u16()?, r.u16()?, PacketInReason(r.u8()?));
        r.skip(1)?;
        Ok(Self { max_len, controller_id, reason, ..Self::default() })
    }

    /// Writes NXAST_CONTROLLER behind its subtype.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.max_len);
        w.u16(self.controller_id);
        w.u8(self.reason.0);
        w.u8(0);
    }

    /// Reads NXAST_CONTROLLER2 behind its subtype.
    ///
    /// Shape: 6 zeros, properties: type `u16`, length `u16` without padding, value, zeros to a multiple of 8.
    ///
    /// # Errors
    /// `BadType` on a property that is not known: it would change what the action does.
    pub(super) fn decode_properties(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.zeros(6)?;
        let mut found = Self::default();
        while !r.is_empty() {
            let at = r.clone();
            let (property, len) = (r.u16()?, usize::from(r.u16()?));
            let mut value = r.body(len, 4, Part::Action)?;
            match property {
                MAX_LEN => found.max_len = value.u16()?,
                CONTROLLER_ID => found.controller_id = value.u16()?,
                REASON => found.reason = PacketInReason(value.u8()?),
                USERDATA => found.userdata = value.rest().to_vec(),
                PAUSE => found.pause = true,
                METER_ID => found.meter = Some(MeterId(value.u32()?)),
                _ => return Err(at.error(Problem::BadType { found: property.into() })),
            }
            // Values shorter than four bytes may be padded inside of the length.
            value.rest();
            r.skip((len.next_multiple_of(8) - len).min(r.len()))?;
        }
        Ok(found)
    }

    /// Writes NXAST_CONTROLLER2 behind its subtype, with those properties that say something.
    pub(super) fn encode_properties(&self, w: &mut Writer<'_>) {
        w.zeros(6);
        if self.max_len != super::Action::NO_BUFFER {
            property(w, MAX_LEN, &padded(self.max_len));
        }
        if self.controller_id != 0 {
            property(w, CONTROLLER_ID, &padded(self.controller_id));
        }
        if self.reason != PacketInReason::ACTION {
            property(w, REASON, &[self.reason.0]);
        }
        if !self.userdata.is_empty() {
            property(w, USERDATA, &self.userdata);
        }
        if self.pause {
            property(w, PAUSE, &[]);
        }
        if let Some(meter) = self.meter {
            property(w, METER_ID, &meter.0.to_be_bytes());
        }
    }
}

/// Open vSwitch counts the padding of a `u16` in the property's length.
fn padded(value: u16) -> [u8; 4] {
    (u32::from(value) << 16).to_be_bytes()
}

fn property(w: &mut Writer<'_>, kind: u16, value: &[u8]) {
    let mark = w.mark();
    w.u16(kind);
    w.u16(0);
    w.bytes(value);
    w.patch_len(mark, 2);
    w.pad8(mark);
}
