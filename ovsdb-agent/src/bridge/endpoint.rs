//! One endpoint's port: the short way from "plug it" to a port number.
//!
//! Creating a container waits for this, so it takes one transaction and as long as ovs-vswitchd needs; nothing is
//! compared, nothing is polled.

use std::collections::BTreeSet;

use crate::bridge::desired::{BR_INT, EndpointPort, TUNNEL, UPLINK, endpoint_of};
use crate::bridge::reconcile::{Attached, add_endpoint, interfaces_of, is_same_port, remove_ports};
use crate::bridge::switch::{Switch, SwitchError};
use crate::ovsdb::{Outcome, Replica, Row, Uuid};

/// Why an endpoint has no port.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PlugError {
    /// Open vSwitch gave another number, since the one asked for was in use. The port is gone again.
    #[error("port number taken: Open vSwitch gave {got}")]
    OfportTaken {
        /// The number it gave.
        got: u16,
    },
    /// Open vSwitch could not use the link, for example because it is not there. The port is gone again.
    #[error("Open vSwitch refused the port: {reason}")]
    Refused {
        /// `Interface.error`.
        reason: String,
    },
    /// A port of this name is there and is not this endpoint's.
    #[error("a port named {name} is there and belongs to another")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// Database or switch failed; the port may be there or not. Plugging again is safe, and so is unplugging.
    #[error(transparent)]
    Switch(#[from] SwitchError),
}

/// An endpoint's port as Open vSwitch has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointState {
    /// The endpoint.
    pub endpoint_id: u32,
    /// The interface's name.
    pub name: String,
    /// The number asked for.
    pub requested: Option<u16>,
    /// The number it has; `None` while it has none, or failed.
    pub ofport: Option<u16>,
    /// Why it has none.
    pub error: Option<String>,
    /// Whether its link is up; `None` while unknown.
    pub is_up: Option<bool>,
}

impl EndpointState {
    /// True if it has the number asked for.
    pub fn is_plugged(&self) -> bool {
        self.ofport.is_some() && self.ofport == self.requested
    }

    fn new(endpoint_id: u32, interface: &Row) -> Self {
        Self {
            endpoint_id,
            name: interface.string("name").unwrap_or_default().to_owned(),
            requested: interface.integer("ofport_request").and_then(|number| u16::try_from(number).ok()),
            ofport: ofport(interface),
            error: interface.string("error").map(str::to_owned),
            is_up: interface.string("link_state").map(|state| state == "up"),
        }
    }
}

/// All of Weir's endpoints on br-int.
pub fn endpoints(replica: &Replica) -> Vec<EndpointState> {
    interfaces(replica).filter_map(|at| Some(EndpointState::new(endpoint_of(at.row)?, at.row))).collect()
}

/// Port numbers on br-int that are neither endpoints nor uplink, tunnel and local port: numbers not to be used.
pub fn foreign_ofports(replica: &Replica) -> BTreeSet<u32> {
    let is_own = |row: &Row| {
        matches!(row.string("name"), Some(UPLINK | TUNNEL | BR_INT)) || endpoint_of(row).is_some()
    };
    interfaces(replica).filter(|at| !is_own(at.row)).filter_map(|at| ofport(at.row)).map(u32::from).collect()
}

impl Switch {
    /// Whether an endpoint has its port, under this name and number.
    pub async fn is_plugged(&self, wanted: &EndpointPort) -> bool {
        let replica = self.replica().await;
        replica.is_ok_and(|replica| interfaces(&replica).any(|at| is_same_port(at.row, wanted)))
    }

    /// Gives an endpoint its port and waits until it has its number. The link must be there.
    ///
    /// Does nothing but look if the port is there already, so it may be repeated at any time. A port that the endpoint
    /// has under another name or number, or that has failed before, is removed first.
    ///
    /// # Errors
    /// See `PlugError`.
    pub async fn plug(&self, wanted: &EndpointPort) -> Result<(), PlugError> {
        let mut replica = self.replica().await?;
        let is_sound = |row: &Row| is_same_port(row, wanted) && row.string("error").is_none();
        let is_unsound = |row: &Row| endpoint_of(row) == Some(wanted.endpoint_id) && !is_sound(row);
        if interfaces(&replica).any(|at| is_unsound(at.row)) {
            self.unplug(wanted.endpoint_id).await?;
            replica = self.replica().await?;
        }
        let interface = match replica.named("Interface", &wanted.name) {
            Some((uuid, row)) if is_same_port(row, wanted) => uuid,
            Some(_) => return Err(PlugError::NameTaken { name: wanted.name.clone() }),
            None => {
                let (bridge, _) = replica.named("Bridge", BR_INT).ok_or(SwitchError::NoBridge)?;
                let outcomes = self.client().transact(add_endpoint(bridge, wanted)).await;
                let outcomes = outcomes.map_err(SwitchError::Ovsdb)?;
                outcomes.iter().find_map(|Outcome { uuid, .. }| *uuid).ok_or(SwitchError::NoBridge)?
            }
        };
        let plugged = self.wait_for(|replica| number_of(replica, interface)).await?;
        let failed = match plugged {
            Ok(got) if got == wanted.ofport => return Ok(()),
            Ok(got) => PlugError::OfportTaken { got },
            Err(reason) => PlugError::Refused { reason },
        };
        self.unplug(wanted.endpoint_id).await?;
        Err(failed)
    }

    /// Takes away an endpoint's port and waits until ovs-vswitchd has let go of it; true if there was one.
    ///
    /// # Errors
    /// `SwitchError`; the port may be there or not. Unplugging again is safe.
    pub async fn unplug(&self, endpoint_id: u32) -> Result<bool, SwitchError> {
        let replica = self.replica().await?;
        let Some((bridge, row)) = replica.named("Bridge", BR_INT) else { return Ok(false) };
        let is_own = |at: &Attached<'_>| endpoint_of(at.row) == Some(endpoint_id);
        let ports: BTreeSet<Uuid> = interfaces_of(&replica, row).filter(is_own).map(|at| at.port).collect();
        if ports.is_empty() {
            return Ok(false);
        }
        self.apply(vec![remove_ports(bridge, ports)]).await?;
        Ok(true)
    }
}

/// The interfaces on br-int.
fn interfaces(replica: &Replica) -> impl Iterator<Item = Attached<'_>> {
    replica.named("Bridge", BR_INT).into_iter().flat_map(|(_, bridge)| interfaces_of(replica, bridge))
}

/// -1 stands for a port that could not be made.
fn ofport(interface: &Row) -> Option<u16> {
    interface.integer("ofport").and_then(|number| u16::try_from(number).ok())
}

/// The number an interface got, or why it has none; `None` while ovs-vswitchd has not said.
fn number_of(replica: &Replica, interface: Uuid) -> Option<Result<u16, String>> {
    let Some(row) = replica.row("Interface", interface) else {
        return Some(Err("another has removed it".to_owned()));
    };
    match (row.string("error"), row.integer("ofport")) {
        (Some(error), _) => Some(Err(error.to_owned())),
        (None, None) => None,
        (None, Some(_)) => Some(ofport(row).ok_or_else(|| "no port number".to_owned())),
    }
}
