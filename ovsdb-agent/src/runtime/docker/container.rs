//! Finding, making, starting, stopping and removing the container of an endpoint.

use std::collections::HashMap;

use bollard::{
    models::{
        ContainerCreateBody, ContainerState, ContainerStateStatusEnum, ContainerSummary,
        ContainerSummaryStateEnum, EndpointSettings, HealthConfig, HealthStatusEnum, HostConfig, Mount,
        MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig, NetworkingConfig, RestartPolicy,
        RestartPolicyNameEnum,
    },
    query_parameters::{
        CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
        RemoveVolumeOptions, RenameContainerOptionsBuilder, StopContainerOptions,
    },
};
use prost_types::Timestamp;
use weir_api::v1::{self, ProcessStatus, process_status::Health};

use super::{
    ANSWER, Docker, DockerError, WORK,
    network::{self, NETWORK},
    reference::Reference,
};
use crate::runtime::{Check, EndpointId, EndpointSpec, Program, Restart};

/// A container as Docker has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Docker's own id.
    pub id: String,
    /// What it is doing.
    pub state: State,
    /// The process that Docker started in it; `None` if there is none.
    pub pid: Option<u32>,
    /// Its last process.
    pub process: ProcessStatus,
    /// Which request for a start was the last one carried out.
    pub starts: u32,
    /// What its last health check has put out, unless that was well.
    pub complaint: String,
}

/// What a container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was never started with success.
    Created,
    /// Its process runs.
    Running,
    /// Its process has ended, and Docker is about to start it again.
    Restarting,
    /// Its process has ended.
    Exited,
    /// Docker is removing it or failed to, or was killed before all of it was made.
    Removing,
}

impl Docker {
    /// The endpoint's container; `None` if there is none.
    ///
    /// # Errors
    /// Docker's.
    pub async fn find(&self, endpoint: EndpointId) -> Result<Option<Found>, DockerError> {
        let Some(summary) = self.list_labelled(&format!("{LABEL}={endpoint}")).await?.into_iter().next()
        else {
            return Ok(None);
        };
        match summary.id {
            Some(id) => self.inspect(endpoint, &id).await,
            None => Ok(None),
        }
    }

    /// The endpoint's container, by Docker's id; `None` if it is gone.
    ///
    /// # Errors
    /// Docker's.
    pub async fn inspect(&self, endpoint: EndpointId, id: &str) -> Result<Option<Found>, DockerError> {
        let id = id.to_owned();
        let inspected = self.ask("inspecting a container", ANSWER, |docker| async move {
            docker.inspect_container(&id, None).await
        });
        match inspected.await {
            Ok(inspected) => {
                let name = inspected.name.unwrap_or_default();
                let restarts = u32::try_from(inspected.restart_count.unwrap_or(0)).unwrap_or(0);
                let state = inspected.state.unwrap_or_default();
                let networks = inspected.network_settings.and_then(|settings| settings.networks);
                let is_whole = is_named(networks.as_ref(), endpoint);
                let found = |id| found(id, &name, restarts, &state);
                Ok(inspected.id.map(found).map(|found| match found.state {
                    State::Created if !is_whole => Found { state: State::Removing, ..found },
                    _ => found,
                }))
            }
            Err(error) if error.is_status(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The endpoints that have a container, in whatever state.
    ///
    /// # Errors
    /// Docker's.
    pub async fn list(&self) -> Result<Vec<EndpointId>, DockerError> {
        let all = self.list_labelled(LABEL).await?;
        Ok(all.iter().filter_map(|summary| summary.labels.as_ref()?.get(LABEL)?.parse().ok()).collect())
    }

    /// Docker's ids of the containers whose process runs.
    ///
    /// # Errors
    /// Docker's.
    pub async fn running(&self) -> Result<HashMap<EndpointId, String>, DockerError> {
        let all = self.list_labelled(LABEL).await?;
        let running = |summary: ContainerSummary| {
            let runs = summary.state == Some(ContainerSummaryStateEnum::RUNNING);
            let endpoint = summary.labels?.get(LABEL)?.parse().ok()?;
            Some((endpoint, summary.id.filter(|_| runs)?))
        };
        Ok(all.into_iter().filter_map(running).collect())
    }

    async fn list_labelled(&self, label: &str) -> Result<Vec<ContainerSummary>, DockerError> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        self.ask(
            "listing containers",
            ANSWER,
            |docker| async move { docker.list_containers(Some(options)).await },
        )
        .await
    }

    /// Makes the container of an endpoint, without starting it.
    ///
    /// # Errors
    /// `NoImage`, or Docker's: a name that is taken, limits beyond the node, no space.
    pub async fn create(&self, spec: &EndpointSpec, program: &Program) -> Result<Found, DockerError> {
        let made = self.create_of(spec, program, &program.image).await;
        let digested = || program.image.parse::<Reference>().ok().filter(|image| image.digest().is_some());
        if matches!(made, Err(DockerError::NoImage { .. }))
            && let Some(image) = digested()
        {
            let (name, tag) = image.kept();
            return self.create_of(spec, program, &format!("{name}:{tag}")).await;
        }
        made
    }

    async fn create_of(
        &self,
        spec: &EndpointSpec,
        program: &Program,
        image: &str,
    ) -> Result<Found, DockerError> {
        match self.try_create(spec, program, image).await {
            Err(error) if network::is_at_fault(&error) => {
                self.ensure_network().await?;
                self.try_create(spec, program, image).await
            }
            result => result,
        }
        .map_err(|error| match error {
            DockerError::Refused { status: 404, message } => {
                DockerError::NoImage { image: program.image.clone(), message }
            }
            error => error,
        })
    }

    async fn try_create(
        &self,
        spec: &EndpointSpec,
        program: &Program,
        image: &str,
    ) -> Result<Found, DockerError> {
        let options = CreateContainerOptionsBuilder::new().name(&name(spec, program.starts)).build();
        let body = ContainerCreateBody { image: Some(image.to_owned()), ..body(spec, program) };
        self.ask("making a container", WORK, |docker| async move {
            docker.create_container(Some(options), body).await
        })
        .await
        .map(|made| Found {
            id: made.id,
            state: State::Created,
            pid: None,
            process: ProcessStatus::default(),
            starts: program.starts,
            complaint: String::new(),
        })
    }

    /// Starts a container, and writes down that the request for it was carried out.
    ///
    /// # Errors
    /// Docker's: no such command, or what the network driver refuses.
    pub async fn start(&self, spec: &EndpointSpec, found: &Found, starts: u32) -> Result<(), DockerError> {
        match self.try_start(&found.id).await {
            Err(error) if network::is_at_fault(&error) => {
                self.ensure_network().await?;
                self.try_start(&found.id).await?;
            }
            started => started?,
        }
        // Only afterwards: if it does not come to this, the container is asked to start once more, which does no harm.
        self.note_start(spec, found, starts).await
    }

    /// Writes down, in a container's name, which request for a start was carried out last.
    ///
    /// # Errors
    /// Docker's.
    pub async fn note_start(
        &self,
        spec: &EndpointSpec,
        found: &Found,
        starts: u32,
    ) -> Result<(), DockerError> {
        if found.starts == starts {
            return Ok(());
        }
        let (id, options) =
            (found.id.clone(), RenameContainerOptionsBuilder::new().name(&name(spec, starts)).build());
        self.ask("renaming a container", ANSWER, |docker| async move {
            docker.rename_container(&id, options).await
        })
        .await
    }

    async fn try_start(&self, id: &str) -> Result<(), DockerError> {
        let id = id.to_owned();
        self.ask(
            "starting a container",
            WORK,
            |docker| async move { docker.start_container(&id, None).await },
        )
        .await
    }

    /// Asks a container's process to end, and kills it when its time is over.
    ///
    /// # Errors
    /// Docker's.
    pub async fn stop(&self, found: &Found, timeout_s: u32) -> Result<(), DockerError> {
        let id = found.id.clone();
        let options =
            StopContainerOptions { t: i32::try_from(timeout_s).ok(), ..StopContainerOptions::default() };
        let patience = WORK + std::time::Duration::from_secs(timeout_s.into());
        let stopped = self.ask("stopping a container", patience, |docker| async move {
            docker.stop_container(&id, Some(options)).await
        });
        gone_is_well(stopped.await)
    }

    /// Removes an endpoint's container; its process is given the time to end that it was made with. That there is none
    /// is no error.
    ///
    /// # Errors
    /// Docker's.
    pub async fn remove(&self, endpoint: EndpointId) -> Result<(), DockerError> {
        for summary in self.list_labelled(&format!("{LABEL}={endpoint}")).await? {
            let Some(id) = summary.id else { continue };
            let timeout_s = summary.labels.as_ref().and_then(|labels| labels.get(TIMEOUT)?.parse().ok());
            let patience = WORK + std::time::Duration::from_secs(timeout_s.unwrap_or(0));
            let stopping = id.clone();
            let stopped = self.ask("stopping a container", patience, |docker| async move {
                docker.stop_container(&stopping, None).await
            });
            gone_is_well(stopped.await)?;
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            let removed = self.ask("removing a container", WORK, |docker| async move {
                docker.remove_container(&id, Some(options)).await
            });
            gone_is_well(removed.await)?;
        }
        Ok(())
    }
}

impl Docker {
    /// Removes a volume with all that is in it. That there is none is no error.
    ///
    /// # Errors
    /// Docker's: a container has it.
    pub async fn remove_volume(&self, name: &str) -> Result<(), DockerError> {
        let name = name.to_owned();
        let removed = self.ask("removing a volume", WORK, |docker| async move {
            docker.remove_volume(&name, None::<RemoveVolumeOptions>).await
        });
        gone_is_well(removed.await)
    }
}

fn gone_is_well(result: Result<(), DockerError>) -> Result<(), DockerError> {
    match result {
        Err(error) if error.is_status(404) => Ok(()),
        result => result,
    }
}

/// What Docker is asked to make of an endpoint.
fn body(spec: &EndpointSpec, program: &Program) -> ContainerCreateBody {
    let endpoint = EndpointSettings {
        driver_opts: Some(HashMap::from([(LABEL.to_owned(), spec.id.to_string())])),
        ..EndpointSettings::default()
    };
    let labels = [
        (LABEL, spec.id.to_string()),
        ("weir.pool", spec.pool.clone()),
        ("weir.container", spec.container.clone()),
        ("weir.network", spec.network.clone()),
        (TIMEOUT, program.stop_timeout_s.to_string()),
    ];
    ContainerCreateBody {
        hostname: Some(spec.container.chars().take(MAX_HOSTNAME).collect()),
        cmd: Some(program.command.clone()).filter(|command| !command.is_empty()),
        env: Some(program.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(labels.map(|(key, value)| (key.to_owned(), value)).into()),
        stop_timeout: Some(program.stop_timeout_s.into()),
        healthcheck: program.health.as_ref().map(health_config),
        host_config: Some(host_config(program)),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(NETWORK.to_owned(), endpoint)])),
        }),
        ..ContainerCreateBody::default()
    }
}

/// Docker's words for a health check. Until it has failed as often as makes it unhealthy, one that begins is being checked.
fn health_config(check: &Check) -> HealthConfig {
    let interval = Some(i64::from(check.interval_s) * NANOS_A_SECOND);
    HealthConfig {
        test: Some(vec!["CMD-SHELL".to_owned(), check.line.clone()]),
        interval,
        timeout: interval,
        retries: Some(check.retries.into()),
        ..HealthConfig::default()
    }
}

/// How a container's process does, and what the last check has put out if that is not well.
fn health(state: &ContainerState) -> (Health, String) {
    let Some(health) = &state.health else { return (Health::Unspecified, String::new()) };
    let verdict = match health.status {
        Some(HealthStatusEnum::STARTING) => Health::Checking,
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        _ => Health::Unspecified,
    };
    let last = health.log.as_ref().and_then(|log| log.last()?.output.as_deref()).unwrap_or_default();
    let complaint = if verdict == Health::Unhealthy {
        last.trim().chars().take(MAX_COMPLAINT).collect()
    } else {
        String::new()
    };
    (verdict, complaint)
}

/// Docker's words for a mount. It makes a volume that is not there; a folder must be.
fn mount(mount: &v1::Mount) -> Mount {
    let of_volume = |size: u64| MountVolumeOptions {
        labels: Some(HashMap::from([(VOLUME.to_owned(), mount.volume.clone())])),
        driver_config: (size > 0).then(|| MountVolumeOptionsDriverConfig {
            name: Some("local".to_owned()),
            options: Some(HashMap::from([("size".to_owned(), size.to_string())])),
        }),
        ..MountVolumeOptions::default()
    };
    let (source, typ, volume_options) = match mount.host_path.as_str() {
        "" => (&mount.volume, MountType::VOLUME, Some(of_volume(mount.size_bytes))),
        _ => (&mount.host_path, MountType::BIND, None),
    };
    Mount {
        target: Some(mount.path.clone()),
        source: Some(source.clone()),
        typ: Some(typ),
        read_only: Some(mount.read_only),
        volume_options,
        ..Mount::default()
    }
}

fn host_config(program: &Program) -> HostConfig {
    let limit = |amount: u64| i64::try_from(amount).ok().filter(|amount| *amount > 0);
    let (name, retries) = match program.restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::OnFailure(retries) => (RestartPolicyNameEnum::ON_FAILURE, Some(retries.into())),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
    };
    HostConfig {
        network_mode: Some(NETWORK.to_owned()),
        nano_cpus: limit(u64::from(program.cpu_millis) * NANOS_A_MILLI),
        memory: limit(program.memory_bytes),
        // No swap beyond it: a limit is a limit.
        memory_swap: limit(program.memory_bytes),
        pids_limit: limit(program.pids.into()),
        mounts: Some(program.mounts.iter().map(mount).collect()),
        restart_policy: Some(RestartPolicy { name: Some(name), maximum_retry_count: retries }),
        // Else a program that does not expect to be the first process would ignore every polite request to end.
        init: Some(true),
        ..HostConfig::default()
    }
}

/// Whether the network driver will be told which endpoint it is: Docker writes that down last.
fn is_named(networks: Option<&HashMap<String, EndpointSettings>>, endpoint: EndpointId) -> bool {
    let options = networks.and_then(|networks| networks.get(NETWORK)?.driver_opts.as_ref());
    options.and_then(|options| options.get(LABEL)) == Some(&endpoint.to_string())
}

/// The name, by which people know it in Docker's lists; the request for a start that was carried out last is its end.
fn name(spec: &EndpointSpec, starts: u32) -> String {
    let base = format!("{}.{}.{}", spec.container, spec.pool, spec.id);
    if starts == 0 { base } else { format!("{base}-{starts}") }
}

fn starts_of(name: &str) -> u32 {
    let end = name.rsplit('.').next().unwrap_or_default();
    end.split_once('-').and_then(|(_, starts)| starts.parse().ok()).unwrap_or(0)
}

fn found(id: String, name: &str, restarts: u32, state: &ContainerState) -> Found {
    use ContainerStateStatusEnum as Status;
    let time =
        |text: &Option<String>| text.as_ref()?.parse::<Timestamp>().ok().filter(|time| time.seconds > 0);
    let started = time(&state.started_at);
    let status = match state.status {
        Some(Status::RUNNING | Status::PAUSED | Status::STOPPING) => State::Running,
        Some(Status::RESTARTING) => State::Restarting,
        Some(Status::REMOVING | Status::DEAD) => State::Removing,
        Some(Status::CREATED) => State::Created,
        _ if started.is_none() => State::Created,
        _ => State::Exited,
    };
    let running = status == State::Running;
    let (health, complaint) = if running { health(state) } else { (Health::Unspecified, String::new()) };
    Found {
        id,
        state: status,
        pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| running && *pid != 0),
        process: ProcessStatus {
            running,
            started,
            finished: time(&state.finished_at).filter(|_| !running),
            exit_code: state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(0),
            oom_killed: state.oom_killed.unwrap_or(false),
            restarts,
            health: health.into(),
        },
        starts: starts_of(name),
        complaint,
    }
}

/// The label, and the option of Docker's network endpoint, that bears the endpoint's number.
pub(crate) const LABEL: &str = "weir.endpoint";

/// The label of a volume: its own name, by which it is known to be Weir's.
const VOLUME: &str = "weir.volume";

/// The label that says how many seconds the process is given to end.
const TIMEOUT: &str = "weir.stop-timeout";

/// A host name's length, as the kernel has it (HOST_NAME_MAX of limits.h).
const MAX_HOSTNAME: usize = 63;

/// Docker counts a processor in billionths.
const NANOS_A_MILLI: u64 = 1_000_000;

/// Docker counts time in billionths of a second.
const NANOS_A_SECOND: i64 = 1_000_000_000;

/// Characters of what a health check has put out that are told.
const MAX_COMPLAINT: usize = 200;

#[cfg(test)]
mod tests {
    use bollard::models::HealthcheckResult;

    use super::*;

    fn state(status: ContainerStateStatusEnum, started: &str, finished: &str) -> ContainerState {
        ContainerState {
            status: Some(status),
            pid: Some(7),
            exit_code: Some(137),
            started_at: Some(started.to_owned()),
            finished_at: Some(finished.to_owned()),
            ..ContainerState::default()
        }
    }

    #[test]
    fn reads_a_running_and_an_ended_container() {
        use ContainerStateStatusEnum as Status;
        let never = "0001-01-01T00:00:00Z";
        let running =
            found("x".into(), "/web.p.5", 2, &state(Status::RUNNING, "2026-11-26T11:06:22.4Z", never));
        assert_eq!((running.state, running.pid, running.starts), (State::Running, Some(7), 0));
        assert_eq!((running.process.restarts, running.process.finished), (2, None));
        let ended = state(Status::EXITED, "2026-11-26T11:06:22.4Z", "2026-11-26T11:07:00Z");
        let ended = found("x".into(), "/web.p.5-3", 0, &ended);
        assert_eq!((ended.state, ended.pid, ended.starts), (State::Exited, None, 3));
        assert_eq!(ended.process.exit_code, 137);
        assert!(ended.process.finished.is_some());
        let refused = found("x".into(), "/web.p.5", 0, &state(Status::CREATED, never, never));
        assert_eq!(refused.state, State::Created);
    }

    #[test]
    fn a_health_check_is_asked_for_and_what_it_says_is_read() {
        use ContainerStateStatusEnum as Status;
        let check = health_config(&Check { line: "true".into(), interval_s: 2, retries: 3 });
        assert_eq!(check.test, Some(vec!["CMD-SHELL".to_owned(), "true".to_owned()]));
        assert_eq!(
            (check.interval, check.timeout, check.retries),
            (Some(2_000_000_000), check.interval, Some(3))
        );
        let said = |status| {
            let last =
                HealthcheckResult { output: Some(" refused\n".to_owned()), ..HealthcheckResult::default() };
            let health = bollard::models::Health {
                status: Some(status),
                log: Some(vec![HealthcheckResult::default(), last]),
                ..bollard::models::Health::default()
            };
            let running = state(Status::RUNNING, "2026-11-26T11:06:22.4Z", "0001-01-01T00:00:00Z");
            let found = found("x".into(), "/web.p.5", 0, &ContainerState { health: Some(health), ..running });
            (found.process.health(), found.complaint)
        };
        assert_eq!(said(HealthStatusEnum::STARTING), (Health::Checking, String::new()));
        assert_eq!(said(HealthStatusEnum::HEALTHY), (Health::Healthy, String::new()));
        assert_eq!(said(HealthStatusEnum::UNHEALTHY), (Health::Unhealthy, "refused".to_owned()));
        assert_eq!(said(HealthStatusEnum::NONE), (Health::Unspecified, String::new()));
    }

    #[test]
    fn a_volume_has_the_size_asked_for_and_a_folder_is_bound() {
        let data = v1::Mount {
            volume: "data.p.1".into(),
            path: "/data".into(),
            size_bytes: 5,
            ..v1::Mount::default()
        };
        let made = mount(&data);
        assert_eq!((made.typ, made.source.as_deref()), (Some(MountType::VOLUME), Some("data.p.1")));
        let driver = made.volume_options.unwrap().driver_config.unwrap();
        assert_eq!(driver.options, Some(HashMap::from([("size".to_owned(), "5".to_owned())])));
        assert_eq!(mount(&v1::Mount { size_bytes: 0, ..data }).volume_options.unwrap().driver_config, None);
        let folder = v1::Mount {
            host_path: "/srv".into(),
            path: "/in".into(),
            read_only: true,
            ..v1::Mount::default()
        };
        let bound = mount(&folder);
        assert_eq!((bound.typ, bound.source.as_deref()), (Some(MountType::BIND), Some("/srv")));
        assert_eq!((bound.read_only, bound.target.as_deref()), (Some(true), Some("/in")));
    }

    #[test]
    fn what_docker_made_only_half_names_no_endpoint() {
        let settings = |options| EndpointSettings { driver_opts: options, ..EndpointSettings::default() };
        let networks = |options| HashMap::from([(NETWORK.to_owned(), settings(options))]);
        let named = HashMap::from([(LABEL.to_owned(), "5".to_owned())]);
        assert!(is_named(Some(&networks(Some(named.clone()))), 5));
        assert!(!is_named(Some(&networks(Some(named))), 6));
        assert!(!is_named(Some(&networks(None)), 5));
        assert!(!is_named(Some(&HashMap::new()), 5));
        assert!(!is_named(None, 5));
    }

    #[test]
    fn a_start_is_written_into_the_name() {
        assert_eq!(starts_of("/a.b.17"), 0);
        assert_eq!(starts_of("/a.b.17-4"), 4);
        assert_eq!(starts_of("/c-1.p-2.17"), 0);
        assert_eq!(starts_of("/someone"), 0);
    }
}
