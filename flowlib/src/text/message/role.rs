//! Roles of controllers.

use super::super::printer::Printer;
use super::{Received, Result, decoded, put};
use crate::openflow::role::{ControllerRole, NxRole, RoleReason};
use crate::openflow::{Role, RoleStatus};
use crate::wire::{Part, Wire};

fn format_role(p: &mut Printer<'_>, role: ControllerRole) {
    put(p, format_args!(" role={role}"));
}

/// A request for the role as it is bears no generation.
pub(super) fn format_request(p: &mut Printer<'_>, request: &Role) -> Result {
    format_role(p, request.role);
    if request.role != ControllerRole::NO_CHANGE && request.generation_id != u64::MAX {
        put(p, format_args!(" generation_id={}", request.generation_id));
    }
    Ok(())
}

pub(super) fn format_reply(p: &mut Printer<'_>, reply: &Role) -> Result {
    format_role(p, reply.role);
    if reply.generation_id != u64::MAX {
        put(p, format_args!(" generation_id={}", reply.generation_id));
    }
    Ok(())
}

pub(super) fn format_nx(p: &mut Printer<'_>, role: NxRole) -> Result {
    format_role(
        p,
        match role {
            NxRole::PRIMARY => ControllerRole::PRIMARY,
            NxRole::SECONDARY => ControllerRole::SECONDARY,
            _ => ControllerRole::EQUAL,
        },
    );
    Ok(())
}

/// Whatever properties follow it.
pub(super) fn format_status(p: &mut Printer<'_>, mut message: Received<'_>) -> Result {
    const LEN: usize = 16;
    let mut body = decoded(message.body.sub(LEN, Part::Role))?;
    let status = decoded(RoleStatus::decode(&mut body))?;
    format_role(p, status.role);
    put(p, format_args!(" generation_id={} reason=", status.generation_id));
    p.push_str(match status.reason {
        RoleReason::PRIMARY_REQUEST => "primary_request",
        RoleReason::CONFIG => "configuration_changed",
        RoleReason::EXPERIMENTER => "experimenter_data_changed",
        _ => "(unknown)",
    });
    Ok(())
}
