//! Clients of each service that take answers as large as the controller may give: a list of 50,000 containers is some 15 MB,
//! and tonic by itself refuses what is over 4 MB.

use tonic::transport::Channel;

use crate::v1::agents_client::AgentsClient;
use crate::v1::containers_client::ContainersClient;
use crate::v1::enrolment_client::EnrolmentClient;
use crate::v1::networks_client::NetworksClient;
use crate::v1::nodes_client::NodesClient;
use crate::v1::pools_client::PoolsClient;
use crate::v1::services_client::ServicesClient;
use crate::v1::status_client::StatusClient;
use crate::v1::tokens_client::TokensClient;
use crate::v1::volumes_client::VolumesClient;

/// The largest message that a client takes, in bytes.
pub const MESSAGE_LIMIT: usize = 64 << 20;

/// A client of the service `weir.v1.Pools`.
#[must_use]
pub fn pools(channel: Channel) -> PoolsClient<Channel> {
    PoolsClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT)
}

/// A client of the service `weir.v1.Networks`.
#[must_use]
pub fn networks(channel: Channel) -> NetworksClient<Channel> {
    NetworksClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT)
}

/// A client of the service `weir.v1.Nodes`.
#[must_use]
pub fn nodes(channel: Channel) -> NodesClient<Channel> {
    NodesClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT)
}

/// A client of the service `weir.v1.Containers`.
#[must_use]
pub fn containers(channel: Channel) -> ContainersClient<Channel> {
    ContainersClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT)
}

/// A client of the service `weir.v1.Services`.
#[must_use]
pub fn services(channel: Channel) -> ServicesClient<Channel> {
    ServicesClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT)
}

/// A client of the service `weir.v1.Volumes`.
#[must_use]
pub fn volumes(channel: Channel) -> VolumesClient<Channel> {
    VolumesClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT)
}

/// A client of the service `weir.v1.Status`.
#[must_use]
pub fn status(channel: Channel) -> StatusClient<Channel> {
    StatusClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT)
}

/// A client of the service `weir.v1.Agents`.
#[must_use]
pub fn agents(channel: Channel) -> AgentsClient<Channel> {
    AgentsClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT)
}

/// A client of the service `weir.v1.Tokens`.
#[must_use]
pub fn tokens(channel: Channel) -> TokensClient<Channel> {
    TokensClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT)
}

/// A client of the service `weir.v1.Enrolment`.
#[must_use]
pub fn enrolment(channel: Channel) -> EnrolmentClient<Channel> {
    EnrolmentClient::new(channel)
}
