//! Whether packets as large as the networks need reach the other nodes whole.
//!
//! Open vSwitch drops what is too large without a word, so a path that is too narrow shows as connections that hang. Asked is
//! ping(8), which may not break packets up (`-M do`).

use std::{net::Ipv4Addr, process::Stdio};

use futures::{StreamExt, stream};
use tokio::process::Command;
use weir_api::v1::Finding;

use super::{Asked, fail, ok, warn};

/// What a ping brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Whole,
    SmallOnly,
    Not,
    NoPing,
}

/// One finding for all nodes that are reached, and one for each that is not. Nothing if nothing was asked.
pub(super) async fn between(asked: &Asked) -> Vec<Finding> {
    if asked.peers.is_empty() || asked.packet == 0 {
        return Vec::new();
    }
    let packet = asked.packet;
    let reached =
        stream::iter(asked.peers.clone()).map(|peer| async move { (peer, reach(peer, packet).await) });
    let mut reached: Vec<_> = reached.buffer_unordered(AT_ONCE).collect().await;
    reached.sort_unstable_by_key(|(peer, _)| *peer);
    findings(&reached, packet)
}

fn findings(reached: &[(Ipv4Addr, Reach)], packet: u32) -> Vec<Finding> {
    let check = "path";
    let whole = reached.iter().filter(|(_, reach)| *reach == Reach::Whole).count();
    let mut findings = Vec::new();
    if whole > 0 {
        findings.push(ok(
            check,
            format!("{whole} of {} nodes get packets of {packet} bytes whole", reached.len()),
        ));
    }
    for (peer, reach) in reached {
        findings.extend(match reach {
            Reach::Whole => None,
            Reach::SmallOnly => Some(fail(
                check,
                format!("{peer} does not get packets of {packet} bytes"),
                format!(
                    "raise the MTU of both NICs and of what is between to {packet}, or make the networks with a smaller --mtu"
                ),
            )),
            Reach::Not => Some(warn(
                check,
                format!("{peer} does not answer pings"),
                "is that node up? Does a firewall drop ICMP? Then UDP port 4789 must be open all the same",
            )),
            Reach::NoPing => Some(warn(check, "ping cannot be run", "apt install iputils-ping")),
        });
        if *reach == Reach::NoPing {
            break;
        }
    }
    findings
}

async fn reach(peer: Ipv4Addr, packet: u32) -> Reach {
    match ping(peer, packet).await {
        Ok(true) => Reach::Whole,
        Err(_) => Reach::NoPing,
        Ok(false) => match ping(peer, SMALL).await {
            Ok(true) => Reach::SmallOnly,
            _ => Reach::Not,
        },
    }
}

/// Whether one of two IP packets of that many bytes comes back.
async fn ping(peer: Ipv4Addr, packet: u32) -> std::io::Result<bool> {
    let size = packet.saturating_sub(HEADERS).to_string();
    let mut command = Command::new("ping");
    command.args(["-n", "-q", "-c", "2", "-i", "0.2", "-W", "1", "-M", "do", "-s", &size, &peer.to_string()]);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    Ok(status.await?.success())
}

/// Of IPv4 and ICMP.
const HEADERS: u32 = 28;

/// Passes wherever anything does: RFC 791 §3.1 has every host take 576 bytes.
const SMALL: u32 = 100;

const AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use weir_api::v1::finding::Level;

    use super::*;

    #[test]
    fn nodes_that_are_reached_are_one_line_and_the_others_one_each() {
        let peer = |n| Ipv4Addr::new(10, 0, 0, n);
        let reached = [
            (peer(1), Reach::Whole),
            (peer(2), Reach::SmallOnly),
            (peer(3), Reach::Not),
            (peer(4), Reach::Whole),
        ];
        let levels: Vec<Level> = findings(&reached, 1500).iter().map(Finding::level).collect();
        assert_eq!(levels, [Level::Ok, Level::Fail, Level::Warn]);
        let without = [(peer(1), Reach::NoPing), (peer(2), Reach::NoPing)];
        assert_eq!(findings(&without, 1500).len(), 1);
    }
}
