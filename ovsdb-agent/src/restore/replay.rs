//! Gives a table back, all of it or nothing.
//!
//! Groups and flows go in one atomic, ordered bundle; meters, which cannot, go before. The bundle must not land on what
//! the controller has begun meanwhile. A row's own OFPFF_CHECK_OVERLAP would not do: Open vSwitch takes a flow with
//! the very same match for a change of it, not for an overlap. So the bundle begins with a flow that overlaps every row
//! the ledger can have, with that flag, and takes it away again: the commit fails if there is any row by then.

use flowlib::openflow::{
    BundleAdd, BundleControl, BundleControlType, BundleFlags, ErrorCode, ErrorMsg, Flow, FlowMod,
    FlowModFlags, GroupMod, Message, MeterMod,
};
use flowlib::types::{Priority, Xid};

use crate::restore::mgmt::{LEDGER, Management, MgmtError};
use crate::restore::snapshot::Snapshot;

/// What came of giving a table back.
#[derive(Debug)]
pub enum Replayed {
    /// The switch has it.
    Done,
    /// The ledger was not empty any more; nothing was changed.
    ControllerFirst,
    /// The switch refused one of the messages; nothing was changed but, maybe, meters made.
    Refused(ErrorMsg),
}

/// Sends the table to a switch whose ledger is empty.
///
/// # Errors
/// See `MgmtError`: the connection is of no more use, and the switch has all of the bundle or nothing.
pub async fn replay(management: &mut Management, snapshot: &Snapshot) -> Result<Replayed, MgmtError> {
    for meter in &snapshot.meters {
        management.send(&Message::MeterMod(MeterMod::add(meter.clone())))?;
    }
    // A meter that is there already is the controller's, or of an attempt before: the same, since it has the same id.
    let errors = management.barrier().await?;
    if let Some(error) = errors.into_values().find(|error| error.code != ErrorCode::OFPMMFC_METER_EXISTS) {
        return Ok(Replayed::Refused(error));
    }
    if let Err(error) = control(management, BundleControlType::OPEN_REQUEST).await? {
        return Ok(Replayed::Refused(error));
    }
    let sentinel = fill(management, snapshot)?;
    // What is refused when it is added is not part of the bundle, and commit would go on without it.
    let errors = management.barrier().await?;
    if let Some(error) = errors.into_values().next() {
        return match control(management, BundleControlType::DISCARD_REQUEST).await? {
            Ok(()) => Ok(Replayed::Refused(error)),
            Err(error) => Err(MgmtError::Refused(error)),
        };
    }
    let answer = management.ask(&control_message(BundleControlType::COMMIT_REQUEST)).await?;
    let Err(error) = answer.reply else { return Ok(Replayed::Done) };
    if answer.errors.contains_key(&sentinel) {
        return Ok(Replayed::ControllerFirst);
    }
    Ok(Replayed::Refused(answer.errors.into_values().next().unwrap_or(error)))
}

/// Adds everything to the bundle; the xid of the flow whose refusal means that the ledger is not empty.
fn fill(management: &mut Management, snapshot: &Snapshot) -> Result<Xid, MgmtError> {
    let any_row = Flow { table: LEDGER, priority: ROW_PRIORITY, ..Flow::default() };
    let overlapping = FlowMod { flags: FlowModFlags::CHECK_OVERLAP, ..FlowMod::add(&any_row) };
    let sentinel = add(management, Message::FlowMod(overlapping))?;
    add(management, Message::FlowMod(FlowMod::delete_strict(&any_row)))?;
    for group in &snapshot.groups {
        add(management, Message::GroupMod(GroupMod::add(group.clone())))?;
    }
    for flow in &snapshot.flows {
        add(management, Message::FlowMod(FlowMod::add(flow)))?;
    }
    Ok(sentinel)
}

fn add(management: &mut Management, message: Message) -> Result<Xid, MgmtError> {
    management.send(&Message::BundleAdd(BundleAdd::new(BUNDLE, flags(), message)))
}

async fn control(
    management: &mut Management,
    kind: BundleControlType,
) -> Result<Result<(), ErrorMsg>, MgmtError> {
    Ok(management.ask(&control_message(kind)).await?.reply.map(drop))
}

fn control_message(kind: BundleControlType) -> Message {
    Message::BundleControl(BundleControl::new(BUNDLE, kind, flags()))
}

fn flags() -> BundleFlags {
    BundleFlags::ATOMIC | BundleFlags::ORDERED
}

/// Bundle ids are the connection's own, and it has one at a time.
const BUNDLE: u32 = 1;
/// The priority of every ledger row.
const ROW_PRIORITY: Priority = Priority(1);
