//! The platform in miniature of docs/examples, in Python, on Docker: it does what it says, and a controller that dies
//! meanwhile only costs it time.
//!
//! Needs root, Open vSwitch, Docker and Debian's python3-grpcio; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/docker.rs"]
mod docker;
mod support;
#[path = "support/traffic.rs"]
mod traffic;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use docker::assert_one_each;
use labs::Daemon;
use support::{POOL, System, vlan};
use traffic::settled;

#[test]
fn six_containers_are_made_and_taken_away_again() {
    let Some(system) = system("paa") else { return };
    let mut platform = start(&system);
    let out = BufReader::new(platform.stdout.take().unwrap());
    let said = finish(&mut platform, out, String::new());
    assert!(said.contains("all 6 are ready") && said.contains("all 6 are gone"), "{said}");
    assert_nothing_left(&system);
}

#[test]
fn a_controller_that_is_killed_meanwhile_only_costs_time() {
    let Some(system) = system("pak") else { return };
    let mut platform = start(&system);
    let mut out = BufReader::new(platform.stdout.take().unwrap());
    let mut said = String::new();
    // The first word is that a container is there: the others are being created.
    assert!(out.read_line(&mut said).unwrap() > 0, "it ends without a word");
    system.lab.kill("controller", Daemon::WeirController).unwrap();
    while !said.contains("all 6 are ready") {
        assert!(out.read_line(&mut said).unwrap() > 0, "it ends before all are ready:\n{said}");
    }
    system.lab.kill("controller", Daemon::WeirController).unwrap();
    let said = finish(&mut platform, out, said);
    assert!(said.contains("all 6 are gone"), "{said}");
    assert_nothing_left(&system);
}

/// A lab with Docker and a network; nothing, if it or the platform cannot be run here.
fn system(name: &str) -> Option<System> {
    let mut python = Command::new(PYTHON);
    python.args(["-c", "import grpc, google.protobuf"]).stderr(Stdio::null());
    if !python.status().is_ok_and(|status| status.success()) {
        eprintln!("not run: {PYTHON} has no grpc: install python3-grpcio");
        return None;
    }
    let system = System::up_docker(name)?;
    system.network(vlan("v"));
    Some(system)
}

fn start(system: &System) -> Child {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/paas.py");
    let server = system.lab.server();
    let options = ["--server", &server, "--pool", POOL, "--network", "v", "--image", docker::IMAGE];
    Command::new(PYTHON)
        .arg(program)
        .args(options)
        .args(["--count", "6", "--", "sleep", "1d"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the platform has ended well, and gives back all that it said.
fn finish(platform: &mut Child, mut out: impl BufRead, mut said: String) -> String {
    out.read_to_string(&mut said).unwrap();
    let ended = platform.wait().unwrap();
    assert!(ended.success(), "it ends with {ended}:\n{said}");
    eprint!("{said}");
    said
}

fn assert_nothing_left(system: &System) {
    settled(system);
    assert_eq!(system.containers(), []);
    assert_one_each(system, "after the platform");
}

const PYTHON: &str = "/usr/bin/python3";
