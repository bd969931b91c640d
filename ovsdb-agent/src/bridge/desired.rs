//! What the node should have in Open vSwitch.

use std::net::IpAddr;

use crate::ovsdb::monitor::TableRequest;
use crate::ovsdb::{Datum, Row};

/// The bridge that belongs to the controller.
pub const BR_INT: &str = "br-int";
/// The bridge that holds the NIC and the host's own address; a plain switch.
pub const BR_PHY: &str = "br-phy";
/// br-int's end of the patch to br-phy.
pub const UPLINK: &str = "uplink";
/// br-phy's end of it.
pub const UPLINK_PEER: &str = "weir-int";
/// br-int's tunnel port.
pub const TUNNEL: &str = "vxlan";
/// OpenFlow port number of `UPLINK`.
pub const UPLINK_OFPORT: u16 = 1;
/// OpenFlow port number of `TUNNEL`.
pub const TUNNEL_OFPORT: u16 = 2;
/// The key in `Interface.external_ids` that makes a port Weir's own; its value is the endpoint's id.
pub const ENDPOINT_KEY: &str = "weir-endpoint";
/// How long ovs-vswitchd waits at most between attempts to reach a controller, in ms; it takes no less.
pub const MAX_BACKOFF_MS: i64 = 1000;
/// After how long a silence ovs-vswitchd probes a controller, in ms.
pub const INACTIVITY_PROBE_MS: i64 = 5000;

/// What the agent's OVSDB client has to monitor for everything in this room.
pub const MONITORED: &[TableRequest] = &[
    TableRequest {
        table: "Open_vSwitch",
        columns: &["bridges", "other_config", "external_ids", "next_cfg", "cur_cfg", "ovs_version", "ssl"],
    },
    TableRequest { table: "SSL", columns: &["private_key", "certificate", "ca_cert"] },
    TableRequest {
        table: "Bridge",
        columns: &["name", "ports", "controller", "fail_mode", "datapath_type", "protocols", "other_config"],
    },
    TableRequest { table: "Port", columns: &["name", "interfaces"] },
    TableRequest {
        table: "Interface",
        columns: &[
            "name",
            "type",
            "options",
            "ofport",
            "ofport_request",
            "external_ids",
            "error",
            "link_state",
        ],
    },
    TableRequest {
        table: "Controller",
        columns: &["target", "connection_mode", "max_backoff", "inactivity_probe", "is_connected"],
    },
];

/// The bridges the node should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The NIC that br-phy holds.
    pub nic: String,
    /// The NIC's own address, as `aa:bb:cc:dd:ee:ff`; br-phy keeps it, so that neighbours need not learn another when
    /// ovs-vswitchd restarts. `None` leaves the choice to Open vSwitch.
    pub nic_mac: Option<String>,
    /// The node's address for tunnels.
    pub tunnel_address: IpAddr,
    /// br-int's datapath id.
    pub datapath_id: u64,
    /// Where br-int's controllers are, for example `tcp:172.31.0.254:6653`.
    ///
    /// Empty means unknown: a br-int that is there keeps the controllers it has, one that is not there is not made. An
    /// agent that has not reached its controller yet passes what it remembers from the last time.
    pub targets: Vec<String>,
    /// By which files ovs-vswitchd proves who it is where a controller is `ssl:`; `None` leaves what is set.
    pub ssl: Option<SslFiles>,
    /// Ask ovs-vswitchd to run with userspace TSO from its next start on; false leaves the setting as it is.
    pub userspace_tso: bool,
}

/// What ovs-vswitchd needs for TLS. It reads key and certificate again only if both have other names or times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SslFiles {
    /// The private key.
    pub private_key: String,
    /// Its certificate.
    pub certificate: String,
    /// The certificate of the controllers' authority.
    pub ca_cert: String,
}

/// An endpoint's port on br-int.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointPort {
    /// The endpoint.
    pub endpoint_id: u32,
    /// The name of the veth's end on the node.
    pub name: String,
    /// The OpenFlow port number it must have, 1024 to 65279.
    pub ofport: u16,
    /// The endpoint's MAC address.
    pub mac: String,
    /// For people who read the database.
    pub pool: String,
    /// For people who read the database.
    pub container: String,
    /// For people who read the database.
    pub network: String,
}

impl EndpointPort {
    /// The `external_ids` of its interface.
    pub fn external_ids(&self) -> Datum {
        Datum::map([
            (ENDPOINT_KEY, self.endpoint_id.to_string().as_str()),
            ("weir-pool", &self.pool),
            ("weir-container", &self.container),
            ("weir-network", &self.network),
            ("attached-mac", &self.mac),
        ])
    }
}

/// The endpoint an interface belongs to, if it is Weir's. An id that is no number is some other's.
pub fn endpoint_of(interface: &Row) -> Option<u32> {
    interface.entry("external_ids", ENDPOINT_KEY)?.parse().ok()
}
