//! Takes the node's bridges away again, and what Open vSwitch was told besides.

use std::path::Path;

use crate::bridge::desired::{BR_INT, BR_PHY};
use crate::bridge::offload;
use crate::ovsdb::{Datum, Mutation, Operation, Replica, Uuid};

/// What is to stay of what is there.
#[derive(Debug, Clone, Copy)]
pub struct Rest<'a> {
    /// ovs-vswitchd goes on being asked for userspace TSO.
    pub tso: bool,
    /// Files for TLS that are not in this folder.
    pub ssl_outside: &'a Path,
}

/// The operations that take away both bridges, with all of their ports; empty if there is nothing to be taken away.
pub fn dismantle(replica: &Replica, rest: Rest<'_>) -> Vec<Operation> {
    let mut operations = Vec::new();
    let bridge = |name: &str| replica.named("Bridge", name).map(|(uuid, _)| uuid);
    let bridges: Vec<Uuid> = [BR_INT, BR_PHY].into_iter().filter_map(bridge).collect();
    if !bridges.is_empty() {
        operations.push(root(Mutation::delete("bridges", Datum::set(bridges))));
    }
    let is_inside = |uuid: &Uuid| {
        let key = replica.row("SSL", *uuid).and_then(|row| row.string("private_key"));
        key.is_some_and(|key| Path::new(key).starts_with(rest.ssl_outside))
    };
    let root_row = replica.rows("Open_vSwitch").next();
    let ssl = root_row.and_then(|(_, row)| row.references("ssl").find(is_inside));
    if let Some(ssl) = ssl {
        operations.push(root(Mutation::delete("ssl", Datum::set([ssl]))));
    }
    if !rest.tso {
        operations.extend(offload::withdraw(replica));
    }
    operations
}

fn root(mutation: Mutation) -> Operation {
    Operation::Mutate { table: "Open_vSwitch", conditions: Vec::new(), mutations: vec![mutation] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ovsdb::Row;

    fn row<const N: usize>(columns: [(&str, Datum); N]) -> Option<Row> {
        Some(Row::new(columns.into_iter().map(|(name, datum)| (name.to_owned(), datum))))
    }

    fn deleted(operations: &[Operation], column: &str) -> usize {
        let of_column = |operation: &&Operation| match operation {
            Operation::Mutate { mutations, .. } => mutations.iter().any(|mutation| mutation.column == column),
            _ => false,
        };
        operations.iter().filter(of_column).count()
    }

    #[test]
    fn what_is_anothers_stays() {
        let tso = [("userspace-tso-enable", "true")];
        let mut replica = Replica::default();
        let root = [("ssl", Uuid(60).into()), ("other_config", Datum::map(tso))];
        replica.put("Open_vSwitch", Uuid(50), row(root));
        replica.put("SSL", Uuid(60), row([("private_key", "/state/credentials/3/key.pem".into())]));
        replica.put("Bridge", Uuid(1), row([("name", BR_PHY.into())]));
        replica.put("Bridge", Uuid(2), row([("name", "docker-ovs".into())]));
        let all = Rest { tso: false, ssl_outside: Path::new("/state") };
        let operations = dismantle(&replica, all);
        let bridges = Mutation::delete("bridges", Datum::set([Uuid(1)]));
        assert!(operations.iter().any(
            |operation| matches!(operation, Operation::Mutate { mutations, .. } if mutations.contains(&bridges))
        ));
        assert_eq!((deleted(&operations, "ssl"), deleted(&operations, "other_config")), (1, 1));
        let operations = dismantle(&replica, Rest { tso: true, ssl_outside: Path::new("/other") });
        assert_eq!((deleted(&operations, "ssl"), deleted(&operations, "other_config")), (0, 0));
        assert!(dismantle(&Replica::default(), all).is_empty());
    }
}
