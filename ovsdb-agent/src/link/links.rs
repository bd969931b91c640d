//! One rtnetlink connection, in the namespace in which it was opened.
//!
//! A netlink socket stays in the namespace of the thread that made it, wherever it is used from afterwards. So a
//! connection into another namespace is made by a short-lived thread there and then driven by the ordinary runtime.

use std::{io, os::fd::OwnedFd, sync::Arc};

use futures::TryStreamExt;
use ipnet::Ipv4Net;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use rtnetlink::{
    AddressMessageBuilder, Handle, LinkMessageBuilder, LinkUnspec, RouteMessageBuilder,
    packet_route::{
        address::{AddressAttribute, AddressHeader, AddressMessage},
        link::{LinkAttribute, LinkFlags, LinkMessage},
        route::{RouteAddress, RouteAttribute, RouteMessage},
    },
};
use std::net::{IpAddr, Ipv4Addr};
use tokio::{sync::Mutex, task::AbortHandle};

use flowlib::types::MacAddr;

use super::{LinkError, offload};

/// A connection to one namespace's links, addresses and routes; clones share it, the last one dropped closes it.
#[derive(Clone, Debug)]
pub struct Links {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    handle: Handle,
    /// A datagram socket of the same namespace, for the ioctl of `offload`.
    control: OwnedFd,
    driver: AbortHandle,
    /// Held while a list is read: the kernel refuses a second one on the same socket (EBUSY).
    listing: Mutex<()>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A link as the kernel reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The interface index, unique in its namespace and never used again while that lives.
    pub index: u32,
    /// The name, at most 15 bytes.
    pub name: String,
    /// Administratively up.
    pub up: bool,
    /// The kernel resolves and answers addresses on it.
    pub arp: bool,
    /// The hardware address; `None` if it has none of six bytes.
    pub mac: Option<MacAddr>,
    /// The MTU in bytes, without the Ethernet header.
    pub mtu: u32,
    /// The free text set by whoever made it; empty if none.
    pub alias: String,
    /// The index of the other end of a veth pair, in that end's namespace.
    pub peer: Option<u32>,
    /// The index of the bond, kernel bridge or VRF that it belongs to.
    pub owner: Option<u32>,
}

impl Links {
    /// Opens a connection into the calling thread's namespace.
    ///
    /// The calling thread must be inside a tokio runtime's context; that runtime then drives the connection.
    ///
    /// # Errors
    /// What the system says when it refuses a socket.
    pub fn open() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let control = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        let driver = tokio::spawn(connection).abort_handle();
        Ok(Self { shared: Arc::new(Shared { handle, control, driver, listing: Mutex::new(()) }) })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.shared.handle
    }

    /// Finds a link by name; `None` if there is none.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub async fn find(&self, name: &str) -> Result<Option<Link>, LinkError> {
        let found = self.handle().link().get().match_name(name.to_owned()).execute().try_next().await;
        match found.map_err(LinkError::netlink("look up", name)) {
            Ok(message) => Ok(message.map(Link::from)),
            Err(error) if error.is_errno(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Like [`Links::find`], but the link must be there.
    ///
    /// # Errors
    /// `NoLink`, or the kernel's refusal.
    pub async fn require(&self, name: &str) -> Result<Link, LinkError> {
        self.find(name).await?.ok_or_else(|| LinkError::NoLink(name.to_owned()))
    }

    /// All links of the namespace.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub async fn list(&self) -> Result<Vec<Link>, LinkError> {
        let _turn = self.shared.listing.lock().await;
        let links: Vec<LinkMessage> = self
            .handle()
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(LinkError::netlink("list", "links"))?;
        Ok(links.into_iter().map(Link::from).collect())
    }

    /// Deletes a link; true if it was there.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub async fn delete(&self, name: &str) -> Result<bool, LinkError> {
        let Some(link) = self.find(name).await? else { return Ok(false) };
        let deleted = self.handle().link().del(link.index).execute().await;
        match deleted.map_err(LinkError::netlink("delete", name)) {
            Ok(()) => Ok(true),
            Err(error) if error.is_errno(libc::ENODEV) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Sets a link up. It is not an error that it already is.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub async fn set_up(&self, index: u32) -> Result<(), LinkError> {
        let message = LinkMessageBuilder::<LinkUnspec>::default().index(index).up().build();
        self.change(message, "set up", index).await
    }

    /// Sets a link's hardware address.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub async fn set_mac(&self, index: u32, mac: MacAddr) -> Result<(), LinkError> {
        let message =
            LinkMessageBuilder::<LinkUnspec>::default().index(index).address(mac.0.to_vec()).build();
        self.change(message, "set the address of", index).await
    }

    /// Sets a link's MTU in bytes.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub async fn set_mtu(&self, index: u32, mtu: u32) -> Result<(), LinkError> {
        let message = LinkMessageBuilder::<LinkUnspec>::default().index(index).mtu(mtu).build();
        self.change(message, "set the MTU of", index).await
    }

    pub(super) async fn change(
        &self,
        message: LinkMessage,
        action: &'static str,
        index: u32,
    ) -> Result<(), LinkError> {
        let changed = self.handle().link().set(message).execute().await;
        changed.map_err(LinkError::netlink(action, format!("link {index}")))
    }

    /// The IPv4 addresses of a link.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub async fn addresses(&self, index: u32) -> Result<Vec<Ipv4Net>, LinkError> {
        Ok(self.address_messages(index).await?.iter().filter_map(ipv4_address).collect())
    }

    /// All addresses of a link, in the order in which the kernel has them.
    pub(super) async fn address_messages(&self, index: u32) -> Result<Vec<AddressMessage>, LinkError> {
        let _turn = self.shared.listing.lock().await;
        // The index filter sets only a field the kernel ignores without strict checking: filter again here.
        let replies = self.handle().address().get().set_link_index_filter(index).execute();
        let mut messages: Vec<AddressMessage> = replies
            .try_collect()
            .await
            .map_err(LinkError::netlink("list", format!("addresses of link {index}")))?;
        messages.retain(|message| message.header.index == index);
        Ok(messages)
    }

    /// Makes `wanted` the only IPv4 address of a link; true if anything had to be changed.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub async fn ensure_only_address(&self, index: u32, wanted: Ipv4Net) -> Result<bool, LinkError> {
        let present = self.addresses(index).await?;
        if present == [wanted] {
            return Ok(false);
        }
        for stale in present.iter().filter(|address| **address != wanted) {
            let removed = self.handle().address().del(address_message(index, *stale)).execute().await;
            removed.map_err(LinkError::netlink("remove address", stale.to_string()))?;
        }
        if !present.contains(&wanted) {
            self.add_address(index, wanted).await?;
        }
        Ok(true)
    }

    /// Gives a link `wanted` beside what it has; true if it was not there.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub async fn ensure_address(&self, index: u32, wanted: Ipv4Net) -> Result<bool, LinkError> {
        if self.addresses(index).await?.contains(&wanted) {
            return Ok(false);
        }
        self.add_address(index, wanted).await?;
        Ok(true)
    }

    async fn add_address(&self, index: u32, address: Ipv4Net) -> Result<(), LinkError> {
        let request = self
            .handle()
            .address()
            .add(index, IpAddr::V4(address.addr()), address.prefix_len())
            .execute()
            .await;
        match request.map_err(LinkError::netlink("add address", address.to_string())) {
            Err(error) if !error.is_errno(libc::EEXIST) => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes `gateway` the only IPv4 default route through a link (`None`: none); true if anything was changed.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub async fn ensure_default_route(
        &self,
        index: u32,
        gateway: Option<Ipv4Addr>,
    ) -> Result<bool, LinkError> {
        let routes = self.routes(RouteMessageBuilder::<Ipv4Addr>::new().build()).await?;
        let (mut found, mut changed) = (false, false);
        for route in routes.into_iter().filter(|route| is_default_through(route, index)) {
            if gateway.is_some() && next_hop(&route) == gateway {
                found = true;
                continue;
            }
            let removed = self.handle().route().del(route).execute().await;
            removed.map_err(LinkError::netlink("remove", "a default route"))?;
            changed = true;
        }
        let Some(gateway) = gateway.filter(|_| !found) else { return Ok(changed) };
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(Ipv4Addr::UNSPECIFIED, 0)
            .gateway(gateway)
            .output_interface(index)
            .build();
        let added = self.handle().route().add(route).execute().await;
        added.map_err(LinkError::netlink("add default route through", gateway.to_string()))?;
        Ok(true)
    }

    /// All routes of the family of `every`.
    pub(super) async fn routes(&self, every: RouteMessage) -> Result<Vec<RouteMessage>, LinkError> {
        let _turn = self.shared.listing.lock().await;
        let routes = self.handle().route().get(every).execute().try_collect().await;
        routes.map_err(LinkError::netlink("list", "routes"))
    }

    /// Switches transmit checksum offload (and with it segmentation offload, which needs it) on or off; true if it
    /// had to be changed.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn ensure_tx_checksum(&self, name: &str, on: bool) -> Result<bool, LinkError> {
        self.ensure_offload(name, offload::TX_CHECKSUM, on)
    }

    /// Has what is received put together to larger packets, or not; true if it had to be changed.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn ensure_gro(&self, name: &str, on: bool) -> Result<bool, LinkError> {
        self.ensure_offload(name, offload::GRO, on)
    }

    /// Whether what is received is put together to larger packets.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn gro(&self, name: &str) -> Result<bool, LinkError> {
        let failed = |source| LinkError::Offload { name: name.to_owned(), source };
        offload::is_on(&self.shared.control, name, offload::GRO).map_err(failed)
    }

    fn ensure_offload(&self, name: &str, feature: offload::Feature, on: bool) -> Result<bool, LinkError> {
        let failed = |source| LinkError::Offload { name: name.to_owned(), source };
        if offload::is_on(&self.shared.control, name, feature).map_err(failed)? == on {
            return Ok(false);
        }
        offload::switch(&self.shared.control, name, feature, on).map_err(failed)?;
        Ok(true)
    }
}

impl From<LinkMessage> for Link {
    fn from(message: LinkMessage) -> Self {
        let mut link = Link {
            index: message.header.index,
            name: String::new(),
            up: message.header.flags.contains(LinkFlags::Up),
            arp: !message.header.flags.contains(LinkFlags::Noarp),
            mac: None,
            mtu: 0,
            alias: String::new(),
            peer: None,
            owner: None,
        };
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Link(peer) => link.peer = Some(peer),
                LinkAttribute::Controller(owner) => link.owner = Some(owner),
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::IfAlias(alias) => link.alias = alias,
                LinkAttribute::Address(bytes) => {
                    link.mac = <[u8; 6]>::try_from(bytes).ok().map(MacAddr);
                }
                _ => {}
            }
        }
        link
    }
}

/// The interface's own address; on a broadcast link the kernel sends it as both local and address.
pub(super) fn ipv4_address(message: &AddressMessage) -> Option<Ipv4Net> {
    let AddressHeader { prefix_len, .. } = message.header;
    let mut address = None;
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(IpAddr::V4(local)) => return Ipv4Net::new(*local, prefix_len).ok(),
            AddressAttribute::Address(IpAddr::V4(peer)) => address = Ipv4Net::new(*peer, prefix_len).ok(),
            _ => {}
        }
    }
    address
}

fn address_message(index: u32, address: Ipv4Net) -> AddressMessage {
    AddressMessageBuilder::<Ipv4Addr>::new()
        .index(index)
        .address(address.addr(), address.prefix_len())
        .build()
}

fn is_default_through(route: &RouteMessage, index: u32) -> bool {
    route.header.destination_prefix_length == 0
        && route.header.table == MAIN_TABLE
        && route.attributes.contains(&RouteAttribute::Oif(index))
}

fn next_hop(route: &RouteMessage) -> Option<Ipv4Addr> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address)) => Some(*address),
        _ => None,
    })
}

/// `RT_TABLE_MAIN` of rtnetlink(7).
const MAIN_TABLE: u8 = 254;
