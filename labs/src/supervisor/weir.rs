//! Weir itself: the controller, the pools, the agents.

use std::cell::Cell;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tonic::Code;
use tonic::transport::Channel;
use weir_api::v1::{CreatePoolRequest, ListNodesRequest, ListPoolsRequest, Pool, Range};

use super::site::{Site, make_dir};
use crate::api::connect;
use crate::process::find_executable;
use crate::protocol::DaemonName;
use crate::state::{Daemon, Kind, Machine};
use crate::topology::{self, Controller, Node};

/// The executables of the daemons a lab needs, looked up before anything is built.
pub(super) struct Executables {
    controller: PathBuf,
    agent: PathBuf,
}

impl Executables {
    pub(super) fn find() -> anyhow::Result<Executables> {
        Ok(Executables {
            controller: find_executable(Daemon::WeirController.program())?,
            agent: find_executable(Daemon::WeirAgent.program())?,
        })
    }
}

/// Starts the controller, waits until its API answers, and creates the pools.
pub(super) async fn start_controller(
    site: &Site,
    files: &Executables,
    controller: &Controller,
) -> anyhow::Result<()> {
    let state = site.state();
    let (address, api) = (controller.address.address(), state.api_socket());
    let data = state.machine_dir("controller").join("data");
    make_dir(&data)?;
    let mut command = vec![files.controller.clone().into_os_string()];
    command.extend(["--listen".into(), format!("{address}:{API_PORT}").into()]);
    command.extend(["--listen".into(), format!("unix:{}", api.display()).into(), "--insecure".into()]);
    command.extend(["--openflow".into(), format!("{address}:{OPENFLOW_PORT}").into()]);
    command.extend(["--data-dir".into(), data.into_os_string()]);
    command.extend(controller.args.iter().map(OsString::from));
    site.start(state.machine("controller")?, Daemon::WeirController, command)?;

    let name = DaemonName { machine: "controller".to_owned(), daemon: Daemon::WeirController };
    let server = format!("unix:{}", api.display());
    let channel = site.expect(name.clone(), "its API does not answer", START, answers(&server)).await?;
    for pool in &state.topology.pools {
        let made = create_pool(channel.clone(), pool);
        site.expect(name.clone(), "it does not create the pools", START, made).await?;
    }
    Ok(())
}

/// Starts a node's agent and waits until the controller has both the agent and the switch.
pub(super) async fn start_agent(
    site: &Site,
    files: &Executables,
    machine: &Machine,
    node: &Node,
) -> anyhow::Result<()> {
    let state = site.state();
    let controller = state.controller_address().context("agents need a controller")?;
    let rundir = state.ovs_rundir(&machine.name);
    let folder = state.machine_dir(&machine.name).join("agent");
    make_dir(&folder)?;
    let mut command = vec![files.agent.clone().into_os_string()];
    let mut option = |name: &str, value: OsString| command.extend([name.into(), value]);
    option("--controller", format!("http://{controller}:{API_PORT}").into());
    option("--pool", node.pool.as_str().into());
    option("--name", node.name.as_str().into());
    option("--ovsdb", format!("unix:{}", rundir.join("db.sock").display()).into());
    option("--ovs-rundir", rundir.into_os_string());
    option("--uplink", "nic".into());
    option("--userspace-tso", node.userspace_tso.to_string().into());
    option("--tunnel-address", node.address.to_string().into());
    option("--state-dir", folder.into_os_string());
    for (key, value) in &node.labels {
        option("--label", format!("{key}={value}").into());
    }
    command.extend(node.args.iter().map(OsString::from));
    site.start(machine, Daemon::WeirAgent, command)?;

    let name = DaemonName { machine: machine.name.clone(), daemon: Daemon::WeirAgent };
    let server = format!("unix:{}", state.api_socket().display());
    let missing = Cell::new("the node");
    let connected = connected(&server, node, &missing);
    let waited = site.expect(name, "it does not join", START, connected).await;
    waited.with_context(|| format!("the controller does not have {} of {}", missing.get(), node.name))
}

/// The topology's entry of a machine that is a node.
pub(super) fn node<'a>(topology: &'a topology::Topology, machine: &Machine) -> Option<&'a Node> {
    let is = |node: &&Node| machine.kind == Kind::Node && node.name.as_str() == machine.name;
    topology.nodes.iter().find(is)
}

async fn answers(server: &str) -> anyhow::Result<Channel> {
    let mut poll = tokio::time::interval(POLL);
    loop {
        poll.tick().await;
        if let Ok(channel) = connect(server).await
            && weir_api::client::pools(channel.clone()).list_pools(ListPoolsRequest::default()).await.is_ok()
        {
            return Ok(channel);
        }
    }
}

async fn create_pool(channel: Channel, pool: &topology::Pool) -> anyhow::Result<()> {
    let range = |[first, last]: [u32; 2]| Range { first, last };
    let wanted = Pool {
        name: pool.name.to_string(),
        vlans: pool.vlans.map(range),
        vnis: pool.vnis.map(range),
        ..Pool::default()
    };
    let made = weir_api::client::pools(channel).create_pool(CreatePoolRequest { pool: Some(wanted) }).await;
    made.map(drop).with_context(|| format!("cannot create the pool {}", pool.name))
}

/// Waits until the controller has both, and has heard of the node's Docker if it has one; `missing` always says what it does not have.
async fn connected(server: &str, node: &Node, missing: &Cell<&str>) -> anyhow::Result<()> {
    let mut client = weir_api::client::nodes(answers(server).await?);
    let mut poll = tokio::time::interval(POLL);
    loop {
        poll.tick().await;
        let request = ListNodesRequest { pool: node.pool.to_string(), ..Default::default() };
        let nodes = match client.list_nodes(request).await {
            Ok(answer) => answer.into_inner().nodes,
            Err(status) if status.code() == Code::Unavailable => continue,
            Err(status) => return Err(status).context("cannot list the nodes"),
        };
        let ours = nodes.into_iter().find(|n| n.name == node.name.as_str()).and_then(|n| n.status);
        match ours {
            Some(status) if status.agent_connected && status.switch_connected => {
                if !node.docker || status.runtimes.iter().any(|runtime| runtime == "docker") {
                    return Ok(());
                }
                missing.set("the Docker");
            }
            Some(status) if status.agent_connected => missing.set("the switch"),
            _ => missing.set("the agent"),
        }
    }
}

/// Where agents find the controller's gRPC API.
pub(crate) const API_PORT: u16 = 7400;
/// Where switches find the controller.
pub(crate) const OPENFLOW_PORT: u16 = 6653;
const START: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
