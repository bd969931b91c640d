//! Namespaces and interfaces of endpoints against the real kernel: made, found again, put right, run in, removed.

// All of this file is a test, also what stands outside of the test functions.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use ovsdb_agent::{
    link::{InterfaceAddress, Links, Underlay, keep_underlay},
    runtime::{EndpointSpec, ProcessEvent, Sandboxes},
};
use support::{exists, in_sandbox, run, until};
use tokio::sync::watch;

fn spec(id: u32) -> EndpointSpec {
    EndpointSpec {
        id,
        pool: "pool".into(),
        container: format!("c{id}"),
        network: "net".into(),
        program: None,
        is_plain: false,
        flows_revision: 0,
        mac: format!("02:42:0a:01:00:{id:02x}").parse().unwrap(),
        address: InterfaceAddress {
            address: format!("10.1.0.{id}/24").parse().unwrap(),
            gateway: Some("10.1.0.254".parse().unwrap()),
        },
        mtu: 1450,
        ofport: u16::try_from(1024 + id).unwrap(),
        tunnelled: false,
    }
}

async fn make(runtime: &Sandboxes, spec: &EndpointSpec, offload: bool) -> bool {
    runtime.prepare(spec, None).await.unwrap();
    runtime.configure(spec, offload).await.unwrap()
}

#[test]
fn makes_an_endpoint_that_ip_netns_can_use() {
    in_sandbox(async || {
        let runtime = Sandboxes::new().unwrap();
        assert!(make(&runtime, &spec(5), false).await);
        let link = run("ip netns exec weir-5 ip -d link show eth0");
        assert!(link.contains("02:42:0a:01:00:05") && link.contains("mtu 1450"), "{link}");
        assert!(link.contains("state UP"), "{link}");
        assert!(run("ip -n weir-5 -4 address show dev eth0").contains("10.1.0.5/24"));
        assert!(run("ip -n weir-5 route").contains("default via 10.1.0.254 dev eth0"));
        assert!(run("ip -n weir-5 link show lo").contains("LOOPBACK,UP"));
        let offload = run("ip netns exec weir-5 ethtool -k eth0");
        assert!(offload.contains("tx-checksumming: off"), "{offload}");
        assert!(offload.contains("tx-tcp-segmentation: off"), "{offload}");
        let host = run("ip -d link show we1029");
        assert!(host.contains("NOARP,UP") && host.contains("alias weir endpoint 5"), "{host}");
        assert_eq!(run("ip -6 address show dev we1029"), "", "the host must not be there in IPv6");
        assert_eq!(run("cat /proc/sys/net/ipv4/conf/we1029/rp_filter").trim(), "1");
        assert_eq!(runtime.list().await.unwrap(), [5]);
        runtime.remove(5).await.unwrap();
        assert_eq!(runtime.list().await.unwrap(), [0u32; 0]);
        assert!(!exists("/run/netns/weir-5"));
        assert!(Links::open().unwrap().find("we1029").await.unwrap().is_none());
        runtime.remove(5).await.unwrap();
    });
}

#[test]
fn touches_nothing_that_is_right_and_puts_right_what_is_not() {
    in_sandbox(async || {
        let runtime = Sandboxes::new().unwrap();
        make(&runtime, &spec(6), true).await;
        let index = Links::open().unwrap().require("we1030").await.unwrap().index;
        let again = Sandboxes::new().unwrap();
        assert!(!make(&again, &spec(6), true).await, "nothing to be changed");
        assert_eq!(Links::open().unwrap().require("we1030").await.unwrap().index, index);
        assert!(make(&again, &spec(6), false).await, "offloads off");

        run("ip -n weir-6 address flush dev eth0");
        run("ip -n weir-6 link set eth0 mtu 1200");
        run("ip -n weir-6 address add 10.9.9.9/8 dev eth0");
        run("ip -n weir-6 link set eth0 down");
        assert!(make(&again, &spec(6), false).await);
        assert!(!make(&again, &spec(6), false).await);
        let addresses = run("ip -n weir-6 -4 address show dev eth0");
        assert!(addresses.contains("10.1.0.6/24") && !addresses.contains("10.9.9.9"), "{addresses}");
        assert!(addresses.contains("mtu 1450"));
        assert!(run("ip -n weir-6 route").contains("default via 10.1.0.254"));
    });
}

#[test]
fn takes_over_what_a_killed_agent_left() {
    in_sandbox(async || {
        let runtime = Sandboxes::new().unwrap();
        std::fs::create_dir_all("/run/netns").unwrap();
        std::fs::write("/run/netns/weir-7", "").unwrap();
        run("ip link add we1031 type veth peer name other");
        run("ip link set we1031 alias somebody");
        assert_eq!(runtime.list().await.unwrap(), [7], "a name without a namespace counts");
        let refused = runtime.prepare(&spec(7), None).await.unwrap_err().to_string();
        assert!(refused.contains("we1031 is in the way"), "{refused}");
        run("ip link delete we1031");
        make(&runtime, &spec(7), false).await;
        // The namespace's name is lost, the namespace lives on with a process: the pair must be made anew.
        let sleeper =
            std::process::Command::new("ip").args(["netns", "exec", "weir-7", "sleep", "1000"]).spawn();
        let mut sleeper = sleeper.unwrap();
        until("the process is inside", Duration::from_secs(5), async || {
            run("ip netns pids weir-7").contains(&sleeper.id().to_string()).then_some(())
        })
        .await;
        run("ip netns delete weir-7");
        make(&runtime, &spec(7), false).await;
        assert!(run("ip -n weir-7 link show eth0").contains("state UP"));
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        runtime.remove(7).await.unwrap();
    });
}

#[test]
fn runs_commands_inside_and_kills_those_nobody_waits_for() {
    in_sandbox(async || {
        let runtime = Sandboxes::new().unwrap();
        make(&runtime, &spec(8), false).await;
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut process = runtime
            .exec(8, &words("sh -c cat;ls${IFS}/sys/class/net;echo${IFS}no>&2;exit${IFS}3"), None)
            .await
            .unwrap();
        process.input.take().unwrap().send(b"in".to_vec()).await.unwrap();
        let (mut out, mut err, mut code) = (Vec::new(), Vec::new(), None);
        while let Some(event) = process.next().await {
            match event {
                ProcessEvent::Stdout(bytes) => out.extend(bytes),
                ProcessEvent::Stderr(bytes) => err.extend(bytes),
                ProcessEvent::Exit(exit) => code = Some(exit),
            }
        }
        let out = String::from_utf8(out).unwrap();
        assert!(out.starts_with("in") && out.contains("eth0") && !out.contains("we1032"), "{out}");
        assert_eq!((err.as_slice(), code), (b"no\n".as_slice(), Some(3)));

        let process = runtime.exec(8, &words("sleep 1000"), None).await.unwrap();
        assert!(!run("ip netns pids weir-8").is_empty());
        drop(process);
        until("it is killed", Duration::from_secs(5), async || {
            run("ip netns pids weir-8").is_empty().then_some(())
        })
        .await;
        let refused = runtime.exec(8, &words("no-such-program"), None).await.unwrap_err().to_string();
        assert!(refused.contains("no-such-program"), "{refused}");
        assert!(runtime.exec(9, &words("true"), None).await.is_err());
        assert!(runtime.exec(8, &[], None).await.is_err());
        runtime.remove(8).await.unwrap();
    });
}

#[test]
fn keeps_the_tunnel_address_on_a_link_that_comes_and_goes() {
    in_sandbox(async || {
        run("ip link add nic type veth peer name wire");
        let underlay = Underlay {
            link: "br-phy".into(),
            nic: "nic".into(),
            address: "172.31.0.1/24".parse().unwrap(),
            takes: false,
        };
        let (_offload, offload) = watch::channel(false);
        let (problem, mut problems) = watch::channel(None);
        let keeper = tokio::spawn(keep_underlay(underlay, offload, problem));
        let found = |present: &Option<String>| present.is_some();
        assert!(problems.wait_for(found).await.unwrap().as_deref().unwrap().contains("br-phy"));
        for _ in 0..3 {
            run("ip tuntap add br-phy mode tap");
            let back = Instant::now();
            tokio::time::timeout(Duration::from_secs(2), problems.wait_for(Option::is_none))
                .await
                .unwrap()
                .unwrap();
            let addresses = run("ip address show dev br-phy");
            assert!(addresses.contains("172.31.0.1/24") && addresses.contains(",UP"), "{addresses}");
            println!("address back after {:?}", back.elapsed());
            run("ip tuntap del br-phy mode tap");
            problems.wait_for(found).await.unwrap();
        }
        run("ip tuntap add br-phy mode tap");
        problems.wait_for(Option::is_none).await.unwrap();
        run("ip address add 192.168.7.1/24 dev nic");
        until("a NIC with an address of its own is told", Duration::from_secs(2), async || {
            problems.borrow().as_deref().is_some_and(|text| text.contains("192.168.7.1/24")).then_some(())
        })
        .await;
        run("ip address flush dev nic");
        problems.wait_for(Option::is_none).await.unwrap();
        run("ip address flush dev br-phy");
        until("the address is back", Duration::from_secs(2), async || {
            run("ip address show dev br-phy").contains("172.31.0.1/24").then_some(())
        })
        .await;
        keeper.abort();
    });
}

#[test]
fn makes_an_interface_in_a_few_milliseconds() {
    in_sandbox(async || {
        let runtime = Sandboxes::new().unwrap();
        let mut times: Vec<Duration> = Vec::new();
        for id in 1..=20 {
            let started = Instant::now();
            make(&runtime, &spec(id), false).await;
            times.push(started.elapsed());
        }
        times.sort_unstable();
        println!("an interface with its namespace: median {:?}, worst {:?}", times[10], times[19]);
        assert_eq!(runtime.list().await.unwrap().len(), 20);
        for id in 1..=20 {
            runtime.remove(id).await.unwrap();
        }
    });
}
