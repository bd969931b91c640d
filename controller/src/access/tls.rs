//! TLS of the controller's listeners: its own certificate, renewed while it serves, and what the others show.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Authority, AuthorityError, NodeName, authority};

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between tries to renew the controller's own certificate.
const RETRY: Duration = Duration::from_secs(10);

/// What is told to whoever shows a certificate that has ended.
pub(super) const EXPIRED: &str = "the certificate has expired: on the node, `weir-agent leave --force`, then `weir-agent join` with a new token";

/// What a certificate is good for: whose it is, or that none was shown; or what is wrong with it.
pub type Shown = Result<Option<NodeName>, String>;

/// Accepts TLS connections. Copies are handles to the same.
#[derive(Clone, Debug)]
pub struct Acceptor {
    authority: Arc<Authority>,
    names: Arc<[String]>,
    life: Duration,
    own: Arc<Own>,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// The controller's certificate and key as they are now.
#[derive(Debug)]
struct Own(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Own {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Acceptor {
    /// With a certificate under those names, for so long.
    ///
    /// # Errors
    /// A name is none; the system's.
    pub fn new(
        authority: Arc<Authority>,
        names: Vec<String>,
        life: Duration,
    ) -> Result<Self, AuthorityError> {
        let own = authority.issue_controller(&names, life)?;
        let verifier = authority.verifier().map_err(|_| AuthorityError::Random)?;
        Ok(Self {
            authority,
            names: names.into(),
            life,
            own: Arc::new(Own(RwLock::new(own.into()))),
            verifier,
        })
    }

    /// Renews the controller's certificate whenever two thirds of its life have passed, or the clock is set back to before
    /// it began, for ever. Connections that are open go on.
    pub async fn keep(self) {
        let mut issued = SystemTime::now();
        loop {
            // By the clock, not by a timer of months: it may be set, or the machine sleep.
            while let Some(left) = left(issued, self.life, SystemTime::now()) {
                tokio::time::sleep(left.min(RETRY)).await;
            }
            match self.authority.issue_controller(&self.names, self.life) {
                Ok(new) => {
                    *self.own.0.write().unwrap_or_else(PoisonError::into_inner) = new.into();
                    tracing::info!("the controller's certificate is renewed");
                    issued = SystemTime::now();
                }
                Err(error) => {
                    tracing::error!(%error, "the controller's certificate is not renewed yet");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// For a listener of that protocol (ALPN; empty: none is agreed on).
    ///
    /// # Errors
    /// The versions of TLS and what this program has of it do not go together.
    pub fn listener(&self, protocols: &[&[u8]]) -> Result<Listener, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::new(Later(self.verifier.clone())))
            .with_cert_resolver(self.own.clone());
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Listener { tls: Arc::new(config).into(), verifier: self.verifier.clone() })
    }
}

/// How long a certificate that was issued then, for so long, need not be renewed; `None`: it is time.
fn left(issued: SystemTime, life: Duration, now: SystemTime) -> Option<Duration> {
    let has_begun = now >= issued - authority::slack(life);
    (issued + life * 2 / 3).duration_since(now).ok().filter(|left| has_begun && !left.is_zero())
}

/// The TLS of one listener. Copies are handles to the same.
#[derive(Clone)]
pub struct Listener {
    tls: TlsAcceptor,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl Listener {
    /// Shakes hands, and says what the other end has shown.
    ///
    /// # Errors
    /// The other end speaks no TLS, is too slow, or does not like the controller's certificate.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Shown)> {
        let accepted = tokio::time::timeout(PATIENCE, self.tls.accept(stream)).await;
        let stream = accepted.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let shown = self.judge(stream.get_ref().1.peer_certificates().unwrap_or_default());
        Ok((stream, shown))
    }

    fn judge(&self, chain: &[CertificateDer<'static>]) -> Shown {
        let Some((certificate, intermediates)) = chain.split_first() else { return Ok(None) };
        let verified = self.verifier.verify_client_cert(certificate, intermediates, UnixTime::now());
        verified.map_err(|error| reason(&error))?;
        NodeName::of(certificate).map(Some)
    }
}

/// What is wrong with a certificate, for whoever shows it.
fn reason(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            EXPIRED.to_owned()
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the certificate is of another authority than this controller's".to_owned()
        }
        error => format!("the certificate is not good: {error}"),
    }
}

/// Takes any certificate in the handshake, if whoever shows it has its key: it is judged afterwards, where the reason of a
/// refusal can be told.
#[derive(Debug)]
struct Later(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Later {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_when_it_is_old_and_when_the_clock_says_that_it_has_not_begun() {
        let (s, issued) = (Duration::from_secs, SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30));
        let left = |now| left(issued, s(9000), now);
        assert_eq!(left(issued), Some(s(6000)));
        assert_eq!(left(issued + s(5999)), Some(s(1)));
        assert_eq!(left(issued + s(6000)), None);
        assert!(left(issued - s(300)).is_some(), "it is good from a little before it was issued on");
        assert_eq!(left(issued - s(301)), None);
    }
}
