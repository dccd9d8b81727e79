//! The ASN.1 of RFC 3161, RFC 5652 and RFC 5035, as far as a timestamp needs it. Members that nothing here asks about
//! are read as bytes.

use der::asn1::{AnyRef, BitStringRef, IntRef, ObjectIdentifier, OctetStringRef, UintRef};
use der::{DecodeValue, FixedTag, Header, Reader, Sequence, SliceReader, Tag};
use x509_cert::spki::AlgorithmIdentifierRef;

/// `id-signedData`.
pub(crate) const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// `id-ct-TSTInfo`.
pub(crate) const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
/// `id-contentType`.
pub(crate) const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
/// `id-messageDigest`.
pub(crate) const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// `id-aa-signingCertificate`.
pub(crate) const SIGNING_CERTIFICATE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
/// `id-aa-signingCertificateV2`.
pub(crate) const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
/// `id-kp-timeStamping`.
pub(crate) const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");

/// `TimeStampReq`, with the members that we send.
#[derive(Sequence)]
pub(crate) struct TimeStampReq<'a> {
    pub(crate) version: u8,
    pub(crate) imprint: MessageImprint<'a>,
    pub(crate) nonce: UintRef<'a>,
    pub(crate) cert_req: bool,
}

/// Most certificates, attributes or extensions that are read in a row; a chain has three or four certificates.
const MAX_ELEMENTS: usize = 64;

#[derive(Sequence)]
pub(crate) struct TimeStampResp<'a> {
    pub(crate) status: PkiStatusInfo<'a>,
    pub(crate) token: Option<ContentInfo<'a>>,
}

#[derive(Sequence)]
pub(crate) struct PkiStatusInfo<'a> {
    pub(crate) status: u8,
    pub(crate) text: Option<List<'a>>,
    pub(crate) failure: Option<BitStringRef<'a>>,
}

#[derive(Sequence)]
pub(crate) struct ContentInfo<'a> {
    pub(crate) content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(crate) content: AnyRef<'a>,
}

#[derive(Sequence)]
pub(crate) struct SignedData<'a> {
    pub(crate) version: u8,
    pub(crate) digests: Set<'a>,
    pub(crate) content: EncapsulatedContentInfo<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) certificates: Option<Set<'a>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) revocations: Option<Set<'a>>,
    pub(crate) signers: Set<'a>,
}

#[derive(Sequence)]
pub(crate) struct EncapsulatedContentInfo<'a> {
    pub(crate) content_type: ObjectIdentifier,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    pub(crate) content: &'a OctetStringRef,
}

#[derive(Sequence)]
pub(crate) struct SignerInfo<'a> {
    pub(crate) version: u8,
    /// An [`IssuerAndSerial`], or a key identifier under tag 0.
    pub(crate) signer: AnyRef<'a>,
    pub(crate) digest: AlgorithmIdentifierRef<'a>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    pub(crate) signed: Set<'a>,
    pub(crate) algorithm: AlgorithmIdentifierRef<'a>,
    pub(crate) signature: &'a OctetStringRef,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) unsigned: Option<Set<'a>>,
}

#[derive(Sequence)]
pub(crate) struct IssuerAndSerial<'a> {
    pub(crate) issuer: List<'a>,
    pub(crate) serial: IntRef<'a>,
}

#[derive(Sequence)]
pub(crate) struct Attribute<'a> {
    pub(crate) kind: ObjectIdentifier,
    pub(crate) values: Set<'a>,
}

/// `SigningCertificate` and `SigningCertificateV2`.
#[derive(Sequence)]
pub(crate) struct SigningCertificate<'a> {
    /// Of [`EssCertId`]; the first is the signer's.
    pub(crate) certificates: List<'a>,
    pub(crate) policies: Option<List<'a>>,
}

/// `ESSCertID`, whose hash is SHA-1 and which names none, and `ESSCertIDv2`.
#[derive(Sequence)]
pub(crate) struct EssCertId<'a> {
    pub(crate) algorithm: Option<AlgorithmIdentifierRef<'a>>,
    pub(crate) hash: &'a OctetStringRef,
    pub(crate) issuer: Option<IssuerSerial<'a>>,
}

/// `IssuerSerial`: the issuer as `GeneralNames`.
#[derive(Sequence)]
pub(crate) struct IssuerSerial<'a> {
    pub(crate) issuer: List<'a>,
    pub(crate) serial: IntRef<'a>,
}

#[derive(Sequence)]
pub(crate) struct TstInfo<'a> {
    pub(crate) version: u8,
    pub(crate) policy: ObjectIdentifier,
    pub(crate) imprint: MessageImprint<'a>,
    pub(crate) serial: IntRef<'a>,
    pub(crate) time: GenTime<'a>,
    pub(crate) accuracy: Option<Accuracy>,
    pub(crate) ordering: Option<bool>,
    pub(crate) nonce: Option<IntRef<'a>>,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(crate) authority: Option<AnyRef<'a>>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) extensions: Option<List<'a>>,
}

#[derive(Sequence)]
pub(crate) struct MessageImprint<'a> {
    pub(crate) algorithm: AlgorithmIdentifierRef<'a>,
    pub(crate) hash: &'a OctetStringRef,
}

#[derive(Sequence)]
pub(crate) struct Accuracy {
    pub(crate) seconds: Option<u32>,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) millis: Option<u16>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    pub(crate) micros: Option<u16>,
}

/// The bytes of a value with a tag of its own, not yet looked into.
macro_rules! bytes_of {
    ($($(#[$doc:meta])* $name:ident $tag:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name<'a>(pub(crate) &'a [u8]);

        impl FixedTag for $name<'_> {
            const TAG: Tag = Tag::$tag;
        }

        impl<'a> DecodeValue<'a> for $name<'a> {
            type Error = der::Error;

            fn decode_value<R: Reader<'a>>(reader: &mut R, header: Header) -> der::Result<Self> {
                Ok(Self(reader.read_slice(header.length())?))
            }
        }

        impl der::EncodeValue for $name<'_> {
            fn value_len(&self) -> der::Result<der::Length> {
                self.0.len().try_into()
            }

            fn encode_value(&self, writer: &mut impl der::Writer) -> der::Result<()> {
                writer.write(self.0)
            }
        }
    )*};
}

bytes_of! {
    /// A `SET OF`. That it is sorted, as DER has it, is not asked: what is signed is these very bytes, and for the others
    /// nothing depends on it.
    Set Set,
    /// A `SEQUENCE OF`.
    List Sequence,
    /// A `GeneralizedTime`, which here may have a fraction of a second.
    GenTime GeneralizedTime,
}

/// The elements of a set or a sequence, each as its DER.
pub(crate) fn elements(bytes: &[u8]) -> der::Result<Vec<&[u8]>> {
    let mut reader = SliceReader::new(bytes)?;
    let mut elements = Vec::new();
    while !reader.is_finished() {
        if elements.len() == MAX_ELEMENTS {
            return Err(reader.error(der::ErrorKind::Overlength));
        }
        elements.push(reader.tlv_bytes()?);
    }
    Ok(elements)
}
