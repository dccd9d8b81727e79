//! Events of the ledger's own administration, in the trial `_ledger`.

use crate::text::{Name, Text};
use crate::values::{KeyPurpose, value};

value! {
    /// A key began to be used.
    pub struct KeyRegistered {
        /// Key id, as it stands in the verifier key.
        pub key_id: Name,
        /// What it is for.
        pub purpose: KeyPurpose,
        /// The verifier key.
        pub verifier_key: Text,
    }

    /// A key is no longer used.
    pub struct KeyRevoked {
        /// Key id of the key.
        pub key_id: Name,
        /// Why.
        pub reason: Text,
    }
}
