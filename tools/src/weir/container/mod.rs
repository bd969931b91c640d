//! `weir container`: create, look at, start and stop, move and delete.
//!
//! What is longer has a file of its own: `create` and its values (`amount`, `mount`), `preview` of a placement, `view`, and what
//! streams: `watch`, `logs`, `stats`, `exec` with its `terminal`.

pub(super) mod amount;
pub(super) mod create;
mod exec;
mod logs;
mod mount;
mod preview;
mod stats;
pub(super) mod terminal;
mod view;
mod watch;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use weir_api::v1;
use weir_api::v1::containers_client::ContainersClient;

use super::failure::Failure;
use super::output;
use super::session::Session;
use view::{ContainerList, ContainerView};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a container and attach it to a network
    #[command(after_help = create::EXAMPLES)]
    Create(Box<create::Create>),
    /// List the pool's containers, or those of all pools
    #[command(visible_alias = "ls")]
    List(List),
    /// Show one container
    Show(Named),
    /// Start a container that was stopped or has ended
    Start(Waited),
    /// Stop a container's process; it keeps its address
    Stop(Waited),
    /// Delete a container
    #[command(visible_alias = "rm")]
    Delete(Waited),
    /// Move a container to another node; it keeps its name, address and MAC
    Move(Move),
    /// Show what a container's process has put out
    Logs(logs::Logs),
    /// Show what containers use, until interrupted
    Stats(stats::Stats),
    /// Run a command in a container
    Exec(exec::Exec),
    /// Show containers as they change, until interrupted
    Watch,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those of this network
    #[arg(long, default_value = "", hide_default_value = true)]
    network: String,
    /// Only those on this node
    #[arg(long, default_value = "", hide_default_value = true)]
    node: String,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The container's name
    name: String,
}

#[derive(Debug, Args)]
pub(super) struct Waited {
    /// The container's name
    name: String,
    /// Return only once it is so, and not when it is decided
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
pub(super) struct Move {
    /// The container's name
    name: String,
    /// The node it moves to
    node: String,
    /// Return only once it is ready there
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Create(arguments) => return create::run(session, *arguments).await,
        Command::Start(arguments) => return start(session, arguments).await,
        Command::Exec(arguments) => return exec::run(session, arguments).await,
        Command::List(List { network, node }) => {
            let pool = session.pool_or_all();
            let request =
                session.request(v1::ListContainersRequest { pool, network, node, ..Default::default() });
            let mut client = client(session).await?;
            let answer = session.patiently("listing", client.list_containers(request)).await?;
            let containers = answer.containers.into_iter().map(Into::into).collect();
            output::show(session.format(), &ContainerList(containers))?;
        }
        Command::Show(Named { name }) => {
            let request = session.request(v1::GetContainerRequest { pool: session.pool()?, name });
            let mut client = client(session).await?;
            let container = session.patiently("asking", client.get_container(request)).await?;
            output::show(session.format(), &ContainerView::from(container))?;
        }
        Command::Stop(arguments) => stop(session, arguments).await?,
        Command::Delete(arguments) => delete(session, arguments).await?,
        Command::Move(arguments) => migrate(session, arguments).await?,
        Command::Logs(arguments) => logs::run(session, arguments).await?,
        Command::Stats(arguments) => stats::run(session, arguments).await?,
        Command::Watch => watch::run(session).await?,
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn client(
    session: &Session,
) -> Result<ContainersClient<tonic::transport::Channel>, Failure> {
    Ok(weir_api::client::containers(session.channel().await?))
}

async fn start(session: &Session, arguments: Waited) -> Result<ExitCode, Failure> {
    let Waited { name, wait } = arguments;
    let message = v1::StartContainerRequest { pool: session.pool()?, name: name.clone(), wait };
    let mut client = client(session).await?;
    let doing = if wait { "waiting until it is ready" } else { "starting" };
    match session.patiently(doing, client.start_container(session.request(message))).await {
        // What is returned without a wait is how it was: it says nothing of this start.
        Ok(container) if wait => create::shown(session, container),
        Ok(container) => {
            output::show(session.format(), &ContainerView::from(container))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => Err(explained(session, failure, wait, &name).await),
    }
}

async fn stop(session: &Session, arguments: Waited) -> Result<(), Failure> {
    let Waited { name, wait } = arguments;
    let message = v1::StopContainerRequest { pool: session.pool()?, name: name.clone(), wait };
    let mut client = client(session).await?;
    let doing = if wait { "waiting until it has ended" } else { "stopping" };
    match session.patiently(doing, client.stop_container(session.request(message))).await {
        Ok(container) => output::show(session.format(), &ContainerView::from(container)),
        Err(failure) => Err(explained(session, failure, wait, &name).await),
    }
}

async fn delete(session: &Session, arguments: Waited) -> Result<(), Failure> {
    let Waited { name, wait } = arguments;
    let pool = session.pool()?;
    let message = v1::DeleteContainerRequest { pool: pool.clone(), name: name.clone(), wait };
    let mut client = client(session).await?;
    let doing = if wait { "waiting until it is gone" } else { "deleting" };
    match session.patiently(doing, client.delete_container(session.request(message))).await {
        Ok(_) => {
            output::show(session.format(), &output::Deleted { kind: "container", pool: Some(pool), name })
        }
        Err(failure) => Err(explained(session, failure, wait, &name).await),
    }
}

async fn migrate(session: &Session, arguments: Move) -> Result<(), Failure> {
    let Move { name, node, wait } = arguments;
    let message = v1::MoveContainerRequest { pool: session.pool()?, name: name.clone(), node, wait };
    let mut client = client(session).await?;
    let doing = if wait { "waiting until it is ready there" } else { "moving" };
    match session.patiently(doing, client.move_container(session.request(message))).await {
        Ok(container) => output::show(session.format(), &ContainerView::from(container)),
        Err(failure) => Err(explained(session, failure, wait, &name).await),
    }
}

/// Adds to a wait that took too long what the container is waiting for.
async fn explained(session: &Session, failure: Failure, wait: bool, name: &str) -> Failure {
    if !wait || name.is_empty() || !matches!(failure, Failure::Late(_)) {
        return failure;
    }
    let (Ok(pool), Ok(mut client)) = (session.pool(), client(session).await) else {
        return failure;
    };
    let request = session.request(v1::GetContainerRequest { pool: pool.clone(), name: name.to_owned() });
    match client.get_container(request).await {
        Ok(answer) => {
            let status = ContainerView::from(answer.into_inner()).status;
            let reason = status.reason.unwrap_or_default();
            let message = status.message.unwrap_or_default();
            let why = [reason, message].into_iter().filter(|part| !part.is_empty());
            let why: Vec<String> = why.collect();
            let because = if why.is_empty() { String::new() } else { format!(": {}", why.join(": ")) };
            Failure::Late(format!("container {pool}/{name} is still {}{because}", status.phase))
        }
        Err(_) => failure,
    }
}
