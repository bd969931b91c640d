//! Changes of groups, meters and tunnel options, packet-outs, bundles, and flushes of tracked connections.

use std::path::Path;

use anyhow::{Result, bail};
use flowlib::openflow::group::GroupCommand;
use flowlib::openflow::meter::MeterCommand;
use flowlib::openflow::nicira::TlvTableCommand;
use flowlib::openflow::{CtFlush, CtTuple, Message, MeterMod, PacketOut, TlvTableMod};
use flowlib::text::{
    Names, ParseError, parse_actions, parse_ct_tuple, parse_flow_mod, parse_group_mod, parse_meter,
    parse_meter_mod, parse_packet, parse_packet_out, parse_tlv_maps,
};
use flowlib::types::{GroupId, MeterId};

use super::batch::Batch;
use super::change::{Changes, Manner, order};
use super::dump;
use super::file::{BadText, Lines};
use super::flow_changes::{manner, warn};
use super::switch::Switch;

/// `add-group`, `mod-group` and `del-groups`: one group, or with `-` those of standard input.
///
/// # Errors
/// [`BadText`], or what [`Changes::send`] says.
pub(super) fn groups(switch: &Switch<'_>, group: Option<&str>, command: GroupCommand) -> Result<()> {
    match group {
        Some("-") => group_file(switch, Path::new("-"), command),
        group => {
            let parse = group_parser(Some(command));
            let batch = Batch::of_argument(switch, group.unwrap_or_default(), parse)?;
            Changes { batch, lines: None }.send(switch, manner(switch))
        }
    }
}

/// `add-groups`: each line of a file, which may begin with a command if it is to add.
///
/// # Errors
/// See [`groups`].
pub(super) fn group_file(switch: &Switch<'_>, path: &Path, command: GroupCommand) -> Result<()> {
    let lines = Lines::read(path)?;
    let command = Some(command).filter(|command| *command != GroupCommand::ADD);
    let batch = Batch::of_lines(switch, &lines, group_parser(command))?;
    Changes { batch, lines: Some(&lines) }.send(switch, manner(switch))
}

fn group_parser(
    command: Option<GroupCommand>,
) -> impl Fn(&str, Option<&Names>) -> Result<Message, ParseError> + Sync {
    move |text, names| parse_group_mod(text, command, names).map(Message::GroupMod)
}

/// The group that a dump is of; without one, all.
///
/// # Errors
/// [`BadText`].
pub(super) fn group_of(switch: &Switch<'_>, group: Option<&str>) -> Result<GroupId> {
    let text = group.unwrap_or_default();
    let parsed = switch.parse(|names| parse_group_mod(text, Some(GroupCommand::DELETE), names))?;
    Ok(parsed.map_err(|error| BadText::argument(text, error))?.group.group)
}

/// `add-meter`, `mod-meter` and `del-meters`: one meter, or with `-` those of standard input.
///
/// # Errors
/// See [`groups`].
pub(super) fn meters(switch: &Switch<'_>, meter: Option<&str>, command: MeterCommand) -> Result<()> {
    match meter {
        Some("-") => meter_file(switch, Path::new("-"), command),
        Some(text) => {
            let meter = parse_meter_mod(text, command).map_err(|error| BadText::argument(text, error))?;
            order(&mut switch.open()?, switch, &Message::MeterMod(meter))
        }
        None => order(&mut switch.open()?, switch, &Message::MeterMod(MeterMod::delete(MeterId::ALL))),
    }
}

/// `add-meters`: each line of a file.
///
/// # Errors
/// See [`groups`].
pub(super) fn meter_file(switch: &Switch<'_>, path: &Path, command: MeterCommand) -> Result<()> {
    let lines = Lines::read(path)?;
    let parse = |text: &str, _: Option<&Names>| parse_meter_mod(text, command).map(Message::MeterMod);
    let batch = Batch::of_lines(switch, &lines, parse)?;
    // Open vSwitch takes no meters in bundles.
    Changes { batch, lines: Some(&lines) }.send(switch, Manner::Each)
}

/// The meter that a dump is of; without one, all.
///
/// # Errors
/// [`BadText`].
pub(super) fn meter_of(meter: Option<&str>) -> Result<MeterId> {
    let Some(text) = meter else { return Ok(MeterId::ALL) };
    parse_meter(text).map_err(|error| BadText::argument(text, error).into())
}

/// `packet-out`: in one word, or in the old syntax port, actions and packets.
///
/// # Errors
/// See [`groups`].
pub(super) fn packet_out(switch: &Switch<'_>, words: &[String]) -> Result<()> {
    let bad = |text: &str, error| BadText::argument(text, error);
    let (in_port, actions, packets) = match words {
        [one] => {
            let packet_out = switch.parse(|names| parse_packet_out(one, names))?;
            let packet_out = packet_out.map_err(|error| bad(one, error))?;
            return order(&mut switch.open()?, switch, &Message::PacketOut(packet_out));
        }
        [in_port, actions, packets @ ..] if !packets.is_empty() => (in_port, actions, packets),
        _ => bail!("packet-out takes PACKET-OUT, or IN_PORT ACTIONS PACKET..."),
    };
    let in_port = dump::port(switch, in_port)?;
    let actions =
        switch.parse(|names| parse_actions(actions, names))?.map_err(|error| bad(actions, error))?;
    let read =
        |packet: &String| -> Result<_> { Ok(parse_packet(packet).map_err(|error| bad(packet, error))?) };
    let packets = packets.iter().map(read).collect::<Result<Vec<_>>>()?;
    let mut connection = switch.open()?;
    for data in packets {
        let packet_out = PacketOut { buffer_id: None, in_port, actions: actions.clone(), data };
        order(&mut connection, switch, &Message::PacketOut(packet_out))?;
    }
    Ok(())
}

/// `bundle`: flow mods, group mods and packet-outs of a file, all or nothing.
///
/// # Errors
/// See [`groups`].
pub(super) fn bundle(switch: &Switch<'_>, path: &Path) -> Result<()> {
    let lines = Lines::read(path)?;
    let batch = Batch::of_lines(switch, &lines, parse_member)?;
    Changes { batch, lines: Some(&lines) }.send(switch, Manner::Bundle)
}

/// Reads a line of a bundle: a word that says what it is, and the rest as elsewhere.
fn parse_member(text: &str, names: Option<&Names>) -> Result<Message, ParseError> {
    let start = text.len() - text.trim_start().len();
    let end = text[start..].find([' ', '\t', ',']).map_or(text.len(), |len| start + len);
    let (word, rest) = (&text[start..end], &text[end..]);
    let parsed = match word {
        "flow" => parse_flow_mod(rest, None, names).map(|parsed| {
            warn(&parsed);
            Message::FlowMod(parsed.flow_mod)
        }),
        "group" => parse_group_mod(rest, None, names).map(Message::GroupMod),
        "packet-out" => parse_packet_out(rest, names).map(Message::PacketOut),
        _ => {
            let column = text[..start].chars().count() + 1;
            let problem = flowlib::text::Problem::Expected("flow, group or packet-out");
            return Err(ParseError { column, found: word.to_owned(), problem });
        }
    };
    // Columns count from the start of the line.
    parsed.map_err(|error| ParseError { column: error.column + text[..end].chars().count(), ..error })
}

/// `add-tlv-map`.
///
/// # Errors
/// See [`groups`].
pub(super) fn add_tlv_map(switch: &Switch<'_>, text: &str) -> Result<()> {
    change_tlv_map(switch, TlvTableCommand::ADD, text)
}

/// `del-tlv-map`; without mappings, all.
///
/// # Errors
/// See [`groups`].
pub(super) fn del_tlv_map(switch: &Switch<'_>, text: Option<&str>) -> Result<()> {
    let command = if text.is_some() { TlvTableCommand::DELETE } else { TlvTableCommand::CLEAR };
    change_tlv_map(switch, command, text.unwrap_or_default())
}

fn change_tlv_map(switch: &Switch<'_>, command: TlvTableCommand, text: &str) -> Result<()> {
    let maps = parse_tlv_maps(text).map_err(|error| BadText::argument(text, error))?;
    order(&mut switch.open()?, switch, &Message::NxTlvTableMod(TlvTableMod { command, maps }))
}

/// `ct-flush`: of a zone, and with one or two sides that connections have.
///
/// # Errors
/// See [`groups`].
pub(super) fn ct_flush(switch: &Switch<'_>, words: &[String]) -> Result<()> {
    let mut flush = CtFlush::default();
    let (zone, tuples) = match words {
        [first, rest @ ..] if first.starts_with("zone=") => (first.strip_prefix("zone="), rest),
        all => (None, all),
    };
    if let Some(zone) = zone {
        flush.zone = Some(zone_of(zone)?);
    }
    let read = |text: &String, flush: &mut CtFlush| -> Result<CtTuple> {
        Ok(parse_ct_tuple(text, flush).map_err(|error| BadText::argument(text, error))?)
    };
    match tuples {
        [] => {}
        [original] => flush.original = Some(read(original, &mut flush)?),
        [original, reply] => {
            flush.original = Some(read(original, &mut flush)?);
            flush.reply = Some(read(reply, &mut flush)?);
        }
        _ => bail!("ct-flush takes [zone=N] [TUPLE [REPLY-TUPLE]]"),
    }
    order(&mut switch.open()?, switch, &Message::NxCtFlush(Box::new(flush)))
}

/// `ct-flush-zone`.
///
/// # Errors
/// See [`groups`].
pub(super) fn ct_flush_zone(switch: &Switch<'_>, zone: &str) -> Result<()> {
    let zone = zone_of(zone)?;
    order(&mut switch.open()?, switch, &Message::NxCtFlushZone(zone))
}

fn zone_of(text: &str) -> Result<u16> {
    text.parse().map_err(|_| anyhow::anyhow!("{text}: not a zone, which is a number up to 65535"))
}
