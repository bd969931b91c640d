//! ICMP echo with a signed payload, sent and received inside a lab's namespaces.
//!
//! A raw socket sees the requests that arrive in its namespace as well as the replies, so a packet that turns up where it
//! should not is noticed even if nobody answers it. The kernel of the receiving namespace answers by itself.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use etherparse::{IcmpEchoHeader, Icmpv4Header, Icmpv4Slice, Icmpv4Type, Ipv4Slice};
use nix::sys::socket::{SockProtocol, SockType};
use tokio::net::UdpSocket;

use super::socket;

/// One of our echo messages.
///
/// Shape of the payload: 8 bytes that mark it as ours, then `from`, `to` and `round` as big-endian `u32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Echo {
    pub(crate) reply: bool,
    /// The number of the site that sent the request.
    pub(crate) from: u32,
    /// The number of the site whose address it was sent to.
    pub(crate) to: u32,
    /// Which attempt.
    pub(crate) round: u32,
}

/// A raw ICMP socket in some network namespace.
pub(crate) struct EchoSocket {
    // The calls of a datagram socket are those of a raw one.
    socket: UdpSocket,
}

impl EchoSocket {
    /// Opens a socket in the namespace that `namespace` is a file of.
    ///
    /// # Errors
    /// If the namespace cannot be entered (it takes root), or the runtime refuses the socket.
    pub(crate) fn open(namespace: &Path) -> anyhow::Result<EchoSocket> {
        let socket = socket::open(namespace, SockType::Raw, Some(SockProtocol::Icmp))?;
        Ok(EchoSocket { socket: UdpSocket::from_std(socket.into())? })
    }

    /// Sends a request. That there is no route, or the queue is full, counts as a lost packet.
    pub(crate) async fn request(&self, to: Ipv4Addr, echo: Echo) {
        let sent = self.socket.send_to(&encode(echo), SocketAddrV4::new(to, 0)).await;
        sent.map(drop).unwrap_or(());
    }

    /// Waits for the next of our messages, whoever it was meant for.
    ///
    /// # Errors
    /// If the socket fails.
    pub(crate) async fn receive(&self) -> anyhow::Result<Echo> {
        let mut buffer = [0; 2048];
        loop {
            let (len, _) = self.socket.recv_from(&mut buffer).await?;
            if let Some(echo) = buffer.get(..len).and_then(decode) {
                return Ok(echo);
            }
        }
    }
}

fn encode(echo: Echo) -> Vec<u8> {
    let numbers = [echo.from, echo.to, echo.round].map(u32::to_be_bytes);
    let payload = [MARK.as_slice(), numbers.as_flattened()].concat();
    // The low half is enough here: the payload tells messages apart.
    let header = IcmpEchoHeader { id: echo.from as u16, seq: echo.round as u16 };
    let kind = if echo.reply { Icmpv4Type::EchoReply(header) } else { Icmpv4Type::EchoRequest(header) };
    [Icmpv4Header::with_checksum(kind, &payload).to_bytes().as_slice(), &payload].concat()
}

/// Reads an IPv4 packet as a raw socket delivers it; `None` if it is none of ours.
fn decode(packet: &[u8]) -> Option<Echo> {
    let packet = Ipv4Slice::from_slice(packet).ok()?;
    let icmp = Icmpv4Slice::from_slice(packet.payload().payload).ok()?;
    let reply = match icmp.icmp_type() {
        Icmpv4Type::EchoRequest(_) => false,
        Icmpv4Type::EchoReply(_) => true,
        _ => return None,
    };
    let (numbers, []) = icmp.payload().strip_prefix(MARK.as_slice())?.as_chunks::<4>() else { return None };
    let &[from, to, round] = numbers else { return None };
    Some(Echo {
        reply,
        from: u32::from_be_bytes(from),
        to: u32::from_be_bytes(to),
        round: u32::from_be_bytes(round),
    })
}

const MARK: &[u8; 8] = b"weirecho";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn asks_and_answers_itself_over_loopback() {
        let socket = EchoSocket::open(Path::new("/proc/self/ns/net")).unwrap();
        let asked = Echo { reply: false, from: 70_000, to: 3, round: 2 };
        socket.request(Ipv4Addr::LOCALHOST, asked).await;
        let both = [socket.receive().await.unwrap(), socket.receive().await.unwrap()];
        assert!(both.contains(&asked) && both.contains(&Echo { reply: true, ..asked }), "{both:?}");
    }

    #[test]
    fn cut_off_or_foreign_packets_are_none_of_ours() {
        let echo = Echo { reply: false, from: 1, to: 2, round: 3 };
        let icmp = encode(echo);
        let header = etherparse::Ipv4Header::new(
            u16::try_from(icmp.len()).unwrap(),
            64,
            etherparse::IpNumber::ICMP,
            [127, 0, 0, 1],
            [127, 0, 0, 1],
        );
        let packet = [header.unwrap().to_bytes().as_slice(), &icmp].concat();
        assert_eq!(decode(&packet), Some(echo));
        for len in 0..packet.len() {
            assert_eq!(decode(&packet[..len]), None, "{len}");
        }
    }
}
