//! Building a lab, step by step; what does not depend on each other at the same time.

use anyhow::Context;
use futures::future::try_join_all;

use super::site::Site;
use super::weir::Executables;
use super::{docker, fabric, image, ovs, weir};
use crate::protocol::Progress;
use crate::state::Kind;

/// Builds the whole lab. After an error whatever there is must be removed.
pub(super) async fn build(site: &Site) -> anyhow::Result<()> {
    let state = site.state();
    let topology = &state.topology;
    let executables = topology.controller.as_ref().map(|_| Executables::find()).transpose()?;
    let nodes = topology.nodes.len();
    let weir = if executables.is_some() { 1 + nodes } else { 0 };
    site.report(&Progress::Steps(2 + nodes + state.with_docker().count() + weir));

    try_join_all(state.machines.iter().map(|m| fabric::make_machine(site, m))).await?;
    let cables = state.machines.iter().filter_map(|m| m.nic.as_ref().map(|nic| fabric::plug(&state, m, nic)));
    try_join_all(cables).await?;
    done(site, format!("{} machines and their cables", state.machines.len() - 1));

    // With the holders' pids, which nodes are entered by.
    let state = site.state();
    tokio::try_join!(
        start_switch(site),
        try_join_all(state.of_kind(Kind::Node).map(|m| start_node(site, m)))
    )?;
    start_dockers(site).await?;

    if let (Some(executables), Some(controller)) = (&executables, &topology.controller) {
        weir::start_controller(site, executables, controller).await?;
        done(site, format!("controller at {}", controller.address.address()));
        try_join_all(state.of_kind(Kind::Node).map(|m| start_agent(site, executables, m))).await?;
    }
    Ok(())
}

async fn start_switch(site: &Site) -> anyhow::Result<()> {
    let state = site.state();
    ovs::start(site, state.machine("switch")?, &[TSO]).await?;
    ovs::make_switch(site).await?;
    done(site, "physical switch".to_owned());
    Ok(())
}

async fn start_node(site: &Site, machine: &crate::state::Machine) -> anyhow::Result<()> {
    let state = site.state();
    let tso = weir::node(&state.topology, machine).is_some_and(|node| node.userspace_tso);
    ovs::start(site, machine, if tso { &[TSO] } else { &[] }).await?;
    done(site, format!("Open vSwitch on {}", machine.name));
    Ok(())
}

async fn start_dockers(site: &Site) -> anyhow::Result<()> {
    let state = site.state();
    if state.with_docker().next().is_none() {
        return Ok(());
    }
    let image = image::make(&state).await?;
    let start = async |machine: &crate::state::Machine| {
        docker::start(site, machine, &image).await?;
        done(site, format!("Docker on {}", machine.name));
        anyhow::Ok(())
    };
    try_join_all(state.with_docker().map(start)).await.map(drop)
}

async fn start_agent(
    site: &Site,
    files: &Executables,
    machine: &crate::state::Machine,
) -> anyhow::Result<()> {
    let state = site.state();
    let node = weir::node(&state.topology, machine).context("a node that is not in the topology")?;
    weir::start_agent(site, files, machine, node).await?;
    done(site, format!("agent of {}", machine.name));
    Ok(())
}

fn done(site: &Site, what: String) {
    site.report(&Progress::Done(what));
}

/// Large segments pass the userspace datapath whole; the switch must carry what its nodes send.
const TSO: &str = "other_config:userspace-tso-enable=true";
