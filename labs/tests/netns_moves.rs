//! What the fabric has to unlearn and what it must not forget: an address that moves, and a receiver that never speaks.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use labs::capture::{Capture, Direction, Payload, Summary};
use labs::ping::Ping;
use support::{System, inside, reaches, vlan};

#[test]
fn an_address_that_moves_is_away_for_at_most_300_ms() {
    const EVERY: Duration = Duration::from_millis(5);
    let Some(system) = System::up("move") else { return };
    system.network(vlan("lan"));
    let peer = system.create("peer", "lan/n3");
    let mover = system.create("mover", "lan/n1");
    let address = mover.address.to_string();
    for node in ["n2", "n1", "n3"] {
        let pings = [("gw", system.place("gw")), ("peer", peer.place.clone())]
            .map(|(from, place)| (from, Ping::start_every(&place, &address, EVERY).unwrap()));
        for (_, ping) in &pings {
            ping.wait_for_replies(20, Duration::from_secs(5)).unwrap();
        }
        let moved = system.move_to("mover", node);
        assert_eq!((moved.node.as_str(), moved.address, moved.mac), (node, mover.address, mover.mac));
        for (from, ping) in pings {
            ping.wait_for_replies(100, Duration::from_secs(10)).unwrap();
            let report = ping.stop().unwrap();
            println!(
                "to {node}: {from} lost {} of {}, longest gap {:?}",
                report.lost.len(),
                report.sent,
                report.longest_gap
            );
            assert!(report.longest_gap <= Duration::from_millis(300), "{from}, to {node}: {report:?}");
            assert!(report.lost.len() <= 60, "{from}, to {node}: {report:?}");
        }
        assert!(reaches(&moved.place, peer.address), "from {node}");
    }
}

#[test]
fn a_receiver_that_never_sends_is_not_flooded_for() {
    const TRAFFIC: Duration = Duration::from_secs(33);
    const PORT: u16 = 4000;
    let quick = |topology: &mut labs::Topology| {
        topology.switch.mac_ageing = Duration::from_secs(15);
        topology.controller.as_mut().unwrap().args.extend(["--mac-refresh".to_owned(), "5s".to_owned()]);
    };
    let Some(system) = System::up_with("silent", quick) else { return };
    system.network(vlan("lan"));
    let sender = system.create("sender", "lan/n1");
    let receiver = system.create("receiver", "lan/n2");
    let bystanders = ["n3", "bare", "gw"]
        .map(|name| (name, Capture::on_port(&system.lab, name, Direction::ToMachine).unwrap()));

    // Without a socket its kernel would answer that the port is closed.
    let socket = inside(&receiver.place, || UdpSocket::bind(("0.0.0.0", PORT)).unwrap());
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let from = inside(&sender.place, || UdpSocket::bind("0.0.0.0:0").unwrap());
    let done = AtomicBool::new(false);
    let (sent, received) = std::thread::scope(|scope| {
        let received = scope.spawn(|| {
            let mut n = 0_u32;
            let mut buffer = [0; 64];
            loop {
                match socket.recv(&mut buffer) {
                    Ok(_) => n += 1,
                    Err(_) if done.load(Ordering::Acquire) => return n,
                    Err(_) => {}
                }
            }
        });
        let (begun, mut sent) = (Instant::now(), 0_u32);
        while begun.elapsed() < TRAFFIC {
            from.send_to(b"one way", (receiver.address, PORT)).unwrap();
            sent += 1;
            std::thread::park_timeout(Duration::from_millis(10));
        }
        done.store(true, Ordering::Release);
        (sent, received.join().unwrap())
    });
    assert_eq!(received, sent);
    assert!(sent > 1000, "{sent}");
    for (name, capture) in bystanders {
        let ours = |s: &Summary| matches!(s.payload, Payload::Ipv4 { ports: Some((_, PORT)), .. });
        let flooded = capture.stop().into_iter().filter_map(|f| f.summary()).filter(ours).count();
        assert_eq!(flooded, 0, "{flooded} of {sent} packets were flooded to {name}");
    }
}
