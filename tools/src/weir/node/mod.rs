//! `weir node`: hosts with Open vSwitch and an agent. Agents register them; here they are looked at, forgotten, and taken out
//! of the scheduler's choice. Emptying one, and how they are shown, have files of their own.

mod check;
mod drain;
mod tally;
mod view;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use weir_api::v1;
use weir_api::v1::node::Scheduling;
use weir_api::v1::nodes_client::NodesClient;

use super::arguments::Format;
use super::failure::Failure;
use super::output;
use super::session::Session;
pub(super) use view::{NodeList, NodeView, table};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the pool's nodes, or those of all pools
    #[command(visible_alias = "ls")]
    List,
    /// Show one node and what is wrong with it
    Show(Named),
    /// Have a node looked at: what is not as it should be, and what to do about it
    Check(Named),
    /// Print the flows that a node's switch should hold, for ofctl diff-flows
    Flows(Named),
    /// Give a node no more containers; it keeps those it has
    Cordon(Named),
    /// Give a node containers again
    Uncordon(Named),
    /// Move a node's containers elsewhere, and wait until only those are left that stay
    Drain(drain::Drain),
    /// Let a node act no longer: its connections are cut, its containers placed elsewhere, the join token that it has is
    /// revoked, and it needs a new one to come back
    Revoke(Named),
    /// Forget a node that holds no containers, and whose agent is gone or has a certificate
    #[command(visible_alias = "rm")]
    Delete(Named),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The node's name
    name: String,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<ExitCode, Failure> {
    let done = match command {
        Command::Check(Named { name }) => return check::run(session, name).await,
        Command::List => {
            let request =
                session.request(v1::ListNodesRequest { pool: session.pool_or_all(), ..Default::default() });
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
        Command::Flows(Named { name }) => flows(session, name).await,
        Command::Cordon(Named { name }) => show_scheduled(session, name, Scheduling::Cordoned).await,
        Command::Uncordon(Named { name }) => show_scheduled(session, name, Scheduling::Active).await,
        Command::Drain(arguments) => drain::run(session, arguments).await,
        Command::Revoke(Named { name }) => {
            let request =
                session.request(v1::RevokeNodeRequest { pool: session.pool()?, name: name.clone() });
            let mut client = client(session).await?;
            let v1::RevokeNodeResponse { token } =
                session.patiently("revoking", client.revoke_node(request)).await?;
            if !token.is_empty() {
                eprintln!("its join token {token} is revoked, too");
            }
            let request = session.request(v1::GetNodeRequest { pool: session.pool()?, name });
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
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn client(session: &Session) -> Result<NodesClient<tonic::transport::Channel>, Failure> {
    Ok(weir_api::client::nodes(session.channel().await?))
}

/// Prints a flow a line as it comes, since there may be many.
async fn flows(session: &Session, name: String) -> Result<(), Failure> {
    let request = session.endless(v1::ListNodeFlowsRequest { pool: session.pool()?, name });
    let mut client = client(session).await?;
    let mut answer = session.opened("asking", client.list_node_flows(request)).await?;
    while let Some(v1::ListNodeFlowsResponse { flows }) = answer.message().await? {
        match session.format() {
            Format::Table => output::raw((flows.join("\n") + "\n").as_bytes())?,
            Format::Json => flows.iter().try_for_each(|flow| output::document(flow, false))?,
        }
    }
    Ok(())
}

/// Says whether a node is given containers, and shows it.
async fn show_scheduled(session: &Session, name: String, scheduling: Scheduling) -> Result<(), Failure> {
    let node = schedule(session, name, scheduling).await?;
    output::show(session.format(), &NodeView::from(node))
}

async fn schedule(session: &Session, name: String, scheduling: Scheduling) -> Result<v1::Node, Failure> {
    let scheduling = scheduling.into();
    let message = v1::SetNodeSchedulingRequest { pool: session.pool()?, name, scheduling };
    let mut client = client(session).await?;
    session.patiently("asking", client.set_node_scheduling(session.request(message))).await
}
