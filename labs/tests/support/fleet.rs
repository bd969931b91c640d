//! Nodes as a whole: whether they are given containers, their daemons all together, what Docker has on them, and what
//! the controller tells of all that.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::thread;
use std::time::Duration;

use labs::Daemon;
use weir_api::v1;
use weir_api::v1::containers_client::ContainersClient;
use weir_api::v1::node::Scheduling;
use weir_api::v1::nodes_client::NodesClient;

use crate::support::{Attached, POOL, System};

impl System {
    /// A node as it is now.
    pub(crate) fn node(&self, name: &str) -> v1::Node {
        self.nodes().into_iter().find(|node| node.name == name).unwrap()
    }

    /// Says whether a node is given containers, and keeps those it has.
    pub(crate) fn schedule(&self, node: &str, scheduling: Scheduling) {
        let request = v1::SetNodeSchedulingRequest {
            pool: POOL.to_owned(),
            name: node.to_owned(),
            scheduling: scheduling.into(),
        };
        let mut client = NodesClient::new(self.channel.clone());
        self.runtime.block_on(client.set_node_scheduling(request)).unwrap();
    }

    /// Does something while only that node is given containers.
    pub(crate) fn with_only<T>(&self, node: &str, what: impl FnOnce() -> T) -> T {
        let others: Vec<String> = self.nodes().into_iter().map(|n| n.name).filter(|n| n != node).collect();
        others.iter().for_each(|other| self.schedule(other, Scheduling::Cordoned));
        let done = what();
        others.iter().for_each(|other| self.schedule(other, Scheduling::Active));
        done
    }

    /// A Docker container whose page says which start of which container it is, on a node of the scheduler's choice.
    pub(crate) fn serve_page(&self, name: &str, network: &str, service: &str) -> Attached {
        let serve = "cat /proc/sys/kernel/random/uuid >/www/index.html; exec httpd -f -h /www";
        self.create_as(v1::Container {
            name: name.to_owned(),
            network: network.to_owned(),
            service: service.to_owned(),
            image: "busybox".to_owned(),
            command: ["sh", "-c", serve].map(str::to_owned).to_vec(),
            restart: Some(v1::RestartPolicy {
                mode: v1::restart_policy::Mode::Always.into(),
                max_retries: 0,
            }),
            ..Default::default()
        })
    }

    /// What has happened to something, for example `node/n1`: reasons and messages, the oldest first.
    pub(crate) fn told(&self, subject: &str) -> Vec<(String, String)> {
        let (kind, name) = subject.split_once('/').unwrap();
        let subject = format!("{kind}/{POOL}/{name}");
        let mut told = Vec::new();
        self.runtime.block_on(async {
            let request =
                v1::WatchEventsRequest { pool: POOL.to_owned(), past_only: true, ..Default::default() };
            let mut client = ContainersClient::new(self.channel.clone());
            let mut events = client.watch_events(request).await.unwrap().into_inner();
            while let Some(event) = events.message().await.unwrap() {
                if event.subject == subject {
                    told.push((event.reason, event.message));
                }
            }
        });
        told
    }

    /// Waits until something is told with that reason, and gives back the message.
    pub(crate) fn until_told(&self, subject: &str, reason: &str) -> String {
        let told = || Ok(self.told(subject).into_iter().rev().find(|(word, _)| word == reason));
        self.lab.wait_until(PATIENCE, &format!("{subject} to be {reason}"), told).unwrap().1
    }

    /// `docker WORDS…` on a node.
    pub(crate) fn docker(&self, node: &str, words: &[&str]) -> anyhow::Result<String> {
        let client = ["docker", "--host", "unix:///run/docker.sock"];
        self.lab.exec(node, [&client[..], words].concat()).map(|said| said.trim().to_owned())
    }

    /// Stops all of a node's daemons at once, as a power cut does, and returns when they have ended. The processes of
    /// Docker's containers go on.
    pub(crate) fn stop_node(&self, node: &str) {
        let daemons = self.lab.state().daemons(self.lab.state().machine(node).unwrap());
        thread::scope(|scope| {
            for daemon in daemons {
                scope.spawn(move || self.lab.stop(node, daemon).unwrap());
            }
        });
    }

    /// Starts those daemons again.
    pub(crate) fn start_daemons(&self, node: &str, daemons: &[Daemon]) {
        daemons.iter().for_each(|daemon| self.lab.start(node, *daemon).unwrap());
    }

    /// What there is of an endpoint on a node: its Docker container, its namespace, its port, its flow of delivery.
    pub(crate) fn traces(&self, node: &str, endpoint: &Attached) -> anyhow::Result<Vec<String>> {
        let id = endpoint.endpoint_id;
        let label = format!("label=weir.endpoint={id}");
        let container =
            self.docker(node, &["ps", "--all", "--filter", &label, "--format", "{{.Names}} {{.Status}}"])?;
        let namespaces = self.lab.exec(node, ["ip", "netns"])?;
        let namespace = namespaces.split_whitespace().find(|word| *word == format!("weir-{id}"));
        let port = format!("external_ids:weir-endpoint={id}");
        let port = self.lab.node(node)?.vsctl(["--bare", "--columns=name", "find", "Interface", &port])?;
        let flow = self.deliveries(node, endpoint)?.map(|n| format!("a flow with {n} packets"));
        let found = [container, namespace.unwrap_or_default().to_owned(), port.trim().to_owned()];
        Ok(found.into_iter().filter(|trace| !trace.is_empty()).chain(flow).collect())
    }

    /// How many packets a node has delivered to an address; `None` if it has no flow for that.
    pub(crate) fn deliveries(&self, node: &str, to: &Attached) -> anyhow::Result<Option<u64>> {
        let local = flowlib::pipeline::table::Table::Local as u8;
        let flow = format!("table={local},ip,nw_dst={}", to.address);
        let dump = self.lab.node(node)?.ofctl("dump-flows", "br-int", [&flow])?;
        Ok(dump.split([',', ' ']).find_map(|word| word.strip_prefix("n_packets=")?.parse().ok()))
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
