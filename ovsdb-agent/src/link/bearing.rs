//! What a link bears of its host, addresses and routes, and how another link takes it over.
//!
//! All is kept as the kernel told it, so that whatever an address or a route has comes along: metrics, scopes, lifetimes,
//! tables, source addresses. Only the interface is another one.
//!
//! Nothing is taken away before it is there on the other link, so the host has each address and each route at every moment
//! in between, and may stop in between: an address that is there twice is the host's all the same, and of two routes that
//! are alike but for the link the older one counts.

use std::net::{Ipv4Addr, Ipv6Addr};

use futures::StreamExt;
use ipnet::Ipv4Net;
use rtnetlink::{
    RouteMessageBuilder,
    packet_core::{
        DecodeError, Emitable, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE,
        NLM_F_REQUEST, NetlinkMessage, NetlinkPayload, Parseable,
    },
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope},
        route::{
            RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHopFlags, RouteProtocol,
            RouteType,
        },
    },
};
use serde::{Deserialize, Serialize};

use super::{Link, LinkError, Links, links::ipv4_address};

/// The addresses and routes of a host that a link bears.
///
/// Not among them are those that the kernel gives each link by itself: link-local IPv6 addresses, and what routers advertise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Bearing {
    /// The link, as it was called then.
    link: String,
    index: u32,
    addresses: Vec<AddressMessage>,
    /// Those to what is on the link come first: those through a gateway need them.
    routes: Vec<RouteMessage>,
}

/// A [`Bearing`] on disk: rtnetlink's messages without their headers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    link: String,
    index: u32,
    addresses: Vec<Vec<u8>>,
    routes: Vec<Vec<u8>>,
}

impl From<Bearing> for Stored {
    fn from(Bearing { link, index, addresses, routes }: Bearing) -> Self {
        Self {
            link,
            index,
            addresses: addresses.iter().map(emitted).collect(),
            routes: routes.iter().map(emitted).collect(),
        }
    }
}

impl TryFrom<Stored> for Bearing {
    type Error = DecodeError;

    fn try_from(Stored { link, index, addresses, routes }: Stored) -> Result<Self, DecodeError> {
        Ok(Self { link, index, addresses: parsed(&addresses)?, routes: parsed(&routes)? })
    }
}

fn emitted(message: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

fn parsed<T: Parseable<[u8]>>(messages: &[Vec<u8>]) -> Result<Vec<T>, DecodeError> {
    // The messages' own parsers take it for granted that there is a header.
    let whole = |bytes: &Vec<u8>| bytes.len() >= LONGEST_HEADER;
    if !messages.iter().all(whole) {
        return Err(DecodeError::from("a message is shorter than its header"));
    }
    messages.iter().map(|bytes| T::parse(bytes)).collect()
}

impl Bearing {
    /// True if there is no address.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// The IPv4 addresses, the first one being what others know the host by.
    #[must_use]
    pub fn ipv4(&self) -> Vec<Ipv4Net> {
        self.addresses.iter().filter_map(ipv4_address).collect()
    }

    /// True if an address ends by itself, as those do that DHCP has given.
    #[must_use]
    pub fn is_leased(&self) -> bool {
        let permanent = |address: &AddressMessage| flags(address).contains(AddressFlags::Permanent);
        !self.addresses.iter().all(permanent)
    }

    /// A route that another link cannot take over, if there is one.
    #[must_use]
    pub fn fixed_route(&self) -> Option<String> {
        let is_fixed = |route: &&RouteMessage| {
            route.attributes.iter().any(|attribute| matches!(attribute, RouteAttribute::NhId(_)))
        };
        self.routes.iter().find(is_fixed).map(shown_route)
    }

    /// A line for each address and route, as ip(8) has them, shortened.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let addresses = self.addresses.iter().filter_map(shown_address);
        addresses.chain(self.routes.iter().map(shown_route)).collect()
    }

    /// The same on another link.
    pub(crate) fn on(&self, to: &Link) -> Self {
        let mut moved = self.clone();
        (moved.link, moved.index) = (to.name.clone(), to.index);
        for address in &mut moved.addresses {
            address.header.index = to.index;
            address.attributes.retain_mut(|attribute| match attribute {
                AddressAttribute::Label(label) => match relabelled(label, &self.link, &to.name) {
                    Some(new) => {
                        *label = new;
                        true
                    }
                    None => false,
                },
                _ => true,
            });
        }
        for route in &mut moved.routes {
            for index in route.attributes.iter_mut().flat_map(interfaces) {
                if *index == self.index {
                    *index = to.index;
                }
            }
        }
        moved
    }
}

impl Links {
    /// What a link bears.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub async fn bearing(&self, link: &Link) -> Result<Bearing, LinkError> {
        let mut addresses = self.address_messages(link.index).await?;
        addresses.retain(is_hosts);
        let mut routes = self.routes(RouteMessageBuilder::<Ipv4Addr>::new().build()).await?;
        match self.routes(RouteMessageBuilder::<Ipv6Addr>::new().build()).await {
            Ok(more) => {
                let is_ipv6 = |route: &RouteMessage| route.header.address_family == AddressFamily::Inet6;
                routes.extend(more.into_iter().filter(is_ipv6));
            }
            // A kernel without IPv6.
            Err(error) if error.is_errno(libc::EOPNOTSUPP) || error.is_errno(libc::EAFNOSUPPORT) => {}
            Err(error) => return Err(error),
        }
        routes.retain_mut(|route| is_movable(route) && leads_through(route, link.index));
        routes.iter_mut().for_each(forget_state);
        routes.sort_by_key(has_gateway);
        Ok(Bearing { link: link.name.clone(), index: link.index, addresses, routes })
    }

    /// Has `to`, which must be up, bear what another link bears, or bore; that link keeps it. What `to` bears already is
    /// left as it is.
    ///
    /// # Errors
    /// The kernel's refusal; what came before it is there.
    pub async fn bear(&self, bearing: &Bearing, to: &Link) -> Result<(), LinkError> {
        let Bearing { addresses, routes, .. } = bearing.on(to);
        for address in addresses {
            self.put_address(address).await?;
        }
        for route in routes {
            let shown = shown_route(&route);
            let put = self.ask(RouteNetlinkMessage::NewRoute(route), NLM_F_CREATE | NLM_F_APPEND).await;
            match put.map_err(LinkError::netlink("add the route", shown)) {
                Err(error) if !error.is_errno(libc::EEXIST) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes off the link what it bears. What is gone already is no error.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub async fn unburden(&self, bearing: &Bearing) -> Result<(), LinkError> {
        for route in bearing.routes.iter().rev().cloned() {
            let shown = shown_route(&route);
            let taken = self.ask(RouteNetlinkMessage::DelRoute(route), 0).await;
            match taken.map_err(LinkError::netlink("remove the route", shown)) {
                Err(error) if !error.is_errno(libc::ESRCH) => return Err(error),
                _ => {}
            }
        }
        // Backwards: with the first address of a subnet the others may go.
        for address in bearing.addresses.iter().rev().cloned() {
            let shown = shown_address(&address).unwrap_or_default();
            let taken = self.ask(RouteNetlinkMessage::DelAddress(address), 0).await;
            match taken.map_err(LinkError::netlink("remove address", shown)) {
                Err(error) if !error.is_errno(libc::EADDRNOTAVAIL) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    async fn put_address(&self, mut address: AddressMessage) -> Result<(), LinkError> {
        let shown = shown_address(&address).unwrap_or_default();
        let wanted = address.clone();
        let is_ipv6 = address.header.family == AddressFamily::Inet6;
        if is_ipv6 {
            // Asked whether anybody has it, the other link would answer.
            address.header.flags |= AddressHeaderFlags::Nodad;
            for attribute in &mut address.attributes {
                if let AddressAttribute::Flags(flags) = attribute {
                    *flags |= AddressFlags::Nodad;
                }
            }
        }
        let failed = |shown: &str| LinkError::netlink("add address", shown.to_owned());
        let put = self.ask(RouteNetlinkMessage::NewAddress(address), NLM_F_CREATE | NLM_F_EXCL).await;
        match put.map_err(failed(&shown)) {
            Err(error) if error.is_errno(libc::EEXIST) => return Ok(()),
            put => put?,
        }
        if is_ipv6 {
            let asked = self.ask(RouteNetlinkMessage::NewAddress(wanted), NLM_F_REPLACE).await;
            asked.map_err(failed(&shown))?;
        }
        Ok(())
    }

    /// Has the kernel do something.
    async fn ask(&self, message: RouteNetlinkMessage, flags: u16) -> Result<(), rtnetlink::Error> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        let mut answers = self.handle().clone().request(request)?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(error) = answer.payload {
                return Err(rtnetlink::Error::NetlinkError(error));
            }
        }
        Ok(())
    }
}

/// An address that the kernel has not given the link by itself.
fn is_hosts(address: &AddressMessage) -> bool {
    match address.header.family {
        AddressFamily::Inet => address.header.scope != AddressScope::Host,
        AddressFamily::Inet6 => {
            address.header.scope == AddressScope::Universe && flags(address).contains(AddressFlags::Permanent)
        }
        _ => false,
    }
}

/// The flags of an address; those of the header are the first eight of them.
fn flags(address: &AddressMessage) -> AddressFlags {
    let of_header = AddressFlags::from_bits_retain(address.header.flags.bits().into());
    let attributes = address.attributes.iter().map(|attribute| match attribute {
        AddressAttribute::Flags(flags) => *flags,
        _ => AddressFlags::empty(),
    });
    attributes.fold(of_header, |all, some| all | some)
}

/// A route to somewhere else that no router has advertised, and that is not there only because there is a link.
fn is_movable(route: &RouteMessage) -> bool {
    let to_link_local = route.attributes.iter().any(|attribute| {
        matches!(attribute, RouteAttribute::Destination(RouteAddress::Inet6(to)) if to.is_unicast_link_local())
    });
    route.header.kind == RouteType::Unicast
        && route.header.table != LOCAL_TABLE
        && route.header.protocol != RouteProtocol::Ra
        && !route.header.flags.contains(RouteFlags::Cloned)
        && !to_link_local
}

fn leads_through(route: &mut RouteMessage, index: u32) -> bool {
    route.attributes.iter_mut().flat_map(interfaces).any(|through| *through == index)
}

/// The interfaces that a route's attribute names.
fn interfaces(attribute: &mut RouteAttribute) -> Vec<&mut u32> {
    match attribute {
        RouteAttribute::Oif(index) => vec![index],
        RouteAttribute::MultiPath(hops) => hops.iter_mut().map(|hop| &mut hop.interface_index).collect(),
        _ => Vec::new(),
    }
}

/// Leaves out what the kernel says of a route and does not take.
fn forget_state(route: &mut RouteMessage) {
    route.header.flags &= RouteFlags::Onlink;
    route.attributes.retain(|attribute| !matches!(attribute, RouteAttribute::CacheInfo(_)));
    for attribute in &mut route.attributes {
        if let RouteAttribute::MultiPath(hops) = attribute {
            hops.iter_mut().for_each(|hop| hop.flags &= RouteNextHopFlags::Onlink);
        }
    }
}

fn has_gateway(route: &RouteMessage) -> bool {
    route.attributes.iter().any(|attribute| {
        matches!(
            attribute,
            RouteAttribute::Gateway(_) | RouteAttribute::Via(_) | RouteAttribute::MultiPath(_)
        )
    })
}

/// An address's label on another link: `eth0:1` becomes `br-phy:1`. `None` if that is too long, or the label another's.
fn relabelled(label: &str, from: &str, to: &str) -> Option<String> {
    let new = format!("{to}{}", label.strip_prefix(from)?);
    (new.len() < libc::IFNAMSIZ).then_some(new)
}

fn shown_address(address: &AddressMessage) -> Option<String> {
    let local = address.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(local) => Some(*local),
        _ => None,
    });
    let given = address.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    Some(format!("{}/{}", local.or(given)?, address.header.prefix_len))
}

fn shown_route(route: &RouteMessage) -> String {
    let text = |address: &RouteAddress| match address {
        RouteAddress::Inet(address) => address.to_string(),
        RouteAddress::Inet6(address) => address.to_string(),
        other => format!("{other:?}"),
    };
    let mut shown = "default".to_owned();
    for attribute in &route.attributes {
        if let RouteAttribute::Destination(to) = attribute {
            shown = format!("{}/{}", text(to), route.header.destination_prefix_length);
        }
    }
    for attribute in &route.attributes {
        if let RouteAttribute::Gateway(gateway) = attribute {
            shown = format!("{shown} via {}", text(gateway));
        }
    }
    shown
}

/// `RT_TABLE_LOCAL` of rtnetlink(7).
const LOCAL_TABLE: u8 = 255;

/// Bytes of `struct rtmsg`; `struct ifaddrmsg` is shorter. Source: linux/rtnetlink.h.
const LONGEST_HEADER: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_follows_its_link_as_far_as_it_has_room() {
        assert_eq!(relabelled("eth0", "eth0", "br-phy").as_deref(), Some("br-phy"));
        assert_eq!(relabelled("eth0:1", "eth0", "br-phy").as_deref(), Some("br-phy:1"));
        assert_eq!(relabelled("e:a-long-label", "e", "br-phy"), None);
        assert_eq!(relabelled("wan:1", "eth0", "br-phy"), None);
    }

    #[test]
    fn what_is_no_message_is_not_taken_for_one() {
        for bad in [
            r#"{"link":"eth0","index":2,"addresses":[[2,24]],"routes":[]}"#,
            r#"{"link":"eth0","index":2,"addresses":[],"routes":[[2]]}"#,
            r#"{"link":"eth0","index":2,"addresses":[],"routes":[],"more":1}"#,
        ] {
            assert!(serde_json::from_str::<Bearing>(bad).is_err(), "{bad}");
        }
        let none = r#"{"link":"eth0","index":2,"addresses":[],"routes":[]}"#;
        assert!(serde_json::from_str::<Bearing>(none).unwrap().is_empty());
    }
}
