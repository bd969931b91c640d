//! The report on the lab of the quickstart, with the containers the quickstart makes, and on one where not all is well.
//!
//! Needs root, Open vSwitch and Docker; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;

use labs::process::find_executable;
use labs::report::{self, Options};
use labs::topology::Name;
use labs::{Lab, Topology};
use serde_json::Value;
use support::{System, vlan};
use weir_api::v1;

#[test]
fn the_quickstarts_lab_does_all_it_should() {
    if let Err(e) = Lab::docker_possible() {
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
        ("/http/0/status", 200.0),
    ] {
        assert_eq!(number(pointer), Some(expected), "{pointer} of {report:#}");
    }
    assert_eq!(report["fabric"]["macs"].as_array().map(Vec::len), Some(5), "three nodes, gateway, bare host");
    assert!(number("/fabric/resolutions").is_some_and(|probes| probes >= 2.0), "{report:#}");
    assert!(number("/create_to_reply_ms/p50") <= number("/create_to_reply_ms/p95"), "{report:#}");
    assert_eq!(report["http"].as_array().map(Vec::len), Some(1), "{report:#}");
    assert_eq!(report["http"][0]["container"], "web1");
    assert!(number("/http/0/bytes").is_some_and(|bytes| bytes > 0.0), "{report:#}");
    let nodes = report["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 3);
    for node in nodes {
        let by_table = node["by_table"].as_object().unwrap();
        let sum: u64 = by_table.values().filter_map(Value::as_u64).sum();
        assert_eq!(node["flows"].as_u64(), Some(sum), "{node}");
    }
    lab.down().unwrap();
}

#[test]
fn a_page_is_fetched_from_another_node_and_one_that_does_not_come_is_a_problem() {
    let Some(system) = System::up("http") else { return };
    system.network(vlan("v"));
    let labelled = |name: &str, port: &str| v1::Container {
        name: name.to_owned(),
        network: "v".to_owned(),
        node: "n1".to_owned(),
        labels: HashMap::from([("http".to_owned(), port.to_owned())]),
        ..v1::Container::default()
    };
    let server = system.create_as(labelled("web", "80"));
    system.create_as(labelled("deaf", "81"));
    system.create("far", "v/n2");
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("index.html"), "hello").unwrap();
    let home = root.path().to_str().unwrap();
    let mut httpd =
        server.place.command(["busybox", "httpd", "-f", "-h", home]).stdin(Stdio::null()).spawn().unwrap();
    let json = root.path().join("report.json");
    let well = report::run(&system.lab, &Options { json: Some(json.clone()), ..Options::default() });
    httpd.kill().unwrap();
    httpd.wait().unwrap();

    let report: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    let pages = report["http"].as_array().unwrap();
    let page = |name| pages.iter().find(|page| page["container"] == name).unwrap();
    let (web, deaf) = (page("web"), page("deaf"));
    assert_eq!((web["status"].as_u64(), web["bytes"].as_u64()), (Some(200), Some(5)), "{web}");
    assert_eq!(web["url"], format!("http://{}:80/", server.address));
    assert_eq!((web["from"].as_str(), web["from_node"].as_str()), (Some("far"), Some("n2")), "{web}");
    assert_eq!(deaf["status"], Value::Null);
    let problems: Vec<&str> =
        report["problems"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(matches!(problems[..], [one] if one.contains("of deaf, fetched from far")), "{problems:?}");
    assert!(!well.unwrap());
}
