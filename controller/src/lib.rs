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
pub mod orchestrate;
pub mod serve;

use std::sync::Arc;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use config::Config;
use counters::Counters;
use intent::Intent;
use intent::store::embedded::Embedded;
use network::Neighbours;
use orchestrate::Orchestrator;
use serve::Api;
use serve::listen::Listener;

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
    let neighbours = Arc::new(Neighbours::default());
    let (orchestrator, switch_events) =
        Orchestrator::start(intent.clone(), neighbours.clone(), config.address_cool_down);

    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    // The OpenFlow side starts here: it follows `intent.subscribe()`, keeps `neighbours` and `counters`, and reports by
    // `switch_events`, which must live as long as the orchestrator's task is to hear of switches.
    let _switch_events = switch_events;

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
