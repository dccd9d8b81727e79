//! Senders sign what they submit, as docs/submitting.md says, and the verifier tells who signed what.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use trialseal_tests::{
    Client, Engine, Rng, Role, Service, Submitter, Trial, Verifier, bodies, export, laboratory,
    on_both_engines, other, wait_for_import,
};

on_both_engines!(what_senders_sign_nobody_can_make_up);

/// The program in docs/submitting.md, run as its reader would.
struct Documented {
    folder: TempDir,
}

impl Documented {
    fn new() -> Self {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/submitting.md");
        let page = fs::read_to_string(page).unwrap();
        let (_, program) = page.split_once("```python\n").unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("submit.py"), program.split_once("```").unwrap().0).unwrap();
        let this = Self { folder };
        let mut openssl = Command::new("openssl");
        openssl.args(["genpkey", "-algorithm", "ed25519", "-out", "submit.pem"]);
        assert!(openssl.current_dir(this.folder.path()).status().unwrap().success());
        this
    }

    fn post(&self, client: &Client, path: &str, key: &str, body: &Value) -> Value {
        let (address, body) = (client.address(), body.to_string());
        let arguments = ["submit.py", &address, client.token(), "submit.pem", path, key, &body];
        let output = other("python3").args(arguments).current_dir(self.folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn kinds(recorded: &Value) -> Vec<&str> {
    recorded["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

fn what_senders_sign_nobody_can_make_up(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "SIGNED-1");
    let participant = trial.enrol("101-001", true);
    let [sponsor, investigator, irb] =
        [Role::Sponsor, Role::Investigator, Role::Irb].map(|role| service.client(role));
    let visits = trial.path(&format!("participants/{participant}/visits"));
    for client in [&sponsor, &investigator] {
        let submitter = Submitter::of(client);
        let body = json!({"key": submitter.jwk()});
        let recorded =
            submitter.post(client, &trial.path("submission-keys"), "key", &body).unwrap().expect(201);
        assert_eq!(kinds(&recorded.json()), ["submission.signed", "submission-key.registered"]);
    }
    // A third one by the documented way alone.
    let documented = Documented::new();
    let own_key = json!({"key": {"kty": "OKP", "crv": "Ed25519", "x": "MY-KEY"}});
    let recorded = documented.post(&irb, &trial.path("submission-keys"), "key", &own_key);
    assert_eq!(kinds(&recorded), ["submission.signed", "submission-key.registered"]);
    let required = json!({"required": true, "reason": "Every sender has a key"});
    let path = trial.path("submission-signing");
    Submitter::of(&sponsor).post(&sponsor, &path, "on", &required).unwrap().expect(201);

    let unsigned = investigator.post(&visits, "v1", &bodies::visit("V1")).problem(403, "rule-forbidden");
    assert_eq!(unsigned["rule"], "submission.signature-required");
    let stranger = Submitter::of(&sponsor).post(&investigator, &visits, "v1", &bodies::visit("V1")).unwrap();
    assert_eq!(stranger.problem(403, "rule-forbidden")["rule"], "submission.key-own");
    let file = laboratory(&["101-001".to_owned()], 1, &mut Rng::new(1));
    let submitter = Submitter::of(&investigator);
    let refused = investigator.try_post_text(&trial.path("imports"), "f", &file).unwrap();
    assert_eq!(refused.problem(403, "rule-forbidden")["rule"], "submission.signature-required");
    let import = submitter.post_file(&investigator, &trial.path("imports"), "f", &file).unwrap().expect(202);
    assert_eq!(wait_for_import(&service, &investigator, import.header("location"))["state"], "done");
    let recorded =
        submitter.post(&investigator, &visits, "v1", &bodies::visit("V1")).unwrap().expect(201).json();
    assert_eq!(kinds(&recorded), ["submission.signed", "visit.occurred"]);
    let again = submitter.post(&investigator, &visits, "v1", &bodies::visit("V1")).unwrap().expect(201);
    assert_eq!((again.header("idempotent-replayed"), &again.json()), ("true", &recorded));
    documented.post(&irb, &trial.path("irb-decisions"), "again", &bodies::approval());

    let verifier = Verifier::of(&service);
    let keys = [Submitter::of(&sponsor).x(), submitter.x()];
    let report = |role: Role, keys: &[String]| {
        service.wait_until_sealed();
        let dataset = verifier.room("dataset").join("dataset.zip");
        fs::write(&dataset, export(&service, &service.client(role), &trial.id)).unwrap();
        verifier.dataset_signed_with(&dataset, keys)
    };
    for role in [Role::Monitor, Role::Researcher] {
        let verdict = report(role, &[]);
        verdict.assert_sound();
        let facts = &verdict.report["facts"];
        assert_eq!(
            (&facts["submissionsSigned"], &facts["submissionsUnchecked"]),
            (&7.into(), &0.into()),
            "{facts}"
        );
        let known = facts["submissionKeys"].as_array().unwrap();
        assert_eq!(known.len(), 3);
        assert!(keys.iter().all(|x| known.iter().any(|key| key.as_str().unwrap().starts_with(x.as_str()))));
    }
    // Whoever knows two of the keys is told of the third.
    let unexpected = report(Role::Monitor, &keys);
    assert_eq!(
        (unexpected.code, &unexpected.report["findings"][0]["code"]),
        (1, &"submission-key-unexpected".into())
    );

    let place = recorded["events"][0]["trialseq"].as_u64().unwrap();
    let receipt = service.client(Role::Monitor).json(&trial.path(&format!("events/{place}/receipt")));
    verifier.document("receipt", &receipt).assert_sound();

    // After an erasure nobody can check the signature, or test guesses by it; all else holds.
    let (asked, agreed) = ("erasure-requests", "erasure-approvals");
    let at = |what: &str| trial.path(&format!("participants/{participant}/{what}"));
    let ask = json!({"askedOn": "2025-06-01", "reason": "Asked for by letter"});
    submitter.post(&investigator, &at(asked), asked, &ask).unwrap().expect(201);
    documented.post(&irb, &at(agreed), agreed, &json!({"reason": "No duty to keep the data is left"}));
    service.wait("the key is destroyed", || {
        let erasures = service.client(Role::Monitor).json(&trial.path("erasures"));
        (erasures["erasures"][0]["state"] == "carried-out").then_some(())
    });
    let verdict = report(Role::Monitor, &[]);
    verdict.assert_sound();
    let facts = &verdict.report["facts"];
    assert_eq!(
        (&facts["submissionsSigned"], &facts["submissionsUnchecked"]),
        (&8.into(), &1.into()),
        "{facts}"
    );
}
