//! Prometheus of labs/monitoring, in a lab: it finds the agents by the controller, and every panel of the dashboards has
//! something to show.
//!
//! Needs root, Open vSwitch, Docker and Debian's prometheus; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

#[path = "support/docker.rs"]
mod docker;
#[path = "support/plain.rs"]
#[allow(dead_code, reason = "a part is used here")]
mod plain;
#[path = "support/prometheus.rs"]
mod prometheus;
mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use futures::TryStreamExt;
use prometheus::{Prometheus, panels};
use support::{POOL, System, inside, reaches, vlan};
use weir_api::v1;
use weir_api::v1::agents_client::AgentsClient;
use weir_api::v1::container_status::Phase;
use weir_api::v1::containers_client::ContainersClient;

#[test]
fn every_panel_has_something_to_show() {
    if !prometheus::possible() {
        return;
    }
    let Some(system) = System::up_docker_with("mon", prometheus::served) else { return };
    system.network(vlan("v"));
    let worker = system.create_as(prometheus::worker("v/n1"));
    let plain = system.create("plain", "v/n2");
    plain::make_network(&system.lab, "n1", "net", &["-o", "network=v"]);
    let own = plain::run(&system.lab, "n1", "own", &["--net", "net"]);
    let own = plain::until_record(&system, "n1", own.address, Phase::Ready, "own (");
    register_liar(&system);

    let prometheus = Prometheus::start(&system);
    let panels = panels();
    assert!(panels.len() > 30, "only {} panels", panels.len());
    let mut left = panels.clone();
    let mut n = 0;
    let all_answer = || {
        // What is shown as a rate is to happen.
        n += 1;
        let name = format!("passing{n}");
        system.create_as(docker::job(&name, "v/n3", &["sleep", "1d"]));
        assert!(reaches(&plain.place, worker.address));
        system.delete(&name);
        left.retain(|(_, query)| !prometheus.shows(query));
        Ok(left.is_empty().then_some(()))
    };
    if let Err(error) = system.lab.wait_until(PATIENCE, "all panels to show something", all_answer) {
        panic!("these show nothing: {left:#?}\n{error:#}");
    }
    let targets = prometheus.ask("count by (pool, node) (up{job=\"weir-agent\"} == 1)");
    for node in ["n1", "n2", "n3"] {
        assert!(targets.contains(&format!("node=\"{node}\", pool=\"pool2\"")), "{targets}");
    }
    // The labels are the agent's own: none had to give way to one of Prometheus'.
    let named = prometheus.ask("container_network_transmit_bytes_total{name=\"plain\",node=\"n2\"}");
    assert!(named.contains("interface=\"eth0\"") && !named.contains("exported_"), "{named}");
    // Of Docker's own container the processes are known too.
    let query = format!("container_memory_working_set_bytes{{name=\"{}\"}} > 0", own.name);
    assert!(prometheus.shows(&query), "{}", prometheus.ask(&query));
    assert_no_liar_is_believed(&system, &prometheus);
    assert_controller_says_so_too(&system, &own.name);
}

/// An agent that says of its containers that they are another node's, of another pool.
fn assert_no_liar_is_believed(system: &System, prometheus: &Prometheus) {
    let query = "container_memory_rss{name=\"forged\"}";
    let told = || {
        let answer = prometheus.ask(query);
        Ok(answer.contains("forged").then_some(answer))
    };
    let told = system.lab.wait_until(PATIENCE, "what the liar says", told).unwrap();
    assert!(told.contains("pool=\"pool2\"") && told.contains("node=\"liar\""), "{told}");
    assert!(!told.contains("bank") && !told.contains("vault"), "{told}");
}

/// What the controller says that containers use is of the same kind.
fn assert_controller_says_so_too(system: &System, own: &str) {
    let mut client = ContainersClient::new(system.channel.clone());
    let asked = async {
        let request = v1::StatContainersRequest { pool: POOL.to_owned(), ..Default::default() };
        client.stat_containers(request).await.unwrap().into_inner().try_collect::<Vec<_>>().await.unwrap()
    };
    let all = system.runtime.block_on(asked);
    let usage = |name: &str| {
        let stats = all.iter().find(|stats| stats.name == name).unwrap();
        stats.usage.unwrap_or_else(|| panic!("{name}: {}", stats.problem))
    };
    let worker = usage("worker");
    assert_eq!(worker.memory_limit_bytes, 64 << 20);
    assert!(
        worker.cpu_us > Some(0) && worker.memory_bytes > Some(0) && worker.processes > Some(0),
        "{worker:?}"
    );
    let own = usage(own);
    assert!(own.memory_bytes > Some(0) && own.processes > Some(0), "{own:?}");
    let plain = usage("plain");
    assert!(plain.received_bytes > Some(0) && plain.sent_bytes > Some(0), "{plain:?}");
    assert_eq!((plain.cpu_us, plain.memory_bytes), (None, None), "it has no processes");
}

/// Registers an agent whose metrics are forged. It is gone at once, and its address stays listed.
fn register_liar(system: &System) {
    let address = "172.31.0.254:7499";
    let listener = inside(&system.place("controller"), || TcpListener::bind(address).unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let body = "container_memory_rss{name=\"forged\",pool=\"bank\",node=\"vault\",job=\"bank\"} 1\n";
            let head = "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4";
            // Whoever does not read to the end has gone.
            drop(stream.read(&mut [0; 4096]));
            drop(write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    });
    let register = v1::Register {
        pool: POOL.to_owned(),
        name: "liar".to_owned(),
        datapath_id: 0x11a5,
        tunnel_address: "172.31.0.99".to_owned(),
        metrics_address: address.to_owned(),
        ..v1::Register::default()
    };
    let register = v1::agent_message::Message::Register(register);
    let said = tokio_stream::once(v1::AgentMessage { message: Some(register) });
    let mut client = AgentsClient::new(system.channel.clone());
    system.runtime.block_on(client.attach(said)).unwrap();
}

const PATIENCE: Duration = Duration::from_secs(90);
