//! What a person signs electronically: statements whose SHA-256 is the challenge of their passkey ([`crate::assertion`]).
//!
//! ```text
//! digest    = H("trialseal/record-version/v1\n" ‖ eventleaf of the record's event 0 ‖ … ‖ eventleaf of its event version - 1)
//! signature = JCS({"format": "trialseal/signature/v1", "ledger": origin, "trial": …, "record": the stream's name,
//!                  "version": how many events it has, "digest": hex, "signer": the actor's id, "name": printed name,
//!                  "meaning": …, "credential": the passkey's id, "at": seconds since 1970})
//! key       = JCS({"format": "trialseal/signing-key/v1", "ledger": origin, "trial": …, "signer": the actor's id,
//!                  "name": printed name, "passkey": as it is registered, "accepts": the policy, "at": seconds since 1970})
//! ```
//! An eventleaf is over all of an event and its place, so a signature holds for one version of one record and no other.

use serde_json::{Value, json};
use sha3::{Digest as _, Sha3_256};

use crate::canonical;
use crate::hash::Hash;

/// What a statement of a signature says that it is.
pub const FORMAT: &str = "trialseal/signature/v1";
/// What a statement says that it is with which somebody begins to sign.
pub const KEY_FORMAT: &str = "trialseal/signing-key/v1";
const DIGEST: &str = "trialseal/record-version/v1\n";

/// The digest of a record as of each of its versions, one event after the other.
#[derive(Clone, Debug)]
pub struct RecordDigest {
    hash: Sha3_256,
    version: u64,
}

impl Default for RecordDigest {
    /// Of a record without events.
    fn default() -> Self {
        Self { hash: Sha3_256::new_with_prefix(DIGEST), version: 0 }
    }
}

impl RecordDigest {
    /// Takes in the next event of the record.
    pub fn push(&mut self, eventleaf: &Hash) {
        self.hash.update(eventleaf.as_bytes());
        self.version += 1;
    }

    /// How many events it is over.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The digest of the record as it is now.
    pub fn digest(&self) -> Hash {
        Hash::from_bytes(self.hash.clone().finalize().into())
    }
}

/// What somebody signs of a record.
#[derive(Clone, Copy, Debug)]
pub struct Signing<'a> {
    /// The ledger's origin.
    pub ledger: &'a str,
    /// The trial.
    pub trial: &'a str,
    /// The record: the name of its stream, such as `participant/<id>`.
    pub record: &'a str,
    /// How many events it has.
    pub version: u64,
    /// Over their leaves.
    pub digest: Hash,
    /// The id of the actor who signs.
    pub signer: &'a str,
    /// Their name as it is to be printed.
    pub name: &'a str,
    /// What the signature means, such as `approval`.
    pub meaning: &'a str,
    /// The id of their passkey.
    pub credential: &'a str,
    /// When, in seconds since 1970 (UTC).
    pub at: u64,
}

impl Signing<'_> {
    /// The statement.
    pub fn statement(&self) -> Vec<u8> {
        let Self { ledger, trial, record, version, digest, signer, name, meaning, credential, at } = self;
        canonical::to_vec(&json!({
            "format": FORMAT, "ledger": ledger, "trial": trial, "record": record, "version": version,
            "digest": digest, "signer": signer, "name": name, "meaning": meaning, "credential": credential, "at": at,
        }))
    }
}

/// What somebody says who begins to sign with a passkey.
#[derive(Clone, Copy, Debug)]
pub struct Registering<'a> {
    /// The ledger's origin.
    pub ledger: &'a str,
    /// The trial.
    pub trial: &'a str,
    /// The id of the actor.
    pub signer: &'a str,
    /// Their name as it is to be printed.
    pub name: &'a str,
    /// The passkey, as it is registered.
    pub passkey: &'a Value,
    /// The policy that they accept, in full.
    pub accepts: &'a str,
    /// When, in seconds since 1970 (UTC).
    pub at: u64,
}

impl Registering<'_> {
    /// The statement.
    pub fn statement(&self) -> Vec<u8> {
        let Self { ledger, trial, signer, name, passkey, accepts, at } = self;
        canonical::to_vec(&json!({
            "format": KEY_FORMAT, "ledger": ledger, "trial": trial, "signer": signer, "name": name,
            "passkey": passkey, "accepts": accepts, "at": at,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::sha3_256;

    #[test]
    fn the_digest_is_over_the_leaves_in_their_order() {
        let leaves = [Hash::from_bytes([1; 32]), Hash::from_bytes([2; 32])];
        let mut digest = RecordDigest::default();
        assert_eq!((digest.version(), digest.digest()), (0, sha3_256(&[DIGEST.as_bytes()])));
        for leaf in &leaves {
            digest.push(leaf);
        }
        let expected = sha3_256(&[DIGEST.as_bytes(), &[1; 32], &[2; 32]]);
        assert_eq!((digest.version(), digest.digest()), (2, expected));
    }

    #[test]
    fn statements_are_canonical_and_name_all_that_they_are_about() {
        let signing = Signing {
            ledger: "ledger.example.org/main",
            trial: "DEMO-1",
            record: "participant/1",
            version: 7,
            digest: Hash::ZERO,
            signer: "person-1",
            name: "Ada Müller",
            meaning: "approval",
            credential: "Y3I",
            at: 1_772_366_400,
        };
        let zeros = "0".repeat(64);
        let expected = format!(
            r#"{{"at":1772366400,"credential":"Y3I","digest":"{zeros}","format":"trialseal/signature/v1","ledger":"ledger.example.org/main","meaning":"approval","name":"Ada Müller","record":"participant/1","signer":"person-1","trial":"DEMO-1","version":7}}"#
        );
        assert_eq!(String::from_utf8(signing.statement()).unwrap(), expected);
        let registering = Registering {
            ledger: "ledger.example.org/main",
            trial: "DEMO-1",
            signer: "person-1",
            name: "Ada Müller",
            passkey: &json!({"credential": "Y3I"}),
            accepts: "I do.",
            at: 1_772_366_400,
        };
        let expected = r#"{"accepts":"I do.","at":1772366400,"format":"trialseal/signing-key/v1","ledger":"ledger.example.org/main","name":"Ada Müller","passkey":{"credential":"Y3I"},"signer":"person-1","trial":"DEMO-1"}"#;
        assert_eq!(String::from_utf8(registering.statement()).unwrap(), expected);
    }
}
