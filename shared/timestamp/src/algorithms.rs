//! The hashes and signatures that authorities use. To add one: a row in [`ALL`], and for a hash one in [`digest`].
//!
//! Signatures are verified here and never made: no private key is in reach of this crate.

use der::asn1::{ObjectIdentifier, UintRef};
use der::{Decode, Encode, Sequence};
use ed25519_dalek::VerifyingKey as Ed25519;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::{BoxedUint, PublicKey};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::spki::AlgorithmIdentifierRef;

pub(crate) const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
pub(crate) const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
/// `rsaEncryption`, which in CMS says PKCS#1 v1.5 with the hash that is named beside it.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// RSA keys that are verified with, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

type Hashing = fn(&[u8]) -> Vec<u8>;
/// Of key, message and signature; `None` where the signature is not the key's.
type Verifying = fn(&[u8], &[u8], &[u8]) -> Option<()>;

/// A hash of content or signed attributes; SHA-1 is none, and names certificates alone.
pub(crate) fn digest(algorithm: ObjectIdentifier) -> Option<Hashing> {
    match algorithm {
        SHA_256 => Some(|bytes| Sha256::digest(bytes).to_vec()),
        SHA_384 => Some(|bytes| Sha384::digest(bytes).to_vec()),
        SHA_512 => Some(|bytes| Sha512::digest(bytes).to_vec()),
        _ => None,
    }
}

/// A hash that names a certificate.
pub(crate) fn naming_digest(algorithm: ObjectIdentifier) -> Option<Hashing> {
    if algorithm == SHA_1 { Some(|bytes| sha1::Sha1::digest(bytes).to_vec()) } else { digest(algorithm) }
}

/// A kind of signature with a kind of key.
#[derive(Debug)]
struct Algorithm {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    holds: Verifying,
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        (self.holds)(key, message, signature).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

macro_rules! algorithms {
    ($($key:ident $signature:ident $holds:expr,)*) => {
        /// All that are known.
        pub(crate) static ALL: &[&dyn SignatureVerificationAlgorithm] =
            &[$(&Algorithm { key: alg_id::$key, signature: alg_id::$signature, holds: $holds },)*];
    };
}

algorithms! {
    RSA_ENCRYPTION RSA_PKCS1_SHA256 |key, message, signature| rsa(key)?.pkcs1v15_verify::<Sha256>(message, signature).ok(),
    RSA_ENCRYPTION RSA_PKCS1_SHA384 |key, message, signature| rsa(key)?.pkcs1v15_verify::<Sha384>(message, signature).ok(),
    RSA_ENCRYPTION RSA_PKCS1_SHA512 |key, message, signature| rsa(key)?.pkcs1v15_verify::<Sha512>(message, signature).ok(),
    RSA_ENCRYPTION RSA_PSS_SHA256 |key, message, signature| rsa(key)?.pss_verify::<Sha256>(message, signature).ok(),
    RSA_ENCRYPTION RSA_PSS_SHA384 |key, message, signature| rsa(key)?.pss_verify::<Sha384>(message, signature).ok(),
    RSA_ENCRYPTION RSA_PSS_SHA512 |key, message, signature| rsa(key)?.pss_verify::<Sha512>(message, signature).ok(),
    ECDSA_P256 ECDSA_SHA256 |key, message, signature| p256(key, &Sha256::digest(message), signature),
    ECDSA_P256 ECDSA_SHA384 |key, message, signature| p256(key, &Sha384::digest(message), signature),
    ECDSA_P256 ECDSA_SHA512 |key, message, signature| p256(key, &Sha512::digest(message), signature),
    ECDSA_P384 ECDSA_SHA256 |key, message, signature| p384(key, &Sha256::digest(message), signature),
    ECDSA_P384 ECDSA_SHA384 |key, message, signature| p384(key, &Sha384::digest(message), signature),
    ECDSA_P384 ECDSA_SHA512 |key, message, signature| p384(key, &Sha512::digest(message), signature),
    ED25519 ED25519 ed25519,
}

/// Those by which a signer may have signed: of one kind of signature, with any kind of key.
pub(crate) fn of_signer(
    signature: AlgorithmIdentifierRef<'_>,
    digest: ObjectIdentifier,
) -> impl Iterator<Item = &'static dyn SignatureVerificationAlgorithm> {
    let named = if signature.oid == RSA {
        match digest {
            SHA_256 => Some(alg_id::RSA_PKCS1_SHA256.to_vec()),
            SHA_384 => Some(alg_id::RSA_PKCS1_SHA384.to_vec()),
            SHA_512 => Some(alg_id::RSA_PKCS1_SHA512.to_vec()),
            _ => None,
        }
    } else {
        content(signature)
    };
    // The NULL behind the name of an RSA signature is often left out.
    let with_null = named.as_ref().map(|named| [named.as_slice(), &[5, 0]].concat());
    ALL.iter().copied().filter(move |algorithm| {
        let known = Some(algorithm.signature_alg_id().to_vec());
        known == named || known == with_null
    })
}

/// Name and parameters of an algorithm, without the head of their sequence: as `webpki` has them.
fn content(algorithm: AlgorithmIdentifierRef<'_>) -> Option<Vec<u8>> {
    let mut bytes = algorithm.oid.to_der().ok()?;
    bytes.extend(algorithm.parameters.map_or(Ok(Vec::new()), |parameters| parameters.to_der()).ok()?);
    Some(bytes)
}

/// `RSAPublicKey` of RFC 8017.
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

fn rsa(key: &[u8]) -> Option<PublicKey> {
    let key = RsaPublicKey::from_der(key).ok()?;
    let number = |number: UintRef<'_>| BoxedUint::from_be_slice_vartime(number.as_bytes());
    PublicKey::new_with_size_limits(number(key.modulus), number(key.exponent), RSA_BITS).ok()
}

fn p256(key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
    let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
    p256::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?.verify_prehash(digest, &signature).ok()
}

fn p384(key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
    let signature = p384::ecdsa::Signature::from_der(signature).ok()?;
    p384::ecdsa::VerifyingKey::from_sec1_bytes(key).ok()?.verify_prehash(digest, &signature).ok()
}

fn ed25519(key: &[u8], message: &[u8], signature: &[u8]) -> Option<()> {
    let key = Ed25519::from_bytes(key.try_into().ok()?).ok()?;
    let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
    key.verify_strict(message, &signature).ok()
}
