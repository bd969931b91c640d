//! Connections that a switch should forget.

use std::net::Ipv6Addr;

use crate::openflow::property::{self, EXPERIMENTER, RawProperty};
use crate::wire::{DecodeError, Problem, Reader, Wire, Writer};

/// Forgets the connections that are like this in everything that is said.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct CtFlush {
    /// The IP protocol; 0: any.
    pub ip_proto: u8,
    /// The packets of the side that began.
    pub original: Option<CtTuple>,
    /// The packets of the other side.
    pub reply: Option<CtTuple>,
    /// The zone.
    pub zone: Option<u16>,
    /// What else is said, byte for byte.
    pub unknown: Vec<RawProperty>,
}

/// What the packets of one side of a connection are like.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct CtTuple {
    /// Where they come from; IPv4 as mapped into IPv6.
    pub src: Option<Ipv6Addr>,
    /// Where they go.
    pub dst: Option<Ipv6Addr>,
    /// The transport port they come from.
    pub src_port: Option<u16>,
    /// The transport port they go to.
    pub dst_port: Option<u16>,
    /// Of ICMP: the identifier.
    pub icmp_id: Option<u16>,
    /// Of ICMP: the type.
    pub icmp_type: Option<u8>,
    /// Of ICMP: the code.
    pub icmp_code: Option<u8>,
    /// What else is said, byte for byte.
    pub unknown: Vec<RawProperty>,
}

const ORIGINAL: u16 = 0;
const REPLY: u16 = 1;
const ZONE: u16 = 2;

const SRC: u16 = 0;
const DST: u16 = 1;
const SRC_PORT: u16 = 2;
const DST_PORT: u16 = 3;
const ICMP_ID: u16 = 4;
const ICMP_TYPE: u16 = 5;
const ICMP_CODE: u16 = 6;

/// The IP versions of the addresses that came: they must be one.
#[derive(Default)]
struct Family(Option<bool>);

impl Family {
    fn address(&mut self, value: &mut Reader<'_>) -> Result<Ipv6Addr, DecodeError> {
        let at = value.clone();
        let address = Ipv6Addr::from(value.array::<16>()?);
        let is_ipv4 = (!address.is_unspecified()).then(|| address.to_ipv4_mapped().is_some());
        if self.0.is_some() && is_ipv4.is_some() && self.0 != is_ipv4 {
            return Err(at.error(Problem::BadValue { found: 0 }));
        }
        self.0 = is_ipv4;
        Ok(address)
    }
}

/// Shape: IP protocol `u8`, 7 zeros, properties: a tuple each for both sides, which are properties on an 8-byte
/// boundary, and a zone `u16`. The last of several of one type counts;
/// what follows a value in its property does not.
///
/// Source: NXT_CT_FLUSH in `nicira-ext.h` and `lib/ofp-ct-util.c` of Open vSwitch 3.1.
impl Wire for CtFlush {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut found = Self { ip_proto: r.u8()?, ..Self::default() };
        r.zeros(7)?;
        let mut family = Family::default();
        while !r.is_empty() {
            let (property_type, mut value) = property::take(r, EXPERIMENTER.into())?;
            match property_type {
                ORIGINAL => found.original.get_or_insert_default().decode_into(&mut value, &mut family)?,
                REPLY => found.reply.get_or_insert_default().decode_into(&mut value, &mut family)?,
                ZONE => found.zone = Some(property::u16(&mut value)?),
                _ => found.unknown.push(RawProperty::keep(property_type, value)),
            }
        }
        Ok(found)
    }

    fn encode(&self, w: &mut Writer<'_>) {
        w.u8(self.ip_proto);
        w.zeros(7);
        for (property_type, tuple) in [(ORIGINAL, &self.original), (REPLY, &self.reply)] {
            if let Some(tuple) = tuple {
                property::put_aligned(w, property_type, |w| tuple.encode(w));
            }
        }
        if let Some(zone) = self.zone {
            property::put(w, ZONE, |w| w.u16(zone));
        }
        self.unknown.iter().for_each(|raw| raw.encode(w));
    }
}

impl CtTuple {
    /// Shape: 4 zeros, properties: addresses of 16 bytes, ports and identifier `u16`, type and code `u8`.
    fn decode_into(&mut self, r: &mut Reader<'_>, family: &mut Family) -> Result<(), DecodeError> {
        r.skip(4)?;
        while !r.is_empty() {
            let (property_type, mut value) = property::take(r, EXPERIMENTER.into())?;
            match property_type {
                SRC => self.src = Some(family.address(&mut value)?),
                DST => self.dst = Some(family.address(&mut value)?),
                SRC_PORT => self.src_port = Some(property::u16(&mut value)?),
                DST_PORT => self.dst_port = Some(property::u16(&mut value)?),
                ICMP_ID => self.icmp_id = Some(property::u16(&mut value)?),
                ICMP_TYPE => self.icmp_type = Some(property::u8(&mut value)?),
                ICMP_CODE => self.icmp_code = Some(property::u8(&mut value)?),
                _ => self.unknown.push(RawProperty::keep(property_type, value)),
            }
        }
        Ok(())
    }

    fn encode(&self, w: &mut Writer<'_>) {
        for (property_type, address) in [(SRC, self.src), (DST, self.dst)] {
            if let Some(address) = address {
                property::put(w, property_type, |w| w.bytes(&address.octets()));
            }
        }
        let numbers = [(SRC_PORT, self.src_port), (DST_PORT, self.dst_port), (ICMP_ID, self.icmp_id)];
        for (property_type, number) in numbers {
            if let Some(number) = number {
                property::put(w, property_type, |w| w.u16(number));
            }
        }
        for (property_type, number) in [(ICMP_TYPE, self.icmp_type), (ICMP_CODE, self.icmp_code)] {
            if let Some(number) = number {
                property::put(w, property_type, |w| w.u8(number));
            }
        }
        self.unknown.iter().for_each(|raw| raw.encode(w));
    }
}
