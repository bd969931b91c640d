//! Sockets that live in a network namespace of the lab; they stay there whichever thread uses them.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context, anyhow};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

/// Opens an IPv4 socket that does not block, in the namespace that `namespace` is a file of.
///
/// # Errors
/// If the namespace cannot be entered (it takes root).
pub(crate) fn open(
    namespace: &Path,
    kind: SockType,
    protocol: Option<SockProtocol>,
) -> anyhow::Result<OwnedFd> {
    let file = File::open(namespace).with_context(|| format!("cannot open {}", namespace.display()))?;
    // A thread of its own: it ends in the namespace it entered.
    let entered = std::thread::spawn(move || -> nix::Result<_> {
        setns(file, CloneFlags::CLONE_NEWNET)?;
        socket(AddressFamily::Inet, kind, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, protocol)
    });
    let socket = entered.join().map_err(|_| anyhow!("the thread that opens a socket has panicked"))?;
    socket.with_context(|| format!("cannot open a socket in {}", namespace.display()))
}
