//! The controller's settings: command line flags, each with its default and unit.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;

use crate::serve::listen::Address;

/// Weir's controller.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(name = "weir-controller", version)]
pub struct Config {
    /// Where to serve gRPC, HTTP with JSON, and /metrics for Prometheus: ADDRESS:PORT, tls:ADDRESS:PORT or unix:PATH; may be
    /// repeated
    #[arg(long = "listen", value_name = "ADDR", default_value = "127.0.0.1:7400")]
    pub listen: Vec<Address>,
    /// Where to serve /metrics without the API: as --listen; may be repeated [default: at --listen only]
    #[arg(long, value_name = "ADDR")]
    pub metrics: Vec<Address>,
    /// Where switches connect with OpenFlow: ADDRESS:PORT, or tls:ADDRESS:PORT for those of nodes that have joined
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:6653")]
    pub openflow: SwitchAddress,
    /// What agents tell Open vSwitch to connect to, as in tcp:172.31.0.254:6653, or ssl:172.31.0.254:6653 for TLS; may be
    /// repeated [default: the address of --openflow]
    #[arg(long = "openflow-target", value_name = "TARGET", value_parser = target)]
    pub openflow_targets: Vec<String>,
    /// Where the intent is stored
    #[arg(long, value_name = "DIR", default_value = "/var/lib/weir")]
    pub data_dir: PathBuf,
    /// Allow listeners without TLS that other machines can reach
    #[arg(long)]
    pub insecure: bool,
    /// The certificate of the authority that signs the controller's and the nodes', PEM [default: ca.crt in --data-dir, which
    /// is made]
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    pub ca_cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "ca_cert")]
    pub ca_key: Option<PathBuf>,
    /// A name or address that the controller's certificate bears, for clients that look for it there; may be repeated
    /// [default: localhost, and the addresses it listens on]
    #[arg(long = "tls-name", value_name = "NAME")]
    pub tls_names: Vec<String>,
    /// How long the controller's and the nodes' certificates last; they are renewed when two thirds of that have passed
    #[arg(long, value_name = "TIME", default_value = "90days", value_parser = positive_time)]
    pub certificate_life: Duration,
    /// How often each node announces its NAT MAC on each VLAN
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = positive_time)]
    pub mac_refresh: Duration,
    /// How often hosts on VLANs that are no containers are looked for again
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive_time)]
    pub neighbour_refresh: Duration,
    /// How long a released address is not given again by choice
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    pub address_cool_down: Duration,
    /// How long a node counts as alive after the last message from its agent, at least 1s; a node that is silent for
    /// longer, and whose switch is not connected either, is lost: its containers are placed elsewhere
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = lease)]
    pub node_lease: Duration,
    /// How often each segment of a switch is compared with what it should be, at most
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = positive_time)]
    pub audit_interval: Duration,
    /// How many flows a second that may read from all switches together, a hundred more counted for each segment: a
    /// fleet is gone through in as long as that takes
    #[arg(long, value_name = "FLOWS", default_value = "20000")]
    pub audit_rate: NonZeroU32,
    /// What to do with switches whose datapath id no node has: a node's own switch among them, until its agent has
    /// registered
    #[arg(long, value_name = "WHAT", default_value = "refuse", value_enum)]
    pub unknown_switches: UnknownSwitches,
    /// What to log, as in info or weir_controller=debug,info
    #[arg(long, value_name = "FILTER", env = "WEIR_LOG", default_value = "info,tonic::transport=debug")]
    pub log: String,
}

/// Where switches connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchAddress {
    /// The socket.
    pub address: SocketAddr,
    /// With TLS.
    pub tls: bool,
}

impl FromStr for SwitchAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Address::Tcp(address) => Ok(Self { address, tls: false }),
            Address::Tls(address) => Ok(Self { address, tls: true }),
            Address::Unix(_) => Err("switches connect over TCP".to_owned()),
        }
    }
}

impl fmt::Display for SwitchAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.tls { "tls:" } else { "" }, self.address)
    }
}

/// What becomes of a switch whose datapath id no node of any pool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum UnknownSwitches {
    /// Its connection is closed
    Refuse,
    /// It is served as a plain learning switch: its flows are deleted, and it connects whatever is plugged into it
    Learn,
}

/// Settings that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A listener would be open to the network.
    #[error(
        "{flag} {address} can be reached by other machines, and has no TLS: say {flag} tls:{address}, or listen on a \
         loopback address or a unix socket, or accept it with --insecure"
    )]
    Open {
        /// The flag.
        flag: &'static str,
        /// Its value.
        address: String,
    },
    /// No target can be made from an address that stands for all.
    #[error(
        "--openflow {0} is no address to connect to: say with --openflow-target which one switches are to use"
    )]
    NoTarget(SwitchAddress),
}

impl Config {
    /// Checks what the flags mean together.
    ///
    /// # Errors
    /// A listener that other machines can reach, without `--insecure`; no usable OpenFlow target.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !self.insecure {
            for (flag, addresses) in [("--listen", &self.listen), ("--metrics", &self.metrics)] {
                if let Some(address) = addresses.iter().find(|address| address.is_open()) {
                    return Err(ConfigError::Open { flag, address: address.to_string() });
                }
            }
            if !self.openflow.tls && !self.openflow.address.ip().is_loopback() {
                return Err(ConfigError::Open { flag: "--openflow", address: self.openflow.to_string() });
            }
        }
        if self.openflow_targets.is_empty() && self.openflow.address.ip().is_unspecified() {
            return Err(ConfigError::NoTarget(self.openflow));
        }
        Ok(())
    }

    /// What agents tell Open vSwitch to connect to.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        if self.openflow_targets.is_empty() {
            let scheme = if self.openflow.tls { "ssl" } else { "tcp" };
            vec![format!("{scheme}:{}:{}", self.bracketed_ip(), self.openflow.address.port())]
        } else {
            self.openflow_targets.clone()
        }
    }

    /// How long a switch may say nothing before it is asked whether it is there, and then before it is given up: short
    /// beside the lease, which it would outlast otherwise when the node is lost.
    #[must_use]
    pub fn switch_idle(&self) -> Duration {
        (self.node_lease / 3).clamp(SWITCH_IDLE_MIN, SWITCH_IDLE_MAX)
    }

    /// What the controller's certificate bears beside what all bear.
    #[must_use]
    pub fn certificate_names(&self) -> Vec<String> {
        let listeners = self.listen.iter().chain(&self.metrics).filter_map(|address| match address {
            Address::Tls(address) => Some(address.ip()),
            Address::Tcp(_) | Address::Unix(_) => None,
        });
        let addresses = listeners.chain([self.openflow.address.ip()]);
        let addresses = addresses.filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
        let names: BTreeSet<String> =
            addresses.map(|ip| ip.to_string()).chain(self.tls_names.iter().cloned()).collect();
        names.into_iter().collect()
    }

    fn bracketed_ip(&self) -> String {
        match self.openflow.address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        }
    }
}

/// A switch may be busy for a moment.
const SWITCH_IDLE_MIN: Duration = Duration::from_secs(1);
const SWITCH_IDLE_MAX: Duration = Duration::from_secs(5);

/// An active OpenFlow connection method. Source: ovs-vswitchd.conf.db(5), Controller target.
fn target(text: &str) -> Result<String, String> {
    let known =
        ["tcp:", "ssl:", "unix:"].iter().any(|prefix| text.len() > prefix.len() && text.starts_with(prefix));
    if known {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is no OpenFlow target: it should look like tcp:172.31.0.254:6653"))
    }
}

fn positive_time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("it must be longer than 0".to_owned()),
        Ok(time) => Ok(time),
        Err(error) => Err(error.to_string()),
    }
}

fn lease(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time < Duration::from_secs(1) => Err("it must be at least 1s".to_owned()),
        Ok(time) if u32::try_from(time.as_millis()).is_err() => Err("it must be at most 49 days".to_owned()),
        Ok(time) => Ok(time),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(flags: &[&str]) -> Config {
        Config::try_parse_from(["weir-controller"].iter().chain(flags)).unwrap()
    }

    #[test]
    fn defaults_are_local_and_complete() {
        let config = config(&[]);
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.targets(), ["tcp:127.0.0.1:6653"]);
        assert_eq!(config.address_cool_down, Duration::from_secs(60));
        assert_eq!(config.node_lease, Duration::from_secs(15));
        assert_eq!(config.unknown_switches, UnknownSwitches::Refuse);
    }

    #[test]
    fn a_switch_is_given_up_before_the_lease_is_over() {
        for (lease, idle_s) in [("15s", 5), ("3s", 1), ("60s", 5), ("1s", 1)] {
            let idle = config(&["--node-lease", lease]).switch_idle();
            assert_eq!(idle, Duration::from_secs(idle_s), "{lease}");
        }
    }

    #[test]
    fn listeners_for_other_machines_need_insecure() {
        for flags in [
            ["--listen", "10.0.0.1:7400"],
            ["--listen", "[::]:7400"],
            ["--metrics", "0.0.0.0:9400"],
            ["--openflow", "10.0.0.1:6653"],
        ] {
            assert!(matches!(config(&flags).check(), Err(ConfigError::Open { .. })), "{flags:?}");
            let accepted = config(&[flags[0], flags[1], "--insecure"]);
            assert_eq!(accepted.check(), Ok(()), "{flags:?}");
        }
        assert_eq!(config(&["--listen", "unix:/tmp/x", "--listen", "[::1]:1"]).check(), Ok(()));
    }

    #[test]
    fn listeners_with_tls_need_not_and_their_addresses_are_in_the_certificate() {
        let flags =
            ["--listen", "tls:0.0.0.0:7400", "--openflow", "tls:10.0.0.1:6653", "--tls-name", "weir.example"];
        let config = config(&flags);
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.targets(), ["ssl:10.0.0.1:6653"]);
        assert_eq!(config.certificate_names(), ["10.0.0.1", "weir.example"]);
    }

    #[test]
    fn an_address_that_stands_for_all_needs_a_target() {
        let all = ["--openflow", "0.0.0.0:6653", "--insecure"];
        assert!(matches!(config(&all).check(), Err(ConfigError::NoTarget(_))));
        let config = config(&[all[0], all[1], all[2], "--openflow-target", "tcp:10.0.0.1:6653"]);
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.targets(), ["tcp:10.0.0.1:6653"]);
    }

    #[test]
    fn bad_values_are_refused() {
        for flags in [
            ["--listen", "localhost"],
            ["--listen", "unix:"],
            ["--listen", "tls:localhost"],
            ["--openflow", "unix:/run/x"],
            ["--ca-cert", "ca.crt"],
            ["--certificate-life", "0s"],
            ["--openflow-target", "10.0.0.1"],
            ["--mac-refresh", "0s"],
            ["--address-cool-down", "soon"],
            ["--node-lease", "999ms"],
            ["--node-lease", "100days"],
            ["--audit-interval", "0s"],
            ["--audit-rate", "0"],
        ] {
            assert!(Config::try_parse_from(["weir-controller"].iter().chain(&flags)).is_err(), "{flags:?}");
        }
    }
}
