//! The host itself: its NIC, its kernel's neighbour table, its Docker, its certificate.

use std::{fs, path::Path, time::SystemTime};

use weir_api::v1::Finding;

use super::{fail, ok, warn};
use crate::{
    bridge::BR_PHY,
    credentials::Credentials,
    link::Links,
    ovsdb::Replica,
    runtime::docker::{Docker, DockerError},
};

/// The NIC: there, up, and in br-phy or about to be.
pub(super) async fn uplink(links: &Links, replica: Option<&Replica>, nic: &str) -> Finding {
    let check = "uplink";
    let link = match links.find(nic).await {
        Ok(Some(link)) => link,
        Ok(None) => {
            return fail(check, format!("there is no interface {nic}"), "`ip link` shows those there are");
        }
        Err(error) => return fail(check, error.to_string(), "run this as root"),
    };
    let found = format!("{nic}, MTU {}", link.mtu);
    if !link.up {
        return fail(check, format!("{found}, is down"), format!("ip link set {nic} up"));
    }
    if link.owner.is_some() {
        let advice = "name the bond or bridge itself as uplink, or take it out";
        return fail(check, format!("{found}, is part of another interface"), advice);
    }
    let is_in = replica.is_some_and(|replica| replica.named("Port", nic).is_some());
    let borne = links.bearing(&link).await.map(|bearing| bearing.lines()).unwrap_or_default();
    match (is_in, borne.is_empty()) {
        (true, true) => ok(check, format!("{found}, in {BR_PHY}")),
        (true, false) => fail(
            check,
            format!("{found}, in {BR_PHY}, and still bears {}", borne.join(", ")),
            "the agent of a node that has joined moves that on: is it running (`systemctl status weir-agent`)?",
        ),
        (false, true) => {
            warn(check, format!("{found}, bears no address"), "is it the one that leads to the fabric?")
        }
        (false, false) => ok(check, format!("{found}, bears {}", borne.join(", "))),
    }
}

/// The kernel's neighbour table, which has one limit for the host and all containers on it.
///
/// Source: `gc_thresh3` in ip-sysctl.rst; `neigh_alloc` in net/core/neighbour.c counts over all namespaces.
pub(super) fn neighbours() -> Finding {
    let check = "neighbours";
    // Only the first network namespace has the limit.
    let Some(limit) = number("/proc/sys/net/ipv4/neigh/default/gc_thresh3") else {
        return ok(check, "the limit is not to be seen from this network namespace");
    };
    if limit >= ENOUGH {
        return ok(check, format!("room for {limit}"));
    }
    let settings = (1..=3).map(|n| format!("net.ipv4.neigh.default.gc_thresh{n}={}", ENOUGH >> (3 - n)));
    let advice = format!(
        "put these lines into /etc/sysctl.d/weir.conf, then `sysctl --system`: {}",
        settings.collect::<Vec<_>>().join(" ")
    );
    warn(check, format!("room for {limit}, for the host and all its containers together"), advice)
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Docker: there, and told to leave containers alone when it restarts.
pub(super) async fn docker(docker: &Docker) -> Finding {
    let check = "docker";
    match docker.about().await {
        Ok((version, true)) => ok(check, format!("{version}, with live-restore")),
        Ok((version, false)) => warn(
            check,
            format!("{version}; containers end when it restarts"),
            "put \"live-restore\": true into /etc/docker/daemon.json, then systemctl reload docker",
        ),
        Err(DockerError::NotThere(_)) => ok(check, "there is none: containers without an image can run here"),
        Err(error) => fail(check, error.to_string(), "systemctl status docker"),
    }
}

/// The certificate: whose, and until when.
pub(super) fn certificate(state_dir: &Path) -> Finding {
    let check = "certificate";
    let current = match Credentials::of(state_dir).current() {
        Ok(Some(current)) => current,
        Ok(None) => return ok(check, "none: this host has not joined"),
        Err(error) => {
            return fail(check, error.to_string(), "`weir-agent leave --force`, then join with a new token");
        }
    };
    let whose = format!("`{}` of the pool `{}`", current.about.node, current.about.pool);
    let now = SystemTime::now();
    match current.about.not_after.duration_since(now) {
        Err(_) => fail(
            check,
            format!("{whose}, has ended"),
            "`weir-agent leave --force`, then join with a new token; and is this host's clock right?",
        ),
        Ok(left) if now > current.renewal() => warn(
            check,
            format!("{whose}, ends in {} hours and is not renewed", left.as_secs() / 3600),
            "the agent renews it: is it running, and does it reach the controller (`journalctl -u weir-agent`)?",
        ),
        Ok(left) => ok(check, format!("{whose}, good for {} days", left.as_secs() / 86_400)),
    }
}

/// Some hundred containers with some dozen neighbours each.
const ENOUGH: u64 = 16_384;
