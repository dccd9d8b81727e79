//! A sender's system that signs what it sends: another implementation of what docs/submitting.md says.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use trialseal_runtime::clock::{Clock as _, SystemClock};

use crate::client::{Answer, Client};

/// A sender with a key.
#[derive(Debug)]
pub struct Submitter {
    key: SigningKey,
}

impl Submitter {
    /// The key that goes with a client's token, the same each time.
    pub fn of(client: &Client) -> Self {
        let mut seed = [0; 32];
        for (place, byte) in client.token().bytes().enumerate() {
            seed[place % 32] ^= byte.rotate_left(u32::try_from(place / 32).unwrap());
        }
        Self { key: SigningKey::from_bytes(&seed) }
    }

    /// The name of the key.
    pub fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.verifying_key().to_bytes())
    }

    /// The public key.
    pub fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "x": self.x()})
    }

    /// Sends a command, signed.
    pub fn post(&self, client: &Client, path: &str, key: &str, body: &Value) -> Result<Answer, ureq::Error> {
        self.send(client, path, key, body, &body.to_string())
    }

    /// Sends a file, signed by its SHA-256.
    pub fn post_file(
        &self,
        client: &Client,
        path: &str,
        key: &str,
        file: &str,
    ) -> Result<Answer, ureq::Error> {
        let mut digest = String::new();
        Sha256::digest(file).iter().for_each(|byte| write!(digest, "{byte:02x}").unwrap());
        let body = json!({"sha256": digest});
        self.send(client, path, key, &body, file)
    }

    /// Sends a text with a signature over `body`.
    fn send(
        &self,
        client: &Client,
        path: &str,
        key: &str,
        body: &Value,
        text: &str,
    ) -> Result<Answer, ureq::Error> {
        let policy = client.get("/v1/policy").expect(200).text();
        let ledger = policy.split(' ').nth(1).and_then(|key| key.split('+').next()).unwrap();
        let seconds = SystemClock.now().div_euclid(1_000_000);
        // Members are sorted, and everything is written without blanks: canonical for what is sent here.
        let statement = json!({"format": "trialseal/submission/v1", "ledger": ledger, "path": path, "key": key, "body": body});
        let protected = json!({"alg": "EdDSA", "iat": seconds, "kid": self.x()});
        let [protected, payload] =
            [protected, statement].map(|json| URL_SAFE_NO_PAD.encode(json.to_string()));
        let signature = self.key.sign(format!("{protected}.{payload}").as_bytes());
        let signature = format!("{protected}..{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()));
        let headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", key),
            ("Submission-Signature", &signature),
        ];
        client.send("POST", path, &headers, text)
    }
}
