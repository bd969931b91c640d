//! Packet-ins.

use super::read::parse_bytes;
use super::{Arguments, format_bytes};
use crate::openflow::Action;
use crate::openflow::action::{Controller, PacketInReason};
use crate::text::error::{ParseError, Piece, Problem};
use crate::text::printer::{Printer, Role};
use crate::types::{MeterId, PortNo};

/// Appends `controller(reason=…,max_len=…)`, or `CONTROLLER:LEN` if that says it all.
pub(super) fn format(out: &mut Printer<'_>, controller: &Controller) {
    if (Controller { max_len: Action::NO_BUFFER, ..controller.clone() }) == Controller::default() {
        super::value(out, Role::Special, "CONTROLLER:", controller.max_len);
        return;
    }
    out.put(Role::Paren, "controller(");
    let mut list = Arguments::default();
    if controller.reason != PacketInReason::ACTION {
        match controller.reason.name() {
            Some(name) => list.add(out, "reason=", name),
            // A table miss, which only flows have that the switch makes for itself.
            None if matches!(controller.reason.0, 6 | 7) => list.add(out, "reason=", ""),
            None => list.add(out, "reason=", controller.reason.0),
        }
    }
    if controller.max_len != Action::NO_BUFFER {
        list.add(out, "max_len=", controller.max_len);
    }
    list.add_unless_zero(out, "id=", controller.controller_id.into());
    if !controller.userdata.is_empty() {
        list.add(out, "userdata=", "");
        format_bytes(out, &controller.userdata);
    }
    if controller.pause {
        list.add_word(out, "pause");
    }
    if let Some(meter) = controller.meter {
        list.add(out, "meter_id=", meter);
    }
    out.put(Role::Paren, ")");
}

/// Reads nothing, a length, or arguments.
pub(super) fn read(value: Piece<'_>) -> Result<Action, ParseError> {
    let mut found = Controller::default();
    if value.text().bytes().all(|byte| byte.is_ascii_digit()) {
        if !value.is_empty() {
            found.max_len = value.u16()?;
        }
    } else {
        for (key, value) in value.key_values() {
            match key.text() {
                "max_len" => found.max_len = value.u16()?,
                "id" => found.controller_id = value.u16()?,
                "reason" => found.reason = read_reason(value)?,
                "userdata" => found.userdata = parse_bytes(value)?,
                "pause" => found.pause = true,
                "meter_id" => found.meter = Some(MeterId(value.u32()?)),
                _ => {
                    let known = "max_len, id, reason, userdata, pause or meter_id";
                    return Err(key.error(Problem::Expected(known)));
                }
            }
        }
    }
    if (Controller { max_len: Action::NO_BUFFER, ..found.clone() }) == Controller::default() {
        return Ok(Action::Output { port: PortNo::CONTROLLER, max_len: found.max_len });
    }
    Ok(Action::Controller(Box::new(found)))
}

fn read_reason(value: Piece<'_>) -> Result<PacketInReason, ParseError> {
    let is_named =
        |reason: &PacketInReason| reason.name().is_some_and(|name| name.eq_ignore_ascii_case(value.text()));
    let known = "no_match, action, invalid_ttl, action_set, group or packet_out";
    (0..=5)
        .map(PacketInReason)
        .find(is_named)
        .or_else(|| value.u8().ok().map(PacketInReason))
        .ok_or_else(|| value.error(Problem::Expected(known)))
}
