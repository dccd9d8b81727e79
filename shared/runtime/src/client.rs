//! Asking others over HTTP: the client of everybody here who asks, and whose certificates it believes about who answers.
//!
//! Those are the public certificate authorities, as Mozilla lists them, and what a file adds to them, such as the authority of
//! a hospital. TLS is rustls on aws-lc-rs. What it is not: a way to ask more than one thing at a time, or to trust a server
//! whose name is not in its certificate.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// Why a file of certificate authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// It cannot be read.
    #[error("cannot read the certificate authorities in {path}: {1}", path = .0.display())]
    Io(PathBuf, io::Error),
    /// It holds no certificate.
    #[error("{path} holds no certificate in PEM: it has to begin with -----BEGIN CERTIFICATE-----", path = .0.display())]
    Empty(PathBuf),
    /// One of its certificates, counted from 1, is none.
    #[error("certificate {1} in {path} cannot be read: put the authority's own there, in PEM", path = .0.display())]
    Malformed(PathBuf, usize),
}

/// The certificate authorities that are believed about the names of servers.
#[derive(Clone)]
pub struct Authorities(Arc<Vec<Certificate<'static>>>);

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

impl Authorities {
    /// The public ones.
    pub fn public() -> Self {
        Self(Arc::new(public().collect()))
    }

    /// The public ones, and those in a file, as PEM, if there is one.
    ///
    /// # Errors
    /// Where the file cannot be read, or has something else.
    pub fn with_file(file: Option<&Path>) -> Result<Self, AuthoritiesError> {
        let Some(file) = file else { return Ok(Self::public()) };
        let pem = fs::read(file).map_err(|error| AuthoritiesError::Io(file.to_owned(), error))?;
        let mut own = Vec::new();
        for (number, read) in (1..).zip(CertificateDer::pem_slice_iter(&pem)) {
            let malformed = || AuthoritiesError::Malformed(file.to_owned(), number);
            let certificate = read.map_err(|_| malformed())?;
            RootCertStore::empty().add(certificate.clone()).map_err(|_| malformed())?;
            own.push(Certificate::from_der(&certificate).to_owned());
        }
        if own.is_empty() {
            return Err(AuthoritiesError::Empty(file.to_owned()));
        }
        Ok(Self(Arc::new(public().chain(own).collect())))
    }

    /// Their certificates, in DER.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Certificate::der)
    }

    /// A client that believes them, waits for an answer as a whole for so long, follows no redirect, and takes every status
    /// for an answer.
    pub fn agent(&self, patience: Duration) -> Agent {
        // The one that everything else here takes its arithmetic from.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::Specific(Arc::clone(&self.0)))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(patience))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        config.into()
    }
}

fn public() -> impl Iterator<Item = Certificate<'static>> {
    TLS_SERVER_ROOT_CERTS.iter().map(|certificate| Certificate::from_der(certificate.as_ref()))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;

    use super::*;

    /// A certificate of the public list, as PEM.
    fn pem() -> String {
        let der = TLS_SERVER_ROOT_CERTS[0].as_ref();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(der))
    }

    #[test]
    fn the_authorities_of_a_file_come_on_top_of_the_public_ones() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let public = Authorities::with_file(None).unwrap().certificates().count();
        assert!(public > 50, "{public}");
        fs::write(&file, format!("Ours\n{0}and the next\n{0}", pem())).unwrap();
        assert_eq!(Authorities::with_file(Some(&file)).unwrap().certificates().count(), public + 2);
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ca.pem");
        let refused = |text: &str| {
            fs::write(&file, text).unwrap();
            Authorities::with_file(Some(&file)).unwrap_err()
        };
        assert!(matches!(Authorities::with_file(Some(dir.path())), Err(AuthoritiesError::Io(..))));
        assert!(matches!(refused(""), AuthoritiesError::Empty(_)));
        assert!(matches!(refused("ledger.example.org"), AuthoritiesError::Empty(_)));
        let key = pem().replace("CERTIFICATE", "PRIVATE KEY");
        assert!(matches!(refused(&key), AuthoritiesError::Empty(_)));
        let other = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(refused(&(pem() + other)), AuthoritiesError::Malformed(_, 2)));
        let cut = &pem()[..200];
        assert!(matches!(refused(cut), AuthoritiesError::Malformed(_, 1) | AuthoritiesError::Empty(_)));
    }
}
