//! Whom the reader trusts with the time.

use std::time::Duration;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{KeyUsage, anchor_from_trusted_cert};

use crate::algorithms::ALL;
use crate::certificate::Certified;
use crate::refused::{Refused, Result};

/// `id-kp-timeStamping`, as `webpki` takes it.
const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];

/// Certificates that the reader trusts: roots, or whoever issued an authority's own. They are trusted as they stand; that
/// one of them has expired since, or had not begun, makes no difference.
#[derive(Debug, Clone)]
pub struct Authorities(Vec<TrustAnchor<'static>>);

impl Authorities {
    /// Reads certificates in PEM, one or several. Text between them is passed over.
    ///
    /// # Errors
    /// [`Refused::Authorities`] where there is none, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self> {
        let unusable = |why: String| Refused::Authorities(why);
        let mut anchors = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            let anchor = anchor_from_trusted_cert(&certificate);
            anchors.push(anchor.map_err(|error| unusable(error.to_string()))?.to_owned());
        }
        if anchors.is_empty() { Err(unusable("no certificate in PEM".to_owned())) } else { Ok(Self(anchors)) }
    }

    /// Finds a chain from a certificate to one of these, valid at `seconds` since the epoch.
    pub(crate) fn vouch_for(
        &self,
        certificate: &Certified<'_>,
        others: &[Certified<'_>],
        seconds: u64,
    ) -> Result<()> {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        // An issuer may do without it; that the signer has it, and nothing else, is checked where the token is.
        let usage = KeyUsage::required_if_present(TIME_STAMPING);
        let others: Vec<_> = others.iter().map(|other| other.der.clone()).collect();
        let end = certificate.end_entity()?;
        let path = end.verify_for_usage(ALL, &self.0, &others, time, usage, None, None);
        path.map(drop).map_err(|error| match error {
            webpki::Error::UnsupportedSignatureAlgorithmContext(_)
            | webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                Refused::Unsupported("a kind of signature in a certificate")
            }
            error => Refused::Chain(error.to_string()),
        })
    }
}
