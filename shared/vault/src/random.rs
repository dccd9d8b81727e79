//! Random bytes for keys, nonces and key ids: the one place in this crate that draws any.

use std::cell::RefCell;

use uuid::{Builder, Uuid};
use zeroize::Zeroizing;

use crate::aead::NONCE_BYTES;
use crate::error::VaultError;

/// How many nonces are drawn at once.
const NONCES: usize = 64;

thread_local! {
    static DRAWN: RefCell<Vec<[u8; NONCE_BYTES]>> = const { RefCell::new(Vec::new()) };
}

/// `N` random bytes, wiped when dropped.
pub(crate) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, VaultError> {
    let mut bytes = Zeroizing::new([0; N]);
    #[expect(clippy::disallowed_methods, reason = "keys and nonces come from the operating system alone")]
    let filled = getrandom::fill(bytes.as_mut_slice());
    filled.map_err(|_| VaultError::NoRandomness)?;
    Ok(bytes)
}

/// A random nonce. Nonces are no secrets, and asking the system for each would take about as long as encrypting with it: a
/// thread draws many at once, and gives out each of them once.
pub(crate) fn nonce() -> Result<[u8; NONCE_BYTES], VaultError> {
    DRAWN.with_borrow_mut(|drawn| {
        if let Some(nonce) = drawn.pop() {
            return Ok(nonce);
        }
        let bytes = bytes::<{ NONCES * NONCE_BYTES }>()?;
        drawn.extend_from_slice(bytes.as_chunks().0);
        drawn.pop().ok_or(VaultError::NoRandomness)
    })
}

/// A random UUID, of version 4: it tells nothing of when a key was made.
pub(crate) fn uuid() -> Result<Uuid, VaultError> {
    Ok(Builder::from_random_bytes(*bytes::<16>()?).into_uuid())
}
