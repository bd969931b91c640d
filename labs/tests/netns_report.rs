//! The report on the lab of the quickstart, with the containers the quickstart makes.
//!
//! Needs root and Open vSwitch; says so and passes without.

use std::path::Path;

use labs::process::find_executable;
use labs::report::{self, Options};
use labs::topology::Name;
use labs::{Lab, Topology};
use serde_json::Value;

#[test]
fn the_quickstarts_lab_does_all_it_should() {
    if let Err(e) = Lab::possible() {
        eprintln!("not run: {e:#}");
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    let mut topology = Topology::read(&folder.join("topologies/quickstart.toml")).unwrap();
    topology.name = Name::new(&format!("report-{}", std::process::id())).ok();
    let lab = Lab::up(&topology, &dir.path().join("lab")).unwrap();

    let json = dir.path().join("report.json");
    let programs = find_executable("weir").unwrap();
    let path = format!("PATH={}:{}", programs.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let script = folder.join("quickstart").display().to_string();
    let command = ["env", &path, &script, "--containers"].map(str::to_owned).to_vec();
    let well = report::run(&lab, &Options { json: Some(json.clone()), creates: 4, command }).unwrap();

    let report: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert!(well && report["ok"] == true, "{report:#}");
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64);
    for (pointer, expected) in [
        ("/pairs/expected", 32.0),
        ("/pairs/reached", 32.0),
        ("/pairs/leaked", 0.0),
        ("/outside/expected", 20.0),
        ("/outside/reached", 20.0),
        ("/fabric/macs_without_nat", 7.0),
        ("/fabric/arp_from_containers", 0.0),
        ("/fabric/announcements", 15.0),
        ("/create_to_reply_ms/creates", 4.0),
    ] {
        assert_eq!(number(pointer), Some(expected), "{pointer} of {report:#}");
    }
    assert_eq!(report["fabric"]["macs"].as_array().map(Vec::len), Some(5), "three nodes, gateway, bare host");
    assert!(number("/fabric/resolutions").is_some_and(|probes| probes >= 2.0), "{report:#}");
    assert!(number("/create_to_reply_ms/p50") <= number("/create_to_reply_ms/p95"), "{report:#}");
    let nodes = report["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 3);
    for node in nodes {
        let by_table = node["by_table"].as_object().unwrap();
        let sum: u64 = by_table.values().filter_map(Value::as_u64).sum();
        assert_eq!(node["flows"].as_u64(), Some(sum), "{node}");
    }
    lab.down().unwrap();
}
