//! The gRPC API, a file for each service: requests to orchestration, refusals to status codes.

mod agents;
mod containers;
mod convert;
mod deadline;
mod events;
mod exec;
pub mod listen;
mod logs;
mod metrics;
mod networks;
mod nodes;
mod pools;
mod relay;
mod status;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tonic::service::Routes;
use tonic::{Request, Status};
use weir_api::v1::agents_server::AgentsServer;
use weir_api::v1::containers_server::ContainersServer;
use weir_api::v1::networks_server::NetworksServer;
use weir_api::v1::nodes_server::NodesServer;
use weir_api::v1::pools_server::PoolsServer;
use weir_api::v1::status_server::StatusServer;
use weir_api::v1::{ExecContainerRequest, ExecContainerResponse, LogContainerResponse, RelayLogResponse};

use crate::intent::store::StoreError;
use crate::intent::{IntentError, Refusal};
use crate::measure::Metrics;
use crate::openflow::board::Board;
use crate::orchestrate::Orchestrator;
use relay::Relays;

/// What all services work with. Copies are handles to the same.
#[derive(Clone, Debug)]
pub struct Api {
    orchestrator: Orchestrator,
    metrics: Arc<Metrics>,
    openflow_targets: Arc<[String]>,
    switches: Board,
    execs: Arc<Relays<ExecContainerRequest, ExecContainerResponse>>,
    logs: Arc<Relays<RelayLogResponse, LogContainerResponse>>,
    started: SystemTime,
}

impl Api {
    /// An API over the given orchestration. `openflow_targets` are told to agents, for their bridges.
    #[must_use]
    pub fn new(orchestrator: Orchestrator, metrics: Arc<Metrics>, openflow_targets: Vec<String>) -> Self {
        Self {
            orchestrator,
            metrics,
            openflow_targets: openflow_targets.into(),
            switches: Board::default(),
            execs: Arc::default(),
            logs: Arc::default(),
            started: SystemTime::now(),
        }
    }

    /// Has it show what the switches of a board should hold, and its learning switches.
    #[must_use]
    pub fn with_switches(self, switches: Board) -> Self {
        Self { switches, ..self }
    }

    /// All services, and `/metrics` beside them.
    #[must_use]
    pub fn routes(&self) -> Routes {
        self.services().into_axum_router().merge(metrics::router(self.metrics.clone())).into()
    }

    /// `/metrics` alone.
    #[must_use]
    pub fn metrics(&self) -> Routes {
        metrics::router(self.metrics.clone()).into()
    }

    fn services(&self) -> Routes {
        Routes::new(PoolsServer::new(self.clone()))
            .add_service(NetworksServer::new(self.clone()))
            .add_service(NodesServer::new(self.clone()))
            .add_service(ContainersServer::with_interceptor(self.clone(), Arrived::note))
            .add_service(StatusServer::new(self.clone()))
            .add_service(AgentsServer::new(self.clone()))
    }
}

/// When the head of a request was there.
#[derive(Clone, Copy, Debug)]
struct Arrived(Instant);

impl Arrived {
    /// Notes it in the request, whose message has yet to be read.
    #[expect(clippy::unnecessary_wraps, reason = "an interceptor may refuse")]
    fn note(mut request: Request<()>) -> Result<Request<()>, Status> {
        request.extensions_mut().insert(Self(Instant::now()));
        Ok(request)
    }

    fn at<T>(request: &Request<T>) -> Instant {
        request.extensions().get::<Self>().map_or_else(Instant::now, |arrived| arrived.0)
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
        IntentError::Store(error) => match *error {
            StoreError::Full { .. } => Status::resource_exhausted(message),
            _ => Status::internal(message),
        },
    }
}
