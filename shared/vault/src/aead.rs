//! AES-256-GCM (NIST SP 800-38D) with random nonces, and how its associated data is put together.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{Aead, AeadInOut, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use zeroize::{Zeroize, Zeroizing};

use crate::error::VaultError;
use crate::random;

/// Bytes of a nonce. Random ones of this size are good for 2³² messages a key; a participant's key seals a few thousand.
pub(crate) const NONCE_BYTES: usize = 12;
/// Bytes of an authentication tag.
pub(crate) const TAG_BYTES: usize = 16;

/// One key, ready for use; its schedule is wiped when dropped.
pub(crate) struct Cipher(Aes256Gcm);

impl Cipher {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key)))
    }

    /// `nonce ‖ ciphertext ‖ tag` under a fresh random nonce.
    pub(crate) fn seal(&self, associated: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce = random::nonce()?;
        let mut sealed = Vec::with_capacity(NONCE_BYTES + plaintext.len() + TAG_BYTES);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let text = InOutBuf::from(&mut sealed[NONCE_BYTES..]);
        let Ok(tag) = self.0.encrypt_inout_detached(&Nonce::from(nonce), associated, text) else {
            sealed.zeroize();
            return Err(VaultError::TooLong);
        };
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens what [`Cipher::seal`] made.
    pub(crate) fn open(&self, associated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (nonce, sealed) = sealed.split_first_chunk().ok_or(VaultError::Refused)?;
        self.open_with(nonce, associated, sealed)
    }

    /// `ciphertext ‖ tag` under a nonce of the caller's, which must never come twice for this key.
    pub(crate) fn seal_with(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, VaultError> {
        let payload = Payload { msg: plaintext, aad: associated };
        self.0.encrypt(&Nonce::from(*nonce), payload).map_err(|_| VaultError::TooLong)
    }

    /// Opens what [`Cipher::seal_with`] made.
    pub(crate) fn open_with(
        &self,
        nonce: &[u8; NONCE_BYTES],
        associated: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let payload = Payload { msg: sealed, aad: associated };
        self.0.decrypt(&Nonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| VaultError::Refused)
    }
}

/// Joins parts so that no two lists of parts give the same bytes: before each part stands its length, as eight bytes,
/// big-endian.
pub(crate) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum());
    for part in parts {
        joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}
