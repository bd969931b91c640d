//! Messages as `ovs-ofctl ofp-print` prints them.
//!
//! Bytes are printed as far as they can be read; what is wrong with them is said in the words of ovs-ofctl, with
//! the bytes in hex below. Promises: any bytes print, at a cost of a small multiple of their length.

mod action_bits;
mod asynchronous;
mod bits;
mod bundle;
mod conntrack;
mod continuation;
mod features;
mod field_names;
mod flow;
mod group;
mod group_mod;
mod hello;
mod hex_dump;
mod ipfix;
mod kind;
mod meter;
mod meter_mod;
mod monitor;
mod other_version;
mod packet_in;
mod packet_out;
mod port;
mod queue;
mod role;
mod selection;
mod table;
mod table_features;
mod tlv;

pub use conntrack::parse_ct_tuple;
pub use group_mod::{ParsedGroupMod, parse_group, parse_group_mod};
pub use kind::message_names;
pub use meter_mod::{parse_meter, parse_meter_mod};
pub use monitor::parse_flow_monitor;
pub use packet_out::{parse_packet, parse_packet_out};
pub use tlv::parse_tlv_maps;

use std::fmt::Write;

use super::action;
use super::printer::{Printer, Role, Style};
use crate::openflow::error::error_code;
use crate::openflow::{Action, ErrorCode, ErrorMsg, Message};
use crate::wire::{DecodeError, Part, Reader, Wire};

pub use table_features::TableFeaturesList;

use kind::{Headers, Kind};

/// How much of a message is printed; each `-m` of ovs-ofctl raises it by one, but for `ofp-print`, which takes the
/// number itself.
///
/// From 1 on counters of ports and a summary of packets are printed, from 2 on what echoes bear, from 3 on packets in
/// hex, and from 5 on every message in hex.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verbosity(pub u8);

impl Verbosity {
    /// What commands such as `dump-ports` print of a switch's answer.
    pub const REPLY: Self = Self(1);
    /// What `ofp-print`, `ofp-parse` and `monitor` print of a message.
    pub const MESSAGE: Self = Self(2);
    const PACKETS: Self = Self(3);
    const BYTES: Self = Self(5);
}

/// What a printer of a body gets, and what is wrong with the body if it says so.
type Result<T = ()> = std::result::Result<T, ErrorCode>;

/// OFPBFC_BAD_VERSION: a message of another version than its bundle. OpenFlow 1.3 has no number for it; this is that
/// of 1.4.
const BAD_BUNDLE_VERSION: ErrorCode = ErrorCode { error_type: 17, code: 16, experimenter: 0 };

/// OFPTFFC_BAD_FEATURES: properties of a table that are missing or come twice. The number is that of OpenFlow 1.5.
const BAD_FEATURES: ErrorCode = ErrorCode { error_type: 13, code: 8, experimenter: 0 };

/// Errors within errors are printed to this depth, the bytes of those further in.
const MAX_DEPTH: u8 = 8;

/// A message whose headers have been read.
struct Received<'a> {
    /// All of it.
    whole: &'a [u8],
    version: u8,
    /// What follows the headers.
    body: Reader<'a>,
    verbosity: Verbosity,
    depth: u8,
}

/// Appends a message as `ovs-ofctl ofp-print` prints it, and ends the line.
///
/// Any bytes print: those that are no message, or not all of it, are dumped in hex below what could be read.
pub fn print_message(out: &mut String, bytes: &[u8], style: Style<'_>, verbosity: Verbosity) {
    format(&mut Printer::new(out, style), bytes, verbosity, 0);
}

fn format(p: &mut Printer<'_>, bytes: &[u8], verbosity: Verbosity, depth: u8) {
    let claimed = match bytes {
        [] => return p.push_str("OpenFlow message is empty\n"),
        [_, _, high, low, _, _, _, _, ..] => usize::from(u16::from_be_bytes([*high, *low])),
        _ => {
            put(p, format_args!("OpenFlow packet too short (only {} bytes):\n", bytes.len()));
            return hex_dump::format(p, bytes);
        }
    };
    if claimed > bytes.len() {
        if let Ok(headers) = Headers::read(bytes) {
            format_header(p, headers.entry.name, bytes);
            p.push_str("\n");
        }
        put(p, format_args!("(***truncated to {} bytes from {claimed}***)\n", bytes.len()));
        hex_dump::format(p, bytes);
    } else if claimed < bytes.len() {
        put(p, format_args!("(***only uses {claimed} bytes out of {}***)\n", bytes.len()));
        hex_dump::format(p, bytes);
    } else {
        format_whole(p, bytes, verbosity, depth);
    }
}

/// A message that is as long as it says.
fn format_whole(p: &mut Printer<'_>, bytes: &[u8], verbosity: Verbosity, depth: u8) {
    let start = p.text().len();
    let headers = Headers::read(bytes).and_then(|headers| headers.check_len(bytes.len()).map(|()| headers));
    let result = headers.and_then(|headers| {
        format_header(p, headers.entry.name, bytes);
        let header_end = p.text().len();
        let result = format_body(p, headers, bytes, verbosity, depth);
        p.chomp(' ');
        match result {
            Ok(()) => {}
            Err(_) if p.text().len() > header_end => end_line(p, start),
            Err(_) => p.push_str(" "),
        }
        result
    });
    if let Err(code) = result {
        match code {
            BAD_BUNDLE_VERSION => p.push_str("***decode error: OFPBFC_BAD_VERSION***\n"),
            BAD_FEATURES => p.push_str("***decode error: OFPTFFC_BAD_FEATURES***\n"),
            code => put(p, format_args!("***decode error: {code}***\n")),
        }
    }
    if result.is_err() || verbosity >= Verbosity::BYTES {
        end_line(p, start);
        hex_dump::format(p, bytes);
    }
    end_line(p, start);
}

/// Ends a line that has been begun since byte `start`.
fn end_line(p: &mut Printer<'_>, start: usize) {
    if p.text().len() > start && !p.text().ends_with('\n') {
        p.push_str("\n");
    }
}

/// Appends a kind's name, the version and the xid.
fn format_header(p: &mut Printer<'_>, name: &str, bytes: &[u8]) {
    p.push_str(name);
    let &[version, _, _, _, ref xid @ ..] = bytes else { return };
    let xid = xid.first_chunk().map_or(0, |xid| u32::from_be_bytes(*xid));
    match version {
        1 => {}
        2..=6 => put(p, format_args!(" (OF1.{})", version - 1)),
        _ => put(p, format_args!(" (OF {version:#04x})")),
    }
    put(p, format_args!(" (xid={xid:#x}):"));
}

fn format_body(
    p: &mut Printer<'_>,
    headers: Headers,
    bytes: &[u8],
    verbosity: Verbosity,
    depth: u8,
) -> Result {
    if let Some(flags) = headers.flags {
        format_multipart_flags(p, flags, bytes);
    }
    let rest = bytes.get(headers.len..).unwrap_or_default();
    let version = bytes.first().copied().unwrap_or(0);
    let body = Reader::at(rest, Part::Message, headers.len);
    let mut message = Received { whole: bytes, version, body, verbosity, depth };
    match headers.entry.kind {
        Kind::Hello => hello::format(p, message),
        Kind::Error => format_error(p, message),
        Kind::EchoRequest | Kind::EchoReply => format_echo(p, message),
        Kind::FeaturesReply => features::format_reply(p, &message.read()?),
        Kind::GetConfigReply => features::format_config(p, message),
        Kind::SetConfig => features::format_set_config(p, message),
        Kind::DescReply => features::format_desc(p, &message.read()?),
        Kind::PacketIn | Kind::NxPacketIn => packet_in::format_in(p, message),
        Kind::PacketIn2 | Kind::Resume => packet_in::format_in2(p, message),
        Kind::PacketOut => packet_in::format_out(p, message),
        Kind::FlowRemoved => flow::format_removed(p, &message.read_front()?),
        Kind::NxFlowRemoved => flow::format_nx_removed(p, message),
        Kind::FlowMod | Kind::NxFlowMod => flow::format_mod(p, message),
        Kind::FlowStatsRequest | Kind::AggregateRequest => {
            flow::format_stats_request(p, &message.read_front()?)
        }
        Kind::FlowStatsReply => flow::format_stats_reply(p, message),
        Kind::AggregateReply => flow::format_aggregate_reply(p, &message.read()?),
        Kind::PortStatus => port::format_status(p, &message.read()?),
        Kind::PortMod => port::format_mod(p, &message.read()?),
        Kind::PortStatsRequest => port::format_stats_request(p, message),
        Kind::PortStatsReply => port::format_stats_reply(p, message),
        Kind::PortDescRequest => text(p, " port=ANY"),
        Kind::PortDescReply => port::format_desc_reply(p, message),
        Kind::TableMod => table::format_mod(p, &message.read()?),
        Kind::TableStatsReply => table::format_stats_reply(p, message),
        Kind::TableFeaturesRequest | Kind::TableFeaturesReply => table_features::format(p, message),
        Kind::GroupMod => group::format_mod(p, message),
        Kind::GroupDescRequest => text(p, " group_id=ALL"),
        Kind::GroupDescReply => group::format_desc_reply(p, message),
        Kind::GroupStatsRequest => group::format_stats_request(p, message),
        Kind::GroupStatsReply => group::format_stats_reply(p, message),
        Kind::GroupFeaturesReply => group::format_features(p, &message.read()?),
        Kind::MeterMod => meter::format_mod(p, message),
        Kind::MeterStatsRequest | Kind::MeterConfigRequest => meter::format_request(p, message),
        Kind::MeterStatsReply => meter::format_stats_reply(p, message),
        Kind::MeterConfigReply => meter::format_config_reply(p, message),
        Kind::MeterFeaturesReply => meter::format_features(p, &message.read()?),
        Kind::QueueGetConfigRequest => queue::format_config_request(p, message),
        Kind::QueueGetConfigReply => queue::format_config_reply(p, message),
        Kind::QueueStatsRequest => queue::format_stats_request(p, &message.read()?),
        Kind::QueueStatsReply => queue::format_stats_reply(p, message),
        Kind::RoleRequest => role::format_request(p, &message.read()?),
        Kind::RoleReply => role::format_reply(p, &message.read()?),
        Kind::NxRoleRequest | Kind::NxRoleReply => role::format_nx(p, message.read()?),
        Kind::RoleStatus => role::format_status(p, message),
        Kind::GetAsyncReply | Kind::SetAsync | Kind::NxSetAsyncConfig => {
            asynchronous::format_config(p, &message.read()?)
        }
        Kind::Unread => {
            p.push_str(" ***of this version only the headers are read***\n");
            hex_dump::format(p, message.whole);
            Ok(())
        }
        Kind::NxSetAsyncConfig2 => asynchronous::format_properties(p, message),
        Kind::MonitorRequest => monitor::format_requests(p, message),
        Kind::MonitorReply => monitor::format_updates(p, message),
        Kind::MonitorCancel => put_number(p, " id=", message.first_u32()?),
        Kind::BundleControl => bundle::format_control(p, &message.read()?),
        Kind::BundleAdd => bundle::format_add(p, message),
        Kind::RequestForward => bundle::format_forward(p, message),
        Kind::TlvTableMod => tlv::format_mod(p, &message.read()?),
        Kind::TlvTableReply => tlv::format_reply(p, &message.read()?),
        Kind::CtFlush => conntrack::format_flush(p, &message.read()?),
        Kind::CtFlushZone => put_number(p, " zone_id=", message.last_u16()?),
        Kind::SetControllerId => put_number(p, " id=", message.last_u16()?),
        Kind::FlowModTableId => {
            let is_on = message.body.peek().first().is_some_and(|byte| *byte != 0);
            text(p, if is_on { " enable" } else { " disable" })
        }
        Kind::SetPacketInFormat => packet_in::format_format(p, message),
        Kind::IpfixBridgeReply => ipfix::format_bridge_reply(p, message),
        Kind::IpfixFlowReply => ipfix::format_flow_reply(p, message),
        Kind::FeaturesRequest
        | Kind::GetConfigRequest
        | Kind::BarrierRequest
        | Kind::BarrierReply
        | Kind::GetAsyncRequest
        | Kind::DescRequest
        | Kind::TableStatsRequest
        | Kind::GroupFeaturesRequest
        | Kind::MeterFeaturesRequest
        | Kind::FlowAge
        | Kind::TlvTableRequest
        | Kind::MonitorPaused
        | Kind::MonitorResumed
        | Kind::IpfixBridgeRequest
        | Kind::IpfixFlowRequest => Ok(()),
    }
}

fn text(p: &mut Printer<'_>, text: &str) -> Result {
    p.push_str(text);
    Ok(())
}

fn put_number(p: &mut Printer<'_>, name: &str, number: impl std::fmt::Display) -> Result {
    put(p, format_args!("{name}{number}"));
    Ok(())
}

/// The flags of a multipart message, if it has any.
fn format_multipart_flags(p: &mut Printer<'_>, flags: u16, bytes: &[u8]) {
    const MORE: u16 = 1;
    if flags == 0 {
        return;
    }
    p.push_str(" flags=");
    // Only requests of OpenFlow 1.3 and later may take several messages.
    let may_have_more = match *bytes {
        [1, message_type, ..] => message_type == 17,
        [2 | 3, message_type, ..] => message_type == 19,
        _ => true,
    };
    let unknown = if may_have_more && flags & MORE != 0 {
        p.push_str("[more]");
        flags & !MORE
    } else {
        flags
    };
    if unknown != 0 {
        put(p, format_args!("[***unknown flags {unknown:#06x}***]"));
    }
}

impl Received<'_> {
    /// Reads all of the body.
    fn read<T: Wire>(mut self) -> Result<T> {
        let found = decoded(T::decode(&mut self.body))?;
        decoded(self.body.finish())?;
        Ok(found)
    }

    /// Reads what the body begins with; Open vSwitch does not look at what follows.
    fn read_front<T: Wire>(mut self) -> Result<T> {
        decoded(T::decode(&mut self.body))
    }

    /// Calls `each` with one structure after the other until the body ends or one is bad.
    fn read_list<T: Wire>(mut self, mut each: impl FnMut(T) -> Result) -> Result {
        while !self.body.is_empty() {
            each(decoded(T::decode(&mut self.body))?)?;
        }
        Ok(())
    }

    /// Reads all of the message; the kinds that Nicira spells in another way are read so.
    fn read_whole(&self) -> Result<Message> {
        decoded(Message::decode(self.whole)).map(|(_, message)| message)
    }

    /// The number that is the last of a body of 8 bytes.
    fn last_u16(mut self) -> Result<u16> {
        decoded(self.body.skip(6))?;
        decoded(self.body.u16())
    }

    /// The number at the front of the body.
    fn first_u32(&mut self) -> Result<u32> {
        decoded(self.body.u32())
    }
}

/// Says what is wrong in the words of an OFPT_ERROR.
fn decoded<T>(result: std::result::Result<T, DecodeError>) -> Result<T> {
    result.map_err(|error| error_code(&error))
}

/// Appends formatted text.
fn put(p: &mut Printer<'_>, arguments: std::fmt::Arguments<'_>) {
    p.write_fmt(arguments).expect("writing to a string does not fail");
}

/// Appends actions with commas between them; none is `drop`.
fn format_actions(p: &mut Printer<'_>, actions: &[Action]) {
    match actions {
        [] => p.put(Role::Drop, "drop"),
        actions => action::format_list(p, actions),
    }
}

fn format_echo(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    put(p, format_args!(" {} bytes of payload\n", message.body.len()));
    if message.verbosity >= Verbosity::MESSAGE {
        hex_dump::format(p, message.body.peek());
    }
    Ok(())
}

/// An error and the message that it is about, or the text of a failed HELLO.
fn format_error(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    let depth = message.depth + 1;
    let mut error: ErrorMsg = message.read()?;
    if error.code.error_type == ErrorCode::EXPERIMENTER && error.code.experimenter == 0 {
        // Nobody's error is read as a standard one of that type.
        error.code = ErrorCode { error_type: error.code.code, code: 0, experimenter: 0 };
    }
    if error.code.name().is_none() {
        return Err(ErrorCode::OFPBRC_BAD_LEN);
    }
    put(p, format_args!(" {}\n", error.code));
    if matches!(error.code, ErrorCode::OFPHFC_INCOMPATIBLE | ErrorCode::OFPHFC_EPERM) {
        format_printable(p, &error.data);
    } else if depth < MAX_DEPTH {
        format(p, &error.data, Verbosity::REPLY, depth);
    } else {
        hex_dump::format(p, &error.data);
    }
    Ok(())
}

/// Text, with what is no printable ASCII as octal escapes.
fn format_printable(p: &mut Printer<'_>, bytes: &[u8]) {
    for byte in bytes {
        match hex_dump::printable(*byte) {
            Some('\\' | '"') | None => put(p, format_args!("\\{byte:03o}")),
            Some(c) => p.push_char(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(bytes: &[u8]) -> String {
        let mut out = String::new();
        print_message(&mut out, bytes, Style::default(), Verbosity::REPLY);
        out
    }

    #[test]
    fn says_what_is_no_message() {
        assert_eq!(printed(&[]), "OpenFlow message is empty\n");
        assert!(
            printed(&[4, 0, 0]).starts_with("OpenFlow packet too short (only 3 bytes):\n00000000  04 00 00")
        );
        assert!(
            printed(&[4, 99, 0, 8, 0, 0, 0, 1]).starts_with("***decode error: OFPBRC_BAD_TYPE***\n00000000")
        );
        assert_eq!(printed(&[4, 5, 0, 8, 0, 0, 0, 1]), "OFPT_FEATURES_REQUEST (OF1.3) (xid=0x1):\n");
    }
}
