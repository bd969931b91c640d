//! From requests to intent, and from reports to conditions: placement, addresses, port numbers, life cycles, agents.
//!
//! Requests are functions of a transaction (a file for each kind of thing); [`Orchestrator`] is the handle by which the
//! API calls them. One task (`task.rs`) owns what is reported, in [`lifecycle::Lifecycle`].

pub mod admissions;
pub mod board;
mod census;
mod condition;
pub mod containers;
pub mod evacuation;
pub mod events;
#[cfg(test)]
mod history;
mod holds;
mod lease;
pub mod lifecycle;
pub mod links;
pub mod name;
pub mod networks;
pub mod nodes;
pub mod ofport;
pub mod outbox;
pub mod plain;
pub mod plan;
pub mod pools;
pub mod process;
pub mod quota;
pub mod scheduler;
pub mod services;
mod settling;
pub mod status;
mod task;
pub mod tokens;
pub mod volumes;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flowlib::compile::model::NodeId;
use flowlib::types::MacAddr;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot};

use crate::intent::model::{
    Admission, Container, ContainerKey, Network, Node, Pool, Scheduling, Service, ServiceKey, Token,
};
use crate::intent::{Committed, Intent, IntentError, Refusal, State, Transaction};
use crate::measure::Milestone;
use crate::measure::journey::{Begun, Journal, Request};
use crate::openflow::SwitchEvent;

use admissions::Joining;
use board::{Board, Posted};
use containers::{ContainerSpec, Surroundings};
use lifecycle::{AgentEvent, Lifecycle, NodeCondition};
use links::Links;
use networks::NetworkSpec;
use nodes::NodeSpec;
use ofport::Ports;
use outbox::{DesiredEndpoint, Outbox};
use plain::{Lease, LeaseSpec};
use pools::PoolSpec;
use scheduler::Placement;
use services::ServiceSpec;
use status::{Condition, Phase};
use tokens::TokenSpec;

/// Messages that wait for the lifecycle task.
const QUEUE: usize = 1024;

/// The handle by which the API reaches orchestration. Copies are handles to the same.
#[derive(Clone, Debug)]
pub struct Orchestrator {
    inner: Arc<Inner>,
    inputs: mpsc::Sender<Input>,
}

/// How long things last.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a released address is not given again by choice.
    pub cool_down: Duration,
    /// How long a node counts as alive after the last message from its agent.
    pub lease: Duration,
}

#[derive(Debug)]
struct Inner {
    intent: Intent,
    board: Arc<Board>,
    links: Arc<Links>,
    ports: Arc<Ports>,
    events: Arc<events::Log>,
    journal: Arc<Journal>,
    timing: Timing,
    sessions: AtomicU64,
}

/// What the lifecycle task is sent.
enum Input {
    Agent { node: NodeId, session: u64, event: AgentEvent },
    Look(Look),
}

/// Looks at what is reported, in the owner's task.
type Look = Box<dyn FnOnce(&Lifecycle, &State) + Send>;

/// An agent's open stream, from its node's point of view.
#[derive(Debug)]
pub struct Attachment {
    /// The node, as registered.
    pub node: Arc<Node>,
    /// What the agent is to be sent.
    pub outbox: Arc<Outbox>,
    session: u64,
    inputs: mpsc::Sender<Input>,
}

impl Orchestrator {
    /// Starts the lifecycle task. Events of switches come in by the sender that is returned; `journal` follows the creates.
    #[must_use]
    pub fn start(intent: Intent, timing: Timing, journal: Arc<Journal>) -> (Self, mpsc::Sender<SwitchEvent>) {
        let (inputs, queue) = mpsc::channel(QUEUE);
        let (switch_events, switches) = mpsc::channel(QUEUE);
        let inner = Arc::new(Inner {
            intent,
            board: Arc::default(),
            links: Arc::default(),
            ports: Arc::default(),
            events: Arc::default(),
            journal,
            timing,
            sessions: AtomicU64::new(1),
        });
        tokio::spawn(task::run(inner.clone(), queue, switches));
        (Self { inner, inputs }, switch_events)
    }

    /// The intent.
    #[must_use]
    pub fn intent(&self) -> &Intent {
        &self.inner.intent
    }

    /// How every container is.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.inner.board
    }

    /// What happened.
    #[must_use]
    pub fn events(&self) -> &events::Log {
        &self.inner.events
    }

    /// Where the time of creates goes.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.inner.journal
    }

    /// Which nodes can be reached.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.inner.links
    }

    /// How many nodes' agents are connected.
    #[must_use]
    pub fn agents(&self) -> usize {
        self.inner.links.agents()
    }

    /// How many words of agents wait to be heard.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inputs.max_capacity() - self.inputs.capacity()
    }

    /// How long a node counts as alive after the last message from its agent.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.inner.timing.lease
    }

    /// Creates a pool: [`pools::create`]. What is made with a key (if that is not empty) is made once.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn create_pool(&self, spec: PoolSpec, key: String) -> Result<Arc<Pool>, IntentError> {
        let create = move |tx: &mut Transaction<'_>| {
            condition::check_key(tx.state(), condition::POOLS, &key, ("pool", &spec.name))?;
            let pool = pools::create(tx, spec)?;
            if condition::takes_key(tx, pool.revision, &pool.request_key, &key) {
                tx.put(Pool { request_key: key, ..Pool::clone(&pool) });
            }
            Ok(pool)
        };
        Ok(self.intent().transact(create).await?.value)
    }

    /// Changes a pool: [`pools::update`]; if it is `at` a revision, where one is named.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn update_pool(
        &self,
        name: String,
        change: pools::Change,
        at: Option<u64>,
    ) -> Result<Arc<Pool>, IntentError> {
        let update = move |tx: &mut Transaction<'_>| {
            condition::check(at, || Ok(pools::find(tx.state(), &name)?.revision))?;
            pools::update(tx, &name, change)
        };
        Ok(self.intent().transact(update).await?.value)
    }

    /// Deletes a pool: [`pools::delete`]; if it is `at` a revision, where one is named.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn delete_pool(&self, name: String, at: Option<u64>) -> Result<(), IntentError> {
        let delete = move |tx: &mut Transaction<'_>| {
            condition::check(at, || Ok(pools::find(tx.state(), &name)?.revision))?;
            pools::delete(tx, &name)
        };
        self.intent().transact(delete).await.map(drop)
    }

    /// Creates a network: [`networks::create`]; with a key (if that is not empty) once.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn create_network(&self, spec: NetworkSpec, key: String) -> Result<Arc<Network>, IntentError> {
        let create = move |tx: &mut Transaction<'_>| {
            let pool = pools::find(tx.state(), &spec.pool)?.id;
            condition::check_key(tx.state(), pool, &key, ("network", &spec.name))?;
            let network = networks::create(tx, &spec)?;
            if condition::takes_key(tx, network.revision, &network.request_key, &key) {
                tx.put(Network { request_key: key, ..Network::clone(&network) });
            }
            Ok(network)
        };
        Ok(self.intent().transact(create).await?.value)
    }

    /// Deletes a network: [`networks::delete`]; if it is `at` a revision, where one is named.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn delete_network(
        &self,
        pool: String,
        name: String,
        at: Option<u64>,
    ) -> Result<(), IntentError> {
        let delete = move |tx: &mut Transaction<'_>| {
            let state = tx.state();
            condition::check(at, || Ok(networks::find(state, pools::find(state, &pool)?, &name)?.revision))?;
            networks::delete(tx, &pool, &name)
        };
        self.intent().transact(delete).await.map(drop)
    }

    /// Forgets a node: [`nodes::delete`]; if it is `at` a revision, where one is named.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn delete_node(&self, pool: String, name: String, at: Option<u64>) -> Result<(), IntentError> {
        let inner = self.inner.clone();
        let now_ms = now_ms();
        let delete = move |tx: &mut Transaction<'_>| {
            let state = tx.state();
            condition::check(at, || nodes::revision(state, pools::find(state, &pool)?, &name))?;
            nodes::delete(tx, &pool, &name, |id| inner.links.of(id).agent, now_ms)
        };
        self.intent().transact(delete).await.map(drop)
    }

    /// Says at once whether nodes may join with a token: [`admissions::good_token`].
    ///
    /// # Errors
    /// As that says.
    pub fn check_join_token(&self, id: &str, hash: &[u8; 32]) -> Result<(), Refusal> {
        self.intent().read(|state| admissions::good_token(state, (id, hash), now_ms()).map(drop))
    }

    /// Admits a node: [`admissions::join`].
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn join(&self, joining: Joining) -> Result<Arc<Admission>, IntentError> {
        Ok(self.intent().transact(move |tx| admissions::join(tx, &joining, now_ms())).await?.value)
    }

    /// Has a node leave: [`admissions::leave`].
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn leave(&self, pool: String, node: String) -> Result<(), IntentError> {
        self.intent().transact(move |tx| admissions::leave(tx, &pool, &node, now_ms())).await.map(drop)
    }

    /// Notes that a node gets another certificate: [`admissions::renew`].
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn renew(
        &self,
        (pool, node, number): (String, String, u32),
        life: Duration,
    ) -> Result<(), IntentError> {
        let renew =
            move |tx: &mut Transaction<'_>| admissions::renew(tx, (&pool, &node, number), life, now_ms());
        self.intent().transact(renew).await.map(drop)
    }

    /// Has a node act no longer: [`admissions::revoke`]. Gives back the token that is revoked with it.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn revoke_node(&self, pool: String, name: String) -> Result<Option<String>, IntentError> {
        Ok(self.intent().transact(move |tx| admissions::revoke(tx, &pool, &name)).await?.value)
    }

    /// Makes a token: [`tokens::create`].
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn create_token(&self, spec: TokenSpec) -> Result<Arc<Token>, IntentError> {
        Ok(self.intent().transact(move |tx| tokens::create(tx, spec, now_ms())).await?.value)
    }

    /// Revokes a token: [`tokens::revoke`].
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn revoke_token(&self, pool: String, id: String) -> Result<(), IntentError> {
        self.intent().transact(move |tx| tokens::revoke(tx, &pool, &id)).await.map(drop)
    }

    /// Says whether a node is given containers: [`nodes::schedule`]; if it is `at` a revision, where one is named.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn schedule_node(
        &self,
        pool: String,
        name: String,
        scheduling: Scheduling,
        at: Option<u64>,
    ) -> Result<Arc<Node>, IntentError> {
        let schedule = move |tx: &mut Transaction<'_>| {
            let state = tx.state();
            condition::check(at, || Ok(nodes::find(state, pools::find(state, &pool)?, &name)?.revision))?;
            nodes::schedule(tx, &pool, &name, scheduling)
        };
        Ok(self.intent().transact(schedule).await?.value)
    }

    /// Creates a container: [`containers::create`]; with a key (if that is not empty) once. Its way is followed from the
    /// request on.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn create_container(
        &self,
        mut spec: ContainerSpec,
        key: String,
        request: Request,
    ) -> Result<Arc<Container>, IntentError> {
        let inner = self.inner.clone();
        let create = move |tx: &mut Transaction<'_>| {
            let pool = pools::find(tx.state(), &spec.pool)?.id;
            if let Some(name) = condition::check_key(tx.state(), pool, &key, ("container", &spec.name))? {
                spec.name = name;
            }
            let container = containers::create(tx, &spec, inner.surroundings())?;
            if condition::takes_key(tx, container.revision, &container.request_key, &key) {
                tx.put(Container { request_key: key, ..Container::clone(&container) });
            }
            // One that is there already is no create.
            let is_new = container.revision == tx.revision();
            if is_new {
                let (endpoint, revision) = (&container.endpoint, container.revision);
                inner.journal.begin(Begun { endpoint: endpoint.id, node: endpoint.node, revision }, request);
            }
            Ok(container)
        };
        let Committed { value, at, .. } = self.intent().transact(create).await?;
        self.journal().reach(value.endpoint.id, Milestone::Committed, at);
        Ok(value)
    }

    /// Says what creating a container would choose now: [`plan::preview`].
    ///
    /// # Errors
    /// As that says.
    pub fn preview_container(&self, spec: &ContainerSpec) -> Result<Placement, Refusal> {
        self.intent().read(|state| plan::preview(state, spec, self.inner.surroundings()))
    }

    /// Deletes a container: [`containers::delete`]; if it is `at` a revision, where one is named.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn delete_container(
        &self,
        pool: String,
        name: String,
        at: Option<u64>,
    ) -> Result<Arc<Container>, IntentError> {
        let delete = move |tx: &mut Transaction<'_>| {
            condition::check(at, || Ok(containers::find(tx.state(), &pool, &name)?.revision))?;
            containers::delete(tx, &pool, &name)
        };
        Ok(self.intent().transact(delete).await?.value)
    }

    /// Creates a service: [`services::create`]; with a key (if that is not empty) once.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn create_service(&self, spec: ServiceSpec, key: String) -> Result<Arc<Service>, IntentError> {
        let create = move |tx: &mut Transaction<'_>| {
            let pool = pools::find(tx.state(), &spec.pool)?.id;
            condition::check_key(tx.state(), pool, &key, ("service", &spec.name))?;
            let service = services::create(tx, &spec)?;
            if condition::takes_key(tx, service.revision, &service.request_key, &key) {
                tx.put(Service { request_key: key, ..Service::clone(&service) });
            }
            Ok(service)
        };
        Ok(self.intent().transact(create).await?.value)
    }

    /// Changes a service, by [`services::scale`], [`services::update`] or [`services::roll_back`]; if it is `at` a revision,
    /// where one is named.
    ///
    /// # Errors
    /// As those say, or the store's.
    pub async fn change_service(
        &self,
        (pool, name): (String, String),
        at: Option<u64>,
        change: impl FnOnce(&mut Transaction<'_>, (&str, &str)) -> Result<Arc<Service>, Refusal> + Send + 'static,
    ) -> Result<Arc<Service>, IntentError> {
        let change = move |tx: &mut Transaction<'_>| {
            condition::check(at, || Ok(services::find(tx.state(), &pool, &name)?.revision))?;
            change(tx, (&pool, &name))
        };
        Ok(self.intent().transact(change).await?.value)
    }

    /// Deletes a service with its replicas: [`services::delete`]; if it is `at` a revision, where one is named.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn delete_service(
        &self,
        pool: String,
        name: String,
        at: Option<u64>,
    ) -> Result<(), IntentError> {
        let delete = move |tx: &mut Transaction<'_>| {
            condition::check(at, || Ok(services::find(tx.state(), &pool, &name)?.revision))?;
            services::delete(tx, &pool, &name)
        };
        self.intent().transact(delete).await.map(drop)
    }

    /// Deletes a volume that its node has deleted: [`volumes::delete`]; if it is `at` a revision, where one is named.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn delete_volume(
        &self,
        pool: String,
        name: String,
        at: Option<u64>,
    ) -> Result<(), IntentError> {
        let delete = move |tx: &mut Transaction<'_>| {
            condition::check(at, || Ok(volumes::find(tx.state(), &pool, &name)?.revision))?;
            volumes::delete(tx, &pool, &name)
        };
        self.intent().transact(delete).await.map(drop)
    }

    /// Why services do not come further by themselves: those of which that is so.
    ///
    /// # Errors
    /// [`IntentError::Stopped`].
    pub async fn service_troubles(&self) -> Result<HashMap<ServiceKey, String>, IntentError> {
        self.look(|lifecycle, state| {
            let troubled = |service: &Arc<Service>| {
                Some(((service.pool, service.name.clone()), lifecycle.trouble(service)?))
            };
            state.services().filter_map(troubled).collect()
        })
        .await
    }

    /// Gives a node an endpoint for its own Docker: [`plain::lease`].
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn lease_endpoint(&self, spec: LeaseSpec) -> Result<DesiredEndpoint, IntentError> {
        let inner = self.inner.clone();
        let lease = move |tx: &mut Transaction<'_>| plain::lease(tx, &spec, inner.surroundings());
        Ok(self.intent().transact(lease).await?.value)
    }

    /// Gives an endpoint of a node's own Docker another MAC address: [`plain::set_mac`].
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn set_endpoint_mac(&self, lease: Lease, mac: MacAddr) -> Result<DesiredEndpoint, IntentError> {
        Ok(self.intent().transact(move |tx| plain::set_mac(tx, &lease, mac)).await?.value)
    }

    /// Takes an endpoint of a node's own Docker back: [`plain::release`].
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn release_endpoint(&self, lease: Lease) -> Result<(), IntentError> {
        self.intent().transact(move |tx| plain::release(tx, &lease)).await.map(drop)
    }

    /// Moves a container: [`containers::migrate`]; if it is `at` a revision, where one is named.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn move_container(
        &self,
        pool: String,
        name: String,
        node: String,
        at: Option<u64>,
    ) -> Result<Arc<Container>, IntentError> {
        let inner = self.inner.clone();
        let migrate = move |tx: &mut Transaction<'_>| {
            condition::check(at, || Ok(containers::find(tx.state(), &pool, &name)?.revision))?;
            containers::migrate(tx, (&pool, &name), &node, inner.surroundings())
        };
        Ok(self.intent().transact(migrate).await?.value)
    }

    /// Starts a container's process: [`process::start`]; if it is `at` a revision, where one is named.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn start_container(
        &self,
        pool: String,
        name: String,
        at: Option<u64>,
    ) -> Result<Arc<Container>, IntentError> {
        let inner = self.inner.clone();
        let start = move |tx: &mut Transaction<'_>| {
            condition::check(at, || Ok(containers::find(tx.state(), &pool, &name)?.revision))?;
            let has_ended = |c: &Arc<Container>| inner.board.look(c).condition.phase == Phase::Ended;
            process::start(tx, &pool, &name, has_ended)
        };
        Ok(self.intent().transact(start).await?.value)
    }

    /// Stops a container's process: [`process::stop`]; if it is `at` a revision, where one is named.
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn stop_container(
        &self,
        pool: String,
        name: String,
        at: Option<u64>,
    ) -> Result<Arc<Container>, IntentError> {
        let stop = move |tx: &mut Transaction<'_>| {
            condition::check(at, || Ok(containers::find(tx.state(), &pool, &name)?.revision))?;
            process::stop(tx, &pool, &name)
        };
        Ok(self.intent().transact(stop).await?.value)
    }

    /// Waits until a container is as `done` asks. `None`: this endpoint of it is intended no longer.
    pub async fn wait(&self, container: &Container, done: impl Fn(&Condition) -> bool) -> Option<Posted> {
        let key = (container.pool, container.name.clone());
        let mut changes = self.board().changes();
        loop {
            let current = self.intent().read(|state| state.container(&key).cloned());
            let current = current.filter(|c| c.endpoint.id == container.endpoint.id && !c.deleting)?;
            let posted = self.board().look(&current);
            if done(&posted.condition) {
                return Some(posted);
            }
            self.next_change(&mut changes, &key).await?;
        }
    }

    /// Waits until a container is ready or has ended, or is refused for what it is: waiting longer would not help.
    pub async fn wait_ready(&self, container: &Container) -> Option<Posted> {
        let done = |condition: &Condition| {
            matches!(condition.phase, Phase::Ready | Phase::Ended) || condition.is_definite()
        };
        self.wait(container, done).await
    }

    /// Waits until a container's process has ended, or is refused for what it is: then there is none that could end.
    pub async fn wait_ended(&self, container: &Container) -> Option<Posted> {
        let done = |condition: &Condition| condition.phase == Phase::Ended || condition.is_definite();
        self.wait(container, done).await
    }

    /// Waits until a deleted container is gone.
    pub async fn wait_gone(&self, container: &Container) {
        let key = (container.pool, container.name.clone());
        let mut changes = self.board().changes();
        let there = || {
            let of = |state: &State| state.container(&key).map(|container| container.endpoint.id);
            self.intent().read(of) == Some(container.endpoint.id)
        };
        while there() {
            if self.next_change(&mut changes, &key).await.is_none() {
                return;
            }
        }
    }

    /// Returns after a change of that container, or when changes were missed; `None` when there will be no more.
    async fn next_change(
        &self,
        changes: &mut tokio::sync::broadcast::Receiver<Arc<board::Event>>,
        key: &ContainerKey,
    ) -> Option<()> {
        loop {
            match changes.recv().await {
                Ok(event) => {
                    let container = &event.posted.container;
                    if container.pool == key.0 && container.name == key.1 {
                        return Some(());
                    }
                }
                Err(RecvError::Lagged(_)) => return Some(()),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Registers a node whose agent has opened a stream: [`nodes::register`].
    ///
    /// # Errors
    /// As that says, or the store's.
    pub async fn attach(&self, spec: NodeSpec) -> Result<Attachment, IntentError> {
        let node = self.intent().transact(move |tx| nodes::register(tx, spec)).await?.value;
        let session = self.inner.sessions.fetch_add(1, Ordering::Relaxed);
        let outbox = Arc::new(Outbox::default());
        let attachment = Attachment { node, outbox: outbox.clone(), session, inputs: self.inputs.clone() };
        attachment.report(AgentEvent::Attached(outbox)).await;
        Ok(attachment)
    }

    /// How all nodes are.
    ///
    /// # Errors
    /// [`IntentError::Stopped`].
    pub async fn node_conditions(&self) -> Result<HashMap<NodeId, NodeCondition>, IntentError> {
        self.caught_up().await;
        self.look(|lifecycle, state| {
            state.nodes().filter_map(|node| Some((node.id, lifecycle.node(state, node.id)?))).collect()
        })
        .await
    }

    /// How a node is; `None` if there is no such node.
    ///
    /// # Errors
    /// [`IntentError::Stopped`].
    pub async fn node_condition(&self, node: NodeId) -> Result<Option<NodeCondition>, IntentError> {
        self.caught_up().await;
        self.look(move |lifecycle, state| lifecycle.node(state, node)).await
    }

    /// The outbox of a node's agent, if it is connected.
    ///
    /// # Errors
    /// [`IntentError::Stopped`].
    pub async fn outbox(&self, node: NodeId) -> Result<Option<Arc<Outbox>>, IntentError> {
        self.look(move |lifecycle, _| lifecycle.outbox(node)).await
    }

    /// Returns when all that is stored now has been taken up, so that who has just changed something sees what it made.
    async fn caught_up(&self) {
        self.board().reached(self.intent().read(State::revision)).await;
    }

    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Lifecycle, &State) -> T + Send + 'static,
    ) -> Result<T, IntentError> {
        let (reply, answer) = oneshot::channel();
        let look: Look = Box::new(move |lifecycle, state| drop(reply.send(look(lifecycle, state))));
        self.inputs.send(Input::Look(look)).await.map_err(|_| IntentError::Stopped)?;
        answer.await.map_err(|_| IntentError::Stopped)
    }
}

impl Inner {
    fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            links: &self.links,
            ports: &self.ports,
            now_ms: now_ms(),
            cool_down_ms: self.cool_down_ms(),
        }
    }

    fn cool_down_ms(&self) -> u64 {
        u64::try_from(self.timing.cool_down.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Attachment {
    /// Passes on what the agent says.
    pub async fn report(&self, event: AgentEvent) {
        let input = Input::Agent { node: self.node.id, session: self.session, event };
        // Sending fails only when the controller stops.
        drop(self.inputs.send(input).await);
    }
}

/// Milliseconds since the Unix epoch.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
