//! A fleet of fifty simulated switches and agents against the real controller. Needs neither root nor Open vSwitch.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use labs::sim::scenario::Scenario;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_switches_come_into_sync_whatever_happens_to_them() {
    let scenario = Scenario::parse(include_str!("../fleets/small.toml")).unwrap();
    let figures = labs::sim::run(&scenario, &|what| eprintln!("{what}")).await.unwrap();
    println!("{}", figures.table());
    assert_eq!((figures.switches, figures.endpoints), (50, 500));
    let phase = |name| figures.phase(name).unwrap();
    assert!(phase("cold start").flow_mods > 50 * 10, "switches that had lost all were given it again");
    assert_eq!(phase("restart").flow_mods, 0, "what agrees with the ledger is left alone");
    assert_eq!(figures.creates.n, 120, "{} failed: {:?}", figures.failed, figures.failure);
    // A container is not moved to a node whose switch is away just then; all else is done.
    assert!(figures.failed <= 15, "{} failed: {:?}", figures.failed, figures.failure);
    assert!(figures.phase("quiet again").is_some(), "all came into sync once more");
    let [least, _, most] = figures.flows;
    assert!(least > 100 && most < 1000, "a table grows with nodes and blocks: {:?}", figures.flows);
}

#[test]
fn a_simulator_that_is_terminated_leaves_no_controller_behind() {
    let mut sim = Command::new(env!("CARGO_BIN_EXE_weir-sim"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/fleets/small.toml"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(sim.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line.contains("creating endpoints")));
    let pid = sim.id();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap());
    let controller: String = children.collect();
    let controller = Path::new("/proc").join(controller.trim());
    let words = fs::read_to_string(controller.join("cmdline")).unwrap();
    let folder = words.split('\0').find_map(|word| word.strip_prefix("--data-dir=")).unwrap();
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert!(!sim.wait().unwrap().success());
    assert!(!controller.exists() && !Path::new(folder).exists());
    assert!(said.any(|line| line.contains("terminated")));
}
