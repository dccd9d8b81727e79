//! Speaking TLS: the service's own certificate, which is taken up anew when its files are replaced.
//!
//! TLS 1.2 and 1.3 by rustls on aws-lc-rs, with its choice of ciphers. What it is not: a way to ask callers for certificates, or
//! to get one from an authority.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use der::Decode as _;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate as X509;

use crate::settings::TlsFiles;
use crate::shutdown::Shutdown;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// Why the files of a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// One of them cannot be read.
    #[error("cannot read {path}: {1}", path = .0.display())]
    Io(PathBuf, io::Error),
    /// The first holds no certificate, or one that is none.
    #[error("{path} holds no certificate in PEM: it has to begin with -----BEGIN CERTIFICATE-----", path = .0.display())]
    NoCertificate(PathBuf),
    /// The second holds no private key.
    #[error("{path} holds no private key in PEM, such as -----BEGIN PRIVATE KEY-----", path = .0.display())]
    NoKey(PathBuf),
    /// The two do not belong together, or are of a kind that cannot be used.
    #[error("the certificate in {certificate} cannot be used with the key in {key}: {2}", certificate = .0.display(), key = .1.display())]
    Unusable(PathBuf, PathBuf, rustls::Error),
    /// This build speaks no version of TLS.
    #[error("TLS cannot be spoken: {0}")]
    Protocol(rustls::Error),
}

/// The certificate that the service shows to whoever connects. Those who are connected keep the one they were shown.
pub struct Certificate {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: RwLock<Current>,
}

struct Current {
    /// What the files held: certificates, key.
    pem: Pem,
    key: Arc<CertifiedKey>,
}

#[derive(Clone, PartialEq, Eq)]
struct Pem(Vec<u8>, Vec<u8>);

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// Where they cannot be read, or used together.
    pub fn open(files: &TlsFiles) -> Result<Arc<Self>, CertificateError> {
        let provider = Arc::new(default_provider());
        let pem = Pem::read(files)?;
        let key = pem.certified(files, &provider)?;
        let current = RwLock::new(Current { pem, key });
        Ok(Arc::new(Self { files: files.clone(), provider, current }))
    }

    /// How a server speaks TLS with it.
    ///
    /// # Errors
    /// Where no version of TLS can be spoken.
    pub fn config(self: &Arc<Self>) -> Result<ServerConfig, CertificateError> {
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Protocol)?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(self) as _;
        Ok(config.with_no_client_auth().with_cert_resolver(resolver))
    }

    /// Takes up what the files hold, whenever that is something else, until asked to stop. What cannot be used, as when
    /// one of the two is replaced and the other is not yet, is logged, and the former certificate stays.
    pub async fn run(&self, shutdown: Shutdown) {
        let mut refused = None;
        self.tell_its_end();
        while shutdown.pause(LOOK).await {
            match self.look(&mut refused) {
                Ok(true) => {
                    self.tell_its_end();
                    tracing::info!(file = %self.files.certificate.display(), "tls.certificate.replaced");
                }
                Ok(false) => {}
                Err(error) => {
                    metrics::counter!("trialseal_tls_certificate_failures_total").increment(1);
                    tracing::error!(%error, "tls.certificate.refused");
                }
            }
        }
    }

    /// Shows when the certificate ends: not those between it and its authority, of which some that have ended are still sent.
    #[expect(clippy::cast_precision_loss, reason = "seconds of a date have some 32 bits")]
    fn tell_its_end(&self) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = current.key.cert.first().and_then(end_of) {
            metrics::gauge!("trialseal_tls_certificate_not_after_seconds").set(end as f64);
        }
    }

    /// Looks whether the files hold something new, and takes it up; answers whether it did. What was `refused` before is
    /// not tried again.
    fn look(&self, refused: &mut Option<Pem>) -> Result<bool, CertificateError> {
        let pem = Pem::read(&self.files)?;
        let known = self.current.read().unwrap_or_else(PoisonError::into_inner).pem == pem;
        if known || refused.as_ref() == Some(&pem) {
            return Ok(false);
        }
        match pem.certified(&self.files, &self.provider) {
            Ok(key) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { pem, key };
                *refused = None;
                Ok(true)
            }
            Err(error) => {
                *refused = Some(pem);
                Err(error)
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

/// The second since 1970 at which a certificate ends.
fn end_of(certificate: &CertificateDer<'_>) -> Option<u64> {
    let certificate = X509::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate().validity().not_after.to_unix_duration().as_secs())
}

impl Pem {
    fn read(files: &TlsFiles) -> Result<Self, CertificateError> {
        let read = |path: &PathBuf| fs::read(path).map_err(|error| CertificateError::Io(path.clone(), error));
        Ok(Self(read(&files.certificate)?, read(&files.key)?))
    }

    fn certified(
        &self,
        files: &TlsFiles,
        provider: &CryptoProvider,
    ) -> Result<Arc<CertifiedKey>, CertificateError> {
        let TlsFiles { certificate, key } = files;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.0).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| CertificateError::NoCertificate(certificate.clone()))?;
        let private =
            PrivateKeyDer::from_pem_slice(&self.1).map_err(|_| CertificateError::NoKey(key.clone()))?;
        let certified = CertifiedKey::from_der(chain, private, provider);
        certified
            .map(Arc::new)
            .map_err(|error| CertificateError::Unusable(certificate.clone(), key.clone(), error))
    }
}
