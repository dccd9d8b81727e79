//! Keyed digests: HMAC-SHA3-256 (RFC 2104, FIPS 202) under keys that are derived from another, one a purpose.

use std::fmt;

use hmac::digest::common::Key;
use hmac::{KeyInit, Mac, SimpleHmac};
use sha3::Sha3_256;
use zeroize::Zeroizing;

type Hmac = SimpleHmac<Sha3_256>;

/// A key that only makes digests.
#[derive(Clone)]
pub(crate) struct DigestKey(Hmac);

impl DigestKey {
    /// The key itself, for digests of any kind.
    fn new(key: &[u8; 32]) -> Self {
        // HMAC fills a short key up with zeros to the hash's block.
        let mut block = Key::<Hmac>::default();
        block[..key.len()].copy_from_slice(key);
        Self(Hmac::new(&block))
    }

    /// The digest key for one `purpose`, derived from `root`: digests of one purpose tell nothing of another's, nor of
    /// what `root` encrypts.
    pub(crate) fn derive(root: &[u8; 32], purpose: &str) -> Self {
        Self::new(&derive(root, purpose, &[]))
    }

    /// The digest of a list of parts. Before each part goes its length, as eight bytes, big-endian, so that no two
    /// lists give the same input.
    pub(crate) fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(…)")
    }
}

/// A key for one `purpose` and `context`, derived from `root`.
pub(crate) fn derive(root: &[u8; 32], purpose: &str, context: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let parts = [&[b"trialseal/vault/derive/v1".as_slice(), purpose.as_bytes()], context].concat();
    Zeroizing::new(DigestKey::new(root).digest(&parts))
}
