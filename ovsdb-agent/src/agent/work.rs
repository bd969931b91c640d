//! The jobs of the event loop: each does one thing to the node, may be repeated, and keeps no state.
//!
//! Each has an end that the loop is told, also when a bug makes it panic: else the loop would wait for it for ever.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures::FutureExt;

use super::endpoints::{Goal, Job, Outcome};
use crate::{
    bridge::{self, BR_INT, BR_PHY, EndpointPort, PlugError, Switch, offload},
    link::Links,
    ovsdb::Replica,
    runtime::{EndpointId, EndpointSpec, Runtime, RuntimeError},
};

/// What the jobs work with.
#[derive(Clone)]
pub(super) struct Tools {
    /// Open vSwitch.
    pub(super) switch: Switch,
    /// Containers.
    pub(super) runtime: Arc<dyn Runtime>,
    /// The host's own links.
    pub(super) links: Links,
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
            Goal::Present(spec) => bring_up(&tools, spec, tso).await,
            Goal::Absent => take_down(&tools, job.id).await,
        }
    };
    let outcome = unless_panic(work).await;
    (job, outcome.unwrap_or_else(|| Outcome::Failed(PANICKED.to_owned())))
}

/// What the work comes to; `None` if it panics, of which standard error says more.
async fn unless_panic<T>(work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

async fn bring_up(tools: &Tools, spec: &EndpointSpec, tso: bool) -> Outcome {
    match plug(tools, spec, tso).await {
        Ok(()) => Outcome::Up,
        Err(Failure::Plug(taken @ PlugError::OfportTaken { .. })) => match take_down(tools, spec.id).await {
            Outcome::Removed => Outcome::OfportTaken(taken.to_string()),
            other => other,
        },
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}

async fn plug(tools: &Tools, spec: &EndpointSpec, tso: bool) -> Result<(), Failure> {
    if spec.runtime != RUNTIME {
        return Err(RuntimeError::Unknown(spec.runtime.clone()).into());
    }
    let port = EndpointPort {
        endpoint_id: spec.id,
        name: spec.host_interface(),
        ofport: spec.ofport,
        mac: spec.mac.to_string(),
        pool: spec.pool.clone(),
        container: spec.container.clone(),
        network: spec.network.clone(),
    };
    let begun = Instant::now();
    if tools.runtime.prepare(spec).await? {
        // Open vSwitch does not let go of a device that was replaced by another of its name.
        tools.switch.unplug(spec.id).await.map_err(PlugError::from)?;
    }
    // OVS opens the host end while the container's side gets its addresses: both take milliseconds.
    let prepared = Instant::now();
    let offload = tso && !spec.tunnelled;
    let ((plugged, plug_us), (configured, configure_us)) =
        tokio::join!(async { (tools.switch.plug(&port).await, prepared.elapsed().as_micros()) }, async {
            (tools.runtime.configure(spec, offload).await, prepared.elapsed().as_micros())
        },);
    let prepare_us = (prepared - begun).as_micros();
    tracing::debug!(endpoint = spec.id, prepare_us, plug_us, configure_us, "endpoint brought up");
    plugged?;
    configured?;
    Ok(())
}

async fn take_down(tools: &Tools, id: EndpointId) -> Outcome {
    // The port first: else OVS would complain of a device that vanishes under it.
    if let Err(error) = tools.switch.unplug(id).await {
        return Outcome::Failed(error.to_string());
    }
    match tools.runtime.remove(id).await {
        Ok(()) => Outcome::Removed,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// Everything of which anything is here, containers and ports; `None` if it cannot be known now.
pub(super) async fn survey(tools: Tools) -> Option<Vec<EndpointId>> {
    unless_panic(look_around(tools)).await.flatten()
}

async fn look_around(tools: Tools) -> Option<Vec<EndpointId>> {
    let replica = tools.switch.replica().await.ok()?;
    let listed = tools.runtime.list().await;
    let mut found =
        listed.inspect_err(|error| tracing::warn!(%error, "cannot list the containers here")).ok()?;
    found.extend(bridge::endpoint::endpoints(&replica).into_iter().map(|port| port.endpoint_id));
    Some(found)
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

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Plug(#[from] PlugError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// The one runtime there is.
const RUNTIME: &str = "netns";

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
