//! Whose a certificate is.

use std::fmt;

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A node as its certificate names it.
///
/// Shape: a subject alternative name `weir://POOL/NODE/NUMBER`, the number being that of the node's admission.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeName {
    /// Its pool.
    pub pool: String,
    /// Its name in the pool.
    pub node: String,
    /// The number of its admission; `None`: it has shown no certificate.
    pub number: Option<u32>,
}

impl NodeName {
    /// The subject alternative name.
    pub(super) fn uri(&self) -> String {
        format!("{SCHEME}{}/{}/{}", self.pool, self.node, self.number.unwrap_or_default())
    }

    /// The node of a certificate.
    ///
    /// # Errors
    /// A sentence: the certificate names none.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Result<Self, String> {
        let none = || "the certificate names no node of Weir's".to_owned();
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| none())?;
        let names = certificate.subject_alternative_name().ok().flatten().ok_or_else(none)?;
        let uris = names.value.general_names.iter().filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
        uris.filter_map(Self::from_uri).next().ok_or_else(none)
    }

    fn from_uri(uri: &str) -> Option<Self> {
        let mut parts = uri.strip_prefix(SCHEME)?.split('/');
        let (pool, node, number) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
        let is_whole = parts.next().is_none() && !pool.is_empty() && !node.is_empty();
        is_whole.then(|| Self { pool: pool.to_owned(), node: node.to_owned(), number: Some(number) })
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the node `{}` of the pool `{}`", self.node.escape_debug(), self.pool.escape_debug())
    }
}

const SCHEME: &str = "weir://";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_written_and_nothing_else_is() {
        let name = NodeName { pool: "p.a".to_owned(), node: "n-1".to_owned(), number: Some(7) };
        assert_eq!(name.uri(), "weir://p.a/n-1/7");
        assert_eq!(NodeName::from_uri(&name.uri()), Some(name));
        for uri in [
            "",
            "weir://p/n",
            "weir://p/n/x",
            "weir://p/n/1/2",
            "weir:///n/1",
            "weir://p//1",
            "spiffe://p/n/1",
        ] {
            assert_eq!(NodeName::from_uri(uri), None, "{uri}");
        }
        assert!(NodeName::of(&CertificateDer::from(b"no certificate".to_vec())).is_err());
    }
}
