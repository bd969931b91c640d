//! A table as it was between two equal readings of its ledger.
//!
//! A row whose digest is 0 is kept like any other. It claims nothing, so the controller compares that segment flow by flow
//! when it is there again; and a switch that refuses one flow for days keeps such a row for days, in which the rest of the
//! table goes on changing and must not be given back as it was before.

use flowlib::openflow::{
    Flow, FlowModFlags, FlowStatsRequest, Group, Meter, MultipartReplyBody, MultipartRequestBody,
};
use flowlib::types::DatapathId;

use crate::restore::mgmt::{Management, MgmtError};

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
