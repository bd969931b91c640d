//! What a PaaS asks the controller for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::task::JoinSet;
use tonic::transport::Channel;
use weir_api::v1::{
    Container, CreateContainerRequest, CreateNetworkRequest, CreatePoolRequest, DeleteContainerRequest,
    GetStatusRequest, GetStatusResponse, ListNodesRequest, MoveContainerRequest, Network, Node, Pool, Range,
};

use super::fleet::Fleet;
use super::node::Fault;
use super::scenario::Scenario;

/// A client of the controller.
#[derive(Clone, Debug)]
pub(super) struct Client {
    channel: Channel,
}

/// A container.
#[derive(Clone, Debug)]
struct Name {
    pool: String,
    name: String,
}

/// What a churn came to.
#[derive(Debug, Default)]
pub(super) struct Churned {
    /// How long each create took from the moment it was due until it was ready, the shortest first.
    pub(super) creates: Vec<Duration>,
    /// How many requests of another kind were answered.
    pub(super) n_others: usize,
    /// Requests that failed, and why the last did.
    pub(super) n_failed: usize,
    pub(super) failure: Option<String>,
}

/// How many creates are under way at once while the fleet is filled.
const AT_ONCE: usize = 64;

impl Client {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel }
    }

    /// Creates pools and networks.
    ///
    /// # Errors
    /// The controller's.
    pub(super) async fn create_networks(&self, scenario: &Scenario) -> anyhow::Result<()> {
        for pool in &scenario.pools {
            let numbers = Pool {
                name: pool.name.clone(),
                vnis: Some(Range { first: 1, last: 1 << 20 }),
                ..Pool::default()
            };
            weir_api::client::pools(self.channel.clone())
                .create_pool(CreatePoolRequest { pool: Some(numbers) })
                .await?;
            for network in &pool.networks {
                let subnet = network.subnet.context("a scenario gives its networks subnets")?;
                let network = Network {
                    pool: pool.name.clone(),
                    name: network.name.clone(),
                    driver: network.driver.clone(),
                    subnet: subnet.to_string(),
                    block_prefix_len: network.block_prefix_len.into(),
                    ..Network::default()
                };
                weir_api::client::networks(self.channel.clone())
                    .create_network(CreateNetworkRequest { network: Some(network) })
                    .await?;
            }
        }
        Ok(())
    }

    /// Gives every node its endpoints; how many there are then.
    ///
    /// # Errors
    /// The controller's.
    pub(super) async fn fill(&self, scenario: &Scenario) -> anyhow::Result<usize> {
        let networks =
            scenario.pools.iter().flat_map(|pool| pool.networks.iter().map(move |net| (pool, net)));
        let containers = networks.flat_map(|(pool, network)| {
            let places = (0..pool.nodes).flat_map(|node| (0..network.endpoints).map(move |n| (node, n)));
            places.map(|(node, n)| Container {
                pool: pool.name.clone(),
                name: format!("{}-{node}-{n}", network.name),
                network: network.name.clone(),
                node: format!("n{node}"),
                runtime: "netns".to_owned(),
                ..Container::default()
            })
        });
        let created = stream::iter(containers).map(|container| self.create(container, false));
        created.buffer_unordered(AT_ONCE).try_fold(0, async |n, _| Ok(n + 1)).await
    }

    /// Creates a container.
    ///
    /// # Errors
    /// The controller's.
    pub(super) async fn create(&self, container: Container, wait: bool) -> anyhow::Result<Container> {
        let request = CreateContainerRequest { container: Some(container), wait };
        Ok(weir_api::client::containers(self.channel.clone()).create_container(request).await?.into_inner())
    }

    async fn delete(&self, name: Name) -> anyhow::Result<()> {
        let request = DeleteContainerRequest { pool: name.pool, name: name.name, wait: true };
        weir_api::client::containers(self.channel.clone()).delete_container(request).await?;
        Ok(())
    }

    async fn relocate(&self, name: Name, node: String) -> anyhow::Result<()> {
        let request = MoveContainerRequest { pool: name.pool, name: name.name, node, wait: true };
        weir_api::client::containers(self.channel.clone()).move_container(request).await?;
        Ok(())
    }

    /// How the controller sees the fleet.
    ///
    /// # Errors
    /// The controller's.
    pub(super) async fn status(&self) -> anyhow::Result<GetStatusResponse> {
        let request = GetStatusRequest::default();
        Ok(weir_api::client::status(self.channel.clone()).get_status(request).await?.into_inner())
    }

    /// How many nodes are connected and hold all they should: asked for beside containers, it costs the controller little.
    async fn in_sync(&self) -> anyhow::Result<usize> {
        let request = ListNodesRequest::default();
        let nodes =
            weir_api::client::nodes(self.channel.clone()).list_nodes(request).await?.into_inner().nodes;
        let is_there = |node: &&Node| {
            node.status.as_ref().is_some_and(|is| is.in_sync && is.switch_connected && is.agent_connected)
        };
        Ok(nodes.iter().filter(is_there).count())
    }

    /// Waits until so many nodes are connected and hold all they should, and says through `progress` how far it is;
    /// `patience` bounds it.
    ///
    /// # Errors
    /// If that does not come; it says what is missing.
    pub(super) async fn wait_in_sync(
        &self,
        fleet: &Fleet,
        patience: Duration,
        progress: &dyn Fn(&str),
    ) -> anyhow::Result<()> {
        let (started, n) = (Instant::now(), fleet.nodes.len());
        let (mut answered, mut told) = (started, started);
        loop {
            let asked = Instant::now();
            let in_sync = match self.in_sync().await {
                Ok(in_sync) => in_sync,
                // With thousands of connections at once, one may be lost before it is served.
                Err(_) if answered.elapsed() < LOST => {
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            answered = Instant::now();
            if told.elapsed() > TELL {
                told = answered;
                progress(&format!("{in_sync} of {n} nodes are in sync"));
            }
            let is_late = started.elapsed() > patience;
            if in_sync == n || is_late {
                let status = self.status().await?;
                let (ready, all) = (status.containers_ready, status.containers);
                if in_sync == n && ready == all {
                    return Ok(());
                }
                if is_late {
                    let problems: Vec<_> = status
                        .problems
                        .iter()
                        .take(5)
                        .map(|it| format!("{}: {}", it.subject, it.message))
                        .collect();
                    bail!(
                        "after {} s only {in_sync} of {n} nodes are in sync and {ready} of {all} containers ready\n{}\n{}",
                        patience.as_secs(),
                        problems.join("\n"),
                        fleet.complaints()
                    );
                }
            }
            // Asking must cost little beside what is waited for.
            tokio::time::sleep((asked.elapsed() * 10).clamp(POLL, POLL_MAX)).await;
        }
    }

    /// Creates, deletes and moves containers at the scenario's rates while faults happen.
    pub(super) async fn churn(&self, scenario: &Scenario, fleet: &Fleet) -> Churned {
        let churn = &scenario.churn;
        let mut jobs: Vec<(Duration, Job)> = Vec::new();
        let mut spread = |n: u64, job: &dyn Fn(u64) -> Job| {
            for i in 0..n {
                jobs.push((churn.time.mul_f64(i as f64 / n as f64), job(i)));
            }
        };
        let total = |rate: u32| u64::from(rate) * churn.time.as_secs().max(1);
        spread(total(churn.creates_per_s), &Job::Create);
        spread(total(churn.deletes_per_s), &|_| Job::Delete);
        spread(total(churn.moves_per_s), &Job::Move);
        spread(scenario.faults.lost_connections.into(), &|n| Job::Suffer(n, Fault::Cut));
        spread(scenario.faults.switch_restarts.into(), &|n| Job::Suffer(n, Fault::Restart));
        jobs.sort_by_key(|(at, _)| *at);

        let ready: Arc<Mutex<VecDeque<Name>>> = Arc::default();
        let mut under_way = JoinSet::new();
        let start = tokio::time::Instant::now();
        for (at, job) in jobs {
            tokio::time::sleep_until(start + at).await;
            let due = Instant::now();
            match job {
                Job::Suffer(n, fault) => {
                    // Spread over the fleet, the slow ones in front left out.
                    let place = (n as usize * 7 + fleet.nodes.len() / 2) % fleet.nodes.len();
                    fleet.nodes[place].suffer(fault);
                }
                job => {
                    let Some(request) = self.request(job, scenario, &ready) else { continue };
                    under_way.spawn(async move {
                        let is_create = request.await?;
                        Ok::<_, anyhow::Error>((is_create, due.elapsed()))
                    });
                }
            }
        }
        let mut churned = Churned::default();
        while let Some(done) = under_way.join_next().await {
            match done {
                Ok(Ok((true, time))) => churned.creates.push(time),
                Ok(Ok((false, _))) => churned.n_others += 1,
                Ok(Err(error)) => {
                    churned.n_failed += 1;
                    churned.failure = Some(format!("{error:#}"));
                }
                Err(error) => churned.failure = Some(error.to_string()),
            }
        }
        churned.creates.sort_unstable();
        churned
    }
}

impl Client {
    /// What a job asks for, which says whether it is a create; nothing if there is nothing to do it to yet.
    fn request(
        &self,
        job: Job,
        scenario: &Scenario,
        ready: &Arc<Mutex<VecDeque<Name>>>,
    ) -> Option<impl Future<Output = anyhow::Result<bool>> + Send + 'static> {
        let (client, ready) = (self.clone(), ready.clone());
        let (pool, network) = match job {
            Job::Create(n) | Job::Move(n) => {
                let pool = &scenario.pools[n as usize % scenario.pools.len()];
                (pool.clone(), pool.networks.get(n as usize % pool.networks.len().max(1))?.name.clone())
            }
            _ => (scenario.pools[0].clone(), String::new()),
        };
        let next =
            |ready: &Mutex<VecDeque<Name>>| ready.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let victim = if matches!(job, Job::Create(_)) { None } else { Some(next(&ready)?) };
        Some(async move {
            match (job, victim) {
                (Job::Create(n), _) => {
                    let name = format!("churn-{n}");
                    let container = Container {
                        pool: pool.name.clone(),
                        name: name.clone(),
                        network,
                        runtime: "netns".to_owned(),
                        ..Container::default()
                    };
                    client.create(container, true).await?;
                    ready
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push_back(Name { pool: pool.name, name });
                    Ok(true)
                }
                (Job::Move(n), Some(name)) => {
                    let node = format!("n{}", n * 13 % u64::from(pool.nodes));
                    client.relocate(name.clone(), node).await?;
                    ready.lock().unwrap_or_else(PoisonError::into_inner).push_back(name);
                    Ok(false)
                }
                (_, Some(name)) => client.delete(name).await.map(|()| false),
                (_, None) => Ok(false),
            }
        })
    }
}

/// Short beside what is waited for.
const POLL: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_secs(1);
/// Before it is asked again after a lost connection.
const RETRY: Duration = Duration::from_millis(250);
/// How often to say how far it is.
const TELL: Duration = Duration::from_secs(1);
/// After so long without an answer the controller counts as gone.
const LOST: Duration = Duration::from_secs(60);

/// One thing of a churn.
enum Job {
    Create(u64),
    Delete,
    Move(u64),
    Suffer(u64, Fault),
}
