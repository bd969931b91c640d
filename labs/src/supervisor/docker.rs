//! Docker on a node: containerd and dockerd, each a daemon of its own, as systemd has them.
//!
//! What one of them starts lives on when it is killed: containers are the children of containerd's shims. Nothing is
//! shared with the machine's own Docker, if it has one, but the executables.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tokio::net::UnixStream;

use super::image;
use super::site::{Site, make_dir};
use crate::docker::{Docker, SOCKET};
use crate::place::machine_root;
use crate::protocol::DaemonName;
use crate::state::{Daemon, Machine, State};

/// Starts a node's containerd and dockerd, waits until both answer, and imports the image.
pub(super) async fn start(site: &Site, machine: &Machine, image: &[u8]) -> anyhow::Result<()> {
    let state = site.state();
    let folder = state.machine_dir(&machine.name);
    let config = folder.join("containerd.toml");
    write(&config, &containerd_config(&folder))?;
    let command = ["containerd".into(), "--config".into(), config.into_os_string()];
    site.start(machine, Daemon::Containerd, command.into())?;
    let socket = machine_root(machine)?.join(CONTAINERD.trim_start_matches('/'));
    let listens = until(|| UnixStream::connect(&socket));
    site.expect(name(machine, Daemon::Containerd), "its socket does not answer", START, listens).await?;

    make_dir(&folder.join("docker"))?;
    let config = folder.join("dockerd.json");
    write(&config, &dockerd_config(&state, machine))?;
    let command = ["dockerd".into(), "--config-file".into(), config.into_os_string()];
    site.start(machine, Daemon::Dockerd, command.into())?;
    let docker = Docker::of(machine)?;
    let answers = until(|| docker.ping());
    site.expect(name(machine, Daemon::Dockerd), "its API does not answer", START, answers).await?;
    let imported = docker.import(image::NAME, image::TAG, image);
    site.expect(name(machine, Daemon::Dockerd), "it does not take the image", START, imported).await
}

/// Without the plugins a lab does not need; `opt` would make a folder outside of the lab.
fn containerd_config(folder: &Path) -> String {
    let plugins = [
        "grpc.v1.cri",
        "internal.v1.opt",
        "internal.v1.restart",
        "snapshotter.v1.aufs",
        "snapshotter.v1.btrfs",
        "snapshotter.v1.devmapper",
        "snapshotter.v1.zfs",
    ]
    .map(|plugin| format!("\"io.containerd.{plugin}\""));
    format!(
        "version = 2\nroot = \"{}\"\nstate = \"/run/containerd\"\ndisabled_plugins = [{}]\n\
         [grpc]\naddress = \"{CONTAINERD}\"\n",
        folder.join("containerd").display(),
        plugins.join(", ")
    )
}

/// dockerd(8), daemon.json. Docker has no network of its own here: that is what Weir is for.
fn dockerd_config(state: &State, machine: &Machine) -> String {
    let folder = state.machine_dir(&machine.name);
    json!({
        "hosts": [format!("unix://{SOCKET}")],
        "containerd": CONTAINERD,
        "data-root": folder.join("docker"),
        "exec-root": "/run/docker-exec",
        "pidfile": "/run/docker.pid",
        // Otherwise it is made in the machine's own /etc/docker.
        "deprecated-key-path": folder.join("docker-key.json"),
        "bridge": "none",
        "iptables": false,
        "ip-forward": false,
        "live-restore": true,
        "cgroup-parent": state.cgroup(&machine.name),
        // Of systemd's own making there is nothing in a node.
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
    })
    .to_string()
}

fn name(machine: &Machine, daemon: Daemon) -> DaemonName {
    DaemonName { machine: machine.name.clone(), daemon }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Tries again and again until it works.
async fn until<T, E, F: Future<Output = Result<T, E>>>(mut attempt: impl FnMut() -> F) -> anyhow::Result<()> {
    let mut poll = tokio::time::interval(Duration::from_millis(20));
    while attempt().await.is_err() {
        poll.tick().await;
    }
    Ok(())
}

/// containerd's socket, inside a node.
const CONTAINERD: &str = "/run/containerd/containerd.sock";
const START: Duration = Duration::from_secs(30);
