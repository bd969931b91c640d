//! `weir service`: so many containers alike, under one name.

use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde::Serialize;
use tonic::transport::Channel;
use weir_api::v1;
use weir_api::v1::service_status::Phase;
use weir_api::v1::services_client::ServicesClient;

use super::container::create::{self, Placing, Process};
use super::failure::Failure;
use super::output::{self, Health, View, or_dash, verdict};
use super::session::Session;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Create a service
    #[command(after_help = EXAMPLES)]
    Create(Box<Create>),
    /// List the pool's services, or those of all pools
    #[command(visible_alias = "ls")]
    List,
    /// Show one service: its replicas, its version and the one before
    Show(Named),
    /// Say how many replicas there are to be
    Scale(Scale),
    /// Give it another image: its replicas are replaced one at a time, each when a new one is healthy
    Update(Update),
    /// Go back to the version before
    Rollback(Waited),
    /// Delete a service and all its replicas
    #[command(visible_alias = "rm")]
    Delete(Named),
}

const EXAMPLES: &str = "\
Its replicas are called NAME-1, NAME-2, …, and are published under NAME. They are spread over the nodes.

Examples:
  weir --pool=pool2 service create web --network myvlan --image nginx --replicas 3 --health-http 80/
  weir --pool=pool2 service create ticker --network myvlan --image busybox --replicas 2 -- sleep 1d";

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its name: letters a-z, digits, '-' and '.'
    name: String,
    /// The network of its replicas
    #[arg(long)]
    network: String,
    /// What they run; otherwise the pool's default
    #[arg(long, default_value = "", hide_default_value = true)]
    image: String,
    /// How many there are to be
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    replicas: u32,
    /// How long a replica of a new image may take to become healthy; otherwise 60s
    #[arg(long, value_name = "DURATION", value_parser = super::container::amount::seconds)]
    patience: Option<u32>,
    /// Return only once all replicas are ready
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    process: Process,
    #[command(flatten)]
    placing: Placing,
    /// What they run instead of the image's own command, after '--'
    #[arg(last = true)]
    command: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The service's name
    name: String,
}

#[derive(Debug, Args)]
pub(super) struct Waited {
    /// The service's name
    name: String,
    /// Return only once all replicas are so and ready, or it has stopped
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
pub(super) struct Scale {
    #[command(flatten)]
    waited: Waited,
    /// How many there are to be
    replicas: u32,
}

#[derive(Debug, Args)]
pub(super) struct Update {
    /// What its replicas run from now on
    #[arg(long)]
    image: String,
    #[command(flatten)]
    waited: Waited,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    let pool = if matches!(command, Command::List) { session.pool_or_all() } else { session.pool()? };
    match command {
        Command::Create(arguments) => {
            let wait = arguments.wait;
            let service = Some(requested(pool, *arguments)?);
            let request = session.request(v1::CreateServiceRequest { service });
            let mut client = client(session).await?;
            let service = session.patiently("creating", client.create_service(request)).await?;
            shown(session, client, service, wait).await
        }
        Command::List => {
            let request = session.request(v1::ListServicesRequest { pool, ..Default::default() });
            let mut client = client(session).await?;
            let answer = session.patiently("listing", client.list_services(request)).await?;
            let services = answer.services.into_iter().map(Into::into).collect();
            output::show(session.format(), &ServiceList(services))
        }
        Command::Show(Named { name }) => {
            let request = session.request(v1::GetServiceRequest { pool, name });
            let mut client = client(session).await?;
            let service = session.patiently("asking", client.get_service(request)).await?;
            shown(session, client, service, false).await
        }
        Command::Scale(Scale { replicas, waited: Waited { name, wait } }) => {
            let request = session.request(v1::ScaleServiceRequest { pool, name, replicas });
            let mut client = client(session).await?;
            let service = session.patiently("scaling", client.scale_service(request)).await?;
            shown(session, client, service, wait).await
        }
        Command::Update(Update { image, waited: Waited { name, wait } }) => {
            let request = session.request(v1::UpdateServiceRequest { pool, name, image });
            let mut client = client(session).await?;
            let service = session.patiently("updating", client.update_service(request)).await?;
            shown(session, client, service, wait).await
        }
        Command::Rollback(Waited { name, wait }) => {
            let request = session.request(v1::RollbackServiceRequest { pool, name });
            let mut client = client(session).await?;
            let service = session.patiently("going back", client.rollback_service(request)).await?;
            shown(session, client, service, wait).await
        }
        Command::Delete(Named { name }) => {
            let request = v1::DeleteServiceRequest { pool: pool.clone(), name: name.clone() };
            let mut client = client(session).await?;
            session.patiently("deleting", client.delete_service(session.request(request))).await?;
            output::show(session.format(), &output::Deleted { kind: "service", pool: Some(pool), name })
        }
    }
}

async fn client(session: &Session) -> Result<ServicesClient<Channel>, Failure> {
    Ok(weir_api::client::services(session.channel().await?))
}

fn requested(pool: String, arguments: Create) -> Result<v1::Service, Failure> {
    let Create { name, network, image, replicas, patience, process, placing, command, .. } = arguments;
    let described = create::described(process, placing)?;
    Ok(v1::Service {
        pool,
        name,
        network,
        replicas,
        template: Some(v1::Container { image, command, ..described }),
        patience_s: patience.unwrap_or_default(),
        ..v1::Service::default()
    })
}

/// Shows a service as it is, or when all its replicas are ready. One that has stopped by then is a failure.
async fn shown(
    session: &Session,
    mut client: ServicesClient<Channel>,
    service: v1::Service,
    wait: bool,
) -> Result<(), Failure> {
    if !wait {
        return output::show(session.format(), &ServiceView::from(service));
    }
    let (pool, name) = (service.pool.clone(), service.name.clone());
    let steady = async {
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tick.tick().await;
            let request = v1::GetServiceRequest { pool: pool.clone(), name: name.clone() };
            let service = client.get_service(session.request(request)).await?;
            let phase = service.get_ref().status.as_ref().map(v1::ServiceStatus::phase);
            if matches!(phase, Some(Phase::Steady | Phase::Stopped)) {
                return Ok(service);
            }
        }
    };
    let service = session.opened("waiting until all replicas are ready", steady).await?;
    let view = ServiceView::from(service);
    output::show(session.format(), &view)?;
    match view.status.message {
        Some(why) if view.status.phase == STOPPED => {
            let message = format!("the service has stopped: {why}");
            Err(Failure::Refused(Box::new(tonic::Status::failed_precondition(message))))
        }
        _ => Ok(()),
    }
}

/// How often a service that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(250);
const STOPPED: &str = "stopped";

#[derive(Serialize)]
struct ServiceView {
    pool: String,
    name: String,
    network: String,
    replicas: u32,
    image: Option<String>,
    runtime: String,
    command: Vec<String>,
    /// As `--health-cmd` and `--health-http` take it.
    health: Option<String>,
    patience_s: u32,
    version: u32,
    /// What a rollback goes back to.
    previous_version: Option<u32>,
    previous_image: Option<String>,
    revision: u64,
    status: StatusView,
}

#[derive(Serialize)]
struct StatusView {
    phase: &'static str,
    present: u32,
    ready: u32,
    updated: u32,
    message: Option<String>,
    #[serde(skip)]
    health: Health,
}

#[derive(Serialize)]
#[serde(transparent)]
struct ServiceList(Vec<ServiceView>);

impl From<v1::Service> for ServiceView {
    fn from(service: v1::Service) -> ServiceView {
        let template = service.template.unwrap_or_default();
        let health =
            template.health.map(|check| if check.http.is_empty() { check.command } else { check.http });
        ServiceView {
            pool: service.pool,
            name: service.name,
            network: service.network,
            replicas: service.replicas,
            image: output::present(template.image),
            runtime: template.runtime,
            command: template.command,
            health,
            patience_s: service.patience_s,
            version: service.version,
            previous_version: Some(service.previous_version).filter(|version| *version != 0),
            previous_image: output::present(service.previous_image),
            revision: service.revision,
            status: service.status.unwrap_or_default().into(),
        }
    }
}

impl From<v1::ServiceStatus> for StatusView {
    fn from(status: v1::ServiceStatus) -> StatusView {
        let (phase, health) = match status.phase() {
            Phase::Unspecified => ("unknown", Health::Pending),
            Phase::Steady => ("steady", Health::Good),
            Phase::Changing => ("changing", Health::Pending),
            Phase::RollingOut => ("rolling out", Health::Pending),
            Phase::Stopped => (STOPPED, Health::Bad),
        };
        let v1::ServiceStatus { present, ready, updated, message, .. } = status;
        StatusView { phase, present, ready, updated, message: output::present(message), health }
    }
}

impl View for ServiceView {
    fn to_text(&self) -> String {
        let StatusView { phase, present, ready, updated, message, .. } = &self.status;
        let previous = self.previous_version.map(|version| {
            format!("version {version}, {}", or_dash(self.previous_image.as_deref().unwrap_or_default()))
        });
        output::facts([
            ("Service", format!("{}/{}", self.pool, self.name)),
            ("State", (*phase).to_owned()),
            ("Why", message.clone().unwrap_or_default()),
            (
                "Replicas",
                format!("{}: {present} there, {ready} ready, {updated} of this version", self.replicas),
            ),
            ("Network", self.network.clone()),
            ("Image", self.image.clone().unwrap_or_default()),
            ("Command", self.command.join(" ")),
            ("Health", self.health.clone().unwrap_or_default()),
            ("Version", self.version.to_string()),
            ("Before", previous.unwrap_or_default()),
        ])
    }
}

impl View for ServiceList {
    fn to_text(&self) -> String {
        let headers = ["POOL", "NAME", "NETWORK", "IMAGE", "VERSION", "READY", "STATE", "WHY"];
        output::rows(
            &headers,
            self.0.iter().map(|service| {
                let StatusView { phase, ready, message, health, .. } = &service.status;
                vec![
                    Cell::new(&service.pool),
                    Cell::new(&service.name),
                    Cell::new(&service.network),
                    Cell::new(or_dash(service.image.as_deref().unwrap_or_default())),
                    Cell::new(service.version),
                    Cell::new(format!("{ready}/{}", service.replicas)),
                    verdict(*phase, *health),
                    Cell::new(or_dash(message.as_deref().unwrap_or_default())),
                ]
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_how_many_are_ready_and_why_not_more() {
        let status = v1::ServiceStatus {
            phase: Phase::Stopped.into(),
            present: 4,
            ready: 3,
            updated: 1,
            message: "the replica `web-4` is not healthy".to_owned(),
        };
        let template = Some(v1::Container { image: "nginx:2".to_owned(), ..v1::Container::default() });
        let service = v1::Service {
            pool: "p".to_owned(),
            name: "web".to_owned(),
            network: "net".to_owned(),
            replicas: 3,
            template,
            version: 2,
            previous_version: 1,
            previous_image: "nginx:1".to_owned(),
            status: Some(status),
            ..v1::Service::default()
        };
        let list = ServiceList(vec![service.clone().into()]).to_text();
        for part in ["web", "nginx:2", "3/3", "stopped", "web-4"] {
            assert!(list.contains(part), "{part}: {list}");
        }
        let shown = ServiceView::from(service).to_text();
        assert!(shown.contains("version 1, nginx:1") && shown.contains("4 there, 3 ready"), "{shown}");
    }
}
