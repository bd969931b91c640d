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
//! is left out and counted as a failure. Whoever asks right after another is told what that one was.
//!
//! | file | is for |
//! |---|---|
//! | `serve.rs` | HTTP |
//! | `container.rs` | containers with what they use, and cAdvisor's names |
//! | `cgroup.rs` | control groups |
//! | `switch.rs` | what Open vSwitch counts |

pub mod cgroup;
mod container;
mod serve;
pub mod switch;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, mpsc, oneshot};
use weir_metrics::{Counters, Family, Metrics};

use self::{
    cgroup::scaled,
    container::Containers,
    switch::{Interface, drops, interfaces},
};
pub use self::{container::Sample, serve::serve};
use crate::{
    ovsdb,
    plugin::Shelf,
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
    /// Held while somebody reads: two at a time would take twice as much of the node and see the same. Whoever has waited
    /// is told what was read meanwhile.
    turn: Arc<Mutex<Last>>,
}

/// What was read last.
#[derive(Debug, Default)]
struct Last {
    interfaces: Recent<Vec<Interface>>,
    containers: container::Last,
}

impl Sampler {
    /// A sampler; what it cannot read is counted among the metrics.
    #[must_use]
    pub fn new(client: ovsdb::Client, docker: Docker, shelf: Shelf, metrics: &Metrics) -> Self {
        let help = "What could not be read when somebody asked, by where";
        let troubles = Troubles(metrics.counters_by("agent_read_failures", help));
        Self { client, containers: Containers::new(docker, shelf), troubles, turn: Arc::default() }
    }

    /// What these containers use now, as far as that can be read in a few seconds.
    pub async fn sample(&self, specs: Vec<Arc<EndpointSpec>>) -> Vec<Sample> {
        let mut last = self.turn.lock().await;
        self.look(specs, &mut last).await.0
    }

    /// Samples of those containers, and all interfaces.
    async fn look(&self, specs: Vec<Arc<EndpointSpec>>, last: &mut Last) -> (Vec<Sample>, Vec<Interface>) {
        let (interfaces, usages) = tokio::join!(
            last.interfaces.get(async { interfaces(&self.client).await.ok() }),
            self.containers.usages(&specs, &mut last.containers, &self.troubles)
        );
        if interfaces.is_none() {
            self.troubles.note(Part::Ovsdb);
        }
        let interfaces = interfaces.unwrap_or_default();
        (container::samples(specs, &interfaces, usages), interfaces)
    }
}

/// What was read a moment ago, or could not be read, and until when that counts.
#[derive(Debug)]
struct Recent<T>(Option<(Instant, Option<T>)>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Clone> Recent<T> {
    /// What it is: as it was read last, if that counts still, or else as `read` finds it now. `None`: it cannot be read in
    /// time.
    async fn get(&mut self, read: impl Future<Output = Option<T>>) -> Option<T> {
        if let Some((until, known)) = &self.0
            && Instant::now() < *until
        {
            return known.clone();
        }
        let known = in_time(read).await.flatten();
        let counts = if known.is_some() { FRESH } else { BROKEN };
        self.0 = Some((Instant::now() + counts, known.clone()));
        known
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
        let specs = in_time(self.specs()).await.unwrap_or_default();
        let mut last = self.sampler.turn.lock().await;
        let ((samples, interfaces), drops) =
            tokio::join!(self.sampler.look(specs, &mut last), in_time(drops(&self.flows, PATIENCE)));
        drop(last);
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

/// How long the event loop, the database and the switch may take, Docker to list containers, and then all of them to be
/// read.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long what was read is told to others: less than anybody waits between two looks.
const FRESH: Duration = Duration::from_millis(400);

/// How long what could not be read is not tried again.
const BROKEN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use futures::future::join_all;
    use tokio::net::UnixListener;
    use weir_api::v1::DesiredEndpoint;
    use weir_metrics::Exposition;

    use super::*;
    use crate::{bridge::MONITORED, runtime::EndpointId};

    /// An endpoint for a container of a runtime.
    pub(super) fn spec(endpoint_id: EndpointId, runtime: &str) -> Arc<EndpointSpec> {
        let endpoint = DesiredEndpoint {
            endpoint_id,
            container: "web".into(),
            address: "10.1.0.1/24".into(),
            mac: "02:42:0a:01:00:01".into(),
            ofport: 1024,
            runtime: runtime.into(),
            ..DesiredEndpoint::default()
        };
        Arc::new(EndpointSpec::try_from(&endpoint).unwrap())
    }

    /// A sampler of a node without a database, whose Docker is in that folder.
    pub(super) fn sampler(folder: &Path, metrics: &Metrics) -> Sampler {
        let address = ovsdb::Address::Unix(folder.join("db.sock"));
        let settings = ovsdb::Settings::new("Open_vSwitch", MONITORED);
        let client = ovsdb::Client::start(ovsdb::Config::new(address, settings));
        let (docker, shelf) = (Docker::new(&folder.join("docker.sock")), Shelf::open(folder.to_owned()));
        Sampler::new(client, docker, shelf, metrics)
    }

    #[tokio::test]
    async fn a_docker_that_hangs_holds_up_one_asker_and_not_each_that_follows() {
        let folder = tempfile::tempdir().unwrap();
        // It has connections, and says nothing.
        let _docker = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        let metrics = Metrics::default();
        let sampler = sampler(folder.path(), &metrics);
        let begun = Instant::now();
        let all = join_all((0..5).map(|_| sampler.sample(vec![spec(1, "docker")]))).await;
        assert!(begun.elapsed() < 2 * PATIENCE, "{:?}", begun.elapsed());
        for samples in all {
            assert_eq!((samples.len(), samples[0].id.as_str()), (1, "/run/netns/weir-1"));
            assert_eq!(samples[0].usage, None);
        }
        let text = metrics.render(Exposition::OpenMetrics);
        assert!(text.contains("weir_agent_read_failures_total{part=\"docker\"} 5"), "{text}");
    }
}
