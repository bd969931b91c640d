//! TLS as Open vSwitch uses it: certificates of a private authority that bear no host's name.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};

use super::failure::Failure;

/// The files with which we and the switch prove who we are.
#[derive(Clone, Debug, Default)]
pub(in crate::ofctl) struct Identity {
    /// Our private key.
    pub(in crate::ofctl) private_key: Option<PathBuf>,
    /// The certificate for it.
    pub(in crate::ofctl) certificate: Option<PathBuf>,
    /// The authority that has signed the switch's; `none`: any is taken.
    pub(in crate::ofctl) ca_cert: Option<PathBuf>,
}

impl Identity {
    /// A TLS client for that host.
    ///
    /// # Errors
    /// `Identity`, with the file that is missing or wrong.
    pub(super) fn session(&self, host: &str) -> Result<ClientConnection, Failure> {
        let wrong = |text: String| Failure::Identity(text);
        let given = |file: &Option<PathBuf>, option| {
            file.clone().ok_or_else(|| wrong(format!("ssl: needs {option}: see --help")))
        };
        let key = given(&self.private_key, "-p, --private-key")?;
        let certificate = given(&self.certificate, "-c, --certificate")?;
        let verifier = self.verifier(&given(&self.ca_cert, "-C, --ca-cert (FILE or none)")?)?;
        let chain = certificates(&certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&read(&key)?)
            .map_err(|error| wrong(format!("{}: no private key in it ({error})", key.display())))?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
                builder.with_client_auth_cert(chain, key)
            })
            .map_err(|error| wrong(format!("{}: {error}", certificate.display())))?;
        let name = ServerName::try_from(host.to_owned())
            .or_else(|_| ServerName::try_from("switch"))
            .map_err(|error| wrong(error.to_string()))?;
        ClientConnection::new(Arc::new(config), name).map_err(|error| wrong(error.to_string()))
    }

    fn verifier(&self, ca_cert: &Path) -> Result<Arc<ChainOnly>, Failure> {
        let provider = Arc::new(ring::default_provider());
        let algorithms = provider.signature_verification_algorithms;
        if ca_cert == Path::new("none") {
            return Ok(Arc::new(ChainOnly { chain: None, algorithms }));
        }
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca_cert)? {
            let added = roots.add(certificate);
            added.map_err(|error| Failure::Identity(format!("{}: {error}", ca_cert.display())))?;
        }
        let chain = chain_verifier(roots, provider)
            .map_err(|error| Failure::Identity(format!("{}: {error}", ca_cert.display())))?;
        Ok(Arc::new(ChainOnly { chain: Some(chain), algorithms }))
    }
}

fn chain_verifier(
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, rustls::client::VerifierBuilderError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::Identity(format!("{}: {error}", path.display())))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let bytes = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Failure::Identity(format!("{}: no certificate in it", path.display()))),
    }
}

/// Checks who has signed the switch's certificate, and not whose name is in it: those of ovs-pki(8) name no host.
#[derive(Debug)]
struct ChainOnly {
    /// Nothing: any certificate is taken.
    chain: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ChainOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last, when all else is right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
