//! Time from outside: RFC 3161 timestamps of published checkpoint notes (section 6 of the format), asked for and verified.
//!
//! An authority that has nothing to do with the ledger signs a hash and the time at which it saw it. Whoever trusts that
//! authority then knows that the note, and with it every seal below it, existed at that time, whatever the ledger and its
//! witnesses say.
//!
//! - [`Request`] is what the authority is asked; [`Request::verify`] is for whoever asked.
//! - [`Token`] is what it answered: a `TimeStampResp` as `openssl ts` reads and writes it. [`Token::verify`] is for whoever
//!   finds it later, and needs neither network nor clock: the chain of certificates is checked at the time in the token.
//! - [`Authorities`] are those that the reader trusts.
//!
//! Everything here is pure: no clock, no randomness, no input or output. What comes from outside is read strictly and never
//! repaired. It is not: a TSA, or a general reader of CMS: one signer, SHA-2, and the signatures in `algorithms.rs`, which
//! is where to add another. Whether a certificate was revoked is not looked up, for that takes a network.

mod algorithms;
mod authorities;
mod certificate;
mod refused;
mod request;
mod signer;
mod structures;
mod token;

pub use authorities::Authorities;
pub use refused::Refused;
pub use request::Request;
pub use token::{MAX_REPLY_BYTES, Stated, Token};
