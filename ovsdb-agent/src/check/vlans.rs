//! On which VLANs others are heard: br-phy, a plain switch, remembers for five minutes who has spoken behind the NIC, and
//! every node shows itself once a minute on each VLAN that it has containers on.

use std::{collections::BTreeSet, path::Path};

use weir_api::v1::Finding;

use super::{appctl::ask, fail, ok, warn};
use crate::{bridge::BR_PHY, ovsdb::Replica};

/// Those of the pool's networks that are seen, and those that are not.
pub(super) async fn seen(rundir: &Path, replica: &Replica, nic: &str, wanted: &[u32]) -> Finding {
    let check = "vlans";
    let port = replica.named("Interface", nic).and_then(|(_, row)| row.integer("ofport"));
    let Some(port) = port.filter(|port| *port > 0) else {
        return fail(check, format!("{nic} is no port of {BR_PHY}"), "is the agent running?");
    };
    let table = match ask(rundir, "fdb/show", &[BR_PHY]).await {
        Ok(table) => table,
        Err(error) => {
            let found = format!("ovs-vswitchd cannot be asked: {error}");
            return fail(check, found, "systemctl status openvswitch-switch");
        }
    };
    let heard = heard(&table, port);
    let missing: Vec<u32> = wanted.iter().copied().filter(|vlan| !heard.contains(vlan)).collect();
    if missing.is_empty() {
        return ok(check, format!("heard of others on {}", list(wanted)));
    }
    warn(
        check,
        format!("heard of nobody on {} within five minutes", list(&missing)),
        format!(
            "does the switch port behind {nic} carry them tagged? A VLAN that is only on this node is silent"
        ),
    )
}

fn list(vlans: &[u32]) -> String {
    vlans.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// The VLANs of addresses that were learned behind a port.
///
/// Shape: a header line, then ` port  VLAN  MAC                Age`. Source: `ofproto_unixctl_fdb_show` in
/// ofproto/ofproto-dpif.c (v3.1).
fn heard(table: &str, port: i64) -> BTreeSet<u32> {
    let vlan = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let is_behind = words.next()?.parse() == Ok(port);
        words.next()?.parse().ok().filter(|_| is_behind)
    };
    table.lines().filter_map(vlan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_learned_behind_the_nic_counts() {
        let table = " port  VLAN  MAC                Age\n    1     0  06:ff:ac:1f:00:01    2\n    1   100  0e:84:0d:00:00:03   12\nLOCAL   101  06:ff:ac:1f:00:03    0\n    2   102  0e:84:0d:00:00:04    1\n";
        assert_eq!(heard(table, 1), BTreeSet::from([0, 100]));
        assert_eq!(heard("", 1), BTreeSet::new());
    }
}
