//! Open vSwitch: that it runs, which version, and what ovs-vswitchd does for containers.

use weir_api::v1::Finding;

use super::{Check, appctl, fail, ok, warn};
use crate::{
    bridge::{BR_PHY, offload},
    ovsdb::Replica,
};

/// Database and ovs-vswitchd, and which version that is: the one that runs, not the one that is installed.
pub(super) async fn version(replica: Option<&Replica>, settings: &Check) -> Finding {
    let check = "openvswitch";
    if replica.is_none() {
        let found = format!("its database does not answer at {}", settings.ovsdb);
        return fail(check, found, "apt install openvswitch-switch; systemctl start openvswitch-switch");
    }
    let said = match appctl::ask(&settings.ovs_rundir, "version", &[]).await {
        Ok(said) => said,
        Err(error) => {
            let found = format!("ovs-vswitchd does not answer: {error}");
            return fail(check, found, "systemctl restart openvswitch-switch");
        }
    };
    // `ovs-vswitchd (Open vSwitch) 3.1.0`
    let version = said.lines().next().and_then(|line| line.rsplit(' ').next()).unwrap_or_default();
    if is_tried(version) {
        return ok(check, version);
    }
    warn(
        check,
        format!("{version}, older than what Weir is tried with"),
        "install Open vSwitch 3.1 or later, which Debian 12 has",
    )
}

/// Whether ovs-vswitchd takes over checksums and segmentation; it decides so when it starts.
pub(super) async fn datapath(replica: &Replica) -> Finding {
    let check = "datapath";
    let active = match offload::is_active(BR_PHY).await {
        Ok(active) => active,
        Err(error) => return fail(check, format!("{BR_PHY} cannot be asked: {error}"), "run this as root"),
    };
    let set = "ovs-vsctl set Open_vSwitch . other_config:userspace-tso-enable=true; systemctl restart openvswitch-switch";
    match (active, offload::is_requested(replica)) {
        (Some(true), _) => ok(check, "userspace, with checksums and segmentation of containers"),
        (None, true) => ok(check, format!("userspace, once {BR_PHY} is there")),
        (Some(false), true) => warn(
            check,
            "userspace; containers compute their own checksums, since ovs-vswitchd started before it was asked to",
            "systemctl restart openvswitch-switch, when the node may be cut off for half a second",
        ),
        (_, false) => {
            warn(check, "userspace; containers will compute their own checksums, which is slower", set)
        }
    }
}

/// 3.1 or later.
fn is_tried(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (3, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, tried) in
            [("3.1.0", true), ("3.10", true), ("10.0.1", true), ("2.17.9", false), ("x", false)]
        {
            assert_eq!(is_tried(version), tried, "{version}");
        }
    }
}
