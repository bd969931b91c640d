//! What Open vSwitch counts: the traffic of each interface, by its database, and what the pipeline discards, by OpenFlow.

use std::{collections::BTreeMap, path::Path, time::Duration};

use flowlib::{
    openflow::{FieldValue, FlowStatsRequest, MultipartReplyBody, MultipartRequestBody},
    pipeline::{drop_reason::DropReason, register, table::Table},
};

use crate::{
    bridge::desired::endpoint_of,
    ovsdb::{Atom, Client, Datum, Error, Operation, Row},
    restore::mgmt::{Management, MgmtError},
    runtime::EndpointId,
};

/// An interface of any of the node's bridges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The endpoint whose it is.
    pub endpoint: Option<EndpointId>,
    /// Its link is up.
    pub is_up: bool,
    /// What it received and sent; for an endpoint's that is what the container sent and received.
    pub received: Traffic,
    /// As `received`.
    pub sent: Traffic,
}

/// What went in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets that were dropped.
    pub dropped: u64,
    /// Packets that were damaged.
    pub errors: u64,
}

/// All interfaces with their counters, which ovs-vswitchd writes into its database every 5 s.
///
/// # Errors
/// The database's.
pub async fn interfaces(client: &Client) -> Result<Vec<Interface>, Error> {
    let columns = vec!["name", "external_ids", "link_state", "statistics"];
    let outcomes = client
        .transact(vec![Operation::Select { table: "Interface", conditions: Vec::new(), columns }])
        .await?;
    let rows = outcomes.into_iter().flat_map(|outcome| outcome.rows);
    Ok(rows.map(|columns| interface(&Row::new(columns))).collect())
}

fn interface(row: &Row) -> Interface {
    let traffic = |direction: &str| {
        let count = |what| statistic(row, &format!("{direction}_{what}"));
        Traffic {
            bytes: count("bytes"),
            packets: count("packets"),
            dropped: count("dropped"),
            errors: count("errors"),
        }
    };
    Interface {
        name: row.string("name").unwrap_or_default().to_owned(),
        endpoint: endpoint_of(row),
        is_up: row.string("link_state") == Some("up"),
        received: traffic("rx"),
        sent: traffic("tx"),
    }
}

fn statistic(row: &Row, key: &str) -> u64 {
    let Some(Datum::Map(pairs)) = row.column("statistics") else { return 0 };
    match pairs.get(&Atom::from(key)) {
        Some(Atom::Integer(n)) => u64::try_from(*n).unwrap_or(0),
        _ => 0,
    }
}

/// The packets that br-int has discarded since its flows were made, by reason.
///
/// # Errors
/// The switch does not answer on the socket.
pub async fn drops(socket: &Path, patience: Duration) -> Result<BTreeMap<DropReason, u64>, MgmtError> {
    let mut switch = Management::connect(socket, patience).await?;
    let request = FlowStatsRequest::of_table(Table::Drop.id());
    let MultipartReplyBody::Flow(flows) = switch.dump(MultipartRequestBody::Flow(request)).await? else {
        return Err(MgmtError::Unexpected { what: "a request for flows" });
    };
    let counted = flows.into_iter().filter_map(|stats| {
        let number = stats.flow.flow_match.exact(register::DROP_REASON.field)?;
        let is_it = |reason: &DropReason| FieldValue::from(reason.number()) == number;
        Some((DropReason::ALL.into_iter().find(is_it)?, stats.packet_count))
    });
    Ok(counted.collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap as Map;

    use super::*;
    use crate::bridge::desired::ENDPOINT_KEY;

    #[test]
    fn an_interface_is_read_with_whatever_it_counts() {
        let statistics = [("rx_bytes", 700), ("rx_packets", 7), ("tx_dropped", 2), ("collisions", -1)];
        let statistics: Map<Atom, Atom> =
            statistics.into_iter().map(|(key, n)| (Atom::from(key), Atom::from(n))).collect();
        let row = Row::new([
            ("name".to_owned(), Datum::set(["we1024"])),
            ("external_ids".to_owned(), Datum::map([(ENDPOINT_KEY, "7")])),
            ("link_state".to_owned(), Datum::set(["up"])),
            ("statistics".to_owned(), Datum::Map(statistics)),
        ]);
        let expected = Interface {
            name: "we1024".to_owned(),
            endpoint: Some(7),
            is_up: true,
            received: Traffic { bytes: 700, packets: 7, ..Traffic::default() },
            sent: Traffic { dropped: 2, ..Traffic::default() },
        };
        assert_eq!(interface(&row), expected);
        let bare = Row::new([("statistics".to_owned(), Datum::empty())]);
        assert_eq!(interface(&bare).received, Traffic::default());
    }
}
