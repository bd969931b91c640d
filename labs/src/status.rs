//! What `weir-lab status` prints.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::endpoint::{self, Container};
use crate::protocol::{DaemonStatus, LabStatus, Phase};
use crate::state::{Kind, Machine, State};
use crate::supervisor::{API_PORT, OPENFLOW_PORT};

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// A lab, flattened for reading.
#[derive(Serialize)]
struct Report {
    name: String,
    dir: PathBuf,
    supervisor_pid: i32,
    control_socket: PathBuf,
    controller: Option<ControllerReport>,
    machines: Vec<MachineReport>,
    containers: Vec<Container>,
}

#[derive(Serialize)]
struct ControllerReport {
    server: String,
    server_on_underlay: String,
    openflow: String,
}

#[derive(Serialize)]
struct MachineReport {
    name: String,
    kind: Kind,
    namespace: String,
    /// A process in the node's mount namespace.
    mount_namespace_pid: Option<i32>,
    interface: Option<String>,
    switch_port: Option<String>,
    vlan: Option<u16>,
    address: Option<String>,
    mac: Option<String>,
    ovs_rundir: Option<PathBuf>,
    ovsdb: Option<String>,
    daemons: Vec<DaemonReport>,
}

#[derive(Serialize)]
struct DaemonReport {
    name: &'static str,
    pid: Option<i32>,
    phase: &'static str,
    restarts: u32,
    last_exit: Option<String>,
    log: PathBuf,
}

/// Renders a lab's status.
pub(crate) fn render(status: &LabStatus, output: Output) -> anyhow::Result<String> {
    let report = report(status);
    match output {
        Output::Json => serde_json::to_string_pretty(&report).context("cannot print JSON"),
        Output::Table => Ok(tables(&report)),
    }
}

fn report(status: &LabStatus) -> Report {
    let state = &status.state;
    Report {
        name: state.name.clone(),
        dir: state.dir.clone(),
        supervisor_pid: state.supervisor.pid,
        control_socket: state.control_socket(),
        controller: state.controller_address().map(|address| ControllerReport {
            server: format!("unix:{}", state.api_socket().display()),
            server_on_underlay: format!("http://{address}:{API_PORT}"),
            openflow: format!("tcp:{address}:{OPENFLOW_PORT}"),
        }),
        machines: state.machines.iter().map(|m| machine(state, m, &status.daemons)).collect(),
        // A lab whose controller and databases are stopped has containers nobody can list.
        containers: endpoint::list(state).unwrap_or_default(),
    }
}

fn machine(state: &State, machine: &Machine, daemons: &[DaemonStatus]) -> MachineReport {
    let ovs = matches!(machine.kind, Kind::Switch | Kind::Node).then(|| state.ovs_rundir(&machine.name));
    let nic = machine.nic.as_ref();
    MachineReport {
        name: machine.name.clone(),
        kind: machine.kind,
        namespace: machine.namespace.clone(),
        mount_namespace_pid: machine.holder.map(|h| h.pid),
        interface: nic.map(|n| n.interface.clone()),
        switch_port: nic.map(|n| n.port.clone()),
        vlan: nic.and_then(|n| n.vlan).map(|v| v.id()),
        address: nic.map(|n| n.address.to_string()),
        mac: nic.map(|n| n.mac.to_string()),
        ovsdb: ovs.as_ref().map(|dir| format!("unix:{}", dir.join("db.sock").display())),
        ovs_rundir: ovs,
        daemons: daemons.iter().filter(|d| d.machine == machine.name).map(daemon).collect(),
    }
}

fn daemon(status: &DaemonStatus) -> DaemonReport {
    let (phase, pid) = match status.phase {
        Phase::Running(pid) => ("running", Some(pid)),
        Phase::Restarting => ("restarting", None),
        Phase::Stopped => ("stopped", None),
    };
    DaemonReport {
        name: status.daemon.program(),
        pid,
        phase,
        restarts: status.restarts,
        last_exit: status.last_exit.clone(),
        log: status.log.clone(),
    }
}

fn tables(report: &Report) -> String {
    let mut text =
        format!("lab {} in {}, supervisor {}\n", report.name, report.dir.display(), report.supervisor_pid);
    if let Some(controller) = &report.controller {
        text += &format!(
            "controller {} (on the underlay {}, OpenFlow {})\n",
            controller.server, controller.server_on_underlay, controller.openflow
        );
    }
    let mut machines = table(&["machine", "kind", "namespace", "address", "vlan", "mac", "daemons"]);
    for m in &report.machines {
        let daemons: Vec<String> = m.daemons.iter().map(shown).collect();
        machines.add_row([
            m.name.clone(),
            m.kind.to_string(),
            m.namespace.clone(),
            m.address.clone().unwrap_or_default(),
            m.vlan.map(|v| v.to_string()).unwrap_or_default(),
            m.mac.clone().unwrap_or_default(),
            daemons.join("\n"),
        ]);
    }
    text += &machines.to_string();
    if !report.containers.is_empty() {
        let mut containers =
            table(&["container", "node", "namespace", "network", "address", "mac", "ofport"]);
        for c in &report.containers {
            containers.add_row([
                format!("{}/{}", c.pool, c.name),
                c.node.clone(),
                format!("weir-{}", c.endpoint_id),
                c.network.clone(),
                c.address.clone().unwrap_or_default(),
                c.mac.clone(),
                c.ofport.to_string(),
            ]);
        }
        text += &format!("\n{containers}");
    }
    text
}

fn shown(daemon: &DaemonReport) -> String {
    let state = daemon.pid.map_or_else(|| daemon.phase.to_owned(), |pid| format!("pid {pid}"));
    let restarts =
        if daemon.restarts == 0 { String::new() } else { format!(", {} restarts", daemon.restarts) };
    format!("{} ({state}{restarts})", daemon.name)
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.iter().copied());
    table
}
