//! Endpoints of Docker's own containers: what becomes of them on this node, and how many are kept in reserve.
//!
//! Docker says by its drivers' calls what it wants. What it does not say, or said while nobody listened, is found by asking
//! it now and then what it has, outside of any call.

use std::{collections::BTreeSet, time::Duration};

use tokio::{sync::oneshot, time::timeout};
use tonic::Status;
use weir_api::v1::{
    Desired, LeaseEndpointRequest, LeaseEndpointResponse, ReleaseEndpointRequest, SetEndpointMacRequest,
};

use super::{
    endpoints::{Failed, Outcome, Reason},
    work::Tools,
};
use crate::{
    northbound::Client,
    plugin::{Attached, Shelf, Stage, now_ms},
    runtime::{EndpointId, EndpointSpec, PLAIN},
};

/// This node, as the controller is asked for its endpoints.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) client: Client,
    pub(super) pool: String,
    pub(super) node: String,
}

/// What an order for the reserve comes to.
#[derive(Debug)]
pub(super) struct Ordered {
    /// Why something was refused, a sentence each.
    pub(super) problems: Vec<String>,
}

/// Makes an endpoint what Docker wants of it.
pub(super) async fn bring_up(tools: &Tools, spec: &EndpointSpec) -> Outcome {
    let is_idle = || tools.shelf.stage(spec.id) == Stage::Idle;
    let made = match tools.shelf.stage(spec.id) {
        Stage::Joined(holder) => tools.attachments.keep_plain(spec).await.map(|()| Outcome::Held(holder)),
        Stage::Idle => tools.attachments.detach_if(spec.id, is_idle).await.map(|()| Outcome::Reserved),
        Stage::Between => Ok(Outcome::Reserved),
    };
    made.unwrap_or_else(|error| Outcome::Failed(Failed::new(Reason::Port, error)))
}

/// Plugs an endpoint while Docker waits for it.
pub(super) async fn attach(
    tools: &Tools,
    (spec, docker): (&EndpointSpec, &str),
    tso: bool,
) -> Result<Attached, String> {
    let is_its = || tools.shelf.is_made(docker, spec.id);
    tools.attachments.attach_plain(spec, tso, is_its).await.map_err(|error| error.to_string())
}

/// Tells the book what the controller says of Docker's endpoints.
pub(super) fn note_desired(shelf: &Shelf, desired: &Desired) {
    let plain = desired.endpoints.iter().filter(|endpoint| endpoint.runtime == PLAIN);
    // One that makes no sense is refused, and reported, with all others.
    let present: Vec<EndpointSpec> =
        plain.filter_map(|endpoint| EndpointSpec::try_from(endpoint).ok()).collect();
    let removed: BTreeSet<EndpointId> = desired.removed.iter().map(|removed| removed.endpoint_id).collect();
    if desired.complete || !present.is_empty() || !removed.is_empty() {
        shelf.told(&present, &removed, desired.complete.then_some(desired.revision));
    }
}

impl Asker {
    /// Asks for one more endpoint, and answers whoever waits for it.
    pub(super) async fn lease(
        mut self,
        (network, address): (String, Option<std::net::Ipv4Addr>),
        reply: oneshot::Sender<Result<EndpointSpec, String>>,
    ) {
        let address = address.map_or_else(String::new, |address| address.to_string());
        let request = LeaseEndpointRequest { pool: self.pool, node: self.node, network, address };
        drop(reply.send(answer(self.client.lease_endpoint(request)).await.and_then(spec_of)));
    }

    /// Asks for an endpoint's other MAC address, and answers whoever waits for it.
    pub(super) async fn set_mac(
        mut self,
        (endpoint_id, mac): (EndpointId, flowlib::types::MacAddr),
        reply: oneshot::Sender<Result<EndpointSpec, String>>,
    ) {
        let request =
            SetEndpointMacRequest { pool: self.pool, node: self.node, endpoint_id, mac: mac.to_string() };
        drop(reply.send(answer(self.client.set_endpoint_mac(request)).await.and_then(spec_of)));
    }

    /// Asks for what the reserve lacks, and gives back what it has too much.
    pub(super) async fn order(self, shelf: Shelf, due: crate::plugin::Due) -> Ordered {
        let mut problems = Vec::new();
        for network in due.lease {
            let (reply, leased) = oneshot::channel();
            self.clone().lease((network.clone(), None), reply).await;
            match leased.await {
                Ok(Ok(spec)) => shelf.add(&spec),
                Ok(Err(why)) => problems
                    .push(format!("no endpoint in reserve for Docker in the network `{network}`: {why}")),
                Err(_) => {}
            }
        }
        for endpoint_id in due.release {
            let request =
                ReleaseEndpointRequest { pool: self.pool.clone(), node: self.node.clone(), endpoint_id };
            match answer(self.client.clone().release_endpoint(request)).await {
                Ok(_) => shelf.released(endpoint_id),
                Err(why) => problems
                    .push(format!("the endpoint {endpoint_id} of Docker's cannot be given back: {why}")),
            }
        }
        Ordered { problems }
    }
}

/// The controller's answer, if it comes soon: Docker waits for it.
async fn answer<T>(asked: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T, String> {
    match timeout(ANSWER, asked).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(status.message().to_owned()),
        Err(_) => Err(format!("the controller has not answered for {} s: try again", ANSWER.as_secs())),
    }
}

fn spec_of(answer: LeaseEndpointResponse) -> Result<EndpointSpec, String> {
    let endpoint = answer.endpoint.ok_or("the controller gave no endpoint")?;
    EndpointSpec::try_from(&endpoint).map_err(|error| format!("the controller gave no endpoint: {error}"))
}

/// Sets the book against what Docker has; why not, if not.
pub(super) async fn compare(tools: Tools) -> Result<(), String> {
    let began_ms = now_ms();
    let found = tools.docker.plain_networks().await.map_err(|error| error.to_string())?;
    tools.shelf.compare(&found, began_ms);
    Ok(())
}

/// How long Docker's user waits for the controller.
const ANSWER: Duration = Duration::from_secs(2);
