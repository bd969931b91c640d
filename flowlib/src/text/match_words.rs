//! Matches as they are read: a word at a time, in any order.
//!
//! Fields of different protocols share a place, as in the flow key of Open vSwitch: `tp_src` is the source port
//! of whichever protocol the other words name, and `nw_src` says `arp_spa` beside `arp`. What a word means is
//! known once all are read. Words that mean nothing in the end are left out, and [`Normalized`] says so.

use super::error::{ParseError, Piece, Problem};
use super::flow_match::format_match;
use super::port::parse_port;
use super::protocols::Protocols;
use super::{Names, field_value, subfield};
use crate::openflow::oxm::{Format, MatchField, Prerequisite, VLAN_PRESENT, WideField, field};
use crate::openflow::{Field, FieldValue, Match};

/// A match out of which fields were left that its packets do not have, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalized {
    /// The match as it was written.
    pub before: String,
    /// The match as it is used.
    pub after: String,
}

/// The words of a match.
#[derive(Debug)]
pub(super) struct MatchWords {
    /// By place, not by what the fields mean.
    places: Match,
    /// Fields of tunnel metadata.
    wide: Vec<WideField>,
    packet_type: Option<u32>,
    /// Whether a word asks for Ethernet packets.
    is_ethernet: bool,
    pub(super) protocols: Protocols,
}

impl Default for MatchWords {
    fn default() -> Self {
        Self {
            places: Match::new(),
            wide: Vec::new(),
            packet_type: None,
            is_ethernet: false,
            protocols: Protocols::all(),
        }
    }
}

impl MatchWords {
    /// Takes a word without a value that says ethertype and protocol; says whether it was one.
    pub(super) fn shorthand(&mut self, name: &str) -> bool {
        let (ethertype, protocol): (u16, Option<u8>) = match name {
            "ip" | "ipv4" | "ip4" => (0x0800, None),
            "icmp" => (0x0800, Some(1)),
            "tcp" => (0x0800, Some(6)),
            "udp" => (0x0800, Some(17)),
            "sctp" => (0x0800, Some(132)),
            "arp" => (0x0806, None),
            "rarp" => (0x8035, None),
            "ipv6" | "ip6" => (0x86dd, None),
            "icmp6" => (0x86dd, Some(58)),
            "tcp6" => (0x86dd, Some(6)),
            "udp6" => (0x86dd, Some(17)),
            "sctp6" => (0x86dd, Some(132)),
            "mpls" => (0x8847, None),
            "mplsm" => (0x8848, None),
            "eth" => {
                self.packet_type = Some(0);
                return true;
            }
            _ => return false,
        };
        self.is_ethernet = true;
        self.places.set(field::ETH_TYPE, ethertype.into(), None);
        if let Some(protocol) = protocol {
            self.places.set(field::IP_PROTO, protocol.into(), None);
        }
        true
    }

    /// Takes a field and its value; says whether `key` is one. An empty value matches nothing of it.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub(super) fn field(
        &mut self,
        key: Piece<'_>,
        value: Piece<'_>,
        names: Option<&Names>,
    ) -> Result<bool, ParseError> {
        if key.text().contains('[') {
            return self.bits(key, value).map(|()| true);
        }
        let Some(word) = Word::of(key.text()) else { return Ok(false) };
        if value.is_empty() {
            return self.nothing_of(word, key).map(|()| true);
        }
        match word {
            Word::DlVlan => self.dl_vlan(value)?,
            Word::VlanPcp => {
                let pcp = value.u8()?;
                if pcp > 7 {
                    return Err(value.error(Problem::TooBig(3)));
                }
                self.vlan_pcp(pcp);
            }
            Word::VlanTci => {
                let (tci, mask) = match value.split_once("/") {
                    Some((tci, mask)) => (tci.u16()?, mask.u16()?),
                    None => (value.u16()?, 0xffff),
                };
                self.protocols &=
                    if mask == 0xffff { Protocols::all() } else { Protocols::OXM | Protocols::NXM };
                self.places.set(field::VLAN_TCI, tci.into(), Some(mask.into()));
            }
            Word::NwTos => {
                let (tos, mask) = value.split_once("/").unwrap_or((value, value.slice(0, 0)));
                if !mask.is_empty() && mask.u8()? != 0xff {
                    return Err(mask.error(Problem::NoMask));
                }
                self.places.set(field::IP_DSCP, (tos.u8()? >> 2).into(), None);
            }
            Word::Field(field::PACKET_TYPE) => self.packet_type(value)?,
            Word::Field(field) if field.info().format == Format::Port => {
                self.set(field, parse_port(value, names)?.into(), None);
            }
            Word::Field(field) if field.is_wide() => {
                self.wide(field_value::parse_wide(field, value)?);
            }
            Word::Field(field) => {
                let (bits, mask) = field_value::parse(field, value, names)?;
                if field == field::CT_STATE && !(bits.fits(8) && mask.is_none_or(|mask| mask.fits(8))) {
                    return Err(value.error(Problem::TooBig(8)));
                }
                self.set(field, bits, mask);
            }
        }
        self.is_ethernet |= word.needs_ethernet();
        Ok(true)
    }

    /// `NXM_NX_REG0[0..3]=5`: some bits of a field, beside those that are matched already.
    fn bits(&mut self, key: Piece<'_>, value: Piece<'_>) -> Result<(), ParseError> {
        let sub = subfield::parse(key)?;
        if sub.field.is_wide() {
            let number = field_value::parse_wide_number(value, sub.n_bits)?;
            self.wide(field_value::wide_bits(sub, &number));
            return Ok(());
        }
        if sub.n_bits < sub.field.n_bits() && !sub.field.info().maskable {
            return Err(key.error(Problem::NoMask));
        }
        let place = Place::of(sub.field);
        let bits = value.number(sub.n_bits)? << sub.start_bit;
        let mask = FieldValue::ones(sub.n_bits).to_u128() << sub.start_bit;
        let known = self.places.get(place.field).copied();
        let (known_bits, known_mask) = known.map_or((0, 0), |entry| {
            let mask = entry.mask.unwrap_or(entry.field.full_mask());
            (entry.value.to_u128(), mask.to_u128())
        });
        let bits = known_bits & !mask | bits;
        self.set(sub.field, bits.into(), Some((known_mask | mask).into()));
        self.is_ethernet |= Word::Field(sub.field).needs_ethernet();
        Ok(())
    }

    /// A field without a value, which ovs-ofctl reads as `0/0`.
    fn nothing_of(&mut self, word: Word, key: Piece<'_>) -> Result<(), ParseError> {
        let field = match word {
            Word::Field(field) => field,
            Word::DlVlan | Word::VlanPcp | Word::VlanTci => field::VLAN_TCI,
            Word::NwTos => field::IP_DSCP,
        };
        if field.is_wide() {
            // The packet need only have it.
            self.wide(WideField { field, value: [].into(), mask: Some([].into()) });
            return Ok(());
        }
        match field.info().format {
            Format::Decimal | Format::Hex if field != field::PACKET_TYPE => {
                self.set(field, FieldValue::ZERO, Some(FieldValue::ZERO));
                self.is_ethernet |= word.needs_ethernet();
                Ok(())
            }
            _ => Err(key.error(Problem::MissingValue)),
        }
    }

    fn wide(&mut self, entry: WideField) {
        self.protocols &= Protocols::NXM | Protocols::OXM;
        self.wide.push(entry);
    }

    fn set(&mut self, field: Field, value: FieldValue, mask: Option<FieldValue>) {
        let mask = mask.filter(|mask| mask.and(field.full_mask()) != field.full_mask());
        self.protocols &= Protocols::of_field(field, mask);
        let wide = match field.n_bits() {
            _ if !super::flow_match::is_over_registers(field) => 0,
            64 => 2,
            _ => 4,
        };
        if wide > 0 {
            return self.registers(field, wide, value, mask.unwrap_or(field.full_mask()));
        }
        match field {
            field::VLAN_VID => {
                let mask = mask.map_or(0x1fff, FieldValue::to_u16);
                self.merge_tci(value.to_u16() & mask, mask, 0xe000);
            }
            field::VLAN_PCP => self.vlan_pcp(value.to_u16() as u8),
            field::NW_TOS => self.places.set(field::IP_DSCP, (value.to_u16() >> 2).into(), mask),
            field::IP_FRAG => {
                let mask = mask.filter(|mask| mask.to_u16() & 3 != 3);
                self.places.set(field, value, mask);
            }
            _ => self.places.set(Place::of(field).field, value, mask),
        }
    }

    /// A register that lies over narrower ones.
    fn registers(&mut self, field: Field, count: usize, value: FieldValue, mask: FieldValue) {
        let over = if count == 2 { field::XREG0 } else { field::XXREG0 };
        let first = count * (field.index() - over.index());
        let registers = Field::all().skip(field::REG0.index() + first).take(count);
        for (at, register) in registers.enumerate() {
            let part =
                |whole: FieldValue| FieldValue::from((whole.to_u128() >> (32 * (count - 1 - at))) as u32);
            self.places.set(register, part(value), Some(part(mask)));
        }
    }

    fn dl_vlan(&mut self, value: Piece<'_>) -> Result<(), ParseError> {
        let (vid, mask) = value.split_once("/").unwrap_or((value, value.slice(0, 0)));
        if !mask.is_empty() && mask.u16()? != 0xffff {
            return Err(mask.error(Problem::NoMask));
        }
        match vid.u16()? {
            0xffff => self.places.set(field::VLAN_TCI, FieldValue::ZERO, None),
            vid @ 0..=0x0fff => self.merge_tci(vid | VLAN_PRESENT, 0x1fff, 0xe000),
            _ => return Err(vid.error(Problem::TooBig(12))),
        }
        Ok(())
    }

    fn vlan_pcp(&mut self, pcp: u8) {
        self.merge_tci(u16::from(pcp) << 13 | VLAN_PRESENT, 0xf000, 0x0fff);
    }

    /// Sets bits of the tag, and keeps those of `kept` that are matched already.
    fn merge_tci(&mut self, tci: u16, mask: u16, kept: u16) {
        let (known, known_mask) = self
            .places
            .get(field::VLAN_TCI)
            .map_or((0, 0), |entry| (entry.value.to_u16(), entry.mask.map_or(0xffff, FieldValue::to_u16)));
        let value = FieldValue::from(tci | known & kept);
        self.places.set(field::VLAN_TCI, value, Some((mask | known_mask & kept).into()));
    }

    /// `(NAMESPACE,TYPE)`.
    fn packet_type(&mut self, value: Piece<'_>) -> Result<(), ParseError> {
        let bad = || value.error(Problem::Expected("a namespace and a type: (1,0x800)"));
        let inside = value.strip_prefix("(").and_then(|rest| rest.strip_suffix(")")).ok_or_else(bad)?;
        let (namespace, of_it) = inside.split_once(",").ok_or_else(bad)?;
        self.packet_type = Some(u32::from(namespace.u16()?) << 16 | u32::from(of_it.u16()?));
        self.protocols &= Protocols::OXM | Protocols::NXM;
        Ok(())
    }

    /// The protocols that can say the match. Only extensible ones can match IPv6 packets by more than addresses.
    pub(super) fn protocols(&self) -> Protocols {
        let is_more = |field: &Field| self.places.get(*field).is_some();
        let more = [field::IP_PROTO, field::IP_DSCP, field::IP_ECN, field::TCP_SRC, field::TCP_DST];
        let is_ipv6 = Kind::of(&self.places, self.packet_type.unwrap_or(0)).ethertype == 0x86dd;
        if is_ipv6 && more.iter().any(is_more) {
            self.protocols & (Protocols::NXM | Protocols::OXM)
        } else {
            self.protocols
        }
    }

    /// Understands the words; says what was left out.
    pub(super) fn finish(self) -> (Match, Option<Box<Normalized>>) {
        let kind = Kind::of(&self.places, self.packet_type.unwrap_or(0));
        let packet_type = self.packet_type.or(self.is_ethernet.then_some(0));
        let is_clear = self.places.iter().all(|entry| kind.meaning(entry) == Meaning::Field(entry.field));
        let (mut found, normalized) =
            if is_clear { (self.places, None) } else { kind.understand(&self.places) };
        // Most fields imply Ethernet packets, and then it is not said.
        if let Some(packet_type) = packet_type
            && !(packet_type == 0 && found.iter().any(|entry| Word::Field(entry.field).needs_ethernet()))
        {
            found.set(field::PACKET_TYPE, packet_type.into(), None);
        }
        self.wide.into_iter().for_each(|entry| found.set_wide(entry));
        (found, normalized)
    }
}

/// What a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Field(Field),
    DlVlan,
    VlanPcp,
    VlanTci,
    NwTos,
}

impl Word {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "dl_vlan" => Self::DlVlan,
            "dl_vlan_pcp" | "vlan_pcp" => Self::VlanPcp,
            "vlan_tci" => Self::VlanTci,
            "nw_tos" => Self::NwTos,
            "tp_src" => Self::Field(field::TCP_SRC),
            "tp_dst" => Self::Field(field::TCP_DST),
            "icmp_type" => Self::Field(field::ICMPV4_TYPE),
            "icmp_code" => Self::Field(field::ICMPV4_CODE),
            "in_port" | "in_port_oxm" => Self::Field(field::IN_PORT),
            // Names on the wire stand only before brackets.
            _ if name.starts_with(|c: char| c.is_ascii_uppercase()) => return None,
            _ => Self::Field(subfield::find_field(name)?),
        })
    }

    /// Whether only Ethernet packets have it.
    fn needs_ethernet(self) -> bool {
        match self {
            Self::Field(
                field::ETH_SRC | field::ETH_DST | field::ETH_TYPE | field::VLAN_VID | field::VLAN_TCI,
            ) => true,
            Self::Field(field) => field.info().prerequisite != Prerequisite::None,
            Self::DlVlan | Self::VlanPcp | Self::VlanTci | Self::NwTos => true,
        }
    }
}

/// Where a field is kept until it is known what it means.
#[derive(Clone, Copy, Debug)]
struct Place {
    field: Field,
}

impl Place {
    fn of(field: Field) -> Self {
        let field = match field {
            field::NX_IN_PORT => field::IN_PORT,
            field::ARP_SPA => field::IPV4_SRC,
            field::ARP_TPA => field::IPV4_DST,
            field::ARP_OP => field::IP_PROTO,
            field::ND_SLL => field::ARP_SHA,
            field::ND_TLL => field::ARP_THA,
            field::UDP_SRC | field::SCTP_SRC | field::ICMPV4_TYPE | field::ICMPV6_TYPE => field::TCP_SRC,
            field::UDP_DST | field::SCTP_DST | field::ICMPV4_CODE | field::ICMPV6_CODE => field::TCP_DST,
            other => other,
        };
        Self { field }
    }
}

/// What a place means in a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Field(Field),
    /// The VLAN tag, which is two fields.
    Tag,
    /// Nothing. ovs-ofctl says so unless `is_quiet`.
    None {
        is_quiet: bool,
    },
}

/// What packets the words are for, as far as it decides meanings.
#[derive(Clone, Copy, Debug)]
struct Kind {
    ethertype: u16,
    protocol: u16,
    /// `icmp_type` of ICMPv6.
    icmpv6_type: u16,
    /// Whether a packet with that type is one of neighbour discovery.
    has_no_code: bool,
    is_ethernet: bool,
}

impl Kind {
    fn of(places: &Match, packet_type: u32) -> Self {
        let number = |field| places.exact(field).map_or(0, FieldValue::to_u16);
        let is_ethernet = packet_type == 0;
        let ethertype = if packet_type >> 16 == 1 { packet_type as u16 } else { number(field::ETH_TYPE) };
        let protocol = number(field::IP_PROTO);
        let is_icmpv6 = ethertype == 0x86dd && protocol == 58;
        let icmpv6_type = if is_icmpv6 { number(field::TCP_SRC) } else { 0 };
        let has_no_code = number(field::TCP_DST) == 0;
        Self { ethertype, protocol, icmpv6_type, has_no_code, is_ethernet }
    }

    fn is_ip(self) -> bool {
        matches!(self.ethertype, 0x0800 | 0x86dd)
    }

    fn is_arp(self) -> bool {
        matches!(self.ethertype, 0x0806 | 0x8035)
    }

    /// What a place means here.
    fn meaning(self, entry: &MatchField) -> Meaning {
        let nothing = Meaning::None { is_quiet: false };
        let quietly = Meaning::None { is_quiet: true };
        let when = |is_so: bool, otherwise| if is_so { Meaning::Field(entry.field) } else { otherwise };
        match entry.field {
            field::VLAN_TCI => Meaning::Tag,
            field::IPV4_SRC if self.is_arp() => Meaning::Field(field::ARP_SPA),
            field::IPV4_DST if self.is_arp() => Meaning::Field(field::ARP_TPA),
            field::IPV4_SRC | field::IPV4_DST => when(self.ethertype == 0x0800, nothing),
            field::IP_PROTO if self.is_arp() => Meaning::Field(field::ARP_OP),
            field::IP_PROTO | field::IP_DSCP | field::IP_ECN | field::IP_TTL => when(self.is_ip(), nothing),
            field::IP_FRAG => when(self.is_ip(), quietly),
            field::IPV6_SRC | field::IPV6_DST | field::IPV6_FLABEL => when(self.ethertype == 0x86dd, nothing),
            field::MPLS_LABEL | field::MPLS_TC | field::MPLS_BOS | field::MPLS_TTL => {
                when(matches!(self.ethertype, 0x8847 | 0x8848), nothing)
            }
            field::TCP_SRC | field::TCP_DST => self.transport(entry.field),
            field::TCP_FLAGS => when(self.is_ip() && self.protocol == 6, quietly),
            field::ARP_SHA | field::ARP_THA if self.is_arp() => Meaning::Field(entry.field),
            field::ARP_SHA if self.icmpv6_type == 135 => self.discovery(field::ND_SLL),
            field::ARP_THA if self.icmpv6_type == 136 => self.discovery(field::ND_TLL),
            field::ARP_SHA | field::ARP_THA => nothing,
            field::ND_TARGET if matches!(self.icmpv6_type, 135 | 136) => self.discovery(field::ND_TARGET),
            field::ND_TARGET => nothing,
            field::ETH_SRC | field::ETH_DST => when(self.is_ethernet, nothing),
            other => Meaning::Field(other),
        }
    }

    fn discovery(self, field: Field) -> Meaning {
        if self.has_no_code { Meaning::Field(field) } else { Meaning::None { is_quiet: true } }
    }

    fn transport(self, place: Field) -> Meaning {
        let is_src = place == field::TCP_SRC;
        let either = |src, dst| Meaning::Field(if is_src { src } else { dst });
        match (self.ethertype, self.protocol) {
            (0x0800 | 0x86dd, 6) => Meaning::Field(place),
            (0x0800 | 0x86dd, 17) => either(field::UDP_SRC, field::UDP_DST),
            (0x0800 | 0x86dd, 132) => either(field::SCTP_SRC, field::SCTP_DST),
            (0x0800, 1) => either(field::ICMPV4_TYPE, field::ICMPV4_CODE),
            (0x86dd, 58) => either(field::ICMPV6_TYPE, field::ICMPV6_CODE),
            _ => Meaning::None { is_quiet: false },
        }
    }

    /// The match that the places mean, and what was left out.
    fn understand(self, places: &Match) -> (Match, Option<Box<Normalized>>) {
        let mut found = Match::new();
        let mut is_lost = false;
        for entry in places {
            let MatchField { value, mask, .. } = *entry;
            match self.meaning(entry) {
                Meaning::Field(field) => found.set(field, value, mask),
                Meaning::Tag => {
                    let (tci, mask) = (value.to_u16(), mask.map_or(0xffff, FieldValue::to_u16));
                    let vid = tci & 0x1fff;
                    found.set(field::VLAN_VID, vid.into(), Some((mask & 0x1fff).into()));
                    if vid != 0 && mask & 0xe000 != 0 {
                        found.set(field::VLAN_PCP, (tci >> 13).into(), None);
                    }
                }
                Meaning::None { is_quiet } => is_lost |= !is_quiet,
            }
        }
        let normalized = is_lost.then(|| {
            let before = format_match(&self.spelled(places, |_| true));
            let is_kept = |meaning| meaning != Meaning::None { is_quiet: false };
            Box::new(Normalized { before, after: format_match(&self.spelled(places, is_kept)) })
        });
        (found, normalized)
    }

    /// The places that are kept as a match to be printed, with what means nothing but would be printed.
    fn spelled(self, places: &Match, is_kept: fn(Meaning) -> bool) -> Match {
        let mut spelled = Match::new();
        let is_icmpv6 = self.ethertype == 0x86dd && self.protocol == 58;
        for entry in places.iter().filter(|entry| is_kept(self.meaning(entry))) {
            let field = match (entry.field, self.meaning(entry)) {
                (_, Meaning::Field(field)) => field,
                (field::ARP_SHA, _) if is_icmpv6 => field::ND_SLL,
                (field::ARP_THA, _) if is_icmpv6 => field::ND_TLL,
                (field::ND_TARGET, _) if is_icmpv6 => field::ND_TARGET,
                (field::ARP_SHA | field::ARP_THA | field::ND_TARGET | field::TCP_FLAGS, _) => continue,
                (field::IPV6_SRC | field::IPV6_DST | field::IPV6_FLABEL, _) => continue,
                (field::IPV4_SRC | field::IPV4_DST, _) if matches!(self.ethertype, 0x86dd | 0x894f) => {
                    continue;
                }
                (other, _) => other,
            };
            spelled.set(field, entry.value, entry.mask);
        }
        spelled
    }
}
