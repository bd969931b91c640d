//! `weir node`: hosts with Open vSwitch and an agent. Agents register them; here they are only looked at and forgotten.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde::Serialize;
use weir_api::v1;
use weir_api::v1::nodes_client::NodesClient;

use super::failure::Failure;
use super::output::{self, Health, View, or_dash, verdict};
use super::session::Session;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the pool's nodes, or those of all pools
    #[command(visible_alias = "ls")]
    List,
    /// Show one node and what is wrong with it
    Show(Named),
    /// Forget a node whose agent is gone and that holds no containers
    #[command(visible_alias = "rm")]
    Delete(Named),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The node's name
    name: String,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::List => {
            let request = session.request(v1::ListNodesRequest { pool: session.pool_or_all() });
            let mut client = client(session).await?;
            let answer = session.patiently("listing", client.list_nodes(request)).await?;
            output::show(session.format(), &NodeList(answer.nodes.into_iter().map(Into::into).collect()))
        }
        Command::Show(Named { name }) => {
            let request = session.request(v1::GetNodeRequest { pool: session.pool()?, name });
            let mut client = client(session).await?;
            let node = session.patiently("asking", client.get_node(request)).await?;
            output::show(session.format(), &NodeView::from(node))
        }
        Command::Delete(Named { name }) => {
            let pool = session.pool()?;
            let request = session.request(v1::DeleteNodeRequest { pool: pool.clone(), name: name.clone() });
            let mut client = client(session).await?;
            session.patiently("deleting", client.delete_node(request)).await?;
            output::show(session.format(), &output::Deleted { kind: "node", pool: Some(pool), name })
        }
    }
}

async fn client(session: &Session) -> Result<NodesClient<tonic::transport::Channel>, Failure> {
    Ok(weir_api::client::nodes(session.channel().await?))
}

#[derive(Serialize)]
pub(super) struct NodeView {
    pub(super) pool: String,
    pub(super) name: String,
    id: u32,
    /// 16 hex digits, as OVS writes it: JSON numbers do not hold 64 bits.
    datapath_id: String,
    nat_mac: String,
    tunnel_address: String,
    labels: BTreeMap<String, String>,
    revision: u64,
    status: NodeStatusView,
}

#[derive(Serialize)]
struct NodeStatusView {
    agent_connected: bool,
    switch_connected: bool,
    in_sync: bool,
    endpoints: u32,
    problems: Vec<String>,
    since: Option<String>,
    #[serde(skip)]
    age: String,
}

#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct NodeList(pub(super) Vec<NodeView>);

impl From<v1::Node> for NodeView {
    fn from(node: v1::Node) -> NodeView {
        let status = node.status.unwrap_or_default();
        NodeView {
            pool: node.pool,
            name: node.name,
            id: node.id,
            datapath_id: format!("{:016x}", node.datapath_id),
            nat_mac: node.nat_mac,
            tunnel_address: node.tunnel_address,
            labels: node.labels.into_iter().collect(),
            revision: node.revision,
            status: NodeStatusView {
                agent_connected: status.agent_connected,
                switch_connected: status.switch_connected,
                in_sync: status.in_sync,
                endpoints: status.endpoints,
                age: output::age(status.since.as_ref()),
                since: output::rfc3339(status.since.as_ref()),
                problems: status.problems,
            },
        }
    }
}

impl NodeView {
    /// How the node is, in a word.
    fn state(&self) -> (&'static str, Health) {
        let status = &self.status;
        match (status.agent_connected, status.switch_connected, status.in_sync) {
            (false, false, _) => ("lost", Health::Bad),
            (false, true, _) => ("agent lost", Health::Bad),
            (true, false, _) => ("switch lost", Health::Bad),
            (true, true, false) => ("syncing", Health::Pending),
            (true, true, true) if !status.problems.is_empty() => ("degraded", Health::Bad),
            (true, true, true) => ("in sync", Health::Good),
        }
    }
}

impl View for NodeView {
    fn to_text(&self) -> String {
        let up = |up: bool| if up { "connected" } else { "not connected" }.to_owned();
        let status = &self.status;
        let since = if status.age.is_empty() { String::new() } else { format!(", for {}", status.age) };
        let mut text = output::facts([
            ("Node", format!("{}/{}", self.pool, self.name)),
            ("State", format!("{}{since}", self.state().0)),
            ("Agent", up(status.agent_connected)),
            ("Switch", up(status.switch_connected)),
            ("Datapath id", self.datapath_id.clone()),
            ("NAT MAC", self.nat_mac.clone()),
            ("Tunnel address", self.tunnel_address.clone()),
            ("Endpoints", status.endpoints.to_string()),
            ("Labels", output::labels(&self.labels)),
        ]);
        for problem in &status.problems {
            text.push_str(&format!("Problem: {problem}\n"));
        }
        text
    }
}

impl View for NodeList {
    fn to_text(&self) -> String {
        output::rows(
            &["POOL", "NAME", "STATE", "FOR", "ENDPOINTS", "NAT MAC", "TUNNEL ADDRESS"],
            self.0.iter().map(|node| {
                let (state, health) = node.state();
                vec![
                    Cell::new(&node.pool),
                    Cell::new(&node.name),
                    verdict(state, health),
                    Cell::new(or_dash(node.status.age.as_str())),
                    Cell::new(node.status.endpoints),
                    Cell::new(or_dash(node.nat_mac.as_str())),
                    Cell::new(or_dash(node.tunnel_address.as_str())),
                ]
            }),
        )
    }
}
