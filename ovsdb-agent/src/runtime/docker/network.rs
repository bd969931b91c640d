//! The one network of Docker's that all endpoints' containers belong to.
//!
//! What network it really is, the driver finds out by the endpoint's number. Docker lets several have one name, and then
//! connects nothing to any of them.

use std::collections::HashMap;

use bollard::{
    models::{Ipam, Network, NetworkCreateRequest},
    query_parameters::ListNetworksOptionsBuilder,
};

use super::{ANSWER, Docker, DockerError, WORK};

impl Docker {
    /// Makes the network if it is not there, and removes all but one if there are several.
    ///
    /// # Errors
    /// Docker's.
    pub(super) async fn ensure_network(&self) -> Result<(), DockerError> {
        let _turn = self.making_network.lock().await;
        let mut ids = self.networks().await?;
        if ids.is_empty() {
            self.make_network().await?;
            // One that an earlier life asked for, or a request that was given up, may have come at the same time.
            ids = self.networks().await?;
        }
        let mut surplus = ids.len().saturating_sub(1);
        for id in ids {
            if surplus == 0 {
                break;
            }
            let removed = self.ask("removing a network of its name", WORK, |docker| async move {
                docker.remove_network(&id).await
            });
            match removed.await {
                Ok(()) => surplus -= 1,
                Err(error) if error.is_status(404) => surplus -= 1,
                // A container uses it: it is one of the others that goes.
                Err(error) if error.is_status(403) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The ids of all networks of that name and driver.
    async fn networks(&self) -> Result<Vec<String>, DockerError> {
        let filters = HashMap::from([("name", vec![NETWORK]), ("driver", vec![DRIVER])]);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let listed = self.ask("listing networks", ANSWER, |docker| async move {
            docker.list_networks(Some(options)).await
        });
        // Docker's filter is content with a part of the name, and others may make networks with the driver too.
        let is_ours = |network: &Network| network.name.as_deref() == Some(NETWORK) && is_managed(network);
        Ok(listed.await?.into_iter().filter(is_ours).filter_map(|network| network.id).collect())
    }

    async fn make_network(&self) -> Result<(), DockerError> {
        let ipam = Ipam { driver: Some("null".to_owned()), ..Ipam::default() };
        let request = NetworkCreateRequest {
            name: NETWORK.to_owned(),
            driver: Some(DRIVER.to_owned()),
            ipam: Some(ipam),
            options: Some(HashMap::from([(MANAGED.to_owned(), "true".to_owned())])),
            ..NetworkCreateRequest::default()
        };
        let made = self
            .ask("making its network", WORK, |docker| async move { docker.create_network(request).await })
            .await;
        match made {
            // Somebody else was first.
            Err(error) if error.is_status(409) => Ok(()),
            made => made.map(drop),
        }
    }
}

/// Whether the agent itself has made a network.
pub(super) fn is_managed(network: &Network) -> bool {
    network.options.as_ref().is_some_and(|options| options.contains_key(MANAGED))
}

/// Whether Docker refuses because it has no network of ours, or more than one.
pub(super) fn is_at_fault(error: &DockerError) -> bool {
    let DockerError::Refused { status, message } = error else { return false };
    let ambiguous = message.contains("network") && message.contains("is ambiguous");
    ambiguous || (*status == 404 && message.contains("network"))
}

/// The network of Docker's that our containers belong to.
pub(super) const NETWORK: &str = "weir";

/// The name of the network driver: that of the plugin's socket.
pub(super) const DRIVER: &str = "weir";

/// The option by which the driver knows the agent's own network.
pub(crate) const MANAGED: &str = "weir.managed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_network_that_is_missing_or_there_twice() {
        let refused = |status, message: &str| {
            is_at_fault(&DockerError::Refused { status, message: message.to_owned() })
        };
        assert!(refused(404, "network weir not found"));
        assert!(refused(400, "network weir is ambiguous (2 matches found on name)"));
        assert!(!refused(404, "No such image: busybox:latest"));
        assert!(!refused(500, "error while joining network weir: the port number 1024 is taken"));
        assert!(!is_at_fault(&DockerError::Protocol("network weir not found".to_owned())));
    }
}
