//! A software authenticator, for tests: a passkey without a device. What it answers can be spoilt in each of its parts.

#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a test that has no key cannot go on")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

use crate::hash::sha256;

/// An authenticator with one passkey.
#[derive(Clone, Debug)]
pub struct Authenticator {
    key: SigningKey,
    credential: Vec<u8>,
    /// The domain that its passkey is for.
    pub relying_party: String,
    /// The page on which it is used.
    pub origin: String,
    /// Whether that page is part of another site's.
    pub cross_origin: Value,
    /// What it is asked for.
    pub kind: String,
    /// Its flags; 0x05 where somebody is there and was verified.
    pub flags: u8,
}

impl Authenticator {
    /// The one that goes with a seed, the same each time, with a passkey for `localhost`.
    pub fn new(seed: u8) -> Self {
        let mut secret = [seed; 32];
        secret[0] = 1;
        let key = SigningKey::from_slice(&secret).expect("between nothing and the order of the curve");
        Self {
            key,
            credential: sha256(&secret).as_bytes()[..16].to_vec(),
            relying_party: "localhost".to_owned(),
            origin: "http://localhost:8080".to_owned(),
            cross_origin: Value::Bool(false),
            kind: "webauthn.get".to_owned(),
            flags: 0x05,
        }
    }

    /// The id of its passkey.
    pub fn credential(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.credential)
    }

    /// The coordinates of its public key.
    pub fn coordinates(&self) -> [String; 2] {
        let point = self.key.verifying_key().to_sec1_point(false);
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        [coordinate(x), coordinate(y)]
    }

    /// Its passkey, as it is registered.
    pub fn passkey(&self) -> Value {
        let [x, y] = self.coordinates();
        json!({
            "credential": self.credential(),
            "relyingParty": self.relying_party,
            "key": {"kty": "EC", "crv": "P-256", "x": x, "y": y},
        })
    }

    /// What it answers to a statement.
    pub fn answer(&self, statement: &[u8]) -> Value {
        let challenge = URL_SAFE_NO_PAD.encode(sha256(statement).as_bytes());
        let client_data = json!({
            "type": self.kind, "challenge": challenge, "origin": self.origin, "crossOrigin": self.cross_origin,
            "other_keys_can_be_added_here": "by browsers",
        });
        self.answer_with(client_data.to_string().as_bytes())
    }

    /// What it answers with these very client data.
    pub fn answer_with(&self, client_data: &[u8]) -> Value {
        let party = sha256(self.relying_party.as_bytes());
        let authenticator_data = [party.as_bytes().as_slice(), &[self.flags], &[0, 0, 0, 7]].concat();
        let message = [authenticator_data.as_slice(), sha256(client_data).as_bytes()].concat();
        let signature: Signature = self.key.sign(&message);
        json!({
            "authenticatorData": URL_SAFE_NO_PAD.encode(authenticator_data),
            "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
            "signature": URL_SAFE_NO_PAD.encode(signature.to_der().as_bytes()),
        })
    }
}
