//! The signature of a token (RFC 5652), and the certificate that it names (RFC 5035).

use der::asn1::{ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode, Header, Length, Tag, TagNumber};

use crate::algorithms::{SHA_1, SHA_256, digest, naming_digest, of_signer};
use crate::certificate::Certified;
use crate::refused::{Refused, Result};
use crate::structures::{
    Attribute, CONTENT_TYPE, EssCertId, MESSAGE_DIGEST, SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2,
    SignedData, SignerInfo, SigningCertificate, TST_INFO, elements,
};

pub(crate) struct Signer<'a> {
    info: SignerInfo<'a>,
    /// The signed attributes, by kind; each has one value.
    attributes: Vec<(ObjectIdentifier, &'a [u8])>,
}

impl<'a> Signer<'a> {
    /// The one who signed.
    pub(crate) fn only(signed: &SignedData<'a>) -> Result<Self> {
        let malformed = |_| Refused::Malformed("the signer");
        let signers = elements(signed.signers.0).map_err(malformed)?;
        let [signer] = signers.as_slice() else { return Err(Refused::Signers) };
        let info = SignerInfo::from_der(signer).map_err(malformed)?;
        let mut attributes: Vec<(_, &[u8])> = Vec::new();
        for attribute in elements(info.signed.0).map_err(malformed)? {
            let Attribute { kind, values } = Attribute::from_der(attribute).map_err(malformed)?;
            let values = elements(values.0).map_err(malformed)?;
            let [value] = values.as_slice() else { return Err(Refused::Attributes) };
            if attributes.iter().any(|(other, _)| *other == kind) {
                return Err(Refused::Attributes);
            }
            attributes.push((kind, value));
        }
        Ok(Self { info, attributes })
    }

    /// The certificate that the signer names.
    pub(crate) fn certificate<'c>(&self, all: &'c [Certified<'a>]) -> Result<&'c Certified<'a>> {
        let named = self.info.signer;
        let by_key = Tag::ContextSpecific { constructed: false, number: TagNumber(0) };
        let mut found = if named.header().tag() == by_key && self.info.version == 3 {
            all.iter().find(|certificate| certificate.has_key_identifier(named.value()))
        } else {
            let malformed = |_| Refused::Malformed("the name of the signer");
            let named = named.decode_as().map_err(malformed)?;
            all.iter().find(|certificate| certificate.is_numbered(&named))
        };
        found.take().ok_or(Refused::Signer)
    }

    /// Checks that the holder of `certificate` signed `content`, as somebody who may state times.
    pub(crate) fn verify(&self, content: &[u8], certificate: &Certified<'_>) -> Result<()> {
        let content_type = ObjectIdentifier::from_der(self.attribute(CONTENT_TYPE)?);
        let stated = <&OctetStringRef>::from_der(self.attribute(MESSAGE_DIGEST)?);
        let hashed = digest(self.info.digest.oid).ok_or(Refused::Unsupported("a kind of hash"))?(content);
        if content_type != Ok(TST_INFO) || stated.map(OctetStringRef::as_bytes) != Ok(&hashed) {
            return Err(Refused::Attributes);
        }
        self.names(certificate)?;
        certificate.for_timestamps()?;
        self.signed_with(certificate)
    }

    fn attribute(&self, kind: ObjectIdentifier) -> Result<&'a [u8]> {
        let found = self.attributes.iter().find(|(other, _)| *other == kind);
        found.map(|(_, value)| *value).ok_or(Refused::Attributes)
    }

    /// Checks that what is signed says which certificate it is signed with, or another one of the same key could stand in
    /// its place.
    fn names(&self, certificate: &Certified<'_>) -> Result<()> {
        let kinds = [(SIGNING_CERTIFICATE, SHA_1), (SIGNING_CERTIFICATE_V2, SHA_256)];
        let mut named = false;
        for (value, default) in
            kinds.into_iter().filter_map(|(kind, default)| Some((self.attribute(kind).ok()?, default)))
        {
            let malformed = |_| Refused::Malformed("the name of the signer's certificate");
            let list = SigningCertificate::from_der(value).map_err(malformed)?;
            let ids = elements(list.certificates.0).map_err(malformed)?;
            let id = EssCertId::from_der(ids.first().ok_or(Refused::Signer)?).map_err(malformed)?;
            let algorithm = id.algorithm.map_or(default, |algorithm| algorithm.oid);
            let hash = naming_digest(algorithm).ok_or(Refused::Unsupported("a kind of hash"))?;
            let is_it = hash(&certificate.der) == id.hash.as_bytes()
                && id.issuer.as_ref().is_none_or(|issuer| certificate.is_issued_as(issuer));
            if !is_it {
                return Err(Refused::Signer);
            }
            named = true;
        }
        if named { Ok(()) } else { Err(Refused::Attributes) }
    }

    fn signed_with(&self, certificate: &Certified<'_>) -> Result<()> {
        let message = self.signed_bytes().ok_or(Refused::Malformed("the signed attributes"))?;
        let (holder, signature) = (certificate.end_entity()?, self.info.signature.as_bytes());
        let mut refused = Refused::Unsupported("a kind of signature");
        for algorithm in of_signer(self.info.algorithm, self.info.digest.oid) {
            match holder.verify_signature(algorithm, &message, signature) {
                Ok(()) => return Ok(()),
                Err(webpki::Error::InvalidSignatureForPublicKey) => refused = Refused::Signature,
                // Of another kind of key.
                Err(_) => {}
            }
        }
        Err(refused)
    }

    /// The signed attributes under the tag that their signature is over (RFC 5652, section 5.4).
    fn signed_bytes(&self) -> Option<Vec<u8>> {
        let attributes = self.info.signed.0;
        let mut bytes = Header::new(Tag::Set, Length::try_from(attributes.len()).ok()?).to_der().ok()?;
        bytes.extend_from_slice(attributes);
        Some(bytes)
    }
}
