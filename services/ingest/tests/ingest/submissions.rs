//! Commands that their senders sign.

use actix_web::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};
use trialseal_record::Role::{self, Investigator, Sponsor};
use trialseal_record::event::Event;
use trialseal_seal::submission::statement;

use crate::support::*;

const NOW_SECONDS: i64 = NOW_MICROS / 1_000_000;

/// A sender with a key.
struct Sender {
    role: Role,
    key: SigningKey,
}

impl Sender {
    fn new(role: Role) -> Self {
        Self { role, key: SigningKey::from_bytes(&[role as u8 + 1; 32]) }
    }

    fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key.verifying_key().to_bytes())
    }

    fn registration(&self) -> Value {
        json!({"key": {"kty": "OKP", "crv": "Ed25519", "x": self.x()}})
    }

    fn sign(&self, path: &str, key: &str, body: &Value, seconds: i64) -> String {
        let header = json!({"alg": "EdDSA", "kid": self.x(), "iat": seconds});
        let protected = URL_SAFE_NO_PAD.encode(header.to_string());
        let payload = URL_SAFE_NO_PAD.encode(statement("ledger.example.org/test", path, key, body));
        let signature = self.key.sign(format!("{protected}.{payload}").as_bytes());
        format!("{protected}..{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }

    async fn post(&self, world: &World, path: &str, key: &str, body: &Value) -> Answer {
        let signature = self.sign(path, key, body, NOW_SECONDS);
        self.post_signed(world, path, key, body, &signature).await
    }

    async fn post_signed(
        &self,
        world: &World,
        path: &str,
        key: &str,
        body: &Value,
        signature: &str,
    ) -> Answer {
        let (method, who, key) = (Method::POST, Some(principal(self.role)), Some(key));
        let (content_type, signature, body) =
            ("application/json", Some(signature), body.to_string().into_bytes());
        world.send(Request { method, path, who, key, content_type, signature, body }).await
    }
}

fn at(rest: &str) -> String {
    format!("/v1/trials/DEMO-1/{rest}")
}

#[actix_web::test]
async fn what_was_signed_stands_before_what_came_of_it() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = world.consenting(&site, "01-001").await;
    let sender = Sender::new(Investigator);
    sender.post(&world, &at("submission-keys"), "key", &sender.registration()).await.recorded();
    let mut two = data("V1", "38.0");
    let second = data("V2", "39.0")["records"][0].clone();
    two["records"].as_array_mut().unwrap().push(second);
    let answer = sender.post(&world, &format!("{path}/data"), "d", &two).await.recorded();
    let kinds: Vec<_> = answer["events"].as_array().unwrap().iter().map(|it| it["type"].clone()).collect();
    assert_eq!(kinds, ["submission.signed", "data.recorded", "data.recorded"]);
    // Nothing is asked of those who have no key, nor of this one.
    world.post(Investigator, &format!("{path}/visits"), "v", visit("V1")).await.recorded();

    let events = world.events().await;
    let (row, Event::SubmissionSigned(signed)) = &events[events.len() - 4] else { panic!("{events:?}") };
    assert_eq!((signed.path.as_str(), signed.idempotency_key.as_str()), (&*format!("{path}/data"), "d"));
    assert_eq!(signed.body, two);
    let header = row.checked_header().unwrap();
    assert_eq!((header.causationid, &header.actor), (None, &principal(Investigator).actor));
    for (row, event) in &events[events.len() - 3..] {
        let cause = row.checked_header().unwrap().causationid;
        let expected = matches!(event, Event::DataRecorded(_)).then(|| header.id.clone());
        assert_eq!((cause, row.stream), (expected, events[events.len() - 4].0.stream));
    }
}

#[actix_web::test]
async fn a_retry_may_be_signed_anew_and_is_still_one_command() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = format!("{}/visits", world.consenting(&site, "01-001").await);
    let sender = Sender::new(Investigator);
    sender.post(&world, &at("submission-keys"), "key", &sender.registration()).await.recorded();
    let first = sender.post(&world, &path, "v", &visit("V1")).await.recorded();
    let later = sender.sign(&path, "v", &visit("V1"), NOW_SECONDS - 60);
    let again = sender.post_signed(&world, &path, "v", &visit("V1"), &later).await;
    assert!(again.replayed);
    assert_eq!(again.recorded(), first);
    let stale = sender.sign(&path, "v", &visit("V1"), NOW_SECONDS - 100_000);
    let again = sender.post_signed(&world, &path, "v", &visit("V1"), &stale).await;
    assert!(again.replayed, "what is recorded is answered from the record");
}

#[actix_web::test]
async fn a_signature_that_is_not_right_is_refused_and_nothing_is_recorded() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = format!("{}/visits", world.consenting(&site, "01-001").await);
    let (sender, stranger) = (Sender::new(Investigator), Sender::new(Sponsor));
    sender.post(&world, &at("submission-keys"), "key", &sender.registration()).await.recorded();
    let size = world.events().await.len();
    let other = sender.sign(&path, "v", &visit("V2"), NOW_SECONDS);
    let other_key = sender.sign(&path, "w", &visit("V1"), NOW_SECONDS);
    let other_path = sender.sign(&path.replace("visits", "enrolment"), "v", &visit("V1"), NOW_SECONDS);
    let old = sender.sign(&path, "v", &visit("V1"), NOW_SECONDS - 86_401);
    let strange = stranger.sign(&path, "v", &visit("V1"), NOW_SECONDS);
    for (signature, rule) in [
        (other, "submission.signature-valid"),
        (other_key, "submission.signature-valid"),
        (other_path, "submission.signature-valid"),
        (old, "submission.signature-fresh"),
        (strange, "submission.key-own"),
    ] {
        let refused = sender.post_signed(&world, &path, "v", &visit("V1"), &signature).await;
        assert_eq!((refused.status, refused.problem(), refused.rule()), (403, "rule-forbidden", rule));
    }
    for signature in ["", "..", "x..y", &"A".repeat(2000)] {
        let refused = sender.post_signed(&world, &path, "v", &visit("V1"), signature).await;
        assert_eq!((refused.status, refused.problem()), (400, "malformed"), "{signature}");
        assert!(refused.body["hint"].as_str().unwrap().contains("docs/submitting.md"));
    }
    let trial = sender.sign("/v1/trials", "t", &trial("DEMO-2"), NOW_SECONDS);
    let sponsor = Sender::new(Sponsor);
    let refused =
        sponsor.post_signed(&world, "/v1/trials", "t", &crate::support::trial("DEMO-2"), &trial).await;
    assert_eq!((refused.status, refused.problem()), (400, "malformed"));
    assert_eq!(world.events().await.len(), size);
    // None of these used the key up.
    sender.post(&world, &path, "v", &visit("V1")).await.recorded();
}

#[actix_web::test]
async fn where_signatures_are_asked_for_nothing_comes_without_and_no_file() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = format!("{}/visits", world.consenting(&site, "01-001").await);
    let (sponsor, sender) = (Sender::new(Sponsor), Sender::new(Investigator));
    for sender in [&sponsor, &sender] {
        sender.post(&world, &at("submission-keys"), "key", &sender.registration()).await.recorded();
    }
    let required = json!({"required": true, "reason": "All sites have keys"});
    sponsor.post(&world, &at("submission-signing"), "on", &required).await.recorded();
    let unsigned = world.post(Investigator, &path, "v", visit("V1")).await;
    assert_eq!((unsigned.status, unsigned.rule()), (403, "submission.signature-required"));
    sender.post(&world, &path, "v", &visit("V1")).await.recorded();
    let file = world.post_text(Sponsor, &at("imports"), "f", "{}").await;
    assert_eq!((file.status, file.rule()), (403, "submission.signature-required"));
    world.nothing_is_spooled().await;
}

#[actix_web::test]
async fn a_file_is_signed_as_a_whole() {
    let world = World::new().await;
    world.trial().await;
    let sender = Sender::new(Sponsor);
    sender.post(&world, &at("submission-keys"), "key", &sender.registration()).await.recorded();
    let required = json!({"required": true, "reason": "All sites have keys"});
    sender.post(&world, &at("submission-signing"), "on", &required).await.recorded();
    let file = crate::imports::file(&crate::imports::rows(3));
    let other = json!({"sha256": HASH});
    let post = async |key: &str, body: &Value| {
        let signature = sender.sign(&at("imports"), key, body, NOW_SECONDS);
        let (method, who, key) = (Method::POST, Some(principal(Sponsor)), Some(key));
        let (content_type, signature, body) =
            ("application/json", Some(&*signature), file.clone().into_bytes());
        world.send(Request { method, path: &at("imports"), who, key, content_type, signature, body }).await
    };
    let refused = post("f", &other).await;
    assert_eq!((refused.status, refused.rule()), (403, "submission.signature-valid"));
    let own = json!({"sha256": trialseal_seal::hash::sha256(file.as_bytes())});
    let taken = post("f", &own).await;
    assert_eq!(taken.status, 202, "{taken:?}");
    let status = world.ended(&taken.location.unwrap()).await;
    assert_eq!(status["state"], "done", "{status}");
    let events = world.events().await;
    let signed =
        events.iter().position(|(_, event)| matches!(event, Event::SubmissionSigned(it) if it.body == own));
    let (signed, begun) = (&events[signed.unwrap()], &events[signed.unwrap() + 1]);
    assert!(matches!(begun.1, Event::ImportStarted(_)));
    assert_eq!(begun.0.checked_header().unwrap().causationid, Some(signed.0.checked_header().unwrap().id));
    assert!(post("f", &own).await.replayed);
}
