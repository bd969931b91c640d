//! A run: what is done to the controller and the fleet, and in which order.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use weir_api::v1::Container;

use super::client::Client;
use super::controller::Controller;
use super::descriptors;
use super::figures::{Creates, Figures, Phase, Usage};
use super::fleet::Fleet;
use super::node::Handicap;
use super::scenario::Scenario;

/// Runs a scenario in one size, and says through `progress` what it does.
///
/// # Errors
/// If the controller does not start, refuses what is asked for, or the fleet does not come into sync.
pub async fn run(scenario: &Scenario, progress: &dyn Fn(&str)) -> anyhow::Result<Figures> {
    descriptors::allow(scenario.n_nodes())?;
    let mut run = Run::start(scenario, progress).await?;
    run.set_up().await?;
    run.cold_start().await?;
    run.restart().await?;
    run.new_block().await?;
    run.churn().await?;
    Ok(run.finish())
}

/// How long the fleet may take to come into sync, besides some time for each switch.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_A_NODE: Duration = Duration::from_millis(200);

struct Run<'a> {
    scenario: &'a Scenario,
    progress: &'a dyn Fn(&str),
    controller: Controller,
    fleet: Fleet,
    figures: Figures,
}

/// What had been used and counted when a phase began.
struct Mark {
    at: Instant,
    controller: Usage,
    fleet: Usage,
    flow_mods: u64,
    errors: u64,
}

impl<'a> Run<'a> {
    async fn start(scenario: &'a Scenario, progress: &'a dyn Fn(&str)) -> anyhow::Result<Self> {
        progress("starting the controller");
        let controller = Controller::start().await?;
        let client = Client::new(controller.channel().await?);
        client.create_networks(scenario).await.context("cannot create pools and networks")?;
        let fleet = Fleet::start(scenario, controller.server());
        let figures = Figures { switches: fleet.nodes.len(), ..Figures::default() };
        Ok(Self { scenario, progress, controller, fleet, figures })
    }

    fn patience(&self) -> Duration {
        PATIENCE + PATIENCE_A_NODE * u32::try_from(self.fleet.nodes.len()).unwrap_or(u32::MAX)
    }

    async fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(self.controller.channel().await?))
    }

    async fn wait_in_sync(&self) -> anyhow::Result<()> {
        let client = self.client().await?;
        let waited = client.wait_in_sync(&self.fleet, self.patience(), self.progress).await;
        waited.with_context(|| format!("the controller last said:\n{}", self.controller.log()))
    }

    fn mark(&self) -> Mark {
        let counts = self.fleet.counts();
        Mark {
            at: Instant::now(),
            controller: self.controller.usage(),
            fleet: Usage::of("self"),
            flow_mods: counts.flow_mods,
            errors: counts.errors,
        }
    }

    /// A phase that began at a mark and took `wall`.
    fn done(&mut self, name: &'static str, since: &Mark, wall: Duration) {
        let now = self.mark();
        let phase = Phase {
            name,
            wall_s: wall.as_secs_f64(),
            controller_cpu_s: now.controller.cpu_s - since.controller.cpu_s,
            fleet_cpu_s: now.fleet.cpu_s - since.fleet.cpu_s,
            flow_mods: now.flow_mods - since.flow_mods,
            errors: now.errors - since.errors,
        };
        (self.progress)(&format!("{name}: {:.3} s, {} flow mods", phase.wall_s, phase.flow_mods));
        self.figures.phases.push(phase);
    }

    /// All nodes register, and every endpoint is created.
    async fn set_up(&mut self) -> anyhow::Result<()> {
        let n = self.fleet.nodes.len();
        (self.progress)(&format!("{n} nodes register"));
        let mark = self.mark();
        self.wait_in_sync().await?;
        self.done("registration", &mark, mark.at.elapsed());
        (self.progress)("creating endpoints");
        let mark = self.mark();
        self.figures.endpoints = self.client().await?.fill(self.scenario).await?;
        self.wait_in_sync().await?;
        self.done("filling", &mark, mark.at.elapsed());
        Ok(())
    }

    /// The controller begins anew, and every switch has lost what it held.
    async fn cold_start(&mut self) -> anyhow::Result<()> {
        self.controller.kill()?;
        self.fleet.restart_switches();
        let mark = self.mark();
        self.controller.launch().await?;
        self.wait_in_sync().await?;
        self.done("cold start", &mark, mark.at.elapsed());
        Ok(())
    }

    /// The controller begins anew, and every switch holds what it should.
    async fn restart(&mut self) -> anyhow::Result<()> {
        self.controller.kill()?;
        let mark = self.mark();
        self.controller.launch().await?;
        self.wait_in_sync().await?;
        self.done("restart", &mark, mark.at.elapsed());
        Ok(())
    }

    /// A new node is given its first container, and so a block, of which every switch of the pool must know.
    async fn new_block(&mut self) -> anyhow::Result<()> {
        let Some(pool) = self.scenario.pools.iter().find(|pool| !pool.networks.is_empty()) else {
            return Ok(());
        };
        let node = self.fleet.add(&pool.name, "new".to_owned(), Handicap::default());
        self.wait_in_sync().await?;
        let others: Vec<_> = self.fleet.nodes.iter().filter(|it| it.pool == pool.name).cloned().collect();
        let before: Vec<u64> = others.iter().map(|it| it.counts().bundles).collect();
        let client = self.client().await?;
        let mark = self.mark();
        let container = Container {
            pool: pool.name.clone(),
            name: "first".to_owned(),
            network: pool.networks[0].name.clone(),
            node: node.name.clone(),
            runtime: "netns".to_owned(),
            ..Container::default()
        };
        client.create(container, false).await?;
        let mut poll = tokio::time::interval(Duration::from_millis(2));
        while others.iter().zip(&before).any(|(it, before)| it.counts().bundles == *before) {
            if mark.at.elapsed() > self.patience() {
                bail!("a switch was not told of a new block");
            }
            poll.tick().await;
        }
        self.done("new block", &mark, mark.at.elapsed());
        self.wait_in_sync().await
    }

    async fn churn(&mut self) -> anyhow::Result<()> {
        if self.scenario.churn.time.is_zero() {
            return Ok(());
        }
        (self.progress)("creating, deleting and moving");
        let client = self.client().await?;
        let mark = self.mark();
        let churned = client.churn(self.scenario, &self.fleet).await;
        self.done("churn", &mark, mark.at.elapsed());
        self.figures.creates = Creates::of(&churned.creates);
        self.figures.failed = churned.n_failed;
        self.figures.failure = churned.failure;
        let mark = self.mark();
        if self.scenario.faults.full_switches == 0 {
            self.wait_in_sync().await?;
            self.done("quiet again", &mark, mark.at.elapsed());
        }
        Ok(())
    }

    fn finish(mut self) -> Figures {
        let flows = self.fleet.n_flows();
        let rank = |share: usize| flows.get((flows.len() - 1) * share / 2).copied().unwrap_or(0);
        self.figures.flows = [rank(0), rank(1), rank(2)];
        self.figures.controller_peak_mib = self.controller.usage().peak_mib;
        self.figures.fleet_peak_mib = Usage::of("self").peak_mib;
        self.figures
    }
}
