//! People who sign electronically.

use serde_json::{Value, json};
use trialseal_record::Role::{Investigator, Sponsor};
use trialseal_record::event::Event;
use trialseal_record::signature::POLICY;
use trialseal_seal::authenticator::Authenticator;
use trialseal_seal::hash::Hash;
use trialseal_seal::signature::{RecordDigest, Registering, Signing};

use crate::support::*;

const ORIGIN: &str = "ledger.example.org/test";
const TRIAL: &str = "DEMO-1";
const NAME: &str = "Dr. Ada Example";
const KEYS: &str = "/v1/trials/DEMO-1/signing-keys";

fn seconds() -> u64 {
    u64::try_from(NOW_MICROS / 1_000_000).unwrap()
}

fn registration(authenticator: &Authenticator) -> Value {
    let (passkey, at) = (authenticator.passkey(), seconds());
    let signer = &principal(Investigator).actor;
    let statement = Registering {
        ledger: ORIGIN,
        trial: TRIAL,
        signer,
        name: NAME,
        passkey: &passkey,
        accepts: POLICY,
        at,
    };
    let answer = authenticator.answer(&statement.statement());
    json!({"name": NAME, "passkey": passkey, "accepts": POLICY, "at": at, "answer": answer})
}

/// What the record says of a participant: how many events, and the digest over their leaves.
async fn version(world: &World, path: &str) -> (u64, Hash) {
    let stream = stream(path);
    let mut digest = RecordDigest::default();
    for (row, _) in world.events().await.iter().filter(|(row, _)| row.stream.to_string() == stream) {
        digest.push(&row.leaf);
    }
    (digest.version(), digest.digest())
}

fn stream(path: &str) -> String {
    path.strip_prefix("/v1/trials/DEMO-1/participants/").map(|id| format!("participant/{id}")).unwrap()
}

async fn signature(world: &World, path: &str, by: &Authenticator, meaning: &str) -> Value {
    let (version, digest) = version(world, path).await;
    let (credential, at) = (by.credential(), seconds());
    let statement = Signing {
        ledger: ORIGIN,
        trial: TRIAL,
        record: &stream(path),
        version,
        digest,
        signer: &principal(Investigator).actor,
        name: NAME,
        meaning,
        credential: &credential,
        at,
    };
    let answer = by.answer(&statement.statement());
    json!({"version": version, "meaning": meaning, "credential": credential, "at": at, "answer": answer})
}

#[actix_web::test]
async fn a_record_is_signed_as_it_stands_and_only_so() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = world.consenting(&site, "01-001").await;
    let ours = Authenticator::new(1);
    world.post(Investigator, KEYS, "key", registration(&ours)).await.recorded();
    let to = format!("{path}/signatures");
    let first = signature(&world, &path, &ours, "authorship").await;
    let recorded = world.post(Investigator, &to, "s-1", first.clone()).await.recorded();
    let again = world.post(Investigator, &to, "s-1", first.clone()).await;
    assert!(again.replayed);
    assert_eq!(again.recorded(), recorded);

    let events = world.events().await;
    let (row, Event::SignatureApplied(event)) = events.last().unwrap() else { panic!("{events:?}") };
    assert_eq!((event.name.as_str(), event.version), (NAME, 2));
    assert_eq!((row.stream.to_string(), row.streamseq), (stream(&path), 2));

    // The same once more is on an older version, and so is one that was made before something else came.
    let stale = world.post(Investigator, &to, "s-2", first).await;
    assert_eq!((stale.status, stale.rule()), (409, "signature.version-current"));
    let before = signature(&world, &path, &ours, "approval").await;
    world.post(Investigator, &format!("{path}/visits"), "v", visit("V1")).await.recorded();
    assert_eq!(world.post(Investigator, &to, "s-3", before).await.rule(), "signature.version-current");
    let now = signature(&world, &path, &ours, "approval").await;
    world.post(Investigator, &to, "s-4", now).await.recorded();
}

#[actix_web::test]
async fn a_token_alone_signs_nothing() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = world.consenting(&site, "01-001").await;
    let (ours, other) = (Authenticator::new(1), Authenticator::new(2));
    let to = format!("{path}/signatures");
    let good = signature(&world, &path, &ours, "approval").await;
    let unknown = world.post(Investigator, &to, "s-0", good.clone()).await;
    assert_eq!((unknown.status, unknown.rule()), (403, "signature.key-own"));
    let mut forged = registration(&ours);
    forged["answer"] = registration(&other)["answer"].clone();
    let refused = world.post(Investigator, KEYS, "key-0", forged).await;
    assert_eq!((refused.status, refused.rule()), (403, "signature.valid"));
    world.post(Investigator, KEYS, "key", registration(&ours)).await.recorded();
    let size = world.events().await.len();

    let mut with_another = good.clone();
    with_another["answer"] = signature(&world, &path, &other, "approval").await["answer"].clone();
    let mut unverified = Authenticator::new(1);
    unverified.flags = 0x01;
    let unverified = signature(&world, &path, &unverified, "approval").await;
    let mut of_another_meaning = good.clone();
    of_another_meaning["meaning"] = "review".into();
    let mut of_another_time = good.clone();
    of_another_time["at"] = (seconds() - 1).into();
    for (place, body) in
        [with_another, unverified, of_another_meaning, of_another_time].into_iter().enumerate()
    {
        let answer = world.post(Investigator, &to, &format!("bad-{place}"), body).await;
        assert_eq!((answer.status, answer.rule()), (403, "signature.valid"), "{place}");
    }
    let mut nothing = good.clone();
    nothing["answer"]["signature"] = "".into();
    assert_eq!(world.post(Investigator, &to, "bad-5", nothing).await.status, 422);
    assert_eq!(world.events().await.len(), size);
    // In no other role, and of nobody else.
    let sponsor = world.post(Sponsor, &to, "bad-6", good.clone()).await;
    assert_eq!((sponsor.status, sponsor.rule()), (403, "authority.role"));
    let elsewhere = world.consenting(&site, "01-002").await;
    let moved = world.post(Investigator, &format!("{elsewhere}/signatures"), "bad-7", good.clone()).await;
    assert_eq!((moved.status, moved.rule()), (403, "signature.valid"));
    world.post(Investigator, &to, "s-1", good).await.recorded();
}

#[actix_web::test]
async fn a_passkey_that_is_revoked_signs_no_more() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = world.consenting(&site, "01-001").await;
    let ours = Authenticator::new(1);
    world.post(Investigator, KEYS, "key", registration(&ours)).await.recorded();
    let second = world.post(Investigator, KEYS, "key-2", registration(&Authenticator::new(2))).await;
    assert_eq!((second.status, second.rule()), (409, "signature.key-unused"));
    let end = json!({"credential": ours.credential(), "reason": "Lost"});
    let revocations = "/v1/trials/DEMO-1/signing-key-revocations";
    world.post(Investigator, revocations, "end", end.clone()).await.recorded();
    assert_eq!(world.post(Investigator, revocations, "end-2", end).await.rule(), "signature.key-active");
    let signed = signature(&world, &path, &ours, "approval").await;
    let refused = world.post(Investigator, &format!("{path}/signatures"), "s", signed).await;
    assert_eq!(refused.rule(), "signature.key-own");
    world.post(Investigator, KEYS, "key-3", registration(&Authenticator::new(2))).await.recorded();
}
