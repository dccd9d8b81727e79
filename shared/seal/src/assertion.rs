//! What an authenticator (a passkey) says to a statement: a WebAuthn assertion (Web Authentication, Level 3, section 7.2) whose
//! challenge is the SHA-256 of that statement, so that it is about nothing else and can be checked at any time.
//!
//! ```text
//! signature over  authenticatorData ‖ SHA-256(clientDataJSON)        ECDSA on P-256 with SHA-256 (COSE algorithm -7), in DER
//! clientDataJSON  {"type": "webauthn.get", "challenge": base64url(SHA-256(statement)), "origin": …, …}
//! authenticatorData = SHA-256(relying party's id) ‖ flags ‖ …        of the flags UP and UV are set
//! ```
//! That the person was verified (UV) makes an assertion two things at once: something they have, and a code they know or a
//! finger. Of the counter nothing is asked, as passkeys that are synchronised have none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::Sec1Point;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use serde_json::Value;

use crate::canonical;
use crate::hash::sha256;
use crate::refused::{At, Code, Refused, Result, ensure};

/// Most bytes of a part of an assertion, decoded: browsers and authenticators send some hundred.
const MAX_PART_BYTES: usize = 4096;
/// Levels of nesting in the client data: an object with scalars, and what later browsers put into it.
const CLIENT_DATA_DEPTH: usize = 8;
/// The fixed part of authenticator data: a hash, the flags, a counter.
const AUTHENTICATOR_DATA_BYTES: usize = 37;
/// The flag that somebody was there.
const USER_PRESENT: u8 = 0x01;
/// The flag that it was found out who.
const USER_VERIFIED: u8 = 0x04;

/// A passkey and what it is said to have answered, as both are recorded.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The domain whose pages may use the passkey.
    pub relying_party: &'a str,
    /// A coordinate of its public key: `x` of a JSON Web Key on P-256 (RFC 7518, section 6.2).
    pub x: &'a str,
    /// The other, `y`.
    pub y: &'a str,
    /// The member of what a browser answers; this and the next two in base64url without padding.
    pub authenticator_data: &'a str,
    /// The member `clientDataJSON`.
    pub client_data: &'a str,
    /// The member `signature`.
    pub signature: &'a str,
}

impl Answer<'_> {
    /// Checks that the holder of the passkey, verified by their authenticator, agreed to this statement on a page of the passkey's
    /// domain.
    pub fn verify(&self, statement: &[u8]) -> Result<()> {
        let key = self.key()?;
        let authenticator_data = part(self.authenticator_data).at("authenticatorData")?;
        let client_data = part(self.client_data).at("clientDataJSON")?;
        let signature = part(self.signature).at("signature")?;
        self.check_client_data(&client_data, statement).at("clientDataJSON")?;
        self.check_authenticator_data(&authenticator_data).at("authenticatorData")?;
        let message = [authenticator_data.as_slice(), sha256(&client_data).as_bytes()].concat();
        let signature = Signature::from_der(&signature);
        let verifies = signature.is_ok_and(|signature| key.verify(&message, &signature).is_ok());
        ensure(verifies, Code::AssertionSignature)
    }

    /// Checks that it was given on a page of this very origin, and not only on one of the passkey's domain.
    pub fn check_origin(&self, origin: &str) -> Result<()> {
        let client_data = part(self.client_data).at("clientDataJSON")?;
        let data = canonical::parse(&client_data, CLIENT_DATA_DEPTH).at("clientDataJSON")?;
        let is_it = data["origin"].as_str().is_some_and(|given| given.eq_ignore_ascii_case(origin));
        ensure(is_it, Code::AssertionRelyingParty).at("origin")
    }

    fn key(&self) -> Result<VerifyingKey> {
        let malformed = || Refused::new(Code::KeyMalformed);
        let coordinate = |text: &str| -> Result<[u8; 32]> {
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed())?;
            bytes.try_into().map_err(|_| malformed())
        };
        let (x, y) = (coordinate(self.x).at("x")?, coordinate(self.y).at("y")?);
        let point = Sec1Point::from_affine_coordinates(&x.into(), &y.into(), false);
        VerifyingKey::from_sec1_point(&point).map_err(|_| malformed())
    }

    fn check_client_data(&self, client_data: &[u8], statement: &[u8]) -> Result<()> {
        let data = canonical::parse(client_data, CLIENT_DATA_DEPTH)?;
        ensure(data["type"] == "webauthn.get", Code::AssertionForm).at("type")?;
        let challenge = URL_SAFE_NO_PAD.encode(sha256(statement).as_bytes());
        ensure(data["challenge"] == challenge, Code::AssertionChallenge).at("challenge")?;
        let is_theirs = data["origin"].as_str().is_some_and(|origin| is_page_of(self.relying_party, origin));
        ensure(is_theirs, Code::AssertionRelyingParty).at("origin")?;
        // A page that another site has put into its own could be dressed up as something else.
        let framed = !matches!(data["crossOrigin"], Value::Null | Value::Bool(false));
        ensure(!framed, Code::AssertionRelyingParty).at("crossOrigin")
    }

    fn check_authenticator_data(&self, data: &[u8]) -> Result<()> {
        ensure(data.len() >= AUTHENTICATOR_DATA_BYTES, Code::AssertionForm)?;
        let (hash, rest) = data.split_at(32);
        let party = sha256(self.relying_party.as_bytes());
        ensure(hash == party.as_bytes(), Code::AssertionRelyingParty)?;
        let verified = USER_PRESENT | USER_VERIFIED;
        ensure(rest[0] & verified == verified, Code::AssertionUser).at("flags")
    }
}

fn part(text: &str) -> Result<Vec<u8>> {
    ensure(text.len() <= MAX_PART_BYTES * 4 / 3, Code::AssertionForm)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::new(Code::AssertionForm))
}

/// Whether a page of this origin may use the passkeys of a relying party: its host is that domain, or one below it.
fn is_page_of(relying_party: &str, origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let host = authority.split_once(':').map_or(authority, |(host, _)| host);
    let is_secure = scheme == "https" || scheme == "http" && host == "localhost";
    let is_theirs = host == relying_party
        || host.strip_suffix(relying_party).is_some_and(|below| below.len() > 1 && below.ends_with('.'));
    is_secure && is_theirs && !relying_party.is_empty()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::authenticator::Authenticator;

    const STATEMENT: &[u8] = br#"{"format":"trialseal/signature/v1"}"#;

    fn verify(answer: &Value, by: &Authenticator, party: &str, statement: &[u8]) -> Result<()> {
        let [x, y] = &by.coordinates();
        let part = |name: &str| answer[name].as_str().unwrap();
        let (authenticator_data, client_data) = (part("authenticatorData"), part("clientDataJSON"));
        let signature = part("signature");
        Answer { relying_party: party, x, y, authenticator_data, client_data, signature }.verify(statement)
    }

    fn code(answer: &Value, by: &Authenticator, party: &str, statement: &[u8]) -> Code {
        verify(answer, by, party, statement).unwrap_err().code()
    }

    #[test]
    fn a_passkey_answers_to_one_statement_of_its_own_domain() {
        let ours = Authenticator::new(1);
        let answer = ours.answer(STATEMENT);
        verify(&answer, &ours, "localhost", STATEMENT).unwrap();
        assert_eq!(code(&answer, &ours, "localhost", b"{}"), Code::AssertionChallenge);
        assert_eq!(code(&answer, &Authenticator::new(2), "localhost", STATEMENT), Code::AssertionSignature);
        assert_eq!(code(&answer, &ours, "example.org", STATEMENT), Code::AssertionRelyingParty);
    }

    #[test]
    fn each_part_of_an_answer_counts() {
        let ours = Authenticator::new(1);
        let with = |change: fn(&mut Authenticator)| {
            let mut spoilt = ours.clone();
            change(&mut spoilt);
            spoilt
        };
        let party = Code::AssertionRelyingParty;
        let spoilt = [
            (with(|it| it.flags = 0x01), Code::AssertionUser),
            (with(|it| it.flags = 0x04), Code::AssertionUser),
            (with(|it| it.kind = "webauthn.create".into()), Code::AssertionForm),
            (with(|it| it.origin = "http://127.0.0.1".into()), party),
            (with(|it| it.cross_origin = json!(true)), party),
            (with(|it| it.cross_origin = json!("no")), party),
            (with(|it| it.relying_party = "localhos".into()), party),
        ];
        for (spoilt, expected) in spoilt {
            assert_eq!(
                code(&spoilt.answer(STATEMENT), &ours, "localhost", STATEMENT),
                expected,
                "{spoilt:?}"
            );
        }
        let answer = ours.answer(STATEMENT);
        for part in ["authenticatorData", "clientDataJSON", "signature"] {
            let mut bytes = URL_SAFE_NO_PAD.decode(answer[part].as_str().unwrap()).unwrap();
            for place in 0..bytes.len() {
                bytes[place] ^= 0x10;
                let mut flipped = answer.clone();
                flipped[part] = URL_SAFE_NO_PAD.encode(&bytes).into();
                assert!(verify(&flipped, &ours, "localhost", STATEMENT).is_err(), "{part} {place}");
                bytes[place] ^= 0x10;
            }
            let mut cut = answer.clone();
            cut[part] = "".into();
            assert!(verify(&cut, &ours, "localhost", STATEMENT).is_err(), "{part}");
        }
    }

    #[test]
    fn client_data_are_read_strictly() {
        let ours = Authenticator::new(1);
        let challenge = URL_SAFE_NO_PAD.encode(sha256(STATEMENT).as_bytes());
        let good =
            format!(r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"https://localhost"}}"#);
        verify(&ours.answer_with(good.as_bytes()), &ours, "localhost", STATEMENT).unwrap();
        let twice = good.replace("\"origin\"", "\"origin\":\"https://localhost\",\"origin\"");
        for bad in [twice.as_str(), "[]", "", "{}", &good.replace("webauthn.get", "payment.get")] {
            let answer = ours.answer_with(bad.as_bytes());
            assert!(verify(&answer, &ours, "localhost", STATEMENT).is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_of_a_domain_and_below_it_may_use_its_passkeys() {
        for origin in ["https://example.org", "https://trials.example.org", "https://a.b.example.org:8443"] {
            assert!(is_page_of("example.org", origin), "{origin}");
        }
        for origin in [
            "http://example.org",
            "https://badexample.org",
            "https://example.org.evil.test",
            "https://.example.org.evil.test",
            "https://evil.test:1@example.org",
            "example.org",
            "",
        ] {
            assert!(!is_page_of("example.org", origin), "{origin}");
        }
        assert!(!is_page_of("", "https://."));
        assert!(is_page_of("localhost", "http://localhost:8080"));
    }

    #[test]
    fn what_is_no_point_of_the_curve_is_no_key() {
        let [x, y] = &Authenticator::new(1).coordinates();
        let key = |x, y| {
            let (relying_party, authenticator_data, client_data, signature) = ("", "", "", "");
            Answer { relying_party, x, y, authenticator_data, client_data, signature }.key()
        };
        key(x, y).unwrap();
        let zero = &URL_SAFE_NO_PAD.encode([0; 32]);
        for (x, y) in [(y, x), (zero, zero), (x, zero), (x, &format!("{y}=")), (x, &String::new())] {
            assert_eq!(key(x, y).unwrap_err().code(), Code::KeyMalformed, "{x} {y}");
        }
    }
}
