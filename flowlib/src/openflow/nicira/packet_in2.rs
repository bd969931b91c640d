//! Packet-ins that can stop the pipeline, and messages that let it go on.

use crate::openflow::action::PacketInReason;
use crate::openflow::oxm::Match;
use crate::openflow::property::{self, EXPERIMENTER, RawProperty};
use crate::types::{Cookie, TableId};
use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer};

/// A packet from a switch, or one that is given back to it to go on with.
///
/// What a switch leaves out is `None`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct PacketIn2 {
    /// The packet, from its first byte; not empty.
    pub data: Vec<u8>,
    /// The packet's length, if `data` is less of it.
    pub full_len: Option<u32>,
    /// The switch's name for the packet, if it has kept it.
    pub buffer_id: Option<u32>,
    /// The table it came from.
    pub table: Option<TableId>,
    /// The cookie of the flow that sent it.
    pub cookie: Option<Cookie>,
    /// Why it came.
    pub reason: Option<PacketInReason>,
    /// Its metadata: port, registers, tunnel.
    pub metadata: Match,
    /// What the action said that it should bear.
    pub userdata: Vec<u8>,
    /// Where the switch will go on with it: properties of its own, to be given back as they came.
    pub continuation: Option<Box<[u8]>>,
    /// What else is said, byte for byte.
    pub unknown: Vec<RawProperty>,
}

const PACKET: u16 = 0;
const FULL_LEN: u16 = 1;
const BUFFER_ID: u16 = 2;
const TABLE_ID: u16 = 3;
const COOKIE: u16 = 4;
const REASON: u16 = 5;
const METADATA: u16 = 6;
const USERDATA: u16 = 7;
const CONTINUATION: u16 = 8;

impl PacketIn2 {
    fn decode_property(&mut self, property_type: u16, value: &mut Reader<'_>) -> Result<(), DecodeError> {
        match property_type {
            PACKET => self.data = value.rest().to_vec(),
            FULL_LEN => self.full_len = Some(value.u32()?),
            BUFFER_ID => self.buffer_id = Some(value.u32()?),
            TABLE_ID => self.table = Some(TableId(property::u8(value)?)),
            COOKIE => {
                value.skip(4)?;
                self.cookie = Some(Cookie(value.u64()?));
            }
            REASON => self.reason = Some(PacketInReason(property::u8(value)?)),
            METADATA => {
                value.set_part(Part::Match);
                self.metadata = Match::decode_oxms(value.take())?;
            }
            USERDATA => self.userdata = value.rest().to_vec(),
            CONTINUATION => {
                value.skip(4)?;
                self.continuation = Some(value.rest().into());
            }
            _ => self.unknown.push(RawProperty { property_type, body: value.rest().into() }),
        }
        value.finish()
    }
}

/// Shape: properties: packet, its length `u32`, buffer `u32`, table `u8`, cookie `u64` on an 8-byte boundary, reason
/// `u8`, OXMs, user data, continuation on an 8-byte boundary. The last of several of one type counts.
///
/// # Errors
/// `Truncated` if there is no packet.
///
/// Source: NXT_PACKET_IN2 in `nicira-ext.h` and `lib/ofp-packet.c` of Open vSwitch 3.1.
impl Wire for PacketIn2 {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let mut found = Self::default();
        while !r.is_empty() {
            let (property_type, mut value) = property::take(r, EXPERIMENTER.into())?;
            found.decode_property(property_type, &mut value)?;
        }
        if found.data.is_empty() {
            return Err(at.error(Problem::Truncated { needed: 1, left: 0 }));
        }
        Ok(found)
    }

    fn encode(&self, w: &mut Writer<'_>) {
        property::put(w, PACKET, |w| w.bytes(&self.data));
        for (property_type, number) in [(FULL_LEN, self.full_len), (BUFFER_ID, self.buffer_id)] {
            if let Some(number) = number {
                property::put(w, property_type, |w| w.u32(number));
            }
        }
        if let Some(table) = self.table {
            property::put(w, TABLE_ID, |w| w.u8(table.0));
        }
        if let Some(cookie) = self.cookie {
            property::put_aligned(w, COOKIE, |w| w.u64(cookie.0));
        }
        if let Some(reason) = self.reason {
            property::put(w, REASON, |w| w.u8(reason.0));
        }
        if !self.metadata.is_empty() {
            property::put(w, METADATA, |w| self.metadata.encode_oxms(w));
        }
        if !self.userdata.is_empty() {
            property::put(w, USERDATA, |w| w.bytes(&self.userdata));
        }
        if let Some(continuation) = &self.continuation {
            property::put_aligned(w, CONTINUATION, |w| w.bytes(continuation));
        }
        self.unknown.iter().for_each(|raw| raw.encode(w));
    }
}
