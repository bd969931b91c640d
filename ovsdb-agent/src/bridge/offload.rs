//! Userspace TSO: containers keep their checksum and segmentation offloads only if ovs-vswitchd takes part.
//!
//! ovs-vswitchd reads `other_config:userspace-tso-enable` once, when it starts, and shows nowhere in the database what it
//! read. But it gives the tap devices of its bridges' local ports a virtio header (`vnet_hdr on` in `ip -d link`) if and
//! only if it runs with TSO, and these devices live and die with the process. So the device tells what the running
//! process does, whoever set the key and when: nothing to remember, nothing that can go stale.
//!
//! Source: `netdev_linux_construct_tap` in lib/netdev-linux.c (v3.1).

use futures::TryStreamExt;
use rtnetlink::packet_core::Nla;
use rtnetlink::packet_route::link::{InfoData, LinkAttribute, LinkInfo};

use crate::ovsdb::{Datum, Mutation, Mutator, Operation, Replica};

/// True if the ovs-vswitchd that runs now does TSO, told from the local port of one of its netdev bridges; `None` if
/// there is no such tap device in this network namespace, so that nothing can be told (yet).
///
/// # Errors
/// If netlink cannot be asked; that the device is not there is no error.
pub async fn is_active(bridge: &str) -> std::io::Result<Option<bool>> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let link = handle.link().get().match_name(bridge.to_owned()).execute().try_next().await;
    connection.abort();
    match link {
        Ok(link) => Ok(link.and_then(|link| vnet_hdr(&link.attributes))),
        Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -libc::ENODEV => Ok(None),
        Err(error) => Err(std::io::Error::other(error)),
    }
}

/// Whether a tap device's frames carry a virtio header; `None` for other devices.
fn vnet_hdr(attributes: &[LinkAttribute]) -> Option<bool> {
    let infos = attributes.iter().filter_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    let tun = infos.flatten().find_map(|info| match info {
        LinkInfo::Data(InfoData::Tun(attributes)) => Some(attributes),
        _ => None,
    })?;
    let attribute = tun.iter().find(|attribute| attribute.kind() == IFLA_TUN_VNET_HDR)?;
    let mut value = vec![0; attribute.value_len()];
    attribute.emit_value(&mut value);
    Some(value.first() == Some(&1))
}

/// True if ovs-vswitchd will use TSO when it next starts.
pub fn is_requested(replica: &Replica) -> bool {
    replica.rows("Open_vSwitch").any(|(_, row)| {
        row.entry("other_config", KEY).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    })
}

/// Operations that ask for TSO; none if it is asked for already. They have no effect on an ovs-vswitchd that runs.
pub fn request(replica: &Replica) -> Vec<Operation> {
    if is_requested(replica) {
        return Vec::new();
    }
    vec![Operation::Mutate {
        table: "Open_vSwitch",
        conditions: Vec::new(),
        mutations: vec![
            Mutation { column: "other_config", mutator: Mutator::Delete, value: Datum::set([KEY]) },
            Mutation::insert("other_config", Datum::map([(KEY, "true")])),
        ],
    }]
}

/// The operation that has ovs-vswitchd no longer asked for TSO; empty if it is not.
pub fn withdraw(replica: &Replica) -> Vec<Operation> {
    if !is_requested(replica) {
        return Vec::new();
    }
    vec![Operation::Mutate {
        table: "Open_vSwitch",
        conditions: Vec::new(),
        mutations: vec![Mutation {
            column: "other_config",
            mutator: Mutator::Delete,
            value: Datum::set([KEY]),
        }],
    }]
}

/// linux/if_link.h.
const IFLA_TUN_VNET_HDR: u16 = 5;
const KEY: &str = "userspace-tso-enable";
