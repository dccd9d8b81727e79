//! Erasing: two people, what nobody can do any more afterwards, and what is left that guesses could be tested by.

use serde_json::{Value, json};
use trialseal_record::Role::{Investigator, Irb, Sponsor};
use trialseal_record::ids::{ParticipantId, Scope, StreamId, TrialId};
use trialseal_seal::canonical;
use trialseal_seal::hash::sha3_256;
use trialseal_store::{Appends as _, Events as _};

use crate::imports::{file, rows};
use crate::support::*;

fn request() -> Value {
    json!({"askedOn": "2026-03-01", "reason": "Asked for by letter"})
}

fn approval_of_erasure() -> Value {
    json!({"reason": "No duty to keep the data is left"})
}

fn of(path: &str) -> ParticipantId {
    path.rsplit('/').next().unwrap().parse().unwrap()
}

/// A participant with data, whose erasure is approved.
async fn erased(world: &World) -> String {
    let site = world.trial().await;
    let path = world.consenting(&site, "01-001").await;
    world.post(Investigator, &format!("{path}/data"), "d1", data("V1", "120")).await.recorded();
    world.post(Investigator, &format!("{path}/erasure-requests"), "r", request()).await.recorded();
    world.post(Irb, &format!("{path}/erasure-approvals"), "a", approval_of_erasure()).await.recorded();
    path
}

async fn destroy(world: &World, path: &str) {
    let trial: TrialId = "DEMO-1".parse().unwrap();
    assert!(world.vault.destroy(&Scope::Participant(trial, of(path))).await.unwrap());
}

#[actix_web::test]
async fn an_approved_erasure_is_told_and_closes_the_participant_at_once() {
    let world = World::new().await;
    let path = erased(&world).await;
    let told = world.approved.lock().unwrap().try_recv().unwrap();
    assert_eq!(told, ("DEMO-1".parse().unwrap(), of(&path)));
    assert!(world.approved.lock().unwrap().try_recv().is_err(), "once");
    let kinds: Vec<_> = world.events().await.iter().rev().take(3).map(|(_, event)| event.kind()).collect();
    assert_eq!(kinds, ["participant.closed", "erasure.approved", "erasure.requested"]);

    let before = size(&world).await;
    let anew = [("data", data("V2", "121")), ("consents", consent()), ("erasure-requests", request())];
    for gone in [false, true] {
        if gone {
            destroy(&world, &path).await;
        }
        // A process that has nothing in its memory finds the same in the record.
        for world in [&world, &world.beside()] {
            for (rest, body) in &anew {
                let answer = world.post(Investigator, &format!("{path}/{rest}"), "n", body.clone()).await;
                assert_eq!((answer.status, answer.rule()), (409, "participant.erased"), "{rest} {gone}");
            }
        }
    }
    assert_eq!(size(&world).await, before, "nothing was recorded of it");
}

async fn size(world: &World) -> Option<u64> {
    world.store.trial_size(&"DEMO-1".parse().unwrap()).await.unwrap()
}

#[actix_web::test]
async fn a_sponsor_can_keep_data_and_not_have_them_erased() {
    let world = World::new().await;
    let site = world.trial().await;
    let path = world.consenting(&site, "01-001").await;
    let (requests, approvals) = (format!("{path}/erasure-requests"), format!("{path}/erasure-approvals"));
    for (role, path, body) in [(Sponsor, &requests, request()), (Sponsor, &approvals, approval_of_erasure())]
    {
        assert_eq!(world.post(role, path, "e0", body).await.rule(), "authority.role");
    }
    world.post(Investigator, &requests, "e2", request()).await.recorded();
    let hold = json!({"hold": "FDA-1", "participant": of(&path), "reason": "Inspection announced"});
    world.post(Sponsor, "/v1/trials/DEMO-1/legal-holds", "e3", hold).await.recorded();
    let held = world.post(Irb, &approvals, "e1", approval_of_erasure()).await;
    assert_eq!((held.status, held.rule()), (409, "legal-hold.none-in-force"));
    let release = json!({"hold": "FDA-1", "reason": "Inspection closed"});
    world.post(Irb, "/v1/trials/DEMO-1/legal-hold-releases", "e4", release).await.recorded();
    world.post(Irb, &approvals, "e1", approval_of_erasure()).await.recorded();
}

/// The sender of a command keeps it, and may send it again for ever.
#[actix_web::test]
async fn a_command_that_is_sent_again_after_the_erasure_tells_nothing() {
    let world = World::new().await;
    let path = erased(&world).await;
    let events = world.events().await;
    let site = events.iter().find_map(|(row, _)| row.stream.as_site()).unwrap().to_string();
    let send = async |world: &World| {
        [
            world.post(Investigator, &format!("{path}/data"), "d1", data("V1", "120")).await,
            world.post(Investigator, &format!("{path}/data"), "d1", data("V1", "121")).await,
            world
                .post(Investigator, "/v1/trials/DEMO-1/participants", "01-001", screening(&site, "01-001"))
                .await,
        ]
    };
    let [same, other, screened] = send(&world).await;
    assert!(same.replayed && screened.replayed, "as long as the key is there");
    assert_eq!((other.status, other.problem()), (409, "conflict"));
    destroy(&world, &path).await;
    for world in [&world, &world.beside()] {
        for answer in send(world).await {
            assert_eq!((answer.status, answer.rule()), (409, "participant.erased"));
        }
    }
    // The number stays taken, so that nobody gets it who is somebody else.
    let taken =
        world.post(Investigator, "/v1/trials/DEMO-1/participants", "x", screening(&site, "01-001")).await;
    assert_eq!((taken.status, taken.rule()), (409, "participant.subject-number-unique"));
}

/// What is kept of a command is a digest. Whoever has the participant's key can test guesses by it, and nobody else.
#[actix_web::test]
async fn guesses_of_what_was_sent_need_the_participants_key() {
    let world = World::new().await;
    let path = erased(&world).await;
    let participant = of(&path);
    let trial: TrialId = "DEMO-1".parse().unwrap();
    let id = world.vault.command_id("person-investigator", "DEMO-1/d1");
    let stored = world.store.command(&id).await.unwrap().unwrap().digest;
    let guesses = || (100..140).map(|value| data("V1", &value.to_string()));
    let content = |guess: &Value| {
        let canonical = canonical::to_vec(guess);
        let participant = participant.to_string();
        sha3_256(&[b"data", b"\n", b"DEMO-1", b"\n", participant.as_bytes(), b"\n", &canonical])
    };
    let with = world.vault.key_of(&Scope::Participant(trial.clone(), participant)).await.unwrap();
    let found = guesses().filter(|guess| with.digest(&[b"command", content(guess).as_bytes()]) == stored);
    assert_eq!(found.collect::<Vec<_>>(), [data("V1", "120")]);
    destroy(&world, &path).await;
    let left = world.vault.key_of(&Scope::of(&trial, StreamId::trial(&trial))).await.unwrap();
    let found = guesses().filter(|guess| {
        let content = content(guess);
        let tries = [
            left.digest(&[b"command", content.as_bytes()]),
            world.vault.digest(&[b"command", content.as_bytes()]),
            world.vault.digest(&[content.as_bytes()]),
        ];
        tries.contains(&stored)
    });
    assert_eq!(found.count(), 0);
}

#[actix_web::test]
async fn a_file_goes_past_the_rows_of_whom_was_erased() {
    let world = World::new().await;
    world.trial().await;
    let first = world.import("f1", file(&rows(14))).await;
    assert_eq!(first["state"], "done", "{first}");
    let of_first = world.events().await.iter().find_map(|(row, _)| row.stream.as_participant()).unwrap();
    let path = format!("/v1/trials/DEMO-1/participants/{of_first}");
    world.post(Investigator, &format!("{path}/erasure-requests"), "r", request()).await.recorded();
    world.post(Irb, &format!("{path}/erasure-approvals"), "a", approval_of_erasure()).await.recorded();
    destroy(&world, &path).await;

    let second = world.import("f2", file(&rows(21))).await;
    assert_eq!((&second["state"], &second["rowsRecorded"]), (&json!("done"), &json!(21)), "{second}");
    assert_eq!(second["exceptions"]["byRule"]["participant.erased"], 3, "of 21 rows of seven people");
    let stream = StreamId::participant(of_first);
    let rows = world.store.of_stream(&"DEMO-1".parse().unwrap(), &stream, 0, 100).await.unwrap();
    let last = rows.last().unwrap();
    assert_eq!(last.checked_header().unwrap().kind, "participant.closed");
}
