//! `monitor` and `snoop`: what a switch says, as it says it.

use std::convert::Infallible;

use anyhow::{Context, Result, bail};
use flowlib::channel::{echo_reply, is_echo_request};
use flowlib::openflow::nicira::PacketInFormat;
use flowlib::openflow::{Message, MonitorRequest, MultipartRequestBody, SwitchConfig};
use flowlib::text::{Names, Verbosity, parse_flow_monitor, print_message};
use flowlib::types::Xid;

use super::ask::{encode, multipart};
use super::deliver::{order, settle};
use super::dump::dump_over;
use super::file::BadText;
use super::globals;
use super::link::{Connection, Patience};
use super::settings::fetch;
use super::switch::Switch;

/// `monitor`: sets what the switch sends, and prints it until the connection ends.
///
/// # Errors
/// If a word is none, the switch refuses, or the connection ends.
pub(super) fn monitor(switch: &Switch<'_>, words: &[String]) -> Result<Infallible> {
    if words.iter().any(|word| word == "invalid_ttl") {
        bail!(
            "invalid_ttl requires one of the OpenFlow versions OpenFlow10, OpenFlow11, OpenFlow12, and only OpenFlow13 \
             is spoken here"
        );
    }
    let mut connection = switch.open()?;
    let (mut resumes, mut n_watches) = (false, 0);
    for word in words {
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            let len = word.parse().with_context(|| format!("{word}: not a number of bytes"))?;
            set_miss_len(&mut connection, switch, len)?;
        } else if let Some(text) = word.strip_prefix("watch:") {
            watch(&mut connection, switch, text, n_watches)?;
            n_watches += 1;
        } else if word == "resume" {
            resumes = true;
            set_miss_len(&mut connection, switch, u16::MAX)?;
        } else {
            bail!("{word}: unsupported \"monitor\" argument");
        }
    }
    set_packet_in_format(&mut connection, switch)?;
    listen(connection, switch, Some(resumes))
}

/// `snoop`: prints what goes between a switch and its controller until the connection ends.
///
/// # Errors
/// If the connection ends.
pub(super) fn snoop(switch: &Switch<'_>) -> Result<Infallible> {
    listen(switch.snoop()?, switch, None)
}

/// Sets how much of a packet is sent that no flow matches; with 0, Open vSwitch sends none to us.
fn set_miss_len(connection: &mut Connection, switch: &Switch<'_>, miss_send_len: u16) -> Result<()> {
    let config = fetch(connection, switch)?;
    order(connection, switch, &Message::SetConfig(SwitchConfig { miss_send_len, ..config }))
}

/// Asks for the flows of now, which are printed, and for their changes, under a number that no other watch has.
fn watch(connection: &mut Connection, switch: &Switch<'_>, text: &str, monitor: u32) -> Result<()> {
    let parse = |names: Option<&Names>| parse_flow_monitor(text, names);
    let request = if monitor == 0 { switch.parse(parse)? } else { switch.parse_more(parse)? };
    let request = MonitorRequest { monitor, ..request.map_err(|error| BadText::argument(text, error))? };
    dump_over(connection, switch, &multipart(MultipartRequestBody::FlowMonitor(vec![request]))?)
}

/// The format that is asked for must be had; without one, the richest is tried.
fn set_packet_in_format(connection: &mut Connection, switch: &Switch<'_>) -> Result<()> {
    let format = |format| Message::NxSetPacketInFormat(format);
    let Some(wanted) = switch.globals.packet_in_format else {
        // A switch that knows no format but the standard one says so.
        return settle(connection, &encode(&format(PacketInFormat::NXT_PACKET_IN2))?).map(drop);
    };
    let wanted = match wanted {
        globals::PacketInFormat::Standard => PacketInFormat::STANDARD,
        globals::PacketInFormat::NxtPacketIn => PacketInFormat::NXT_PACKET_IN,
        globals::PacketInFormat::NxtPacketIn2 => PacketInFormat::NXT_PACKET_IN2,
    };
    order(connection, switch, &format(wanted))
}

/// Prints every message to standard error. With `resumes`, echo requests are answered, and if it is set packets that
/// wait in the switch are sent on.
fn listen(mut connection: Connection, switch: &Switch<'_>, resumes: Option<bool>) -> Result<Infallible> {
    if switch.globals.is_daemon() {
        bail!(
            "--detach and --pidfile: it stays in the foreground; end the command line with & and take the shell's $!"
        );
    }
    connection.set_patience(Patience::Endless);
    loop {
        let message = connection.receive_any()?;
        let mut text = String::new();
        if switch.globals.timestamp {
            text = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.3f: ").to_string();
        }
        print(switch, &mut text, &message)?;
        let mut answer = Vec::new();
        if resumes.is_some() && is_echo_request(&message) {
            echo_reply(&message, &mut answer);
        } else if resumes == Some(true)
            && let Some(resumption) = resumption(&message)
        {
            text.push_str("send: ");
            print(switch, &mut text, &resumption)?;
            answer = resumption;
        }
        connection.send(&answer);
        eprint!("{text}");
    }
}

fn print(switch: &Switch<'_>, text: &mut String, message: &[u8]) -> Result<()> {
    let style = switch.globals.style(switch.printed_names()?);
    print_message(text, message, style, Verbosity(switch.globals.verbosity(2)));
    Ok(())
}

/// What makes a packet go on that waits in the switch, if the message is of one.
fn resumption(message: &[u8]) -> Option<Vec<u8>> {
    let (_, Message::NxPacketIn2(mut packet)) = Message::decode(message).ok()? else { return None };
    packet.continuation.as_ref()?;
    // That was for the controller.
    packet.userdata.clear();
    let mut resume = Vec::new();
    Message::NxResume(packet).encode(Xid(0), &mut resume).ok()?;
    Some(resume)
}
