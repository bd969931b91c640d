//! Actions.

use std::fmt::Write;

use super::error::{ParseError, Piece, Problem};
use super::field_value::{self, format_port, parse_port};
use super::printer::Printer;
use super::subfield;
use crate::openflow::Action;
use crate::openflow::action::{Controller, PacketInReason};
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

fn format(out: &mut Printer<'_>, action: &Action) {
    let result = match action {
        Action::Output { port: PortNo::CONTROLLER, max_len } => write!(out, "CONTROLLER:{max_len}"),
        Action::Output { port, .. } => {
            let name = format_port(*port);
            let is_number = name.starts_with(|c: char| c.is_ascii_digit());
            write!(out, "{}{name}", if is_number { "output:" } else { "" })
        }
        Action::CopyTtlOut => write!(out, "copy_ttl_out"),
        Action::CopyTtlIn => write!(out, "copy_ttl_in"),
        Action::SetMplsTtl(ttl) => write!(out, "set_mpls_ttl({ttl})"),
        Action::DecMplsTtl => write!(out, "dec_mpls_ttl"),
        Action::PushVlan(ethertype) => write!(out, "push_vlan:{ethertype:#06x}"),
        Action::PopVlan => write!(out, "pop_vlan"),
        Action::PushMpls(ethertype) => write!(out, "push_mpls:{ethertype:#06x}"),
        Action::PopMpls(ethertype) => write!(out, "pop_mpls:{ethertype:#06x}"),
        Action::PushPbb(ethertype) => write!(out, "push_pbb:{ethertype:#06x}"),
        Action::PopPbb => write!(out, "pop_pbb"),
        Action::SetQueue(queue) => write!(out, "set_queue:{queue}"),
        Action::Group(group) => write!(out, "group:{group}"),
        Action::SetNwTtl(ttl) => write!(out, "mod_nw_ttl:{ttl}"),
        Action::DecNwTtl => write!(out, "dec_ttl"),
        Action::Exit => write!(out, "exit"),
        Action::CtClear => write!(out, "ct_clear"),
        Action::Conjunction { clause, n_clauses, id } => {
            write!(out, "conjunction({id},{}/{n_clauses})", u16::from(*clause) + 1)
        }
        _ => {
            format_with_fields(out, action);
            Ok(())
        }
    };
    result.expect("writing to a string does not fail");
}

/// The actions that name fields or carry lists.
fn format_with_fields(out: &mut Printer<'_>, action: &Action) {
    match action {
        Action::SetField { field, value, mask } => {
            out.push_str("set_field:");
            field_value::format(out, *field, *value, *mask);
            out.push_str("->");
            out.push_str(field.name());
        }
        Action::RegMove { src, dst } => {
            out.push_str("move:");
            subfield::format(out, *src);
            out.push_str("->");
            subfield::format(out, *dst);
        }
        Action::RegLoad { dst, value } => {
            out.push_str(&format!("load:{value:#x}->"));
            subfield::format(out, *dst);
        }
        Action::OutputReg { src, .. } => {
            out.push_str("output:");
            subfield::format(out, *src);
        }
        Action::Resubmit { port: Some(port), table: None } => {
            out.push_str(&format!("resubmit:{}", format_port(*port)));
        }
        Action::Resubmit { port, table } => {
            let port = port.map(format_port).unwrap_or_default();
            let table = table.map(|table| table.to_string()).unwrap_or_default();
            out.push_str(&format!("resubmit({port},{table})"));
        }
        Action::Controller(controller) => format_controller(out, controller),
        Action::Note(bytes) => {
            out.push_str("note:");
            out.push_str(&format_bytes(bytes));
        }
        Action::Unknown { action_type, body } => {
            out.push_str(&format!("unknown({action_type:#x},{})", format_bytes(body)));
        }
        _ => unreachable!("format prints the others itself"),
    }
}

fn format_bytes(bytes: &[u8]) -> String {
    let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.join(".")
}

fn format_controller(out: &mut Printer<'_>, controller: &Controller) {
    let mut arguments = Vec::new();
    if controller.reason != PacketInReason::ACTION {
        arguments.push(format!("reason={}", controller.reason));
    }
    if controller.max_len != Action::NO_BUFFER {
        arguments.push(format!("max_len={}", controller.max_len));
    }
    if controller.controller_id != 0 {
        arguments.push(format!("id={}", controller.controller_id));
    }
    if !controller.userdata.is_empty() {
        arguments.push(format!("userdata={}", format_bytes(&controller.userdata)));
    }
    if controller.pause {
        arguments.push("pause".to_owned());
    }
    if let Some(meter) = controller.meter {
        arguments.push(format!("meter_id={meter}"));
    }
    out.push_str(&format!("controller({})", arguments.join(",")));
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
        Some(mask) => Action::set_field_masked(field, value, mask),
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
        table: table.filter(|table| *table != TableId::ALL),
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
