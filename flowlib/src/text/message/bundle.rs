//! Bundles, and messages that hold others.

use super::super::printer::Printer;
use super::kind::{Headers, Kind};
use super::{BAD_BUNDLE_VERSION, Received, Result, bits, decoded, format, group, meter, put};
use crate::openflow::{BundleControl, ErrorCode, HEADER_LEN};
use crate::wire::{Part, Reader};

const FLAGS: &[(u32, &str)] = &[(0, "atomic"), (1, "ordered")];

/// Appends a number in hex as `%#x` of C does.
fn format_id(p: &mut Printer<'_>, bundle: u32) {
    match bundle {
        0 => p.push_str("\n bundle_id=0"),
        bundle => put(p, format_args!("\n bundle_id={bundle:#x}")),
    }
}

pub(super) fn format_control(p: &mut Printer<'_>, control: &BundleControl) -> Result {
    format_id(p, control.bundle_id);
    put(p, format_args!(" type={} flags=", control.control_type.name().unwrap_or_default()));
    bits::format(p, control.flags.bits().into(), FLAGS);
    Ok(())
}

/// The message that another one holds, whatever follows it.
///
/// # Errors
/// `OFPBFC_MSG_BAD_LEN`.
fn inner<'a>(body: &Reader<'a>) -> Result<&'a [u8]> {
    let bytes = body.peek();
    let len = bytes.get(2..4).map_or(0, |len| len.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)));
    let message = bytes.get(..len).filter(|message| message.len() >= HEADER_LEN);
    message.ok_or(ErrorCode::OFPBFC_MSG_BAD_LEN)
}

/// Only the headers of the message in it must be right.
pub(super) fn format_add(p: &mut Printer<'_>, mut message: Received<'_>) -> Result {
    let bundle = message.first_u32()?;
    decoded(message.body.skip(2))?;
    let flags = decoded(message.body.u16())?;
    let added = inner(&message.body)?;
    if added.get(4..8) != message.whole.get(4..8) {
        return Err(ErrorCode::OFPBFC_MSG_BAD_XID);
    }
    if added.first() != message.whole.first() {
        return Err(BAD_BUNDLE_VERSION);
    }
    let headers = Headers::read(added).and_then(|headers| headers.check_len(added.len()).map(|()| headers));
    let kind = headers.map_err(|_| ErrorCode::OFPBFC_MSG_UNSUP)?.entry.kind;
    if !matches!(kind, Kind::FlowMod | Kind::NxFlowMod | Kind::GroupMod | Kind::PortMod | Kind::PacketOut) {
        return Err(ErrorCode::OFPBFC_MSG_UNSUP);
    }
    format_id(p, bundle);
    p.push_str(" flags=");
    bits::format(p, flags.into(), FLAGS);
    p.push_str("\n");
    format(p, added, message.verbosity, message.depth + 1);
    Ok(())
}

pub(super) fn format_forward(p: &mut Printer<'_>, message: Received<'_>) -> Result {
    let request = inner(&message.body)?;
    if request.first() != message.whole.first() {
        return Err(ErrorCode::OFPBRC_BAD_VERSION);
    }
    let headers = Headers::read(request)?;
    headers.check_len(request.len())?;
    let body = Reader::at(request.get(headers.len..).unwrap_or_default(), Part::Message, headers.len);
    let start = p.text().len();
    let kind = headers.entry.kind;
    p.push_str(if kind == Kind::GroupMod { " reason=group_mod" } else { " reason=meter_mod" });
    let message = Received { whole: request, body, ..message };
    let result = match kind {
        Kind::GroupMod => group::format_mod(p, message),
        Kind::MeterMod => meter::format_mod(p, message),
        _ => Err(ErrorCode::OFPBFC_MSG_UNSUP),
    };
    if result.is_err() {
        p.truncate(start);
    }
    result
}
