//! Docker containers by the whole agent: its binary, a real dockerd that calls its network driver, real Open vSwitch, and a
//! controller played by the test.

// All of this file is a test, also what stands outside of the test functions.
#![allow(clippy::unwrap_used)]

mod ovs;
mod support;

#[path = "support/controller.rs"]
mod controller;
#[path = "support/docker.rs"]
mod docker;
#[path = "support/node.rs"]
mod node;

use std::time::Duration;

use controller::{Controller, Session, soon};
use docker::{Docker, IMAGE, has_docker};
use node::{Node, TARGET, endpoint};
use ovs::has_ovs;
use support::{exists, in_sandbox, run, until};
use tokio_stream::StreamExt;
use weir_api::v1::{
    Desired, DesiredEndpoint, EndpointReport, ExecContainerRequest, ExecRequest, FlowsConfirmed, LogRequest,
    RemovedEndpoint, Resources, RestartPolicy, TerminalSize, agent_message::Message, controller_message,
    endpoint_report::State, exec_container_request, exec_container_response, log_container_response,
    relay_exec_request, relay_log_request, restart_policy::Mode,
};

/// Everything a container needs. Fields are dropped in this order: Docker waits long for a network driver that is gone.
struct World {
    docker: Docker,
    session: Session,
    controller: Controller,
    node: Node,
}

impl World {
    async fn start() -> Self {
        let docker = Docker::start();
        let mut node = Node::start();
        let mut controller = node.controller();
        node.start_agent();
        let (session, _) = controller.accept().await;
        session.register(TARGET).await;
        let mut world = Self { docker, session, controller, node };
        world.tell(1, true, vec![], &[]).await;
        world
            .session
            .until("Docker and its image", |message| match message {
                Message::Node(node) if node.runtimes.len() == 2 => {
                    node.images.contains(&IMAGE.to_owned()).then_some(())
                }
                _ => None,
            })
            .await;
        world.node.let_everything_through().await;
        world
    }

    async fn tell(&self, revision: u64, complete: bool, endpoints: Vec<DesiredEndpoint>, removed: &[u32]) {
        let removed =
            removed.iter().map(|id| RemovedEndpoint { endpoint_id: *id, runtime: "docker".into() }).collect();
        let desired = Desired { revision, complete, endpoints, removed };
        self.session.send(controller_message::Message::Desired(desired)).await;
    }

    async fn confirm(&self, revision: u64) {
        let confirmed = FlowsConfirmed { revision };
        self.session.send(controller_message::Message::FlowsConfirmed(confirmed)).await;
    }

    /// Waits for a report of an endpoint.
    async fn report(&mut self, id: u32, state: State) -> EndpointReport {
        let what = format!("{id} {state:?}");
        self.session
            .until(&what, |message| match message {
                Message::Endpoint(report) if report.endpoint_id == id && report.state() == state => {
                    Some(report.clone())
                }
                _ => None,
            })
            .await
    }

    /// Waits for a report of each of these endpoints, in whatever order.
    async fn all(&mut self, state: State, ids: &[u32]) {
        let mut missing: Vec<u32> = ids.to_vec();
        while !missing.is_empty() {
            let id = self
                .session
                .until(&format!("{missing:?} {state:?}"), |message| match message {
                    Message::Endpoint(report) if report.state() == state => Some(report.endpoint_id),
                    _ => None,
                })
                .await;
            missing.retain(|other| *other != id);
        }
    }

    fn containers(&self) -> String {
        self.docker.run(&["ps", "--all", "--format", "{{.Names}} {{.State}}"])
    }

    /// Nothing is left of an endpoint: container, namespace, interface, port.
    fn assert_gone(&self, id: u32, ofport: u32) {
        assert_eq!(
            self.docker.run(&["ps", "--all", "--quiet", "--filter", &format!("label=weir.endpoint={id}")]),
            ""
        );
        assert!(!exists(format!("/run/netns/weir-{id}")) && !exists(format!("/sys/class/net/we{ofport}")));
        let ports = self.node.database.vsctl("list-ports br-int");
        assert!(!ports.contains(&format!("we{ofport}")), "{ports}");
    }
}

fn container(id: u32, ofport: u32, command: &[&str]) -> DesiredEndpoint {
    DesiredEndpoint {
        runtime: "docker".into(),
        image: IMAGE.into(),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        environment: [("GREETING".to_owned(), "hello".to_owned())].into(),
        stop_timeout_s: 2,
        flows_revision: 2,
        ..endpoint(id, ofport)
    }
}

fn can_run() -> bool {
    has_ovs(true) && has_docker()
}

#[test]
fn a_container_has_its_network_before_its_first_instruction_and_leaves_nothing() {
    if !can_run() {
        return;
    }
    in_sandbox(async || {
        let mut world = World::start().await;
        // What the first process sees at once, without waiting.
        let look = "ip -4 address show eth0; ip route; cat /sys/class/net/eth0/address; ping -c 1 -W 1 10.1.0.9; exec sleep 1000";
        world.tell(2, false, vec![endpoint(9, 1090)], &[]).await;
        world.report(9, State::Up).await;
        let limits = Resources { cpu_millis: 500, memory_bytes: 64 << 20, pids: 50 };
        let wanted = DesiredEndpoint { resources: Some(limits), ..container(1, 1024, &["sh", "-c", look]) };
        world.tell(3, false, vec![wanted.clone()], &[]).await;
        let early = world.report(1, State::Failed).await;
        assert_eq!(early.reason, "FlowsPending", "no process before its flows: {early:?}");
        assert!(world.containers().ends_with("created"), "{}", world.containers());
        world.confirm(2).await;
        let up = world.report(1, State::Up).await;
        assert!(
            up.process.as_ref().is_some_and(|process| process.running && process.started.is_some()),
            "{up:?}"
        );

        until("the first process has looked", Duration::from_secs(10), async || {
            world.docker.run(&["logs", "c1.pool2.1"]).contains("packets transmitted").then_some(())
        })
        .await;
        let log = world.docker.run(&["logs", "c1.pool2.1"]);
        for seen in ["inet 10.1.0.1/24", "default via 10.1.0.254", "02:42:0a:01:00:01", " 0% packet loss"] {
            assert!(log.contains(seen), "{log}");
        }
        let inspect = world.docker.run(&[
            "inspect",
            "--format",
            "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.Config.Env}}",
            "c1.pool2.1",
        ]);
        assert_eq!(inspect, "67108864 500000000 50 [GREETING=hello]");
        assert_eq!(world.node.interface("we1024", "ofport"), "1024");
        let offload = run("ip netns exec weir-1 ethtool -k eth0");
        assert!(offload.contains("tx-checksumming: off"), "{offload}");

        // An agent that starts anew finds everything right and touches nothing.
        let before = (world.node.fingerprint(1, 1024), world.containers());
        world.node.start_agent();
        let (session, _) = world.controller.accept().await;
        world.session = session;
        world.session.register(TARGET).await;
        world.tell(3, true, vec![endpoint(9, 1090), wanted], &[]).await;
        world.confirm(3).await;
        let inventory = world.session.inventory(3).await;
        let listed: Vec<_> = inventory.endpoints.iter().map(|one| (one.endpoint_id, one.state())).collect();
        assert_eq!(listed, [(1, State::Up), (9, State::Up)], "{inventory:?}");
        assert_eq!((world.node.fingerprint(1, 1024), world.containers()), before);

        world.tell(4, false, vec![], &[1]).await;
        world.report(1, State::Removed).await;
        world.assert_gone(1, 1024);
    });
}

#[test]
fn ends_stops_starts_and_restarts_are_told_and_obeyed() {
    if !can_run() {
        return;
    }
    in_sandbox(async || {
        let mut world = World::start().await;
        world.confirm(2).await;
        // One that ends by itself rests without a port, and is started again when asked.
        let short = container(1, 1024, &["sh", "-c", "echo once; exit 7"]);
        world.tell(2, false, vec![short.clone()], &[]).await;
        let ended = world.report(1, State::Ended).await;
        let process = ended.process.unwrap();
        assert!(!process.running && process.exit_code == 7 && process.finished.is_some(), "{process:?}");
        assert!(!world.node.database.vsctl("list-ports br-int").contains("we1024"));
        let again = DesiredEndpoint { starts: 1, ..short };
        world.tell(3, false, vec![again.clone()], &[]).await;
        let second = world.report(1, State::Ended).await.process.unwrap();
        assert!(second.started.unwrap().seconds >= process.started.unwrap().seconds);
        assert_eq!(world.docker.run(&["logs", "c1.pool2.1-1"]), "once\nonce");

        // Stopped on request, and started.
        let long = container(2, 1025, &["sleep", "1000"]);
        world.tell(4, false, vec![long.clone()], &[]).await;
        world.report(2, State::Up).await;
        let stopped = DesiredEndpoint { stopped: true, ..long.clone() };
        world.tell(5, false, vec![stopped], &[]).await;
        world.report(2, State::Ended).await;
        assert!(!exists("/sys/class/net/we1025"));
        world.tell(6, false, vec![DesiredEndpoint { starts: 1, ..long }], &[]).await;
        world.report(2, State::Up).await;
        assert_eq!(world.node.interface("we1025", "ofport"), "1025");

        // Restarted by its policy, with its network each time; a stop by hand is made good.
        let policy = RestartPolicy { mode: Mode::Always.into(), max_retries: 0 };
        let loops = DesiredEndpoint { restart: Some(policy), ..container(3, 1026, &["sleep", "1000"]) };
        world.tell(7, false, vec![loops], &[]).await;
        let first = world.report(3, State::Up).await.process.unwrap();
        world.docker.run(&["exec", "c3.pool2.3", "sh", "-c", "kill -9 -1"]);
        let restarted = world
            .session
            .until("it was restarted", |message| match message {
                Message::Endpoint(report) if report.state() == State::Up => {
                    report.process.filter(|process| process.restarts > first.restarts)
                }
                _ => None,
            })
            .await;
        assert_eq!(restarted.restarts, 1);
        assert_eq!(world.node.interface("we1026", "ofport"), "1026");
        world.docker.run(&["stop", "--time", "0", "c3.pool2.3"]);
        until("it runs again", Duration::from_secs(20), async || {
            world.containers().contains("c3.pool2.3 running").then_some(())
        })
        .await;
        until("it has its port again", Duration::from_secs(10), async || {
            exists("/sys/class/net/we1026").then_some(())
        })
        .await;
        world.tell(8, false, vec![], &[1, 2, 3]).await;
        world.all(State::Removed, &[1, 2, 3]).await;
        for id in 1..=3 {
            world.assert_gone(id, 1023 + id);
        }
    });
}

#[test]
fn what_cannot_be_is_said_and_heals() {
    if !can_run() {
        return;
    }
    in_sandbox(async || {
        let mut world = World::start().await;
        world.confirm(2).await;
        let missing = DesiredEndpoint { image: "nowhere:1".into(), ..container(1, 1024, &["sleep", "1000"]) };
        let no_command = container(2, 1025, &["/no/such/program"]);
        let limits = Resources { cpu_millis: 4_000_000, ..Resources::default() };
        let too_much = DesiredEndpoint { resources: Some(limits), ..container(3, 1026, &["sleep", "1000"]) };
        world.tell(2, false, vec![missing], &[]).await;
        let report = world.report(1, State::Failed).await;
        assert_eq!(report.reason, "ImageMissing");
        assert!(report.message.contains("nowhere:1"), "{report:?}");
        world.tell(3, false, vec![no_command], &[]).await;
        let report = world.report(2, State::Ended).await;
        assert_eq!(report.process.unwrap().exit_code, 127, "{report:?}");
        world.tell(4, false, vec![too_much], &[]).await;
        let report = world.report(3, State::Failed).await;
        assert_eq!(report.reason, "StartRefused");
        assert!(report.message.contains("CPU"), "{report:?}");

        // The image comes; a dockerd that is killed and comes back changes nothing for what runs.
        world.docker.run(&["tag", IMAGE, "nowhere:1"]);
        world.report(1, State::Up).await;
        let before = world.node.fingerprint(1, 1024);
        world.docker.kill_dockerd();
        world
            .session
            .until("that Docker is lost", |message| match message {
                Message::Node(node) if node.runtimes == ["netns"] && !node.problems.is_empty() => Some(()),
                _ => None,
            })
            .await;
        world.tell(5, false, vec![container(4, 1027, &["sleep", "1000"])], &[2]).await;
        assert_eq!(world.report(4, State::Failed).await.reason, "RuntimeUnreachable");
        assert_eq!(
            world.report(2, State::Failed).await.reason,
            "RuntimeUnreachable",
            "it may be there still"
        );
        world.docker.start_dockerd();
        world.all(State::Up, &[4]).await;
        until("endpoint 2 has left nothing", Duration::from_secs(10), async || {
            (!world.containers().contains("c2.")).then_some(())
        })
        .await;
        assert_eq!(world.node.fingerprint(1, 1024), before);
        world.tell(6, true, vec![], &[]).await;
        world.session.inventory(6).await;
        for id in 1..=4 {
            world.assert_gone(id, 1023 + id);
        }
        assert_eq!(world.containers(), "");
    });
}

/// All that a command puts out, and its exit code.
async fn output(relay: &mut controller::Relay) -> (Vec<u8>, i32) {
    let mut out = Vec::new();
    loop {
        let message = soon("output", relay.from_agent.next()).await.unwrap().unwrap();
        let relay_exec_request::Request::Output(output) = message.request.unwrap() else { continue };
        match output.response.unwrap() {
            exec_container_response::Response::Stdout(bytes) => out.extend(bytes),
            exec_container_response::Response::ExitCode(code) => return (out, code),
            exec_container_response::Response::Stderr(bytes) => panic!("{bytes:?}"),
        }
    }
}

/// Waits for each size of its terminal, then for a line.
const SCRIPT: &str = "while [ \"$(stty size)\" != \"33 101\" ]; do :; done; echo first; \
                      while [ \"$(stty size)\" != \"44 99\" ]; do :; done; read line; echo got $line; exit 5";

#[test]
fn commands_with_terminals_and_logs_are_relayed() {
    if !can_run() {
        return;
    }
    in_sandbox(async || {
        let mut world = World::start().await;
        world.confirm(2).await;
        world
            .tell(
                2,
                false,
                vec![container(1, 1024, &["sh", "-c", "echo out; echo err >&2; exec sleep 1000"])],
                &[],
            )
            .await;
        world.report(1, State::Up).await;
        world.tell(3, false, vec![endpoint(9, 1090)], &[]).await;
        world.report(9, State::Up).await;
        for id in [1, 9] {
            let request = ExecRequest {
                id: format!("e{id}"),
                endpoint_id: id,
                command: ["sh", "-c", SCRIPT].map(str::to_owned).to_vec(),
                terminal: Some(TerminalSize { rows: 33, columns: 101 }),
            };
            world.session.send(controller_message::Message::Exec(request)).await;
            let mut relay = world.controller.relay().await;
            let say = |request| Ok(ExecContainerRequest { request: Some(request) });
            let (mut out, mut code, mut asked) = (String::new(), None, false);
            while code.is_none() {
                let message = soon("output", relay.from_agent.next()).await.unwrap().unwrap();
                match message.request.unwrap() {
                    relay_exec_request::Request::Output(output) => match output.response.unwrap() {
                        exec_container_response::Response::Stdout(bytes) => {
                            out += &String::from_utf8(bytes).unwrap()
                        }
                        exec_container_response::Response::ExitCode(exit) => code = Some(exit),
                        other => panic!("{other:?}"),
                    },
                    relay_exec_request::Request::Failed(why) => panic!("{why}"),
                    relay_exec_request::Request::Id(_) => {}
                }
                if out.contains("first") && !asked {
                    asked = true;
                    let size = TerminalSize { rows: 44, columns: 99 };
                    relay.to_agent.send(say(exec_container_request::Request::Resize(size))).await.unwrap();
                    relay
                        .to_agent
                        .send(say(exec_container_request::Request::Stdin(b"x\n".to_vec())))
                        .await
                        .unwrap();
                }
            }
            assert!(out.contains("got x"), "{id}: {out}");
            assert_eq!(code, Some(5), "{id}: {out}");
        }

        // On a terminal all bytes are the command's, also those that look like Docker's frames.
        let request = ExecRequest {
            id: "raw".into(),
            endpoint_id: 1,
            command: ["sh", "-c", "printf '\\002\\000\\000\\000\\377\\377\\377\\377end'; exit 6"]
                .map(str::to_owned)
                .to_vec(),
            terminal: Some(TerminalSize { rows: 24, columns: 80 }),
        };
        world.session.send(controller_message::Message::Exec(request)).await;
        let (out, code) = output(&mut world.controller.relay().await).await;
        assert_eq!((out.as_slice(), code), (b"\x02\0\0\0\xff\xff\xff\xffend".as_slice(), 6));

        let usages = world.controller.stats(&world.session, &[1, 9]).await;
        let usage = usages[&1];
        assert!(usage.cpu_us > Some(0) && usage.memory_bytes > Some(0), "{usage:?}");
        // Docker's own init, and what it runs.
        assert_eq!((usage.processes, usages[&9].processes), (Some(2), None), "{usage:?}");

        let request = LogRequest { id: "l1".into(), endpoint_id: 1, ..LogRequest::default() };
        world.session.send(controller_message::Message::Log(request)).await;
        let mut log = world.controller.log().await;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        while let Some(message) = soon("the log", log.next()).await {
            match message.unwrap().request.unwrap() {
                relay_log_request::Request::Output(output) => match output.output.unwrap() {
                    log_container_response::Output::Stdout(bytes) => out.extend(bytes),
                    log_container_response::Output::Stderr(bytes) => err.extend(bytes),
                },
                relay_log_request::Request::Failed(why) => panic!("{why}"),
                relay_log_request::Request::Id(id) => assert_eq!(id, "l1"),
            }
        }
        assert_eq!((out.as_slice(), err.as_slice()), (b"out\n".as_slice(), b"err\n".as_slice()));
    });
}
