//! Starting a lab: making its folder, starting its supervisor, listening until it is up.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, bail};

use crate::cleanup::{self, KEEP_LOGS};
use crate::log::tail;
use crate::process::find_executable;
use crate::protocol::{Order, Progress};
use crate::registry;
use crate::state::State;
use crate::topology::{Name, Topology};

/// A supervisor whose lab is up.
pub(crate) struct Started {
    pub(crate) supervisor: Child,
    /// While it is open the lab stays.
    pub(crate) tie: ChildStdin,
    pub(crate) state: State,
}

/// Builds a lab in `dir`, telling how far it is.
pub(crate) fn start(
    topology: &Topology,
    dir: &Path,
    tell: &mut dyn FnMut(&Progress),
) -> anyhow::Result<Started> {
    possible()?;
    if topology.nodes.iter().any(|node| node.docker) {
        docker_possible()?;
    }
    let name = name(topology, dir)?;
    remove_leftover(&name)?;
    let (dir, dir_created) = make_dir(dir)?;
    let started = start_in(Order { name, dir: dir.clone(), dir_created, topology: topology.clone() }, tell);
    if started.is_err() && dir_created && dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    started
}

/// Checks that a lab can be built on this machine at all.
pub(crate) fn possible() -> anyhow::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("a lab needs root: it makes network namespaces");
    }
    installed(&PROGRAMS, "a lab", "openvswitch-switch, iproute2, ethtool, iputils-ping")
}

/// Checks that nodes of a lab can have Docker on this machine.
pub(crate) fn docker_possible() -> anyhow::Result<()> {
    installed(&DOCKER_PROGRAMS, "Docker in a lab", "docker.io, busybox-static")
}

fn installed(programs: &[&str], what: &str, packages: &str) -> anyhow::Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing: Vec<&str> = programs.iter().copied().filter(|program| !there(program)).collect();
    if !missing.is_empty() {
        bail!("{what} needs {}: install {packages}", missing.join(", "));
    }
    Ok(())
}

fn start_in(order: Order, tell: &mut dyn FnMut(&Progress)) -> anyhow::Result<Started> {
    let log = order.dir.join("supervisor.log");
    let mut command = Command::new(find_executable("weir-lab")?);
    // The supervisor leaves this folder.
    if let Some(folder) = std::env::var_os(KEEP_LOGS) {
        command.env(KEEP_LOGS, std::path::absolute(folder).context("a bad folder for logs")?);
    }
    let mut supervisor = command
        .arg("supervise")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).with_context(|| format!("cannot write {}", log.display()))?)
        .spawn()
        .context("cannot start the supervisor")?;
    let mut tie = supervisor.stdin.take().context("no pipe to the supervisor")?;
    let mut line = serde_json::to_vec(&order)?;
    line.push(b'\n');
    tie.write_all(&line).context("cannot tell the supervisor what to build")?;
    let out = supervisor.stdout.take().context("no pipe from the supervisor")?;
    for line in BufReader::new(out).lines() {
        let line = line.context("cannot hear the supervisor")?;
        let progress =
            serde_json::from_str(&line).with_context(|| format!("the supervisor says `{line}`"))?;
        tell(&progress);
        match progress {
            Progress::Ready => return Ok(Started { supervisor, tie, state: State::load(&order.dir)? }),
            Progress::Failed(why) => {
                supervisor.wait().context("cannot wait for the supervisor")?;
                bail!("{why}");
            }
            Progress::Steps(_) | Progress::Done(_) => {}
        }
    }
    let exit = supervisor.wait().context("cannot wait for the supervisor")?;
    let log = tail(&log, 15);
    remove_leftover(&order.name)?;
    bail!("the supervisor ended ({exit}); the end of its log:\n{log}")
}

/// A lab's name: its topology's, else its folder's.
fn name(topology: &Topology, dir: &Path) -> anyhow::Result<String> {
    if let Some(name) = &topology.name {
        return Ok(name.to_string());
    }
    let folder = dir.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let name = Name::new(folder).map_err(anyhow::Error::msg);
    Ok(name.context("the lab has no name: add `name = \"…\"` to the topology")?.to_string())
}

/// Removes a lab of that name whose supervisor was killed.
fn remove_leftover(name: &str) -> anyhow::Result<()> {
    let labs = registry::labs()?;
    match labs.iter().find(|l| l.name == name) {
        Some(lab) if !lab.supervisor.is_alive() => remove_dead(lab),
        _ => Ok(()),
    }
}

/// Removes a lab that has no supervisor any more, with the help of its state file.
pub(crate) fn remove_dead(lab: &registry::Entry) -> anyhow::Result<()> {
    match State::load(&lab.dir) {
        Ok(state) if state.name == lab.name => cleanup::remove(&state),
        // Killed before it had made anything, or removed by hand.
        _ => registry::leave(&lab.name),
    }
}

fn make_dir(dir: &Path) -> anyhow::Result<(PathBuf, bool)> {
    let created = !dir.exists();
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let dir = dir.canonicalize().with_context(|| format!("cannot find {}", dir.display()))?;
    let text = dir.to_str().with_context(|| format!("{} is not UTF-8", dir.display()))?;
    if dir.starts_with("/run") {
        bail!("{text} will not do: nodes have a /run of their own");
    }
    if text.len() > MAX_DIR {
        bail!("{text} is too long for sockets in it: at most {MAX_DIR} bytes");
    }
    if text.contains(|c: char| c.is_whitespace() || c == ',') {
        bail!("{text} will not do: Open vSwitch splits lists at blanks and commas");
    }
    if fs::read_dir(&dir).with_context(|| format!("cannot read {text}"))?.next().is_some() {
        bail!("{text} is not empty: choose another --dir");
    }
    Ok((dir, created))
}

/// Debian's openvswitch-switch, iproute2, ethtool, iputils-ping, procps, util-linux, mount.
const PROGRAMS: [&str; 12] = [
    "ovsdb-tool",
    "ovsdb-server",
    "ovs-vswitchd",
    "ovs-vsctl",
    "ip",
    "ethtool",
    "ping",
    "sysctl",
    "nsenter",
    "unshare",
    "setpriv",
    "mount",
];
/// Debian's docker.io with what it needs, busybox-static, tar.
const DOCKER_PROGRAMS: [&str; 6] =
    ["dockerd", "docker", "containerd", "containerd-shim-runc-v2", "busybox", "tar"];
/// Sockets' paths have at most 107 bytes, unix(7); this leaves room for `/node-of-12ch/ovs/ovs-vswitchd.1234567.ctl`.
const MAX_DIR: usize = 60;
