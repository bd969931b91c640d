//! Packet-ins.

use super::{Arguments, format_bytes};
use crate::openflow::Action;
use crate::openflow::action::{Controller, PacketInReason};
use crate::text::printer::{Printer, Role};

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
