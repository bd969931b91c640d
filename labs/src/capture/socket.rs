//! Packet sockets inside a namespace.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd as _, IntoRawFd as _};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};
use pnet_datalink::{Channel, Config, DataLinkReceiver, DataLinkSender, NetworkInterface};

use crate::place::Place;

/// A packet socket on one interface.
pub(super) struct Socket {
    receiver: Box<dyn DataLinkReceiver>,
    sender: Box<dyn DataLinkSender>,
}

impl Socket {
    /// Takes the present thread into a place's network namespace, for good, and opens an interface there.
    pub(super) fn open(place: &Place, interface: &str) -> anyhow::Result<Socket> {
        let path = place.namespace();
        let namespace = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).context("cannot enter the network namespace")?;
        let found = pnet_datalink::interfaces().into_iter().find(|i| i.name == interface);
        let interface = found.with_context(|| format!("{} has no interface {interface}", place.machine))?;
        open(&interface).with_context(|| format!("cannot capture on {} of {}", interface.name, place.machine))
    }

    /// The next frame, or nothing if none comes for a while.
    pub(super) fn read(&mut self) -> Option<Vec<u8>> {
        match self.receiver.next() {
            Ok(bytes) => Some(bytes.to_vec()),
            Err(e) if e.kind() == ErrorKind::TimedOut => None,
            // The interface is gone or down; the capture goes on in case it comes back.
            Err(_) => {
                thread::park_timeout(IDLE);
                None
            }
        }
    }
}

/// Sends frames, byte for byte, out of an interface in a place.
///
/// # Errors
/// If there is no such interface, or the kernel refuses a frame.
pub fn send(place: &Place, interface: &str, frames: &[Vec<u8>]) -> anyhow::Result<()> {
    let sent = thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut socket = Socket::open(place, interface)?;
            for frame in frames {
                socket
                    .sender
                    .send_to(frame, None)
                    .context("no room for a frame")?
                    .context("the kernel refuses a frame")?;
            }
            anyhow::Ok(())
        });
        sending.join()
    });
    sent.unwrap_or_else(|_| bail!("the sending thread panicked"))
}

fn open(interface: &NetworkInterface) -> anyhow::Result<Socket> {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
    // A burst must wait in the kernel until its turn comes on a busy machine.
    setsockopt(&socket, sockopt::RcvBufForce, &BURST)?;
    let config = Config {
        read_buffer_size: LARGEST,
        write_buffer_size: LARGEST,
        read_timeout: Some(IDLE),
        promiscuous: false,
        // pnet owns it from here on and closes it.
        socket_fd: Some(socket.into_raw_fd()),
        ..Config::default()
    };
    match pnet_datalink::channel(interface, config)? {
        Channel::Ethernet(sender, receiver) => Ok(Socket { receiver, sender }),
        _ => bail!("pnet gives no Ethernet channel"),
    }
}

/// A segment that was never cut, RFC 791 §3.1, and its Ethernet header with two tags.
const LARGEST: usize = 65535 + 22;
const BURST: usize = 16 << 20;
const IDLE: Duration = Duration::from_millis(10);
