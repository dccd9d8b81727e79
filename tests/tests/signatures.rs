//! People sign a participant's record electronically, as docs/signing.md says, and the verifier tells who signed which version.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;

use serde_json::{Value, json};
use trialseal_tests::{
    Browser, Engine, Role, Service, Signatory, Trial, Verifier, bodies, driver, export, on_both_engines,
};

on_both_engines!(a_signature_holds_for_the_version_that_was_signed, somebody_signs_in_a_browser);

fn a_signature_holds_for_the_version_that_was_signed(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "SIGNED-2");
    let participant = trial.enrol("101-001", true);
    let [investigator, monitor] = [Role::Investigator, Role::Monitor].map(|role| service.client(role));
    let path = trial.path(&format!("participants/{participant}"));
    let (to, data) = (format!("{path}/signatures"), format!("{path}/data"));
    investigator.post(&data, "d", &bodies::data("V1", "120")).expect(201);
    let signatory = Signatory::of(&investigator);

    // Nobody signs before they have accepted what that means.
    let early = investigator.post(&to, "s-0", &signatory.signature(&investigator, &path, "approval"));
    assert_eq!(early.problem(403, "rule-forbidden")["rule"], "signature.key-own");
    let registration = signatory.registration(&investigator, &trial.id);
    investigator.post(&trial.path("signing-keys"), "key", &registration).expect(201);
    let keys = monitor.json(&trial.path("signing-keys"));
    assert_eq!((&keys["keys"][0]["name"], &keys["keys"][0]["inUse"]), (&json!(signatory.name), &json!(true)));

    let body = signatory.signature(&investigator, &path, "approval");
    investigator.post(&to, "s-1", &body).expect(201);
    let listed = monitor.json(&to);
    let signature = &listed["signatures"][0];
    assert_eq!(
        (&signature["name"], &signature["meaning"], &signature["version"]),
        (&json!(signatory.name), &json!("approval"), &body["version"])
    );
    assert!(signature.get("superseded").is_none(), "{signature}");
    assert_eq!(listed["statement"]["version"].as_u64(), body["version"].as_u64().map(|version| version + 1));

    let verifier = Verifier::of(&service);
    let report = |role: Role| {
        service.wait_until_sealed();
        let dataset = verifier.room("dataset").join("dataset.zip");
        fs::write(&dataset, export(&service, &service.client(role), &trial.id)).unwrap();
        let verdict = verifier.dataset(&dataset);
        verdict.assert_sound();
        let facts = verdict.report["facts"].clone();
        (
            ["signaturesInForce", "signaturesSuperseded", "signaturesUnchecked"].map(|it| facts[it].clone()),
            facts,
        )
    };
    for role in [Role::Monitor, Role::Researcher] {
        let (counted, facts) = report(role);
        assert_eq!(counted, [json!(1), json!(0), json!(0)], "{facts}");
        let told = facts["signatures"][0].as_str().unwrap();
        assert!(told.starts_with(&format!("participant/{participant} version ")), "{told}");
        assert!(
            told.contains(&format!("approval by {}", signatory.name)) && told.ends_with("in force"),
            "{told}"
        );
    }

    // What changes the record supersedes the signature, without anybody's doing.
    let correction = bodies::correction("V1", "120", "130", "typing error");
    investigator.post(&format!("{data}/corrections"), "c", &correction).expect(201);
    let superseded = &monitor.json(&to)["signatures"][0]["superseded"];
    assert_eq!(superseded["type"], "data.corrected");
    let (counted, facts) = report(Role::Monitor);
    assert_eq!(counted, [json!(0), json!(1), json!(0)], "{facts}");

    // The same answer of the passkey is on an older version; a new one is taken.
    let moved = investigator.post(&to, "s-2", &body).problem(409, "rule-refused");
    assert_eq!(moved["rule"], "signature.version-current");
    let again = signatory.signature(&investigator, &path, "responsibility");
    investigator.post(&to, "s-3", &again).expect(201);
    let other = Signatory::of(&monitor);
    let as_another = other.signature(&investigator, &path, "approval");
    let refused = investigator.post(&to, "s-4", &as_another).problem(403, "rule-forbidden");
    assert_eq!(refused["rule"], "signature.key-own");

    let reads = monitor.json(&format!("{path}/access-log"));
    let read = reads["accesses"].as_array().unwrap().iter();
    assert!(read.clone().any(|access| access["data"]["reading"] == "signatures"), "{reads}");
}

/// The browser makes passkey and answers by itself: another implementation than ours.
fn somebody_signs_in_a_browser(engine: Engine) {
    const PASSWORD: &str = "correct-plum-orbit-battery";
    let service = Service::start(engine);
    let trial = Trial::open(&service, "BROWSER-1");
    let participant = trial.enrol("101-001", true);
    service.wait_until_folded(&trial.id);
    let headers = [("Content-Type", "application/json")];
    let new =
        json!({"login": "ada", "role": "investigator", "organisation": "Site 101", "actor": "person-ada"});
    let admin = service.client(Role::Admin);
    let made = admin.send("POST", "/v1/accounts", &headers, new.to_string()).unwrap().expect(201).json();
    let secret = made["link"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let invitation = format!("{}/invitation/{secret}", service.address());
    Browser::new().submit(&invitation, &[("password", PASSWORD), ("again", PASSWORD)]);

    let pictures = tempfile::tempdir().unwrap();
    // Passkeys belong to a name.
    let address = service.address().replace("127.0.0.1", "localhost");
    let mut signing = driver("sign.mjs");
    signing.args([&address, "ada", PASSWORD, &trial.id]).arg(pictures.path());
    let output = signing.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["errors"], json!([]), "{said}");
    assert_ne!(said["unverified"], "", "a signature without its signer's verification");
    let rows = said["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{said}");
    let row = rows[0].as_str().unwrap();
    for told in ["Dr. Ada Müller", "person-ada", "approval", "in force"] {
        assert!(row.contains(told), "{row}");
    }

    let verifier = Verifier::of(&service);
    service.wait_until_sealed();
    let dataset = verifier.room("dataset").join("dataset.zip");
    fs::write(&dataset, export(&service, &service.client(Role::Monitor), &trial.id)).unwrap();
    let verdict = verifier.dataset(&dataset);
    verdict.assert_sound();
    let told = verdict.report["facts"]["signatures"][0].as_str().unwrap();
    assert!(told.starts_with(&format!("participant/{participant} version ")), "{told}");
    assert!(told.contains("approval by Dr. Ada Müller (person-ada, investigator)"), "{told}");

    // What another site's page has a browser send counts for nothing.
    let mut elsewhere = Browser::new();
    elsewhere.submit(&format!("{}/login", service.address()), &[("login", "ada"), ("password", PASSWORD)]);
    let cookie = elsewhere.cookie(&service.address(), "trialseal_session").unwrap();
    let path = trial.path("signing-key-revocations");
    let body = json!({"credential": "Y3I", "reason": "Lost"}).to_string();
    let cookie = format!("trialseal_session={cookie}");
    let sent = |site: &str| {
        let headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", site),
            ("Cookie", &cookie),
            ("Sec-Fetch-Site", site),
        ];
        service.anonymous().send("POST", &path, &headers, body.as_str()).unwrap()
    };
    sent("cross-site").problem(401, "unauthenticated");
    sent("same-site").problem(401, "unauthenticated");
    assert_eq!(sent("same-origin").problem(409, "rule-refused")["rule"], "signature.key-active");
}
