//! Somebody who signs electronically with a passkey: another implementation of what docs/signing.md says.

use serde_json::{Value, json};
use trialseal_runtime::clock::{Clock as _, SystemClock};
use trialseal_seal::authenticator::Authenticator;
use trialseal_seal::canonical;

use crate::client::Client;

/// Somebody with a software authenticator.
#[derive(Debug)]
pub struct Signatory {
    authenticator: Authenticator,
    /// The name that is printed.
    pub name: String,
}

impl Signatory {
    /// The one that goes with a client's token, the same each time.
    pub fn of(client: &Client) -> Self {
        let seed = client.token().bytes().fold(0, |seed: u8, byte| seed.rotate_left(3) ^ byte);
        Self { authenticator: Authenticator::new(seed), name: format!("Dr. Example {seed}") }
    }

    /// The id of the passkey.
    pub fn credential(&self) -> String {
        self.authenticator.credential()
    }

    /// What is sent to begin to sign in a trial.
    pub fn registration(&self, client: &Client, trial: &str) -> Value {
        let statement = statement(client, &format!("/v1/trials/{trial}/signing-keys"));
        let own = json!({"name": self.name, "passkey": self.authenticator.passkey(), "at": now()});
        self.answered(&statement, own, &["accepts"])
    }

    /// What is sent to sign a participant's record as it stands; `path` is the participant's.
    pub fn signature(&self, client: &Client, path: &str, meaning: &str) -> Value {
        let statement = statement(client, &format!("{path}/signatures"));
        self.signature_to(&statement, meaning)
    }

    /// What is sent to sign what a statement says.
    pub fn signature_to(&self, statement: &Value, meaning: &str) -> Value {
        let own = json!({"meaning": meaning, "credential": self.credential(), "at": now()});
        let mut named = statement.clone();
        named["name"] = self.name.as_str().into();
        self.answered(&named, own, &["version"])
    }

    /// What the signer adds to a statement, with these members of it and the passkey's answer to the whole.
    fn answered(&self, statement: &Value, own: Value, sent: &[&str]) -> Value {
        let mut whole = statement.clone();
        let mut body = own;
        for (name, value) in body.as_object().into_iter().flatten() {
            whole[name] = value.clone();
        }
        for name in sent {
            body[*name] = whole[*name].clone();
        }
        body["answer"] = self.authenticator.answer(&canonical::to_vec(&whole));
        body
    }
}

/// What would be signed; something of its shape for those who may not see it.
fn statement(client: &Client, path: &str) -> Value {
    let answer = client.get(path);
    match answer.status {
        200 => answer.json()["statement"].clone(),
        _ => json!({"version": 0, "accepts": "nothing"}),
    }
}

fn now() -> i64 {
    SystemClock.now() / 1_000_000
}
