//! How containers are shown: one, a list, a line in a stream of changes.

use std::collections::BTreeMap;

use comfy_table::Cell;
use serde::Serialize;
use weir_api::v1;
use weir_api::v1::container_status::Phase;

use super::super::output::{self, Health, ResourcesView, View, or_dash, verdict};
use super::{amount, mount};

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
    command: Vec<String>,
    environment: BTreeMap<String, String>,
    resources: ResourcesView,
    /// As `--restart` takes it.
    restart: String,
    stop_timeout_s: Option<u32>,
    constraints: Vec<String>,
    affinities: Vec<String>,
    pinned: bool,
    stopped: bool,
    /// As `--volume` takes them.
    mounts: Vec<String>,
    /// The service that it is a replica of.
    replica_of: Option<String>,
    pub(super) status: ContainerStatusView,
}

#[derive(Serialize)]
pub(super) struct ContainerStatusView {
    pub(super) phase: &'static str,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    since: Option<String>,
    process: Option<ProcessView>,
    #[serde(skip)]
    age: String,
    #[serde(skip)]
    health: Health,
}

#[derive(Serialize)]
struct ProcessView {
    running: bool,
    started: Option<String>,
    finished: Option<String>,
    /// What its health check says; null if nothing checks it.
    health: Option<&'static str>,
    /// Of the last one that ended; null if none has.
    exit_code: Option<i32>,
    oom_killed: bool,
    restarts: u32,
}

#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct ContainerList(pub(super) Vec<ContainerView>);

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
            command: container.command,
            environment: container.environment.into_iter().collect(),
            resources: container.resources.unwrap_or_default().into(),
            restart: amount::restart_text(&container.restart.unwrap_or_default()),
            stop_timeout_s: container.stop_timeout_s,
            constraints: container.constraints,
            affinities: container.affinities,
            pinned: container.pinned,
            stopped: container.stopped,
            mounts: container.mounts.iter().map(mount::text).collect(),
            replica_of: output::present(container.replica_of),
            status: container.status.unwrap_or_default().into(),
        }
    }
}

impl From<v1::ContainerStatus> for ContainerStatusView {
    fn from(status: v1::ContainerStatus) -> ContainerStatusView {
        let process = status.process.map(ProcessView::from);
        let failed = process.as_ref().and_then(|process| process.exit_code).is_some_and(|code| code != 0);
        let (phase, health) = match status.phase() {
            Phase::Unspecified => ("unknown", Health::Pending),
            Phase::Starting => ("starting", Health::Pending),
            Phase::Ready => ("ready", Health::Good),
            Phase::Degraded => ("degraded", Health::Bad),
            Phase::Deleting => ("deleting", Health::Pending),
            // A process that was stopped has a code that says so, which is no failure.
            Phase::Ended if failed && status.reason != STOPPED => ("ended", Health::Bad),
            Phase::Ended => ("ended", Health::Pending),
        };
        ContainerStatusView {
            phase,
            health,
            process,
            age: output::age(status.since.as_ref()),
            since: output::rfc3339(status.since.as_ref()),
            reason: output::present(status.reason),
            message: output::present(status.message),
        }
    }
}

impl From<v1::ProcessStatus> for ProcessView {
    fn from(process: v1::ProcessStatus) -> ProcessView {
        let has_ended = process.finished.is_some() || process.restarts > 0;
        ProcessView {
            running: process.running,
            health: match process.health() {
                v1::process_status::Health::Unspecified => None,
                v1::process_status::Health::Checking => Some("checking"),
                v1::process_status::Health::Healthy => Some("healthy"),
                v1::process_status::Health::Unhealthy => Some("unhealthy"),
            },
            started: output::rfc3339(process.started.as_ref()),
            finished: output::rfc3339(process.finished.as_ref()),
            exit_code: has_ended.then_some(process.exit_code),
            oom_killed: process.oom_killed,
            restarts: process.restarts,
        }
    }
}

impl ContainerView {
    /// Its process has ended, and not well.
    pub(super) fn has_failed(&self) -> bool {
        self.status.phase == "ended" && self.status.health == Health::Bad
    }

    /// One line for a stream of changes, without colours and of unlimited width.
    pub(super) fn to_line(&self) -> String {
        let reason = self.status.cause();
        let reason = if reason.is_empty() { reason } else { format!(" ({reason})") };
        format!(
            "{}/{}  {}  {}  {}  {}{reason}",
            self.pool,
            self.name,
            or_dash(self.network.as_str()),
            or_dash(self.address.as_str()),
            or_dash(self.node.as_str()),
            self.status.phase
        )
    }

    /// Where it runs, and whether that may change.
    fn place(&self) -> String {
        let pinned = if self.pinned { ", pinned" } else { "" };
        if self.node.is_empty() { String::new() } else { format!("{}{pinned}", self.node) }
    }
}

impl ContainerStatusView {
    /// The reason in few words: the code an ended process had, or how often one was started again.
    fn cause(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or_default();
        let detail = match &self.process {
            Some(process) if self.phase == "ended" => process
                .exit_code
                .map(|code| format!("{code}{}", if process.oom_killed { ", oom" } else { "" })),
            Some(process) if process.restarts > 0 && self.phase != "ready" => {
                Some(format!("{}x", process.restarts))
            }
            _ => None,
        };
        match detail {
            Some(detail) => format!("{reason} {detail}").trim().to_owned(),
            None => reason.to_owned(),
        }
    }
}

impl ProcessView {
    fn facts(&self) -> [(&'static str, String); 5] {
        let oom = if self.oom_killed { ", killed for more memory than its limit" } else { "" };
        let code = self.exit_code.map(|code| format!("{code}{oom}"));
        let restarts = if self.restarts == 0 { String::new() } else { self.restarts.to_string() };
        [
            ("Process", if self.running { "running" } else { "not running" }.to_owned()),
            ("Started", self.started.clone().unwrap_or_default()),
            ("Finished", self.finished.clone().unwrap_or_default()),
            (if self.running { "Last exit code" } else { "Exit code" }, code.unwrap_or_default()),
            ("Restarts", restarts),
        ]
    }
}

impl View for ContainerView {
    fn to_text(&self) -> String {
        let status = &self.status;
        let since = if status.age.is_empty() { String::new() } else { format!(", for {}", status.age) };
        let port = if self.ofport == 0 { String::new() } else { self.ofport.to_string() };
        // Without a process there is nothing to start again.
        let of_process = |text: String| if self.image.is_some() { text } else { String::new() };
        let stop_timeout = self.stop_timeout_s.map(|seconds| format!("{seconds}s")).unwrap_or_default();
        let mut facts = vec![
            ("Container", format!("{}/{}", self.pool, self.name)),
            ("State", format!("{}{since}", status.phase)),
            ("Reason", status.reason.clone().unwrap_or_default()),
            ("Message", status.message.clone().unwrap_or_default()),
        ];
        facts.extend(status.process.iter().flat_map(ProcessView::facts));
        facts.extend([
            ("Network", self.network.clone()),
            ("Service", self.service.clone()),
            ("Address", self.address.clone()),
            ("MAC", self.mac.clone()),
            ("Node", self.place()),
            ("Port", port),
            ("Image", self.image.clone().unwrap_or_default()),
            ("Command", output::words(&self.command)),
            ("Environment", output::labels(&self.environment)),
            ("Volumes", self.mounts.join(", ")),
            ("Runtime", self.runtime.clone()),
            ("Limits", self.resources.to_text()),
            ("Restart", of_process(self.restart.clone())),
            ("Stop timeout", of_process(stop_timeout)),
            ("Labels", output::labels(&self.labels)),
            ("Constraints", self.constraints.join(", ")),
            ("Affinities", self.affinities.join(", ")),
        ]);
        output::facts(facts)
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
                    Cell::new(or_dash(container.status.cause())),
                ]
            }),
        )
    }
}

/// The reason of a container that was stopped on request.
const STOPPED: &str = "Stopped";

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(reason: &str, exit_code: i32, oom_killed: bool) -> ContainerView {
        let finished = Some(std::time::SystemTime::now().into());
        let process = v1::ProcessStatus { finished, exit_code, oom_killed, ..v1::ProcessStatus::default() };
        let status = v1::ContainerStatus {
            phase: Phase::Ended.into(),
            reason: reason.to_owned(),
            since: Some((std::time::SystemTime::now() - std::time::Duration::from_secs(86_000)).into()),
            process: Some(process),
            ..v1::ContainerStatus::default()
        };
        v1::Container {
            pool: "production".to_owned(),
            name: "frontend-7f9c4".to_owned(),
            network: "myvxlan".to_owned(),
            address: "192.168.164.128".to_owned(),
            node: "node-12".to_owned(),
            status: Some(status),
            ..v1::Container::default()
        }
        .into()
    }

    #[test]
    fn an_ended_process_has_failed_unless_its_code_is_0_or_it_was_stopped() {
        assert!(ended("Exited", 3, false).has_failed());
        assert!(!ended("Exited", 0, false).has_failed());
        assert!(!ended("Stopped", 143, false).has_failed());
        assert_eq!(ended("Exited", 137, true).status.cause(), "Exited 137, oom");
    }

    #[test]
    fn a_list_of_usual_names_fits_100_columns() {
        let text = ContainerList(vec![ended("Exited", 137, true)]).to_text();
        assert!(text.contains("Exited 137, oom"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    #[test]
    fn a_process_that_never_ended_has_no_exit_code() {
        let running = v1::ProcessStatus { running: true, ..v1::ProcessStatus::default() };
        assert_eq!(ProcessView::from(running).exit_code, None);
        let again = v1::ProcessStatus { running: true, restarts: 1, exit_code: 3, ..running };
        assert_eq!(ProcessView::from(again).exit_code, Some(3));
    }
}
