//! What Open vSwitch alone takes to add a port: nothing that is built on it can be faster.

use std::time::{Duration, Instant};

use anyhow::Context;
use ovsdb_agent::ovsdb::monitor::TableRequest;
use ovsdb_agent::ovsdb::{Address, Atom, Client, Condition, Config, Mutation, Operation, Replica, Settings};
use tokio::time::timeout;

use crate::ovs::Ovs;
use crate::place::Place;
use crate::state::State;

/// A bridge in a node's Open vSwitch, beside the one with the endpoints: in the userspace datapath, all ports of one
/// ovs-vswitchd count. Dropping it removes all that was made.
pub(crate) struct Floor {
    ovs: Ovs,
    place: Place,
    client: Client,
}

/// How long it took to add the same port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Added {
    /// With `ovs-vsctl add-port`, from start to end.
    pub(crate) by_vsctl: Duration,
    /// With one OVSDB transaction on an open connection, until the port has its number.
    pub(crate) by_transaction: Duration,
}

impl Floor {
    /// Makes the bridge, and a link to add to it.
    ///
    /// # Errors
    /// If the node's Open vSwitch does not answer, or the names are taken.
    pub(crate) fn open(state: &State, node: &str) -> anyhow::Result<Floor> {
        let ovs = Ovs::of(state, node)?;
        let address = Address::Unix(ovs.rundir().join("db.sock"));
        let client = Client::start(Config::new(address, Settings::new("Open_vSwitch", MONITORED)));
        let floor = Floor { ovs, place: Place::machine(state, node)?, client };
        floor.ovs.vsctl(["add-br", BRIDGE, "--", "set", "Bridge", BRIDGE, "datapath_type=netdev"])?;
        floor.place.run(["ip", "link", "add", PORT, "type", "veth", "peer", "name", PEER])?;
        Ok(floor)
    }

    /// Adds the port in both ways, and takes it away again.
    ///
    /// # Errors
    /// If Open vSwitch refuses or does not answer.
    pub(crate) async fn add(&self) -> anyhow::Result<Added> {
        let start = Instant::now();
        self.ovs.vsctl(["add-port", BRIDGE, PORT])?;
        let by_vsctl = start.elapsed();
        self.ovs.vsctl(["del-port", BRIDGE, PORT])?;
        let by_transaction =
            timeout(PATIENCE, self.transact()).await.context("ovs-vswitchd does not answer")??;
        self.ovs.vsctl(["del-port", BRIDGE, PORT])?;
        Ok(Added { by_vsctl, by_transaction })
    }

    async fn transact(&self) -> anyhow::Result<Duration> {
        self.client.live().await?;
        // What ovs-vsctl has done was not waited for by this connection.
        let bridge = |replica: &Replica| match replica.named("Interface", PORT) {
            None => replica.named("Bridge", BRIDGE).map(|(uuid, _)| uuid),
            Some(_) => None,
        };
        let bridge = self.client.wait_for(bridge).await?;
        let interface = Atom::NamedUuid("interface".to_owned());
        let insert = |table, name: &str, mut row: Vec<_>| {
            row.push(("name", PORT.into()));
            Operation::Insert { table, name: Some(name.to_owned()), row }
        };
        let operations = vec![
            insert("Interface", "interface", Vec::new()),
            insert("Port", "port", vec![("interfaces", interface.into())]),
            Operation::Mutate {
                table: "Bridge",
                conditions: vec![Condition::row(bridge)],
                mutations: vec![Mutation::insert("ports", Atom::NamedUuid("port".to_owned()))],
            },
        ];
        let start = Instant::now();
        self.client.transact(operations).await?;
        let number = |replica: &Replica| replica.named("Interface", PORT)?.1.integer("ofport");
        self.client.wait_for(number).await?;
        Ok(start.elapsed())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let bridge = self.ovs.vsctl(["--if-exists", "del-br", BRIDGE]);
        let link = self.place.run(["ip", "link", "del", PORT]);
        for problem in [bridge.err(), link.err()].into_iter().flatten() {
            eprintln!("{BRIDGE} is not removed: {problem:#}");
        }
    }
}

const BRIDGE: &str = "weir-floor";
const PORT: &str = "wfloor";
const PEER: &str = "wfloor-peer";
const PATIENCE: Duration = Duration::from_secs(10);
const MONITORED: &[TableRequest] = &[
    TableRequest { table: "Bridge", columns: &["name"] },
    TableRequest { table: "Interface", columns: &["name", "ofport"] },
];
