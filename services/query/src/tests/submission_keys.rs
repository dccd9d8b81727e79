//! Which keys senders sign with.

use serde_json::{Value, json};
use trialseal_record::Role;
use trialseal_record::ids::StreamId;

use crate::testing::{Ledger, trial};

const URI: &str = "/v1/trials/DEMO-1/submission-keys";
const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

async fn record(ledger: &Ledger, kind: &str, data: Value) {
    ledger.record("DEMO-1", StreamId::trial(&trial("DEMO-1")), kind, data).await;
}

#[actix_web::test]
async fn keys_are_listed_with_their_holders_and_their_ends_for_everybody_to_compare() {
    let ledger = Ledger::new().await;
    ledger.register("DEMO-1", "A trial").await;
    let none = ledger.get(Role::Researcher, URI).await.json();
    assert_eq!(none, json!({"required": false, "keys": []}));
    let key = json!({"holder": "site-1", "key": {"kty": "OKP", "crv": "Ed25519", "x": X}});
    record(&ledger, "submission-key.registered", key).await;
    record(&ledger, "submission-signing.changed", json!({"required": true, "reason": "All have keys"})).await;
    let listed = ledger.get(Role::Researcher, URI).await.json();
    let (required, key) = (&listed["required"], &listed["keys"][0]);
    assert_eq!((required, &listed["changed"]["reason"]), (&json!(true), &json!("All have keys")));
    let time = &key["registered"]["time"];
    let expected = json!({
        "x": X, "holder": "site-1", "inUse": true,
        "registered": {"trialseq": 1, "time": time, "actor": "person-1"},
    });
    assert_eq!(key, &expected);
    record(&ledger, "submission-key.revoked", json!({"key": X, "reason": "Lost"})).await;
    let revoked = ledger.get(Role::Auditor, URI).await.json()["keys"][0].clone();
    assert_eq!((&revoked["inUse"], &revoked["revoked"]["reason"]), (&json!(false), &json!("Lost")));
}
