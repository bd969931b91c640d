//! Nodes are taken out of the scheduler's choice, and emptied.

use super::{Served, text};

#[test]
fn a_node_is_cordoned_and_uncordoned() {
    let served = Served::start();
    for (command, expected) in
        [("cordon", "cordoned"), ("uncordon", "active"), ("drain --no-wait", "draining")]
    {
        let output = served.run(&format!("-o json node {command} n1"));
        let node: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(node["scheduling"], expected, "{output:?}");
        assert_eq!(node["status"]["runtimes"], serde_json::json!(["docker", "netns"]));
        assert_eq!((&node["capacity"]["cpu_millis"], &node["status"]["lost"]), (&4000.into(), &false.into()));
    }
    let output = served.run("node show n1");
    let shown = text(&output.stdout);
    assert!(shown.contains("draining") && shown.contains("4 cpus, 8 GiB"), "{shown}");
    assert!(shown.contains("0.5 cpus, 128 MiB") && shown.contains("docker, netns"), "{shown}");
}

#[test]
fn a_drain_follows_what_moves_and_ends_when_only_containers_are_left_that_stay() {
    let served = Served::start();
    let output = served.run("--pool drain node drain n1");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stderr), "web is ready on n2\ndb is ready on n2\n");
    let expected = "drained drain/n1: 2 containers moved\n\
                    left, since pinned to it: pin\n\
                    left, since ended (elsewhere they would run again): job\n";
    assert_eq!(text(&output.stdout), expected);
    let help = served.run("node drain --help");
    assert!(text(&help.stdout).contains("10 minutes unless --timeout"), "{help:?}");
}

#[test]
fn a_drain_that_falls_behind_starts_over_and_knows_what_is_gone() {
    let output = Served::start().run("-o json --pool behind node drain n1");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let drained: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(drained["moved"], serde_json::json!(["web"]));
    assert_eq!(drained["pinned"], serde_json::json!(["pin"]));
}

#[test]
fn a_drain_that_takes_too_long_says_what_is_left_and_what_hinders() {
    let output = Served::start().run("--timeout 2s --pool stuck node drain n1");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let said = text(&output.stderr);
    assert!(said.contains("left: db (ready on n1), web (ready on n1)"), "{said}");
    assert!(said.contains("no other node has the label zone=a") && !said.contains("pin ("), "{said}");
}

#[test]
fn a_drain_ends_when_somebody_else_schedules_the_node_otherwise() {
    let output = Served::start().run("--pool meddled node drain n1");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("node meddled/n1 is no longer draining"), "{output:?}");
}

#[test]
fn a_nodes_flows_are_printed_as_they_come_for_ofctl_or_for_programs() {
    let served = Served::start();
    let output = served.run("node flows n1");
    let flows = [
        "table=0, priority=0 actions=drop",
        "table=1, priority=7 actions=drop",
        "table=62, priority=0 actions=drop",
    ];
    assert_eq!(text(&output.stdout).lines().collect::<Vec<_>>(), flows, "{output:?}");
    let output = served.run("-o json node flows n1");
    let lines = text(&output.stdout).lines().map(|line| serde_json::from_str::<String>(line).unwrap());
    assert_eq!(lines.collect::<Vec<_>>(), flows);
}

#[test]
fn what_fails_on_a_node_is_said_with_what_to_do_and_by_the_exit_code() {
    let served = Served::start();
    let output = served.run("node check n1");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let shown = text(&output.stdout);
    assert!(shown.contains("70.0 s behind") && shown.contains("have both set by NTP"), "{shown}");
    let output = served.run("-o json node check n1");
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&findings[0]["level"], &findings[1]["level"]), (&"ok".into(), &"fail".into()));
    assert_eq!(findings[1]["advice"], "have both set by NTP");
}
