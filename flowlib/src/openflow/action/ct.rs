//! The connection tracker.

use std::net::IpAddr;

use crate::openflow::oxm::{SubField, read_field};
use crate::types::TableId;
use crate::wire::{DecodeError, Part, Problem, Reader, Writer};

use super::Action;
use super::subfield::{pack, short_header, unpack};

bitflags::bitflags! {
    /// NX_CT_F_*.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    pub struct CtFlags: u16 {
        /// The connection is remembered.
        const COMMIT = 1;
        /// A connection that was remembered the other way round begins anew.
        const FORCE = 1 << 1;
        const _ = !0;
    }
}

bitflags::bitflags! {
    /// NX_NAT_F_*.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    pub struct NatFlags: u16 {
        /// The source is translated.
        const SRC = 1;
        /// The destination is translated.
        const DST = 1 << 1;
        /// The same translation after a restart.
        const PERSISTENT = 1 << 2;
        /// The port is chosen by hash.
        const HASH = 1 << 3;
        /// The port is chosen at random.
        const RANDOM = 1 << 4;
        const _ = !0;
    }
}

/// The connections among which one is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CtZone {
    /// Those of this zone.
    Number(u16),
    /// Those of the zone whose number is in a field, 16 bits of it.
    Field(SubField),
}

/// Through the connection tracker.
///
/// Source: ovs-actions(7), "ct".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ct {
    /// See [`CtFlags`].
    pub flags: CtFlags,
    /// The zone.
    pub zone: CtZone,
    /// Where a copy of the packet goes on, with what the tracker knows.
    pub recirc_table: Option<TableId>,
    /// The port of the protocol whose related connections are to be found: 21 or 69; 0: none.
    pub alg: u16,
    /// What is done to the connection: [`Action::Nat`], and new values of `ct_mark` and `ct_label`.
    pub actions: Vec<Action>,
}

/// NX_CT_RECIRC_NONE.
const NO_TABLE: u8 = 0xff;

impl Default for Ct {
    fn default() -> Self {
        Self {
            flags: CtFlags::empty(),
            zone: CtZone::Number(0),
            recirc_table: None,
            alg: 0,
            actions: Vec::new(),
        }
    }
}

impl Ct {
    /// Reads NXAST_CT behind its subtype.
    ///
    /// Shape: flags `u16`, the header of the zone's field `u32` or 0, its bits as in `reg_load` or the zone `u16`,
    /// table `u8`, 3 zeros, protocol's port `u16`, actions.
    ///
    /// # Errors
    /// `BadValue` if the flags or the bits of the zone make no sense.
    pub(super) fn decode(r: &mut Reader<'_>, depth: u8) -> Result<Self, DecodeError> {
        let at = r.clone();
        let flags = CtFlags::from_bits_retain(r.u16()?);
        if flags.contains(CtFlags::FORCE) && !flags.contains(CtFlags::COMMIT) {
            return Err(at.error(Problem::BadValue { found: flags.bits().into() }));
        }
        let zone = decode_zone(r)?;
        let recirc_table = Some(r.u8()?).filter(|table| *table != NO_TABLE).map(TableId);
        r.skip(3)?;
        let alg = r.u16()?;
        let actions = Action::decode_nested(r.take(), depth + 1)?;
        Ok(Self { flags, zone, recirc_table, alg, actions })
    }

    /// Writes it behind its subtype.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.flags.bits());
        match self.zone {
            CtZone::Number(zone) => {
                w.u32(0);
                w.u16(zone);
            }
            CtZone::Field(zone) => {
                short_header(w, zone.field);
                pack(w, zone);
            }
        }
        w.u8(self.recirc_table.map_or(NO_TABLE, |table| table.0));
        w.zeros(3);
        w.u16(self.alg);
        Action::encode_list(&self.actions, w);
    }
}

fn decode_zone(r: &mut Reader<'_>) -> Result<CtZone, DecodeError> {
    if r.peek().starts_with(&[0; 4]) {
        r.skip(4)?;
        return Ok(CtZone::Number(r.u16()?));
    }
    r.set_part(Part::ActionField);
    let at = r.clone();
    let field = read_field(r)?;
    let zone = unpack(&at, r.u16()?, field)?;
    if zone.n_bits != 16 {
        return Err(at.error(Problem::BadLength { found: zone.n_bits.into() }));
    }
    r.set_part(Part::Action);
    Ok(CtZone::Field(zone))
}

/// Translates the addresses of a connection; without flags as it was translated before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Nat {
    /// See [`NatFlags`].
    pub flags: NatFlags,
    /// To which address and port; as the tracker sees fit if it is not said.
    pub range: Option<NatRange>,
}

/// Addresses and ports to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NatRange {
    /// The lowest address.
    pub min: IpAddr,
    /// The highest, if there is more than one.
    pub max: Option<IpAddr>,
    /// The lowest port, if it is not left to the tracker; not 0.
    pub min_port: Option<u16>,
    /// The highest.
    pub max_port: Option<u16>,
}

const IPV4_MIN: u16 = 1;
const IPV4_MAX: u16 = 1 << 1;
const IPV6_MIN: u16 = 1 << 2;
const IPV6_MAX: u16 = 1 << 3;
const PROTO_MIN: u16 = 1 << 4;
const PROTO_MAX: u16 = 1 << 5;
const IPV6: u16 = IPV6_MIN | IPV6_MAX;

impl Nat {
    /// Whether its flags go with each other.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let both = |flags| self.flags.contains(flags);
        !both(NatFlags::SRC | NatFlags::DST) && !both(NatFlags::HASH | NatFlags::RANDOM)
    }

    /// Reads NXAST_NAT behind its subtype.
    ///
    /// Shape: 2 zeros, flags `u16`, what follows `u16`: lowest and highest IPv4 address, IPv6 address, port `u16`;
    /// zeros to a multiple of 8.
    ///
    /// # Errors
    /// `BadValue` on flags that exclude each other and on a range that is none.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.skip(2)?;
        let at = r.clone();
        let flags = NatFlags::from_bits_retain(r.u16()?);
        let present = r.u16()?;
        let bad = || at.error(Problem::BadValue { found: present.into() });
        let range = if present == 0 { None } else { Some(NatRange::decode(r, present)?.ok_or_else(bad)?) };
        r.skip(r.len().min(7))?;
        let found = Self { flags, range };
        if found.is_valid() && flags.bits() < 1 << 5 { Ok(found) } else { Err(bad()) }
    }

    /// Writes it behind its subtype.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.zeros(2);
        w.u16(self.flags.bits());
        match &self.range {
            Some(range) => range.encode(w),
            None => w.u16(0),
        }
    }
}

impl NatRange {
    /// Whether its ends are in order and of one family.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let same_family = self.max.is_none_or(|max| max.is_ipv4() == self.min.is_ipv4());
        let ports = match (self.min_port, self.max_port) {
            (None, Some(_)) | (Some(0), _) => false,
            (Some(min), Some(max)) => min <= max,
            (_, None) => true,
        };
        same_family && ports && !self.min.is_unspecified() && self.max.is_none_or(|max| self.min <= max)
    }

    fn decode(r: &mut Reader<'_>, present: u16) -> Result<Option<Self>, DecodeError> {
        let address = |r: &mut Reader<'_>, v4: u16, v6: u16| -> Result<Option<IpAddr>, DecodeError> {
            Ok(if present & v4 != 0 {
                Some(IpAddr::V4(r.u32()?.into()))
            } else if present & v6 != 0 {
                Some(IpAddr::V6(r.array::<16>()?.into()))
            } else {
                None
            })
        };
        if present & (IPV4_MIN | IPV4_MAX) != 0 && present & IPV6 != 0 {
            return Ok(None);
        }
        let Some(min) = address(r, IPV4_MIN, IPV6_MIN)? else { return Ok(None) };
        let max = address(r, IPV4_MAX, IPV6_MAX)?;
        let min_port = if present & PROTO_MIN != 0 { Some(r.u16()?) } else { None };
        let max_port = if present & PROTO_MAX != 0 { Some(r.u16()?) } else { None };
        let found = Self { min, max, min_port, max_port };
        Ok(found.is_valid().then_some(found))
    }

    fn encode(&self, w: &mut Writer<'_>) {
        let (min, max) = if self.min.is_ipv4() { (IPV4_MIN, IPV4_MAX) } else { (IPV6_MIN, IPV6_MAX) };
        let bit = |is_present: bool, bit: u16| if is_present { bit } else { 0 };
        w.u16(
            min | bit(self.max.is_some(), max)
                | bit(self.min_port.is_some(), PROTO_MIN)
                | bit(self.max_port.is_some(), PROTO_MAX),
        );
        for address in [Some(self.min), self.max].into_iter().flatten() {
            match address {
                IpAddr::V4(address) => w.bytes(&address.octets()),
                IpAddr::V6(address) => w.bytes(&address.octets()),
            }
        }
        for port in [self.min_port, self.max_port].into_iter().flatten() {
            w.u16(port);
        }
    }
}
