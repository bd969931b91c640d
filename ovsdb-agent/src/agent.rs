//! The agent's event loop: it owns all state, and starts what takes time as jobs of its own.
//!
//! ```text
//!  controller ◀─gRPC─▶ northbound ──events──▶ ┌────────────┐ ──jobs──▶ one endpoint, brought up or taken down
//!  ovsdb-server ◀────▶ ovsdb::conn ─replica─▶ │            │ ──job───▶ the bridges
//!  kernel ◀─rtnetlink─▶ keep_underlay ──────▶ │ event loop │ ──job───▶ survey: what is on this node
//!  ovs-vswitchd ◀─────▶ restore ────────────▶ │            │ ──tasks─▶ commands and logs, relayed to the controller
//!  dockerd ◀──API─────▶ docker::watch ──────▶ │            │
//!  dockerd ───plugin──▶ plugin ──requests───▶ └────────────┘ ──jobs──▶ an interface and a port, while Docker waits
//! ```
//!
//! Everything is level-triggered: each event only marks what has to be looked at again, and looking compares what
//! should be with what is. So any event may be lost, or come twice, and the agent may be killed at any moment.

mod attachment;
mod certificate;
mod container;
mod endpoints;
mod images;
mod keeper;
mod plain;
mod work;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use weir_api::v1::{
    AgentMessage, CheckReport, CheckRequest, ExecRequest, KeepAlive, LogRequest, Register, Resources,
    StatsRequest, VolumeRequest, agent_message, controller_message,
};

use weir_metrics::Metrics;

use self::{
    attachment::Attachments,
    certificate::{joined, keep_credentials, renewed, ssl_files},
    endpoints::{Endpoints, Job, Outcome, Remains},
    images::Images,
    keeper::Keeper,
    plain::Ordered,
    work::{Bridges, Circumstances, Tools},
};
use crate::{
    bridge::{self, BR_INT, BR_PHY, MONITORED, Switch},
    check::{Asked, Checker},
    config::{self, Config},
    credentials::{Credentials, CredentialsError, Current},
    identity::{Identity, IdentityFile},
    join::{self, JoinError},
    link::{LinkError, Links, Underlay, keep_underlay},
    metrics::{self, Sampler, Source},
    northbound::{self, Client, Event},
    ovsdb,
    plugin::{self, Shelf},
    relay,
    restore::{self, Restorer, SaveHandle},
    runtime::{
        DOCKER, EndpointId, NETNS, RuntimeError, Sandboxes,
        docker::{self, Docker},
    },
    status::{Part, Status},
};

/// Why the agent cannot work at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The state directory cannot be used.
    #[error("state directory {directory}: {source}")]
    State {
        /// The directory.
        directory: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The node's key and certificate cannot be read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The controller asks for a certificate, and there is none, or it is another node's.
    #[error(
        "{0}: have this node join with `weir-agent join`, under the name and pool that the agent is started with"
    )]
    NotJoined(String),
    /// One of the folders that containers may have is inside another.
    #[error("--allow-bind: {0}")]
    Folders(String),
    /// No netlink socket: not even as root without a kernel that has it.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// As `Runtime`.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// What a join has begun, or another process.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// A task that should run for ever has ended.
    #[error("{0} has stopped")]
    Stopped(&'static str),
}

/// Runs the agent until `stop` is cancelled; everything it made on the node stays.
///
/// # Errors
/// Only what no retry can mend.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), AgentError> {
    // Held until the end: neither another agent nor a join or leave works on the same node.
    let (_state, taken) = join::resume(&config.state_dir, &config.ovsdb).await?;
    let takes = taken.as_ref() == Some(&config.uplink);
    let mut agent = Agent::start(config, takes)?;
    loop {
        agent.advance();
        if stop.run_until_cancelled(agent.wait()).await.transpose()?.is_none() {
            tracing::info!("ending; endpoints stay as they are");
            return Ok(());
        }
    }
}

struct Agent {
    tools: Tools,
    identity_file: IdentityFile,
    desired_bridges: bridge::Desired,
    bridges: Reconciled,
    endpoints: Endpoints,
    /// Endpoints whose link was up when the database last changed.
    seen_up: BTreeSet<EndpointId>,
    status: Status,
    /// The open stream to the controller.
    session: Option<Session>,
    tso: Option<bool>,
    survey: Survey,
    jobs: JoinSet<Done>,
    commands: JoinSet<()>,
    checker: Checker,
    northbound: mpsc::Receiver<Event>,
    table: SaveHandle,
    table_events: mpsc::Receiver<restore::Event>,
    ovsdb: watch::Receiver<ovsdb::Link>,
    underlay_problem: watch::Receiver<Option<String>>,
    may_offload: watch::Sender<bool>,
    /// Up to which revision the switch has confirmed its flows.
    confirmed: watch::Sender<u64>,
    /// The node's key and certificate, if it has joined; others when they are renewed.
    credentials: Option<watch::Receiver<Current>>,
    docker: mpsc::Receiver<docker::Event>,
    /// How a pull stands has changed.
    pulls: watch::Receiver<()>,
    plugin: mpsc::Receiver<plugin::Request>,
    plugin_problem: watch::Receiver<Option<String>>,
    /// What Docker's own networks and containers need besides its calls.
    keeper: Keeper,
    /// This node's pool and name.
    node: (String, String),
    /// Whoever reads the metrics asks what should be here.
    inquiries: mpsc::Receiver<metrics::Inquiry>,
    /// Tasks that live as long as the agent.
    tasks: JoinSet<&'static str>,
}

struct Session {
    reports: mpsc::Sender<AgentMessage>,
    client: Client,
    /// How often the controller must hear of the agent, and when next.
    keep_alive: Duration,
    keep_alive_at: Instant,
}

/// Where the work on the bridges stands.
#[derive(Default)]
struct Reconciled {
    due: bool,
    running: bool,
    is_ready: bool,
    retry_at: Option<Instant>,
    n_failures: u32,
}

/// Where the look at what is on this node stands.
#[derive(Default)]
struct Survey {
    running: bool,
    not_before: Option<Instant>,
}

/// What a job brings back to the loop.
enum Done {
    Endpoint(Job, Outcome),
    Bridges(Bridges),
    Survey(Option<BTreeMap<EndpointId, Remains>>),
    /// A request of Docker's network driver was answered.
    Served,
    /// What was asked of the controller for Docker's own containers.
    Ordered(Ordered),
    /// Docker was asked what it has of Weir's.
    Compared(Result<(), String>),
}

impl Agent {
    /// `takes`: a join has taken the NIC, and whatever it bears goes on being taken.
    fn start(config: Config, takes: bool) -> Result<Self, AgentError> {
        let state = |source| AgentError::State { directory: config.state_dir.display().to_string(), source };
        let identity_file = IdentityFile::open(&config.state_dir).map_err(state)?;
        let identity = identity_file.load();
        let joined = joined(&config)?;
        let folders: Arc<BTreeSet<String>> = Arc::new(config.folders().map_err(AgentError::Folders)?);
        let client = ovsdb::Client::start(ovsdb::Config::new(
            config.ovsdb.clone(),
            ovsdb::Settings::new("Open_vSwitch", MONITORED),
        ));
        let metrics = Arc::new(Metrics::default());
        let help = "What transactions of the node's database took";
        let client =
            client.timed(metrics.times_by("agent_ovsdb_transaction", help, ("outcome", ["done", "failed"])));
        let (switch, sandboxes) = (Switch::new(client.clone(), PATIENCE), Sandboxes::new()?);
        let (confirmed, confirmed_revision) = watch::channel(0);
        let shelf = Shelf::open(config.state_dir.clone());
        let keeper = Keeper::new(&shelf, config.docker_reserve);
        let docker = Docker::new(&config.docker);
        let checker = Checker::of_agent(&config, client.clone(), docker.clone());
        let (images, pulls) = Images::new(docker.clone());
        let tools = Tools {
            shelf: shelf.clone(),
            attachments: Attachments::new(switch.clone(), sandboxes.clone(), confirmed_revision.clone()),
            sampler: Sampler::new(client.clone(), docker.clone(), shelf.clone(), &metrics),
            docker,
            images,
            folders: folders.clone(),
            confirmed: confirmed_revision,
            switch,
            sandboxes,
            links: Links::open().map_err(LinkError::namespace("open", "/proc/self/ns/net"))?,
        };
        let mut tasks = JoinSet::new();
        let credentials = joined.map(|current| keep_credentials(&config, current, &mut tasks));
        let northbound = attach(&config, &mut tasks);
        let (may_offload, underlay_problem) = keep_address(&config, takes, &mut tasks);
        let (table, table_events) = keep_table(&config, &mut tasks);
        // The driver first: Docker looks for it as soon as it starts a container.
        let (plugin, plugin_problem) = serve_plugin(&config, shelf, &metrics, &mut tasks);
        let inquiries = serve_metrics(&config, metrics, tools.sampler.clone(), &mut tasks);
        let docker = watch_docker(tools.docker.clone(), &mut tasks);
        let mut status = Status::default();
        status.set_runtimes(&[NETNS]);
        status.set_folders(&folders);
        // What an agent that was killed did not get to.
        table.request();
        Ok(Self {
            table,
            table_events,
            desired_bridges: bridge::Desired {
                ssl: credentials.as_ref().map(|current| ssl_files(&current.borrow())),
                ..desired_bridges(&config, identity)
            },
            bridges: Reconciled { due: true, ..Reconciled::default() },
            endpoints: Endpoints::default(),
            seen_up: BTreeSet::new(),
            status,
            session: None,
            tso: None,
            survey: Survey::default(),
            jobs: JoinSet::new(),
            commands: JoinSet::new(),
            checker,
            ovsdb: client.watch(),
            tools,
            identity_file,
            northbound,
            underlay_problem,
            may_offload,
            confirmed,
            credentials,
            docker,
            pulls,
            plugin,
            plugin_problem,
            keeper,
            node: (config.pool, config.name),
            inquiries,
            tasks,
        })
    }

    /// Starts whatever is due and tells the controller what it does not know yet.
    fn advance(&mut self) {
        let now = Instant::now();
        let is_live = self.ovsdb.borrow().is_live;
        let bridges_due = self.bridges.due || self.bridges.retry_at.is_some_and(|at| at <= now);
        if is_live && bridges_due && !self.bridges.running {
            self.bridges = Reconciled { due: false, running: true, retry_at: None, ..self.bridges };
            let job = work::bridges(self.tools.clone(), self.desired_bridges.clone());
            self.jobs.spawn(async { Done::Bridges(job.await) });
        }
        let survey_may_start = !self.survey.running && self.survey.not_before.is_none_or(|at| at <= now);
        if is_live && self.endpoints.needs_survey() && survey_may_start {
            self.survey = Survey { running: true, not_before: None };
            let job = work::survey(self.tools.clone());
            self.jobs.spawn(async { Done::Survey(job.await) });
        }
        if is_live && self.bridges.is_ready {
            for job in self.endpoints.poll_jobs(now) {
                let job = work::endpoint(self.tools.clone(), job, self.tso == Some(true));
                self.jobs.spawn(async {
                    let (job, outcome) = job.await;
                    Done::Endpoint(job, outcome)
                });
            }
        }
        self.keep_plain(now);
        self.report();
    }

    /// Waits for the next thing to happen and notes it down.
    async fn wait(&mut self) -> Result<(), AgentError> {
        let timer = self.next_timer();
        let timer = async {
            match timer {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        // Cancel safe: each of these takes nothing from its source unless it wins.
        tokio::select! {
            event = self.northbound.recv() => match event {
                Some(event) => self.handle_controller(event),
                None => return Err(AgentError::Stopped("the connection to the controller")),
            },
            changed = self.ovsdb.changed() => match changed {
                Ok(()) => self.handle_ovsdb(),
                Err(_) => return Err(AgentError::Stopped("the connection to the database")),
            },
            Some(event) = self.table_events.recv() => self.handle_table(event),
            Ok(()) = self.underlay_problem.changed() => self.handle_underlay(),
            Some(current) = renewed(&mut self.credentials) => {
                self.desired_bridges.ssl = Some(ssl_files(&current));
                self.bridges.due = true;
            }
            Some(event) = self.docker.recv() => self.handle_docker(event),
            Ok(()) = self.pulls.changed() => self.endpoints.handle_images(),
            Some(request) = self.plugin.recv() => self.handle_plugin(request),
            Ok(()) = self.plugin_problem.changed() => {
                let problem = self.plugin_problem.borrow_and_update().clone();
                self.status.set(Part::Plugin, problem);
            }
            Ok(()) = self.keeper.changes.changed() => {}
            Some(inquiry) = self.inquiries.recv() => {
                // Whoever has stopped waiting need not be told.
                drop(inquiry.send(self.endpoints.all_wanted()));
            }
            Some(done) = self.jobs.join_next() => match done {
                Ok(done) => self.handle_done(done),
                Err(error) => tracing::error!(%error, "a job failed"),
            },
            Some(_) = self.commands.join_next() => {}
            Some(ended) = self.tasks.join_next() => {
                return Err(AgentError::Stopped(ended.unwrap_or("a task")));
            }
            () = timer => {}
        }
        Ok(())
    }

    /// When `advance` will find something due by itself.
    fn next_timer(&self) -> Option<Instant> {
        let is_live = self.ovsdb.borrow().is_live;
        let bridges = self.bridges.retry_at.filter(|_| is_live && !self.bridges.running);
        let survey = self.survey.not_before.filter(|_| is_live && self.endpoints.needs_survey());
        let endpoints = self.endpoints.poll_timeout().filter(|_| is_live && self.bridges.is_ready);
        let keep_alive = self.session.as_ref().map(|session| session.keep_alive_at);
        let plain = self.keeper.next(&self.tools.shelf, self.session.is_some());
        [bridges, survey, endpoints, keep_alive, plain].into_iter().flatten().min()
    }

    fn handle_controller(&mut self, event: Event) {
        match event {
            Event::Attached { identity, lease, reports, client } => {
                tracing::info!(node_id = identity.node_id, nat_mac = %identity.nat_mac, "attached to the controller");
                self.status.handle_attached();
                let keep_alive = (lease / 3).max(SHORTEST_KEEP_ALIVE);
                let keep_alive_at = Instant::now() + keep_alive;
                self.session = Some(Session { reports, client, keep_alive, keep_alive_at });
                self.handle_identity(&identity);
            }
            Event::Message(controller_message::Message::Desired(desired)) => {
                tracing::debug!(
                    revision = desired.revision,
                    complete = desired.complete,
                    n_endpoints = desired.endpoints.len(),
                    n_removed = desired.removed.len(),
                    "desired"
                );
                plain::note_desired(&self.tools.shelf, &desired);
                self.endpoints.handle_desired(desired);
                // At once: from now on Docker attaches no other by itself.
                self.tools.attachments.admit(self.endpoints.admitted());
            }
            Event::Message(controller_message::Message::Exec(request)) => self.handle_exec(request),
            Event::Message(controller_message::Message::TableSettled(_)) => self.table.request(),
            Event::Message(controller_message::Message::Registered(_)) => {
                tracing::warn!("the controller registered the node twice on one stream: ignored");
            }
            Event::Message(controller_message::Message::Log(request)) => self.handle_log(request),
            Event::Message(controller_message::Message::Stats(request)) => self.handle_stats(request),
            Event::Message(controller_message::Message::Check(request)) => self.handle_check(request),
            Event::Message(controller_message::Message::Images(images)) => {
                self.tools.images.set_proxies(images.registry_proxies.into_iter().collect());
            }
            Event::Message(controller_message::Message::Volume(request)) => self.handle_volume(request),
            Event::Message(controller_message::Message::FlowsConfirmed(confirmed)) => {
                self.confirmed.send_replace(confirmed.revision);
                self.endpoints.handle_flows_confirmed(confirmed.revision);
            }
            Event::Lost { reason } => self.handle_lost(&reason),
        }
    }

    fn handle_lost(&mut self, reason: &str) {
        if self.session.take().is_some() {
            tracing::warn!(reason, "controller lost; everything goes on as it is");
            // Its last changes may have come without the word that they were all.
            self.table.request();
        } else {
            tracing::debug!(reason, "controller not reached");
        }
        self.endpoints.handle_lost();
    }

    fn handle_identity(&mut self, identity: &Identity) {
        if self.identity_file.load().as_ref() != Some(identity) {
            let stored = self.identity_file.store(identity);
            let problem = stored.err().map(|error| format!("cannot keep the node's identity: {error}"));
            self.status.set(Part::State, problem);
        }
        if self.desired_bridges.targets != identity.openflow_targets {
            self.desired_bridges.targets.clone_from(&identity.openflow_targets);
            self.bridges.due = true;
        }
    }

    fn handle_exec(&mut self, request: ExecRequest) {
        if let Some(session) = &self.session {
            let wanted = self.endpoints.wanted(request.endpoint_id).filter(|spec| !spec.is_plain);
            let inside = wanted.map(|spec| match spec.program {
                Some(_) => relay::Inside::Docker(self.tools.docker.clone()),
                None => relay::Inside::Sandbox(self.tools.sandboxes.clone()),
            });
            self.commands.spawn(relay::relay_exec(inside, session.client.clone(), request));
        }
    }

    fn handle_log(&mut self, request: LogRequest) {
        if let Some(session) = &self.session {
            self.commands.spawn(relay::relay_log(self.tools.docker.clone(), session.client.clone(), request));
        }
    }

    fn handle_stats(&mut self, StatsRequest { id, endpoint_ids }: StatsRequest) {
        if let Some(session) = &self.session {
            let specs =
                endpoint_ids.into_iter().filter_map(|id| self.endpoints.wanted(id).cloned()).collect();
            self.commands.spawn(relay::relay_stats(
                self.tools.sampler.clone(),
                session.client.clone(),
                id,
                specs,
            ));
        }
    }

    fn handle_check(&mut self, request: CheckRequest) {
        if let Some(session) = &self.session {
            let (checker, reports) = (self.checker.clone(), session.reports.clone());
            self.commands.spawn(async move {
                let id = request.id.clone();
                match checker.look(&Asked::from(request)).await {
                    Ok(findings) => {
                        let time = Some(SystemTime::now().into());
                        let report = agent_message::Message::Check(CheckReport { id, findings, time });
                        // One that is gone asks again.
                        drop(reports.send(AgentMessage { message: Some(report) }).await);
                    }
                    Err(error) => tracing::warn!(%error, "the node cannot be looked at"),
                }
            });
        }
    }

    fn handle_volume(&mut self, request: VolumeRequest) {
        if let Some(session) = &self.session {
            let (docker, client) = (self.tools.docker.clone(), session.client.clone());
            self.commands.spawn(relay::relay_volume(docker, client, request));
        }
    }

    /// Docker has come or gone, or something has happened in it.
    fn handle_docker(&mut self, event: docker::Event) {
        match event {
            docker::Event::Connected => {
                tracing::info!("Docker is there");
                self.status.set(Part::Docker, None);
                self.status.set_runtimes(&[DOCKER, NETNS]);
                self.endpoints.handle_docker_back();
                self.keeper.docker_is_back();
            }
            docker::Event::Lost(why) => {
                // That there is none matters only where it is needed.
                let missing = self.endpoints.has_containers().then(|| "there is no Docker here".to_owned());
                self.status.set(Part::Docker, why.or(missing));
                self.status.set_runtimes(&[NETNS]);
                self.keeper.docker_is_gone();
            }
            docker::Event::Network if self.tools.shelf.is_used() => self.keeper.look_at_docker(),
            docker::Event::Network => {}
            docker::Event::Images(images) => {
                self.status.set_images(images);
                self.endpoints.handle_images();
            }
            docker::Event::Container(id) => self.endpoints.recheck(id),
        }
    }

    /// Docker's network driver is asked for something; Docker waits for the answer.
    fn handle_plugin(&mut self, request: plugin::Request) {
        let wanted = match &request {
            plugin::Request::Describe { endpoint, .. } | plugin::Request::Attach { endpoint, .. } => {
                self.endpoints.wanted(*endpoint).cloned()
            }
            _ => None,
        };
        let circumstances = Circumstances { wanted, asker: self.asker(), tso: self.tso == Some(true) };
        let job = work::serve(self.tools.clone(), request, circumstances);
        self.jobs.spawn(async {
            job.await;
            Done::Served
        });
    }

    /// Looks at the database anew: it has changed, or has come or gone.
    fn handle_ovsdb(&mut self) {
        let link = self.ovsdb.borrow_and_update().clone();
        let problem = link.error.filter(|_| !link.is_live).map(|error| format!("OVSDB: {error}"));
        self.status.set(Part::Ovsdb, problem);
        let Some(replica) = link.replica.filter(|_| link.is_live) else { return };
        self.status.set_foreign_ofports(bridge::endpoint::foreign_ofports(&replica));
        let may_be_due = !self.bridges.running && self.bridges.retry_at.is_none();
        if may_be_due && !bridge::reconcile(&replica, &self.desired_bridges).is_empty() {
            self.bridges.due = true;
        }
        let ports: BTreeMap<EndpointId, _> =
            bridge::endpoint::endpoints(&replica).into_iter().map(|port| (port.endpoint_id, port)).collect();
        let is_right = |id, ofport| {
            let port: Option<&bridge::EndpointState> = ports.get(&id);
            // A new port's link may be down for a moment; only one that goes down may have lost its device.
            let went_down =
                |port: &bridge::EndpointState| port.is_up == Some(false) && self.seen_up.contains(&id);
            port.is_some_and(|port| port.is_plugged() && port.ofport == Some(ofport) && !went_down(port))
        };
        let wrong: Vec<_> =
            self.endpoints.up().filter(|spec| !is_right(spec.id, spec.ofport)).map(|spec| spec.id).collect();
        self.seen_up =
            ports.values().filter(|port| port.is_up == Some(true)).map(|port| port.endpoint_id).collect();
        for id in wrong {
            tracing::info!(endpoint = id, "the port has changed in Open vSwitch");
            self.endpoints.recheck(id);
        }
    }

    /// br-phy's own link has come, gone or changed: ovs-vswitchd may have restarted.
    fn handle_underlay(&mut self) {
        let problem = self.underlay_problem.borrow_and_update().clone();
        if problem.is_none() {
            self.bridges.due = true;
        }
        self.status.set(Part::Underlay, problem);
    }

    /// Something became of the flow table that is kept on disk.
    fn handle_table(&mut self, event: restore::Event) {
        use restore::{Event, NotReplayed};
        let problem = match event {
            Event::Connected => {
                // ovs-vswitchd has started: it may run with other offloads than the one before.
                self.bridges.due = true;
                return;
            }
            Event::NotReplayed(NotReplayed::NothingSaved | NotReplayed::ControllerFirst) => None,
            Event::NotReplayed(why) => Some(format!("the flow table was not given back: {why:?}")),
            Event::SaveFailed(error) => Some(format!("the flow table cannot be kept: {error}")),
            Event::Replayed { .. } | Event::Saved { .. } => None,
            // The switch is away or its table in between: the file stays what it was, and so does what is wrong.
            _ => return,
        };
        self.status.set(Part::Restore, problem);
    }

    fn handle_done(&mut self, done: Done) {
        match done {
            Done::Endpoint(job, outcome) => self.endpoints.handle_done(&job, outcome, Instant::now()),
            Done::Survey(found) => {
                self.survey.running = false;
                match found {
                    Some(found) => self.endpoints.handle_survey(found),
                    None => self.survey.not_before = Some(Instant::now() + FIRST_RETRY),
                }
            }
            Done::Bridges(result) => self.handle_bridges(result),
            Done::Served => {}
            Done::Ordered(ordered) => self.handle_ordered(ordered),
            Done::Compared(compared) => self.handle_compared(compared),
        }
    }

    fn handle_bridges(&mut self, result: Bridges) {
        self.bridges.running = false;
        if result.failed {
            let wait = FIRST_RETRY.saturating_mul(1 << self.bridges.n_failures.min(10)).min(LAST_RETRY);
            self.bridges.retry_at = Some(Instant::now() + wait);
            self.bridges.n_failures = self.bridges.n_failures.saturating_add(1);
        } else {
            self.bridges.n_failures = 0;
        }
        self.status.set(Part::Bridges, result.problems);
        self.desired_bridges.nic_mac = result.nic_mac;
        if result.is_ready && !self.bridges.is_ready {
            self.endpoints.recheck_all();
        }
        self.bridges.is_ready = result.is_ready;
        if result.tso.is_some() && self.tso != result.tso {
            tracing::info!(userspace_tso = result.tso, "ovs-vswitchd's offloads");
            self.may_offload.send_replace(result.tso == Some(true));
            self.tso = result.tso;
            self.endpoints.recheck_all();
        }
    }

    /// Sends the controller what it does not know yet; one that does not read loses the stream.
    fn report(&mut self) {
        let reports = self.endpoints.poll_reports();
        let Some(session) = &mut self.session else { return };
        let node = self.status.poll_report().map(agent_message::Message::Node);
        let now = Instant::now();
        let alive = (session.keep_alive_at <= now).then_some(agent_message::Message::KeepAlive(KeepAlive {}));
        if alive.is_some() {
            session.keep_alive_at = now + session.keep_alive;
        }
        for message in reports.into_iter().chain(node).chain(alive) {
            if session.reports.try_send(AgentMessage { message: Some(message) }).is_err() {
                tracing::warn!("the controller no longer takes reports");
                self.session = None;
                return;
            }
        }
    }
}

/// Starts the task that holds the stream to the controller.
fn attach(config: &Config, tasks: &mut JoinSet<&'static str>) -> mpsc::Receiver<Event> {
    let register = Register {
        pool: config.pool.clone(),
        name: config.name.clone(),
        datapath_id: config.datapath_id(),
        tunnel_address: config.tunnel_address.addr().to_string(),
        labels: config.labels(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capacity: Some(Resources {
            cpu_millis: config.capacity_cpus.0,
            memory_bytes: config.capacity_memory.0,
            pids: 0,
        }),
        metrics_address: config.metrics_address().map(|address| address.to_string()).unwrap_or_default(),
    };
    let (events, northbound) = mpsc::channel(EVENTS);
    let controller = northbound::Controller {
        address: config.controller.clone(),
        credentials: Credentials::of(&config.state_dir),
    };
    tasks.spawn(async move {
        northbound::attach(controller, register, events).await;
        "the connection to the controller"
    });
    northbound
}

/// Starts the task that serves Docker's drivers.
fn serve_plugin(
    config: &Config,
    shelf: Shelf,
    metrics: &Metrics,
    tasks: &mut JoinSet<&'static str>,
) -> (mpsc::Receiver<plugin::Request>, watch::Receiver<Option<String>>) {
    let (sender, requests) = mpsc::channel(EVENTS);
    let (problem, plugin_problem) = watch::channel(None);
    let socket = config.docker_plugin.clone();
    let calls = metrics.counters_by("agent_plugin_calls", "Calls of Docker's, by method and outcome");
    tasks.spawn(async move {
        plugin::serve(&socket, shelf, sender, calls, problem).await;
        "Docker's network driver"
    });
    (requests, plugin_problem)
}

/// Starts the task that serves the metrics, if they are to be served.
fn serve_metrics(
    config: &Config,
    metrics: Arc<Metrics>,
    sampler: Sampler,
    tasks: &mut JoinSet<&'static str>,
) -> mpsc::Receiver<metrics::Inquiry> {
    let (sender, inquiries) = mpsc::channel(1);
    if let Some(address) = config.metrics {
        let flows = config.ovs_rundir.join(format!("{BR_INT}.mgmt"));
        let source = Source::new(&config.name, metrics, sampler, sender, flows);
        tasks.spawn(async move {
            metrics::serve(address, source).await;
            "the metrics"
        });
    }
    inquiries
}

/// Starts the task that watches Docker.
fn watch_docker(docker: Docker, tasks: &mut JoinSet<&'static str>) -> mpsc::Receiver<docker::Event> {
    let (sender, events) = mpsc::channel(EVENTS);
    tasks.spawn(async move {
        docker::watch(docker, sender).await;
        "the watch over Docker"
    });
    events
}

/// Starts the task that keeps the tunnel address on br-phy; it is told of offloads and tells what is wrong.
fn keep_address(
    config: &Config,
    takes: bool,
    tasks: &mut JoinSet<&'static str>,
) -> (watch::Sender<bool>, watch::Receiver<Option<String>>) {
    let underlay = Underlay {
        link: BR_PHY.to_owned(),
        nic: config.uplink.clone(),
        address: config.tunnel_address,
        takes,
    };
    let (may_offload, offload) = watch::channel(true);
    let (problem, underlay_problem) = watch::channel(None);
    tasks.spawn(async move {
        if let Err(error) = keep_underlay(underlay, offload, problem).await {
            tracing::error!(%error, "cannot keep the tunnel address");
        }
        "the watch over the tunnel address"
    });
    (may_offload, underlay_problem)
}

/// Starts the task that keeps the node's last flow table.
fn keep_table(
    config: &Config,
    tasks: &mut JoinSet<&'static str>,
) -> (SaveHandle, mpsc::Receiver<restore::Event>) {
    let (restorer, table) = Restorer::new(restore::Config {
        socket: config.ovs_rundir.join(format!("{BR_INT}.mgmt")),
        file: config.state_dir.join(config::TABLE),
        patience: PATIENCE,
    });
    let (sender, events) = mpsc::channel(EVENTS);
    tasks.spawn(async move {
        restorer.run(sender).await;
        "the keeper of the flow table"
    });
    (table, events)
}

/// The bridges, with the controllers that are remembered from the last time.
fn desired_bridges(config: &Config, identity: Option<Identity>) -> bridge::Desired {
    bridge::Desired {
        nic: config.uplink.clone(),
        nic_mac: None,
        tunnel_address: IpAddr::V4(config.tunnel_address.addr()),
        datapath_id: config.datapath_id(),
        targets: identity.map(|identity| identity.openflow_targets).unwrap_or_default(),
        ssl: None,
        userspace_tso: config.userspace_tso,
    }
}

/// How long a job waits for the database and for ovs-vswitchd.
const PATIENCE: Duration = Duration::from_secs(5);

const FIRST_RETRY: Duration = Duration::from_millis(200);

const LAST_RETRY: Duration = Duration::from_secs(10);

/// Whatever a controller asks for, it is not told more often that the agent is there.
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_millis(100);

/// Events of the controller's stream not yet looked at.
const EVENTS: usize = 64;
