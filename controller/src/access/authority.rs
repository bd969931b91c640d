//! The controller's certificate authority: it signs the certificates of nodes, and the controller's own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, server::WebPkiClientVerifier};
use time::OffsetDateTime;
use weir_api::tls::{Fingerprint, SERVER_NAME, certificate};

use super::NodeName;

/// The files in the data directory.
const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";
/// How long the authority's own certificate lasts.
const LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How far back a certificate's life begins at most: clocks differ.
const SKEW: Duration = Duration::from_secs(300);
/// Bytes of a signing request, at most.
const MAX_REQUEST: usize = 16 << 10;

/// Signs certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// Why there is no authority, or no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// A file.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        error: io::Error,
    },
    /// There is a key, and no certificate: another key in its place would make all that it has signed worthless.
    #[error(
        "{key} is there without {certificate}: put that back from a copy, or remove the key to have another authority made, \
         which no node and no token knows"
    )]
    Bereft {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// What is in the files is no authority.
    #[error("{certificate} and {key} are no certificate authority: {reason}")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        reason: String,
    },
    /// The signing request is none.
    #[error("the signing request is not PKCS #10 in DER, signed with its own key: {0}")]
    Request(String),
    /// It could not be signed.
    #[error("a certificate could not be made: {0}")]
    Signing(#[from] rcgen::Error),
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    Random,
}

/// A certificate for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// PEM.
    pub pem: String,
    /// When its life begins.
    pub not_before: SystemTime,
    /// When it ends.
    pub not_after: SystemTime,
}

/// A node's signing request that makes sense.
#[derive(Debug)]
pub struct SigningRequest {
    request: CertificateSigningRequestParams,
    /// The SHA-256 of its public key.
    pub key: [u8; 32],
}

impl Authority {
    /// The authority whose certificate and key are given, or else the one in `directory`, which is made if there is none.
    ///
    /// # Errors
    /// The files cannot be read or made, or are no authority.
    pub fn open(directory: &Path, given: Option<(&Path, &Path)>) -> Result<Self, AuthorityError> {
        if let Some((certificate, key)) = given {
            return Self::load(certificate, key);
        }
        let (certificate, key) = (directory.join(CERTIFICATE), directory.join(KEY));
        let is_there = |path: &Path| {
            path.try_exists().map_err(|error| AuthorityError::File { path: path.to_owned(), error })
        };
        match (is_there(&certificate)?, is_there(&key)?) {
            (true, _) => {}
            (false, true) => return Err(AuthorityError::Bereft { certificate, key }),
            (false, false) => {
                create(&certificate, &key)?;
                tracing::info!(certificate = %certificate.display(), "certificate authority made");
            }
        }
        Self::load(&certificate, &key)
    }

    fn load(certificate_path: &Path, key_path: &Path) -> Result<Self, AuthorityError> {
        let unusable = |reason: String| AuthorityError::Unusable {
            certificate: certificate_path.to_owned(),
            key: key_path.to_owned(),
            reason,
        };
        let text = |path: &Path| {
            fs::read_to_string(path).map_err(|error| AuthorityError::File { path: path.to_owned(), error })
        };
        let (pem, key) = (text(certificate_path)?, text(key_path)?);
        let key = KeyPair::from_pem(&key).map_err(|error| unusable(error.to_string()))?;
        let certificate = certificate(pem.as_bytes()).map_err(|error| unusable(error.to_string()))?;
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).map_err(|error| unusable(error.to_string()))?;
        let authority = Self { issuer, certificate, pem };
        authority.try_out().map_err(unusable)?;
        Ok(authority)
    }

    /// Signs a certificate and checks it as others will: key and certificate may not belong together, or be no authority's.
    fn try_out(&self) -> Result<(), String> {
        let name = NodeName { pool: "try".to_owned(), node: "out".to_owned(), number: Some(0) };
        let key = KeyPair::generate().map_err(|error| error.to_string())?;
        let params = node_params(&name, Duration::from_secs(60)).map_err(|error| error.to_string())?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(|error| error.to_string())?;
        let verifier = self.verifier().map_err(|error| error.to_string())?;
        let now = rustls::pki_types::UnixTime::now();
        verifier
            .verify_client_cert(certificate.der(), &[], now)
            .map(drop)
            .map_err(|error| format!("what they sign is not good: {error}"))
    }

    /// Checks certificates of nodes.
    ///
    /// # Errors
    /// The authority's own certificate cannot be used.
    pub(super) fn verifier(
        &self,
    ) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, rustls::server::VerifierBuilderError>
    {
        let mut roots = RootCertStore::empty();
        // One that cannot be added leaves the store empty, which the builder refuses.
        let (_, refused) = roots.add_parsable_certificates([self.certificate.clone()]);
        tracing::trace!(refused, "roots");
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()))
            .allow_unauthenticated()
            .build()
    }

    /// Its certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// What its certificate is known by.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// A new key and certificate for the controller, under those names and addresses beside its own.
    ///
    /// # Errors
    /// A name is none; the system's.
    pub fn issue_controller(&self, names: &[String], life: Duration) -> Result<CertifiedKey, AuthorityError> {
        let own = [SERVER_NAME, "localhost"].map(str::to_owned);
        let mut params =
            CertificateParams::new(own.into_iter().chain(names.iter().cloned()).collect::<Vec<_>>())?;
        for address in [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])] {
            params.subject_alt_names.push(SanType::IpAddress(address));
        }
        params.distinguished_name = named(SERVER_NAME, None);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        limit(&mut params, life)?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| AuthorityError::Random)?;
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        let signing = rustls::crypto::ring::sign::any_supported_type(&private)
            .map_err(|_| AuthorityError::Signing(rcgen::Error::UnsupportedSignatureAlgorithm))?;
        Ok(CertifiedKey::new(chain, signing))
    }

    /// A certificate for a node.
    ///
    /// # Errors
    /// The system's.
    pub fn issue_node(
        &self,
        request: SigningRequest,
        name: &NodeName,
        life: Duration,
    ) -> Result<Issued, AuthorityError> {
        let params = node_params(name, life)?;
        let (not_before, not_after) = (params.not_before.into(), params.not_after.into());
        let certificate =
            CertificateSigningRequestParams { params, ..request.request }.signed_by(&self.issuer)?;
        Ok(Issued { pem: certificate.pem(), not_before, not_after })
    }
}

impl SigningRequest {
    /// Reads one, and checks that whoever made it has its key.
    ///
    /// # Errors
    /// [`AuthorityError::Request`].
    pub fn read(der: Vec<u8>) -> Result<Self, AuthorityError> {
        if der.len() > MAX_REQUEST {
            return Err(AuthorityError::Request(format!("{} bytes are too many", der.len())));
        }
        let request = CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))
            .map_err(|error| AuthorityError::Request(error.to_string()))?;
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, &request.public_key.subject_public_key_info()).as_ref());
        Ok(Self { request, key })
    }
}

/// What a node's certificate says: it is good for a client, and for no server.
fn node_params(name: &NodeName, life: Duration) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&name.node, Some(&name.pool));
    params.subject_alt_names = vec![SanType::URI(name.uri().try_into()?)];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    limit(&mut params, life)?;
    Ok(params)
}

fn named(common: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name.push(DnType::CommonName, common);
    name
}

/// How long before it is issued a certificate's life begins.
pub(super) fn slack(life: Duration) -> Duration {
    SKEW.min(life / 10)
}

fn limit(params: &mut CertificateParams, life: Duration) -> Result<(), AuthorityError> {
    let now = SystemTime::now();
    params.not_before = OffsetDateTime::from(now - slack(life));
    params.not_after = OffsetDateTime::from(now + life);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_| AuthorityError::Random)?;
    // RFC 5280 §4.1.2.2: a positive integer.
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(())
}

/// Makes an authority.
fn create(certificate_path: &Path, key_path: &Path) -> Result<(), AuthorityError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    limit(&mut params, LIFE)?;
    // Of its own, so that no other's certificates seem to be this one's at first sight.
    let number = params.serial_number.as_ref().map(ToString::to_string).unwrap_or_default();
    params.distinguished_name =
        named(&format!("Weir certificate authority {}", number.replace(':', "")), None);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = false;
    let certificate = params.self_signed(&key)?;
    write(key_path, 0o600, key.serialize_pem().as_bytes())?;
    write(certificate_path, 0o644, certificate.pem().as_bytes())
}

/// Writes a file of that mode whole, or not at all.
fn write(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), AuthorityError> {
    let draft = path.with_extension("new");
    let write = || -> io::Result<()> {
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    write().map_err(|error| AuthorityError::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn request(key: &KeyPair) -> SigningRequest {
        let request = CertificateParams::default().serialize_request(key).unwrap();
        SigningRequest::read(request.der().to_vec()).unwrap()
    }

    fn name() -> NodeName {
        NodeName { pool: "p".to_owned(), node: "n1".to_owned(), number: Some(3) }
    }

    #[test]
    fn an_authority_is_made_once_and_its_key_is_nobodys_business() {
        let dir = tempfile::tempdir().unwrap();
        let made = Authority::open(dir.path(), None).unwrap();
        let again = Authority::open(dir.path(), None).unwrap();
        assert_eq!(made.fingerprint(), again.fingerprint());
        let mode = fs::metadata(dir.path().join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_whose_certificate_is_gone_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        Authority::open(dir.path(), None).unwrap();
        let key = fs::read(dir.path().join(KEY)).unwrap();
        let copy = fs::read(dir.path().join(CERTIFICATE)).unwrap();
        fs::remove_file(dir.path().join(CERTIFICATE)).unwrap();
        let error = Authority::open(dir.path(), None).unwrap_err();
        assert!(matches!(error, AuthorityError::Bereft { .. }), "{error}");
        assert_eq!(fs::read(dir.path().join(KEY)).unwrap(), key);
        fs::write(dir.path().join(CERTIFICATE), copy).unwrap();
        Authority::open(dir.path(), None).unwrap();
    }

    #[test]
    fn a_key_of_another_is_refused_at_once() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Authority::open(one.path(), None).unwrap();
        Authority::open(two.path(), None).unwrap();
        let mixed = (one.path().join(CERTIFICATE), two.path().join(KEY));
        let error = Authority::open(one.path(), Some((&mixed.0, &mixed.1))).unwrap_err();
        assert!(matches!(error, AuthorityError::Unusable { .. }), "{error}");
        fs::write(one.path().join(KEY), "no key").unwrap();
        assert!(Authority::open(one.path(), None).is_err());
    }

    #[test]
    fn a_nodes_certificate_names_it_is_good_for_a_client_and_has_its_own_key() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open(dir.path(), None).unwrap();
        let key = KeyPair::generate().unwrap();
        let issued = authority.issue_node(request(&key), &name(), Duration::from_secs(60)).unwrap();
        let der = certificate(issued.pem.as_bytes()).unwrap();
        assert_eq!(NodeName::of(&der), Ok(name()));
        let verifier = authority.verifier().unwrap();
        let now = rustls::pki_types::UnixTime::now();
        assert!(verifier.verify_client_cert(&der, &[], now).is_ok());
        let later = Duration::from_secs(now.as_secs() + 61);
        let later = rustls::pki_types::UnixTime::since_unix_epoch(later);
        assert!(verifier.verify_client_cert(&der, &[], later).is_err());
        let server = authority.issue_controller(&[], Duration::from_secs(60)).unwrap();
        assert!(verifier.verify_client_cert(&server.cert[0], &[], now).is_err());
    }

    #[test]
    fn a_signing_request_must_be_one() {
        let key = KeyPair::generate().unwrap();
        let good = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        assert_eq!(SigningRequest::read(good.clone()).unwrap().key, request(&key).key);
        let mut forged = good.clone();
        *forged.last_mut().unwrap() ^= 1;
        for bad in [Vec::new(), good[..good.len() / 2].to_vec(), forged, vec![0; MAX_REQUEST + 1]] {
            assert!(matches!(SigningRequest::read(bad), Err(AuthorityError::Request(_))));
        }
    }
}
