//! The API. gRPC, a file for each service: requests to orchestration, refusals to status codes; HTTP and JSON over the same
//! services (`rest`); and what is served beside them.

mod agents;
mod check;
mod condition;
mod containers;
mod convert;
mod deadline;
mod enrolment;
mod events;
mod exec;
mod fault;
mod guard;
mod health;
mod link;
pub mod listen;
mod logs;
mod metrics;
mod networks;
mod nodes;
mod page;
mod pools;
mod relay;
mod rest;
mod services;
mod stats;
mod status;
mod tokens;
mod volumes;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::middleware::from_fn_with_state;
use tonic::service::Routes;
use tonic::{Request, Status};
use tonic_health::pb::health_server::HealthServer;
use weir_api::v1::agents_server::AgentsServer;
use weir_api::v1::containers_server::ContainersServer;
use weir_api::v1::enrolment_server::EnrolmentServer;
use weir_api::v1::networks_server::NetworksServer;
use weir_api::v1::nodes_server::NodesServer;
use weir_api::v1::pools_server::PoolsServer;
use weir_api::v1::services_server::ServicesServer;
use weir_api::v1::status_server::StatusServer;
use weir_api::v1::tokens_server::TokensServer;
use weir_api::v1::volumes_server::VolumesServer;
use weir_api::v1::{
    ExecContainerRequest, ExecContainerResponse, LogContainerResponse, RelayLogResponse, RelayStatsResponse,
    RelayVolumeResponse, StatsReport, VolumeRemoved,
};

use crate::access::{Access, Authority};
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
    access: Access,
    /// Signs nodes' certificates, each for so long.
    authority: Option<(Arc<Authority>, Duration)>,
    metrics: Arc<Metrics>,
    openflow_targets: Arc<[String]>,
    switches: Board,
    execs: Arc<Relays<ExecContainerRequest, ExecContainerResponse>>,
    logs: Arc<Relays<RelayLogResponse, LogContainerResponse>>,
    stats: Arc<Relays<RelayStatsResponse, StatsReport>>,
    checks: Arc<check::Checks>,
    volumes: Arc<Relays<RelayVolumeResponse, VolumeRemoved>>,
    started: SystemTime,
}

impl Api {
    /// An API over the given orchestration. `openflow_targets` are told to agents, for their bridges.
    #[must_use]
    pub fn new(orchestrator: Orchestrator, metrics: Arc<Metrics>, openflow_targets: Vec<String>) -> Self {
        Self {
            access: Access::new(orchestrator.intent().clone()),
            authority: None,
            orchestrator,
            metrics,
            openflow_targets: openflow_targets.into(),
            switches: Board::default(),
            execs: Arc::default(),
            logs: Arc::default(),
            stats: Arc::default(),
            checks: Arc::default(),
            volumes: Arc::default(),
            started: SystemTime::now(),
        }
    }

    /// Has it let in whom `access` lets in, and have nodes join: their certificates are signed by `authority` for so long.
    #[must_use]
    pub fn with_access(self, access: Access, authority: Arc<Authority>, life: Duration) -> Self {
        Self { access, authority: Some((authority, life)), ..self }
    }

    /// Has it show what the switches of a board should hold, and its learning switches.
    #[must_use]
    pub fn with_switches(self, switches: Board) -> Self {
        Self { switches, ..self }
    }

    /// All that is served: gRPC, HTTP and JSON, `/metrics` and `/sd`.
    #[must_use]
    pub fn routes(&self) -> Routes {
        // Requests by HTTP and JSON become calls of these, and so come through the guard like all others.
        let services = Routes::from(self.guarded(self.services().into_axum_router()));
        let rest = rest::router(&services);
        let metrics = self.guarded(metrics::router(self));
        services.into_axum_router().merge(rest).merge(metrics).into()
    }

    /// `/metrics` and `/sd` alone.
    #[must_use]
    pub fn metrics(&self) -> Routes {
        self.guarded(metrics::router(self)).into()
    }

    /// Lets in whom the guard lets in.
    fn guarded(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.access.clone(), guard::guard))
    }

    fn services(&self) -> Routes {
        Routes::new(PoolsServer::new(self.clone()))
            .add_service(NetworksServer::new(self.clone()))
            .add_service(NodesServer::new(self.clone()))
            .add_service(ContainersServer::with_interceptor(self.clone(), Arrived::note))
            .add_service(ServicesServer::new(self.clone()))
            .add_service(VolumesServer::new(self.clone()))
            .add_service(StatusServer::new(self.clone()))
            .add_service(AgentsServer::new(self.clone()))
            .add_service(TokensServer::new(self.clone()))
            .add_service(EnrolmentServer::new(self.clone()))
            .add_service(HealthServer::new(self.clone()))
            .add_service(reflection().build_v1().expect(DESCRIBED))
            .add_service(reflection().build_v1alpha().expect(DESCRIBED))
    }
}

/// The services of the package `weir.v1`.
const SERVICES: [&str; 10] = [
    "Pools",
    "Networks",
    "Nodes",
    "Containers",
    "Services",
    "Volumes",
    "Status",
    "Agents",
    "Tokens",
    "Enrolment",
];
const DESCRIBED: &str = "the build script has compiled them";

/// What a client can ask that does not have the protocol definitions.
fn reflection<'a>() -> tonic_reflection::server::Builder<'a> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(weir_api::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
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

/// The status code for an error of the intent, with the field that is to blame.
fn refused(error: impl Into<IntentError>) -> Status {
    let error = error.into();
    let message = error.to_string();
    match error {
        IntentError::Refused(refusal) => refusal_status(refusal, message),
        IntentError::Stopped => Status::unavailable(message),
        IntentError::Store(error) => match *error {
            StoreError::Full { .. } => Status::resource_exhausted(message),
            _ => Status::internal(message),
        },
    }
}

fn refusal_status(refusal: Refusal, message: String) -> Status {
    match refusal {
        Refusal::Invalid(_) => Status::invalid_argument(message),
        Refusal::NotFound(_) => Status::not_found(message),
        Refusal::Exists(_) => Status::already_exists(message),
        Refusal::Precondition(_) => Status::failed_precondition(message),
        Refusal::Exhausted(_) => Status::resource_exhausted(message),
        Refusal::Unauthenticated(_) => Status::unauthenticated(message),
        Refusal::Denied(_) => Status::permission_denied(message),
        Refusal::Unavailable(_) => Status::unavailable(message),
        Refusal::Stale(_) => fault::stale(message),
        Refusal::Field { field, refusal } => {
            let status = refusal_status(*refusal, message);
            fault::of_field(field, status.code(), status.message().to_owned())
        }
    }
}
