//! A node's own Docker: its daemons may die, its containers do not, and whatever happens nothing of them is left behind.
//!
//! Needs root, Open vSwitch and Docker; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use labs::process::ProcessId;
use labs::topology::Name;
use labs::{Daemon, Lab, Topology, wait_until};

/// A lab of one node with Docker, under a name of its own.
struct Site {
    name: String,
    topology: Topology,
    folder: tempfile::TempDir,
}

impl Site {
    /// Nothing, if a lab with Docker cannot be built here.
    fn new(letter: char) -> Option<Site> {
        if let Err(e) = Lab::docker_possible() {
            eprintln!("not run: {e:#}");
            return None;
        }
        let name = format!("dock-{letter}{}", std::process::id());
        let mut topology = Topology::parse(TOPOLOGY).unwrap();
        topology.name = Some(Name::new(&name).unwrap());
        Some(Site { name, topology, folder: tempfile::tempdir().unwrap() })
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("lab")
    }

    /// What bears the lab's name: processes, among them those in containers, mounts, control groups, namespaces.
    fn traces(&self) -> Vec<String> {
        let mut traces = Vec::new();
        let pids = fs::read_dir("/proc").unwrap().flatten();
        for pid in pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
            let has = |file| {
                let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                String::from_utf8_lossy(&text).contains(&self.name)
            };
            let found = ["cmdline", "cgroup", "mountinfo"].iter().any(has);
            // One that has ended is none, whenever it is reaped.
            if found && ProcessId::of(pid).is_some() {
                traces.push(format!("process {pid}"));
            }
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        traces.extend(mounts.lines().filter(|line| line.contains(&self.name)).map(str::to_owned));
        let found = |folders: &[&str]| {
            let pattern = format!("*{}*", self.name);
            let output = Command::new("find").args(folders).args(["-name", &pattern]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
        };
        traces.extend(found(&["/sys/fs/cgroup", "/run/netns"]));
        traces
    }

    fn assert_nothing_left(&self, containers: &[ProcessId]) {
        assert_eq!(self.traces(), [] as [String; 0]);
        assert!(!self.dir().exists(), "{} is still there", self.dir().display());
        assert!(!containers.iter().any(|process| process.is_alive()), "a container lives on");
    }
}

/// `docker WORDS…` on the node.
fn docker(lab: &Lab, words: &[&str]) -> anyhow::Result<String> {
    let client = ["docker", "--host", "unix:///run/docker.sock"];
    lab.exec("box", [&client[..], words].concat()).map(|said| said.trim().to_owned())
}

/// Starts a container that sleeps, and gives back its process.
fn run(lab: &Lab, name: &str) -> ProcessId {
    docker(lab, &["run", "-d", "--network", "none", "--name", name, "busybox", "sleep", "600"]).unwrap();
    let pid = docker(lab, &["inspect", "--format", "{{.State.Pid}}", name]).unwrap();
    ProcessId::of(pid.parse().unwrap()).unwrap()
}

/// Waits until the node's Docker answers, and calls the container running.
fn wait_until_runs(lab: &Lab, name: &str) {
    let running = || {
        let said = docker(lab, &["inspect", "--format", "{{.State.Status}}", name]);
        Ok(said.is_ok_and(|status| status == "running").then_some(()))
    };
    lab.wait_until(Duration::from_secs(10), &format!("Docker to have {name} running"), running).unwrap();
}

#[test]
fn a_container_outlives_dockerd_and_containerd_but_not_the_lab() {
    let Some(site) = Site::new('a') else { return };
    let lab = Lab::up(&site.topology, &site.dir()).unwrap();
    let page = docker(&lab, &["run", "--rm", "--network", "none", "busybox", "cat", "/www/index.html"]);
    assert!(page.unwrap().contains("Weir"));
    let container = run(&lab, "web");
    for daemon in [Daemon::Dockerd, Daemon::Containerd] {
        lab.kill("box", daemon).unwrap();
        wait_until_runs(&lab, "web");
        assert!(container.is_alive(), "{daemon} took the container with it");
        // Both are there again, and all three know one another.
        let again = || Ok(docker(&lab, &["exec", "web", "hostname"]).ok());
        lab.wait_until(Duration::from_secs(10), "a command in the container", again).unwrap();
    }
    let restarts = |daemon| {
        let status = lab.status().unwrap();
        status.daemons.into_iter().find(|status| status.daemon == daemon).map(|status| status.restarts)
    };
    assert_eq!(restarts(Daemon::Containerd), Some(1), "it does not die with dockerd");
    lab.stop("box", Daemon::Dockerd).unwrap();
    assert!(docker(&lab, &["ps"]).is_err() && container.is_alive());
    lab.start("box", Daemon::Dockerd).unwrap();
    wait_until_runs(&lab, "web");
    assert!(!site.traces().is_empty(), "traces of a lab are found while it is up");
    lab.down().unwrap();
    site.assert_nothing_left(&[container]);
}

#[test]
fn nothing_is_left_of_a_lab_whose_supervisor_was_killed_not_even_what_is_paused() {
    let Some(site) = Site::new('b') else { return };
    let lab = Lab::up(&site.topology, &site.dir()).unwrap();
    let containers = ["web", "frozen"].map(|name| run(&lab, name));
    docker(&lab, &["pause", "frozen"]).unwrap();
    let supervisor = lab.state().supervisor;
    lab.detach().unwrap();
    assert!(Command::new("kill").args(["-9", &supervisor.pid.to_string()]).status().unwrap().success());
    let dead = || Ok((!supervisor.is_alive()).then_some(()));
    wait_until(Duration::from_secs(5), "the supervisor to die", dead).unwrap();
    assert!(containers.iter().all(|process| process.is_alive()));
    let down = Command::new(WEIR_LAB).args(["--lab", &site.name, "down"]).output().unwrap();
    assert!(down.status.success(), "{}", String::from_utf8_lossy(&down.stderr));
    site.assert_nothing_left(&containers);
}

#[test]
fn two_nodes_have_nothing_in_common_but_the_image() {
    let Some(mut site) = Site::new('c') else { return };
    let more = TOPOLOGY.replace("box", "other").replace(".1/24", ".2/24");
    site.topology.nodes.extend(Topology::parse(&more).unwrap().nodes);
    let lab = Lab::up(&site.topology, &site.dir()).unwrap();
    run(&lab, "web");
    let other = |words: &[&str]| {
        let client = ["docker", "--host", "unix:///run/docker.sock"];
        lab.exec("other", [&client[..], words].concat()).unwrap()
    };
    assert_eq!(other(&["ps", "--all", "--quiet"]), "");
    assert_eq!(other(&["images", "--format", "{{.Repository}}:{{.Tag}}"]), "busybox:latest\n");
    assert!(Path::new(&format!("{}/other/docker", lab.state().dir.display())).is_dir());
    lab.down().unwrap();
    site.assert_nothing_left(&[]);
}

const WEIR_LAB: &str = env!("CARGO_BIN_EXE_weir-lab");
const TOPOLOGY: &str = r#"
[[node]]
name = "box"
pool = "p"
address = "172.31.0.1/24"
docker = true
"#;
