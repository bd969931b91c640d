//! The service `grpc.health.v1.Health`: whether this controller can do its work. It is the same for every service that there
//! is: the store takes commits, and the network has published what is in it.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::Api;

/// How often a watcher's answer is looked at again.
const PERIOD: Duration = Duration::from_secs(1);

#[tonic::async_trait]
impl Health for Api {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if !is_known(&service) {
            let shown = service.escape_debug().take(80).collect::<String>();
            return Err(Status::not_found(format!("there is no service `{shown}`")));
        }
        Ok(Response::new(HealthCheckResponse { status: self.health().await.into() }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (api, is_known) = (self.clone(), is_known(&request.into_inner().service));
        let statuses = async_stream::stream! {
            let mut period = tokio::time::interval(PERIOD);
            let mut last = None;
            loop {
                period.tick().await;
                // Of a service that is not there a watcher is told so, and goes on watching: that is the protocol's rule.
                let status = if is_known { api.health().await } else { ServingStatus::ServiceUnknown };
                if last.replace(status) != Some(status) {
                    yield Ok(HealthCheckResponse { status: status.into() });
                }
            }
        };
        Ok(Response::new(Box::pin(statuses)))
    }
}

/// Empty is the controller as a whole.
fn is_known(service: &str) -> bool {
    let ours = service.strip_prefix("weir.v1.");
    service.is_empty() || ours.is_some_and(|name| super::SERVICES.contains(&name))
}

impl Api {
    async fn health(&self) -> ServingStatus {
        // Nothing is published before the network has gone through all that is stored.
        let is_published = self.switches.revision() > 0;
        let takes_commits = self.orchestrator.intent().trouble().await.is_none();
        if is_published && takes_commits { ServingStatus::Serving } else { ServingStatus::NotServing }
    }
}
