//! Settings given by `-l`: `KEY=VALUE`, or a bare prefix, which is the subnet.
//!
//! Keys are read in any case. What a key's value means to the network is the controller's to judge; here a value only has
//! to be a value of its kind.

use std::error::Error;
use std::fmt;
use std::net::Ipv4Addr;

/// What `-l` may say of a network; zero and empty stand for "the controller's choice", as in the API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NetworkSettings {
    /// An IPv4 prefix without host bits, for example 10.209.164.0/22.
    pub(super) subnet: String,
    pub(super) gateway: String,
    pub(super) vlan: u32,
    pub(super) vni: u32,
    pub(super) mtu: u32,
    pub(super) block_prefix_len: u32,
}

/// What `-l` may say of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ContainerSettings {
    pub(super) address: String,
}

/// The kinds of resource that take settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Network,
    Container,
}

/// A setting that cannot be taken. All are the caller's errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SettingError {
    UnknownKey {
        key: String,
        owner: Owner,
    },
    /// The key exists, for the other kind of resource.
    WrongOwner {
        key: &'static str,
        owner: Owner,
    },
    /// Neither `KEY=VALUE` nor a prefix.
    NoKey {
        text: String,
        owner: Owner,
    },
    BadValue {
        key: &'static str,
        value: String,
        expected: &'static str,
    },
    /// A subnet whose address has bits below its length; with the prefix that was probably meant.
    HostBits {
        value: String,
        meant: String,
    },
    Twice {
        key: &'static str,
    },
    NoSubnet,
}

/// Reads a network's settings.
///
/// # Errors
/// Any [`SettingError`]; `NoSubnet` if none of the settings is a prefix.
pub(super) fn network<S: AsRef<str>>(texts: &[S]) -> Result<NetworkSettings, SettingError> {
    let mut settings = NetworkSettings::default();
    for setting in read_all(texts, Owner::Network)? {
        match setting {
            Setting::Subnet(prefix) => settings.subnet = prefix,
            Setting::Gateway(address) => settings.gateway = address.to_string(),
            Setting::Vlan(vlan) => settings.vlan = vlan,
            Setting::Vni(vni) => settings.vni = vni,
            Setting::Mtu(mtu) => settings.mtu = mtu,
            Setting::Block(len) => settings.block_prefix_len = len,
            Setting::Ip(_) => return Err(SettingError::WrongOwner { key: "ip", owner: Owner::Network }),
        }
    }
    if settings.subnet.is_empty() { Err(SettingError::NoSubnet) } else { Ok(settings) }
}

/// Reads a container's settings.
///
/// # Errors
/// Any [`SettingError`] but `NoSubnet`.
pub(super) fn container<S: AsRef<str>>(texts: &[S]) -> Result<ContainerSettings, SettingError> {
    let mut settings = ContainerSettings::default();
    for setting in read_all(texts, Owner::Container)? {
        match setting {
            Setting::Ip(address) => settings.address = address.to_string(),
            other => return Err(SettingError::WrongOwner { key: other.key(), owner: Owner::Container }),
        }
    }
    Ok(settings)
}

/// One setting, read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Setting {
    Subnet(String),
    Ip(Ipv4Addr),
    Gateway(Ipv4Addr),
    Vlan(u32),
    Vni(u32),
    Mtu(u32),
    Block(u32),
}

impl Setting {
    fn key(&self) -> &'static str {
        match self {
            Setting::Subnet(_) => "subnet",
            Setting::Ip(_) => "ip",
            Setting::Gateway(_) => "Gateway",
            Setting::Vlan(_) => "Vlan",
            Setting::Vni(_) => "Vni",
            Setting::Mtu(_) => "Mtu",
            Setting::Block(_) => "Block",
        }
    }
}

fn read_all<S: AsRef<str>>(texts: &[S], owner: Owner) -> Result<Vec<Setting>, SettingError> {
    let mut settings: Vec<Setting> = Vec::with_capacity(texts.len());
    for text in texts {
        let setting = read(text.as_ref().trim(), owner)?;
        if settings.iter().any(|earlier| earlier.key() == setting.key()) {
            return Err(SettingError::Twice { key: setting.key() });
        }
        settings.push(setting);
    }
    Ok(settings)
}

fn read(text: &str, owner: Owner) -> Result<Setting, SettingError> {
    let Some((key, value)) = text.split_once('=') else {
        return match text.split_once('/') {
            Some((address, len)) => prefix(text, address, len).map(Setting::Subnet),
            None => Err(SettingError::NoKey { text: text.to_owned(), owner }),
        };
    };
    match key.trim().to_ascii_lowercase().as_str() {
        "ip" => address("ip", value).map(Setting::Ip),
        "gateway" => address("Gateway", value).map(Setting::Gateway),
        "vlan" => number("Vlan", value, 1, 4094, "a VLAN id from 1 to 4094").map(Setting::Vlan),
        "vni" => number("Vni", value, 1, 0xff_ffff, "a VXLAN network identifier from 1 to 16777215")
            .map(Setting::Vni),
        "mtu" => number("Mtu", value, 68, 65_535, "a number of bytes from 68 to 65535").map(Setting::Mtu),
        "block" => {
            let len = value.strip_prefix('/').unwrap_or(value);
            number("Block", len, 1, 32, "a prefix length from 1 to 32").map(Setting::Block)
        }
        _ => Err(SettingError::UnknownKey { key: key.to_owned(), owner }),
    }
}

fn address(key: &'static str, value: &str) -> Result<Ipv4Addr, SettingError> {
    let expected = "an IPv4 address such as 10.209.164.8";
    value.parse().map_err(|_| SettingError::BadValue { key, value: value.to_owned(), expected })
}

fn number(
    key: &'static str,
    value: &str,
    first: u32,
    last: u32,
    expected: &'static str,
) -> Result<u32, SettingError> {
    match value.parse() {
        Ok(number) if (first..=last).contains(&number) => Ok(number),
        _ => Err(SettingError::BadValue { key, value: value.to_owned(), expected }),
    }
}

/// Checks `address/len` and returns it in its plain form.
fn prefix(text: &str, address: &str, len: &str) -> Result<String, SettingError> {
    let bad = || SettingError::BadValue {
        key: "subnet",
        value: text.to_owned(),
        expected: "an IPv4 prefix such as 10.209.164.0/22",
    };
    let address: Ipv4Addr = address.parse().map_err(|_| bad())?;
    let len: u32 = len.parse().ok().filter(|len| *len <= 32).ok_or_else(bad)?;
    let mask = u32::MAX.checked_shl(32 - len).unwrap_or(0);
    let network = Ipv4Addr::from(u32::from(address) & mask);
    if network == address {
        Ok(format!("{network}/{len}"))
    } else {
        Err(SettingError::HostBits { value: text.to_owned(), meant: format!("{network}/{len}") })
    }
}

impl Owner {
    fn takes(self) -> &'static str {
        match self {
            Owner::Network => {
                "a network takes a subnet (such as 10.209.164.0/22), Gateway=, Vlan=, Vni=, Mtu= and Block="
            }
            Owner::Container => "a container takes ip=",
        }
    }

    fn with_article(self) -> &'static str {
        match self {
            Owner::Network => "a network",
            Owner::Container => "a container",
        }
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingError::UnknownKey { key, owner } => {
                write!(f, "there is no setting '{key}'; {}", owner.takes())
            }
            SettingError::WrongOwner { key, owner } => {
                write!(f, "{key} is no setting of {}; {}", owner.with_article(), owner.takes())
            }
            SettingError::NoKey { text, owner } => {
                write!(f, "'{text}' is neither KEY=VALUE nor a prefix; {}", owner.takes())
            }
            SettingError::BadValue { key, value, expected } => {
                write!(f, "{key} cannot be '{value}': expected {expected}")
            }
            SettingError::HostBits { value, meant } => {
                write!(f, "{value} is an address within a subnet; did you mean {meant}?")
            }
            SettingError::Twice { key } => write!(f, "{key} is given twice"),
            SettingError::NoSubnet => {
                write!(f, "a network needs a subnet: add one, for example -l 10.209.164.0/22")
            }
        }
    }
}

impl Error for SettingError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_network_with_keys_in_any_case() {
        let expected = NetworkSettings {
            subnet: "10.209.164.0/22".into(),
            gateway: "10.209.164.1".into(),
            vlan: 100,
            vni: 0,
            mtu: 9000,
            block_prefix_len: 26,
        };
        let texts = ["10.209.164.0/22", "GATEWAY=10.209.164.1", "vlan=100", "mTu=9000", "Block=/26"];
        assert_eq!(network(&texts), Ok(expected));
        assert_eq!(network(&["0.0.0.0/0", "Vni=10000"]).map(|settings| settings.vni), Ok(10_000));
        assert_eq!(container(&["IP=10.209.164.8"]).map(|s| s.address), Ok("10.209.164.8".to_owned()));
        assert_eq!(container::<&str>(&[]), Ok(ContainerSettings::default()));
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_known_ones() {
        let message = network(&["10.0.0.0/24", "gatway=10.0.0.1"]).unwrap_err().to_string();
        assert!(message.contains("'gatway'"), "{message}");
        for key in ["Gateway=", "Vlan=", "Vni=", "Mtu=", "Block=", "subnet"] {
            assert!(message.contains(key), "{message} lacks {key}");
        }
        let message = container(&["adress=10.0.0.1"]).unwrap_err().to_string();
        assert!(message.contains("'adress'") && message.contains("ip="), "{message}");
    }

    #[test]
    fn a_setting_of_the_other_kind_of_resource_is_refused_by_name() {
        assert_eq!(
            network(&["10.0.0.0/24", "ip=10.0.0.1"]),
            Err(SettingError::WrongOwner { key: "ip", owner: Owner::Network })
        );
        for (text, key) in [("10.0.0.0/24", "subnet"), ("Vlan=1", "Vlan"), ("gateway=10.0.0.1", "Gateway")] {
            assert_eq!(container(&[text]), Err(SettingError::WrongOwner { key, owner: Owner::Container }));
        }
    }

    #[test]
    fn refuses_values_that_are_not_of_their_kind() {
        for text in [
            "vlan=0",
            "vlan=4095",
            "vlan=-1",
            "vlan=",
            "vni=0",
            "vni=16777216",
            "mtu=67",
            "mtu=65536",
            "block=0",
            "block=33",
            "gateway=10.0.0",
            "gateway=::1",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0/8",
            "fd00::/64",
        ] {
            let refused = network(&["10.9.0.0/16", text]);
            assert!(matches!(refused, Err(SettingError::BadValue { .. })), "{text}: {refused:?}");
        }
        assert!(matches!(network(&["10.0.0.1"]), Err(SettingError::NoKey { .. })));
        assert!(matches!(network(&[""]), Err(SettingError::NoKey { .. })));
        assert_eq!(network(&["vlan=5"]), Err(SettingError::NoSubnet));
    }

    #[test]
    fn refuses_a_subnet_with_host_bits_and_says_what_was_meant() {
        let refused = network(&["10.209.164.8/22"]).unwrap_err();
        let meant = "10.209.164.0/22".to_owned();
        assert_eq!(refused, SettingError::HostBits { value: "10.209.164.8/22".into(), meant });
    }

    #[test]
    fn refuses_the_same_setting_twice() {
        assert_eq!(network(&["10.0.0.0/24", "10.1.0.0/24"]), Err(SettingError::Twice { key: "subnet" }));
        assert_eq!(network(&["10.0.0.0/24", "vlan=1", "VLAN=1"]), Err(SettingError::Twice { key: "Vlan" }));
    }
}
