//! Weir's controller: intent, orchestration, compilation to segments, OpenFlow sessions.
//!
//! ```text
//!  serve ──requests──▶ orchestrate ──transactions──▶ intent (owner thread, store)
//!    ▲                  lifecycle task ◀──commits──────┤
//!    └──── board ──────────┘   ▲                       ▼
//!                              └─SwitchEvent── network and openflow (compile, sessions)
//! ```
//!
//! Who may connect and ask is `access`'s to say, to `serve` and `openflow`.

pub mod access;
pub mod config;
pub mod intent;
pub mod measure;
pub mod network;
pub mod openflow;
pub mod orchestrate;
pub mod serve;

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use access::{Access, Authority, tls::Acceptor};
use config::{Config, UnknownSwitches};
use intent::Intent;
use intent::store::Store;
use intent::store::embedded::Embedded;
use intent::store::timed::Timed;
use measure::journey::Journal;
use measure::{Metrics, Reading, Value};
use network::fabric::{Fabric, Pace};
use network::run::Measures;
use openflow::board::Board;
use openflow::{Audit, Surroundings};
use orchestrate::{Orchestrator, Timing};
use serve::Api;
use serve::listen::{self, Listener, Tls};

/// What sessions may have told the network that it has not looked at.
const FABRIC_EVENTS: usize = 4096;

/// Runs a controller until it is stopped.
///
/// # Errors
/// The settings do not go together, the store cannot be opened, a listener cannot be bound, or a part has ended that
/// should not.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    config.check()?;
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("cannot make the data directory {}", config.data_dir.display()))?;
    let metrics = Arc::new(Metrics::default());
    let commit = metrics.times("store_commit", "What it took to make a commit of the intent durable");
    let mut store = Embedded::open(&config.data_dir.join("intent.redb"))?;
    // The clock, so that a controller that begins with an empty store is not taken for an old one.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let term = store.begin_term(now)?;
    let intent = Intent::start(Timed::new(store, move |took| commit.observe(took.as_secs_f64())))?;
    let journal = Arc::new(Journal::among(&metrics));
    let timing = Timing { cool_down: config.address_cool_down, lease: config.node_lease };
    let (orchestrator, switch_events) = Orchestrator::start(intent.clone(), timing, journal.clone());

    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let authority =
        Arc::new(Authority::open(&config.data_dir, config.ca_cert.as_deref().zip(config.ca_key.as_deref()))?);
    let access = Access::new(intent.clone());
    let acceptor = Acceptor::new(authority.clone(), config.certificate_names(), config.certificate_life)
        .context("the controller's own certificate: is each --tls-name a name or an address?")?;
    tasks.spawn(keep(access.clone().watch()));
    tasks.spawn(keep(acceptor.clone().keep()));
    let board = Board::default();
    let (fabric, fabric_events) = mpsc::channel(FABRIC_EVENTS);
    let around = Surroundings {
        board: board.clone(),
        lifecycle: switch_events,
        fabric,
        counts: openflow::Counts::among(&metrics),
        journal: journal.clone(),
        audit: Audit::new(config.audit_interval, config.audit_rate.get()),
        term,
        switch_idle: config.switch_idle(),
        learns: config.unknown_switches == UnknownSwitches::Learn,
        access: Some(access.clone()),
    };
    let pace = Pace { mac_refresh: config.mac_refresh, neighbour_refresh: config.neighbour_refresh };
    let measures = Measures {
        journal,
        compile: metrics.times("compile", "From a commit to its flows, compiled and published"),
    };
    look_up(&metrics, &orchestrator, &board);
    let by_pool = orchestrator.clone();
    metrics.look_up_families(move || by_pool.census());
    // Before switches are listened to: one that came earlier would be a stranger, and those that nobody accepts yet would
    // try again later and later.
    let network =
        network::run::start(Fabric::new(board.clone(), pace), intent.clone(), fabric_events, measures);
    tasks.spawn(keep(network));
    let switches = listen::bind_tcp(config.openflow.address)
        .with_context(|| format!("cannot listen on {} for switches", config.openflow))?;
    tracing::info!(address = %config.openflow, "serving OpenFlow");
    if config.openflow.tls {
        tasks.spawn(keep(openflow::listen_tls(switches, acceptor.listener(&[])?, around)));
    } else {
        tasks.spawn(keep(openflow::listen(switches, around)));
    }

    let late = metrics.times("event_loop_lag", "How late a timer of the event loop fired");
    tasks.spawn(keep(measure::lag::watch(late)));
    let tls = Tls { acceptor, access: access.clone() };
    let api = Api::new(orchestrator, metrics, config.targets()).with_switches(board).with_access(
        access,
        authority,
        config.certificate_life,
    );
    let apis = config.listen.iter().map(|address| (address, "gRPC", api.routes()));
    let metrics = config.metrics.iter().map(|address| (address, "metrics", api.metrics()));
    for (address, what, routes) in apis.chain(metrics) {
        let listener = Listener::bind(address, Some(&tls))
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        tracing::info!(%address, "serving {what}");
        let serving = listener.serve(routes, stop.clone());
        tasks.spawn(async move { serving.await.with_context(|| format!("serving {what}")) });
    }
    supervise(&intent, tasks, stop).await
}

/// A part that goes on for as long as the controller.
async fn keep(part: impl Future<Output = ()>) -> anyhow::Result<()> {
    part.await;
    Ok(())
}

/// Has the metrics look up how much there is and how much of it waits.
#[expect(clippy::cast_precision_loss, reason = "a metric is a double; none of these comes near 2^53")]
fn look_up(metrics: &Metrics, orchestrator: &Orchestrator, board: &Board) {
    let (orchestrator, board) = (orchestrator.clone(), board.clone());
    metrics.look_up(move || {
        let gauge = |name, help, value| Reading { name, help, unit: None, value: Value::Gauge(value as f64) };
        let count = |name, help, n: usize| gauge(name, help, n as u64);
        let (load, intent) = (board.load(), orchestrator.intent());
        let there = intent.read(|state| {
            (state.revision(), state.nodes().len(), state.networks().len(), state.containers().len())
        });
        let (revision, nodes, networks, containers) = there;
        [
            gauge("intent_revision", "The revision of the intent that is stored", revision),
            gauge(
                "published_revision",
                "The revision of the intent whose flows are published",
                board.revision(),
            ),
            gauge(
                "switch_lag_revisions",
                "How many revisions the switch furthest behind has to go",
                load.lag,
            ),
            count("switches_connected", "Switches that are being served", load.connected),
            count(
                "switches_behind",
                "Connected switches that have not confirmed all that concerns them",
                load.behind,
            ),
            count(
                "segments_dirty",
                "Segments that have changed since their switches confirmed them, once for each switch",
                load.dirty_segments,
            ),
            count("agents_connected", "Nodes whose agent's stream is open", orchestrator.agents()),
            count("nodes", "Nodes of the intent", nodes),
            count("networks", "Networks of the intent", networks),
            count("containers", "Containers of the intent", containers),
            count("containers_ready", "Containers that are ready", orchestrator.board().ready()),
            count("creates_under_way", "Creates that are not ready yet", orchestrator.journal().under_way()),
            count(
                "requests_waiting",
                "Requests that wait for their turn to change the intent",
                intent.waiting(),
            ),
            count("reports_waiting", "Words of agents that wait to be heard", orchestrator.waiting()),
        ]
    });
}

/// Waits until the controller is stopped, or one of its parts ends; then stops the others.
async fn supervise(
    intent: &Intent,
    mut tasks: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let first = tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = intent.ended() => Err(anyhow::anyhow!("the intent's owner has ended")),
        Some(ended) = tasks.join_next() => match ended.context("a task panicked") {
            Ok(Ok(())) if stop.is_cancelled() => Ok(()),
            Ok(Ok(())) => Err(anyhow::anyhow!("a listener has ended")),
            Ok(Err(error)) | Err(error) => Err(error),
        },
    };
    stop.cancel();
    // Streams that are open for ever would hold up the end; what is acknowledged is stored already.
    tasks.shutdown().await;
    first
}
