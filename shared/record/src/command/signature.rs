//! Commands of people who sign electronically.

use crate::text::{Base64Url, Name, Text};
use crate::values::{Meaning, Passkey, PasskeyAnswer, value};

value! {
    /// Begin to sign with a passkey, and accept what a signature means. The passkey itself says so.
    pub struct RegisterSigningKey {
        /// The signer's name as it is to be printed.
        pub name: Name,
        /// The passkey.
        pub passkey: Passkey,
        /// The policy, word for word: `GET /v1/trials/{trial}/signing-keys` has it in the statement.
        pub accepts: Text,
        /// When, in seconds since 1970 (UTC), by the signer's clock.
        pub at: u64,
        /// What the passkey answers to the statement of all this.
        pub answer: PasskeyAnswer,
    }

    /// No longer sign with a passkey of one's own, such as one that is lost.
    pub struct RevokeSigningKey {
        /// The passkey's id.
        pub credential: Base64Url,
        /// Why.
        pub reason: Text,
    }

    /// Sign a participant's record as it stands.
    pub struct SignRecord {
        /// How many events the record has: the version that is signed.
        pub version: u64,
        /// What the signature means.
        pub meaning: Meaning,
        /// The id of the signer's passkey.
        pub credential: Base64Url,
        /// When, in seconds since 1970 (UTC), by the signer's clock.
        pub at: u64,
        /// What the passkey answers to the statement of all this.
        pub answer: PasskeyAnswer,
    }
}
