//! Commands about the keys by which senders sign what they submit.

use crate::text::{Ed25519X, Text};
use crate::values::{PublicJwk, value};

value! {
    /// Begin to sign with a key. The request is itself signed: with a key of the same sender that is in use, or, where there is
    /// none, with this one.
    pub struct RegisterSubmissionKey {
        /// The public key, as a JSON Web Key.
        pub key: PublicJwk,
    }

    /// No longer sign with a key of one's own. A key that is lost cannot sign this, so it need not be signed.
    pub struct RevokeSubmissionKey {
        /// The key, by its `x`.
        pub key: Ed25519X,
        /// Why.
        pub reason: Text,
    }

    /// Ask for a signature on every command of the trial, or ask for it no longer. The request is itself signed.
    pub struct ChangeSubmissionSigning {
        /// Whether every command has to be signed.
        pub required: bool,
        /// Why.
        pub reason: Text,
    }
}
