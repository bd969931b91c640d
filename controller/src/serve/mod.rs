//! The gRPC API, a file for each service: requests to orchestration, refusals to status codes.

mod agents;
mod containers;
mod convert;
mod deadline;
mod events;
mod exec;
pub mod listen;
mod logs;
mod networks;
mod nodes;
mod pools;
mod relay;
mod status;

use std::sync::Arc;
use std::time::SystemTime;

use tonic::Status;
use tonic::service::Routes;
use weir_api::v1::agents_server::AgentsServer;
use weir_api::v1::containers_server::ContainersServer;
use weir_api::v1::networks_server::NetworksServer;
use weir_api::v1::nodes_server::NodesServer;
use weir_api::v1::pools_server::PoolsServer;
use weir_api::v1::status_server::StatusServer;
use weir_api::v1::{ExecContainerRequest, ExecContainerResponse, LogContainerResponse, RelayLogResponse};

use crate::counters::Counters;
use crate::intent::{IntentError, Refusal};
use crate::orchestrate::Orchestrator;
use relay::Relays;

/// What all services work with. Copies are handles to the same.
#[derive(Clone, Debug)]
pub struct Api {
    orchestrator: Orchestrator,
    counters: Arc<Counters>,
    openflow_targets: Arc<[String]>,
    execs: Arc<Relays<ExecContainerRequest, ExecContainerResponse>>,
    logs: Arc<Relays<RelayLogResponse, LogContainerResponse>>,
    started: SystemTime,
}

impl Api {
    /// An API over the given orchestration. `openflow_targets` are told to agents, for their bridges.
    #[must_use]
    pub fn new(orchestrator: Orchestrator, counters: Arc<Counters>, openflow_targets: Vec<String>) -> Self {
        Self {
            orchestrator,
            counters,
            openflow_targets: openflow_targets.into(),
            execs: Arc::default(),
            logs: Arc::default(),
            started: SystemTime::now(),
        }
    }

    /// All services.
    #[must_use]
    pub fn routes(&self) -> Routes {
        Routes::new(PoolsServer::new(self.clone()))
            .add_service(NetworksServer::new(self.clone()))
            .add_service(NodesServer::new(self.clone()))
            .add_service(ContainersServer::new(self.clone()))
            .add_service(StatusServer::new(self.clone()))
            .add_service(AgentsServer::new(self.clone()))
    }
}

/// The status code for an error of the intent.
fn refused(error: impl Into<IntentError>) -> Status {
    let error = error.into();
    let message = error.to_string();
    match error {
        IntentError::Refused(Refusal::Invalid(_)) => Status::invalid_argument(message),
        IntentError::Refused(Refusal::NotFound(_)) => Status::not_found(message),
        IntentError::Refused(Refusal::Exists(_)) => Status::already_exists(message),
        IntentError::Refused(Refusal::Precondition(_)) => Status::failed_precondition(message),
        IntentError::Refused(Refusal::Exhausted(_)) => Status::resource_exhausted(message),
        IntentError::Refused(Refusal::Unavailable(_)) | IntentError::Stopped => Status::unavailable(message),
        IntentError::Store(_) => Status::internal(message),
    }
}
