//! What can be set of ports, tables and the switch itself.

use anyhow::{Context, Result, bail};
use flowlib::openflow::port::PortConfig;
use flowlib::openflow::{Message, MultipartReplyBody, MultipartRequestBody, Port, PortMod, SwitchConfig};
use flowlib::text::parse_table;
use flowlib::types::{PortNo, TableId};

use super::ask::{ask, encode, multipart};
use super::deliver::{order, refuse, settle};
use super::entries::{TABLE_AT, TABLE_NAME, places};
use super::file::BadText;
use super::link::{Connection, Failure};
use super::out::Out;
use super::switch::Switch;

/// What `mod-port` calls a bit, and whether the word sets it. Those of OpenFlow 1.0 have none: asking for them changes
/// nothing, and succeeds as with ovs-ofctl.
const PORT_FLAGS: &[(&str, PortConfig, bool)] = &[
    ("up", PortConfig::PORT_DOWN, false),
    ("down", PortConfig::PORT_DOWN, true),
    ("stp", PortConfig::empty(), false),
    ("receive", PortConfig::NO_RECV, false),
    ("receive-stp", PortConfig::empty(), false),
    ("flood", PortConfig::empty(), false),
    ("forward", PortConfig::NO_FWD, false),
    ("packet-in", PortConfig::NO_PACKET_IN, false),
];

/// `mod-port`.
///
/// # Errors
/// If there is no such port or word, or the switch refuses.
pub(super) fn mod_port(switch: &Switch<'_>, name: &str, action: &str) -> Result<()> {
    let mut connection = switch.open()?;
    let port = find_port(&mut connection, name)?
        .with_context(|| format!("{}: couldn't find port `{name}'", switch.target()))?;
    let word = action.to_ascii_lowercase();
    let (word, is_negative) = match word.strip_prefix("no-").or_else(|| word.strip_prefix("no")) {
        Some(word) => (word, true),
        None => (word.as_str(), false),
    };
    let Some((_, mask, sets)) = PORT_FLAGS.iter().find(|(name, ..)| *name == word) else {
        bail!("unknown mod-port command '{action}'");
    };
    let config = if sets ^ is_negative { *mask } else { PortConfig::empty() };
    // ovs-ofctl takes another connection to change it.
    Connection::skip_xids(1);
    let change = PortMod { port: port.port, hw_addr: port.hw_addr, config, mask: *mask, advertise: 0 };
    order(&mut connection, switch, &Message::PortMod(change))
}

/// The port of that number or name.
fn find_port(connection: &mut Connection, text: &str) -> Result<Option<Port>> {
    let number: Option<u32> = text.parse().ok();
    let mut found = None;
    ask(connection, &multipart(MultipartRequestBody::PortDesc)?, |part| {
        let (_, message) = Message::decode(part)?;
        if let Message::MultipartReply(reply) = message
            && let MultipartReplyBody::PortDesc(ports) = reply.body
        {
            let is_it = |port: &Port| match number {
                Some(number) => {
                    port.port.0 == number || port.port.0 == number | 0xffff_0000 && number >= 0xff00
                }
                None => port.name.to_string() == text || is_local(text) && port.port == PortNo::LOCAL,
            };
            found = found.take().or_else(|| ports.into_iter().find(is_it));
        }
        Ok(())
    })?;
    Ok(found)
}

fn is_local(text: &str) -> bool {
    text.eq_ignore_ascii_case("local")
}

/// `mod-table`: OpenFlow 1.3 can give a table a name.
///
/// # Errors
/// If the setting is none of OpenFlow 1.3, there is no such table, or the switch refuses.
pub(super) fn mod_table(switch: &Switch<'_>, table: &str, setting: &str) -> Result<()> {
    let name = match setting.split_once(':') {
        Some(("name", name)) => name,
        _ => {
            let versions = match setting.split(':').next().unwrap_or_default() {
                "controller" | "continue" | "drop" => "OpenFlow11, OpenFlow12",
                "evict" | "noevict" | "vacancy" | "novacancy" => "OpenFlow14, OpenFlow15",
                _ => bail!("invalid table_mod setting {setting}; it is name:NEW-NAME"),
            };
            bail!("table_mod '{setting}' requires one of the OpenFlow versions {versions}");
        }
    };
    if name.len() > TABLE_NAME.len() {
        bail!("{name}: the name of a table has at most {} bytes", TABLE_NAME.len());
    }
    let parsed = switch.parse(|names| parse_table(table, names))?;
    let id = parsed.map_err(|error| BadText::argument(table, error))?;
    let mut connection = switch.open()?;
    let (mut features, mut found) = (Vec::new(), false);
    let request = multipart(MultipartRequestBody::TableFeatures(Vec::new()))?;
    // All tables are given back as they are: those that are left out would be disabled.
    ask(&mut connection, &request, |part| {
        let start = features.len();
        features.extend_from_slice(part);
        found |= rename(&mut features[start..], id, name)?;
        if features.len() > MAX_FEATURES {
            bail!("{}: what its tables can do is more than {MAX_FEATURES} bytes", switch.target());
        }
        Ok(())
    })?;
    if !found {
        bail!("{}: there is no table {id}", switch.target());
    }
    let xid = Connection::new_xid();
    let mut at = 0;
    while let Some(&[_, _, high, low]) = features.get(at..).and_then(<[u8]>::first_chunk) {
        features[at + 1] = MULTIPART_REQUEST;
        features[at + 4..at + 8].copy_from_slice(&xid.0.to_be_bytes());
        at += usize::from(u16::from_be_bytes([high, low]));
    }
    refuse(switch, settle(&mut connection, &features)?)
}

/// Gives a table in a part of a report another name; whether it is there.
///
/// # Errors
/// If the part cannot be cut into tables.
fn rename(part: &mut [u8], table: TableId, name: &str) -> Result<bool, Failure> {
    let entries = places(part).collect::<Result<Vec<_>, _>>()?;
    for entry in entries {
        let entry = &mut part[entry];
        if entry.get(TABLE_AT) == Some(&table.0)
            && let Some(place) = entry.get_mut(TABLE_NAME)
        {
            place.fill(0);
            place[..name.len()].copy_from_slice(name.as_bytes());
            return Ok(true);
        }
    }
    Ok(false)
}

const MULTIPART_REQUEST: u8 = 18;
/// Beyond what any switch has to say of 255 tables.
const MAX_FEATURES: usize = 16 << 20;

/// OFPC_FRAG_ bits, and OFPC_INVALID_TTL_TO_CONTROLLER, which OpenFlow 1.3 does not have.
const FRAG_MASK: u16 = 3;
const FRAG_MODES: [&str; 4] = ["normal", "drop", "reassemble", "nx-match"];

/// `get-frags`.
///
/// # Errors
/// If the switch does not answer.
pub(super) fn get_frags(switch: &Switch<'_>) -> Result<()> {
    let config = fetch(&mut switch.open()?, switch)?;
    let mut out = Out::default();
    out.text().push_str(frag_mode(config));
    out.text().push('\n');
    out.flush()
}

/// `set-frags`.
///
/// # Errors
/// If there is no such mode, or the switch does not take it.
pub(super) fn set_frags(switch: &Switch<'_>, mode: &str) -> Result<()> {
    let Some((bits, mode)) = (0_u16..).zip(FRAG_MODES).find(|(_, name)| name.eq_ignore_ascii_case(mode))
    else {
        bail!("{mode}: unknown fragment handling mode: it is one of {}", FRAG_MODES.join(", "));
    };
    let mut connection = switch.open()?;
    let config = fetch(&mut connection, switch)?;
    if frag_mode(config) == mode {
        return Ok(());
    }
    let wanted = SwitchConfig { flags: config.flags & !FRAG_MASK | bits, ..config };
    order(&mut connection, switch, &Message::SetConfig(wanted))?;
    // A switch need not say that it does not know a mode: what it is then tells.
    if frag_mode(fetch(&mut connection, switch)?) != mode {
        let target = switch.target();
        bail!(
            "{target}: setting fragment handling mode failed (this switch probably doesn't support mode \"{mode}\")"
        );
    }
    Ok(())
}

fn frag_mode(config: SwitchConfig) -> &'static str {
    FRAG_MODES[usize::from(config.flags & FRAG_MASK)]
}

/// How the switch is set.
///
/// # Errors
/// If it does not answer.
pub(super) fn fetch(connection: &mut Connection, switch: &Switch<'_>) -> Result<SwitchConfig> {
    let reply = connection.transact(&encode(&Message::GetConfigRequest)?)?;
    match Message::decode(&reply) {
        Ok((_, Message::GetConfigReply(config))) => Ok(config),
        _ => Err(Failure::BadReply(format!("{}: bad reply to config request", switch.target())).into()),
    }
}
