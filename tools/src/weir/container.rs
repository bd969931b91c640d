//! `weir container`: create, look at, move and delete. `exec` and `watch` have files of their own.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde::Serialize;
use weir_api::v1;
use weir_api::v1::container_status::Phase;
use weir_api::v1::containers_client::ContainersClient;

use super::failure::Failure;
use super::output::{self, Health, View, or_dash, verdict};
use super::published::Published;
use super::session::Session;
use super::{exec, setting, watch};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a container and attach it to a network
    #[command(after_help = EXAMPLES)]
    Create(Create),
    /// List the pool's containers, or those of all pools
    #[command(visible_alias = "ls")]
    List(List),
    /// Show one container
    Show(Named),
    /// Delete a container
    #[command(visible_alias = "rm")]
    Delete(Delete),
    /// Move a container to another node; it keeps its name, address and MAC
    Move(Move),
    /// Run a command in a container
    Exec(exec::Exec),
    /// Show containers as they change, until interrupted
    Watch,
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its name; otherwise one is generated
    pub(super) name: Option<String>,
    /// What it runs; otherwise the pool's default
    pub(super) image: Option<String>,
    /// The network, and the name to publish it under: '.NETWORK' is its own name
    #[arg(
        long,
        alias = "publich-service",
        value_name = "SERVICE.NETWORK",
        conflicts_with_all = ["network", "service"],
        required_unless_present = "network"
    )]
    pub(super) publish_service: Option<Published>,
    /// The network, where its name has dots
    #[arg(long)]
    network: Option<String>,
    /// The name to publish it under in --network; otherwise its own
    #[arg(long, requires = "network")]
    service: Option<String>,
    /// A setting: ip=ADDRESS, otherwise one of the network's is chosen
    #[arg(long = "setting", short = 'l', value_name = "SETTING")]
    pub(super) settings: Vec<String>,
    /// The node it must run on; otherwise one is chosen
    #[arg(long)]
    node: Option<String>,
    /// Return only once it is ready: its port is up and its flows are confirmed
    #[arg(long)]
    wait: bool,
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
pub(super) struct Delete {
    /// The container's name
    name: String,
    /// Return only once its port, flows and address are gone
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

const EXAMPLES: &str = "\
Examples:
  weir --pool=pool2 container create --publish-service=.myvlan -l ip=10.209.164.8
  weir --pool=pool2 container create web --publish-service=www.myvlan --wait";

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Create(arguments) => create(session, arguments).await,
        Command::List(List { network, node }) => {
            let pool = session.pool_or_all();
            let request = session.request(v1::ListContainersRequest { pool, network, node });
            let mut client = client(session).await?;
            let answer = session.patiently("listing", client.list_containers(request)).await?;
            let containers = answer.containers.into_iter().map(Into::into).collect();
            output::show(session.format(), &ContainerList(containers))
        }
        Command::Show(Named { name }) => {
            let request = session.request(v1::GetContainerRequest { pool: session.pool()?, name });
            let mut client = client(session).await?;
            let container = session.patiently("asking", client.get_container(request)).await?;
            output::show(session.format(), &ContainerView::from(container))
        }
        Command::Delete(arguments) => delete(session, arguments).await,
        Command::Move(arguments) => migrate(session, arguments).await,
        Command::Watch => watch::run(session).await,
        // Ends with an exit code of its own, so it is dispatched before.
        Command::Exec(_) => Ok(()),
    }
}

pub(super) async fn client(
    session: &Session,
) -> Result<ContainersClient<tonic::transport::Channel>, Failure> {
    Ok(weir_api::client::containers(session.channel().await?))
}

async fn create(session: &Session, arguments: Create) -> Result<(), Failure> {
    let wait = arguments.wait;
    let container = requested(session.pool()?, arguments)?;
    let name = container.name.clone();
    let request = session.request(v1::CreateContainerRequest { container: Some(container), wait });
    let mut client = client(session).await?;
    let doing = if wait { "waiting until it is ready" } else { "creating" };
    match session.patiently(doing, client.create_container(request)).await {
        Ok(container) => output::show(session.format(), &ContainerView::from(container)),
        Err(failure) => Err(explained(session, failure, wait, &name).await),
    }
}

async fn delete(session: &Session, arguments: Delete) -> Result<(), Failure> {
    let Delete { name, wait } = arguments;
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

fn requested(pool: String, arguments: Create) -> Result<v1::Container, Failure> {
    let settings = setting::container(&arguments.settings).map_err(|e| Failure::Usage(e.to_string()))?;
    let published = match (arguments.publish_service, arguments.network) {
        (Some(published), _) => published,
        (None, network) => {
            Published { service: arguments.service.unwrap_or_default(), network: network.unwrap_or_default() }
        }
    };
    Ok(v1::Container {
        pool,
        name: arguments.name.unwrap_or_default(),
        image: arguments.image.unwrap_or_default(),
        network: published.network,
        service: published.service,
        address: settings.address,
        node: arguments.node.unwrap_or_default(),
        ..v1::Container::default()
    })
}

#[derive(Serialize)]
pub(super) struct ContainerView {
    pool: String,
    name: String,
    image: Option<String>,
    runtime: String,
    network: String,
    service: String,
    address: String,
    node: String,
    labels: BTreeMap<String, String>,
    mac: String,
    ofport: u32,
    endpoint_id: u32,
    revision: u64,
    status: ContainerStatusView,
}

#[derive(Serialize)]
struct ContainerStatusView {
    phase: &'static str,
    reason: Option<String>,
    message: Option<String>,
    since: Option<String>,
    #[serde(skip)]
    age: String,
    #[serde(skip)]
    health: Health,
}

#[derive(Serialize)]
#[serde(transparent)]
struct ContainerList(Vec<ContainerView>);

impl From<v1::Container> for ContainerView {
    fn from(container: v1::Container) -> ContainerView {
        ContainerView {
            pool: container.pool,
            name: container.name,
            image: output::present(container.image),
            runtime: container.runtime,
            network: container.network,
            service: container.service,
            address: container.address,
            node: container.node,
            labels: container.labels.into_iter().collect(),
            mac: container.mac,
            ofport: container.ofport,
            endpoint_id: container.endpoint_id,
            revision: container.revision,
            status: container.status.unwrap_or_default().into(),
        }
    }
}

impl From<v1::ContainerStatus> for ContainerStatusView {
    fn from(status: v1::ContainerStatus) -> ContainerStatusView {
        let (phase, health) = match status.phase() {
            Phase::Unspecified => ("unknown", Health::Pending),
            Phase::Starting => ("starting", Health::Pending),
            Phase::Ready => ("ready", Health::Good),
            Phase::Degraded => ("degraded", Health::Bad),
            Phase::Deleting => ("deleting", Health::Pending),
            Phase::Ended => ("ended", Health::Pending),
        };
        ContainerStatusView {
            phase,
            health,
            age: output::age(status.since.as_ref()),
            since: output::rfc3339(status.since.as_ref()),
            reason: output::present(status.reason),
            message: output::present(status.message),
        }
    }
}

impl ContainerView {
    /// One line for a stream of changes, without colours and of unlimited width.
    pub(super) fn to_line(&self) -> String {
        let status = &self.status;
        let reason = status.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!(
            "{}/{}  {}  {}  {}  {}{reason}",
            self.pool,
            self.name,
            or_dash(self.network.as_str()),
            or_dash(self.address.as_str()),
            or_dash(self.node.as_str()),
            status.phase
        )
    }
}

impl View for ContainerView {
    fn to_text(&self) -> String {
        let status = &self.status;
        let since = if status.age.is_empty() { String::new() } else { format!(", for {}", status.age) };
        let port = if self.ofport == 0 { String::new() } else { self.ofport.to_string() };
        output::facts([
            ("Container", format!("{}/{}", self.pool, self.name)),
            ("State", format!("{}{since}", status.phase)),
            ("Reason", status.reason.clone().unwrap_or_default()),
            ("Message", status.message.clone().unwrap_or_default()),
            ("Network", self.network.clone()),
            ("Service", self.service.clone()),
            ("Address", self.address.clone()),
            ("MAC", self.mac.clone()),
            ("Node", self.node.clone()),
            ("Port", port),
            ("Image", self.image.clone().unwrap_or_default()),
            ("Runtime", self.runtime.clone()),
            ("Labels", output::labels(&self.labels)),
        ])
    }
}

impl View for ContainerList {
    fn to_text(&self) -> String {
        output::rows(
            &["POOL", "NAME", "NETWORK", "ADDRESS", "NODE", "STATE", "FOR", "REASON"],
            self.0.iter().map(|container| {
                vec![
                    Cell::new(&container.pool),
                    Cell::new(&container.name),
                    Cell::new(&container.network),
                    Cell::new(or_dash(container.address.as_str())),
                    Cell::new(or_dash(container.node.as_str())),
                    verdict(container.status.phase, container.status.health),
                    Cell::new(or_dash(container.status.age.as_str())),
                    Cell::new(or_dash(container.status.reason.as_deref().unwrap_or_default())),
                ]
            }),
        )
    }
}
