//! The `weir` program with a real controller, as far as neither needs a node. Containers are tested in labs.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use clap::Parser;
use controller::config::Config;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// A controller with a store and a socket of its own, and `weir` linked as `cli`.
struct Controller {
    dir: TempDir,
    /// Where it serves TLS.
    tls: SocketAddr,
    stop: CancellationToken,
    _runtime: Runtime,
}

impl Controller {
    fn start() -> Controller {
        let dir = tempfile::tempdir().expect("a temporary folder");
        symlink(env!("CARGO_BIN_EXE_weir"), dir.path().join("cli")).expect("a link");
        let (listen, data) = (format!("unix:{}/weir.sock", dir.path().display()), dir.path().join("data"));
        let data = data.display().to_string();
        let tls = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a free port");
        let with_tls = format!("--listen=tls:{tls}");
        let words = [
            "weir-controller",
            "--listen",
            &listen,
            &with_tls,
            "--openflow",
            "127.0.0.1:0",
            "--data-dir",
            &data,
        ];
        let config = Config::try_parse_from(words).expect("settings");
        let (runtime, stop) = (Runtime::new().expect("a runtime"), CancellationToken::new());
        runtime.spawn(controller::run(config, stop.clone()));
        let controller = Controller { dir, tls, stop, _runtime: runtime };
        let end = Instant::now() + Duration::from_secs(10);
        while controller.cli("status").status.code() != Some(0) {
            assert!(Instant::now() < end, "the controller does not answer");
        }
        controller
    }

    fn cli(&self, line: &str) -> Output {
        Command::new(self.dir.path().join("cli"))
            .env("WEIR_SERVER", format!("unix:{}/weir.sock", self.dir.path().display()))
            .env_remove("WEIR_POOL")
            .args(line.split_whitespace())
            .output()
            .expect("the program starts")
    }

    /// Runs a line that succeeds and gives its standard output.
    fn ok(&self, line: &str) -> String {
        let output = self.cli(line);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("--output json {line}"))).expect("one JSON document")
    }

    /// Runs a line that is refused and gives what is said.
    fn refused(&self, line: &str) -> String {
        let output = self.cli(line);
        assert_eq!(output.status.code(), Some(1), "{line}: {output:?}");
        String::from_utf8(output.stderr).expect("text")
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[test]
fn a_network_is_created_shown_and_deleted() {
    let controller = Controller::start();
    controller.ok("pool create pool2 --vlans 100-101 --placement binpack");
    assert_eq!(controller.json("pool show pool2")["placement"], "binpack");
    assert!(controller.ok("pool list").lines().any(|line| line.contains("binpack")));
    controller.ok("--pool=pool2 network create myvlan -d vlan -l 10.209.164.0/22 -l Gateway=10.209.164.1");
    let network = controller.json("--pool=pool2 network show myvlan");
    assert_eq!(network["subnet"], "10.209.164.0/22");
    assert_eq!(network["gateway"], "10.209.164.1");
    assert_eq!(network["vlan"], 100, "the first of the pool's range");
    assert_eq!(network["vni"], Value::Null);

    let other = controller
        .json("network create other --pool pool2 -d vxlan -l 10.20.0.0/24 -l VNI=77 -l mtu=1400 -l Block=28");
    assert_eq!(
        (&other["vni"], &other["mtu"], &other["block_prefix_len"]),
        (&77.into(), &1400.into(), &28.into())
    );

    let list = controller.json("network list");
    let names: Vec<_> = list.as_array().unwrap().iter().map(|network| network["name"].clone()).collect();
    assert_eq!(names, ["myvlan", "other"]);
    let table = controller.ok("network ls");
    assert!(table.contains("vlan 100") && table.contains("vni 77"), "{table}");
    assert!(!table.contains('\x1b') && table.lines().all(|line| line == line.trim_end()), "{table:?}");

    let deleted = controller.json("--pool pool2 network rm other");
    assert_eq!(deleted["name"], "other");
    controller.ok("--pool pool2 network delete myvlan");
    controller.ok("pool delete pool2");
    assert_eq!(controller.json("pool list"), Value::Array(Vec::new()));
}

#[test]
fn a_pools_registry_proxies_are_changed_one_by_one() {
    let controller = Controller::start();
    controller.ok("pool create p --registry-proxy http://10.0.0.5:5000");
    let line = "pool update p --registry-proxy quay.io=https://cache --registry-proxy none";
    assert_eq!(controller.json(line)["registry_proxies"], serde_json::json!({"quay.io": "https://cache"}));
    assert!(controller.ok("pool show p").contains("quay.io=https://cache"));
    let bad = "pool update p --registry-proxy http://cache/with/path";
    assert!(String::from_utf8_lossy(&controller.cli(bad).stderr).contains("http://10.0.0.1:5000"));
    assert_eq!(controller.cli("pool update p").status.code(), Some(2));
    assert_eq!(controller.cli("pool update q --registry-proxy none").status.code(), Some(1));
}

#[test]
fn creating_the_same_again_is_no_error_but_something_else_is() {
    let controller = Controller::start();
    controller.ok("pool create p");
    let first = controller.json("--pool p network create n -d vlan -l 10.0.0.0/24");
    assert_eq!(controller.json("--pool p network create n -d vlan -l 10.0.0.0/24"), first);
    assert!(controller.refused("--pool p network create n -d vlan -l 10.9.0.0/24").contains('n'));
}

#[test]
fn a_refusal_names_what_is_in_the_way() {
    let controller = Controller::start();
    controller.ok("pool create p --vlans 100");
    controller.ok("--pool p network create web -d vlan -l 10.0.0.0/24 -l Gateway=10.0.0.1");
    for (line, word) in [
        ("--pool p network create n -d vlan -l 10.0.0.128/25 -l Vlan=7", "web"),
        ("--pool p network create n -d vlan -l 10.1.0.0/24 -l Vlan=100", "web"),
        ("--pool p network create n -d vlan -l 10.1.0.0/24", "VLAN"),
        ("--pool p network create n -d vlan -l 10.1.0.0/24 -l Vlan=7 -l Gateway=10.2.0.1", "10.2.0.1"),
        ("--pool p network create n -d vxlan -l 10.1.0.0/24 -l Vlan=7", "VLAN"),
        ("--pool p network create N -d vxlan -l 10.1.0.0/24", "N"),
        ("--pool q network create n -d vxlan -l 10.1.0.0/24", "q"),
        ("--pool p container create --publish-service=.web -l ip=10.0.0.8", "nodes"),
        ("--pool p container create --publish-service=.nope", "nope"),
        ("--pool p container show c", "c"),
        ("--pool p node show n1", "n1"),
        ("pool delete p", "network"),
    ] {
        let said = controller.refused(line);
        assert!(said.starts_with("error: ") && said.contains(word), "{line}: {said}");
    }
    assert_eq!(controller.json("--pool p network list").as_array().unwrap().len(), 1, "nothing half-made");
}

#[test]
fn a_list_longer_than_four_megabytes_is_shown() {
    let controller = Controller::start();
    let image = "x".repeat(120_000);
    for n in 0..36 {
        controller.ok(&format!("pool create p{n} --default-image {image}"));
    }
    assert_eq!(controller.json("pool list").as_array().unwrap().len(), 36);
}

#[test]
fn status_tells_an_empty_controller() {
    let controller = Controller::start();
    let status = controller.json("status");
    assert_eq!((&status["nodes"], &status["problems"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    assert!(status["started"].as_str().is_some_and(|time| time.ends_with('Z')), "{status}");
    assert!(controller.ok("status").contains("Everything is as intended."));
}

#[test]
fn a_token_opens_one_pool_over_tls_and_needs_nothing_else() {
    let controller = Controller::start();
    controller.ok("pool create p --max-containers 2 --max-memory 1g");
    controller.ok("pool create q");
    let token = controller.ok("--pool p token create --description me");
    let listed = controller.json("token list");
    assert_eq!((&listed[0]["role"], &listed[0]["description"]), (&Value::from("pool"), &Value::from("me")));
    let as_user = |line: &str| {
        let (server, token) = (format!("https://{}", controller.tls), token.trim());
        let mut command = Command::new(controller.dir.path().join("cli"));
        command.env("WEIR_SERVER", server).env("WEIR_TOKEN", token).env("WEIR_CONFIG", "/dev/null");
        command.args(line.split_whitespace()).output().expect("the program starts")
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let pools = as_user("--output json pool list");
    assert!(pools.status.success(), "{}", said(&pools));
    let pools: Value = serde_json::from_slice(&pools.stdout).expect("one JSON document");
    assert_eq!(pools.as_array().map(Vec::len), Some(1));
    assert_eq!((&pools[0]["name"], &pools[0]["quota"]["containers"]), (&Value::from("p"), &Value::from(2)));
    assert!(said(&as_user("--pool q network list")).contains("there is no pool `q`"));
    assert!(said(&as_user("pool update p --max-containers none")).contains("administrators"));
    controller.ok("pool update p --max-containers none --max-cpus 1.5");
    let shown = controller.ok("pool show p");
    assert!(
        shown.contains("0 of no limit") && shown.contains("0 of 1.5") && shown.contains("0 B of 1 GiB"),
        "{shown}"
    );
    let join = controller.ok("pool token create p --ttl 5m --uses 3");
    assert!(join.starts_with("weir-join."), "{join}");
    let joins = controller.json("pool token list p");
    assert_eq!(joins[0]["uses_left"], Value::from(3));
    let id = listed[0]["id"].as_str().expect("an id").to_owned();
    controller.ok(&format!("token revoke {id}"));
    assert!(said(&as_user("pool list")).contains("not known"));
}
