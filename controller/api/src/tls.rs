//! TLS to a controller, for agents and tools: whom to trust, who one is, and a channel over it.
//!
//! A controller's certificate is checked for one name, [`SERVER_NAME`], wherever the controller is: its authority gives that
//! name to controllers only. Whoever has nothing but a token trusts the authority that has the token's fingerprint.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring as provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// The name in every controller's certificate, and in no other.
pub const SERVER_NAME: &str = "weir-controller";

/// The SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` counts it.
///
/// Shape: 64 lower-case hexadecimal digits; read with or without colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// A text that is no [`Fingerprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint has 64 hexadecimal digits")]
pub struct NoFingerprint;

impl Fingerprint {
    /// That of a certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, certificate).as_ref());
        Self(fingerprint)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
        let mut fingerprint = [0; 32];
        if digits.len() != 2 * fingerprint.len() {
            return Err(NoFingerprint);
        }
        for (byte, pair) in fingerprint.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NoFingerprint)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NoFingerprint)?;
        }
        Ok(Self(fingerprint))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whose word is taken for who the controller is.
#[derive(Clone, Debug)]
pub enum Trust {
    /// That of the authority with this certificate.
    Authority(CertificateDer<'static>),
    /// That of the authority whose certificate, which the controller shows, has this fingerprint.
    Fingerprint(Fingerprint),
}

/// What a node shows the controller.
#[derive(Debug)]
pub struct Identity {
    /// Its certificate, and those between it and the authority's, if any.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
}

/// TLS cannot be used as it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no certificate, or no key, where one should be.
    #[error("{what}: {error}")]
    Pem {
        /// What should have been there.
        what: &'static str,
        /// What was found.
        error: rustls::pki_types::pem::Error,
    },
    /// Certificate or key cannot be used.
    #[error("certificate or key cannot be used: {0}")]
    Unusable(#[from] Error),
    /// The authority's certificate cannot be used.
    #[error("the authority's certificate cannot be used: {0}")]
    Authority(#[from] rustls::client::VerifierBuilderError),
}

impl Trust {
    /// The authority of a PEM file's first certificate.
    ///
    /// # Errors
    /// There is none in it.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsError> {
        certificate(pem).map(Self::Authority)
    }
}

/// The first certificate in a PEM text.
///
/// # Errors
/// There is none in it.
pub fn certificate(pem: &[u8]) -> Result<CertificateDer<'static>, TlsError> {
    CertificateDer::from_pem_slice(pem).map_err(|error| TlsError::Pem { what: "a certificate", error })
}

impl Identity {
    /// From PEM texts.
    ///
    /// # Errors
    /// There is no certificate or no key in them.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|error| TlsError::Pem { what: "a certificate", error })?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| TlsError::Pem { what: "a private key", error })?;
        Ok(Self { chain, key })
    }
}

/// How a client speaks TLS to a controller.
///
/// # Errors
/// Certificates or key cannot be used.
pub fn client(trust: &Trust, identity: Option<Identity>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(provider::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Authority(certificate) => of_authority(certificate, provider)?,
        Trust::Fingerprint(wanted) => Arc::new(Pinned { wanted: *wanted, provider }),
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn of_authority(
    certificate: &CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    Ok(WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?)
}

/// A channel over TLS to `authority`, which is HOST:PORT; made again by itself when it breaks.
///
/// # Errors
/// Nothing listens there, or it is not whom one trusts.
pub async fn connect(
    endpoint: Endpoint,
    authority: String,
    config: ClientConfig,
) -> Result<Channel, tonic::transport::Error> {
    let connector = TlsConnector::from(Arc::new(config));
    endpoint
        .connect_with_connector(service_fn(move |_: Uri| {
            let (connector, authority) = (connector.clone(), authority.clone());
            async move {
                let stream = TcpStream::connect(&authority).await?;
                stream.set_nodelay(true)?;
                let name = ServerName::try_from(SERVER_NAME).expect("a constant that is a name");
                connector.connect(name, stream).await.map(TokioIo::new)
            }
        }))
        .await
}

/// Trusts the authority that has a fingerprint, and then checks as ever.
#[derive(Debug)]
struct Pinned {
    wanted: Fingerprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates.iter().find(|shown| Fingerprint::of(shown) == self.wanted);
        let authority = authority.ok_or_else(|| {
            Error::General(format!(
                "the controller's authority does not have the fingerprint {}: it is another controller than the one \
                 that gave the token",
                self.wanted
            ))
        })?;
        let verifier = of_authority(&authority.clone().into_owned(), self.provider.clone())
            .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fingerprints_as_they_are_shown() {
        let fingerprint = Fingerprint([0xab; 32]);
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        assert_eq!(["AB"; 32].join(":").parse(), Ok(fingerprint));
        for text in ["", "ab", &"zz".repeat(32), &"ab".repeat(33)] {
            assert_eq!(text.parse::<Fingerprint>(), Err(NoFingerprint), "{text}");
        }
    }
}
