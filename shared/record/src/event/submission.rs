//! Events of submitters who sign what they send, so that not even the ledger's operator can make a submission up.
//!
//! What is signed, and how, is in `trialseal_seal::submission`; that the events behind it say what was signed,
//! [`crate::submission`] checks.

use serde_json::Value;

use crate::text::{Ed25519X, Text};
use crate::values::{PublicJwk, value};

value! {
    /// A command came in with its sender's signature. Its own event stands right before those that follow from it, which
    /// name it as their cause, and in the stream of the first of them.
    pub struct SubmissionSigned {
        /// Where the command was sent to.
        pub path: Text,
        /// The sender's name for the command, which a retry repeats.
        pub idempotency_key: Text,
        /// The command as it was sent; of a file, its SHA-256.
        #[cfg_attr(feature = "openapi", schema(value_type = Object))]
        pub body: Value,
        /// The signature: a detached JWS.
        pub signature: Text,
    }

    /// A key began to be used by one sender for signing. In the trial's stream.
    pub struct SubmissionKeyRegistered {
        /// Opaque stable id of the sender, as it stands in the headers of what they record.
        pub holder: Text,
        /// The key.
        pub key: PublicJwk,
    }

    /// A key is no longer used. In the trial's stream.
    pub struct SubmissionKeyRevoked {
        /// The key, by its `x`.
        pub key: Ed25519X,
        /// Why.
        pub reason: Text,
    }

    /// From now on every command of the trial has to be signed, or no longer. In the trial's stream.
    pub struct SubmissionSigningChanged {
        /// Whether it has to be.
        pub required: bool,
        /// Why.
        pub reason: Text,
    }
}
