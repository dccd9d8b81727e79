//! What a submitter signs: a detached JSON Web Signature (RFC 7515, appendix F) over a canonical statement of the command.
//!
//! ```text
//! statement = JCS({"format": "trialseal/submission/v1", "ledger": origin, "path": where the command is sent to,
//!                  "key": its Idempotency-Key, "body": the command; of a file {"sha256": hex}})
//! protected = base64url({"alg": "EdDSA" or "Ed25519", "kid": the key's `x`, "iat": seconds since 1970})
//! signature = protected ‖ ".." ‖ base64url(Ed25519(protected ‖ "." ‖ base64url(statement)))
//! ```
//! The path names trial, participant and what is asked for, so that a signature cannot be moved to another; the key keeps one from
//! being used twice. `alg` is that of RFC 8037, or its newer name (RFC 9864). Signatures are verified as strictly as all others here.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::canonical;
use crate::members::Members;
use crate::note::StrictKey;
use crate::refused::{At, Code, Refused, Result, ensure};

const FORMAT: &str = "trialseal/submission/v1";
/// Longest signature that is read, bytes: one has some 250.
const MAX_SIGNATURE_BYTES: usize = 1024;
/// Levels of nesting in the protected header: an object with scalars.
const HEADER_DEPTH: usize = 2;

/// The public key of a submitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmitterKey(StrictKey);

impl SubmitterKey {
    /// Reads the `x` of a JSON Web Key (RFC 8037): 32 bytes in base64url without padding.
    pub fn from_x(x: &str) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(x).map_err(|_| Refused::new(Code::KeyMalformed))?;
        StrictKey::parse(&bytes).map(Self)
    }
}

/// A signature as it is sent and recorded.
#[derive(Clone, PartialEq, Eq)]
pub struct SubmissionSignature {
    key: String,
    signed_at: u64,
    protected: String,
    signature: Vec<u8>,
}

impl SubmissionSignature {
    /// Reads a detached JWS. Its header has exactly the members `alg`, `kid` and `iat`; nothing in it is looked up anywhere.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = || Refused::new(Code::SubmissionForm);
        ensure(text.len() <= MAX_SIGNATURE_BYTES, Code::SubmissionForm)?;
        let (protected, signature) = text.split_once("..").ok_or_else(malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        let header = canonical::parse(decode(protected)?, HEADER_DEPTH)?;
        let members = Members::of(&header, &["alg", "kid", "iat"], &[])?;
        ensure(matches!(members.text("alg")?, "EdDSA" | "Ed25519"), Code::SubmissionForm).at("alg")?;
        Ok(Self {
            key: members.text("kid")?.to_owned(),
            signed_at: members.number("iat")?,
            protected: protected.to_owned(),
            signature: decode(signature)?,
        })
    }

    /// The `x` of the key that it names.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// When it says it was made, in seconds since 1970 (UTC).
    pub fn signed_at(&self) -> u64 {
        self.signed_at
    }

    /// Checks that `key` made it over this statement.
    pub fn verify(&self, key: &SubmitterKey, statement: &[u8]) -> Result<()> {
        let message = format!("{}.{}", self.protected, URL_SAFE_NO_PAD.encode(statement));
        ensure(key.0.verifies(message.as_bytes(), &self.signature), Code::SubmissionSignature)
    }
}

/// The signature as it was sent.
impl fmt::Display for SubmissionSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.protected, URL_SAFE_NO_PAD.encode(&self.signature))
    }
}

impl fmt::Debug for SubmissionSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmissionSignature")
            .field("key", &self.key)
            .field("signed_at", &self.signed_at)
            .finish_non_exhaustive()
    }
}

/// The bytes that a submitter signs for a command.
pub fn statement(ledger: &str, path: &str, idempotency_key: &str, body: &Value) -> Vec<u8> {
    let statement =
        json!({ "format": FORMAT, "ledger": ledger, "path": path, "key": idempotency_key, "body": body });
    canonical::to_vec(&statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A: the key, and the signature of its appendix A.4, whose payload is no statement of ours.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn sign(header: &Value, statement: &[u8]) -> String {
        use ed25519_dalek::{Signer as _, SigningKey};
        let d = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let key = SigningKey::from_bytes(&d.try_into().unwrap());
        let protected = URL_SAFE_NO_PAD.encode(header.to_string());
        let message = format!("{protected}.{}", URL_SAFE_NO_PAD.encode(statement));
        let signature = key.sign(message.as_bytes());
        format!("{protected}..{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    fn header() -> Value {
        json!({ "alg": "EdDSA", "iat": 1_772_366_400, "kid": X })
    }

    #[test]
    fn the_statement_is_canonical_and_names_all_that_a_command_is() {
        let statement =
            statement("ledger.example.org/main", "/v1/trials/A/sites", "k-1", &json!({"b": 1, "a": "ü"}));
        let expected = r#"{"body":{"a":"ü","b":1},"format":"trialseal/submission/v1","key":"k-1","ledger":"ledger.example.org/main","path":"/v1/trials/A/sites"}"#;
        assert_eq!(String::from_utf8(statement).unwrap(), expected);
    }

    #[test]
    fn a_signature_holds_for_its_key_and_statement_alone() {
        let key = SubmitterKey::from_x(X).unwrap();
        for alg in ["EdDSA", "Ed25519"] {
            let mut header = header();
            header["alg"] = alg.into();
            let sent = sign(&header, b"statement");
            let signature = SubmissionSignature::parse(&sent).unwrap();
            assert_eq!((signature.key(), signature.signed_at()), (X, 1_772_366_400));
            assert_eq!(signature.to_string(), sent);
            signature.verify(&key, b"statement").unwrap();
            assert_eq!(signature.verify(&key, b"statemenT").unwrap_err().code(), Code::SubmissionSignature);
            let other = SubmitterKey::from_x("Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE").unwrap();
            assert_eq!(signature.verify(&other, b"statement").unwrap_err().code(), Code::SubmissionSignature);
        }
    }

    /// The example of RFC 8037, appendix A.4: another implementation's bytes, though not over a statement.
    #[test]
    fn the_signature_of_the_rfc_verifies() {
        let signature = SubmissionSignature {
            key: X.into(),
            signed_at: 0,
            protected: "eyJhbGciOiJFZERTQSJ9".into(),
            signature: URL_SAFE_NO_PAD
                .decode(
                    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
                )
                .unwrap(),
        };
        signature.verify(&SubmitterKey::from_x(X).unwrap(), b"Example of Ed25519 signing").unwrap();
    }

    #[test]
    fn what_is_no_signature_of_this_form_is_refused() {
        let good = sign(&header(), b"statement");
        let (protected, signature) = good.split_once("..").unwrap();
        let with = |change: &dyn Fn(&mut Value)| {
            let mut header = header();
            change(&mut header);
            sign(&header, b"statement")
        };
        let bad = [
            String::new(),
            "..".into(),
            format!("{protected}.payload.{signature}"),
            format!("{protected}=..{signature}"),
            format!("{protected}..{signature}="),
            format!("{good}{}", "A".repeat(MAX_SIGNATURE_BYTES)),
            with(&|header| header["alg"] = "none".into()),
            with(&|header| header["alg"] = "ES256".into()),
            with(&|header| header["iat"] = "1772366400".into()),
            with(&|header| header["iat"] = (-1).into()),
            with(&|header| header["crit"] = json!(["b64"])),
            with(&|header| header["jwk"] = json!({"kty": "OKP"})),
            with(&|header| drop(header.as_object_mut().unwrap().remove("kid"))),
        ];
        for text in bad {
            assert!(SubmissionSignature::parse(&text).is_err(), "{text}");
        }
        // Short of its bytes, or with others behind them, it is no signature of any key.
        let key = SubmitterKey::from_x(X).unwrap();
        for cut in [&signature[..84], &format!("{signature}AAAA")] {
            let parsed = SubmissionSignature::parse(&format!("{protected}..{cut}"));
            assert!(parsed.is_err() || parsed.unwrap().verify(&key, b"statement").is_err(), "{cut}");
        }
    }

    #[test]
    fn weak_and_malformed_keys_are_refused() {
        let zero = URL_SAFE_NO_PAD.encode([0; 32]);
        let above = URL_SAFE_NO_PAD.encode([0xff; 32]);
        for x in ["", "11qY", zero.as_str(), above.as_str(), &format!("{X}="), &X.replace('_', "/")] {
            assert!(SubmitterKey::from_x(x).is_err(), "{x}");
        }
    }
}
