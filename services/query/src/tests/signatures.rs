//! Who has signed what, as those see it who may.

use actix_web::cookie::Cookie;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use trialseal_access::http::SESSION_COOKIE;
use trialseal_record::signature::POLICY;
use trialseal_record::{Role, StreamId};

use crate::testing::{Ledger, participant, token, trial};

fn answer() -> Value {
    json!({"authenticatorData": "AAAA", "clientDataJSON": "e30", "signature": "MAA"})
}

async fn ledger() -> Ledger {
    let ledger = Ledger::new().await;
    ledger.register("DEMO-1", "A trial").await;
    ledger.screen("DEMO-1", 1).await;
    ledger
}

async fn register(ledger: &Ledger, holder: &str) {
    let key = json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"});
    let registered = json!({
        "holder": holder, "name": "Dr. <b>Ada</b>", "accepts": POLICY, "at": 1, "answer": answer(),
        "passkey": {"credential": "Y3I", "relyingParty": "localhost", "key": key},
    });
    let stream = StreamId::trial(&trial("DEMO-1"));
    ledger.record("DEMO-1", stream, "signing-key.registered", registered).await;
}

async fn sign(ledger: &Ledger, version: u64, meaning: &str) {
    let signed = json!({
        "version": version, "digest": "0".repeat(64), "meaning": meaning, "name": "Dr. <b>Ada</b>", "credential": "Y3I",
        "at": 1, "answer": answer(),
    });
    ledger.record("DEMO-1", StreamId::participant(participant(1)), "signature.applied", signed).await;
}

async fn visit(ledger: &Ledger) {
    let occurred = json!({"visit": "V1", "occurredOn": "2026-01-30"});
    ledger.record("DEMO-1", StreamId::participant(participant(1)), "visit.occurred", occurred).await;
}

fn address() -> String {
    format!("/v1/trials/DEMO-1/participants/{}/signatures", participant(1))
}

async fn accesses(ledger: &Ledger) -> u64 {
    let stream = StreamId::access_to(participant(1));
    ledger.parts().streams.stream_version(&trial("DEMO-1"), &stream).await.unwrap()
}

#[actix_web::test]
async fn a_signature_is_in_force_until_something_else_comes_and_reading_it_is_recorded() {
    let ledger = ledger().await;
    let unsigned = ledger.get(Role::Monitor, &address()).await.json();
    assert_eq!((&unsigned["statement"]["version"], &unsigned["signatures"]), (&json!(1), &json!([])));
    assert_eq!(unsigned["statement"]["signer"], "person-monitor");
    assert_eq!(accesses(&ledger).await, 0, "there was nothing of theirs to read");
    sign(&ledger, 1, "authorship").await;
    sign(&ledger, 2, "approval").await;
    let signed = ledger.get(Role::Monitor, &address()).await.json();
    let superseded = |list: &Value| -> Vec<Value> {
        let signatures = list["signatures"].as_array().unwrap().iter();
        signatures.map(|signature| signature["superseded"]["type"].clone()).collect()
    };
    assert_eq!((superseded(&signed), accesses(&ledger).await), (vec![Value::Null; 2], 1));
    assert_ne!(signed["statement"]["digest"], unsigned["statement"]["digest"]);
    visit(&ledger).await;
    sign(&ledger, 4, "approval").await;
    let changed = ledger.get(Role::Monitor, &address()).await.json();
    assert_eq!(superseded(&changed), [json!("visit.occurred"), json!("visit.occurred"), Value::Null]);
    assert_eq!(changed["statement"]["version"], 5);
}

#[actix_web::test]
async fn signatures_go_with_the_data_of_whom_they_are_about() {
    let ledger = ledger().await;
    sign(&ledger, 1, "authorship").await;
    ledger.destroy_key_of("DEMO-1", 1).await;
    let erased = ledger.get(Role::Monitor, &address()).await.json();
    assert_eq!((&erased["signatures"], &erased["erased"]), (&json!([]), &json!(true)));
}

#[actix_web::test]
async fn the_page_offers_to_sign_to_those_who_may_and_runs_no_script_of_others() {
    let ledger = ledger().await;
    let page = async |role: Role| {
        let cookie = Cookie::new(SESSION_COOKIE, token(role).reveal().to_owned());
        let uri = address().replace("/v1", "");
        ledger.ask(TestRequest::get().uri(&uri).cookie(cookie)).await
    };
    let begin = page(Role::Investigator).await;
    let policy = begin.header("content-security-policy").to_owned();
    assert!(policy.contains("script-src 'self'; connect-src 'self'"), "{policy}");
    assert!(begin.text().contains("id=\"register\"") && begin.text().contains(POLICY), "{}", begin.text());
    register(&ledger, "person-investigator").await;
    sign(&ledger, 1, "approval").await;
    let text = page(Role::Investigator).await.text();
    assert!(text.contains("id=\"sign\"") && text.contains("in force"), "{text}");
    assert!(!text.contains("<b>Ada") && text.matches("<script").count() == 1, "{text}");
    let text = page(Role::Monitor).await.text();
    assert!(text.contains("in force") && !text.contains("<form"), "{text}");
    assert_eq!(page(Role::Researcher).await.status, 403);
    let keys = ledger.get(Role::Auditor, "/v1/trials/DEMO-1/signing-keys").await.json();
    assert_eq!(
        (&keys["keys"][0]["holder"], &keys["keys"][0]["inUse"]),
        (&json!("person-investigator"), &json!(true))
    );
}
