//! Carries out what was decided, and waits until ovs-vswitchd has done it.
//!
//! A transaction only changes the database. It raises `next_cfg`, and ovs-vswitchd copies that to `cur_cfg` when it has
//! caught up: the same handshake that ovs-vsctl uses.

use std::sync::Arc;
use std::time::Duration;

use crate::bridge::desired::Desired;
use crate::bridge::reconcile::reconcile;
use crate::ovsdb::{Atom, Client, Error, Mutation, Operation, Outcome, Replica};

/// Open vSwitch on this node, through its database.
#[derive(Debug, Clone)]
pub struct Switch {
    client: Client,
    patience: Duration,
}

/// Why the switch did not do as it was told.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchError {
    /// The database refused or could not be reached.
    #[error("OVSDB: {0}")]
    Ovsdb(#[from] Error),
    /// The database has it, but ovs-vswitchd has not done it in time: it hangs or does not run.
    #[error("ovs-vswitchd has not answered for {waited:?}")]
    Silent {
        /// How long it was given.
        waited: Duration,
    },
    /// There is no br-int yet.
    #[error("there is no br-int")]
    NoBridge,
}

impl Switch {
    /// Works through `client`, which must monitor `bridge::MONITORED`; waits for database and ovs-vswitchd for at most
    /// `patience`, each time.
    pub fn new(client: Client, patience: Duration) -> Self {
        Self { client, patience }
    }

    /// The connection to the database.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The replica of a live connection.
    ///
    /// # Errors
    /// `Ovsdb(NotConnected)` if the connection does not become live in time.
    pub async fn replica(&self) -> Result<Arc<Replica>, SwitchError> {
        let live = tokio::time::timeout(self.patience, self.client.live()).await;
        Ok(live.map_err(|_| Error::NotConnected)??)
    }

    /// Brings the bridges to what is desired; true if anything had to be done.
    ///
    /// # Errors
    /// See `SwitchError`; nothing is half done but what ovs-vswitchd has yet to do.
    pub async fn reconcile(&self, desired: &Desired) -> Result<bool, SwitchError> {
        let operations = reconcile(self.replica().await?.as_ref(), desired);
        if operations.is_empty() {
            return Ok(false);
        }
        tracing::info!(n_operations = operations.len(), "bridges differ from what is desired");
        self.apply(operations).await?;
        Ok(true)
    }

    /// Carries out a transaction and waits until ovs-vswitchd has caught up with it.
    ///
    /// # Errors
    /// See `SwitchError`.
    pub async fn apply(&self, mut operations: Vec<Operation>) -> Result<(), SwitchError> {
        operations.push(Operation::Mutate {
            table: "Open_vSwitch",
            conditions: Vec::new(),
            mutations: vec![Mutation::add("next_cfg", 1)],
        });
        operations.push(Operation::Select {
            table: "Open_vSwitch",
            conditions: Vec::new(),
            columns: vec!["next_cfg"],
        });
        let outcomes = self.client.transact(operations).await?;
        let Some(next) = outcomes.last().and_then(next_cfg) else { return Ok(()) };
        self.wait_for(|replica| {
            let current = replica.rows("Open_vSwitch").find_map(|(_, row)| row.integer("cur_cfg"));
            current.filter(|current| *current >= next).map(drop)
        })
        .await
    }

    /// Waits, for as long as the switch is given, until `look` finds what it wants.
    pub(crate) async fn wait_for<T>(
        &self,
        look: impl FnMut(&Replica) -> Option<T>,
    ) -> Result<T, SwitchError> {
        let found = tokio::time::timeout(self.patience, self.client.wait_for(look)).await;
        Ok(found.map_err(|_| SwitchError::Silent { waited: self.patience })??)
    }
}

fn next_cfg(outcome: &Outcome) -> Option<i64> {
    let (_, datum) = outcome.rows.first()?.first()?;
    match datum.as_atom()? {
        Atom::Integer(next) => Some(*next),
        _ => None,
    }
}
