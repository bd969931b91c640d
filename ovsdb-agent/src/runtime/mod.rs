//! What an endpoint's container is: a network namespace with an interface, and for the runtime `docker` a Docker container
//! in it.
//!
//! The room makes and removes them, finds what is left of earlier lives, and runs commands inside. It knows nothing of
//! OVS: the interface's host end is plugged by the agent.
//!
//! | file | is for |
//! |---|---|
//! | `sandbox.rs` | namespaces and interfaces |
//! | `program.rs` | what a Docker container runs, and within which limits |
//! | `docker/` | Docker containers, by Docker's API |
//! | `process.rs` | a command running inside, with its input and output |

pub mod docker;
mod process;
mod program;
mod sandbox;

use std::net::AddrParseError;

use flowlib::types::{BadMacAddr, MacAddr};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use weir_api::v1::DesiredEndpoint;

use crate::link::{InterfaceAddress, LinkError};

pub use self::{
    process::{Process, ProcessEvent, ProcessInput, ProcessTerminal},
    program::{Check, Program, Restart},
    sandbox::{Beside, Sandboxes},
};

/// An endpoint's number: unique in its pool as long as it exists.
pub type EndpointId = u32;

/// An endpoint as it should be, every value checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// Its number.
    pub id: EndpointId,
    /// Its pool.
    pub pool: String,
    /// Its container's name.
    pub container: String,
    /// Its network's name.
    pub network: String,
    /// What runs in it, by Docker; `None`: nothing of its own.
    #[serde(skip)]
    pub program: Option<Program>,
    /// It is for a container of Docker's that somebody else runs.
    pub is_plain: bool,
    /// The program is started when the switch has confirmed its flows up to this revision.
    pub flows_revision: u64,
    /// Its hardware address.
    pub mac: MacAddr,
    /// Its address and default route.
    pub address: InterfaceAddress,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The port number it must have on br-int: 1024 to 65279; Open vSwitch's ports have 16 bits.
    pub ofport: u16,
    /// Whether its frames may leave in a tunnel, which cannot carry packets without a checksum.
    pub tunnelled: bool,
}

impl EndpointSpec {
    /// The name of the interface's host end: also its port's name in OVS.
    #[must_use]
    pub fn host_interface(&self) -> String {
        format!("we{}", self.ofport)
    }
}

/// What is wrong with a desired endpoint that the controller sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadEndpoint {
    /// The address is not one with a prefix length.
    #[error("`{0}` is not an IPv4 address with a prefix length")]
    Address(String),
    /// The hardware address is not one.
    #[error(transparent)]
    Mac(#[from] BadMacAddr),
    /// The hardware address is no interface's.
    #[error("{0} is not an interface's MAC address")]
    GroupMac(MacAddr),
    /// The gateway is not an address.
    #[error("gateway: {0}")]
    Gateway(#[from] AddrParseError),
    /// The port number is outside of what endpoints have.
    #[error("{0} is not an endpoint's port number: 1024 to 65279")]
    PortNo(u32),
    /// No Ethernet interface that carries IPv4 has this MTU.
    #[error("{0} is not an MTU: 68 to 65535")]
    Mtu(u32),
    /// There is no runtime of this name.
    #[error("there is no runtime `{0}` here: only docker, docker-plain and netns")]
    Runtime(String),
}

impl TryFrom<&DesiredEndpoint> for EndpointSpec {
    type Error = BadEndpoint;

    fn try_from(desired: &DesiredEndpoint) -> Result<Self, BadEndpoint> {
        let address: Ipv4Net =
            desired.address.parse().map_err(|_| BadEndpoint::Address(desired.address.clone()))?;
        let mac: MacAddr = desired.mac.parse()?;
        if mac.is_multicast() || mac == MacAddr::ZERO {
            return Err(BadEndpoint::GroupMac(mac));
        }
        let gateway = match desired.gateway.as_str() {
            "" => None,
            text => Some(text.parse()?),
        };
        let ofport = u16::try_from(desired.ofport)
            .ok()
            .filter(|ofport| (FIRST_ENDPOINT_PORT..=LAST_ENDPOINT_PORT).contains(ofport))
            .ok_or(BadEndpoint::PortNo(desired.ofport))?;
        let mtu = match desired.mtu {
            0 => DEFAULT_MTU,
            mtu @ 68..=65535 => mtu,
            mtu => return Err(BadEndpoint::Mtu(mtu)),
        };
        Ok(Self {
            id: desired.endpoint_id,
            pool: desired.pool.clone(),
            container: desired.container.clone(),
            network: desired.network.clone(),
            program: match desired.runtime.as_str() {
                DOCKER => Some(Program::from(desired)),
                NETNS | PLAIN => None,
                other => return Err(BadEndpoint::Runtime(other.to_owned())),
            },
            is_plain: desired.runtime == PLAIN,
            flows_revision: desired.flows_revision,
            mac,
            address: InterfaceAddress { address, gateway },
            mtu,
            ofport,
            tunnelled: desired.tunnelled,
        })
    }
}

/// What can go wrong in a runtime.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The system refused.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// There is no such container.
    #[error("endpoint {0} has no container here")]
    NoContainer(EndpointId),
    /// A command could not be started.
    #[error("cannot run {command}: {source}")]
    Command {
        /// The program's name, as it was asked for.
        command: String,
        /// The system's answer.
        source: std::io::Error,
    },
}

/// The runtime of containers that Docker runs.
pub const DOCKER: &str = "docker";

/// The runtime of endpoints for containers of Docker's that somebody else runs.
pub const PLAIN: &str = "docker-plain";

/// The runtime of containers that are network namespaces.
pub const NETNS: &str = "netns";

/// Numbers below are the bridge's own ports.
const FIRST_ENDPOINT_PORT: u16 = 1024;

/// Numbers above have a meaning of their own in OpenFlow's 16 bits.
const LAST_ENDPOINT_PORT: u16 = 0xfeff;

const DEFAULT_MTU: u32 = 1500;

#[cfg(test)]
mod tests {
    use super::*;

    fn desired() -> DesiredEndpoint {
        DesiredEndpoint {
            endpoint_id: 7,
            pool: "p".into(),
            container: "c".into(),
            runtime: "netns".into(),
            network: "n".into(),
            address: "10.1.0.8/22".into(),
            mac: "02:42:0a:01:00:08".into(),
            gateway: "10.1.0.1".into(),
            mtu: 1450,
            ofport: 1024,
            tunnelled: true,
            ..Default::default()
        }
    }

    #[test]
    fn takes_what_the_controller_sends() {
        let spec = EndpointSpec::try_from(&desired()).unwrap();
        assert_eq!(spec.host_interface(), "we1024");
        assert_eq!(spec.address.address.to_string(), "10.1.0.8/22");
        assert_eq!(spec.address.gateway, Some("10.1.0.1".parse().unwrap()));
    }

    #[test]
    fn refuses_values_that_are_none() {
        let broken: [fn(&mut DesiredEndpoint); 9] = [
            |d| d.address = "10.1.0.8".into(),
            |d| d.address = "10.1.0.8/33".into(),
            |d| d.mac = "02:42".into(),
            |d| d.mac = "ff:ff:ff:ff:ff:ff".into(),
            |d| d.gateway = "nowhere".into(),
            |d| d.ofport = 1023,
            |d| d.ofport = 65280,
            |d| d.mtu = 67,
            |d| d.runtime = "vm".into(),
        ];
        for (number, breaks) in broken.iter().enumerate() {
            let mut endpoint = desired();
            breaks(&mut endpoint);
            assert!(EndpointSpec::try_from(&endpoint).is_err(), "case {number}");
        }
    }
}
