//! `GET /metrics` of the agent: the node's containers under cAdvisor's names, and its own numbers.
//!
//! ```text
//!  Prometheus ─GET─▶ here ─inquiry─▶ event loop: which containers should be here
//!                     ├─▶ Docker, /proc, control groups: what each uses
//!                     ├─▶ OVSDB: the traffic of each interface
//!                     └─▶ br-int.mgmt: what the pipeline discards
//! ```
//!
//! Everything is read when somebody asks, once at a time, and for no longer than a few seconds: what is not known by then
//! is left out and counted as a failure.

pub mod cgroup;
mod container;
pub mod switch;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::HeaderMap, response::Response, routing::get};
use tokio::{
    net::TcpListener,
    sync::{Mutex, mpsc, oneshot},
};
use weir_metrics::{Counters, Family, Metrics};

pub use self::container::Sample;
use self::{
    cgroup::scaled,
    container::Containers,
    switch::{Interface, drops, interfaces},
};
use crate::{
    ovsdb,
    runtime::{EndpointSpec, docker::Docker},
};

/// A question to the event loop: which containers should be here?
pub type Inquiry = oneshot::Sender<Vec<Arc<EndpointSpec>>>;

/// Reads what the node's containers use.
#[derive(Clone, Debug)]
pub struct Sampler {
    client: ovsdb::Client,
    containers: Containers,
    troubles: Troubles,
    /// Held while somebody reads: two at a time would take twice as much of the node and see the same.
    turn: Arc<Mutex<()>>,
}

impl Sampler {
    /// A sampler; what it cannot read is counted among the metrics.
    #[must_use]
    pub fn new(client: ovsdb::Client, docker: Docker, metrics: &Metrics) -> Self {
        let help = "What could not be read when somebody asked, by where";
        let troubles = Troubles(metrics.counters_by("agent_read_failures", help));
        Self { client, containers: Containers::new(docker), troubles, turn: Arc::default() }
    }

    /// What these containers use now, as far as that can be read in a few seconds.
    pub async fn sample(&self, specs: Vec<Arc<EndpointSpec>>) -> Vec<Sample> {
        let _turn = self.turn.lock().await;
        let interfaces = self.interfaces().await;
        self.containers.sample(specs, interfaces, &self.troubles).await
    }

    async fn interfaces(&self) -> Vec<Interface> {
        match in_time(interfaces(&self.client)).await {
            Some(Ok(interfaces)) => interfaces,
            Some(Err(_)) | None => {
                self.troubles.note(Part::Ovsdb);
                Vec::new()
            }
        }
    }
}

/// What comes of something; `None` if that takes too long.
async fn in_time<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PATIENCE, work).await.ok()
}

/// What could not be read.
#[derive(Clone, Debug)]
struct Troubles(Counters);

/// Where something could not be read.
#[derive(Clone, Copy, Debug)]
enum Part {
    Docker,
    Container,
    Ovsdb,
    Flows,
}

impl Troubles {
    fn note(&self, part: Part) {
        let word = match part {
            Part::Docker => "docker",
            Part::Container => "container",
            Part::Ovsdb => "ovsdb",
            Part::Flows => "flows",
        };
        self.0.get_or_create(&vec![("part", word.to_owned())]).inc();
    }
}

/// Where the metrics come from.
#[derive(Debug)]
pub struct Source {
    node: String,
    metrics: Arc<Metrics>,
    sampler: Sampler,
    inquiries: mpsc::Sender<Inquiry>,
    flows: PathBuf,
}

impl Source {
    /// The source of a node: its name, what is counted anyhow, who reads the containers, who knows them, and br-int's
    /// management socket.
    #[must_use]
    pub fn new(
        node: &str,
        metrics: Arc<Metrics>,
        sampler: Sampler,
        inquiries: mpsc::Sender<Inquiry>,
        flows: PathBuf,
    ) -> Self {
        Self { node: node.to_owned(), metrics, sampler, inquiries, flows }
    }

    async fn read(&self) -> Vec<Family> {
        let _turn = self.sampler.turn.lock().await;
        let (specs, interfaces, drops) = tokio::join!(
            in_time(self.specs()),
            self.sampler.interfaces(),
            in_time(drops(&self.flows, PATIENCE))
        );
        let mut families = vec![ports(&interfaces)];
        match drops {
            Some(Ok(drops)) => {
                let help = "Packets that br-int has discarded since its flows were made, by reason";
                let mut family = Family::counters("weir_agent_dropped_packets", help, None);
                drops.iter().for_each(|(reason, n)| {
                    family.push(vec![("reason", reason.name().to_owned())], scaled(*n));
                });
                families.push(family);
            }
            Some(Err(_)) | None => self.sampler.troubles.note(Part::Flows),
        }
        let troubles = &self.sampler.troubles;
        let samples = self.sampler.containers.sample(specs.unwrap_or_default(), interfaces, troubles).await;
        families.extend(container::families(&samples, &self.node));
        families
    }

    /// The containers that should be here; none if the agent is ending.
    async fn specs(&self) -> Vec<Arc<EndpointSpec>> {
        let (inquiry, answer) = oneshot::channel();
        if self.inquiries.send(inquiry).await.is_err() {
            return Vec::new();
        }
        answer.await.unwrap_or_default()
    }
}

/// Serves the metrics for ever.
pub async fn serve(address: SocketAddr, source: Source) {
    let routes = Router::new().route("/metrics", get(answer)).with_state(Arc::new(source));
    let mut told = false;
    loop {
        // The address may be one that br-phy is yet to be given.
        let listener = TcpListener::bind(address).await;
        if listener.is_ok() {
            tracing::info!(%address, "serving metrics");
        }
        let served: io::Result<()> = match listener {
            Ok(listener) => axum::serve(listener, routes.clone()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = served
            && !told
        {
            told = true;
            tracing::warn!(%address, %error, "cannot serve metrics; trying again and again");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn answer(State(source): State<Arc<Source>>, headers: HeaderMap) -> Response {
    let families = source.read().await;
    source.metrics.answer(&headers, families)
}

/// The ports of the node's bridges, by whose they are and whether their link is up.
fn ports(interfaces: &[Interface]) -> Family {
    let mut family = Family::gauges("weir_agent_ports", "Ports of the node's bridges", None);
    for (kind, of_endpoint) in [("endpoint", true), ("other", false)] {
        for (link, is_up) in [("up", true), ("down", false)] {
            let is_it = |port: &&Interface| port.endpoint.is_some() == of_endpoint && port.is_up == is_up;
            let n = u64::try_from(interfaces.iter().filter(is_it).count()).unwrap_or(u64::MAX);
            family.push(vec![("kind", kind.to_owned()), ("link", link.to_owned())], scaled(n));
        }
    }
    family
}

/// How long the event loop, the database and the switch may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two attempts to bind the address.
const RETRY: Duration = Duration::from_secs(1);
