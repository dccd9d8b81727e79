//! The check of electronic signatures in a dataset: an operator who makes a record up, seal, manifest and all, but has no signer's
//! passkey.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod common;

use common::record::{Record, fact, found, of, trial};
use common::{ORIGIN, START_SECONDS, TRIAL, codes};
use serde_json::{Value, json};
use trialseal_record::signature::POLICY;
use trialseal_seal::authenticator::Authenticator;
use trialseal_seal::event::Header;
use trialseal_seal::hash::Hash;
use trialseal_seal::signature::{RecordDigest, Registering, Signing};

const PARTICIPANT: &str = "019b76da-a800-7344-bd2c-6d0e4ff7a373";
const OTHER: &str = "019b76da-a800-7344-bd2c-6d0e4ff7a374";
const NAME: &str = "Dr. Ada Example";

/// The data of the event with which somebody begins to sign.
fn registered(authenticator: &Authenticator, holder: &str) -> Value {
    let passkey = authenticator.passkey();
    let statement = Registering {
        ledger: ORIGIN,
        trial: TRIAL,
        signer: holder,
        name: NAME,
        passkey: &passkey,
        accepts: POLICY,
        at: seconds(),
    };
    json!({
        "holder": holder, "name": NAME, "passkey": passkey, "accepts": POLICY, "at": seconds(),
        "answer": authenticator.answer(&statement.statement()),
    })
}

fn seconds() -> u64 {
    u64::try_from(START_SECONDS).unwrap()
}

/// The version of a record that comes next, and its digest.
fn version(record: &Record, subject: &str) -> (u64, Hash) {
    let mut digest = RecordDigest::default();
    for line in record.lines.iter().filter(|line| line["header"]["subject"] == subject) {
        digest.push(&Header::parse(&line["header"]).unwrap().leaf());
    }
    (digest.version(), digest.digest())
}

/// The data of a signature as its signer makes it.
fn signed(record: &Record, authenticator: &Authenticator, meaning: &str) -> Value {
    signed_at(record, authenticator, meaning, seconds())
}

fn signed_at(record: &Record, authenticator: &Authenticator, meaning: &str, at: u64) -> Value {
    let (version, digest) = version(record, &of(PARTICIPANT));
    let credential = authenticator.credential();
    let statement = Signing {
        ledger: ORIGIN,
        trial: TRIAL,
        record: &of(PARTICIPANT),
        version,
        digest,
        signer: &record.actor,
        name: NAME,
        meaning,
        credential: &credential,
        at,
    };
    json!({
        "version": version, "digest": digest, "meaning": meaning, "name": NAME, "credential": credential,
        "at": at, "answer": authenticator.answer(&statement.statement()),
    })
}

/// Two visits of a participant, and a passkey that the record knows.
fn visited(authenticator: &Authenticator) -> Record {
    let mut record = Record::new();
    record.event("signing-key.registered", &trial(), &registered(authenticator, "site-1"));
    visit(&mut record, "V1");
    visit(&mut record, "V2");
    record
}

fn visit(record: &mut Record, name: &str) {
    record.event("visit.occurred", &of(PARTICIPANT), &json!({"visit": name, "occurredOn": "2026-01-30"}));
}

fn sign(record: &mut Record, authenticator: &Authenticator, meaning: &str) {
    let data = signed(record, authenticator, meaning);
    record.event("signature.applied", &of(PARTICIPANT), &data);
}

#[test]
fn signatures_hold_until_their_record_changes() {
    let ours = Authenticator::new(1);
    let mut record = visited(&ours);
    sign(&mut record, &ours, "authorship");
    sign(&mut record, &ours, "approval");
    let report = record.check();
    assert_eq!(codes(&report), []);
    let counted = |report: &trialseal_verify::Report| {
        ["signaturesInForce", "signaturesSuperseded", "signaturesUnchecked"].map(|name| fact(report, name))
    };
    assert_eq!(counted(&report), [json!(2), json!(0), json!(0)]);
    let listed = fact(&report, "signatures");
    let first = listed[0].as_str().unwrap();
    assert!(
        first.starts_with(&format!(
            "participant/{PARTICIPANT} version 2: authorship by {NAME} (site-1, investigator) at "
        )),
        "{first}"
    );
    assert!(first.ends_with(", in force"), "{first}");
    assert_eq!(
        fact(&report, "signingKeys"),
        json!([format!(
            "{} of {NAME} (site-1) at localhost, registered by event 0, 2 signatures",
            ours.credential()
        )])
    );

    visit(&mut record, "V3");
    sign(&mut record, &ours, "responsibility");
    let report = record.check();
    assert_eq!(codes(&report), []);
    assert_eq!(counted(&report), [json!(1), json!(2), json!(0)]);
    let listed = fact(&report, "signatures");
    assert!(listed[1].as_str().unwrap().ends_with(", superseded by event 5 (visit.occurred)"), "{listed}");
}

#[test]
fn a_record_without_signatures_says_nothing_of_them() {
    let mut record = Record::new();
    visit(&mut record, "V1");
    let report = record.check();
    assert_eq!(codes(&report), []);
    assert!(report.facts().iter().all(|fact| !fact.name.starts_with("sign")));
}

#[test]
fn what_an_operator_changes_about_a_signature_is_found() {
    let ours = Authenticator::new(1);
    let valid = "signature-valid";
    let changes: [(&str, Value, &str); 7] = [
        ("meaning", json!("responsibility"), valid),
        ("name", json!("Dr. Eve Example"), valid),
        ("at", json!(seconds() + 1), valid),
        ("at", json!(seconds() - 700), valid),
        ("version", json!(1), "signature-differs"),
        ("digest", json!("0".repeat(64)), "signature-differs"),
        ("credential", json!("b3RoZXI"), "signature-key-own"),
    ];
    for (member, value, code) in changes {
        let mut record = visited(&ours);
        let mut data = signed(&record, &ours, "approval");
        data[member] = value;
        record.event("signature.applied", &of(PARTICIPANT), &data);
        found(&record.check(), code);
    }
    let mut malformed = visited(&ours);
    malformed.event("signature.applied", &of(PARTICIPANT), &json!({"version": 2}));
    found(&malformed.check(), "signature-malformed");
}

#[test]
fn a_signature_cannot_be_moved() {
    let ours = Authenticator::new(1);
    // To a later version of the record.
    let mut later = visited(&ours);
    let data = signed(&later, &ours, "approval");
    visit(&mut later, "V3");
    later.event("signature.applied", &of(PARTICIPANT), &data);
    found(&later.check(), "signature-differs");
    // To a record that says something else.
    let mut other = Record::new();
    other.event("signing-key.registered", &trial(), &registered(&ours, "site-1"));
    visit(&mut other, "V1");
    visit(&mut other, "V9");
    let mut with_its_digest = data.clone();
    with_its_digest["digest"] = json!(version(&other, &of(PARTICIPANT)).1);
    other.event("signature.applied", &of(PARTICIPANT), &with_its_digest);
    found(&other.check(), "signature-valid");
    other.lines.pop();
    other.event("signature.applied", &of(PARTICIPANT), &data);
    found(&other.check(), "signature-differs");
    // To somebody else's record, and to somebody else.
    let mut others = visited(&ours);
    others.event("visit.occurred", &of(OTHER), &json!({"visit": "V1", "occurredOn": "2026-01-30"}));
    others.event("signature.applied", &of(OTHER), &data);
    found(&others.check(), "signature-differs");
    let mut by_another = visited(&ours);
    by_another.actor = "site-2".into();
    by_another.event("signature.applied", &of(PARTICIPANT), &data);
    found(&by_another.check(), "signature-key-own");
}

#[test]
fn passkeys_are_their_holders_and_stop_with_their_end() {
    let (ours, theirs) = (Authenticator::new(1), Authenticator::new(2));
    // Whoever has another passkey has not this one.
    let mut made_up = Record::new();
    let mut key = registered(&ours, "site-1");
    key["answer"] = registered(&theirs, "site-1")["answer"].clone();
    made_up.event("signing-key.registered", &trial(), &key);
    found(&made_up.check(), "signature-valid");
    // Nor has somebody who registers it in the name of another.
    let mut in_another_name = Record::new();
    in_another_name.event("signing-key.registered", &trial(), &registered(&ours, "site-2"));
    found(&in_another_name.check(), "signature-key-own");
    let mut without_policy = Record::new();
    let mut key = registered(&ours, "site-1");
    key["accepts"] = json!("Nothing.");
    without_policy.event("signing-key.registered", &trial(), &key);
    found(&without_policy.check(), "signature-policy-accepted");
    let mut twice = visited(&ours);
    twice.event("signing-key.registered", &trial(), &registered(&theirs, "site-1"));
    found(&twice.check(), "signature-key-unused");

    let mut revoked = visited(&ours);
    let end = json!({"credential": ours.credential(), "reason": "Lost"});
    revoked.event("signing-key.revoked", &trial(), &end);
    sign(&mut revoked, &ours, "approval");
    found(&revoked.check(), "signature-key-own");
}

#[test]
fn a_signature_that_was_not_made_for_the_act_is_found() {
    let ours = Authenticator::new(1);
    for at in [seconds() - 700, seconds() + 400] {
        let mut record = visited(&ours);
        let data = signed_at(&record, &ours, "approval", at);
        record.event("signature.applied", &of(PARTICIPANT), &data);
        found(&record.check(), "signature-fresh");
    }
}

#[test]
fn what_is_not_shown_is_not_checked() {
    let ours = Authenticator::new(1);
    let mut record = visited(&ours);
    sign(&mut record, &ours, "approval");
    let unchecked = |record: &Record| {
        let report = record.check();
        assert_eq!(codes(&report), []);
        (fact(&report, "signaturesInForce"), fact(&report, "signaturesUnchecked"))
    };
    let withhold = |record: &mut Record, place: usize| {
        record.lines[place] = json!({"header": record.lines[place]["header"], "withheld": "no-consent"});
    };
    assert_eq!(unchecked(&record), (json!(1), json!(0)));
    // Of what was signed the headers are enough.
    withhold(&mut record, 1);
    assert_eq!(unchecked(&record), (json!(1), json!(0)));
    record.leaf_only = vec![1];
    assert_eq!(unchecked(&record), (json!(0), json!(1)));
    let mut without_key = visited(&ours);
    sign(&mut without_key, &ours, "approval");
    withhold(&mut without_key, 0);
    assert_eq!(unchecked(&without_key), (json!(0), json!(1)));
    let mut withheld = visited(&ours);
    sign(&mut withheld, &ours, "approval");
    withhold(&mut withheld, 3);
    assert_eq!(unchecked(&withheld), (json!(0), json!(1)));
}
