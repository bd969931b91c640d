//! `SERVICE.NETWORK`: the name under which a container is published in a network.
//!
//! Docker's experimental `--publish-service` wrote it so; `.NETWORK` joins the network under the container's own name.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// A service name and the network it is published in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Published {
    /// Empty: the container's name.
    pub(super) service: String,
    pub(super) network: String,
}

/// A text that does not name a service and a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublishedError {
    /// A service alone; there is no default network.
    NoNetwork { service: String },
    /// More than one dot.
    TooManyParts { text: String },
}

impl FromStr for Published {
    type Err = PublishedError;

    fn from_str(text: &str) -> Result<Published, PublishedError> {
        let parts: Vec<&str> = text.split('.').collect();
        match parts.as_slice() {
            [service] | [service, ""] => Err(PublishedError::NoNetwork { service: (*service).to_owned() }),
            [service, network] => {
                Ok(Published { service: (*service).to_owned(), network: (*network).to_owned() })
            }
            _ => Err(PublishedError::TooManyParts { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for PublishedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PublishedError::NoNetwork { service } => {
                write!(f, "no network is named and there is no default one: write {service}.NETWORK")
            }
            PublishedError::TooManyParts { text } => write!(
                f,
                "'{text}' has more than the two parts of SERVICE.NETWORK; names with dots go by --service and \
                 --network, and a driver is chosen when the network is created"
            ),
        }
    }
}

impl Error for PublishedError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_service_and_network() {
        let published = |service: &str, network: &str| {
            Ok(Published { service: service.to_owned(), network: network.to_owned() })
        };
        assert_eq!("db.foo".parse(), published("db", "foo"));
        assert_eq!(".myvlan".parse(), published("", "myvlan"));
    }

    #[test]
    fn refuses_a_service_without_a_network() {
        for text in ["", "db", "db.", "."] {
            let refused = text.parse::<Published>();
            assert!(matches!(refused, Err(PublishedError::NoNetwork { .. })), "{text:?}: {refused:?}");
        }
    }

    #[test]
    fn refuses_more_than_two_parts() {
        for text in ["db.foo.vlan", "a.b.c.d", "..", "db..foo"] {
            let refused = text.parse::<Published>();
            assert!(matches!(refused, Err(PublishedError::TooManyParts { .. })), "{text:?}: {refused:?}");
        }
    }
}
