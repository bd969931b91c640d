//! Messages of Docker's remote network driver. Unknown fields are Docker's business.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::runtime::{
    EndpointId,
    docker::{LABEL, MANAGED},
};

/// `/Plugin.Activate`
#[derive(Debug, Serialize)]
pub(super) struct Activated {
    #[serde(rename = "Implements")]
    pub(super) implements: [&'static str; 1],
}

/// `/NetworkDriver.GetCapabilities`
#[derive(Debug, Serialize)]
pub(super) struct Capabilities {
    #[serde(rename = "Scope")]
    pub(super) scope: &'static str,
    #[serde(rename = "ConnectivityScope")]
    pub(super) connectivity_scope: &'static str,
}

/// `/NetworkDriver.CreateNetwork`
#[derive(Debug, Deserialize)]
pub(super) struct CreateNetwork {
    #[serde(rename = "Options", default)]
    options: Option<Map<String, Value>>,
}

impl CreateNetwork {
    /// Whether it is the network that the agent itself has made.
    pub(super) fn is_managed(&self) -> bool {
        let generic = self.options.as_ref().and_then(|options| options.get(GENERIC));
        generic.and_then(|generic| generic.get(MANAGED)).is_some()
    }
}

/// `/NetworkDriver.CreateEndpoint`
#[derive(Debug, Deserialize)]
pub(super) struct CreateEndpoint {
    #[serde(rename = "EndpointID")]
    pub(super) endpoint_id: String,
    #[serde(rename = "Options", default)]
    options: Option<Map<String, Value>>,
}

impl CreateEndpoint {
    /// Which of our endpoints it is.
    pub(super) fn endpoint(&self) -> Option<EndpointId> {
        self.options.as_ref()?.get(LABEL)?.as_str()?.parse().ok()
    }
}

/// The answer to `/NetworkDriver.CreateEndpoint`
#[derive(Debug, Serialize)]
pub(super) struct EndpointCreated {
    #[serde(rename = "Interface")]
    pub(super) interface: Interface,
}

/// An interface's addresses.
#[derive(Debug, Serialize)]
pub(super) struct Interface {
    #[serde(rename = "Address")]
    pub(super) address: String,
    #[serde(rename = "MacAddress")]
    pub(super) mac_address: String,
}

/// `/NetworkDriver.Join`, `.Leave`, `.DeleteEndpoint`
#[derive(Debug, Deserialize)]
pub(super) struct OfEndpoint {
    #[serde(rename = "EndpointID")]
    pub(super) endpoint_id: String,
}

/// The answer to `/NetworkDriver.Join`
#[derive(Debug, Serialize)]
pub(super) struct Joined {
    #[serde(rename = "InterfaceName")]
    pub(super) interface_name: InterfaceName,
    /// Empty: none.
    #[serde(rename = "Gateway")]
    pub(super) gateway: String,
    #[serde(rename = "DisableGatewayService")]
    pub(super) disable_gateway_service: bool,
}

/// An interface beside its container, and how its name begins inside.
#[derive(Debug, Serialize)]
pub(super) struct InterfaceName {
    #[serde(rename = "SrcName")]
    pub(super) src_name: String,
    #[serde(rename = "DstPrefix")]
    pub(super) dst_prefix: &'static str,
}

/// What was wrong.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    #[serde(rename = "Err")]
    pub(super) err: String,
}

/// Where a user's options of a network are.
const GENERIC: &str = "com.docker.network.generic";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_sends() {
        let network: CreateNetwork = serde_json::from_str(
            r#"{"NetworkID":"33f0","Options":{"com.docker.network.enable_ipv6":false,
                "com.docker.network.generic":{"weir.managed":"true"}},"IPv4Data":[],"IPv6Data":[]}"#,
        )
        .unwrap();
        assert!(network.is_managed());
        let network: CreateNetwork = serde_json::from_str(r#"{"NetworkID":"33f0","Options":null}"#).unwrap();
        assert!(!network.is_managed());
        let endpoint: CreateEndpoint = serde_json::from_str(
            r#"{"NetworkID":"33f0","EndpointID":"eca8","Interface":{"Address":"","AddressIPv6":"","MacAddress":""},
                "Options":{"com.docker.network.portmap":[],"weir.endpoint":"17"}}"#,
        )
        .unwrap();
        assert_eq!(endpoint.endpoint(), Some(17));
        let joining: OfEndpoint = serde_json::from_str(
            r#"{"NetworkID":"33f0","EndpointID":"eca8","SandboxKey":"/run/docker/netns/1","Options":{}}"#,
        )
        .unwrap();
        assert_eq!(joining.endpoint_id, "eca8");
    }
}
