//! What is said of a placement, and of a container that has ended when it was to run.

use std::process::Output;

use serde_json::Value;

use super::{Served, text};

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn a_dry_run_shows_every_node_and_marks_the_one_that_is_chosen() {
    let served = Served::start();
    let output = served.run("container create --dry-run --memory 128m --publish-service=.n web busybox");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let table = text(&output.stdout);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NODE", "VERDICT", "LOAD", "IMAGE", "BLOCK", "TOTAL", "WHY"]);
    assert_eq!(rows[1], ["*", "n2", "chosen", "900", "100", "50", "1050", "-"]);
    assert_eq!(rows[2], ["n1", "can", "take", "it", "800", "0", "50", "850", "-"]);
    assert_eq!(rows[3][..6], ["n3", "resources", "-", "-", "-", "-"]);
    assert!(table.contains("64 MiB of memory are left") && table.contains("10.209.164.64"), "{table}");

    let preview = json(&served.run("-o json container create --dry-run --publish-service=.n web busybox"));
    assert_eq!((&preview["node"], &preview["refusal"]), (&Value::from("n2"), &Value::Null));
    assert_eq!(preview["candidates"][0]["total_score"], 1050);
    assert_eq!(preview["candidates"][2]["filter"], "resources");
}

#[test]
fn a_dry_run_that_finds_no_node_says_why_and_ends_with_1() {
    let served = Served::start();
    let output = served.run("container create huge --dry-run --publish-service=.n");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("No node can take it: resources turn away n3"), "{output:?}");
    let output = served.run("-o json container create huge --dry-run --publish-service=.n");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(json(&output)["node"], Value::Null);
}

#[test]
fn what_is_asked_for_is_what_the_server_is_sent() {
    let served = Served::start();
    let line = "-o json container create web --publish-service=www.n -e A=1 --env B=x=y --cpus 0.5 --memory 128m \
                --pids-limit 64 --restart on-failure:3 --stop-timeout 5s --label tier=front --constraint zone==a \
                --affinity container!=db --runtime docker --node n1 busybox httpd -f -p 80";
    let container = json(&served.run(line));
    assert_eq!(container["image"], "busybox");
    assert_eq!(container["command"], Value::from(vec!["httpd", "-f", "-p", "80"]));
    assert_eq!(container["environment"], serde_json::json!({"A": "1", "B": "x=y"}));
    let limits = serde_json::json!({"cpu_millis": 500, "memory_bytes": 134_217_728, "pids": 64});
    assert_eq!(container["resources"], limits);
    assert_eq!((&container["restart"], &container["stop_timeout_s"]), (&"on-failure:3".into(), &5.into()));
    assert_eq!(container["labels"], serde_json::json!({"tier": "front"}));
    assert_eq!(
        (&container["constraints"][0], &container["affinities"][0]),
        (&"zone==a".into(), &"container!=db".into())
    );
    assert_eq!((&container["runtime"], &container["node"]), (&"docker".into(), &"n1".into()));
    assert_eq!(container["service"], "www");
}

#[test]
fn a_wait_for_a_container_that_ended_has_its_success_or_failure() {
    let served = Served::start();
    for (code, expected) in [(0, 0), (3, 1), (137, 1)] {
        let output = served.run(&format!("container create --wait --publish-service=.n job image {code}"));
        assert_eq!(output.status.code(), Some(expected), "{output:?}");
        let shown = text(&output.stdout);
        assert!(shown.contains("ended") && shown.contains(&format!("Exit code:  {code}")), "{shown}");
    }
    assert_eq!(served.run("container start web --wait").status.code(), Some(1));
    assert_eq!(served.run("container start web").status.code(), Some(0));
    let output = served.run("container stop web --wait");
    assert_eq!(output.status.code(), Some(0), "stopping is no failure: {output:?}");
    assert!(text(&output.stdout).contains("143"), "{output:?}");
}
