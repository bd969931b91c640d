//! Weir's controller: intent, orchestration, compilation to segments, OpenFlow sessions.
//!
//! ```text
//!  serve ──requests──▶ orchestrate ──transactions──▶ intent (owner thread, store)
//!    ▲                  lifecycle task ◀──commits──────┤
//!    └──── board ──────────┘   ▲                       ▼
//!                              └─SwitchEvent── network and openflow (compile, sessions)
//! ```

pub mod config;
pub mod counters;
pub mod intent;
pub mod network;
pub mod openflow;
pub mod orchestrate;
pub mod serve;

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use config::Config;
use counters::Counters;
use intent::Intent;
use intent::store::embedded::Embedded;
use network::fabric::{Fabric, Pace};
use openflow::Surroundings;
use openflow::board::Board;
use orchestrate::{Orchestrator, Timing};
use serve::Api;
use serve::listen::Listener;

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
    let store = Embedded::open(&config.data_dir.join("intent.redb"))?;
    let intent = Intent::start(store)?;
    let counters = Arc::new(Counters::default());
    let timing = Timing { cool_down: config.address_cool_down, lease: config.node_lease };
    let (orchestrator, switch_events) = Orchestrator::start(intent.clone(), timing);

    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let board = Board::default();
    let (fabric, fabric_events) = mpsc::channel(FABRIC_EVENTS);
    let around = Surroundings {
        board: board.clone(),
        lifecycle: switch_events,
        fabric,
        counts: openflow::Counts::among(&counters),
        switch_idle: config.switch_idle(),
    };
    let switches = TcpListener::bind(config.openflow)
        .await
        .with_context(|| format!("cannot listen on {} for switches", config.openflow))?;
    tracing::info!(address = %config.openflow, "serving OpenFlow");
    let pace = Pace { mac_refresh: config.mac_refresh, neighbour_refresh: config.neighbour_refresh };
    // Before switches are listened to: one that came earlier would be a stranger.
    let network = network::run::start(Fabric::new(board, pace), intent.clone(), fabric_events);
    tasks.spawn(async move {
        network.await;
        Ok(())
    });
    tasks.spawn(async move {
        openflow::listen(switches, around).await;
        Ok(())
    });

    let api = Api::new(orchestrator, counters, config.targets());
    for address in &config.listen {
        let listener =
            Listener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        tracing::info!(%address, "serving gRPC");
        let serving = listener.serve(api.routes(), stop.clone());
        tasks.spawn(async move { serving.await.context("serving gRPC") });
    }
    supervise(&intent, tasks, stop).await
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
