//! Values of a topology file, each checked where it is read, so that the error names its line.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;
use pnet_datalink::MacAddr;
use serde::{Deserialize, Serialize};

/// A name of a lab, a machine or a pool.
///
/// Shape: 1–32 of a–z, 0–9 and '-', starting and ending with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A VLAN id, 1–4094.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Vlan(u16);

/// An IPv4 address of a machine with its subnet's prefix length, for example `10.209.164.1/22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostAddress(Ipv4Net);

/// A unicast MAC address, for example `02:00:00:00:aa:01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub(crate) MacAddr);

impl Name {
    /// Checks a name.
    ///
    /// # Errors
    /// A sentence that says what a name looks like.
    pub fn new(text: &str) -> Result<Name, String> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let good = (1..=MAX_NAME).contains(&text.len())
            && text.chars().all(|c| inner(c) || c == '-')
            && text.starts_with(inner)
            && text.ends_with(inner);
        if good {
            return Ok(Name(text.to_owned()));
        }
        Err(format!(
            "`{text}` is no name: it must be 1–{MAX_NAME} of a–z, 0–9 and '-', starting and ending with a letter or digit"
        ))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Vlan {
    /// The id as a number.
    pub fn id(self) -> u16 {
        self.0
    }
}

impl HostAddress {
    /// The address alone.
    pub fn address(self) -> Ipv4Addr {
        self.0.addr()
    }

    /// The subnet it lies in.
    pub fn subnet(self) -> Ipv4Net {
        self.0.trunc()
    }
}

impl Mac {
    /// The locally administered address derived from two numbers and an IPv4 address.
    pub(crate) fn derived(kind: u8, address: Ipv4Addr) -> Mac {
        let [a, b, c, d] = address.octets();
        Mac(MacAddr::new(0x06, kind, a, b, c, d))
    }
}

impl TryFrom<String> for Name {
    type Error = String;
    fn try_from(text: String) -> Result<Name, String> {
        Name::new(&text)
    }
}

impl TryFrom<u32> for Vlan {
    type Error = String;
    fn try_from(id: u32) -> Result<Vlan, String> {
        match u16::try_from(id) {
            Ok(id @ 1..=4094) => Ok(Vlan(id)),
            _ => {
                Err(format!("{id} is no VLAN id: it must be 1–4094 (leave it out for the untagged underlay)"))
            }
        }
    }
}

impl TryFrom<String> for HostAddress {
    type Error = String;
    fn try_from(text: String) -> Result<HostAddress, String> {
        let Ok(net) = Ipv4Net::from_str(&text) else {
            return Err(format!(
                "`{text}` is no IPv4 address with a prefix length: write it like 10.209.164.1/22"
            ));
        };
        let address = net.addr();
        let usable = !(address.is_multicast() || address.is_loopback() || address.is_unspecified());
        if usable
            && (8..=30).contains(&net.prefix_len())
            && address != net.network()
            && address != net.broadcast()
        {
            return Ok(HostAddress(net));
        }
        Err(format!(
            "`{text}` cannot be a machine's address: it must be a unicast host address in a subnet of /8 to /30"
        ))
    }
}

impl TryFrom<String> for Mac {
    type Error = String;
    fn try_from(text: String) -> Result<Mac, String> {
        match MacAddr::from_str(&text) {
            Ok(mac) if mac.0 & 1 == 0 && mac != MacAddr::zero() => Ok(Mac(mac)),
            _ => Err(format!("`{text}` is no unicast MAC address: write it like 02:00:00:00:aa:01")),
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl From<Vlan> for u32 {
    fn from(vlan: Vlan) -> u32 {
        vlan.0.into()
    }
}

impl From<HostAddress> for String {
    fn from(address: HostAddress) -> String {
        address.to_string()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Vlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Long enough for anyone, short enough for paths of unix sockets (107 bytes).
const MAX_NAME: usize = 32;
