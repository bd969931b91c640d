//! Starts of single ports: how long until the first reply, and whose flows change.

use std::time::{Duration, Instant};

use anyhow::Context;
use ovsdb_agent::ovsdb::monitor::TableRequest;
use ovsdb_agent::ovsdb::{Address, Atom, Client, Condition, Config, Datum, Mutation, Operation, Settings};
use tokio::time::timeout;

use crate::benchmarks::bare::Unplugged;
use crate::benchmarks::ovn::{Ovn, SWITCH, addresses, logical_port};
use crate::benchmarks::seat::Seat;
use crate::report::echo::EchoSocket;
use crate::report::latency::ping_until_reply;

/// Open connections to the northbound database and to a node's, so that no program is started while time is taken.
pub(super) struct Starts<'a> {
    ovn: &'a mut Ovn,
    northbound: Client,
    node: Client,
}

impl<'a> Starts<'a> {
    /// Of ports on the first node.
    pub(super) fn open(ovn: &'a mut Ovn) -> anyhow::Result<Starts<'a>> {
        let client = |path, database, tables| {
            Client::start(Config::new(Address::Unix(path), Settings::new(database, tables)))
        };
        let socket = ovn.bare.lab.node(&ovn.bare.nodes[0])?.rundir().join("db.sock");
        let northbound = client(ovn.socket("nb"), "OVN_Northbound", NORTHBOUND);
        Ok(Starts { northbound, node: client(socket, "Open_vSwitch", NODE), ovn })
    }

    /// From the two transactions, sent at once, to the first reply that `observer` gets; the port is gone again then. Its
    /// namespace and link are there before, and `observer` knows its MAC address: the kernel would ask only once a second.
    pub(super) async fn time(&mut self, observer: &Seat, number: u32) -> anyhow::Result<Duration> {
        let endpoint = self.make()?;
        let (address, mac) = (endpoint.seat.address.to_string(), endpoint.seat.mac.to_string());
        let known =
            ["ip", "neighbour", "replace", &address, "lladdr", &mac, "dev", "eth0", "nud", "permanent"];
        observer.place.run(known)?;
        let socket = EchoSocket::open(observer.place.namespace())?;
        self.northbound.live().await?;
        self.node.live().await?;
        let start = Instant::now();
        let reply = async {
            ping_until_reply(&socket, &[endpoint.seat.address], number).await?;
            anyhow::Ok(start.elapsed())
        };
        let all = async { tokio::try_join!(self.logical(&endpoint), self.plug(&endpoint), reply) };
        let ((), (), took) = timeout(PATIENCE, all).await.context("no reply in time")??;
        self.remove(&endpoint)?;
        Ok(took)
    }

    /// Adds a port, and looks at something before and after.
    pub(super) async fn around<T>(
        &mut self,
        look: impl Fn(&Ovn) -> anyhow::Result<T>,
    ) -> anyhow::Result<(T, T)> {
        let endpoint = self.make()?;
        self.ovn.sync()?;
        let before = look(self.ovn)?;
        self.logical(&endpoint).await?;
        self.plug(&endpoint).await?;
        self.ovn.until_up()?;
        let after = look(self.ovn)?;
        self.remove(&endpoint)?;
        Ok((before, after))
    }

    /// An endpoint on the first node: the numbers in between are left out.
    fn make(&mut self) -> anyhow::Result<Unplugged> {
        self.ovn.bare.skip_to_first();
        self.ovn.bare.endpoints(1)?.pop().context("no endpoint was made")
    }

    async fn logical(&self, endpoint: &Unplugged) -> anyhow::Result<()> {
        let switch = |replica: &ovsdb_agent::ovsdb::Replica| {
            replica.named("Logical_Switch", SWITCH).map(|(uuid, _)| uuid)
        };
        let switch = self.northbound.wait_for(switch).await?;
        let row = vec![("name", logical_port(endpoint).into()), ("addresses", addresses(endpoint).into())];
        let mutation = Mutation::insert("ports", Atom::NamedUuid("port".to_owned()));
        let operations = vec![
            Operation::Insert { table: "Logical_Switch_Port", name: Some("port".to_owned()), row },
            Operation::Mutate {
                table: "Logical_Switch",
                conditions: vec![Condition::row(switch)],
                mutations: vec![mutation],
            },
        ];
        self.northbound.transact(operations).await?;
        Ok(())
    }

    async fn plug(&self, endpoint: &Unplugged) -> anyhow::Result<()> {
        let bridge =
            |replica: &ovsdb_agent::ovsdb::Replica| replica.named("Bridge", "br-int").map(|(uuid, _)| uuid);
        let bridge = self.node.wait_for(bridge).await?;
        let ids = Datum::map([("iface-id", logical_port(endpoint))]);
        let insert = |table, name: &str, row| Operation::Insert { table, name: Some(name.to_owned()), row };
        let interface = Atom::NamedUuid("interface".to_owned());
        let mutation = Mutation::insert("ports", Atom::NamedUuid("port".to_owned()));
        let name = || endpoint.port.as_str();
        let operations = vec![
            insert("Interface", "interface", vec![("name", name().into()), ("external_ids", ids)]),
            insert("Port", "port", vec![("name", name().into()), ("interfaces", interface.into())]),
            Operation::Mutate {
                table: "Bridge",
                conditions: vec![Condition::row(bridge)],
                mutations: vec![mutation],
            },
        ];
        self.node.transact(operations).await?;
        Ok(())
    }

    fn remove(&self, endpoint: &Unplugged) -> anyhow::Result<()> {
        self.ovn.bare.lab.node(&endpoint.seat.node)?.vsctl(["del-port", "br-int", &endpoint.port])?;
        self.ovn.nbctl(&["lsp-del", &logical_port(endpoint)])?;
        self.ovn.bare.remove(endpoint)?;
        self.ovn.sync()
    }
}

const NORTHBOUND: &[TableRequest] = &[TableRequest { table: "Logical_Switch", columns: &["name"] }];
const NODE: &[TableRequest] = &[TableRequest { table: "Bridge", columns: &["name"] }];
const PATIENCE: Duration = Duration::from_secs(20);
