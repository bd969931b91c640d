//! The jobs of the event loop: each does one thing to the node, may be repeated, and keeps no state.
//!
//! Each has an end that the loop is told, also when a bug makes it panic: else the loop would wait for it for ever.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    sync::Arc,
};

use futures::FutureExt;
use tokio::sync::watch;

use super::{
    attachment::Attachments,
    container,
    endpoints::{Failed, Goal, Job, Outcome, Reason, Remains},
    images::Images,
    plain::{self, Asker},
};
use crate::{
    bridge::{self, BR_INT, BR_PHY, Switch, offload},
    link::Links,
    metrics::Sampler,
    ovsdb::Replica,
    plugin::{self, Addresses, Shelf},
    runtime::{EndpointId, EndpointSpec, Sandboxes, docker::Docker},
};

/// What the jobs work with.
#[derive(Clone)]
pub(super) struct Tools {
    /// Open vSwitch.
    pub(super) switch: Switch,
    /// Namespaces and interfaces.
    pub(super) sandboxes: Sandboxes,
    /// Interfaces with their ports.
    pub(super) attachments: Attachments,
    /// Containers.
    pub(super) docker: Docker,
    /// Their images that are not here yet.
    pub(super) images: Images,
    /// The folders of the node that containers may have.
    pub(super) folders: Arc<BTreeSet<String>>,
    /// Up to which revision the switch has confirmed its flows.
    pub(super) confirmed: watch::Receiver<u64>,
    /// What the node's containers use.
    pub(super) sampler: Sampler,
    /// The host's own links.
    pub(super) links: Links,
    /// What Docker's own containers have.
    pub(super) shelf: Shelf,
}

/// What a request of Docker's is answered under.
#[derive(Clone)]
pub(super) struct Circumstances {
    /// The endpoint as the controller wants it, if it does.
    pub(super) wanted: Option<Arc<EndpointSpec>>,
    /// Who asks the controller, if it is there.
    pub(super) asker: Option<Asker>,
    /// ovs-vswitchd computes the checksums that endpoints leave out.
    pub(super) tso: bool,
}

/// How the bridges are after they were brought to what they should be, as far as that went.
#[derive(Debug, Default)]
pub(super) struct Bridges {
    /// br-int is there: endpoints can be plugged.
    pub(super) is_ready: bool,
    /// Whether ovs-vswitchd computes the checksums that endpoints leave out; `None` while that cannot be told.
    pub(super) tso: Option<bool>,
    /// The NIC's own hardware address.
    pub(super) nic_mac: Option<String>,
    /// What went wrong or is not for the agent to mend.
    pub(super) problems: Vec<String>,
    /// It should be tried again.
    pub(super) failed: bool,
}

/// Does what an endpoint's job asks for.
pub(super) async fn endpoint(tools: Tools, job: Job, tso: bool) -> (Job, Outcome) {
    let work = async {
        match &job.goal {
            Goal::Present(spec) => container::bring_up(&tools, spec, job.is_retry, tso).await,
            Goal::Absent(remains) => container::take_down(&tools, job.id, *remains).await,
        }
    };
    let outcome = unless_panic(work).await;
    (job, outcome.unwrap_or_else(|| Outcome::Failed(Failed::new(Reason::Port, PANICKED))))
}

/// What the work comes to; `None` if it panics, of which standard error says more.
async fn unless_panic<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

/// Everything of which anything is here, containers and ports; `None` if it cannot be known now.
pub(super) async fn survey(tools: Tools) -> Option<BTreeMap<EndpointId, Remains>> {
    unless_panic(look_around(tools)).await.flatten()
}

async fn look_around(tools: Tools) -> Option<BTreeMap<EndpointId, Remains>> {
    let replica = tools.switch.replica().await.ok()?;
    let listed = tools.sandboxes.list().await;
    let mut here =
        listed.inspect_err(|error| tracing::warn!(%error, "cannot list the namespaces here")).ok()?;
    here.extend(bridge::endpoint::endpoints(&replica).into_iter().map(|port| port.endpoint_id));
    let (containers, otherwise) = match tools.docker.list().await {
        Ok(containers) => (containers, Remains::Sandbox),
        // What Docker has is looked at when it is back.
        Err(_) => (Vec::new(), Remains::Unknown),
    };
    let mut found: BTreeMap<EndpointId, Remains> = here.into_iter().map(|id| (id, otherwise)).collect();
    found.extend(containers.into_iter().map(|id| (id, Remains::Container)));
    Some(found)
}

/// Does what Docker's network driver was asked for, and answers.
pub(super) async fn serve(
    tools: Tools,
    request: plugin::Request,
    Circumstances { wanted: spec, asker, tso }: Circumstances,
) {
    let work = async {
        match request {
            plugin::Request::AttachPlain { spec, docker, reply } => {
                drop(reply.send(plain::attach(&tools, (&spec, &docker), tso).await));
            }
            plugin::Request::Lease { network, address, reply } => match asker {
                Some(asker) => asker.lease((network, address), reply).await,
                None => drop(
                    reply.send(Err(format!("there is no endpoint in reserve for this, and {UNREACHED}"))),
                ),
            },
            plugin::Request::SetMac { endpoint, mac, reply } => match asker {
                Some(asker) => asker.set_mac((endpoint, mac), reply).await,
                None => drop(
                    reply.send(Err(format!("a MAC address is the controller's to give, and {UNREACHED}"))),
                ),
            },
            plugin::Request::Describe { endpoint, reply } => {
                let addresses = runnable(endpoint, spec.as_deref())
                    .map(|spec| Addresses { address: spec.address.address, mac: spec.mac });
                drop(reply.send(addresses));
            }
            plugin::Request::Attach { endpoint, reply } => {
                let attached = match runnable(endpoint, spec.as_deref()) {
                    Ok(spec) => tools.attachments.attach_for_docker(spec, tso).await,
                    Err(refusal) => Err(refusal),
                };
                drop(reply.send(attached));
            }
            plugin::Request::Detach { endpoint, reply } => {
                let detached = tools.attachments.detach(endpoint).await.map_err(|error| error.to_string());
                drop(reply.send(detached));
            }
        }
    };
    // Whoever waits for the answer of one that panics is told so by the reply that is dropped.
    unless_panic(work).await;
}

/// An endpoint whose process may run here.
fn runnable(endpoint: EndpointId, spec: Option<&EndpointSpec>) -> Result<&EndpointSpec, String> {
    let spec = spec.ok_or_else(|| {
        format!("the controller has not said that endpoint {endpoint} belongs on this node: it has moved, was deleted, or the controller was not reached since the agent started")
    })?;
    match &spec.program {
        Some(program) if program.stopped => Err(format!("endpoint {endpoint} is stopped on request")),
        Some(_) => Ok(spec),
        None => Err(format!("endpoint {endpoint} is no container of Docker's")),
    }
}

/// Brings the bridges to what they should be, and says how they then are.
pub(super) async fn bridges(tools: Tools, desired: bridge::Desired) -> Bridges {
    let nic_mac = desired.nic_mac.clone();
    match unless_panic(mend_bridges(&tools, desired)).await {
        Some(result) => result,
        None => Bridges {
            is_ready: tools.switch.client().replica().is_some_and(|replica| has_br_int(&replica)),
            nic_mac,
            problems: vec![PANICKED.to_owned()],
            failed: true,
            ..Bridges::default()
        },
    }
}

fn has_br_int(replica: &Replica) -> bool {
    replica.named("Bridge", BR_INT).is_some()
}

async fn mend_bridges(tools: &Tools, mut desired: bridge::Desired) -> Bridges {
    let mut result = Bridges::default();
    match tools.links.find(&desired.nic).await {
        // Known from before, it stays: a NIC that is away for a moment comes back with it.
        Ok(nic) => {
            desired.nic_mac = nic.and_then(|nic| nic.mac).map(|mac| mac.to_string()).or(desired.nic_mac)
        }
        Err(error) => result.problems.push(error.to_string()),
    }
    result.nic_mac.clone_from(&desired.nic_mac);
    if let Err(error) = tools.switch.reconcile(&desired).await {
        result.problems.push(error.to_string());
        result.failed = true;
    }
    if let Some(replica) = tools.switch.client().replica() {
        result.is_ready = has_br_int(&replica);
        result.problems.extend(bridge::reconcile::problems(&replica, &desired));
        if !result.failed && !bridge::reconcile(&replica, &desired).is_empty() {
            result.problems.push("the bridges do not become what they should be".to_owned());
            result.failed = true;
        }
    }
    match offload::is_active(BR_PHY).await {
        Ok(tso) => result.tso = tso,
        Err(error) => result.problems.push(format!("cannot ask for {BR_PHY}'s offloads: {error}")),
    }
    result
}

/// What is said to whoever needs the controller meanwhile.
const UNREACHED: &str = "the controller is not reached: what runs goes on; try again when it is back";

const PANICKED: &str = "the agent failed; its log says more";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_has_an_end() {
        let panics = async {
            tokio::task::yield_now().await;
            assert_eq!(1, 2, "as a bug would");
        };
        assert_eq!(unless_panic(panics).await, None);
        assert_eq!(unless_panic(async { 7 }).await, Some(7));
    }
}
