//! What Docker has of the driver's networks that somebody else made, and of containers in them.

use std::{collections::HashMap, fmt, net::Ipv4Addr};

use bollard::{
    models::NetworkInspect,
    query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder},
};
use ipnet::Ipv4Net;

use super::{
    ANSWER, Docker, DockerError,
    network::{DRIVER, is_managed},
};

/// A network that somebody made with the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainNetwork {
    /// Docker's id.
    pub id: String,
    /// Docker's name.
    pub name: String,
    /// Weir's network, as its option says.
    pub network: Option<String>,
    /// The pool whose gateway Docker shows.
    pub token: Option<u32>,
    /// The endpoints that it has.
    pub endpoints: Vec<PlainEndpoint>,
}

/// An endpoint of such a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainEndpoint {
    /// Docker's id.
    pub id: String,
    /// Its address.
    pub address: Option<Ipv4Addr>,
    /// The container that is in it.
    pub container: Option<PlainContainer>,
}

/// A container of Docker's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainContainer {
    /// Docker's id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Both, as people know it by.
impl fmt::Display for PlainContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.id.get(..12).unwrap_or(&self.id))
    }
}

impl Docker {
    /// All networks of the driver but the agent's own.
    ///
    /// # Errors
    /// Docker's.
    pub async fn plain_networks(&self) -> Result<Vec<PlainNetwork>, DockerError> {
        let filters = HashMap::from([("driver", vec![DRIVER])]);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let listed = self.ask("listing networks", ANSWER, |docker| async move {
            docker.list_networks(Some(options)).await
        });
        let mut found = Vec::new();
        let others = listed.await?.into_iter().filter(|network| !is_managed(network));
        for id in others.filter_map(|network| network.id) {
            let inspected = self.ask("inspecting a network", ANSWER, |docker| async move {
                docker.inspect_network(&id, None::<InspectNetworkOptions>).await
            });
            match inspected.await {
                Ok(network) => found.extend(plain(network)),
                // Removed meanwhile.
                Err(error) if error.is_status(404) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

fn plain(network: NetworkInspect) -> Option<PlainNetwork> {
    let options = network.options.unwrap_or_default();
    let gateways = network.ipam.and_then(|ipam| ipam.config).into_iter().flatten();
    let shown = gateways.filter_map(|config| config.gateway?.split('/').next()?.parse::<Ipv4Addr>().ok());
    let endpoints = network.containers.unwrap_or_default().into_iter().filter_map(|(container, end)| {
        let address: Option<Ipv4Net> = end.ipv4_address.and_then(|address| address.parse().ok());
        // Docker lists an endpoint without a container under a name of its own.
        let is_container = !container.starts_with("ep-");
        let name = end.name.filter(|_| is_container);
        Some(PlainEndpoint {
            id: end.endpoint_id?,
            address: address.map(|address| address.addr()),
            container: name.map(|name| PlainContainer { id: container, name }),
        })
    });
    Some(PlainNetwork {
        endpoints: endpoints.collect(),
        network: options.get(NETWORK_OPTION).cloned(),
        token: shown.map(u32::from).find(|number| (1..1 << 24).contains(number)),
        name: network.name.unwrap_or_default(),
        id: network.id?,
    })
}

/// The option that says which of Weir's networks one of Docker's is.
pub(crate) const NETWORK_OPTION: &str = "network";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_network_with_a_container_and_one_that_is_about_to_be() {
        let text = r#"{"Name":"net","Id":"33f0","Driver":"weir","Options":{"network":"myvlan"},
            "IPAM":{"Driver":"weir","Options":{},"Config":[{"Subnet":"0.0.0.0/0","Gateway":"0.0.0.3"}]},
            "Containers":{"4fe8a1b2c3d4e5f6":{"Name":"web","EndpointID":"eca8","IPv4Address":"10.1.0.5/16"},
            "ep-77":{"Name":"next","EndpointID":"77","IPv4Address":"10.1.0.6/16"}}}"#;
        let network = plain(serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!((network.token, network.network.as_deref()), (Some(3), Some("myvlan")));
        let end = |id: &str| network.endpoints.iter().find(|end| end.id == id).unwrap();
        let container = end("eca8").container.clone().unwrap();
        assert_eq!(
            (container.id.as_str(), container.to_string().as_str()),
            ("4fe8a1b2c3d4e5f6", "web (4fe8a1b2c3d4)")
        );
        assert_eq!(end("eca8").address, Some(Ipv4Addr::new(10, 1, 0, 5)));
        assert_eq!(end("77").container, None);
    }
}
