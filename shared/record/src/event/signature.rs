//! Events of people who sign electronically (21 CFR 11.50, 11.70).
//!
//! What is signed, and how, is in `trialseal_seal::signature`; whether it counts, [`crate::signature`] says.

use crate::text::{Base64Url, Name, Sha3Hex, Text};
use crate::values::{Meaning, Passkey, PasskeyAnswer, value};

value! {
    /// Somebody began to sign with a passkey, and accepted what a signature means. In the trial's stream.
    pub struct SigningKeyRegistered {
        /// Opaque stable id of the signer, as it stands in the headers of what they record.
        pub holder: Text,
        /// Their name as it is to be printed.
        pub name: Name,
        /// The passkey.
        pub passkey: Passkey,
        /// The policy that they accepted, word for word.
        pub accepts: Text,
        /// When, in seconds since 1970 (UTC), by the signer's clock.
        pub at: u64,
        /// What the passkey answered.
        pub answer: PasskeyAnswer,
    }

    /// A passkey is no longer signed with. In the trial's stream.
    pub struct SigningKeyRevoked {
        /// The passkey's id.
        pub credential: Base64Url,
        /// Why.
        pub reason: Text,
    }

    /// Somebody signed the record in whose stream this stands, with all that was in it before. It holds until something else is
    /// recorded there: whatever is no signature supersedes those before it.
    pub struct SignatureApplied {
        /// How many events the record had.
        pub version: u64,
        /// The digest over their leaves.
        pub digest: Sha3Hex,
        /// What the signature means.
        pub meaning: Meaning,
        /// The signer's name as it is to be printed.
        pub name: Name,
        /// The id of their passkey.
        pub credential: Base64Url,
        /// When, in seconds since 1970 (UTC), by the signer's clock.
        pub at: u64,
        /// What the passkey answered.
        pub answer: PasskeyAnswer,
    }
}
