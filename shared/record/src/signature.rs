//! Electronic signatures, as far as their meaning goes: whose key may sign what, and when. Of cryptography it knows nothing but
//! what somebody has found.

use crate::text::Sha3Hex;

/// What a signer accepts before the first signature (21 CFR 11.10(j), 11.100(c)).
pub const POLICY: &str = "My electronic signature binds me in this trial as my handwritten one does. I alone use my passkey, and \
                          I answer for whatever is signed with it until I have it revoked.";

/// How long after it was made a signature is taken, microseconds: ten minutes. It is made for the act.
const MAX_AGE_MICROS: i64 = 600_000_000;
/// How far a signer's clock may be ahead, microseconds.
const MAX_AHEAD_MICROS: i64 = 300_000_000;

pub use crate::decide::signature::{check, check_key};

/// What was found about what a passkey answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Why it is not what this passkey, with its holder verified, answers to the very statement; none where it is.
    pub refused: Option<String>,
    /// The digest of the record that the statement is about; none where it registers a key, or where the record has no such
    /// version.
    pub digest: Option<Sha3Hex>,
}

/// Whether a signature that says it was made at `signed` may be recorded at `recorded`: seconds, and microseconds.
pub(crate) fn is_timely(signed: u64, recorded: i64) -> bool {
    let signed = i64::try_from(signed).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    (-MAX_AHEAD_MICROS..=MAX_AGE_MICROS).contains(&recorded.saturating_sub(signed))
}
