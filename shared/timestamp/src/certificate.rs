//! The certificates that come with a token.

use der::asn1::{AnyRef, IntRef};
use der::oid::AssociatedOid;
use der::{Decode, Encode, Tag};
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier};

use crate::refused::{Refused, Result};
use crate::structures::{IssuerAndSerial, IssuerSerial, List, SignedData, TIME_STAMPING, elements};

/// A certificate, and its bytes.
pub(crate) struct Certified<'a> {
    read: Certificate,
    pub(crate) der: CertificateDer<'a>,
}

impl<'a> Certified<'a> {
    /// All X.509 certificates that came along; those of other kinds are passed over.
    pub(crate) fn all(signed: &SignedData<'a>) -> Result<Vec<Self>> {
        let malformed = |_| Refused::Malformed("a certificate");
        let given = elements(signed.certificates.map_or(&[], |set| set.0)).map_err(malformed)?;
        let is_x509 =
            |der: &&[u8]| AnyRef::from_der(der).is_ok_and(|any| any.header().tag() == Tag::Sequence);
        let read = given.into_iter().filter(is_x509).map(|der| {
            let read = Certificate::from_der(der).map_err(malformed)?;
            Ok(Self { read, der: CertificateDer::from(der) })
        });
        read.collect()
    }

    /// The same, for `webpki` to check signatures and chains with.
    pub(crate) fn end_entity(&self) -> Result<EndEntityCert<'_>> {
        EndEntityCert::try_from(&self.der).map_err(|_| Refused::Malformed("the signer's certificate"))
    }

    /// The name of its holder.
    pub(crate) fn subject(&self) -> String {
        self.read.tbs_certificate().subject().to_string()
    }

    /// Whether its issuer and serial number are these.
    pub(crate) fn is_numbered(&self, named: &IssuerAndSerial<'_>) -> bool {
        let issuer = self.read.tbs_certificate().issuer().to_der();
        let issuer =
            issuer.is_ok_and(|own| AnyRef::from_der(&own).is_ok_and(|own| own.value() == named.issuer.0));
        issuer && self.has_serial(named.serial)
    }

    /// Whether its key has this identifier.
    pub(crate) fn has_key_identifier(&self, identifier: &[u8]) -> bool {
        let own = self.extension::<SubjectKeyIdentifier>();
        own.is_some_and(|(_, own)| own.0.as_bytes() == identifier)
    }

    /// Whether a signing-certificate attribute that says more than the hash says this one.
    pub(crate) fn is_issued_as(&self, named: &IssuerSerial<'_>) -> bool {
        let List(issuers) = named.issuer;
        let issuers = elements(issuers).unwrap_or_default();
        let [issuer] = issuers.as_slice() else { return false };
        let issuer = GeneralName::from_der(issuer);
        let own = self.read.tbs_certificate().issuer();
        matches!(issuer, Ok(GeneralName::DirectoryName(issuer)) if issuer == *own)
            && self.has_serial(named.serial)
    }

    fn has_serial(&self, serial: IntRef<'_>) -> bool {
        self.read.tbs_certificate().serial_number().as_bytes() == serial.as_bytes()
    }

    /// Checks that it is for timestamps and nothing else (RFC 3161, section 2.3).
    pub(crate) fn for_timestamps(&self) -> Result<()> {
        let alone = self.extension::<ExtendedKeyUsage>();
        let alone = alone.is_some_and(|(critical, usage)| critical && usage.0 == [TIME_STAMPING]);
        let usage = self.extension::<KeyUsage>();
        let signs = usage.is_none_or(|(_, usage)| usage.digital_signature() || usage.non_repudiation());
        if alone && signs { Ok(()) } else { Err(Refused::Purpose) }
    }

    /// An extension, and whether it is critical. One that is there twice is none.
    fn extension<T: AssociatedOid + for<'d> Decode<'d>>(&self) -> Option<(bool, T)> {
        let extensions = self.read.tbs_certificate().extensions()?;
        let mut of_kind = extensions.iter().filter(|extension| extension.extn_id == T::OID);
        let (Some(Extension { critical, extn_value, .. }), None) = (of_kind.next(), of_kind.next()) else {
            return None;
        };
        Some((*critical, T::from_der(extn_value.as_bytes()).ok()?))
    }
}
