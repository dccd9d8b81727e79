//! Small readings shared by the texts of C2SP: base64 and decimal numbers, both in their one canonical form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::refused::{Code, Refused, Result};

/// Reads standard, padded base64 whose unused bits are zero.
pub(crate) fn base64_decode(text: &str) -> Result<Vec<u8>> {
    STANDARD.decode(text).map_err(|_| Refused::new(Code::Base64))
}

/// Writes standard, padded base64.
pub(crate) fn base64_encode(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Reads a hash of 32 bytes in base64.
pub(crate) fn base64_hash(text: &str) -> Result<Hash> {
    Hash::try_from(base64_decode(text)?.as_slice())
}

/// Reads a decimal number without sign or leading zeros, at most 2^63 − 1.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|number| canonical && *number <= i64::MAX.unsigned_abs())
}
