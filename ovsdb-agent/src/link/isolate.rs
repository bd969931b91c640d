//! Keeping the kernel's own stack off an interface that belongs to Open vSwitch.
//!
//! The userspace datapath reads such an interface through a packet socket, and the kernel goes on treating every frame
//! as its own as well (OVS documentation, `intro/install/userspace.rst`, "Firewall Rules"). Left alone, the host would
//! answer a container's ARP for the host's address, be reachable from it past every flow, and see each underlay
//! packet twice: once from the NIC, once from br-phy.
//!
//! What is done: no IPv6 on the interface, no ARP, and a strict reverse path filter, which drops all IPv4 because no
//! route ever points to the interface.

use std::{fs, io, path::PathBuf};

use rtnetlink::{LinkMessageBuilder, LinkUnspec};

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
        let path = PathBuf::from(format!("/proc/sys/net/{}", key.replace("IF", name)));
        set(&path, value).map_err(LinkError::namespace("write", path))?;
    }
    if link.arp {
        let message = LinkMessageBuilder::<LinkUnspec>::default().index(link.index).arp(false).build();
        links.change(message, "switch off ARP on", link.index).await?;
    }
    Ok(link)
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
