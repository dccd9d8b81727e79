use std::fmt;
use std::sync::{Arc, OnceLock};

use trialseal_record::ids::Scope;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::aead::{Cipher, joined};
use crate::error::VaultError;
use crate::keyed::{self, DigestKey};

/// The key of one scope's data, unwrapped. It cannot be copied out; it is wiped when the last holder drops it.
pub struct DataKey {
    id: Uuid,
    scope: Scope,
    origin: Arc<str>,
    key: Zeroizing<[u8; 32]>,
    cipher: Cipher,
    content: OnceLock<DigestKey>,
}

impl DataKey {
    pub(crate) fn new(id: Uuid, scope: Scope, origin: Arc<str>, key: Zeroizing<[u8; 32]>) -> Self {
        let cipher = Cipher::new(&key);
        Self { id, scope, origin, key, cipher, content: OnceLock::new() }
    }

    /// The key's id: store it beside what the key sealed.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Whose data the key encrypts.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Encrypts `plaintext`: a random 12-byte nonce, the ciphertext, a 16-byte tag. It opens again for the same
    /// `context` (what it is and where it stands, such as an event id), under this key and this ledger, and nowhere
    /// else.
    pub fn seal(&self, context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.cipher.seal(&self.associated(context), plaintext)
    }

    /// Decrypts what [`DataKey::seal`] made for the same `context`; [`VaultError::Refused`] for anything else.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.cipher.open(&self.associated(context), sealed)
    }

    fn associated(&self, context: &[u8]) -> Vec<u8> {
        joined(&[b"trialseal/vault/value/v1", context, self.origin.as_bytes(), self.id.as_bytes()])
    }

    /// A cipher for one file alone, which `salt` tells from all others.
    pub(crate) fn file_cipher(&self, context: &[u8], salt: &[u8]) -> Cipher {
        let bound = [context, self.origin.as_bytes(), self.id.as_bytes(), salt];
        Cipher::new(&keyed::derive(&self.key, "file", &bound))
    }

    /// A keyed digest of a list of parts, which nobody can make or test any more once the key is destroyed.
    pub fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.content.get_or_init(|| self.digest_key("content")).digest(parts)
    }

    /// A digest key that tells nothing of the data key.
    pub(crate) fn digest_key(&self, purpose: &str) -> DigestKey {
        DigestKey::derive(&self.key, purpose)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("id", &self.id).field("scope", &self.scope).finish_non_exhaustive()
    }
}
