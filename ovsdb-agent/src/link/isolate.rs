//! Keeping the kernel's own stack off an interface that belongs to Open vSwitch.
//!
//! The userspace datapath reads such an interface through a packet socket, and the kernel goes on treating every frame
//! as its own as well (OVS documentation, `intro/install/userspace.rst`, "Firewall Rules"). Left alone, the host would
//! answer a container's ARP for the host's address, be reachable from it past every flow, and see each underlay
//! packet twice: once from the NIC, once from br-phy.
//!
//! What is done: no IPv6 on the interface, no ARP, and a strict reverse path filter, which drops all IPv4 because no
//! route ever points to the interface.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use rtnetlink::{LinkMessageBuilder, LinkUnspec};
use serde::{Deserialize, Serialize};

use super::{Link, LinkError, Links};

/// Takes the interface `name` of the calling process's namespace away from the kernel's stack.
///
/// That the kernel has no IPv6 is not an error. Writes only what differs, and gives back the
/// link as it was found.
///
/// # Errors
/// `NoLink`, or the system's refusal.
pub async fn isolate(links: &Links, name: &str) -> Result<Link, LinkError> {
    let link = links.require(name).await?;
    for (key, value) in SETTINGS {
        let path = path(key, name);
        set(&path, value).map_err(LinkError::namespace("write", path))?;
    }
    set_arp(links, &link, false).await?;
    Ok(link)
}

/// How an interface was treated before it was isolated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Treatment {
    arp: bool,
    /// What is received is put together to larger packets; absent if the interface cannot be asked.
    gro: Option<bool>,
    /// What the files of `SETTINGS` held; one that is not there is absent.
    settings: BTreeMap<String, String>,
}

/// How the interface `name` is treated now.
///
/// # Errors
/// `NoLink`, or the system's refusal.
pub async fn treatment(links: &Links, name: &str) -> Result<Treatment, LinkError> {
    let link = links.require(name).await?;
    let mut settings = BTreeMap::new();
    for (key, _) in SETTINGS {
        let path = path(key, name);
        match fs::read_to_string(&path) {
            Ok(value) => drop(settings.insert(key.to_owned(), value.trim_end().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(LinkError::namespace("read", path)(error)),
        }
    }
    Ok(Treatment { arp: link.arp, gro: links.gro(name).ok(), settings })
}

/// Has the interface `name` treated as it was.
///
/// # Errors
/// `NoLink`, or the system's refusal.
pub async fn reinstate(links: &Links, name: &str, before: &Treatment) -> Result<Link, LinkError> {
    let link = links.require(name).await?;
    for (key, _) in SETTINGS {
        if let Some(value) = before.settings.get(key) {
            let path = path(key, name);
            set(&path, value).map_err(LinkError::namespace("write", path))?;
        }
    }
    if let Some(gro) = before.gro {
        links.ensure_gro(name, gro)?;
    }
    set_arp(links, &link, before.arp).await?;
    Ok(link)
}

async fn set_arp(links: &Links, link: &Link, arp: bool) -> Result<(), LinkError> {
    if link.arp == arp {
        return Ok(());
    }
    let message = LinkMessageBuilder::<LinkUnspec>::default().index(link.index).arp(arp).build();
    links.change(message, "switch ARP on or off on", link.index).await
}

fn path(key: &str, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/sys/net/{}", key.replace("IF", name)))
}

fn set(path: &PathBuf, value: &str) -> io::Result<()> {
    match fs::read_to_string(path) {
        Ok(present) if present.trim_end() == value => Ok(()),
        Ok(_) => fs::write(path, value),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Paths under /proc/sys/net, and what they must hold.
const SETTINGS: [(&str, &str); 3] = [
    ("ipv6/conf/IF/disable_ipv6", "1"),
    ("ipv4/conf/IF/rp_filter", "1"),
    // A unicast packet in a broadcast frame reaches the stack as well.
    ("ipv4/conf/IF/drop_unicast_in_l2_multicast", "1"),
];
