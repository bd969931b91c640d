//! Many containers at once, where nothing is measured: what is to be there already, and what is to go.

use futures::{StreamExt, TryStreamExt, stream};
use tonic::Status;
use tonic::transport::Channel;
use weir_api::v1;

/// Creates and deletes at the same time.
const AT_ONCE: usize = 8;

/// Creates containers, and returns when all are ready.
///
/// # Errors
/// The first refusal; what was created by then stays.
pub async fn fill(channel: &Channel, containers: impl Iterator<Item = v1::Container>) -> Result<(), Status> {
    let made = containers.map(|container| {
        let mut client = weir_api::client::containers(channel.clone());
        let request = v1::CreateContainerRequest { container: Some(container), wait: true };
        async move { client.create_container(request).await.map(drop) }
    });
    stream::iter(made).buffer_unordered(AT_ONCE).try_collect().await
}

/// Deletes all containers of a network, and returns when they are gone.
///
/// # Errors
/// The first refusal.
pub async fn empty(channel: &Channel, pool: &str, network: &str) -> Result<(), Status> {
    let mut client = weir_api::client::containers(channel.clone());
    let request = v1::ListContainersRequest {
        pool: pool.to_owned(),
        network: network.to_owned(),
        ..v1::ListContainersRequest::default()
    };
    let containers = client.list_containers(request).await?.into_inner().containers;
    let gone = containers.into_iter().map(|container| {
        let mut client = client.clone();
        let request = v1::DeleteContainerRequest { pool: container.pool, name: container.name, wait: true };
        async move { client.delete_container(request).await.map(drop) }
    });
    stream::iter(gone).buffer_unordered(AT_ONCE).try_collect().await
}
