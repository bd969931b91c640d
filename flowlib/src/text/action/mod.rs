//! Actions. One file a family, as in `openflow::action`.

/// Appends formatted text to a printer.
macro_rules! put {
    ($out:expr, $($format:tt)+) => {
        std::fmt::Write::write_fmt($out, format_args!($($format)+)).expect("writing to a string does not fail")
    };
}

mod bundle;
mod controller;
mod ct;
mod encap;
mod field;
mod learn;
mod legacy;
mod sample;

use super::error::{ParseError, Piece, Problem};
use super::field_value::{self, parse_port};
use super::printer::{Printer, Role};
use super::subfield;
use crate::openflow::Action;
use crate::openflow::action::{Controller, PacketInReason};
use crate::openflow::oxm::MatchField;
use crate::types::{GroupId, MeterId, PortNo, TableId};

/// An action as `dump-flows` prints it.
#[must_use]
pub fn format_action(action: &Action) -> String {
    let mut out = String::new();
    format(&mut Printer::plain(&mut out), action);
    out
}

/// Appends actions with commas between them.
pub(super) fn format_list(out: &mut Printer<'_>, actions: &[Action]) {
    for (n, action) in actions.iter().enumerate() {
        if n > 0 {
            out.push_str(",");
        }
        format(out, action);
    }
}

/// Appends an action.
pub(super) fn format(out: &mut Printer<'_>, action: &Action) {
    match action {
        Action::Output { port, max_len } => format_output(out, *port, *max_len),
        Action::OutputTrunc { port, max_len } => {
            out.put(Role::Special, "output");
            out.push_str("(port=");
            out.port(*port);
            put!(out, ",max_len={max_len})");
        }
        Action::Controller(controller) => controller::format(out, controller),
        Action::Group(group) => value(out, Role::Special, "group:", group),
        Action::Bundle(bundle) => bundle::format(out, bundle),
        Action::Multipath(multipath) => bundle::format_multipath(out, multipath),
        Action::SetQueue(queue) => value(out, Role::Param, "set_queue:", queue),
        Action::Encap(encap) => encap::format(out, encap),
        Action::Decap { packet_type } => encap::format_decap(out, *packet_type),
        Action::DecTtlCntIds(ids) => format_cnt_ids(out, ids),
        Action::Legacy(legacy) => legacy::format(out, *legacy),
        Action::Resubmit { port, table, with_ct_orig } => format_resubmit(out, *port, *table, *with_ct_orig),
        Action::Clone(actions) => {
            out.put(Role::Paren, "clone(");
            format_list_or_drop(out, actions);
            out.put(Role::Paren, ")");
        }
        Action::Ct(ct) => ct::format(out, ct),
        Action::Nat(nat) => ct::format_nat(out, nat),
        Action::Learn(learn) => learn::format(out, learn),
        Action::Conjunction { clause, n_clauses, id } => {
            out.put(Role::Paren, "conjunction(");
            put!(out, "{id},{}/{n_clauses}", u16::from(*clause) + 1);
            out.put(Role::Paren, ")");
        }
        Action::FinTimeout { idle_timeout_s, hard_timeout_s } => {
            out.put(Role::Paren, "fin_timeout(");
            let mut list = Arguments::default();
            list.add_unless_zero(out, "idle_timeout=", (*idle_timeout_s).into());
            list.add_unless_zero(out, "hard_timeout=", (*hard_timeout_s).into());
            out.put(Role::Paren, ")");
        }
        Action::Sample(sample) => sample::format(out, sample),
        Action::Note(bytes) => {
            out.put(Role::Param, "note:");
            format_bytes(out, bytes);
        }
        Action::Unknown { action_type, body } => {
            put!(out, "unknown({action_type:#x},");
            format_bytes(out, body);
            out.push_str(")");
        }
        _ => format_simple(out, action),
    }
}

/// The actions that are a word, or a word and a number or two.
fn format_simple(out: &mut Printer<'_>, action: &Action) {
    match action {
        Action::CopyTtlOut => out.put(Role::Value, "copy_ttl_out"),
        Action::CopyTtlIn => out.put(Role::Value, "copy_ttl_in"),
        Action::SetMplsTtl(ttl) => in_parentheses(out, "set_mpls_ttl(", ttl),
        Action::DecMplsTtl => out.put(Role::Value, "dec_mpls_ttl"),
        Action::PushVlan(ethertype) => value(out, Role::Param, "push_vlan:", format_args!("{ethertype:#x}")),
        Action::PopVlan => out.put(Role::Value, "pop_vlan"),
        Action::PushMpls(ethertype) => {
            value(out, Role::Param, "push_mpls:", format_args!("{ethertype:#06x}"));
        }
        Action::PopMpls(ethertype) => value(out, Role::Param, "pop_mpls:", format_args!("{ethertype:#06x}")),
        Action::PushPbb(ethertype) => value(out, Role::Param, "push_pbb:", format_args!("{ethertype:#06x}")),
        Action::PopPbb => out.put(Role::Value, "pop_pbb"),
        Action::PopQueue => out.put(Role::Value, "pop_queue"),
        Action::SetNwTtl(ttl) => value(out, Role::Param, "mod_nw_ttl:", ttl),
        Action::DecNwTtl => out.put(Role::Paren, "dec_ttl"),
        Action::DecNshTtl => out.put(Role::Special, "dec_nsh_ttl"),
        Action::Exit => out.put(Role::Special, "exit"),
        Action::CtClear => out.put(Role::Value, "ct_clear"),
        Action::DebugSlow => out.put(Role::Value, "debug_slow"),
        Action::DebugRecirc => out.put(Role::Value, "debug_recirc"),
        Action::WriteMetadata { metadata, mask } => format_metadata(out, *metadata, *mask),
        _ => field::format(out, action),
    }
}

/// A word and what it is followed by.
fn value(out: &mut Printer<'_>, role: Role, word: &str, value: impl std::fmt::Display) {
    out.put(role, word);
    put!(out, "{value}");
}

fn in_parentheses(out: &mut Printer<'_>, word: &str, value: impl std::fmt::Display) {
    out.put(Role::Paren, word);
    put!(out, "{value}");
    out.put(Role::Paren, ")");
}

fn format_output(out: &mut Printer<'_>, port: PortNo, max_len: u16) {
    if port < PortNo::MAX {
        out.put(Role::Special, "output:");
    }
    out.port(port);
    if port == PortNo::CONTROLLER {
        put!(out, ":{max_len}");
    }
}

fn format_resubmit(out: &mut Printer<'_>, port: Option<PortNo>, table: Option<TableId>, with_ct_orig: bool) {
    let table = table.filter(|table| *table != TableId::ALL);
    if let (Some(port), None) = (port, table) {
        out.put(Role::Special, "resubmit:");
        out.port(port);
        return;
    }
    out.put(Role::Paren, "resubmit(");
    if let Some(port) = port {
        out.port(port);
    }
    out.push_str(",");
    if let Some(table) = table {
        out.table(table);
    }
    if with_ct_orig {
        out.push_str(",ct");
    }
    out.put(Role::Paren, ")");
}

fn format_cnt_ids(out: &mut Printer<'_>, ids: &[u16]) {
    out.put(Role::Paren, "dec_ttl");
    out.put(Role::Paren, "(");
    for (n, id) in ids.iter().enumerate() {
        put!(out, "{}{id}", if n > 0 { "," } else { "" });
    }
    out.put(Role::Paren, ")");
}

/// What the action and the instruction of that name print.
pub(super) fn format_metadata(out: &mut Printer<'_>, metadata: u64, mask: u64) {
    out.put(Role::Param, "write_metadata:");
    hex(out, metadata.into());
    if mask != u64::MAX {
        out.push_str("/");
        hex(out, mask.into());
    }
}

/// Actions in an action; none is `drop`.
pub(super) fn format_list_or_drop(out: &mut Printer<'_>, actions: &[Action]) {
    if actions.is_empty() {
        out.put(Role::Drop, "drop");
    }
    format_list(out, actions);
}

/// A number in hex; 0 bears no prefix, as C prints it.
fn hex(out: &mut Printer<'_>, number: u128) {
    if number == 0 {
        out.push_str("0");
    } else {
        put!(out, "{number:#x}");
    }
}

fn format_bytes(out: &mut Printer<'_>, bytes: &[u8]) {
    for (n, byte) in bytes.iter().enumerate() {
        put!(out, "{}{byte:02x}", if n > 0 { "." } else { "" });
    }
}

/// Arguments with commas between them.
#[derive(Default)]
struct Arguments {
    is_behind_one: bool,
}

impl Arguments {
    /// Begins an argument.
    fn next(&mut self, out: &mut Printer<'_>) {
        if self.is_behind_one {
            out.push_str(",");
        }
        self.is_behind_one = true;
    }

    /// Appends an argument that is a word.
    fn add_word(&mut self, out: &mut Printer<'_>, word: &str) {
        self.next(out);
        out.put(Role::Value, word);
    }

    /// Appends an argument that has a value.
    fn add(&mut self, out: &mut Printer<'_>, key: &str, argument: impl std::fmt::Display) {
        self.next(out);
        value(out, Role::Param, key, argument);
    }

    /// Appends an argument that says nothing if it is 0.
    fn add_unless_zero(&mut self, out: &mut Printer<'_>, key: &str, argument: u32) {
        if argument != 0 {
            self.add(out, key, argument);
        }
    }
}

/// Reads actions between commas; `drop` is none.
///
/// # Errors
/// Says at which column what is wrong.
pub fn parse_actions(text: &str) -> Result<Vec<Action>, ParseError> {
    parse_list(Piece::new(text))
}

pub(super) fn parse_list(piece: Piece<'_>) -> Result<Vec<Action>, ParseError> {
    let pieces = piece.split_list(|c| c == ',')?;
    if let [only] = pieces[..]
        && only.text() == "drop"
    {
        return Ok(Vec::new());
    }
    pieces.into_iter().map(parse).collect()
}

/// Splits `name:argument`, `name(argument)` or a bare name; the last has no argument.
pub(super) fn split_call(piece: Piece<'_>) -> Result<(&str, Option<Piece<'_>>), ParseError> {
    let text = piece.text();
    let end = text.find([':', '(', '=']).unwrap_or(text.len());
    let name = &text[..end];
    let rest = piece.slice(end, text.len());
    if rest.is_empty() {
        return Ok((name, None));
    }
    let argument = match rest.strip_prefix("(") {
        Some(inside) => inside.strip_suffix(")").ok_or_else(|| piece.error(Problem::Unbalanced))?,
        None => rest.slice(1, rest.text().len()),
    };
    Ok((name, Some(argument)))
}

/// Reads one action.
pub(super) fn parse(piece: Piece<'_>) -> Result<Action, ParseError> {
    let (name, argument) = split_call(piece)?;
    let value = argument.ok_or_else(|| piece.error(Problem::MissingValue));
    let action = match name {
        "output" => parse_output(value?)?,
        "set_field" => parse_set_field(value?)?,
        "load" => parse_load(value?)?,
        "move" => parse_move(value?)?,
        "resubmit" => parse_resubmit(value?)?,
        "controller" | "CONTROLLER" => parse_controller(argument)?,
        "group" => Action::Group(GroupId(value?.u32()?)),
        "push_vlan" => Action::PushVlan(value?.u16()?),
        "pop_vlan" | "strip_vlan" => Action::PopVlan,
        "push_mpls" => Action::PushMpls(value?.u16()?),
        "pop_mpls" => Action::PopMpls(value?.u16()?),
        "push_pbb" => Action::PushPbb(value?.u16()?),
        "pop_pbb" => Action::PopPbb,
        "set_queue" => Action::SetQueue(value?.u32()?),
        "mod_nw_ttl" => Action::SetNwTtl(value?.u8()?),
        "dec_ttl" => Action::DecNwTtl,
        "set_mpls_ttl" => Action::SetMplsTtl(value?.u8()?),
        "dec_mpls_ttl" => Action::DecMplsTtl,
        "copy_ttl_in" => Action::CopyTtlIn,
        "copy_ttl_out" => Action::CopyTtlOut,
        "exit" => Action::Exit,
        "ct_clear" => Action::CtClear,
        "conjunction" => parse_conjunction(value?)?,
        "note" => parse_note(value?)?,
        "unknown" => parse_unknown(value?)?,
        _ if argument.is_none() => {
            let port = parse_port(piece).map_err(|_| piece.error(Problem::UnknownAction))?;
            Action::output(port)
        }
        _ => return Err(piece.slice(0, name.len()).error(Problem::UnknownAction)),
    };
    Ok(action)
}

fn parse_output(piece: Piece<'_>) -> Result<Action, ParseError> {
    if piece.text().contains('[') {
        return Ok(Action::output_reg(subfield::parse(piece)?));
    }
    Ok(Action::output(parse_port(piece)?))
}

fn arrow(piece: Piece<'_>) -> Result<(Piece<'_>, Piece<'_>), ParseError> {
    let (from, to) = piece
        .split_once("->")
        .ok_or_else(|| piece.error(Problem::Expected("two things with -> between them")))?;
    Ok((from.trim(), to.trim()))
}

fn parse_set_field(piece: Piece<'_>) -> Result<Action, ParseError> {
    let (value, name) = arrow(piece)?;
    let field = subfield::find_field(name.text()).ok_or_else(|| name.error(Problem::UnknownSubField))?;
    let (value, mask) = field_value::parse(field, value)?;
    Ok(match mask {
        None => Action::set_field(field, value),
        Some(mask) => {
            let value = value.and(mask);
            Action::RegLoad2(Box::new(MatchField { field, value, mask: Some(mask) }))
        }
    })
}

fn parse_load(piece: Piece<'_>) -> Result<Action, ParseError> {
    let (value, name) = arrow(piece)?;
    let dst = subfield::parse(name)?;
    Ok(Action::RegLoad { dst, value: value.number(dst.n_bits.min(64))? as u64 })
}

fn parse_move(piece: Piece<'_>) -> Result<Action, ParseError> {
    let (from, to) = arrow(piece)?;
    let (src, dst) = (subfield::parse(from)?, subfield::parse(to)?);
    if src.n_bits != dst.n_bits {
        return Err(to.error(Problem::Expected("as many bits as on the left")));
    }
    Ok(Action::RegMove { src, dst })
}

/// Reads `PORT`, `PORT,TABLE`, `,TABLE` or `PORT,`.
fn parse_resubmit(piece: Piece<'_>) -> Result<Action, ParseError> {
    let (port, table) = piece.split_once(",").unwrap_or((piece, piece.slice(0, 0)));
    let (port, table) = (port.trim(), table.trim());
    let port = if port.is_empty() { None } else { Some(parse_port(port)?) };
    let table = if table.is_empty() { None } else { Some(TableId(table.u8()?)) };
    Ok(Action::Resubmit {
        port: port.filter(|port| *port != PortNo::IN_PORT),
        table: Some(table.unwrap_or(TableId::ALL)),
        with_ct_orig: false,
    })
}

fn parse_controller(argument: Option<Piece<'_>>) -> Result<Action, ParseError> {
    let Some(argument) = argument else {
        return Ok(Action::output(PortNo::CONTROLLER));
    };
    if let Ok(max_len) = argument.u16() {
        return Ok(Action::Output { port: PortNo::CONTROLLER, max_len });
    }
    let mut controller = Controller::default();
    for piece in argument.split_list(|c| c == ',')? {
        let (key, value) = piece.split_once("=").unwrap_or((piece, piece.slice(0, 0)));
        match key.text() {
            "max_len" => controller.max_len = value.u16()?,
            "id" => controller.controller_id = value.u16()?,
            "reason" => controller.reason = parse_reason(value)?,
            "userdata" => controller.userdata = parse_bytes(value)?,
            "pause" => controller.pause = true,
            "meter_id" => controller.meter = Some(MeterId(value.u32()?)),
            _ => return Err(key.error(Problem::Expected("an argument of controller"))),
        }
    }
    Ok(Action::Controller(Box::new(controller)))
}

fn parse_reason(piece: Piece<'_>) -> Result<PacketInReason, ParseError> {
    (0..=u8::MAX)
        .map(PacketInReason)
        .find(|reason| reason.name() == Some(piece.text()))
        .map_or_else(|| piece.u8().map(PacketInReason), Ok)
}

fn parse_bytes(piece: Piece<'_>) -> Result<Vec<u8>, ParseError> {
    let bad = || piece.error(Problem::Expected("bytes in hex with dots between them"));
    let hex: String = piece.text().chars().filter(|c| *c != '.').collect();
    if !hex.len().is_multiple_of(2) || !hex.bytes().all(|c| c.is_ascii_hexdigit()) {
        return Err(bad());
    }
    (0..hex.len() / 2).map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).map_err(|_| bad())).collect()
}

/// A note is padded to fill its action: 6 bytes, and 8 more as often as needed.
fn parse_note(piece: Piece<'_>) -> Result<Action, ParseError> {
    let mut bytes = parse_bytes(piece)?;
    bytes.resize((bytes.len() + 10).next_multiple_of(8) - 10, 0);
    Ok(Action::Note(bytes.into()))
}

fn parse_unknown(piece: Piece<'_>) -> Result<Action, ParseError> {
    let (action_type, body) =
        piece.split_once(",").ok_or_else(|| piece.error(Problem::Expected("a type and bytes")))?;
    let bytes = parse_bytes(body)?;
    if bytes.len() % 8 != 4 {
        return Err(body.error(Problem::Expected("4 bytes more than a multiple of 8")));
    }
    Ok(Action::Unknown { action_type: action_type.u16()?, body: bytes.into() })
}

/// Reads `ID,CLAUSE/N`, clauses from 1.
fn parse_conjunction(piece: Piece<'_>) -> Result<Action, ParseError> {
    let bad = || piece.error(Problem::Expected("an id, a clause and the number of clauses: 1,1/2"));
    let (id, clauses) = piece.split_once(",").ok_or_else(bad)?;
    let (clause, n_clauses) = clauses.split_once("/").ok_or_else(bad)?;
    let clause = clause.trim().u8()?.checked_sub(1).ok_or_else(bad)?;
    Ok(Action::Conjunction { clause, n_clauses: n_clauses.trim().u8()?, id: id.trim().u32()? })
}
