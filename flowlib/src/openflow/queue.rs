//! The queues of ports and how they are set.

use crate::types::PortNo;
use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer};

/// OFPQ_ALL: every queue.
pub const ALL: u32 = 0xffff_ffff;

/// The queues of a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueueConfig {
    /// The port that was asked for; `PortNo::ANY`: every port.
    pub port: PortNo,
    /// Its queues.
    pub queues: Vec<Queue>,
}

/// A queue of a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Queue {
    /// Its number.
    pub queue: u32,
    /// Its port.
    pub port: PortNo,
    /// How it is set.
    pub properties: Vec<QueueProperty>,
}

/// How a queue is set. Source: OpenFlow 1.3.5 §7.2.2.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueueProperty {
    /// OFPQT_MIN_RATE: the guaranteed rate, in tenths of a percent; above 1000: none.
    MinRate(u16),
    /// OFPQT_MAX_RATE: the highest rate, in tenths of a percent; above 1000: none.
    MaxRate(u16),
    /// Anything else, byte for byte.
    Unknown {
        /// The type: 0xffff for an experimenter's.
        property_type: u16,
        /// All that follows the 8 bytes of the property's header.
        body: Box<[u8]>,
    },
}

const MIN_RATE: u16 = 1;
const MAX_RATE: u16 = 2;

/// Shape: port `u32`, 4 zeros, queues.
///
/// Source: OpenFlow 1.3.5 §7.3.6.
impl Wire for QueueConfig {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::Queue);
        let port = PortNo(r.u32()?);
        r.skip(4)?;
        let mut queues = Vec::new();
        while !r.is_empty() {
            queues.push(Queue::decode(r)?);
        }
        Ok(Self { port, queues })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u32(self.port.0);
        w.zeros(4);
        for queue in &self.queues {
            queue.encode(w);
        }
    }
}

/// Shape: queue `u32`, port `u32`, length `u16` of it all, 6 zeros, properties.
impl Wire for Queue {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let (queue, port) = (r.u32()?, PortNo(r.u32()?));
        let len = usize::from(r.u16()?);
        r.skip(6)?;
        if len % 8 != 0 {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        let mut body = r.body(len, 16, Part::Queue)?;
        let mut properties = Vec::new();
        while !body.is_empty() {
            properties.push(QueueProperty::decode(&mut body)?);
        }
        Ok(Self { queue, port, properties })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.u32(self.queue);
        w.u32(self.port.0);
        w.u16(0);
        w.zeros(6);
        for property in &self.properties {
            property.encode(w);
        }
        w.patch_len(mark, 8);
    }
}

/// Shape: type `u16`, length `u16` of it all, 4 zeros; a rate is a `u16` and 6 zeros.
impl Wire for QueueProperty {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let (property_type, len) = (r.u16()?, usize::from(r.u16()?));
        let is_rate = matches!(property_type, MIN_RATE | MAX_RATE);
        if len % 8 != 0 || is_rate && len != 16 {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        let mut body = r.body(len, 4, Part::Queue)?;
        body.skip(4)?;
        Ok(match property_type {
            MIN_RATE => Self::MinRate(body.u16()?),
            MAX_RATE => Self::MaxRate(body.u16()?),
            _ => Self::Unknown { property_type, body: body.rest().into() },
        })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.u16(match self {
            Self::MinRate(_) => MIN_RATE,
            Self::MaxRate(_) => MAX_RATE,
            Self::Unknown { property_type, .. } => *property_type,
        });
        w.u16(0);
        w.zeros(4);
        match self {
            Self::MinRate(rate) | Self::MaxRate(rate) => {
                w.u16(*rate);
                w.zeros(6);
            }
            Self::Unknown { body, .. } => w.bytes(body),
        }
        w.patch_len(mark, 2);
    }
}
