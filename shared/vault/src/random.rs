//! Random bytes for keys, nonces and key ids: the one place in this crate that draws any.

use uuid::{Builder, Uuid};
use zeroize::Zeroizing;

use crate::error::VaultError;

/// `N` random bytes, wiped when dropped.
pub(crate) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, VaultError> {
    let mut bytes = Zeroizing::new([0; N]);
    #[expect(clippy::disallowed_methods, reason = "keys and nonces come from the operating system alone")]
    let filled = getrandom::fill(bytes.as_mut_slice());
    filled.map_err(|_| VaultError::NoRandomness)?;
    Ok(bytes)
}

/// A random UUID, of version 4: it tells nothing of when a key was made.
pub(crate) fn uuid() -> Result<Uuid, VaultError> {
    Ok(Builder::from_random_bytes(*bytes::<16>()?).into_uuid())
}
