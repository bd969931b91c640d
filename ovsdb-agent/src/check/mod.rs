//! `weir-agent check`: what of this host is not as a node should be, and what to do about it.
//!
//! Each file looks at one side and changes nothing. What only the controller knows (the other nodes, the networks of the
//! pool) is in [`Asked`]; a host that is no node yet is looked at without.

mod appctl;
mod host;
mod openvswitch;
mod path;
mod vlans;

use std::{net::Ipv4Addr, path::PathBuf, sync::Arc, time::Duration};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use weir_api::v1::{CheckRequest, Finding, finding::Level};

use crate::{
    bridge::MONITORED,
    config::{self, Config},
    link::{LinkError, Links},
    ovsdb::{self, Client, Replica},
    runtime::docker::Docker,
};

/// Look at this host: what is not as a node should be, and what to do about it.
///
/// Nothing is changed. The exit code is 1 if something fails. What concerns the pool's networks and its other nodes is shown
/// by `weir node check`.
#[derive(Clone, Debug, Args)]
pub struct Check {
    /// The NIC that leads to the fabric, or is to.
    #[arg(long, env = "WEIR_UPLINK", value_name = "NIC", value_parser = config::interface)]
    pub uplink: Option<String>,
    /// The OVSDB server of this node: unix:PATH or tcp:HOST:PORT.
    #[arg(long, env = "WEIR_OVSDB", value_name = "ADDRESS", default_value = config::OVSDB)]
    pub ovsdb: ovsdb::Address,
    /// Where ovs-vswitchd has its control socket.
    #[arg(long, env = "WEIR_OVS_RUNDIR", value_name = "DIR", default_value = config::OVS_RUNDIR)]
    pub ovs_rundir: PathBuf,
    /// Where the agent keeps what must survive a restart.
    #[arg(long, env = "WEIR_STATE_DIR", value_name = "DIR", default_value = config::STATE_DIR)]
    pub state_dir: PathBuf,
    /// The unix socket of this node's Docker, if it has one.
    #[arg(long, env = "WEIR_DOCKER", value_name = "PATH", default_value = config::DOCKER)]
    pub docker: PathBuf,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines for people.
    Table,
    /// A document for programs.
    Json,
}

/// What the controller wants looked at besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The tunnel addresses of other nodes.
    pub peers: Vec<Ipv4Addr>,
    /// Bytes of the largest IP packet that nodes must be able to send each other; 0: none.
    pub packet: u32,
    /// The VLANs of the pool's networks.
    pub vlans: Vec<u32>,
}

/// Looks at a host.
#[derive(Clone, Debug)]
pub struct Checker {
    settings: Arc<Check>,
    client: Client,
    docker: Docker,
}

impl From<CheckRequest> for Asked {
    fn from(request: CheckRequest) -> Self {
        Self {
            peers: request.peers.iter().filter_map(|peer| peer.parse().ok()).collect(),
            packet: request.packet_bytes,
            vlans: request.vlans,
        }
    }
}

impl Checker {
    /// By what an agent is started with, and over its connections.
    #[must_use]
    pub fn of_agent(config: &Config, client: Client, docker: Docker) -> Self {
        let settings = Arc::new(Check {
            uplink: Some(config.uplink.clone()),
            ovsdb: config.ovsdb.clone(),
            ovs_rundir: config.ovs_rundir.clone(),
            state_dir: config.state_dir.clone(),
            docker: config.docker.clone(),
            output: Format::Json,
        });
        Self { settings, client, docker }
    }

    /// By arguments; to be called within a tokio runtime.
    #[must_use]
    pub fn new(settings: Check) -> Self {
        let wanted = ovsdb::Settings::new("Open_vSwitch", MONITORED);
        let client = Client::start(ovsdb::Config::new(settings.ovsdb.clone(), wanted));
        let docker = Docker::new(&settings.docker);
        Self { settings: Arc::new(settings), client, docker }
    }

    /// Looks at everything.
    ///
    /// # Errors
    /// The system refuses a socket.
    pub async fn look(&self, asked: &Asked) -> Result<Vec<Finding>, LinkError> {
        let links = Links::open().map_err(LinkError::namespace("open", "/proc/self/ns/net"))?;
        let replica = self.replica().await;
        let mut findings = vec![openvswitch::version(replica.as_deref(), &self.settings).await];
        if let Some(replica) = &replica {
            findings.push(openvswitch::datapath(replica).await);
        }
        if let Some(nic) = &self.settings.uplink {
            findings.push(host::uplink(&links, replica.as_deref(), nic).await);
        }
        findings.push(host::neighbours());
        findings.push(host::docker(&self.docker).await);
        findings.push(host::certificate(&self.settings.state_dir));
        findings.extend(path::between(asked).await);
        if let (Some(replica), Some(nic), false) = (&replica, &self.settings.uplink, asked.vlans.is_empty()) {
            findings.push(vlans::seen(&self.settings.ovs_rundir, replica, nic, &asked.vlans).await);
        }
        Ok(findings)
    }

    async fn replica(&self) -> Option<Arc<Replica>> {
        tokio::time::timeout(PATIENCE, self.client.live()).await.ok()?.ok()
    }
}

/// Whether nothing fails.
#[must_use]
pub fn is_well(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.level() != Level::Fail)
}

/// The findings as they are printed.
#[must_use]
pub fn shown(findings: &[Finding], format: Format) -> String {
    match format {
        Format::Json => {
            let all: Vec<Value> = findings.iter().map(document).collect();
            serde_json::to_string_pretty(&all).expect("findings are JSON")
        }
        Format::Table => {
            let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
            let lines = findings.iter().map(|finding| line(finding, width));
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

fn document(finding: &Finding) -> Value {
    let Finding { check, found, advice, .. } = finding;
    json!({ "check": check, "level": word(finding), "found": found, "advice": advice })
}

fn line(finding: &Finding, width: usize) -> String {
    let mut line = format!("{:<4}  {:<width$}  {}", word(finding), finding.check, finding.found);
    if !finding.advice.is_empty() {
        line.push_str(&format!("\n{:>1$}{2}", "", width + 8, finding.advice));
    }
    line
}

fn word(finding: &Finding) -> &'static str {
    match finding.level() {
        Level::Ok => "ok",
        Level::Warn => "warn",
        Level::Fail | Level::Unspecified => "fail",
    }
}

fn ok(check: &str, found: impl Into<String>) -> Finding {
    Finding { check: check.to_owned(), level: Level::Ok.into(), found: found.into(), advice: String::new() }
}

fn warn(check: &str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { level: Level::Warn.into(), advice: advice.into(), ..ok(check, found) }
}

fn fail(check: &str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding { level: Level::Fail.into(), advice: advice.into(), ..ok(check, found) }
}

/// How long Open vSwitch's database is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_stands_under_what_was_found() {
        let findings = [ok("docker", "24.0"), fail("uplink", "eth0 is down", "ip link set eth0 up")];
        let text = shown(&findings, Format::Table);
        assert_eq!(text, "ok    docker  24.0\nfail  uplink  eth0 is down\n              ip link set eth0 up");
        assert!(is_well(&findings[..1]) && !is_well(&findings));
        let document: Value = serde_json::from_str(&shown(&findings, Format::Json)).unwrap();
        assert_eq!(document[1]["level"], "fail");
        assert_eq!(document[1]["advice"], "ip link set eth0 up");
    }
}
