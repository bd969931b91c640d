//! The whole agent: its binary, a real ovsdb-server and ovs-vswitchd, the kernel, and a controller played by the test.

// All of this file is a test, also what stands outside of the test functions.
#![allow(clippy::unwrap_used)]

mod ovs;
mod support;

#[path = "support/controller.rs"]
mod controller;
#[path = "support/node.rs"]
mod node;

use std::{io::Write, process::Command, time::Duration};

use controller::{Controller, Session, soon};
use node::{Node, TARGET, endpoint, reported};
use ovs::has_ovs;
use support::{exists, in_sandbox, run, until};
use tokio_stream::StreamExt;
use weir_api::v1::{
    Desired, DesiredEndpoint, ExecContainerRequest, ExecRequest, RemovedEndpoint, agent_message::Message,
    controller_message, endpoint_report::State, exec_container_request, exec_container_response,
    relay_exec_request,
};

fn desired(
    revision: u64,
    complete: bool,
    endpoints: &[(u32, u32)],
    removed: &[u32],
) -> controller_message::Message {
    controller_message::Message::Desired(Desired {
        revision,
        complete,
        endpoints: endpoints.iter().map(|(id, ofport)| endpoint(*id, *ofport)).collect(),
        removed: removed
            .iter()
            .map(|id| RemovedEndpoint { endpoint_id: *id, runtime: "netns".into() })
            .collect(),
    })
}

async fn up(session: &mut Session, revision: u64, ids: &[u32]) {
    let inventory = session.inventory(revision).await;
    let listed: Vec<_> = inventory.endpoints.iter().map(|one| (one.endpoint_id, one.state())).collect();
    let wanted: Vec<_> = ids.iter().map(|id| (*id, State::Up)).collect();
    assert_eq!(listed, wanted, "{inventory:?}");
}

/// A node with two endpoints that reach each other, and the controller it is attached to.
async fn with_two_endpoints() -> (Node, Controller, Session) {
    let mut node = Node::start();
    let mut controller = node.controller();
    node.start_agent();
    let (mut session, register) = controller.accept().await;
    assert_eq!((register.pool.as_str(), register.name.as_str()), ("pool2", "n1"));
    assert_eq!(register.tunnel_address, "172.31.0.1");
    assert_eq!(register.labels["rack"], "r1");
    session.register(TARGET).await;
    session.send(desired(1, true, &[(1, 1024), (2, 1025)], &[])).await;
    up(&mut session, 1, &[1, 2]).await;
    let dpid = node.database.vsctl("get bridge br-int datapath_id");
    assert_eq!(dpid, format!("\"{:016x}\"", register.datapath_id));
    node.let_everything_through().await;
    (node, controller, session)
}

fn ping(from: u32, to: u32) -> bool {
    let command = format!("netns exec weir-{from} ping -q -c 1 -W 1 10.1.0.{to}");
    Command::new("ip").args(command.split(' ')).output().unwrap().status.success()
}

#[test]
fn plugs_what_is_desired_and_removes_what_is_not() {
    if !has_ovs(true) {
        return;
    }
    in_sandbox(async || {
        let (node, _controller, mut session) = with_two_endpoints().await;
        assert_eq!(
            (node.interface("we1024", "ofport"), node.interface("we1025", "ofport")),
            ("1024".into(), "1025".into())
        );
        assert_eq!(node.interface("we1024", "external_ids:weir-endpoint"), "\"1\"");
        assert_eq!(node.interface("we1024", "external_ids:weir-container"), "c1");
        assert_eq!(node.database.vsctl("get-controller br-int"), TARGET);
        until("the tunnel address", Duration::from_secs(5), async || {
            run("ip address show dev br-phy").contains("172.31.0.1/24").then_some(())
        })
        .await;
        assert!(ping(1, 2) && ping(2, 1), "real packets pass");

        // A port number that is in use, and one that comes instead of it.
        node.database
            .vsctl_wait("add-port br-int other -- set interface other type=internal ofport_request=1030");
        session
            .until("the foreign port", |message| match message {
                Message::Node(node) if node.foreign_ofports == [1030] => Some(()),
                _ => None,
            })
            .await;
        session.send(desired(2, false, &[(3, 1030)], &[])).await;
        let why = reported(&mut session, 3, State::OfportTaken).await;
        assert!(why.contains("taken"), "{why}");
        assert!(!exists("/run/netns/weir-3") && !exists("/sys/class/net/we1030"), "everything is gone again");
        session.send(desired(3, false, &[(3, 1031)], &[])).await;
        reported(&mut session, 3, State::Up).await;
        assert_eq!(node.interface("we1031", "ofport"), "1031");

        // Not an endpoint, and an unknown runtime.
        let mut bad = endpoint(4, 1040);
        bad.runtime = "vm".into();
        let mut worse = endpoint(5, 7);
        worse.mac = String::new();
        let wanted = Desired { revision: 4, endpoints: vec![bad, worse], ..Default::default() };
        session.send(controller_message::Message::Desired(wanted)).await;
        assert!(reported(&mut session, 4, State::Failed).await.contains("vm"));
        reported(&mut session, 5, State::Failed).await;

        session.send(desired(5, false, &[], &[1, 77])).await;
        let mut gone = vec![removed(&mut session).await, removed(&mut session).await];
        gone.sort_unstable();
        assert_eq!(gone, [1, 77], "also what never was");
        assert!(!exists("/run/netns/weir-1") && !exists("/sys/class/net/we1024"));
        let ports = node.database.vsctl("list-ports br-int");
        assert!(!ports.contains("we1024") && ports.contains("we1025"), "{ports}");

        // Leftovers of an earlier life: a namespace and a port.
        run("ip netns add weir-99");
        run("ip link add we1999 type veth peer name x");
        node.database
            .vsctl_wait("add-port br-int we1999 -- set interface we1999 external_ids:weir-endpoint=98");
        session.send(desired(6, true, &[], &[])).await;
        up(&mut session, 6, &[]).await;
        assert_eq!(run("ip netns list").trim(), "");
        assert_eq!(node.database.vsctl("list-ports br-int"), "other\nuplink\nvxlan");
    });
}

async fn removed(session: &mut Session) -> u32 {
    session
        .until("a removal", |message| match message {
            Message::Endpoint(report) if report.state() == State::Removed => Some(report.endpoint_id),
            _ => None,
        })
        .await
}

#[test]
fn a_killed_agent_takes_everything_over_untouched() {
    if !has_ovs(true) {
        return;
    }
    in_sandbox(async || {
        let (mut node, mut controller, session) = with_two_endpoints().await;
        let before = (node.fingerprint(1, 1024), node.fingerprint(2, 1025));
        let pings = "netns exec weir-1 ping -q -i 0.01 -c 200 -W 1 10.1.0.2";
        let pings =
            Command::new("ip").args(pings.split(' ')).stdout(std::process::Stdio::piped()).spawn().unwrap();
        node.start_agent();
        drop(session);
        let (mut session, _) = controller.accept().await;
        session.register(TARGET).await;
        session.send(desired(2, true, &[(1, 1024), (2, 1025)], &[])).await;
        up(&mut session, 2, &[1, 2]).await;
        assert_eq!((node.fingerprint(1, 1024), node.fingerprint(2, 1025)), before);
        let output = tokio::task::spawn_blocking(|| pings.wait_with_output().unwrap()).await.unwrap();
        let output = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.contains(" 0% packet loss"), "{output}");

        let log = std::fs::read_to_string(node.path("agent.log")).unwrap();
        assert!(log.contains("weir-agent"));
        let pid = node.agent.as_ref().unwrap().id();
        run(&format!("kill -TERM {pid}"));
        let status = node.agent.as_mut().unwrap().wait();
        assert!(status.success(), "{status}");
        assert!(ping(1, 2), "the endpoints stay when the agent ends");
        assert_eq!((node.fingerprint(1, 1024), node.fingerprint(2, 1025)), before);
    });
}

#[test]
fn a_controller_that_vanishes_or_talks_garbage_harms_nothing() {
    if !has_ovs(true) {
        return;
    }
    in_sandbox(async || {
        let (mut node, controller, session) = with_two_endpoints().await;
        let before = (node.fingerprint(1, 1024), node.fingerprint(2, 1025));
        drop((session, controller));
        let socket = node.path("weir.sock");

        std::fs::remove_file(&socket).unwrap();
        let garbage = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let spoken = tokio::task::spawn_blocking(move || {
            for _ in 0..3 {
                let (mut stream, _) = garbage.accept().unwrap();
                // It may hang up before it has read all of this.
                drop(stream.write_all(&[0xff; 4096]));
            }
        });
        soon("three attempts", spoken).await.unwrap();

        let mut controller = node.controller();
        let (session, _) = controller.accept().await;
        session.send(desired(1, true, &[], &[])).await;
        let (mut session, _) = controller.accept().await;
        session.register("nonsense").await;
        soon("the stream is given up", async {
            while session.from_agent.next().await.is_some_and(|one| one.is_ok()) {}
        })
        .await;
        assert!(ping(1, 2));

        // Without a controller at all, a restarted agent knows the switch's controllers and keeps all.
        drop((session, controller));
        node.start_agent();
        until("the agent has looked at the bridges", Duration::from_secs(10), async || {
            std::fs::read_to_string(node.path("agent.log"))
                .unwrap()
                .matches("ovs-vswitchd's offloads")
                .nth(1)
                .map(drop)
        })
        .await;
        assert_eq!(node.database.vsctl("get-controller br-int"), TARGET);
        let mut controller = node.controller();
        let (mut session, _) = controller.accept().await;
        session.register(TARGET).await;
        session.send(desired(2, true, &[(1, 1024), (2, 1025)], &[])).await;
        up(&mut session, 2, &[1, 2]).await;
        assert!(ping(1, 2));
        assert_eq!((node.fingerprint(1, 1024), node.fingerprint(2, 1025)), before);
    });
}

#[test]
fn heals_after_the_switch_or_the_database_died() {
    if !has_ovs(true) {
        return;
    }
    in_sandbox(async || {
        let (mut node, _controller, mut session) = with_two_endpoints().await;
        node.database.kill();
        session
            .until("the problem is told", |message| match message {
                Message::Node(node) if node.problems.iter().any(|text| text.contains("OVSDB")) => Some(()),
                _ => None,
            })
            .await;
        // The userspace datapath reads its ports in a loop that stands still without a database: nothing can pass now.
        session.send(desired(2, false, &[(3, 1026)], &[2])).await;
        let untouched = node.links_of(1, 1024);
        node.database.restart();
        reported(&mut session, 3, State::Up).await;
        until("packets pass", Duration::from_secs(10), async || ping(1, 3).then_some(())).await;
        assert_eq!(node.links_of(1, 1024), untouched);
        until("2 is gone", Duration::from_secs(10), async || (!exists("/run/netns/weir-2")).then_some(()))
            .await;

        node.start_switch();
        until("the tunnel address is back", Duration::from_secs(10), async || {
            let shown = Command::new("ip").args(["address", "show", "dev", "br-phy"]).output().unwrap();
            String::from_utf8_lossy(&shown.stdout).contains("172.31.0.1/24").then_some(())
        })
        .await;
        until("the port numbers are back", Duration::from_secs(10), async || {
            (node.interface("we1024", "ofport") == "1024" && node.interface("we1026", "ofport") == "1026")
                .then_some(())
        })
        .await;
        node.let_everything_through().await;
        until("packets pass", Duration::from_secs(10), async || ping(1, 3).then_some(())).await;

        // Somebody takes a container's interface away.
        run("ip link delete we1024");
        until("packets pass again", Duration::from_secs(10), async || ping(1, 3).then_some(())).await;
    });
}

#[test]
fn endpoints_leave_checksums_out_only_while_the_switch_computes_them() {
    if !has_ovs(true) {
        return;
    }
    in_sandbox(async || {
        let mut node = Node::start();
        let mut controller = node.controller();
        let offloads = |id: u32| {
            run(&format!("ip netns exec weir-{id} ethtool -k eth0")).contains("tx-checksumming: on")
        };
        let _first = attach_with_mixed(&mut node, &mut controller, false).await;
        assert!(!offloads(1) && !offloads(2), "nobody has asked the switch");
        let _second = attach_with_mixed(&mut node, &mut controller, true).await;
        assert!(!offloads(1) && !offloads(2), "the switch has opened its ports without");
        node.start_switch();
        until("the new one computes checksums", Duration::from_secs(10), async || offloads(1).then_some(()))
            .await;
        assert!(!offloads(2), "no tunnel carries what has no checksum");
        // The agent that wants it would put it back.
        node.agent = None;
        node.database.vsctl("set open_vswitch . other_config:userspace-tso-enable=false");
        let _third = attach_with_mixed(&mut node, &mut controller, false).await;
        assert!(offloads(1), "the switch still computes them");
        node.start_switch();
        until("they are computed inside again", Duration::from_secs(10), async || {
            (!offloads(1)).then_some(())
        })
        .await;
    });
}

/// Starts the agent, with endpoint 1 on a network without tunnels and 2 on one with.
async fn attach_with_mixed(node: &mut Node, controller: &mut Controller, tso: bool) -> Session {
    node.tso = tso;
    node.start_agent();
    let (mut session, _) = controller.accept().await;
    session.register(TARGET).await;
    let bare = DesiredEndpoint { tunnelled: false, ..endpoint(1, 1024) };
    let endpoints = vec![bare, endpoint(2, 1025)];
    let wanted = Desired { revision: 1, complete: true, endpoints, removed: Vec::new() };
    session.send(controller_message::Message::Desired(wanted)).await;
    up(&mut session, 1, &[1, 2]).await;
    session
}

#[test]
fn relays_commands_from_the_controller() {
    if !has_ovs(true) {
        return;
    }
    in_sandbox(async || {
        let (_node, mut controller, session) = with_two_endpoints().await;
        let exec = |id: &str, endpoint_id, command: &[&str]| {
            controller_message::Message::Exec(ExecRequest {
                id: id.into(),
                endpoint_id,
                command: command.iter().map(|&word| word.to_owned()).collect(),
                terminal: None,
            })
        };
        session.send(exec("e1", 1, &["sh", "-c", "cat; cat /sys/class/net/eth0/address >&2; exit 4"])).await;
        let mut relay = controller.relay().await;
        let say = |request| ExecContainerRequest { request: Some(request) };
        let input = exec_container_request::Request::Stdin(b"hello".to_vec());
        relay.to_agent.send(Ok(say(input))).await.unwrap();
        relay.to_agent.send(Ok(say(exec_container_request::Request::StdinClosed(true)))).await.unwrap();
        let (mut id, mut out, mut err, mut code) = (None, Vec::new(), Vec::new(), None);
        while code.is_none() {
            let message = soon("output", relay.from_agent.next()).await.unwrap().unwrap();
            match message.request.unwrap() {
                relay_exec_request::Request::Id(said) => id = Some(said),
                relay_exec_request::Request::Output(output) => match output.response.unwrap() {
                    exec_container_response::Response::Stdout(bytes) => out.extend(bytes),
                    exec_container_response::Response::Stderr(bytes) => err.extend(bytes),
                    exec_container_response::Response::ExitCode(exit) => code = Some(exit),
                },
                relay_exec_request::Request::Failed(why) => panic!("{why}"),
            }
        }
        assert_eq!((id.as_deref(), out.as_slice(), code), (Some("e1"), b"hello".as_slice(), Some(4)));
        assert_eq!(err, b"02:42:0a:01:00:01\n");
        drop(relay);

        session.send(exec("e2", 42, &["true"])).await;
        let relay = controller.relay().await;
        let messages: Vec<_> = soon("the refusal", relay.from_agent.take(2).collect::<Vec<_>>()).await;
        let refusal = messages[1].as_ref().unwrap().request.clone().unwrap();
        assert!(matches!(refusal, relay_exec_request::Request::Failed(_)), "{refusal:?}");

        session.send(exec("e3", 1, &["sleep", "1000"])).await;
        let relay = controller.relay().await;
        until("it runs", Duration::from_secs(5), async || {
            (!run("ip netns pids weir-1").is_empty()).then_some(())
        })
        .await;
        drop(relay);
        until("it is killed", Duration::from_secs(5), async || {
            run("ip netns pids weir-1").is_empty().then_some(())
        })
        .await;
    });
}

#[test]
fn tells_what_endpoints_use_as_far_as_it_is_known() {
    if !has_ovs(true) {
        return;
    }
    in_sandbox(async || {
        let (mut node, mut controller, session) = with_two_endpoints().await;
        assert!(ping(1, 2));
        // Open vSwitch writes its counters down every 5 s.
        let usages = until("traffic is counted", Duration::from_secs(15), async || {
            let usages = controller.stats(&session, &[1, 2, 77]).await;
            usages.get(&1).is_some_and(|usage| usage.sent_bytes > Some(0)).then_some(usages)
        })
        .await;
        assert_eq!(usages.len(), 2, "there is no endpoint 77: {usages:?}");
        assert!(usages[&2].received_bytes > Some(0), "{usages:?}");
        assert_eq!((usages[&1].cpu_us, usages[&1].memory_bytes), (None, None), "it has no processes");
        assert!(usages[&1].time.is_some(), "{usages:?}");

        // Without a database there is no traffic, and still an answer.
        node.database.kill();
        until("the traffic is not known", Duration::from_secs(10), async || {
            let usages = controller.stats(&session, &[1]).await;
            usages[&1].sent_bytes.is_none().then_some(())
        })
        .await;
    });
}
