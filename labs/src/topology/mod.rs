//! What a lab consists of: the physical switch, hosts on its VLANs, nodes, pools and the controller.
//!
//! A topology is written as a TOML file (`labs/topologies/quickstart.toml` is an example with comments) and read by
//! [`Topology::parse`], which refuses what could not be built. Everything here is plain data; names of namespaces,
//! ports and files are derived in [`crate::state`].

mod file;
mod value;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

pub use file::TopologyError;
pub use value::{HostAddress, Mac, Name, Vlan};

/// A whole lab, as its file describes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Topology {
    /// The lab's name: the prefix of its network namespaces, so that two labs run side by side.
    pub name: Option<Name>,
    /// The physical switch, to which everything is plugged.
    pub switch: Switch,
    /// The controller; without one the lab has bare machines: OVS runs on the nodes, no agent, and nothing programs it.
    pub controller: Option<Controller>,
    /// Pools, created through the controller's API before the agents start.
    pub pools: Vec<Pool>,
    /// Gateways and bare hosts.
    pub hosts: Vec<Host>,
    /// Container hosts.
    pub nodes: Vec<Node>,
}

/// The physical switch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Switch {
    /// How long it remembers a MAC address it has not heard from; whole seconds, 15–3600.
    pub mac_ageing: Duration,
}

/// The controller, a host on the underlay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Controller {
    /// Its address on the underlay.
    pub address: HostAddress,
    /// More arguments for `weir-controller`.
    pub args: Vec<String>,
}

/// A pool and the ranges its networks take their numbers from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: Name,
    /// First and last VLAN id; absent: the controller's default.
    pub vlans: Option<[u32; 2]>,
    /// First and last VXLAN network identifier; absent: the controller's default.
    pub vnis: Option<[u32; 2]>,
}

/// A machine that is no node: a gateway, a bare host, or a stranger on the underlay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Host {
    /// Its name.
    pub name: Name,
    /// The VLAN of its access port; absent: the untagged underlay.
    pub vlan: Option<Vlan>,
    /// Its address, with the subnet's prefix length.
    pub address: HostAddress,
    /// Its MAC address; absent: one derived from its place in the file and its address.
    pub mac: Option<Mac>,
}

/// A container host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    /// Its name, in the lab and in its pool.
    pub name: Name,
    /// The pool it joins.
    pub pool: Name,
    /// Its address on the untagged underlay, the end of its tunnels.
    pub address: HostAddress,
    /// Labels it registers with.
    pub labels: BTreeMap<String, String>,
    /// More arguments for `weir-agent`.
    pub args: Vec<String>,
    /// Sets `other_config:userspace-tso-enable` before ovs-vswitchd starts.
    pub userspace_tso: bool,
    /// Runs a Docker daemon of its own, with the image `busybox`.
    pub docker: bool,
}

impl Topology {
    /// Reads a topology from TOML text.
    ///
    /// # Errors
    /// With line and column: a key that is not known, a value out of range, a name or address used twice, a node whose
    /// pool does not exist.
    pub fn parse(text: &str) -> Result<Topology, TopologyError> {
        file::parse(text)
    }

    /// Reads a topology file.
    ///
    /// A file without a name names the lab after itself: `quickstart.toml` makes the lab `quickstart`.
    ///
    /// # Errors
    /// As [`Topology::parse`], with the file's path; also if it cannot be read.
    pub fn read(path: &Path) -> anyhow::Result<Topology> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut topology =
            Topology::parse(&text).with_context(|| format!("{} is no topology", path.display()))?;
        if topology.name.is_none() {
            let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
            topology.name = Name::new(stem).ok();
        }
        Ok(topology)
    }
}
