//! An endpoint that floods its node with ARP: its meter drops it in the datapath, and the others do not notice.
//!
//! Needs root and Open vSwitch; says so and passes without.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod support;

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use flowlib::compile::meters;
use labs::capture::{Capture, send};
use labs::ovs::Ovs;
use labs::ping::Ping;
use support::{Arp, System, VIRTUAL_MAC, vlan};

const PATIENCE: Duration = Duration::from_secs(10);
const FLOOD: u32 = 20_000;

#[test]
fn a_flood_of_arp_costs_few_upcalls_whatever_it_asks_and_disturbs_nobody() {
    let Some(system) = System::up("fld") else { return };
    system.network(vlan("lan"));
    let (flooder, other) = (system.create("flooder", "lan/n1"), system.create("other", "lan/n1"));
    let remote = system.create("remote", "lan/n2");
    let switch = system.lab.node("n1").unwrap();
    let ping = Ping::start(&other.place, &remote.address.to_string()).unwrap();
    ping.wait_for_replies(50, PATIENCE).unwrap();

    let same = Arp::request(flooder.mac, flooder.address, remote.address);
    let any = |n: u32| Ipv4Addr::from(0x0a00_0000 + n);
    let floods: [(&str, Vec<Arp>); 3] = [
        ("the same question", (0..FLOOD).map(|_| same).collect()),
        ("one for each address", (0..FLOOD).map(|n| Arp { target: any(n), ..same }).collect()),
        ("lies of all kinds", (0..FLOOD).map(|n| Arp { sender: any(n), target: any(n), ..same }).collect()),
    ];
    for (what, flood) in floods {
        let frames: Vec<Vec<u8>> = flood.into_iter().map(Arp::frame).collect();
        let (before, begun) = (Upcalls::of(&switch), Instant::now());
        for part in frames.chunks(1000) {
            send(&flooder.place, "eth0", part).unwrap();
        }
        let after = Upcalls::of(&switch);
        let most = allowed(begun.elapsed());
        let (missed, answered) = (after.missed - before.missed, after.answered - before.answered);
        eprintln!("{what}: {FLOOD} asked, {missed} missed, {answered} answered, {most} let through at most");
        assert!(missed + answered <= most, "{what}: {missed} missed, {answered} answered, not {most}");
    }

    let heard = Capture::on_interface(&other.place, "eth0").unwrap();
    send(&other.place, "eth0", &[Arp::request(other.mac, other.address, remote.address).frame()]).unwrap();
    let answer = || {
        let mut arp = heard.summaries().into_iter().filter_map(|s| s.arp().cloned());
        Ok(arp.any(|arp| arp.operation == 2 && arp.sender_mac.octets() == VIRTUAL_MAC).then_some(()))
    };
    system.lab.wait_until(PATIENCE, "another endpoint to be answered", answer).unwrap();
    let report = ping.stop().unwrap();
    assert!(report.lost.is_empty(), "{report:?}");
}

/// What ovs-vswitchd was asked by its datapath.
struct Upcalls {
    /// Packets unlike those before them.
    missed: u64,
    /// Requests of endpoints for an address of their network.
    answered: u64,
}

impl Upcalls {
    fn of(switch: &Ovs) -> Upcalls {
        let shown = switch.appctl(["dpctl/show"]).unwrap();
        let number = |text: &str, key: &str| {
            let rest = text.split(key).nth(1).unwrap_or_else(|| panic!("no {key} in {text}"));
            rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
        };
        let flows = switch.ofctl("dump-flows", "br-int", ["--no-names", "table=3,arp,reg1=1"]).unwrap();
        let answers = flows.lines().filter(|line| line.contains("arp_op=1"));
        Upcalls {
            missed: number(&shown, "missed:"),
            answered: answers.map(|line| number(line, "n_packets=")).sum(),
        }
    }
}

/// What the meter of one endpoint lets through, and the packets of others that miss meanwhile.
fn allowed(time: Duration) -> u64 {
    let of_an_endpoint = meters().pop().unwrap();
    let band = of_an_endpoint.bands.first().unwrap().clone();
    let seconds = time.as_secs() + 2;
    // A packet that is let through may miss twice: before the group and behind it.
    2 * (u64::from(band.burst) + u64::from(band.rate) * seconds) + 200
}
