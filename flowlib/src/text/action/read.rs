//! Actions as they are read, and checked against the packets of the flow.

use super::{bundle, controller, ct, encap, field, learn, legacy, sample};
use crate::openflow::Action;
use crate::openflow::action::{CheckError, Within};
use crate::openflow::oxm::Packets;
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::names::Names;
use crate::text::port::{NO_PORT, find_port, parse_port, parse_table};
use crate::text::protocols::Protocols;
use crate::text::subfield;
use crate::types::{GroupId, PortNo, TableId};

/// Reads actions in the syntax of ovs-actions(7), without a flow that they are for; `drop` is none.
///
/// # Errors
/// Says at which column what is wrong.
pub fn parse_actions(text: &str, names: Option<&Names>) -> Result<Vec<Action>, ParseError> {
    parse_list(Piece::new(text), names)
}

/// Reads actions that are for no flow, as those of groups.
pub(in crate::text) fn parse_list(
    piece: Piece<'_>,
    names: Option<&Names>,
) -> Result<Vec<Action>, ParseError> {
    ActionReader::new(Packets::any(), names).list(piece, Within::List)
}

/// Reads actions for packets of which something is known.
///
/// What Open vSwitch translates when it writes OpenFlow 1.3 is translated as it is read.
#[derive(Debug)]
pub(in crate::text) struct ActionReader<'n> {
    pub(super) names: Option<&'n Names>,
    /// What is known of the packets here.
    pub(super) packets: Packets,
    /// The protocols that can say the actions.
    pub(in crate::text) protocols: Protocols,
    /// The first action on a header that the packets need not have; only OpenFlow 1.0 lets that pass.
    pub(in crate::text) inconsistency: Option<ParseError>,
    depth: u8,
    /// What the list that is read has so far.
    seen: Seen,
}

/// What a list of actions has: beside conjunctions nothing may stand but notes.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    conjunctions: bool,
    others: bool,
}

/// Where actions are read to, and where they stand in the text.
pub(super) struct Place<'p, 'a> {
    out: &'p mut Vec<Action>,
    within: Within,
    /// The whole action.
    pub(super) piece: Piece<'a>,
}

impl<'n> ActionReader<'n> {
    pub(in crate::text) fn new(packets: Packets, names: Option<&'n Names>) -> Self {
        Self {
            names,
            packets,
            protocols: Protocols::all(),
            inconsistency: None,
            depth: 0,
            seen: Seen::default(),
        }
    }

    /// What is known of the packets at this action.
    pub(in crate::text) fn packets(&self) -> Packets {
        self.packets
    }

    /// Names of ports and tables.
    pub(in crate::text) fn names(&self) -> Option<&'n Names> {
        self.names
    }

    /// Reads actions between commas or spaces; `drop` is none.
    pub(in crate::text) fn list(
        &mut self,
        piece: Piece<'_>,
        within: Within,
    ) -> Result<Vec<Action>, ParseError> {
        if self.depth >= Action::MAX_DEPTH {
            return Err(piece.error(Problem::TooDeep));
        }
        self.depth += 1;
        let outside = std::mem::take(&mut self.seen);
        let mut out = Vec::new();
        let mut drop = None;
        for (key, value) in piece.key_values() {
            if is_drop(key) {
                drop = Some(key);
            } else {
                self.action(key, value, within, &mut out)?;
            }
        }
        self.depth -= 1;
        self.seen = outside;
        match drop {
            Some(key) if !out.is_empty() => Err(key.error(Problem::DropBesideOthers)),
            _ => Ok(out),
        }
    }

    /// Reads actions within an action; what they do to packets stays there.
    pub(in crate::text) fn nested(
        &mut self,
        piece: Piece<'_>,
        within: Within,
    ) -> Result<Vec<Action>, ParseError> {
        let packets = self.packets;
        let actions = self.list(piece, within);
        self.packets = packets;
        actions
    }

    /// Reads one action and appends what it is in OpenFlow 1.3.
    pub(in crate::text) fn action(
        &mut self,
        key: Piece<'_>,
        value: Piece<'_>,
        within: Within,
        out: &mut Vec<Action>,
    ) -> Result<(), ParseError> {
        let piece = key.up_to(value);
        let place = &mut Place { out, within, piece };
        if self.known(key.text(), key, value, place)? {
            return Ok(());
        }
        // Names are read in any case.
        if key.text().bytes().any(|byte| byte.is_ascii_uppercase())
            && self.known(&key.text().to_ascii_lowercase(), key, value, place)?
        {
            return Ok(());
        }
        match find_port(key.text(), self.names) {
            Some(port) => self.push(Action::Output { port, max_len: 0 }, place),
            // A number can be meant for nothing but a port.
            None if key.text().starts_with(|c: char| c.is_ascii_digit()) => Err(key.error(NO_PORT)),
            None => Err(key.error(Problem::UnknownAction)),
        }
    }

    /// Reads an action by its name; says whether there is one of that name.
    fn known(
        &mut self,
        name: &str,
        key: Piece<'_>,
        value: Piece<'_>,
        place: &mut Place<'_, '_>,
    ) -> Result<bool, ParseError> {
        let action = match name {
            "output" | "output_reg" => self.output(value)?,
            "set_field" => return field::read_set_field(self, value, place).map(|()| true),
            "load" => return field::read_load(self, value, place).map(|()| true),
            "move" => field::read_move(value)?,
            "resubmit" => self.resubmit(value)?,
            "controller" => controller::read(value)?,
            "group" => Action::Group(GroupId(needed(key, value)?.u32()?)),
            "bundle" => Action::Bundle(Box::new(bundle::read(value, self.names, false)?)),
            "bundle_load" => Action::Bundle(Box::new(bundle::read(value, self.names, true)?)),
            "multipath" => Action::Multipath(Box::new(bundle::read_multipath(value)?)),
            "push_vlan" => {
                self.protocols &= Protocols::OF11_UP;
                Action::PushVlan(one_of(needed(key, value)?, &[0x8100, 0x88a8], "0x8100 or 0x88a8")?)
            }
            "push_mpls" => {
                Action::PushMpls(one_of(needed(key, value)?, &[0x8847, 0x8848], "0x8847 or 0x8848")?)
            }
            "clone" => {
                // Open vSwitch forgets at a clone what came before it.
                self.protocols = Protocols::all();
                Action::Clone(self.nested(value, Within::Clone)?)
            }
            "ct" => Action::Ct(Box::new(ct::read(self, value)?)),
            "nat" => Action::Nat(Box::new(ct::read_nat(value)?)),
            "learn" => Action::Learn(Box::new(learn::read(value, self.names)?)),
            "conjunction" => conjunction(value)?,
            "sample" => Action::Sample(Box::new(sample::read(value, self.names)?)),
            "encap" => {
                self.protocols &= Protocols::OF13_UP;
                Action::Encap(Box::new(encap::read(value)?))
            }
            "decap" => encap::read_decap(value)?,
            "check_pkt_larger" => field::read_check_pkt_larger(value)?,
            "delete_field" => Action::DeleteField(subfield::parse_field(value)?),
            "push" => Action::StackPush(subfield::parse(needed(key, value)?)?),
            "pop" => Action::StackPop(subfield::parse(needed(key, value)?)?),
            "note" => note(value)?,
            "dec_ttl" => dec_ttl(value)?,
            "fin_timeout" => fin_timeout(value)?,
            "unknown" => unknown(value)?,
            _ => match simple(name, key, value)? {
                Some(action) => action,
                None => return legacy::read(self, name, value, place),
            },
        };
        self.push(action, place).map(|()| true)
    }

    /// Checks an action and appends it.
    pub(super) fn push(&mut self, action: Action, place: &mut Place<'_, '_>) -> Result<(), ParseError> {
        let checked = action.check(&mut self.packets, place.within);
        self.note_inconsistency(checked, place)?;
        match action {
            Action::Conjunction { .. } => self.seen.conjunctions = true,
            Action::Note(_) => {}
            _ => self.seen.others = true,
        }
        if self.seen.conjunctions && self.seen.others {
            return Err(place.piece.error(CheckError::BesideConjunction.into()));
        }
        place.out.push(action);
        Ok(())
    }

    /// Remembers an action that only OpenFlow 1.0 lets pass; in an action set all versions do.
    pub(super) fn note_inconsistency(
        &mut self,
        checked: Result<(), CheckError>,
        place: &Place<'_, '_>,
    ) -> Result<(), ParseError> {
        match checked {
            Ok(()) => Ok(()),
            Err(error) if error.is_inconsistency() => {
                if place.within != Within::ActionSet {
                    self.protocols &= Protocols::OF10_ANY | Protocols::NXM;
                    self.inconsistency.get_or_insert_with(|| place.piece.error(error.into()));
                }
                Ok(())
            }
            Err(error) => Err(place.piece.error(error.into())),
        }
    }

    /// Reads a port, a field that has one, or a port and a length.
    fn output(&mut self, value: Piece<'_>) -> Result<Action, ParseError> {
        if value.text().contains("port") && value.text().contains("max_len") {
            return self.output_trunc(value);
        }
        if let Some(port) = find_port(value.text(), self.names) {
            return Ok(Action::output(port));
        }
        subfield::parse(value).map(Action::output_reg).map_err(|error| match error.problem {
            Problem::UnknownSubField => value.error(Problem::Expected(
                "a port: a number, a name of the switch's, a reserved one, or a field that has one",
            )),
            _ => error,
        })
    }

    fn output_trunc(&mut self, value: Piece<'_>) -> Result<Action, ParseError> {
        let (mut port, mut max_len) = (None, None);
        for (key, value) in value.key_values() {
            match key.text() {
                "port" => port = Some(parse_port(value, self.names)?),
                "max_len" if value.u32()? < 14 => return Err(value.error(Problem::Expected("14 or more"))),
                "max_len" => max_len = Some(value.u32()?),
                _ => return Err(key.error(Problem::Expected("port or max_len"))),
            }
        }
        let missing = || value.error(Problem::Expected("port=… and max_len=…"));
        let (port, max_len) = (port.ok_or_else(missing)?, max_len.ok_or_else(missing)?);
        if port >= PortNo::MAX && port != PortNo::LOCAL && port != PortNo::IN_PORT {
            return Err(value.error(Problem::Expected("a port with a number, LOCAL or IN_PORT")));
        }
        Ok(Action::OutputTrunc { port, max_len })
    }

    /// Reads `PORT`, `PORT,TABLE`, `,TABLE` or either with `,ct`.
    fn resubmit(&mut self, value: Piece<'_>) -> Result<Action, ParseError> {
        let end = value.slice(value.text().len(), value.text().len());
        let (port, rest) = value.split_once(",").unwrap_or((value, end));
        let (table, ct) = rest.split_once(",").unwrap_or((rest, end));
        let with_ct_orig = match ct.text() {
            "" => false,
            "ct" => true,
            _ => return Err(ct.error(Problem::Expected("ct, or nothing"))),
        };
        let port = if port.is_empty() { None } else { Some(parse_port(port, self.names)?) };
        let table = if table.is_empty() { TableId::ALL } else { parse_table(table, self.names)? };
        let port = port.filter(|port| *port != PortNo::IN_PORT);
        if port.is_none() && table == TableId::ALL {
            return Err(value.error(Problem::Expected("a port, a table or both: resubmit(1,2)")));
        }
        Ok(Action::Resubmit { port, table: Some(table), with_ct_orig })
    }
}

impl Place<'_, '_> {
    /// What the actions stand in.
    pub(super) fn within(&self) -> Within {
        self.within
    }

    /// Appends an action that has been checked.
    pub(super) fn keep(&mut self, action: Action) {
        self.out.push(action);
    }
}

/// Whether it is the word that is no action.
pub(in crate::text) fn is_drop(key: Piece<'_>) -> bool {
    key.text().eq_ignore_ascii_case("drop")
}

/// The actions that are a word, or a word and a number.
fn simple(name: &str, key: Piece<'_>, value: Piece<'_>) -> Result<Option<Action>, ParseError> {
    let value = || needed(key, value);
    Ok(Some(match name {
        "pop_vlan" | "strip_vlan" => Action::PopVlan,
        "pop_mpls" => Action::PopMpls(value()?.u16()?),
        "push_pbb" => Action::PushPbb(value()?.u16()?),
        "pop_pbb" => Action::PopPbb,
        "set_queue" => Action::SetQueue(value()?.u32()?),
        "pop_queue" => Action::PopQueue,
        "mod_nw_ttl" | "set_nw_ttl" => Action::SetNwTtl(value()?.u8()?),
        "set_mpls_ttl" => Action::SetMplsTtl(value()?.u8()?),
        "dec_mpls_ttl" => Action::DecMplsTtl,
        "dec_nsh_ttl" => Action::DecNshTtl,
        "copy_ttl_in" => Action::CopyTtlIn,
        "copy_ttl_out" => Action::CopyTtlOut,
        "ct_clear" => Action::CtClear,
        "exit" => Action::Exit,
        "debug_recirc" => Action::DebugRecirc,
        "debug_slow" => Action::DebugSlow,
        _ => return Ok(None),
    }))
}

/// A value that must be there.
pub(super) fn needed<'a>(key: Piece<'a>, value: Piece<'a>) -> Result<Piece<'a>, ParseError> {
    if value.is_empty() { Err(key.error(Problem::MissingValue)) } else { Ok(value) }
}

fn one_of(value: Piece<'_>, allowed: &[u16], what: &'static str) -> Result<u16, ParseError> {
    let number = value.u16()?;
    if allowed.contains(&number) { Ok(number) } else { Err(value.error(Problem::Expected(what))) }
}

/// Bytes in hex, with dots or spaces between them or not.
pub(super) fn parse_bytes(piece: Piece<'_>) -> Result<Vec<u8>, ParseError> {
    let bad = || piece.error(Problem::Expected("bytes in hex: 01.02.0a"));
    let mut bytes = Vec::with_capacity(piece.text().len() / 2);
    let mut digits = piece.text().bytes();
    while let Some(first) = digits.find(|digit| !matches!(digit, b' ' | b'.' | b'\t' | b'\r' | b'\n')) {
        let second = digits.next().ok_or_else(bad)?;
        let digit = |digit: u8| char::from(digit).to_digit(16).ok_or_else(bad);
        bytes.push((digit(first)? << 4 | digit(second)?) as u8);
    }
    Ok(bytes)
}

/// A note is padded to fill its action: 6 bytes, and 8 more as often as needed.
fn note(value: Piece<'_>) -> Result<Action, ParseError> {
    let mut bytes = parse_bytes(value)?;
    if bytes.len() > 0x7fff {
        return Err(value.error(Problem::Expected("at most 32767 bytes")));
    }
    bytes.resize((bytes.len() + 10).next_multiple_of(8).max(16) - 10, 0);
    Ok(Action::Note(bytes.into()))
}

fn unknown(value: Piece<'_>) -> Result<Action, ParseError> {
    let (action_type, body) =
        value.split_once(",").ok_or_else(|| value.error(Problem::Expected("a type and bytes")))?;
    let bytes = parse_bytes(body)?;
    if bytes.len() % 8 != 4 || bytes.len() > 0x7fff {
        return Err(body.error(Problem::Expected("4 bytes more than a multiple of 8")));
    }
    Ok(Action::Unknown { action_type: action_type.u16()?, body: bytes.into() })
}

/// Reads `ID,CLAUSE/N`, clauses from 1.
fn conjunction(value: Piece<'_>) -> Result<Action, ParseError> {
    let bad = || value.error(Problem::Expected("an id, a clause and the number of clauses: 1,1/2"));
    let (id, clauses) = value.split_once(",").ok_or_else(bad)?;
    let (clause, n_clauses) = clauses.split_once("/").ok_or_else(bad)?;
    let (clause, n_clauses) = (clause.trim(), n_clauses.trim());
    let n = n_clauses.u8()?;
    if !(2..=64).contains(&n) {
        return Err(n_clauses.error(Problem::Expected("2 to 64 clauses")));
    }
    match clause.u8()? {
        number @ 1.. if number <= n => {
            Ok(Action::Conjunction { clause: number - 1, n_clauses: n, id: id.trim().u32()? })
        }
        _ => Err(clause.error(Problem::Expected("a clause from 1 to the number of clauses"))),
    }
}

fn dec_ttl(value: Piece<'_>) -> Result<Action, ParseError> {
    if value.is_empty() {
        return Ok(Action::DecNwTtl);
    }
    let ids: Result<Vec<u16>, _> = value.tokens().map(Piece::u16).collect();
    match ids?.into_boxed_slice() {
        ids if ids.is_empty() || ids.len() > 0x1fff => {
            Err(value.error(Problem::Expected("ids of controllers: 1,2")))
        }
        ids => Ok(Action::DecTtlCntIds(ids)),
    }
}

fn fin_timeout(value: Piece<'_>) -> Result<Action, ParseError> {
    let (mut idle_timeout_s, mut hard_timeout_s) = (0, 0);
    for (key, value) in value.key_values() {
        match key.text() {
            "idle_timeout" => idle_timeout_s = value.u16()?,
            "hard_timeout" => hard_timeout_s = value.u16()?,
            _ => return Err(key.error(Problem::Expected("idle_timeout or hard_timeout"))),
        }
    }
    Ok(Action::FinTimeout { idle_timeout_s, hard_timeout_s })
}
