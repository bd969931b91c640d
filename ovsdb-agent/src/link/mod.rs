//! Links, addresses, routes and network namespaces of this host, through rtnetlink.
//!
//! The room knows Linux and nothing of Open vSwitch, the controller or containers. Every `ensure_…` here compares
//! first and writes only what differs, so that running it again over something right touches nothing.
//!
//! | file | is for |
//! |---|---|
//! | `namespace.rs` | named network namespaces, as `ip netns` keeps them; entering one |
//! | `links.rs` | one rtnetlink connection, in one namespace |
//! | `veth.rs` | a veth pair from the host into a namespace, and the inner end's configuration |
//! | `bearing.rs` | a host's addresses and routes, from one link to another |
//! | `isolate.rs` | keeping the kernel's own stack off interfaces that belong to Open vSwitch |
//! | `underlay.rs` | the tunnel address, kept on a link that comes and goes |
//! | `offload.rs` | offloads (the only unsafe code of the workspace) |

mod bearing;
mod isolate;
mod links;
mod namespace;
mod offload;
mod underlay;
mod veth;

use std::{io, path::PathBuf};

pub use self::{
    bearing::Bearing,
    isolate::{Treatment, isolate, reinstate, treatment},
    links::{Link, Links},
    namespace::{Created, Namespace, Namespaces},
    underlay::{Underlay, keep_underlay, take_over},
    veth::{INNER, Inner, InterfaceAddress, VethPair, create_veth, ensure_inner, finish_host_end},
};

/// What can go wrong here; it is always the system that refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The kernel refused an rtnetlink request.
    #[error("{action} {name}: {source}")]
    Netlink {
        /// What was being done, as a verb: `create`, `set up`.
        action: &'static str,
        /// The link, or whatever else it was done to.
        name: String,
        /// The kernel's answer.
        source: rtnetlink::Error,
    },
    /// An operation on a namespace's file or on the namespace itself failed.
    #[error("{action} {}: {source}", path.display())]
    Namespace {
        /// What was being done, as a verb.
        action: &'static str,
        /// The file it was done to.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// An offload of the interface could not be read or set.
    #[error("offloads of {name}: {source}")]
    Offload {
        /// The interface.
        name: String,
        /// The system's answer.
        source: io::Error,
    },
    /// There is no such link.
    #[error("no link {0}")]
    NoLink(String),
    /// A link of this name exists, and it is not what it should be.
    #[error("link {name} is in the way: {found}")]
    InTheWay {
        /// The link.
        name: String,
        /// What it is.
        found: String,
    },
}

impl LinkError {
    pub(crate) fn netlink(
        action: &'static str,
        name: impl Into<String>,
    ) -> impl FnOnce(rtnetlink::Error) -> Self {
        let name = name.into();
        move |source| LinkError::Netlink { action, name, source }
    }

    pub(crate) fn namespace(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| LinkError::Namespace { action, path, source }
    }

    /// True if the kernel said that the thing is not there (ENODEV, ENOENT) or already is (EEXIST), as `code` says.
    pub(crate) fn is_errno(&self, code: i32) -> bool {
        match self {
            LinkError::Netlink { source: rtnetlink::Error::NetlinkError(message), .. } => {
                message.raw_code() == -code
            }
            LinkError::Namespace { source, .. } | LinkError::Offload { source, .. } => {
                source.raw_os_error() == Some(code)
            }
            _ => false,
        }
    }
}
