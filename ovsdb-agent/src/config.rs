//! The agent's command line and environment, checked.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Parser;
use flowlib::types::DatapathId;
use ipnet::Ipv4Net;

use crate::{
    capacity::{Cpus, Memory},
    ovsdb,
};

/// Weir's node agent.
///
/// Makes and keeps this node's Open vSwitch bridges, gives the containers that the controller places here their
/// interfaces and ports, and puts the flow table back when ovs-vswitchd has lost it. Needs root, a running
/// ovsdb-server and ovs-vswitchd, and a NIC that it may put into br-phy. Everything it makes stays when it ends, and
/// is taken over, untouched, when it starts again.
#[derive(Clone, Debug, Parser)]
#[command(name = "weir-agent", version, args_override_self = true)]
pub struct Config {
    /// The controller's gRPC address: https://HOST:PORT for a node that has joined, http://HOST:PORT, HOST:PORT (the
    /// same) or unix:PATH.
    #[arg(long, env = "WEIR_CONTROLLER", value_name = "ADDRESS", default_value = "http://127.0.0.1:7400")]
    pub controller: ControllerAddress,
    /// The pool this node belongs to.
    #[arg(long, env = "WEIR_POOL", value_parser = name)]
    pub pool: String,
    /// This node's name, unique in its pool.
    #[arg(long, env = "WEIR_NAME", value_parser = name)]
    pub name: String,
    /// The OVSDB server of this node: unix:PATH or tcp:HOST:PORT.
    #[arg(long, env = "WEIR_OVSDB", value_name = "ADDRESS", default_value = OVSDB)]
    pub ovsdb: ovsdb::Address,
    /// Where ovs-vswitchd has its management sockets (br-int.mgmt).
    #[arg(long, env = "WEIR_OVS_RUNDIR", value_name = "DIR", default_value = OVS_RUNDIR)]
    pub ovs_rundir: PathBuf,
    /// The NIC that leads to the fabric; it becomes a port of br-phy.
    #[arg(long, env = "WEIR_UPLINK", value_name = "NIC", value_parser = interface)]
    pub uplink: String,
    /// This node's address on the fabric, with its prefix length; br-phy bears it.
    #[arg(long, env = "WEIR_TUNNEL_ADDRESS", value_name = "ADDRESS/LEN")]
    pub tunnel_address: Ipv4Net,
    /// Where the agent keeps what must survive a restart: what the controller told it of this node, and the node's
    /// last flow table.
    #[arg(long, env = "WEIR_STATE_DIR", value_name = "DIR", default_value = STATE_DIR)]
    pub state_dir: PathBuf,
    /// The unix socket of this node's Docker, if it has one; it may come and go.
    #[arg(long, env = "WEIR_DOCKER", value_name = "PATH", default_value = DOCKER)]
    pub docker: PathBuf,
    /// Where to serve Docker's network driver: Docker looks for it in this folder only, under this name.
    #[arg(
        long,
        env = "WEIR_DOCKER_PLUGIN",
        value_name = "PATH",
        default_value = "/run/docker/plugins/weir.sock"
    )]
    pub docker_plugin: PathBuf,
    /// How many endpoints this node keeps in reserve for each of Docker's own networks: with one, `docker run` waits for no
    /// controller.
    #[arg(long, env = "WEIR_DOCKER_RESERVE", value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(..=32))]
    pub docker_reserve: u8,
    /// Processors that containers may use, all together, as in 1.5 [default: those the agent itself may use]
    #[arg(
        long,
        env = "WEIR_CAPACITY_CPUS",
        value_name = "NUMBER",
        default_value_t,
        hide_default_value = true
    )]
    pub capacity_cpus: Cpus,
    /// Memory that containers may use, all together, as in 512m or 16g [default: that of the machine]
    #[arg(
        long,
        env = "WEIR_CAPACITY_MEMORY",
        value_name = "BYTES",
        default_value_t,
        hide_default_value = true
    )]
    pub capacity_memory: Memory,
    /// Ask ovs-vswitchd to take over checksums and segmentation of containers (other_config:userspace-tso-enable).
    /// One that has its bridges already does so only from its next start on; until then, and with `false`, containers
    /// compute their own.
    #[arg(long, env = "WEIR_USERSPACE_TSO", value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub userspace_tso: bool,
    /// A label of this node, KEY=VALUE; repeatable.
    #[arg(long = "label", env = "WEIR_LABELS", value_name = "KEY=VALUE", value_parser = label, value_delimiter = ',')]
    pub labels: Vec<(String, String)>,
    /// A folder of this node that containers may have mounted, as it is and with all that is in it, for reading and writing
    /// as root; repeatable [default: none]
    #[arg(long = "allow-bind", env = "WEIR_ALLOW_BIND", value_name = "DIR", value_parser = folder, value_delimiter = ',')]
    pub allow_bind: Vec<String>,
    /// Where to serve /metrics for Prometheus, without credentials: ADDRESS:PORT. One that other machines can reach is told
    /// to the controller, where Prometheus finds it; 0.0.0.0 stands for the tunnel address there [default: nowhere]
    #[arg(long, env = "WEIR_METRICS", value_name = "ADDRESS:PORT", value_parser = listened)]
    pub metrics: Option<SocketAddr>,
    /// What to log: a level (error, warn, info, debug, trace), or a filter such as `info,ovsdb_agent::link=debug`.
    #[arg(long, env = "WEIR_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

impl Config {
    /// The datapath id of br-int: the same on every start, another for every node of every pool.
    #[must_use]
    pub fn datapath_id(&self) -> u64 {
        datapath_id(&self.pool, &self.name)
    }

    /// Where other machines find the metrics, if they can. An address of the machine's, or of one link, is no such one: the
    /// controller would refuse it.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        let at = self.metrics?;
        let ip = if at.ip().is_unspecified() { IpAddr::V4(self.tunnel_address.addr()) } else { at.ip() };
        let is_of_a_link = match ip.to_canonical() {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        let is_reached = !is_of_a_link && !ip.to_canonical().is_loopback();
        is_reached.then_some(SocketAddr::new(ip, at.port()))
    }

    /// The folders that containers may have mounted.
    ///
    /// # Errors
    /// One is inside another: whoever may write to the outer one could put a symbolic link in the place of the inner one.
    pub fn folders(&self) -> Result<BTreeSet<String>, String> {
        let folders: BTreeSet<String> = self.allow_bind.iter().cloned().collect();
        let is_inside =
            |inner: &String, outer: &String| inner != outer && Path::new(inner).starts_with(outer);
        let nested = folders
            .iter()
            .find_map(|inner| Some((inner, folders.iter().find(|outer| is_inside(inner, outer))?)));
        match nested {
            Some((inner, outer)) => Err(format!("{inner} is inside {outer}: name one of them")),
            None => Ok(folders),
        }
    }

    /// The labels by key; of two with the same key the last one.
    #[must_use]
    pub fn labels(&self) -> HashMap<String, String> {
        self.labels.iter().cloned().collect()
    }
}

/// See [`Config::datapath_id`].
pub(crate) fn datapath_id(pool: &str, name: &str) -> u64 {
    DatapathId::of_node(pool, name).0
}

/// Where the controller's gRPC listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControllerAddress {
    /// `http://HOST:PORT` or `HOST:PORT`; an IPv6 host in brackets.
    Http(String),
    /// `https://HOST:PORT`: with TLS; what follows the scheme.
    Https(String),
    /// `unix:PATH`
    Unix(PathBuf),
}

/// The text is no address of a controller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of https://HOST:PORT, http://HOST:PORT, HOST:PORT and unix:PATH")]
pub struct BadAddress(String);

impl FromStr for ControllerAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(bad()) } else { Ok(Self::Unix(path.into())) };
        }
        let rest = |text: &str| authority(text.trim_end_matches('/')).map_err(|_| bad());
        match text.strip_prefix("https://") {
            Some(text) => rest(text).map(Self::Https),
            None => rest(text.strip_prefix("http://").unwrap_or(text))
                .map(|it| Self::Http(format!("http://{it}"))),
        }
    }
}

impl fmt::Display for ControllerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(uri) => f.write_str(uri),
            Self::Https(authority) => write!(f, "https://{authority}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// `HOST:PORT`.
pub(crate) fn authority(text: &str) -> Result<String, String> {
    let is_whole = text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !host.contains(['/', ' ']) && port.parse::<u16>().is_ok()
    });
    if is_whole { Ok(text.to_owned()) } else { Err("it should look like HOST:PORT".to_owned()) }
}

/// A pool's or node's name: what the controller takes, and nothing that would mean something in a path.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let begins_plain = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if begins_plain && text.len() <= 63 && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 63 letters, digits, `-`, `_` and `.`, and begins with a letter or digit"
            .to_owned())
    }
}

pub(crate) fn interface(text: &str) -> Result<String, String> {
    if (1..=15).contains(&text.len()) && !text.contains(['/', ' ']) && text != "." && text != ".." {
        Ok(text.to_owned())
    } else {
        Err("not a network interface's name".to_owned())
    }
}

/// An address to serve at, where others are to find it: with a port.
fn listened(text: &str) -> Result<SocketAddr, String> {
    let address: Option<SocketAddr> = text.parse().ok();
    let whole = address.filter(|address| address.port() != 0 && !address.ip().is_multicast());
    whole.ok_or_else(|| "it should look like 0.0.0.0:7401".to_owned())
}

/// A folder, written as the controller takes it.
fn folder(text: &str) -> Result<String, String> {
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    let text = text.trim_end_matches('/');
    match text.strip_prefix('/') {
        Some(rest) if rest.split('/').all(is_part) => Ok(text.to_owned()),
        _ => Err("a folder's path begins with `/`, is not `/` itself, and has no `.` or `..`".to_owned()),
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is KEY=VALUE".to_owned()),
    }
}

/// Where Debian's ovsdb-server listens.
pub(crate) const OVSDB: &str = "unix:/var/run/openvswitch/db.sock";

/// Where Debian's ovs-vswitchd has its sockets.
pub(crate) const OVS_RUNDIR: &str = "/var/run/openvswitch";

/// The state directory.
pub(crate) const STATE_DIR: &str = "/var/lib/weir-agent";

/// Where dockerd listens.
pub(crate) const DOCKER: &str = "/run/docker.sock";

/// The agent's last flow table, in its state directory.
pub(crate) const TABLE: &str = "table";

/// All that the agent keeps in its state directory, but for what a join has written down.
pub(crate) const STATE_FILES: [&str; 5] =
    ["credentials", "identity.json", TABLE, "docker-networks.json", "docker-endpoints.json"];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &[&str]) -> Result<Config, clap::Error> {
        let required = [
            "weir-agent",
            "--pool",
            "p",
            "--name",
            "n1",
            "--uplink",
            "eth1",
            "--tunnel-address",
            "172.31.0.1/24",
        ];
        Config::try_parse_from(required.iter().chain(more))
    }

    #[test]
    fn reads_addresses_of_controllers() {
        for (text, is) in [
            ("http://10.0.0.1:7400", "http://10.0.0.1:7400"),
            ("10.0.0.1:7400", "http://10.0.0.1:7400"),
            ("[::1]:7400", "http://[::1]:7400"),
            ("https://controller:7400/", "https://controller:7400"),
            ("unix:/run/weir.sock", "unix:/run/weir.sock"),
        ] {
            assert_eq!(text.parse::<ControllerAddress>().unwrap().to_string(), is);
        }
        for text in ["", "unix:", "http://host", "host:port", ":7400", "https://host", "http://a/b:1"] {
            assert!(text.parse::<ControllerAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn takes_a_command_line() {
        let config = parse(&["--label", "rack=r1,zone=z", "--label", "rack=r2"]).unwrap();
        assert_eq!(config.labels()["rack"], "r2");
        assert_eq!(config.labels()["zone"], "z");
        assert_ne!(config.datapath_id(), 0);
    }

    #[test]
    fn folders_for_containers_are_whole_paths_and_not_inside_each_other() {
        let folders = |more: &[&str]| parse(more).map_err(|_| "refused".to_owned())?.folders();
        assert_eq!(folders(&[]), Ok(BTreeSet::new()));
        let two = folders(&["--allow-bind", "/srv/a/", "--allow-bind", "/srv/ab,/data"]).unwrap();
        assert_eq!(two, ["/data", "/srv/a", "/srv/ab"].map(str::to_owned).into());
        assert!(folders(&["--allow-bind", "/srv,/srv/a"]).unwrap_err().contains("/srv/a is inside /srv"));
        for bad in ["/", "", "srv", "/srv/../etc", "/srv//a", "/./srv"] {
            assert_eq!(folders(&["--allow-bind", bad]), Err("refused".to_owned()), "{bad}");
        }
    }

    #[test]
    fn metrics_that_others_can_reach_have_an_address_for_them() {
        let address =
            |at: &str| parse(&["--metrics", at]).unwrap().metrics_address().map(|at| at.to_string());
        assert_eq!(address("0.0.0.0:7401").as_deref(), Some("172.31.0.1:7401"));
        assert_eq!(address("10.0.0.1:7401").as_deref(), Some("10.0.0.1:7401"));
        for own in ["127.0.0.1:7401", "[::1]:7401", "169.254.0.1:7401", "[fe80::1]:7401"] {
            assert_eq!(address(own), None, "{own}");
        }
        assert_eq!(parse(&[]).unwrap().metrics_address(), None);
    }

    #[test]
    fn refuses_bad_values() {
        for bad in [
            ["--name", "../x"],
            ["--pool", ""],
            ["--uplink", "a-name-that-is-too-long"],
            ["--tunnel-address", "172.31.0.1"],
            ["--label", "rack"],
            ["--ovsdb", "/run/db.sock"],
            ["--metrics", "7401"],
            ["--metrics", "0.0.0.0:0"],
            ["--metrics", "224.0.0.1:7401"],
        ] {
            assert!(parse(&bad).is_err(), "{bad:?}");
        }
    }
}
