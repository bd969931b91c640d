//! Messages of Docker's remote drivers for networks and addresses. Unknown fields are Docker's business.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::runtime::{
    EndpointId,
    docker::{LABEL, MANAGED, NETWORK_OPTION},
};

/// `/Plugin.Activate`
#[derive(Debug, Serialize)]
pub(super) struct Activated {
    #[serde(rename = "Implements")]
    pub(super) implements: [&'static str; 2],
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
    #[serde(rename = "NetworkID", default)]
    pub(super) network_id: String,
    #[serde(rename = "Options", default)]
    options: Option<Map<String, Value>>,
    #[serde(rename = "IPv4Data", default)]
    ipv4: Option<Vec<AddressData>>,
    #[serde(rename = "IPv6Data", default)]
    ipv6: Option<Vec<Value>>,
}

/// What Docker knows of a network's addresses.
#[derive(Debug, Deserialize)]
struct AddressData {
    #[serde(rename = "AddressSpace", default)]
    address_space: String,
    #[serde(rename = "Gateway", default)]
    gateway: String,
}

impl CreateNetwork {
    /// Whether it is the network that the agent itself has made.
    pub(super) fn is_managed(&self) -> bool {
        self.generic().is_some_and(|generic| generic.contains_key(MANAGED))
    }

    fn generic(&self) -> Option<&Map<String, Value>> {
        self.options.as_ref()?.get(GENERIC)?.as_object()
    }

    /// Weir's network that it is to be.
    ///
    /// # Errors
    /// A sentence about what else was asked for, and cannot be had.
    pub(super) fn network(&self) -> Result<String, String> {
        if self.options.as_ref().and_then(|options| options.get(INTERNAL)) == Some(&Value::Bool(true)) {
            return Err("a network of the driver `weir` cannot be made internal by Docker: name one of Weir's that has no gateway, without --internal".to_owned());
        }
        if self.ipv6.as_ref().is_some_and(|data| !data.is_empty()) {
            return Err(NO_IPV6.to_owned());
        }
        let none = Map::new();
        let generic = self.generic().unwrap_or(&none);
        if let Some(other) = generic.keys().find(|key| *key != NETWORK_OPTION) {
            return Err(format!(
                "the driver `weir` has no option `{other}`: its only one is `-o {NETWORK_OPTION}=NAME`"
            ));
        }
        let name = generic.get(NETWORK_OPTION).and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() {
            return Err(format!(
                "no network of Weir's is named: add `-o {NETWORK_OPTION}=NAME`, as `weir network list` shows it"
            ));
        }
        Ok(name.to_owned())
    }

    /// The pool that was opened for it.
    ///
    /// # Errors
    /// A sentence: its addresses are not the driver's.
    pub(super) fn token(&self) -> Result<u32, String> {
        match self.ipv4.as_deref() {
            Some([data]) if data.address_space == ADDRESS_SPACE => token_of(&data.gateway)
                .ok_or_else(|| format!("Docker shows a gateway that is not the driver's: {}", data.gateway)),
            Some([_, _, ..]) => Err("a network of the driver `weir` has one subnet".to_owned()),
            _ => Err(
                "the addresses of a network of the driver `weir` are Weir's too: add `--ipam-driver weir`"
                    .to_owned(),
            ),
        }
    }
}

/// The gateway that Docker is shown for a pool: an address that no host can have (RFC 1122 §3.2.1.3). It is all that Docker
/// passes on from the pool to the network.
pub(super) fn shown_gateway(token: u32) -> String {
    format!("{}/32", Ipv4Addr::from(token & 0x00ff_ffff))
}

/// The pool for which Docker was shown a gateway.
pub(super) fn token_of(gateway: &str) -> Option<u32> {
    let address = gateway.split('/').next().unwrap_or_default();
    let number = u32::from(address.parse::<Ipv4Addr>().ok()?);
    (1..=0x00ff_ffff).contains(&number).then_some(number)
}

/// `/NetworkDriver.CreateEndpoint`
#[derive(Debug, Deserialize)]
pub(super) struct CreateEndpoint {
    #[serde(rename = "NetworkID", default)]
    pub(super) network_id: String,
    #[serde(rename = "EndpointID")]
    pub(super) endpoint_id: String,
    #[serde(rename = "Interface", default)]
    pub(super) interface: Option<Interface>,
    #[serde(rename = "Options", default)]
    options: Option<Map<String, Value>>,
}

impl CreateEndpoint {
    /// Which of our endpoints it is.
    pub(super) fn endpoint(&self) -> Option<EndpointId> {
        self.options.as_ref()?.get(LABEL)?.as_str()?.parse().ok()
    }

    /// Whether ports of the host are to lead to it.
    pub(super) fn publishes_ports(&self) -> bool {
        let ports = self.options.as_ref().and_then(|options| options.get(PORTS)?.as_array());
        ports.is_some_and(|ports| !ports.is_empty())
    }
}

/// The answer to `/NetworkDriver.CreateEndpoint`
#[derive(Debug, Serialize)]
pub(super) struct EndpointCreated {
    #[serde(rename = "Interface")]
    pub(super) interface: Interface,
}

/// An interface's addresses; empty: none, or as Docker has it already.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Interface {
    #[serde(rename = "Address", default)]
    pub(super) address: String,
    #[serde(rename = "MacAddress", default)]
    pub(super) mac_address: String,
}

/// `/NetworkDriver.DeleteNetwork`
#[derive(Debug, Deserialize)]
pub(super) struct OfNetwork {
    #[serde(rename = "NetworkID")]
    pub(super) network_id: String,
}

/// The answer to `/IpamDriver.GetDefaultAddressSpaces`
#[derive(Debug, Serialize)]
pub(super) struct AddressSpaces {
    #[serde(rename = "LocalDefaultAddressSpace")]
    pub(super) local: &'static str,
    #[serde(rename = "GlobalDefaultAddressSpace")]
    pub(super) global: &'static str,
}

/// The answer to `/IpamDriver.GetCapabilities`
#[derive(Debug, Serialize)]
pub(super) struct AddressCapabilities {
    /// Docker names the interface's MAC address when it asks for an address.
    #[serde(rename = "RequiresMACAddress")]
    pub(super) requires_mac_address: bool,
    /// Docker asks for everything again after it was started.
    #[serde(rename = "RequiresRequestReplay")]
    pub(super) requires_request_replay: bool,
}

/// `/IpamDriver.RequestPool`
#[derive(Debug, Deserialize)]
pub(super) struct RequestPool {
    #[serde(rename = "Pool", default)]
    pool: String,
    #[serde(rename = "SubPool", default)]
    sub_pool: String,
    #[serde(rename = "Options", default)]
    options: Option<Map<String, Value>>,
    #[serde(rename = "V6", default)]
    v6: bool,
}

impl RequestPool {
    /// The subnet that Docker's user has named.
    ///
    /// # Errors
    /// A sentence about what cannot be had.
    pub(super) fn subnet(&self) -> Result<Option<Ipv4Net>, String> {
        if self.v6 {
            return Err(NO_IPV6.to_owned());
        }
        if !self.sub_pool.is_empty() {
            return Err(
                "which addresses of a network a node gives is the controller's to say: leave --ip-range out"
                    .to_owned(),
            );
        }
        let mut options = self.options.iter().flat_map(Map::keys);
        if let Some(other) = options.find(|key| !key.starts_with("com.docker.")) {
            return Err(format!(
                "the IPAM driver `weir` has no option `{other}`: the network is named by `-o {NETWORK_OPTION}=NAME`"
            ));
        }
        match self.pool.as_str() {
            "" => Ok(None),
            pool => pool
                .parse()
                .map(|subnet: Ipv4Net| Some(subnet.trunc()))
                .map_err(|_| format!("`{pool}` is not an IPv4 subnet")),
        }
    }
}

/// The answer to `/IpamDriver.RequestPool`
#[derive(Debug, Serialize)]
pub(super) struct PoolOpened {
    #[serde(rename = "PoolID")]
    pub(super) pool_id: String,
    #[serde(rename = "Pool")]
    pub(super) pool: Ipv4Net,
    #[serde(rename = "Data")]
    pub(super) data: PoolData,
}

/// What Docker is told of a pool.
#[derive(Debug, Serialize)]
pub(super) struct PoolData {
    #[serde(rename = "com.docker.network.gateway")]
    pub(super) gateway: String,
}

/// `/IpamDriver.ReleasePool`, `.RequestAddress`, `.ReleaseAddress`
#[derive(Debug, Deserialize)]
pub(super) struct OfPool {
    #[serde(rename = "PoolID", default)]
    pool_id: String,
    #[serde(rename = "Address", default)]
    address: String,
    #[serde(rename = "Options", default)]
    options: Option<Map<String, Value>>,
}

impl OfPool {
    /// Which pool.
    pub(super) fn token(&self) -> Option<u32> {
        self.pool_id.strip_prefix(POOL_PREFIX)?.parse().ok()
    }

    /// Which address, if any is named.
    ///
    /// # Errors
    /// A sentence: it is none.
    pub(super) fn address(&self) -> Result<Option<Ipv4Addr>, String> {
        match self.address.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| format!("`{text}` is not an IPv4 address")),
        }
    }

    /// Whether it is the gateway's address that is asked for.
    pub(super) fn is_gateway(&self) -> bool {
        let kind = self.options.as_ref().and_then(|options| options.get("RequestAddressType")?.as_str());
        kind == Some("com.docker.network.gateway")
    }
}

/// What Docker calls a pool.
pub(super) fn pool_id(token: u32) -> String {
    format!("{POOL_PREFIX}{token}")
}

/// The answer to `/IpamDriver.RequestAddress`
#[derive(Debug, Serialize)]
pub(super) struct AddressGiven {
    #[serde(rename = "Address")]
    pub(super) address: String,
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

/// Docker's user wants no way out of the network.
const INTERNAL: &str = "com.docker.network.internal";

/// Where the host's ports are that are to lead to an endpoint.
const PORTS: &str = "com.docker.network.portmap";

/// All of the driver's addresses are of one space; which network's they are says the pool.
pub(super) const ADDRESS_SPACE: &str = "weir";

const POOL_PREFIX: &str = "weir/";

const NO_IPV6: &str = "networks of the driver `weir` have no IPv6: leave --ipv6 and IPv6 subnets out";

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

    fn network(generic: &str, rest: &str) -> CreateNetwork {
        let text = format!(
            r#"{{"NetworkID":"33f0","Options":{{"com.docker.network.generic":{generic}{rest}}},
                "IPv4Data":[{{"AddressSpace":"weir","Gateway":"0.0.0.7/32","Pool":"0.0.0.0/0"}}],"IPv6Data":[]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_network_is_named_by_its_one_option_and_its_pool_by_the_gateway() {
        let good = network(r#"{"network":"myvlan"}"#, "");
        assert_eq!((good.network(), good.token()), (Ok("myvlan".to_owned()), Ok(7)));
        for (generic, rest, why) in [
            ("{}", "", "-o network=NAME"),
            (r#"{"network":"a","mtu":"9000"}"#, "", "no option `mtu`"),
            (r#"{"network":"a"}"#, r#","com.docker.network.internal":true"#, "--internal"),
        ] {
            let refused = network(generic, rest).network().unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        let default: CreateNetwork = serde_json::from_str(
            r#"{"NetworkID":"1","IPv4Data":[{"AddressSpace":"LocalDefault","Gateway":"172.18.0.1/16"}]}"#,
        )
        .unwrap();
        assert!(default.token().unwrap_err().contains("--ipam-driver weir"));
    }

    #[test]
    fn a_pool_is_known_by_the_gateway_that_docker_is_shown() {
        assert_eq!(shown_gateway(7), "0.0.0.7/32");
        assert_eq!(token_of(&shown_gateway(70_000)), Some(70_000));
        for text in ["", "0.0.0.0", "10.1.0.1/16", "x"] {
            assert_eq!(token_of(text), None, "{text}");
        }
        let of: OfPool =
            serde_json::from_str(&format!(r#"{{"PoolID":"{}","Address":""}}"#, pool_id(7))).unwrap();
        assert_eq!((of.token(), of.address()), (Some(7), Ok(None)));
    }

    #[test]
    fn a_pool_that_cannot_be_had_is_refused_with_what_to_leave_out() {
        for (text, why) in [
            (r#"{"Pool":"10.1.0.0/16","SubPool":"10.1.1.0/24"}"#, "--ip-range"),
            (r#"{"V6":true}"#, "--ipv6"),
            (r#"{"Options":{"serial":"x"}}"#, "no option `serial`"),
            (r#"{"Pool":"fd00::/64"}"#, "IPv4 subnet"),
        ] {
            let request: RequestPool = serde_json::from_str(text).unwrap();
            let refused = request.subnet().unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        let request: RequestPool = serde_json::from_str(r#"{"Pool":"10.1.0.0/16","Options":null}"#).unwrap();
        assert_eq!(request.subnet(), Ok(Some("10.1.0.0/16".parse().unwrap())));
    }
}
