//! Meters: limits of rate.

use crate::types::MeterId;
use crate::wire::{DecodeError, Part, Problem, Reader, Wire, Writer, open_enum};

open_enum! {
    /// What a meter mod does. Source: OpenFlow 1.3.5 §7.3.4.4.
    pub struct MeterCommand(u16) {
        /// A new meter.
        ADD = 0 => "add",
        /// New flags and bands.
        MODIFY = 1 => "modify",
        /// Removes it, and all flows that use it.
        DELETE = 2 => "delete",
    }
}

bitflags::bitflags! {
    /// What a meter counts. Source: OpenFlow 1.3.5 §7.3.4.4.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
    pub struct MeterFlags: u16 {
        /// OFPMF_KBPS: rates in kbit/s.
        const KBPS = 1;
        /// OFPMF_PKTPS: rates in packets a second.
        const PKTPS = 1 << 1;
        /// OFPMF_BURST: bursts are limited as the bands say.
        const BURST = 1 << 2;
        /// OFPMF_STATS: it counts what it sees.
        const STATS = 1 << 3;
        const _ = !0;
    }
}

/// What a meter does with packets above a rate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Band {
    /// The rate, in the meter's unit.
    pub rate: u32,
    /// The burst, in kbit or packets.
    pub burst: u32,
    /// What it does.
    pub kind: BandKind,
}

/// What a band does. Source: OpenFlow 1.3.5 §7.3.4.4.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BandKind {
    /// Drops.
    Drop,
    /// Raises the drop precedence in the DSCP by so much.
    DscpRemark(u8),
    /// Anything else, byte for byte.
    Unknown {
        /// The type: 0xffff for an experimenter's.
        band_type: u16,
        /// All that follows the burst.
        body: Box<[u8]>,
    },
}

const DROP: u16 = 1;
const DSCP_REMARK: u16 = 2;

/// Shape: type `u16`, length `u16`, rate `u32`, burst `u32`, 4 bytes by type.
impl Wire for Band {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let band_type = r.u16()?;
        let len = usize::from(r.u16()?);
        if len < 12 {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        let mut body = r.body(len, 4, Part::MeterMod)?;
        let (rate, burst) = (body.u32()?, body.u32()?);
        let kind = match band_type {
            DROP => {
                body.skip(4)?;
                BandKind::Drop
            }
            DSCP_REMARK => {
                let level = body.u8()?;
                body.skip(3)?;
                BandKind::DscpRemark(level)
            }
            _ => BandKind::Unknown { band_type, body: body.rest().into() },
        };
        body.finish().map(|()| Self { rate, burst, kind })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.u16(match &self.kind {
            BandKind::Drop => DROP,
            BandKind::DscpRemark(_) => DSCP_REMARK,
            BandKind::Unknown { band_type, .. } => *band_type,
        });
        w.u16(0);
        w.u32(self.rate);
        w.u32(self.burst);
        match &self.kind {
            BandKind::Drop => w.zeros(4),
            BandKind::DscpRemark(level) => w.u32(u32::from(*level) << 24),
            BandKind::Unknown { body, .. } => w.bytes(body),
        }
        w.patch_len(mark, 2);
    }
}

/// A meter, as it is wanted or as a switch describes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Meter {
    /// Its number.
    pub meter: MeterId,
    /// What it counts.
    pub flags: MeterFlags,
    /// What it does at which rate.
    pub bands: Vec<Band>,
}

fn decode_bands(r: &mut Reader<'_>) -> Result<Vec<Band>, DecodeError> {
    let mut bands = Vec::new();
    while !r.is_empty() {
        bands.push(Band::decode(r)?);
    }
    Ok(bands)
}

/// As in a meter configuration.
///
/// Shape: length `u16`, flags `u16`, number `u32`, bands.
///
/// Source: OpenFlow 1.3.5 §7.3.5.12.
impl Wire for Meter {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let len = usize::from(r.u16()?);
        if len < 8 {
            return Err(at.error(Problem::BadLength { found: len }));
        }
        let mut body = r.body(len, 2, Part::MeterMod)?;
        let flags = MeterFlags::from_bits_retain(body.u16()?);
        Ok(Self { flags, meter: MeterId(body.u32()?), bands: decode_bands(&mut body)? })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let mark = w.mark();
        w.u16(0);
        w.u16(self.flags.bits());
        w.u32(self.meter.0);
        for band in &self.bands {
            band.encode(w);
        }
        w.patch_len(mark, 0);
    }
}

/// A change of a meter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MeterMod {
    /// What it does.
    pub command: MeterCommand,
    /// The meter.
    pub meter: Meter,
}

impl MeterMod {
    /// Makes that meter.
    #[must_use]
    pub fn add(meter: Meter) -> Self {
        Self { command: MeterCommand::ADD, meter }
    }

    /// Removes the meter of that number, and all flows that use it.
    #[must_use]
    pub fn delete(meter: MeterId) -> Self {
        let meter = Meter { meter, flags: MeterFlags::empty(), bands: Vec::new() };
        Self { command: MeterCommand::DELETE, meter }
    }
}

/// Strict: a command that does not exist, or two units at once, are an error.
///
/// Shape: command `u16`, flags `u16`, number `u32`, bands.
///
/// Source: OpenFlow 1.3.5 §7.3.4.4.
impl Wire for MeterMod {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_part(Part::MeterMod);
        let at = r.clone();
        let command = MeterCommand(r.u16()?);
        let flags = MeterFlags::from_bits_retain(r.u16()?);
        let meter = MeterId(r.u32()?);
        if command.name().is_none() {
            return Err(at.error(Problem::BadCommand { found: command.0.into() }));
        }
        if command != MeterCommand::DELETE && flags.contains(MeterFlags::KBPS | MeterFlags::PKTPS) {
            return Err(at.error(Problem::BadFlags { found: flags.bits().into() }));
        }
        Ok(Self { command, meter: Meter { meter, flags, bands: decode_bands(r)? } })
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.command.0);
        w.u16(self.meter.flags.bits());
        w.u32(self.meter.meter.0);
        for band in &self.meter.bands {
            band.encode(w);
        }
    }
}
