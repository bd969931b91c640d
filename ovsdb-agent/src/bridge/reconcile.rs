//! Compares what Open vSwitch has with what the node should have, and says what one transaction must do about it.
//!
//! Promises: nothing differs, nothing is done. A bridge's last controller is never taken away, and targets are replaced
//! in one step, since Open vSwitch flushes a bridge's flows when it goes from none to one or back. br-int appears with
//! `fail_mode`, `disable-in-band` and its controllers, or not at all. No port is removed: endpoints' ports are the
//! business of `plug` and `unplug`. Keys of others in `other_config` and `options` stay.
//!
//! What cannot be put right without touching what is not ours is left and named by `problems`.

use std::collections::{BTreeMap, BTreeSet};

use crate::bridge::desired::{
    BR_INT, BR_PHY, Desired, EndpointPort, INACTIVITY_PROBE_MS, MAX_BACKOFF_MS, SslFiles, TUNNEL,
    TUNNEL_OFPORT, UPLINK, UPLINK_OFPORT, UPLINK_PEER, endpoint_of,
};
use crate::bridge::offload;
use crate::ovsdb::operation::Columns;
use crate::ovsdb::{Atom, Condition, Datum, Mutation, Mutator, Operation, Replica, Row, Uuid};

/// The operations of one transaction that bring the node to what is desired; empty if it is there.
pub fn reconcile(replica: &Replica, desired: &Desired) -> Vec<Operation> {
    let mut plan = Plan { replica, operations: Vec::new(), n_names: 0 };
    // A database that nobody has used yet has no root row, and a bridge that no root refers to is dropped without a word.
    if replica.rows("Open_vSwitch").next().is_none() {
        plan.operations.push(Operation::Insert { table: "Open_vSwitch", name: None, row: Vec::new() });
    }
    if desired.userspace_tso {
        plan.operations.extend(offload::request(replica));
    }
    if let Some(files) = &desired.ssl {
        plan.ssl(files);
    }
    plan.bridge(&phy_spec(desired), &[]);
    if replica.named("Bridge", BR_INT).is_some() || !desired.targets.is_empty() {
        plan.bridge(&int_spec(desired), &desired.targets);
    }
    plan.operations
}

/// What is wrong and not for us to mend, a sentence each.
pub fn problems(replica: &Replica, desired: &Desired) -> Vec<String> {
    let mut problems = Vec::new();
    for spec in [phy_spec(desired), int_spec(desired)] {
        let bridge = replica.named("Bridge", spec.name).map(|(uuid, _)| uuid);
        for port in &spec.ports {
            match (replica.named("Port", &port.name), bridge) {
                (Some((uuid, _)), bridge) if bridge_of(replica, uuid) != bridge => {
                    problems
                        .push(format!("port {} is not on bridge {} but on another", port.name, spec.name));
                }
                _ => problems.extend(port_problem(replica, port)),
            }
        }
    }
    if replica.named("Bridge", BR_INT).is_none() && desired.targets.is_empty() {
        problems.push(format!("{BR_INT} waits for the controller's OpenFlow address"));
    }
    problems
}

/// The operations that put a new port on br-int.
pub fn add_endpoint(bridge: Uuid, port: &EndpointPort) -> Vec<Operation> {
    let spec = PortSpec::endpoint(port);
    let mut operations = spec.insert("iface", "port");
    operations.push(Operation::Mutate {
        table: "Bridge",
        conditions: vec![Condition::row(bridge)],
        mutations: vec![Mutation::insert("ports", Atom::NamedUuid("port".to_owned()))],
    });
    operations
}

/// The operation that takes ports off a bridge; their rows go with them.
pub fn remove_ports(bridge: Uuid, ports: impl IntoIterator<Item = Uuid>) -> Operation {
    Operation::Mutate {
        table: "Bridge",
        conditions: vec![Condition::row(bridge)],
        mutations: vec![Mutation::delete("ports", Datum::set(ports))],
    }
}

/// An interface on a bridge.
#[derive(Debug, Clone, Copy)]
pub struct Attached<'a> {
    /// The row of its port.
    pub port: Uuid,
    /// Its own row.
    pub row: &'a Row,
}

/// The interfaces on a bridge.
pub fn interfaces_of<'a>(replica: &'a Replica, bridge: &'a Row) -> impl Iterator<Item = Attached<'a>> {
    bridge.references("ports").filter_map(|port| Some((port, replica.row("Port", port)?))).flat_map(
        move |(port, row)| {
            row.references("interfaces").filter_map(move |interface| {
                Some(Attached { port, row: replica.row("Interface", interface)? })
            })
        },
    )
}

/// A bridge as it should be. Its local port is added by itself.
struct BridgeSpec {
    name: &'static str,
    columns: Columns,
    other_config: Vec<(&'static str, String)>,
    ports: Vec<PortSpec>,
}

/// A port of one interface.
struct PortSpec {
    name: String,
    interface_type: &'static str,
    options: Vec<(&'static str, String)>,
    ofport: Option<u16>,
    external_ids: Datum,
}

impl PortSpec {
    fn new(name: &str, interface_type: &'static str) -> Self {
        let external_ids = Datum::Map(BTreeMap::new());
        Self { name: name.to_owned(), interface_type, options: Vec::new(), ofport: None, external_ids }
    }

    fn endpoint(port: &EndpointPort) -> Self {
        Self { ofport: Some(port.ofport), external_ids: port.external_ids(), ..Self::new(&port.name, "") }
    }

    fn insert(&self, interface_name: &str, port_name: &str) -> Vec<Operation> {
        let mut row: Columns = vec![
            ("name", self.name.as_str().into()),
            ("type", self.interface_type.into()),
            ("options", Datum::map(self.options.clone())),
            ("external_ids", self.external_ids.clone()),
        ];
        if let Some(ofport) = self.ofport {
            row.push(("ofport_request", i64::from(ofport).into()));
        }
        let interface = Atom::NamedUuid(interface_name.to_owned());
        let port: Columns = vec![("name", self.name.as_str().into()), ("interfaces", interface.into())];
        vec![
            Operation::Insert { table: "Interface", name: Some(interface_name.to_owned()), row },
            Operation::Insert { table: "Port", name: Some(port_name.to_owned()), row: port },
        ]
    }
}

fn phy_spec(desired: &Desired) -> BridgeSpec {
    let mut ports = vec![PortSpec::new(&desired.nic, "")];
    ports
        .push(PortSpec { options: vec![("peer", UPLINK.to_owned())], ..PortSpec::new(UPLINK_PEER, "patch") });
    BridgeSpec {
        name: BR_PHY,
        columns: vec![("datapath_type", "netdev".into()), ("fail_mode", "standalone".into())],
        other_config: desired.nic_mac.iter().map(|mac| ("hwaddr", mac.clone())).collect(),
        ports,
    }
}

fn int_spec(desired: &Desired) -> BridgeSpec {
    let uplink = PortSpec {
        options: vec![("peer", UPLINK_PEER.to_owned())],
        ofport: Some(UPLINK_OFPORT),
        ..PortSpec::new(UPLINK, "patch")
    };
    let tunnel = PortSpec {
        options: vec![
            ("remote_ip", "flow".to_owned()),
            ("key", "flow".to_owned()),
            ("local_ip", desired.tunnel_address.to_string()),
        ],
        ofport: Some(TUNNEL_OFPORT),
        ..PortSpec::new(TUNNEL, "vxlan")
    };
    BridgeSpec {
        name: BR_INT,
        columns: vec![
            ("datapath_type", "netdev".into()),
            ("fail_mode", "secure".into()),
            ("protocols", "OpenFlow13".into()),
        ],
        other_config: vec![
            ("disable-in-band", "true".to_owned()),
            ("datapath-id", format!("{:016x}", desired.datapath_id)),
        ],
        ports: vec![uplink, tunnel],
    }
}

fn controller_row(target: &str) -> Columns {
    vec![
        ("target", target.into()),
        ("connection_mode", "out-of-band".into()),
        ("max_backoff", MAX_BACKOFF_MS.into()),
        ("inactivity_probe", INACTIVITY_PROBE_MS.into()),
    ]
}

/// The bridge that a port is on.
fn bridge_of(replica: &Replica, port: Uuid) -> Option<Uuid> {
    let holds = |(_, bridge): &(Uuid, &Row)| bridge.references("ports").any(|uuid| uuid == port);
    replica.rows("Bridge").find(holds).map(|(uuid, _)| uuid)
}

fn port_problem(replica: &Replica, port: &PortSpec) -> Option<String> {
    let (_, interface) = replica.named("Interface", &port.name)?;
    if let Some(error) = interface.string("error") {
        return Some(format!("port {}: {error}", port.name));
    }
    let (requested, got) = (port.ofport?, interface.integer("ofport")?);
    (got != i64::from(requested))
        .then(|| format!("port {} has number {got} instead of {requested}", port.name))
}

/// The operations so far.
struct Plan<'a> {
    replica: &'a Replica,
    operations: Vec<Operation>,
    n_names: usize,
}

impl Plan<'_> {
    /// The one SSL row of the root names these files, all changed in one step.
    fn ssl(&mut self, files: &SslFiles) {
        let columns: Columns = vec![
            ("private_key", files.private_key.as_str().into()),
            ("certificate", files.certificate.as_str().into()),
            ("ca_cert", files.ca_cert.as_str().into()),
        ];
        let present = self.replica.rows("Open_vSwitch").flat_map(|(_, root)| root.references("ssl")).next();
        if let Some((uuid, row)) = present.and_then(|uuid| Some((uuid, self.replica.row("SSL", uuid)?))) {
            return self.update("SSL", uuid, row, &columns);
        }
        let name = self.name("ssl");
        self.operations.push(Operation::Insert { table: "SSL", name: Some(name.clone()), row: columns });
        self.operations.push(Operation::Update {
            table: "Open_vSwitch",
            conditions: Vec::new(),
            row: vec![("ssl", Atom::NamedUuid(name).into())],
        });
    }

    fn bridge(&mut self, spec: &BridgeSpec, targets: &[String]) {
        match self.replica.named("Bridge", spec.name) {
            None => self.create_bridge(spec, targets),
            Some((uuid, row)) => {
                self.update("Bridge", uuid, row, &spec.columns);
                self.entries("Bridge", uuid, row, "other_config", &spec.other_config);
                self.controllers(uuid, row, targets);
                self.ports(uuid, row, &spec.ports);
            }
        }
    }

    fn create_bridge(&mut self, spec: &BridgeSpec, targets: &[String]) {
        let local = PortSpec::new(spec.name, "internal");
        let free = |port: &&PortSpec| self.replica.named("Port", &port.name).is_none();
        let specs: Vec<&PortSpec> = std::iter::once(&local).chain(&spec.ports).filter(free).collect();
        let ports: Vec<Atom> = specs.into_iter().map(|port| self.insert_port(port)).collect();
        let controllers: Vec<Atom> = targets.iter().map(|target| self.insert_controller(target)).collect();
        let bridge = self.name("bridge");
        let mut row = spec.columns.clone();
        row.push(("name", spec.name.into()));
        row.push(("other_config", Datum::map(spec.other_config.clone())));
        row.push(("ports", Datum::set(ports)));
        row.push(("controller", Datum::set(controllers)));
        self.operations.push(Operation::Insert { table: "Bridge", name: Some(bridge.clone()), row });
        self.operations.push(Operation::Mutate {
            table: "Open_vSwitch",
            conditions: Vec::new(),
            mutations: vec![Mutation::insert("bridges", Atom::NamedUuid(bridge))],
        });
    }

    /// Keeps the controllers that are wanted, adds those missing, and puts the result in place in one step.
    fn controllers(&mut self, uuid: Uuid, bridge: &Row, targets: &[String]) {
        if targets.is_empty() {
            return;
        }
        let mut present: BTreeMap<&str, (Uuid, &Row)> = BTreeMap::new();
        for controller in bridge.references("controller") {
            if let Some(row) = self.replica.row("Controller", controller) {
                present.entry(row.string("target").unwrap_or_default()).or_insert((controller, row));
            }
        }
        let mut wanted = BTreeSet::new();
        for target in targets {
            let atom = match present.get(target.as_str()) {
                Some((controller, row)) => {
                    self.update("Controller", *controller, row, &controller_row(target));
                    Atom::Uuid(*controller)
                }
                None => self.insert_controller(target),
            };
            wanted.insert(atom);
        }
        let wanted = Datum::Set(wanted);
        if bridge.column("controller") != Some(&wanted) {
            let conditions = vec![Condition::row(uuid)];
            self.operations.push(Operation::Update {
                table: "Bridge",
                conditions,
                row: vec![("controller", wanted)],
            });
        }
    }

    fn ports(&mut self, uuid: Uuid, bridge: &Row, specs: &[PortSpec]) {
        let mut added = Vec::new();
        for spec in specs {
            let on_bridge =
                interfaces_of(self.replica, bridge).any(|at| at.row.string("name") == Some(&spec.name));
            if on_bridge {
                self.interface(spec);
            } else if self.replica.named("Port", &spec.name).is_none() {
                added.push(self.insert_port(spec));
            }
        }
        if !added.is_empty() {
            self.operations.push(Operation::Mutate {
                table: "Bridge",
                conditions: vec![Condition::row(uuid)],
                mutations: vec![Mutation::insert("ports", Datum::set(added))],
            });
        }
    }

    fn interface(&mut self, spec: &PortSpec) {
        let Some((uuid, row)) = self.replica.named("Interface", &spec.name) else { return };
        let mut columns: Columns = vec![("type", spec.interface_type.into())];
        if let Some(ofport) = spec.ofport {
            columns.push(("ofport_request", i64::from(ofport).into()));
        }
        self.update("Interface", uuid, row, &columns);
        self.entries("Interface", uuid, row, "options", &spec.options);
    }

    fn insert_port(&mut self, spec: &PortSpec) -> Atom {
        let (interface, port) = (self.name("iface"), self.name("port"));
        self.operations.extend(spec.insert(&interface, &port));
        Atom::NamedUuid(port)
    }

    fn insert_controller(&mut self, target: &str) -> Atom {
        let name = self.name("controller");
        let row = controller_row(target);
        self.operations.push(Operation::Insert { table: "Controller", name: Some(name.clone()), row });
        Atom::NamedUuid(name)
    }

    /// Sets those columns that differ.
    fn update(&mut self, table: &'static str, uuid: Uuid, row: &Row, wanted: &Columns) {
        let differs = |(name, datum): &&(&'static str, Datum)| row.column(name) != Some(datum);
        let columns: Columns = wanted.iter().filter(differs).cloned().collect();
        if !columns.is_empty() {
            let conditions = vec![Condition::row(uuid)];
            self.operations.push(Operation::Update { table, conditions, row: columns });
        }
    }

    /// Sets those keys of a map that differ; insert alone would keep the old value of a key that is there.
    fn entries(
        &mut self,
        table: &'static str,
        uuid: Uuid,
        row: &Row,
        column: &'static str,
        wanted: &[Entry],
    ) {
        let Datum::Map(wanted) = Datum::map(wanted.iter().cloned()) else { return };
        let present = match row.column(column) {
            Some(Datum::Map(pairs)) => pairs.clone(),
            _ => BTreeMap::new(),
        };
        let differing: BTreeMap<Atom, Atom> =
            wanted.into_iter().filter(|(key, value)| present.get(key) != Some(value)).collect();
        if differing.is_empty() {
            return;
        }
        let keys = Datum::set(differing.keys().cloned());
        self.operations.push(Operation::Mutate {
            table,
            conditions: vec![Condition::row(uuid)],
            mutations: vec![
                Mutation { column, mutator: Mutator::Delete, value: keys },
                Mutation::insert(column, Datum::Map(differing)),
            ],
        });
    }

    /// A name for a row of this transaction.
    fn name(&mut self, kind: &str) -> String {
        self.n_names += 1;
        format!("{kind}{}", self.n_names)
    }
}

type Entry = (&'static str, String);

/// True if the interface is the endpoint's port as wanted; an `ofport` other than the one requested is told by status.
pub fn is_same_port(interface: &Row, wanted: &EndpointPort) -> bool {
    interface.string("name") == Some(&wanted.name)
        && interface.integer("ofport_request") == Some(i64::from(wanted.ofport))
        && endpoint_of(interface) == Some(wanted.endpoint_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desired(targets: &[&str]) -> Desired {
        Desired {
            nic: "eth0".to_owned(),
            nic_mac: None,
            tunnel_address: "172.31.0.1".parse().unwrap(),
            datapath_id: 0xabc,
            targets: targets.iter().map(|&target| target.to_owned()).collect(),
            ssl: None,
            userspace_tso: false,
        }
    }

    fn row<const N: usize>(columns: [(&str, Datum); N]) -> Option<Row> {
        Some(Row::new(columns.into_iter().map(|(name, datum)| (name.to_owned(), datum))))
    }

    /// A replica with a br-int of one controller and without ports.
    fn with_br_int() -> Replica {
        let mut replica = Replica::default();
        replica.put("Controller", Uuid(100), row([("target", "tcp:old:1".into())]));
        replica.put("Bridge", Uuid(1), row([("name", BR_INT.into()), ("controller", Uuid(100).into())]));
        replica
    }

    fn inserted<'a>(operations: &'a [Operation], wanted: &'a str) -> impl Iterator<Item = &'a Columns> {
        operations.iter().filter_map(move |operation| match operation {
            Operation::Insert { table, row, .. } if *table == wanted => Some(row),
            _ => None,
        })
    }

    fn value<'a>(row: &'a Columns, wanted: &str) -> &'a Datum {
        row.iter().find(|(name, _)| *name == wanted).map(|(_, datum)| datum).unwrap()
    }

    #[test]
    fn br_int_appears_with_fail_mode_in_band_and_controllers_in_one_row() {
        let operations = reconcile(&Replica::default(), &desired(&["tcp:a:1", "tcp:b:1"]));
        let bridge =
            inserted(&operations, "Bridge").find(|row| value(row, "name") == &BR_INT.into()).unwrap();
        assert_eq!(value(bridge, "fail_mode"), &"secure".into());
        let other_config = [("disable-in-band", "true"), ("datapath-id", "0000000000000abc")];
        assert_eq!(value(bridge, "other_config"), &Datum::map(other_config));
        assert_eq!(value(bridge, "controller").atoms().count(), 2);
        assert_eq!(inserted(&operations, "Controller").count(), 2);
    }

    #[test]
    fn without_targets_br_int_is_not_made_and_no_controller_is_touched() {
        let operations = reconcile(&Replica::default(), &desired(&[]));
        let names: Vec<_> = inserted(&operations, "Bridge").map(|row| value(row, "name").clone()).collect();
        assert_eq!(names, [BR_PHY.into()]);
        let operations = reconcile(&with_br_int(), &desired(&[]));
        assert_eq!(inserted(&operations, "Controller").count(), 0);
        let sets_controllers = |operation: &Operation| match operation {
            Operation::Update { row, .. } => row.iter().any(|(name, _)| *name == "controller"),
            _ => false,
        };
        assert!(!operations.iter().any(sets_controllers));
    }

    #[test]
    fn files_for_tls_are_named_once_and_replaced_together() {
        let files = |n: u32| SslFiles {
            private_key: format!("/c/{n}/key.pem"),
            certificate: format!("/c/{n}/certificate.pem"),
            ca_cert: format!("/c/{n}/ca.pem"),
        };
        let wants = |n| Desired { ssl: Some(files(n)), ..desired(&[]) };
        let operations = reconcile(&Replica::default(), &wants(1));
        let inserted_rows: Vec<_> = inserted(&operations, "SSL").collect();
        assert_eq!(value(inserted_rows[0], "private_key"), &"/c/1/key.pem".into());
        let mut replica = with_br_int();
        replica.put("Open_vSwitch", Uuid(50), row([("ssl", Uuid(60).into())]));
        let there = [
            ("private_key", "/c/1/key.pem".into()),
            ("certificate", "/c/1/certificate.pem".into()),
            ("ca_cert", "/c/1/ca.pem".into()),
        ];
        replica.put("SSL", Uuid(60), row(there));
        let ssl = |operations: &[Operation]| {
            let of_ssl = |operation: &&Operation| {
                matches!(
                    operation,
                    Operation::Update { table: "SSL", .. } | Operation::Insert { table: "SSL", .. }
                )
            };
            operations.iter().filter(of_ssl).count()
        };
        assert_eq!(ssl(&reconcile(&replica, &wants(1))), 0);
        assert_eq!(ssl(&reconcile(&replica, &wants(2))), 1);
        assert_eq!(ssl(&reconcile(&replica, &desired(&[]))), 0);
    }

    #[test]
    fn targets_are_replaced_by_one_operation() {
        let operations = reconcile(&with_br_int(), &desired(&["tcp:new:1"]));
        let mut updates = operations.iter().filter_map(|operation| match operation {
            Operation::Update { table: "Bridge", row, .. } => {
                row.iter().find(|(name, _)| *name == "controller")
            }
            _ => None,
        });
        let (_, controllers) = updates.next().unwrap();
        assert!(matches!(controllers.as_atom(), Some(Atom::NamedUuid(_))));
        assert!(updates.next().is_none());
    }

    #[test]
    fn missing_ports_are_added_to_a_bridge_that_is_there() {
        let operations = reconcile(&with_br_int(), &desired(&["tcp:old:1"]));
        let names: Vec<String> = inserted(&operations, "Port")
            .filter_map(|row| match value(row, "name").as_atom()? {
                Atom::String(name) => Some(name.clone()),
                _ => None,
            })
            .filter(|name| !matches!(name.as_str(), "eth0" | BR_PHY | UPLINK_PEER))
            .collect();
        assert_eq!(names, [UPLINK, TUNNEL]);
    }
}
