//! A node's agent, as `weir-agent` speaks to the controller: everything asked for is done at once.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::ReceiverStream;
use weir_api::v1::{
    AgentMessage, ControllerMessage, Desired, EndpointReport, Inventory, KeepAlive, NodeReport, Register,
    Registered, agent_message::Message, controller_message, endpoint_report::State,
};

use super::node::Node;
use super::pause::Pause;

/// Keeps a node registered for ever.
pub(super) async fn serve(node: Arc<Node>, server: String) {
    let mut agent = Agent { node, endpoints: BTreeMap::new(), switch: None };
    let mut pause = Pause::new();
    loop {
        if let Err(error) = agent.converse(&server, &mut pause).await {
            agent.node.complain(format!("agent: {error:#}"));
        }
        pause.wait().await;
    }
}

/// How long the controller may take to let it connect, as for `weir-agent`.
const PATIENCE: Duration = Duration::from_secs(3);

struct Agent {
    node: Arc<Node>,
    /// The port number of each endpoint that it has, and which start it has answered.
    endpoints: BTreeMap<u32, (u32, u32)>,
    /// The task that keeps the switch connected.
    switch: Option<AbortHandle>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(switch) = &self.switch {
            switch.abort();
        }
    }
}

impl Agent {
    /// One stream from its opening to its end.
    async fn converse(&mut self, server: &str, pause: &mut Pause) -> anyhow::Result<()> {
        let connect = tokio::time::timeout(PATIENCE, crate::api::connect(server));
        let mut client = weir_api::client::agents(connect.await.context("the controller lets nobody in")??);
        let (reports, outgoing) = mpsc::channel(1024);
        send(&reports, Message::Register(self.register())).await?;
        let mut messages = client.attach(ReceiverStream::new(outgoing)).await?.into_inner();
        let mut keep_alive = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                message = messages.message() => {
                    let Some(ControllerMessage { message }) = message? else { bail!("the controller closed it") };
                    match message {
                        Some(controller_message::Message::Registered(registered)) => {
                            pause.reset();
                            keep_alive = tokio::time::interval(lease_third(&registered));
                            self.connect_switch(&registered)?;
                            send(&reports, Message::Node(node_report())).await?;
                        }
                        Some(controller_message::Message::Desired(desired)) => {
                            for report in self.take(desired) {
                                send(&reports, report).await?;
                            }
                        }
                        _ => {}
                    }
                }
                _ = keep_alive.tick() => send(&reports, Message::KeepAlive(KeepAlive {})).await?,
            }
        }
    }

    fn register(&self) -> Register {
        let address =
            Ipv4Addr::from(0xac10_0000 | u32::try_from(self.node.datapath_id & 0xf_ffff).unwrap_or(0));
        Register {
            pool: self.node.pool.clone(),
            name: self.node.name.clone(),
            datapath_id: self.node.datapath_id,
            tunnel_address: address.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Register::default()
        }
    }

    /// Points the switch at the controller, if it is not yet.
    fn connect_switch(&mut self, registered: &Registered) -> anyhow::Result<()> {
        if self.switch.is_some() {
            return Ok(());
        }
        let target =
            registered.openflow_targets.first().context("the controller names no OpenFlow target")?;
        let address: SocketAddr = target.trim_start_matches("tcp:").parse()?;
        self.switch = Some(tokio::spawn(self.node.clone().connect(address)).abort_handle());
        Ok(())
    }

    /// Does what is desired, and says so.
    fn take(&mut self, desired: Desired) -> Vec<Message> {
        let mut reports = Vec::new();
        if desired.complete {
            let wanted: Vec<u32> = desired.endpoints.iter().map(|endpoint| endpoint.endpoint_id).collect();
            let gone: Vec<u32> = self.endpoints.keys().filter(|id| !wanted.contains(id)).copied().collect();
            gone.into_iter().for_each(|id| self.remove(id));
        }
        for endpoint in &desired.endpoints {
            let has = (endpoint.ofport, endpoint.starts);
            if self.endpoints.insert(endpoint.endpoint_id, has) != Some(has) {
                self.node.plug(endpoint.ofport);
            }
            if !desired.complete {
                reports.push(Message::Endpoint(up(endpoint.endpoint_id, has)));
            }
        }
        for removed in &desired.removed {
            self.remove(removed.endpoint_id);
            let state = State::Removed.into();
            let report =
                EndpointReport { endpoint_id: removed.endpoint_id, state, ..EndpointReport::default() };
            reports.push(Message::Endpoint(report));
        }
        if desired.complete {
            let endpoints = self.endpoints.iter().map(|(id, has)| up(*id, *has)).collect();
            reports.push(Message::Inventory(Inventory { revision: desired.revision, endpoints }));
        }
        reports
    }

    fn remove(&mut self, id: u32) {
        if let Some((ofport, _)) = self.endpoints.remove(&id) {
            self.node.unplug(ofport);
        }
    }
}

fn up(endpoint_id: u32, (ofport, starts): (u32, u32)) -> EndpointReport {
    EndpointReport { endpoint_id, state: State::Up.into(), ofport, starts, ..EndpointReport::default() }
}

fn node_report() -> NodeReport {
    NodeReport { runtimes: vec!["netns".to_owned()], ..NodeReport::default() }
}

fn lease_third(registered: &Registered) -> Duration {
    Duration::from_millis(registered.lease_ms.into()) / 3
}

async fn send(reports: &mpsc::Sender<AgentMessage>, message: Message) -> anyhow::Result<()> {
    reports.send(AgentMessage { message: Some(message) }).await.context("the stream has ended")
}
