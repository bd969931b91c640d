//! A veth pair from the host into a namespace.
//!
//! ```text
//!   host namespace                  |  the container's
//!   br-int ── OVS port ── we1024 ═══╪═══ eth0  mac, mtu, address, default route
//! ```
//!
//! The pair is made in one request with the inner end already where it belongs and under its last name, so there is
//! no moment at which the host sees an `eth0` that is not its own. Docker wants to move the inner end itself: for it, that
//! one is born beside the host end, under a name of its own.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use rtnetlink::{
    LinkMessageBuilder, LinkUnspec, LinkVeth,
    packet_route::link::{InfoData, InfoVeth},
};
use serde::{Deserialize, Serialize};

use flowlib::types::MacAddr;

use super::{LinkError, Links, Namespace, isolate};

/// An address with its prefix length, and the default route's next hop if there is to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceAddress {
    /// The address, with the subnet's prefix length.
    pub address: Ipv4Net,
    /// The next hop of the default route; `None`: no default route.
    pub gateway: Option<Ipv4Addr>,
}

/// A veth pair to be made.
#[derive(Clone, Debug)]
pub struct VethPair<'a> {
    /// The host end's name, at most 15 bytes.
    pub host: &'a str,
    /// The inner end's name, at most 15 bytes.
    pub inner: &'a str,
    /// Where the inner end is born; `None`: beside the host end, for somebody else to move it.
    pub namespace: Option<&'a Namespace>,
    /// The inner end's hardware address.
    pub mac: MacAddr,
    /// Both ends' MTU in bytes.
    pub mtu: u32,
}

/// What the inner end must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// Its hardware address.
    pub mac: MacAddr,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its only address, and the default route.
    pub address: InterfaceAddress,
    /// Whether it may leave checksums and segmentation to the switch.
    pub offload: bool,
}

/// Makes a pair: the inner end down and not configured; the host end up, so that it can be plugged at once.
///
/// `finish_host_end` has to follow before the inner end goes up: until then the host end has no carrier, and the kernel
/// neither sends nor takes anything there. One request makes it all, since ovs-vswitchd looks at all its ports after
/// each event of a link.
///
/// # Errors
/// The kernel's refusal; EEXIST if either name is taken.
pub async fn create_veth(links: &Links, pair: &VethPair<'_>) -> Result<(), LinkError> {
    let mut inner =
        LinkMessageBuilder::<LinkUnspec>::new().name(pair.inner).address(pair.mac.0.to_vec()).mtu(pair.mtu);
    if let Some(namespace) = pair.namespace {
        inner = inner.setns_by_fd(namespace.raw_fd());
    }
    let inner = inner.build();
    let request = LinkVeth::new(pair.host, pair.inner)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(inner)))
        .mtu(pair.mtu)
        .arp(false)
        .up()
        .build();
    let created = links.handle().link().add(request).execute().await;
    created.map_err(LinkError::netlink("create", pair.host))
}

/// Keeps a pair's host end from the kernel's stack, gives it its alias (which the kernel ignores in the request that
/// makes it) and sets it up. That it has its alias says that all of this was done.
///
/// # Errors
/// `NoLink`, or the kernel's refusal.
pub async fn finish_host_end(links: &Links, host: &str, alias: &str) -> Result<(), LinkError> {
    // Before there is a carrier: the kernel would greet the container in IPv6 the moment the link comes up.
    let link = isolate(links, host).await?;
    let message = LinkMessageBuilder::<LinkUnspec>::default().index(link.index).alias(alias).up().build();
    links.change(message, "set up", link.index).await
}

/// Makes the inner end what it must be, through a connection into its namespace; true if anything was changed.
///
/// # Errors
/// `NoLink` if there is no inner end, or the kernel's refusal.
pub async fn ensure_inner(links: &Links, inner: &Inner) -> Result<bool, LinkError> {
    let link = links.require(INNER).await?;
    let mut changed = links.ensure_tx_checksum(INNER, inner.offload)?;
    if link.mac != Some(inner.mac) {
        links.set_mac(link.index, inner.mac).await?;
        changed = true;
    }
    if link.mtu != inner.mtu {
        links.set_mtu(link.index, inner.mtu).await?;
        changed = true;
    }
    changed |= links.ensure_only_address(link.index, inner.address.address).await?;
    if !link.up {
        links.set_up(LOOPBACK_INDEX).await?;
        links.set_up(link.index).await?;
        changed = true;
    }
    changed |= links.ensure_default_route(link.index, inner.address.gateway).await?;
    Ok(changed)
}

/// The inner end's name.
pub const INNER: &str = "eth0";

/// `lo` is the first link of every namespace (`LOOPBACK_IFINDEX` of the kernel).
const LOOPBACK_INDEX: u32 = 1;
