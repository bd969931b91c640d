//! Bundles: messages that take effect together (ONF extension 230, for OpenFlow 1.3).

use crate::types::Xid;
use crate::wire::{DecodeError, EncodeError, Part, Problem, Reader, Wire, Writer, open_enum};

use super::header::{HEADER_LEN, Header};
use super::message::{Message, Nesting};
use super::message_len;
use super::oxm::OxmId;

/// ONF's experimenter type of [`BundleControl`].
pub const CONTROL: u32 = 2300;
/// ONF's experimenter type of [`BundleAdd`].
pub const ADD: u32 = 2301;

/// Where the inner message begins in a bundle-add message, in bytes from the start of the outer one.
pub const INNER_OFFSET: usize = 24;

open_enum! {
    /// What happens to a bundle. Source: ONF EXT-230; OpenFlow 1.4.1 §7.3.9.
    pub struct BundleControlType(u16) {
        /// Begin one.
        OPEN_REQUEST = 0 => "OPEN_REQUEST",
        /// It has begun.
        OPEN_REPLY = 1 => "OPEN_REPLY",
        /// No more messages.
        CLOSE_REQUEST = 2 => "CLOSE_REQUEST",
        /// It is closed.
        CLOSE_REPLY = 3 => "CLOSE_REPLY",
        /// Do it all.
        COMMIT_REQUEST = 4 => "COMMIT_REQUEST",
        /// All is done.
        COMMIT_REPLY = 5 => "COMMIT_REPLY",
        /// Forget it.
        DISCARD_REQUEST = 6 => "DISCARD_REQUEST",
        /// It is forgotten.
        DISCARD_REPLY = 7 => "DISCARD_REPLY",
    }
}

bitflags::bitflags! {
    /// How a bundle is done. Source: ONF EXT-230; OpenFlow 1.4.1 §7.3.9.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct BundleFlags: u16 {
        /// OFPBF_ATOMIC: no packet sees half of it, and all of it fails if any does.
        const ATOMIC = 1;
        /// OFPBF_ORDERED: in the order of the messages.
        const ORDERED = 1 << 1;
        const _ = !0;
    }
}

/// Opens, closes, commits or discards a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BundleControl {
    /// The bundle, a number of its connection.
    pub bundle_id: u32,
    /// What happens to it.
    pub control_type: BundleControlType,
    /// How; the same in all messages of a bundle.
    pub flags: BundleFlags,
    /// Properties, byte for byte.
    pub properties: Box<[u8]>,
}

impl BundleControl {
    /// Without properties.
    #[must_use]
    pub fn new(bundle_id: u32, control_type: BundleControlType, flags: BundleFlags) -> Self {
        Self { bundle_id, control_type, flags, properties: Box::default() }
    }
}

/// What follows the experimenter header.
///
/// Shape: bundle `u32`, type `u16`, flags `u16`, properties.
impl Wire for BundleControl {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::Bundle);
        Ok(Self {
            bundle_id: r.u32()?,
            control_type: BundleControlType(r.u16()?),
            flags: BundleFlags::from_bits_retain(r.u16()?),
            properties: r.rest().into(),
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.bundle_id);
        w.u16(self.control_type.0);
        w.u16(self.flags.bits());
        w.bytes(&self.properties);
    }
}

/// Puts a message into a bundle. The inner message's xid is the outer one's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BundleAdd {
    /// The bundle.
    pub bundle_id: u32,
    /// The bundle's flags.
    pub flags: BundleFlags,
    /// The message.
    pub message: Box<Message>,
    /// What follows the message: padding and properties, byte for byte.
    pub properties: Box<[u8]>,
}

impl BundleAdd {
    /// Without properties.
    #[must_use]
    pub fn new(bundle_id: u32, flags: BundleFlags, message: Message) -> Self {
        Self { bundle_id, flags, message: Box::new(message), properties: Box::default() }
    }

    /// Appends a whole bundle-add message around `inner`, an encoded message whose xid must be `xid`.
    ///
    /// # Errors
    /// `TooLong`.
    pub fn wrap(
        xid: Xid,
        bundle_id: u32,
        flags: BundleFlags,
        inner: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let mut w = Writer::new(out);
        let mark = w.mark();
        w.u8(super::VERSION);
        w.u8(super::message::EXPERIMENTER);
        w.u16(0);
        w.u32(xid.0);
        w.u32(OxmId::ONF);
        w.u32(ADD);
        w.u32(bundle_id);
        w.zeros(2);
        w.u16(flags.bits());
        w.bytes(inner);
        w.patch_len(mark, 2);
        w.finish()
    }

    /// Reads what follows the experimenter header of a message with that xid.
    ///
    /// Shape: bundle `u32`, 2 zeros, flags `u16`, message, properties.
    pub(super) fn decode(xid: Xid, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::Bundle);
        let bundle_id = r.u32()?;
        r.skip(2)?;
        let flags = BundleFlags::from_bits_retain(r.u16()?);
        let at = r.clone();
        let inner = take_message(r)?;
        let inner_xid = Header::decode(&mut inner.clone())?.xid;
        if inner_xid != xid {
            return Err(at.error(Problem::BadValue { found: inner_xid.0.into() }));
        }
        let (_, message) = Message::decode_at(inner, Nesting::Inner)?;
        Ok(Self { bundle_id, flags, message: Box::new(message), properties: r.rest().into() })
    }

    pub(super) fn encode(&self, xid: Xid, w: &mut Writer<'_>) {
        w.u32(self.bundle_id);
        w.zeros(2);
        w.u16(self.flags.bits());
        self.message.write(xid, w);
        w.bytes(&self.properties);
    }
}

/// Takes a message that lies in another one, by the length in its header.
///
/// # Errors
/// `BadLength` if the length is less than a header or more than there is; `BadType` if a message of its type cannot be
/// that long.
pub(super) fn take_message<'a>(r: &mut Reader<'a>) -> Result<Reader<'a>, DecodeError> {
    r.set_part(Part::Bundle);
    let at = r.clone();
    let header = Header::decode(&mut at.clone())?;
    let len = usize::from(header.len);
    if len < HEADER_LEN || len > at.len() {
        return Err(at.error(Problem::BadLength { found: len }));
    }
    let inner = r.sub(len, Part::Message)?;
    if !message_len::is_possible(header.message_type, inner.peek()) {
        return Err(at.error(Problem::BadType { found: header.message_type.into() }));
    }
    Ok(inner)
}
