//! The tunnel address, kept on a link that comes and goes.
//!
//! The local port of a userspace bridge is a tap device of ovs-vswitchd, which keeps its address while that process is
//! away but not when the bridge or its kind changes (`netdev_linux_construct_tap` in lib/netdev-linux.c, v3.1: the
//! device is persistent). So its events are watched, and it is put right the moment it returns or is changed.

use std::time::Duration;

use futures::StreamExt;
use ipnet::Ipv4Net;
use rtnetlink::{
    MulticastGroup,
    packet_core::NetlinkPayload,
    packet_route::{
        RouteNetlinkMessage,
        link::{LinkAttribute, LinkMessage},
    },
};
use tokio::sync::watch;

use super::{Bearing, Link, LinkError, Links, isolate};

/// What the host's own link on the underlay must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Underlay {
    /// The link that bears the address: br-phy's local port.
    pub link: String,
    /// The NIC behind it, which belongs to OVS and is kept from the kernel's stack.
    pub nic: String,
    /// The address with its prefix length.
    pub address: Ipv4Net,
    /// The link takes over what the NIC bears, whenever that bears anything: whoever configures the host goes on giving it
    /// to the NIC, at each boot.
    pub takes: bool,
}

/// Keeps `underlay` as it must be until cancelled.
///
/// `problem` always holds what is wrong now, or `None`. That the link is not there is a problem, but waiting for it
/// is all that is done about it. Its receivers are told of every event of the links too, since a device that has the
/// same name and address as before may still be another. `offload` says whether the link may leave its checksums to the switch.
///
/// # Errors
/// Only if the system refuses the sockets to begin with, or takes them away.
pub async fn keep_underlay(
    underlay: Underlay,
    mut offload: watch::Receiver<bool>,
    problem: watch::Sender<Option<String>>,
) -> Result<(), LinkError> {
    let opened = LinkError::namespace("watch", &underlay.link);
    let (connection, _handle, mut events) =
        rtnetlink::new_multicast_connection(&[MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr])
            .map_err(opened)?;
    let driver = tokio::spawn(connection);
    let _guard = AbortOnDrop(driver.abort_handle());
    let links = Links::open().map_err(LinkError::namespace("open", &underlay.link))?;
    let mut is_event = false;
    loop {
        let may_offload = *offload.borrow_and_update();
        let wrong = put_right(&links, &underlay, may_offload).await.err().map(|error| error.to_string());
        problem.send_if_modified(|present| {
            let changed = *present != wrong;
            if changed {
                tracing::info!(link = underlay.link, problem = wrong.as_deref(), "underlay changed");
            }
            *present = wrong;
            changed || is_event
        });
        // Cancel safe: nothing but waiting happens in here, and the state is read afresh afterwards.
        is_event = false;
        tokio::select! {
            event = next_relevant(&mut events, &underlay) => match event {
                Some(()) => is_event = true,
                None => return Err(LinkError::namespace("watch", &underlay.link)(std::io::ErrorKind::BrokenPipe.into())),
            },
            _ = offload.changed() => {}
            // The kernel drops events when it is hard pressed; then this is soon enough.
            () = tokio::time::sleep(RECHECK) => {}
        }
    }
}

async fn put_right(links: &Links, underlay: &Underlay, offload: bool) -> Result<(), LinkError> {
    let link = links.require(&underlay.link).await?;
    let nic = links.require(&underlay.nic).await?;
    if !offload {
        links.ensure_tx_checksum(&underlay.link, false)?;
        // What the kernel has put together is longer than ovs-vswitchd has room for.
        links.ensure_gro(&underlay.nic, false)?;
    }
    if underlay.takes {
        let bearing = links.bearing(&nic).await?;
        if !bearing.is_empty() {
            tracing::info!(nic = nic.name, link = link.name, what = ?bearing.lines(), "taken over");
            take_over(links, &bearing, &link).await?;
        }
    }
    if let Some(address) = links.addresses(nic.index).await?.first() {
        // Whoever gave it an address reaches this host through it: cut that off and nobody can put it right.
        let found = format!("it bears {address}, which belongs on {}", underlay.link);
        return Err(LinkError::InTheWay { name: nic.name, found });
    }
    isolate(links, &underlay.nic).await?;
    if !nic.up {
        links.set_up(nic.index).await?;
    }
    let changed = links.ensure_address(link.index, underlay.address).await?;
    if !link.up {
        links.set_up(link.index).await?;
    }
    if changed {
        tracing::info!(link = underlay.link, address = %underlay.address, "tunnel address set");
    }
    Ok(())
}

/// Has `link` bear what a NIC bears, which bears nothing of it afterwards.
///
/// # Errors
/// The kernel's refusal; the host has its addresses and routes all the same, on one of the two or on both.
pub async fn take_over(links: &Links, bearing: &Bearing, link: &Link) -> Result<(), LinkError> {
    if !link.up {
        links.set_up(link.index).await?;
    }
    links.bear(bearing, link).await?;
    links.unburden(bearing).await
}

type Events = futures::channel::mpsc::UnboundedReceiver<(
    rtnetlink::packet_core::NetlinkMessage<RouteNetlinkMessage>,
    rtnetlink::sys::SocketAddr,
)>;

/// Waits for an event of the two links, or of any address; `None` if there will be no more.
async fn next_relevant(events: &mut Events, underlay: &Underlay) -> Option<()> {
    while let Some((message, _)) = events.next().await {
        let NetlinkPayload::InnerMessage(message) = message.payload else { continue };
        let relevant = match message {
            RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => {
                let name = name_of(&link);
                name == Some(&underlay.link) || name == Some(&underlay.nic)
            }
            RouteNetlinkMessage::NewAddress(_) | RouteNetlinkMessage::DelAddress(_) => true,
            _ => false,
        };
        if relevant {
            return Some(());
        }
    }
    None
}

fn name_of(link: &LinkMessage) -> Option<&String> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name),
        _ => None,
    })
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

const RECHECK: Duration = Duration::from_secs(5);
