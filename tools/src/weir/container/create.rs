//! `weir container create`: what a container is to be, from the command line to the request.
//!
//! As in docker, what follows IMAGE is the command, whatever it looks like; options stand before it. A network option that
//! was meant for us and fell to the command is noticed by the network that is missing then.

use std::process::ExitCode;

use clap::Args;
use weir_api::v1;

use super::super::failure::Failure;
use super::super::output;
use super::super::published::Published;
use super::super::session::Session;
use super::super::setting;
use super::view::ContainerView;
use super::{amount, client, explained, mount, preview};

#[derive(Debug, Args)]
pub(in super::super) struct Create {
    /// Its name; otherwise one is generated
    pub(in super::super) name: Option<String>,
    /// What it runs, otherwise the pool's default; and instead of the image's own command, another with its options
    #[arg(value_name = "IMAGE [COMMAND]", trailing_var_arg = true)]
    pub(in super::super) runs: Vec<String>,
    /// Return only once it is ready: its port is up and its flows are confirmed
    #[arg(long)]
    wait: bool,
    /// Create nothing; show which node would be chosen, and why
    #[arg(long, conflicts_with = "wait")]
    pub(in super::super) dry_run: bool,
    #[command(flatten)]
    pub(in super::super) attachment: Attachment,
    #[command(flatten)]
    process: Process,
    #[command(flatten)]
    placing: Placing,
}

/// How it is attached to a network.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(in super::super) struct Attachment {
    /// The network, and the name to publish it under: '.NETWORK' is its own name
    #[arg(
        long,
        alias = "publich-service",
        value_name = "SERVICE.NETWORK",
        conflicts_with_all = ["network", "service"]
    )]
    pub(in super::super) publish_service: Option<Published>,
    /// The network, where its name has dots
    #[arg(long)]
    network: Option<String>,
    /// The name to publish it under in --network; otherwise its own
    #[arg(long, requires = "network")]
    service: Option<String>,
    /// A setting: ip=ADDRESS, otherwise one of the network's is chosen
    #[arg(long = "setting", short = 'l', value_name = "SETTING")]
    pub(in super::super) settings: Vec<String>,
}

/// What its process gets, and may use.
#[derive(Debug, Args)]
#[command(next_help_heading = "Process")]
pub(in super::super) struct Process {
    /// What runs it: docker (with an image), or netns, a network namespace
    #[arg(long)]
    runtime: Option<String>,
    /// An environment variable; KEY alone takes its value from here
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// At most so many processors, for example 0.5
    #[arg(long, value_name = "NUMBER", value_parser = amount::cpus)]
    cpus: Option<u32>,
    /// At most so much memory, for example 128m
    #[arg(long, value_name = "BYTES", value_parser = amount::memory)]
    memory: Option<u64>,
    /// At most so many processes and threads
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pids_limit: Option<u32>,
    /// Whether a process that has ended is started again: no, always, on-failure[:N]
    #[arg(long, value_name = "POLICY", value_parser = amount::restart)]
    restart: Option<v1::RestartPolicy>,
    /// How long its process may take to end when asked to; otherwise 10s
    #[arg(long, value_name = "DURATION", value_parser = amount::seconds)]
    stop_timeout: Option<u32>,
    /// A volume, made if there is none, or a /FOLDER of its node, and where it has it; options: ro, size=BYTES
    #[arg(long, short, value_name = "NAME:/PATH[:OPTIONS]", value_parser = mount::read)]
    volume: Vec<v1::Mount>,
    /// A line for its shell that ends with 0 if all is well: it is ready when it is healthy
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// Where it answers HTTP if all is well, for example 8080/healthz; needs wget or curl in the image
    #[arg(long, value_name = "PORT/PATH", conflicts_with = "health_cmd")]
    health_http: Option<String>,
    /// How often its health is checked; otherwise 10s
    #[arg(long, value_name = "DURATION", value_parser = amount::seconds)]
    health_interval: Option<u32>,
    /// After how many failures in a row it is unhealthy; otherwise 3
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    health_retries: Option<u32>,
}

/// Where it may run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Placement")]
pub(in super::super) struct Placing {
    /// The node it must run on, and is never moved from by itself; otherwise one is chosen
    #[arg(long)]
    node: Option<String>,
    /// A label of its own, which affinities of others see
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// What a label of its node must be, or must not; the key 'node' is its name
    #[arg(long, value_name = "KEY==VALUE|KEY!=VALUE", value_parser = rule)]
    constraint: Vec<String>,
    /// What a label of a container beside it must be, or none may be; the key 'container' is a name
    #[arg(long, value_name = "KEY==VALUE|KEY!=VALUE", value_parser = rule)]
    affinity: Vec<String>,
}

pub(super) const EXAMPLES: &str = "\
Options stand before IMAGE; what follows it is the command.

Examples:
  weir --pool=pool2 container create --publish-service=.myvlan -l ip=10.209.164.8
  weir --pool=pool2 container create web --publish-service=www.myvlan --wait
  weir --pool=pool2 container create web --publish-service=.myvlan --cpus 0.5 busybox httpd -f
  weir --pool=pool2 container create db --publish-service=.myvlan --volume data:/var/lib/postgresql/data postgres";

pub(super) async fn run(session: &Session, arguments: Create) -> Result<ExitCode, Failure> {
    let Create { wait, dry_run, .. } = arguments;
    let container = requested(session.pool()?, arguments)?;
    if dry_run {
        return preview::run(session, container).await;
    }
    let name = container.name.clone();
    let request = session.request(v1::CreateContainerRequest { container: Some(container), wait });
    let mut client = client(session).await?;
    let doing = if wait { "waiting until it is ready" } else { "creating" };
    match session.patiently(doing, client.create_container(request)).await {
        Ok(container) => shown(session, container),
        Err(failure) => Err(explained(session, failure, wait, &name).await),
    }
}

/// Shows a container that was to run. One that has ended by then is no success unless its process says so.
pub(super) fn shown(session: &Session, container: v1::Container) -> Result<ExitCode, Failure> {
    let view = ContainerView::from(container);
    output::show(session.format(), &view)?;
    Ok(if view.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn requested(pool: String, arguments: Create) -> Result<v1::Container, Failure> {
    let Create { name, runs, attachment, process, placing, .. } = arguments;
    let settings =
        setting::container(&attachment.settings).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut runs = runs.into_iter();
    let image = runs.next().unwrap_or_default();
    let command: Vec<String> = runs.collect();
    let published = published(attachment, &command)?;
    Ok(v1::Container {
        pool,
        name: name.unwrap_or_default(),
        image,
        command,
        network: published.network,
        service: published.service,
        address: settings.address,
        ..described(process, placing)?
    })
}

/// What a container is to be by these options.
pub(in super::super) fn described(process: Process, placing: Placing) -> Result<v1::Container, Failure> {
    let health = health(&process)?;
    Ok(v1::Container {
        health,
        mounts: process.volume,
        runtime: process.runtime.unwrap_or_default(),
        environment: process.env.into_iter().collect(),
        resources: Some(v1::Resources {
            cpu_millis: process.cpus.unwrap_or_default(),
            memory_bytes: process.memory.unwrap_or_default(),
            pids: process.pids_limit.unwrap_or_default(),
        })
        .filter(|resources| *resources != v1::Resources::default()),
        restart: process.restart,
        stop_timeout_s: process.stop_timeout,
        node: placing.node.unwrap_or_default(),
        labels: placing.label.into_iter().collect(),
        constraints: placing.constraint,
        affinities: placing.affinity,
        ..v1::Container::default()
    })
}

fn health(process: &Process) -> Result<Option<v1::HealthCheck>, Failure> {
    let Process { health_cmd, health_http, health_interval, health_retries, .. } = process;
    if health_cmd.is_none() && health_http.is_none() {
        let orphan = health_interval.or(*health_retries);
        return match orphan {
            None => Ok(None),
            Some(_) => Err(Failure::Usage(
                "how is its health checked? add --health-cmd COMMAND or --health-http PORT/PATH".to_owned(),
            )),
        };
    }
    Ok(Some(v1::HealthCheck {
        command: health_cmd.clone().unwrap_or_default(),
        http: health_http.clone().unwrap_or_default(),
        interval_s: health_interval.unwrap_or_default(),
        retries: health_retries.unwrap_or_default(),
    }))
}

/// The network and the service name, which only options give.
fn published(attachment: Attachment, command: &[String]) -> Result<Published, Failure> {
    if let Some(published) = attachment.publish_service {
        return Ok(published);
    }
    if let Some(network) = attachment.network {
        return Ok(Published { service: attachment.service.unwrap_or_default(), network });
    }
    let ours = ["--publish-service", "--publich-service", "--network"];
    let swallowed = command.iter().find(|word| {
        let option = word.split_once('=').map_or(word.as_str(), |(option, _)| option);
        ours.contains(&option)
    });
    Err(Failure::Usage(match swallowed {
        Some(word) => format!(
            "no network is named: '{word}' stands after IMAGE and so belongs to the container's command; write \
             options before IMAGE"
        ),
        None => {
            "which network? add --publish-service=SERVICE.NETWORK, or --publish-service=.NETWORK".to_owned()
        }
    }))
}

/// Reads an environment variable; without a value, it has the one it has here.
fn variable(text: &str) -> Result<(String, String), String> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, value.to_owned()),
        None if text.is_empty() => ("", String::new()),
        None => match std::env::var(text) {
            Ok(value) => (text, value),
            Err(std::env::VarError::NotPresent) => {
                return Err(format!("{text} is not set here; write {text}=VALUE"));
            }
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(format!("the value that {text} has here is not UTF-8"));
            }
        },
    };
    if key.is_empty() { Err("expected KEY=VALUE, or KEY".to_owned()) } else { Ok((key.to_owned(), value)) }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// Checks that there is an operator, and leaves the rest to the controller.
fn rule(text: &str) -> Result<String, String> {
    match text.split_once("==").or_else(|| text.split_once("!=")) {
        Some((key, _)) if !key.is_empty() => Ok(text.to_owned()),
        _ => Err("expected KEY==VALUE or KEY!=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_variables_labels_and_rules() {
        let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(variable("A=b=c"), pair("A", "b=c"));
        assert_eq!(variable("A="), pair("A", ""));
        assert_eq!(variable("CARGO_PKG_NAME"), pair("CARGO_PKG_NAME", "tools"));
        assert!(variable("NOT_SET_ANYWHERE").unwrap_err().contains("NOT_SET_ANYWHERE=VALUE"));
        assert!(variable("=b").is_err() && variable("").is_err());
        assert_eq!(label("a="), pair("a", ""));
        assert!(label("a").is_err() && label("=b").is_err());
        assert!(rule("zone==a").is_ok() && rule("zone!=a").is_ok());
        assert!(rule("zone=a").is_err() && rule("==a").is_err() && rule("zone").is_err());
    }
}
