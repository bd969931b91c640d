//! An endpoint's place in the network: the interface in its namespace, and the port in Open vSwitch.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::timeout};

use crate::{
    bridge::{EndpointPort, PlugError, Switch},
    plugin::Attached,
    runtime::{EndpointId, EndpointSpec, RuntimeError, Sandboxes},
};

/// Attaches endpoints and detaches them, one thing at a time for each endpoint.
#[derive(Clone, Debug)]
pub(super) struct Attachments {
    switch: Switch,
    sandboxes: Sandboxes,
    /// Up to which revision the switch has confirmed its flows.
    confirmed: watch::Receiver<u64>,
    turns: Arc<[tokio::sync::Mutex<()>; TURNS]>,
    /// The endpoints that Docker may attach; what else it asks for has moved elsewhere, or is not to be any more.
    admitted: Arc<Mutex<BTreeSet<EndpointId>>>,
    /// Why Docker's last request for an attachment was refused: Docker's own answer has only the sentence.
    refused: Arc<Mutex<HashMap<EndpointId, AttachError>>>,
}

/// Why an endpoint is not attached.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttachError {
    /// Open vSwitch refuses, or gave another number.
    #[error(transparent)]
    Plug(#[from] PlugError),
    /// The system refuses.
    #[error(transparent)]
    Sandbox(#[from] RuntimeError),
    /// The controller has taken it away while Docker was starting it.
    #[error("endpoint {0} does not belong on this node any more")]
    NotAdmitted(EndpointId),
}

impl Attachments {
    /// `confirmed`: up to which revision the switch has confirmed its flows.
    pub(super) fn new(switch: Switch, sandboxes: Sandboxes, confirmed: watch::Receiver<u64>) -> Self {
        let turns = Arc::new(std::array::from_fn(|_| tokio::sync::Mutex::default()));
        Self { switch, sandboxes, confirmed, turns, admitted: Arc::default(), refused: Arc::default() }
    }

    /// Says which endpoints Docker may attach from now on.
    pub(super) fn admit(&self, endpoints: BTreeSet<EndpointId>) {
        *self.admitted.lock().unwrap_or_else(PoisonError::into_inner) = endpoints;
    }

    /// Makes interface and port what they should be, in the namespace of the file `sandbox` or in one of their own. What
    /// is right is not touched. `tso`: whether ovs-vswitchd computes the checksums that endpoints leave out.
    pub(super) async fn attach(
        &self,
        spec: &EndpointSpec,
        sandbox: Option<&Path>,
        tso: bool,
    ) -> Result<(), AttachError> {
        let _turn = self.turn(spec.id).await;
        self.flows_of(spec).await;
        let begun = Instant::now();
        if self.sandboxes.prepare(spec, sandbox).await? {
            // Open vSwitch does not let go of a device that was replaced by another of its name.
            self.switch.unplug(spec.id).await.map_err(PlugError::from)?;
        }
        // OVS opens the host end while the container's side gets its addresses: both take milliseconds.
        let prepared = Instant::now();
        let offload = tso && !spec.tunnelled;
        let ((plugged, plug_us), (configured, configure_us)) = tokio::join!(
            async { (self.switch.plug(&port(spec)).await, prepared.elapsed().as_micros()) },
            async { (self.sandboxes.configure(spec, offload).await, prepared.elapsed().as_micros()) },
        );
        let prepare_us = (prepared - begun).as_micros();
        tracing::debug!(endpoint = spec.id, prepare_us, plug_us, configure_us, "endpoint attached");
        plugged?;
        configured?;
        Ok(())
    }

    /// Takes port and interface away, whatever there is of them.
    pub(super) async fn detach(&self, id: EndpointId) -> Result<(), AttachError> {
        let _turn = self.turn(id).await;
        // The port first: else OVS would complain of a device that vanishes under it.
        self.switch.unplug(id).await.map_err(PlugError::from)?;
        Ok(self.sandboxes.remove(id).await?)
    }

    /// Takes port and interface away, as `detach`, if `is_idle` says so when it is the endpoint's turn.
    pub(super) async fn detach_if(
        &self,
        id: EndpointId,
        is_idle: impl Fn() -> bool,
    ) -> Result<(), AttachError> {
        let _turn = self.turn(id).await;
        if !is_idle() {
            return Ok(());
        }
        self.switch.unplug(id).await.map_err(PlugError::from)?;
        Ok(self.sandboxes.remove(id).await?)
    }

    /// Attaches an endpoint for a container of Docker's that somebody else runs: as `attach_for_docker`, if `is_its` says
    /// so when it is the endpoint's turn.
    pub(super) async fn attach_plain(
        &self,
        spec: &EndpointSpec,
        tso: bool,
        is_its: impl Fn() -> bool,
    ) -> Result<Attached, AttachError> {
        let _turn = self.turn(spec.id).await;
        if !is_its() {
            return Err(AttachError::NotAdmitted(spec.id));
        }
        let interface = self.attach_beside(spec, tso).await?;
        Ok(Attached { interface, gateway: spec.address.gateway })
    }

    /// Sees that an endpoint of which Docker has the inner end has its port.
    pub(super) async fn keep_plain(&self, spec: &EndpointSpec) -> Result<(), AttachError> {
        let _turn = self.turn(spec.id).await;
        self.sandboxes.keep_host_end(spec).await?;
        Ok(self.switch.plug(&port(spec)).await?)
    }

    /// Attaches an endpoint whose container Docker is starting or will start: an interface with its port, which Docker moves
    /// into the container. What is right is not touched. A refusal is kept for whoever asked Docker to start it.
    pub(super) async fn attach_for_docker(&self, spec: &EndpointSpec, tso: bool) -> Result<Attached, String> {
        match self.try_attach_for_docker(spec, tso).await {
            Ok(interface) => Ok(Attached { interface, gateway: spec.address.gateway }),
            Err(error) => {
                let sentence = error.to_string();
                self.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(spec.id, error);
                Err(sentence)
            }
        }
    }

    async fn try_attach_for_docker(&self, spec: &EndpointSpec, tso: bool) -> Result<String, AttachError> {
        let _turn = self.turn(spec.id).await;
        // Not before it is its turn: until then it may have been taken down.
        if !self.admitted.lock().unwrap_or_else(PoisonError::into_inner).contains(&spec.id) {
            return Err(AttachError::NotAdmitted(spec.id));
        }
        self.attach_beside(spec, tso).await
    }

    /// An interface, whose inner end is beside the host end, with its port.
    async fn attach_beside(&self, spec: &EndpointSpec, tso: bool) -> Result<String, AttachError> {
        self.flows_of(spec).await;
        let inner = self.sandboxes.prepare_for_docker(spec, tso && !spec.tunnelled).await?;
        if inner.is_new {
            self.switch.unplug(spec.id).await.map_err(PlugError::from)?;
        }
        self.switch.plug(&port(spec)).await?;
        Ok(inner.name)
    }

    /// Waits for the switch to have a new endpoint's flows. ovs-vswitchd looks at all its ports when an interface appears on
    /// the host, and again when it adds a port; if it has a thousand, it answers nobody for hundreds of milliseconds.
    async fn flows_of(&self, spec: &EndpointSpec) {
        if self.switch.is_plugged(&port(spec)).await {
            return;
        }
        let mut confirmed = self.confirmed.clone();
        let flows = confirmed.wait_for(|revision| *revision >= spec.flows_revision);
        // Somebody may wait for the interface, and the switch may be without a controller.
        if timeout(FLOWS, flows).await.is_err() {
            tracing::debug!(endpoint = spec.id, "its port comes before its flows");
        }
    }

    /// Takes out why Docker's last request about an endpoint was refused, if it was.
    pub(super) fn take_refusal(&self, id: EndpointId) -> Option<AttachError> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).remove(&id)
    }

    async fn turn(&self, id: EndpointId) -> tokio::sync::MutexGuard<'_, ()> {
        // Two endpoints that share a turn wait for each other now and then, which is all.
        let [first, ..] = &*self.turns;
        let number = usize::try_from(id).unwrap_or(0) % TURNS;
        self.turns.get(number).unwrap_or(first).lock().await
    }
}

fn port(spec: &EndpointSpec) -> EndpointPort {
    EndpointPort {
        endpoint_id: spec.id,
        name: spec.host_interface(),
        ofport: spec.ofport,
        mac: spec.mac.to_string(),
        pool: spec.pool.clone(),
        container: spec.container.clone(),
        network: spec.network.clone(),
    }
}

/// How long an interface waits for its endpoint's flows.
const FLOWS: Duration = Duration::from_millis(300);

/// Endpoints that can be attached or detached at the same time.
const TURNS: usize = 64;
