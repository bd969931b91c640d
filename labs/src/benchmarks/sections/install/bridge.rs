//! A bridge of its own beside a node's, with two namespaces that ping each other through it.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Stdio};

use anyhow::{Context, anyhow};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Lab;
use crate::ovs::Ovs;
use crate::place::Place;

const BRIDGE: &str = "br-install";
/// Its datapath id.
pub(super) const DATAPATH: u64 = 0x5157;
const PEER: &str = "10.99.0.2";

/// The bridge. Taking the lab down removes all of it.
pub(super) struct Bridge {
    ovs: Ovs,
    place: Place,
}

/// What pings felt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Felt {
    pub(super) max_ms: f64,
    pub(super) sent: u32,
    pub(super) answered: u32,
}

/// Pings that go on until they are asked how it went.
pub(super) struct Pings(Child);

impl Bridge {
    pub(super) fn open(lab: &Lab, node: &str) -> anyhow::Result<Bridge> {
        let bridge = Bridge { ovs: lab.node(node)?, place: lab.place(node)? };
        let datapath = format!("other-config:datapath-id={DATAPATH:016x}");
        let set = [
            "--",
            "set",
            "Bridge",
            BRIDGE,
            "datapath_type=netdev",
            "fail_mode=secure",
            "protocols=OpenFlow13",
        ];
        bridge.ovs.vsctl(
            [&["add-br", BRIDGE][..], &set, &["other-config:disable-in-band=true", &datapath]].concat(),
        )?;
        for (n, address) in [("1", "10.99.0.1/24"), ("2", "10.99.0.2/24")] {
            let (space, port, inner) = (format!("install{n}"), format!("wi{n}"), format!("wi{n}-in"));
            bridge.ip(&["netns", "add", &space])?;
            bridge.ip(&["link", "add", &port, "type", "veth", "peer", "name", &inner, "netns", &space])?;
            bridge.ip(&["link", "set", &port, "up"])?;
            bridge.ip(&["-n", &space, "link", "set", &inner, "up"])?;
            bridge.ip(&["-n", &space, "address", "add", address, "dev", &inner])?;
            bridge.place.run(["ip", "netns", "exec", &space, "ethtool", "-K", &inner, "tx", "off"])?;
            bridge.ovs.vsctl(["add-port", BRIDGE, &port])?;
        }
        Ok(bridge)
    }

    /// Empties its tables, and has it connect to whoever gets the listener, which is in the node's namespace and does not
    /// block.
    pub(super) fn connect(&self) -> anyhow::Result<TcpListener> {
        self.ovs.vsctl(["del-controller", BRIDGE])?;
        self.ovs.ofctl("del-flows", BRIDGE, [""; 0])?;
        let namespace = File::open(self.place.namespace())?;
        // A thread of its own: it ends in the namespace it entered.
        let bound = std::thread::spawn(move || -> anyhow::Result<TcpListener> {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            let listener = TcpListener::bind("127.0.0.1:0")?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        let listener = bound.join().map_err(|_| anyhow!("the thread that listens has panicked"))??;
        let target = format!("tcp:{}", listener.local_addr()?);
        self.ovs.vsctl(["set-controller", BRIDGE, &target])?;
        Ok(listener)
    }

    /// Begins to ping through it every 5 ms, once a first ping has been answered.
    pub(super) fn ping(&self) -> anyhow::Result<Pings> {
        let exec = ["ip", "netns", "exec", "install1", "ping", "-q", "-n"];
        self.place
            .run([&exec[..], &["-c", "1", "-w", "10", PEER]].concat())
            .context("no ping through the bridge")?;
        let mut ping = self.place.command([&exec[..], &["-i", "0.005", PEER]].concat());
        Ok(Pings(ping.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?))
    }

    fn ip(&self, words: &[&str]) -> anyhow::Result<String> {
        self.place.run([&["ip"], words].concat())
    }
}

impl Pings {
    /// Ends them.
    pub(super) fn felt(mut self) -> anyhow::Result<Felt> {
        kill(Pid::from_raw(i32::try_from(self.0.id())?), Signal::SIGINT)?;
        let mut said = String::new();
        if let Some(mut output) = self.0.stdout.take() {
            std::io::Read::read_to_string(&mut output, &mut said)?;
        }
        self.0.wait()?;
        read(&said).with_context(|| format!("ping said {said:?}"))
    }
}

/// Shape: `N packets transmitted, N received, …`, and `rtt min/avg/max/mdev = A/B/C/D ms`.
fn read(said: &str) -> Option<Felt> {
    let counts = said.lines().find(|line| line.contains(" packets transmitted"))?;
    let mut counts = counts.split(", ").map(|part| part.split(' ').next().and_then(|n| n.parse().ok()));
    let (sent, answered) = (counts.next()??, counts.next()??);
    let times = said.lines().find_map(|line| line.strip_prefix("rtt min/avg/max/mdev = "))?;
    Some(Felt { max_ms: times.split('/').nth(2)?.parse().ok()?, sent, answered })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ping_says() {
        let said = "PING 10.99.0.2 (10.99.0.2) 56(84) bytes of data.\n\n--- 10.99.0.2 ping statistics ---\n\
                    300 packets transmitted, 299 received, 0.3% packet loss, time 1502ms\n\
                    rtt min/avg/max/mdev = 0.041/0.212/7.534/0.400 ms, pipe 2\n";
        assert_eq!(read(said), Some(Felt { max_ms: 7.534, sent: 300, answered: 299 }));
        assert_eq!(read("ping: unknown host"), None);
    }
}
