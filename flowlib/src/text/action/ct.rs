//! The connection tracker.

use std::net::IpAddr;

use super::read::ActionReader;
use super::{Arguments, format_list};
use crate::openflow::Action;
use crate::openflow::action::{Ct, CtFlags, CtZone, Nat, NatFlags, NatRange, Within};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::port::parse_table;
use crate::text::printer::{Printer, Role};
use crate::text::subfield;
use crate::types::TableId;

/// The protocols whose related connections are found, by their ports.
const ALGS: &[(u16, &str)] = &[(21, "ftp"), (69, "tftp")];

/// Appends `ct(commit,table=…,zone=…,nat(…),exec(…),alg=…)`.
pub(super) fn format(out: &mut Printer<'_>, ct: &Ct) {
    out.put(Role::Paren, "ct(");
    let mut list = Arguments::default();
    if ct.flags.contains(CtFlags::COMMIT) {
        list.add_word(out, "commit");
    }
    if ct.flags.contains(CtFlags::FORCE) {
        list.add_word(out, "force");
    }
    if let Some(table) = ct.recirc_table {
        list.next(out);
        out.put(Role::Special, "table=");
        out.table(table);
    }
    match ct.zone {
        CtZone::Number(zone) => list.add_unless_zero(out, "zone=", zone.into()),
        CtZone::Field(zone) => {
            list.add(out, "zone=", "");
            subfield::format(out, zone);
        }
    }
    // A translation that comes first stands outside of `exec`.
    let (nat, actions) = match ct.actions.split_first() {
        Some((Action::Nat(nat), rest)) => (Some(nat), rest),
        _ => (None, &ct.actions[..]),
    };
    if let Some(nat) = nat {
        list.next(out);
        format_nat(out, nat);
    }
    if !actions.is_empty() {
        list.next(out);
        out.put(Role::Paren, "exec(");
        format_list(out, actions);
        out.put(Role::Paren, ")");
    }
    match ALGS.iter().find(|(port, _)| *port == ct.alg) {
        Some((_, name)) => list.add(out, "alg=", name),
        None => list.add_unless_zero(out, "alg=", ct.alg.into()),
    }
    out.put(Role::Paren, ")");
}

/// Appends `nat(src=10.0.0.1-10.0.0.9:1-9,random)`, or `nat` alone.
pub(super) fn format_nat(out: &mut Printer<'_>, nat: &Nat) {
    out.put(Role::Paren, "nat");
    if !nat.flags.intersects(NatFlags::SRC | NatFlags::DST) {
        return;
    }
    out.put(Role::Paren, "(");
    out.put(Role::Param, if nat.flags.contains(NatFlags::SRC) { "src" } else { "dst" });
    if let Some(range) = &nat.range {
        out.put(Role::Param, "=");
        format_range(out, range);
        for (_, word) in FLAGS.iter().filter(|(flag, _)| nat.flags.contains(*flag)) {
            out.push_str(",");
            out.put(Role::Value, word);
        }
    }
    out.put(Role::Paren, ")");
}

const FLAGS: &[(NatFlags, &str)] =
    &[(NatFlags::PERSISTENT, "persistent"), (NatFlags::HASH, "hash"), (NatFlags::RANDOM, "random")];

fn format_range(out: &mut Printer<'_>, range: &NatRange) {
    let format_address = |out: &mut Printer<'_>, address: IpAddr| match address {
        IpAddr::V6(address) if range.min_port.is_some() => put!(out, "[{address}]"),
        _ => put!(out, "{address}"),
    };
    format_address(out, range.min);
    if let Some(max) = range.max.filter(|max| *max != range.min) {
        out.push_str("-");
        format_address(out, max);
    }
    if let Some(min) = range.min_port {
        put!(out, ":{min}");
        if let Some(max) = range.max_port.filter(|max| *max != min) {
            put!(out, "-{max}");
        }
    }
}

/// Reads the arguments of `ct`, in any order.
pub(super) fn read(reader: &mut ActionReader<'_>, value: Piece<'_>) -> Result<Ct, ParseError> {
    let mut found = Ct::default();
    for (key, value) in value.key_values() {
        match key.text() {
            "commit" => found.flags |= CtFlags::COMMIT,
            "force" => found.flags |= CtFlags::FORCE,
            "table" => {
                let table = parse_table(value, reader.names)?;
                if table == TableId::ALL {
                    return Err(value.error(Problem::Expected("a table up to 254")));
                }
                found.recirc_table = Some(table);
            }
            "zone" => found.zone = read_zone(value)?,
            "alg" => {
                let named = ALGS.iter().find(|(_, name)| *name == value.text());
                let (alg, _) = named.ok_or_else(|| value.error(Problem::Expected("ftp or tftp")))?;
                found.alg = *alg;
            }
            "nat" => found.actions.push(Action::Nat(Box::new(read_nat(value)?))),
            "exec" => {
                let actions = reader.nested(value, Within::Ct)?;
                found.actions.extend(actions);
            }
            _ => {
                let known = "commit, force, table, zone, alg, nat or exec";
                return Err(key.error(Problem::Expected(known)));
            }
        }
    }
    Ok(found)
}

fn read_zone(value: Piece<'_>) -> Result<CtZone, ParseError> {
    if value.text().starts_with(|c: char| c.is_ascii_digit()) {
        return value.u16().map(CtZone::Number);
    }
    let zone = subfield::parse(value)?;
    if zone.n_bits != 16 || zone.field.is_experimenter() {
        return Err(value.error(Problem::Expected("a number, or 16 bits of a field: NXM_NX_REG0[0..15]")));
    }
    Ok(CtZone::Field(zone))
}

/// Reads the arguments of `nat`.
pub(super) fn read_nat(value: Piece<'_>) -> Result<Nat, ParseError> {
    let mut found = Nat::default();
    for (key, value) in value.key_values() {
        match key.text() {
            word @ ("src" | "dst") => {
                found.flags |= if word == "src" { NatFlags::SRC } else { NatFlags::DST };
                found.range = if value.is_empty() { None } else { Some(read_range(value)?) };
            }
            word => match FLAGS.iter().find(|(_, flag)| *flag == word) {
                Some((flag, _)) => found.flags |= *flag,
                None => {
                    return Err(key.error(Problem::Expected("src, dst, persistent, hash or random")));
                }
            },
        }
    }
    let is_directed = found.flags.intersects(NatFlags::SRC | NatFlags::DST);
    if !is_directed && !found.flags.is_empty() {
        return Err(value.error(Problem::Expected("src or dst beside the flags")));
    }
    if !found.is_valid() {
        return Err(value.error(Problem::Expected("only one of src and dst, and of hash and random")));
    }
    Ok(found)
}

/// Reads `ADDRESS`, `ADDRESS-ADDRESS` and `:PORT` or `:PORT-PORT` behind either; IPv6 addresses may stand in brackets.
fn read_range(value: Piece<'_>) -> Result<NatRange, ParseError> {
    let bad = || {
        value.error(Problem::Expected(
            "addresses and ports in order: 10.0.0.1-10.0.0.9:1024-2048, [fe80::1]:5",
        ))
    };
    let (min, rest) = read_address(value).ok_or_else(bad)?;
    let (max, rest) = match rest.strip_prefix("-") {
        Some(rest) => {
            let (max, rest) = read_address(rest).ok_or_else(bad)?;
            (Some(max), rest)
        }
        None => (None, rest),
    };
    let mut found = NatRange { min, max, min_port: None, max_port: None };
    if let Some(ports) = rest.strip_prefix(":") {
        let (min, max) = ports.split_once("-").unwrap_or((ports, ports.slice(0, 0)));
        found.min_port = Some(min.u16()?);
        found.max_port = if max.is_empty() { None } else { Some(max.u16()?) };
    } else if !rest.is_empty() {
        return Err(bad());
    }
    if found.is_valid() { Ok(found) } else { Err(bad()) }
}

/// An address and what follows it.
fn read_address(piece: Piece<'_>) -> Option<(IpAddr, Piece<'_>)> {
    let text = piece.text();
    if let Some(inside) = piece.strip_prefix("[") {
        let (address, rest) = inside.split_once("]")?;
        return Some((IpAddr::V6(address.text().parse().ok()?), rest));
    }
    let ipv4_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    if let Ok(address) = text[..ipv4_end].parse() {
        return Some((IpAddr::V4(address), piece.slice(ipv4_end, text.len())));
    }
    let ipv6_end = text.find('-').unwrap_or(text.len());
    Some((IpAddr::V6(text[..ipv6_end].parse().ok()?), piece.slice(ipv6_end, text.len())))
}
