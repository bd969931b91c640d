//! A choice by hash: among ports, or of a number.

use crate::openflow::oxm::SubField;
use crate::openflow::port_no;
use crate::types::PortNo;
use crate::wire::{DecodeError, Problem, Reader, Writer, open_enum};

use super::subfield::{pack, read_short_field, short_header, unpack};

open_enum! {
    /// What of a packet is hashed. Source: `include/openflow/nicira-ext.h` of Open vSwitch 3.1.
    pub struct HashFields(u16) {
        /// The Ethernet source.
        ETH_SRC = 0 => "eth_src",
        /// Addresses and ports of all layers, the same in both directions.
        SYMMETRIC_L4 = 1 => "symmetric_l4",
        /// IP addresses and TCP or SCTP ports.
        SYMMETRIC_L3L4 = 2 => "symmetric_l3l4",
        /// IP addresses and ports.
        SYMMETRIC_L3L4_UDP = 3 => "symmetric_l3l4+udp",
        /// The IP source.
        NW_SRC = 4 => "nw_src",
        /// The IP destination.
        NW_DST = 5 => "nw_dst",
        /// IP addresses.
        SYMMETRIC_L3 = 6 => "symmetric_l3",
    }
}

open_enum! {
    /// How a port is chosen.
    pub struct BundleAlgorithm(u16) {
        /// The first that is up.
        ACTIVE_BACKUP = 0 => "active_backup",
        /// By the highest random weight of those that are up.
        HRW = 1 => "hrw",
    }
}

open_enum! {
    /// How a hash becomes a link.
    pub struct MultipathAlgorithm(u16) {
        /// Its remainder.
        MODULO_N = 0 => "modulo_n",
        /// Its share of all hashes.
        HASH_THRESHOLD = 1 => "hash_threshold",
        /// The highest random weight.
        HRW = 2 => "hrw",
        /// The first of a row of hashes that is a link.
        ITER_HASH = 3 => "iter_hash",
    }
}

/// To one of several ports, or the number of one into a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bundle {
    /// What is hashed.
    pub fields: HashFields,
    /// Makes one hash differ from another.
    pub basis: u16,
    /// How a port is chosen.
    pub algorithm: BundleAlgorithm,
    /// Where its number goes, if the packet does not go to it.
    pub dst: Option<SubField>,
    /// The ports.
    pub members: Vec<PortNo>,
}

/// A hash of the packet into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Multipath {
    /// What is hashed.
    pub fields: HashFields,
    /// Makes one hash differ from another.
    pub basis: u16,
    /// How a hash becomes a link.
    pub algorithm: MultipathAlgorithm,
    /// The highest link; one less than there are.
    pub max_link: u16,
    /// For [`MultipathAlgorithm::ITER_HASH`].
    pub argument: u32,
    /// Where the link goes.
    pub dst: SubField,
}

/// The header of NXM_OF_IN_PORT: the members are ports.
const MEMBER_TYPE: u32 = 0x0000_0002;

impl Bundle {
    /// The most ports there may be. Source: `lib/bundle.h` of Open vSwitch 3.1.
    pub const MAX_MEMBERS: usize = 2048;

    /// Reads NXAST_BUNDLE or NXAST_BUNDLE_LOAD behind its subtype.
    ///
    /// Shape: algorithm `u16`, fields `u16`, basis `u16`, the header of NXM_OF_IN_PORT `u32`, number of ports
    /// `u16`, bits of the destination as in `reg_load` `u16`, its header `u32`, 4 zeros, ports `u16`, zeros to a
    /// multiple of 8.
    ///
    /// # Errors
    /// `BadValue` on what a switch cannot hash, choose or choose from.
    pub(super) fn decode(r: &mut Reader<'_>, is_load: bool) -> Result<Self, DecodeError> {
        let at = r.clone();
        let algorithm = BundleAlgorithm(r.u16()?);
        let (fields, basis) = (HashFields(r.u16()?), r.u16()?);
        let (member_type, n_members) = (r.u32()?, usize::from(r.u16()?));
        let is_known = algorithm.name().is_some() && fields.name().is_some();
        if !is_known || member_type != MEMBER_TYPE || n_members > Self::MAX_MEMBERS {
            return Err(at.error(Problem::BadValue { found: algorithm.0.into() }));
        }
        let dst = if is_load {
            let bits = r.u16()?;
            Some(unpack(&at, bits, read_short_field(r)?)?)
        } else {
            r.skip(6)?;
            None
        };
        if let Some(dst) = dst.filter(|dst| dst.n_bits < 16) {
            return Err(at.error(Problem::BadValue { found: dst.n_bits.into() }));
        }
        r.skip(4)?;
        let mut ports = r.sub(2 * n_members, r.part())?;
        let mut members = Vec::with_capacity(n_members);
        while !ports.is_empty() {
            members.push(port_no::from_u16(ports.u16()?));
        }
        r.skip(r.len().min(7))?;
        Ok(Self { fields, basis, algorithm, dst, members })
    }

    /// Writes it behind its subtype.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.algorithm.0);
        w.u16(self.fields.0);
        w.u16(self.basis);
        w.u32(MEMBER_TYPE);
        w.u16_len(self.members.len());
        match self.dst {
            Some(dst) => {
                pack(w, dst);
                short_header(w, dst.field);
            }
            None => w.zeros(6),
        }
        w.zeros(4);
        for member in &self.members {
            let port = port_no::to_u16(*member, w);
            w.u16(port);
        }
    }
}

impl Multipath {
    /// Reads NXAST_MULTIPATH behind its subtype.
    ///
    /// Shape: fields `u16`, basis `u16`, 2 zeros, algorithm `u16`, highest link `u16`, argument `u32`, 2 zeros,
    /// bits of the destination as in `reg_load` `u16`, its header `u32`.
    ///
    /// # Errors
    /// `BadValue` on what a switch cannot hash, and on a destination that cannot hold every link.
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = r.clone();
        let (fields, basis) = (HashFields(r.u16()?), r.u16()?);
        r.skip(2)?;
        let algorithm = MultipathAlgorithm(r.u16()?);
        let (max_link, argument) = (r.u16()?, r.u32()?);
        r.skip(2)?;
        let bits = r.u16()?;
        let dst = unpack(&at, bits, read_short_field(r)?)?;
        let is_known = algorithm.name().is_some() && fields.name().is_some();
        if !is_known || u64::from(max_link).checked_shr(dst.n_bits.into()).unwrap_or(0) != 0 {
            return Err(at.error(Problem::BadValue { found: max_link.into() }));
        }
        Ok(Self { fields, basis, algorithm, max_link, argument, dst })
    }

    /// Writes it behind its subtype.
    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.u16(self.fields.0);
        w.u16(self.basis);
        w.zeros(2);
        w.u16(self.algorithm.0);
        w.u16(self.max_link);
        w.u32(self.argument);
        w.zeros(2);
        pack(w, self.dst);
        short_header(w, self.dst.field);
    }
}
