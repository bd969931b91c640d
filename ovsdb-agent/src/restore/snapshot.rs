//! A table as it was at one moment at which it was whole.

use flowlib::openflow::{
    Action, Flow, FlowModFlags, FlowStatsRequest, Group, Instruction, Meter, MultipartReplyBody,
    MultipartRequestBody, oxm::FieldValue,
};
use flowlib::types::DatapathId;

use crate::restore::mgmt::{LEDGER, Management, MgmtError};

/// Everything that a bridge forgets when ovs-vswitchd ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose table it is.
    pub datapath_id: DatapathId,
    /// All meters.
    pub meters: Vec<Meter>,
    /// All groups.
    pub groups: Vec<Group>,
    /// All flows, ledger rows included, sorted.
    pub flows: Vec<Flow>,
}

/// What came of looking.
#[derive(Debug)]
pub enum Taken {
    /// The table, whole.
    Whole(Snapshot),
    /// Not whole, and why.
    Not(&'static str),
}

/// Reads the switch's table, between two readings of its ledger.
///
/// # Errors
/// See `MgmtError`. That the table was being changed is no error.
pub async fn take(management: &mut Management) -> Result<Taken, MgmtError> {
    let before = management.ledger().await?;
    if before.is_empty() {
        return Ok(Taken::Not("the ledger is empty"));
    }
    if !before.iter().all(has_digest) {
        return Ok(Taken::Not("a segment is being changed"));
    }
    let datapath_id = management.datapath_id().await?;
    let mut flows = management.flows(FlowStatsRequest::default()).await?;
    let groups = match management.dump(MultipartRequestBody::GroupDesc).await? {
        MultipartReplyBody::GroupDesc(groups) => groups,
        _ => return Err(MgmtError::Unexpected { what: "a request for groups" }),
    };
    let meters = match management.dump(MultipartRequestBody::all_meters()).await? {
        MultipartReplyBody::MeterConfig(meters) => meters,
        _ => return Err(MgmtError::Unexpected { what: "a request for meters" }),
    };
    if management.ledger().await? != before {
        return Ok(Taken::Not("the ledger changed meanwhile"));
    }
    for flow in &mut flows {
        // Would make the switch refuse a flow that overlaps another; it belongs to the message, not to the flow.
        flow.flags.remove(FlowModFlags::CHECK_OVERLAP);
    }
    Ok(Taken::Whole(Snapshot { datapath_id, meters, groups, flows }))
}

/// True if a ledger row claims something: any part of its digest is not 0.
pub fn has_digest(row: &Flow) -> bool {
    debug_assert_eq!(row.table, LEDGER);
    row.instructions.iter().any(|instruction| match instruction {
        Instruction::ApplyActions(actions) => actions.iter().any(|action| match action {
            Action::RegLoad { value, .. } => *value != 0,
            Action::SetField { value, .. } => *value != FieldValue::ZERO,
            _ => false,
        }),
        _ => false,
    })
}
