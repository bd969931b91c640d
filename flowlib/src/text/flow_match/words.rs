//! Matches as they are read: a word at a time, in any order.
//!
//! Fields of different protocols share a place, as in the flow key of Open vSwitch: `tp_src` is the source port
//! of whichever protocol the other words name, and `nw_src` says `arp_spa` beside `arp`. What a word means is
//! known once all are read. Words that mean nothing in the end are left out, and [`Normalized`] says so.

use super::format::is_over_registers;
use super::meaning::{Kind, Meaning, Normalized, place_of};
use crate::openflow::oxm::{Format, Prerequisite, VLAN_PRESENT, WideField, field};
use crate::openflow::{Field, FieldValue, Match};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::protocols::Protocols;
use crate::text::{Names, field_value, protocol_words, subfield};

/// The words of a match.
#[derive(Debug)]
pub(in crate::text) struct MatchWords {
    /// By place, not by what the fields mean.
    places: Match,
    /// Fields of tunnel metadata.
    wide: Vec<WideField>,
    packet_type: Option<u32>,
    /// Whether a word asks for Ethernet packets.
    is_ethernet: bool,
    pub(in crate::text) protocols: Protocols,
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
    pub(in crate::text) fn shorthand(&mut self, name: &str) -> bool {
        let Some((ethertype, protocol)) = protocol_words::find(name) else {
            let is_ethernet = name == "eth";
            if is_ethernet {
                self.packet_type = Some(0);
            }
            return is_ethernet;
        };
        self.is_ethernet = true;
        self.places.set(field::ETH_TYPE, ethertype.into(), None);
        if let Some(protocol) = protocol {
            self.places.set(field::IP_PROTO, protocol.into(), None);
        }
        true
    }

    /// Takes a field and its value; says whether `key` is one. No value is read as `0/0`.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub(in crate::text) fn field(
        &mut self,
        key: Piece<'_>,
        value: Piece<'_>,
        names: Option<&Names>,
    ) -> Result<bool, ParseError> {
        if key.text().contains('[') {
            return self.bits(key, value).map(|()| true);
        }
        let Some(word) = Word::of(key.text()) else { return Ok(false) };
        let field = word.read_as();
        if field.is_wide() {
            let entry = if value.is_empty() {
                // The packet need only have it.
                WideField { field, value: [].into(), mask: Some([].into()) }
            } else {
                field_value::parse_wide(field, value)?
            };
            return self.wide(entry, key).map(|()| true);
        }
        let (bits, mask) = if !value.is_empty() {
            field_value::parse(field, value, names)?
        } else if is_number(field) {
            (FieldValue::ZERO, Some(FieldValue::ZERO))
        } else {
            return Err(key.error(Problem::MissingValue));
        };
        match word {
            Word::DlVlan => self.dl_vlan(bits.to_u16(), mask),
            Word::Field(field::PACKET_TYPE) => {
                self.protocols &= Protocols::of_field(field, mask);
                self.packet_type = mask.is_none().then(|| bits.to_u32());
            }
            Word::Field(_) => {
                // A switch takes no more bits of it, nor does it pass over them.
                if field == field::IPV6_FLABEL && !bits.fits(20) {
                    return Err(value.error(Problem::TooBig(20)));
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
            return self.wide(field_value::wide_bits(sub, &number), key);
        }
        let bits = value.number(sub.n_bits)? << sub.start_bit;
        let mask = FieldValue::ones(sub.n_bits).to_u128() << sub.start_bit;
        let (known_bits, known_mask) = self.known(sub.field);
        let (bits, mask) = (FieldValue::from(known_bits & !mask | bits), FieldValue::from(known_mask | mask));
        let wire_mask = sub.field.wire_mask();
        if mask.and(wire_mask) != wire_mask && !sub.field.info().maskable {
            return Err(key.error(Problem::NoMask));
        }
        self.set(sub.field, bits, Some(mask));
        self.is_ethernet |= Word::Field(sub.field).needs_ethernet();
        Ok(())
    }

    /// What is matched of a field so far: value and mask.
    fn known(&self, field: Field) -> (u128, u128) {
        let known = |field| {
            self.places.get(field).map_or((0, 0), |entry| {
                let mask = entry.mask.unwrap_or(entry.field.full_mask());
                (entry.value.to_u128(), mask.to_u128())
            })
        };
        if is_over_registers(field) {
            let join =
                |(value, mask): (u128, u128), (low, low_mask)| (value << 32 | low, mask << 32 | low_mask);
            return registers_under(field).map(known).fold((0, 0), join);
        }
        known(place_of(field))
    }

    fn wide(&mut self, entry: WideField, key: Piece<'_>) -> Result<(), ParseError> {
        if self.wide.iter().any(|known| known.field == entry.field) {
            return Err(key.error(Problem::Expected("left out: the field is matched already")));
        }
        self.protocols &= Protocols::NXM | Protocols::OXM;
        self.wide.push(entry);
        Ok(())
    }

    fn set(&mut self, field: Field, value: FieldValue, mask: Option<FieldValue>) {
        let mask = mask.filter(|mask| mask.and(field.full_mask()) != field.full_mask());
        self.protocols &= Protocols::of_field(field, mask);
        if is_over_registers(field) {
            return self.registers(field, value, mask.unwrap_or(field.full_mask()));
        }
        match field {
            field::VLAN_VID if mask == Some(FieldValue::ZERO) => self.any_tag_but(0xe000),
            field::VLAN_VID => {
                let mask = mask.map_or(0x1fff, FieldValue::to_u16);
                self.merge_tci(value.to_u16() & mask, mask, 0xe000);
            }
            field::VLAN_PCP if mask.is_some() => self.any_tag_but(0x0fff),
            field::VLAN_PCP => self.merge_tci((value.to_u16() & 7) << 13 | VLAN_PRESENT, 0xf000, 0x0fff),
            // It has the ports of OpenFlow 1.0.
            field::NX_IN_PORT => {
                let port = value.to_u32();
                let reserved = if port >= 0xff00 { 0xffff_0000 } else { 0 };
                self.places.set(field::IN_PORT, (port | reserved).into(), mask);
            }
            // Open vSwitch takes the value of these for their mask.
            field::TUN_ERSPAN_VER
            | field::TUN_ERSPAN_DIR
            | field::TUN_ERSPAN_HWID
            | field::TUN_GTPU_FLAGS
            | field::TUN_GTPU_MSGTYPE => {
                let mask = mask.unwrap_or(value);
                let bits = if mask == FieldValue::ZERO { mask } else { value };
                self.places.set(field, value.and(mask), Some(bits));
            }
            field::NW_TOS => {
                let bits = |tos: FieldValue| (tos.to_u16() >> 2).into();
                self.places.set(field::IP_DSCP, bits(value), mask.map(bits));
            }
            field::IP_FRAG => {
                let mask = mask.filter(|mask| mask.to_u16() & 3 != 3);
                self.places.set(field, value, mask);
            }
            _ => self.places.set(place_of(field), value, mask),
        }
    }

    /// A register that lies over narrower ones.
    fn registers(&mut self, field: Field, value: FieldValue, mask: FieldValue) {
        let mut shift = u32::from(field.n_bits());
        for register in registers_under(field) {
            shift -= 32;
            let part = |whole: FieldValue| FieldValue::from((whole.to_u128() >> shift) as u32);
            self.places.set(register, part(value), Some(part(mask)));
        }
    }

    fn dl_vlan(&mut self, vid: u16, mask: Option<FieldValue>) {
        match vid {
            _ if mask.is_some() => self.any_tag_but(0xe000),
            0xffff => self.places.set(field::VLAN_TCI, FieldValue::ZERO, None),
            vid => self.merge_tci(vid & 0x0fff | VLAN_PRESENT, 0x1fff, 0xe000),
        }
    }

    /// Leaves of the tag only `kept`, if anything of that is matched.
    fn any_tag_but(&mut self, kept: u16) {
        let mask = self.tag().1;
        match mask & kept {
            0 => self.places.set(field::VLAN_TCI, FieldValue::ZERO, Some(FieldValue::ZERO)),
            bits => {
                let (tci, bits) = (self.tag().0, bits | mask & VLAN_PRESENT);
                self.places.set(field::VLAN_TCI, tci.into(), Some(bits.into()));
            }
        }
    }

    /// What is matched of the tag.
    fn tag(&self) -> (u16, u16) {
        self.places
            .get(field::VLAN_TCI)
            .map_or((0, 0), |entry| (entry.value.to_u16(), entry.mask.map_or(0xffff, FieldValue::to_u16)))
    }

    /// Sets bits of the tag, and keeps those of `kept` that are matched already.
    fn merge_tci(&mut self, tci: u16, mask: u16, kept: u16) {
        let (known, known_mask) = self.tag();
        let value = FieldValue::from(tci | known & kept);
        self.places.set(field::VLAN_TCI, value, Some((mask | known_mask & kept).into()));
    }

    /// The protocols that can say the match. Only extensible ones can match IPv6 packets by more than addresses.
    pub(in crate::text) fn protocols(&self) -> Protocols {
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
    pub(in crate::text) fn finish(self) -> (Match, Option<Box<Normalized>>) {
        let kind = Kind::of(&self.places, self.packet_type.unwrap_or(0));
        let packet_type = self.packet_type.or(self.is_ethernet.then_some(0));
        let is_clear = self.places.iter().all(|entry| kind.meaning(entry) == Meaning::Field(entry.field));
        let (mut found, normalized) =
            if is_clear { (self.places, None) } else { kind.understand(&self.places, &self.wide) };
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

/// The registers of 32 bits that a wider one lies over, from the upper half down.
fn registers_under(field: Field) -> impl Iterator<Item = Field> {
    let (over, count) = if field.n_bits() == 64 { (field::XREG0, 2) } else { (field::XXREG0, 4) };
    let first = count * (field.index() - over.index());
    Field::all().skip(field::REG0.index() + first).take(count)
}

/// What a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Field(Field),
    /// The number of a VLAN tag that is there, or 0xffff for none.
    DlVlan,
}

impl Word {
    fn of(name: &str) -> Option<Self> {
        Some(Self::Field(match name {
            "dl_vlan" => return Some(Self::DlVlan),
            "icmp_type" => field::ICMPV4_TYPE,
            "icmp_code" => field::ICMPV4_CODE,
            _ => subfield::find_short_name(name)?,
        }))
    }

    /// The field whose values it has.
    fn read_as(self) -> Field {
        match self {
            Self::Field(field) => field,
            // Two bytes and no mask.
            Self::DlVlan => field::ETH_TYPE,
        }
    }

    /// Whether only Ethernet packets have it.
    fn needs_ethernet(self) -> bool {
        match self {
            Self::Field(
                field::ETH_SRC | field::ETH_DST | field::ETH_TYPE | field::VLAN_VID | field::VLAN_TCI,
            )
            | Self::DlVlan => true,
            Self::Field(field) => field.info().prerequisite != Prerequisite::None,
        }
    }
}

/// Whether `0/0` is a value of it.
fn is_number(field: Field) -> bool {
    let format = field.info().format;
    matches!(format, Format::Decimal | Format::Hex | Format::CtState | Format::TcpFlags | Format::TunFlags)
}
