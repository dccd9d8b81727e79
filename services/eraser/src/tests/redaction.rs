//! Redactions: the value is gone, and everything else of the participant stays.

use trialseal_seal::data::dataroot;
use trialseal_store::body::Opening;

use super::*;

const CANARY: &str = "CANARY-7.0815";
const POINTER: &str = "/record/items/0/value";

fn own(number: u128) -> StreamId {
    StreamId::participant(participant(number))
}

fn told(number: u128) -> StreamId {
    StreamId::redactions_of(participant(number))
}

impl World {
    /// Two participants with a recorded value each, between two other events.
    async fn measured(&self) {
        let vault = self.vault().await;
        for number in 0..2 {
            self.record(&vault, own(number), "participant.enrolled", json!({"enrolledOn": "2026-01-16"}))
                .await;
            let items = json!([
                {"itemOid": "IT.A", "value": format!("{CANARY}/{number}")}, {"itemOid": "IT.B", "value": "stays"},
            ]);
            let record = json!({"form": "F.VS", "itemGroup": "IG.VS", "items": items});
            self.record(&vault, own(number), "data.recorded", json!({"record": record})).await;
            self.record(
                &vault,
                own(number),
                "visit.occurred",
                json!({"visit": "V1", "occurredOn": "2026-01-17"}),
            )
            .await;
        }
    }

    async fn agree(&self, vault: &Vault, number: u128, pointer: &str) {
        let asked = json!({"streamseq": 1, "pointer": pointer, "requester": "p-1", "reason": "A name"});
        self.record(vault, told(number), "redaction.requested", asked).await;
        let agreed = json!({
            "streamseq": 1, "pointer": pointer, "requester": "p-1", "approver": "p-2", "reason": "It identifies",
        });
        self.record(vault, told(number), "redaction.approved", agreed).await;
    }

    async fn until_redacted(&self, number: u128, times: usize) {
        loop {
            let kinds = self.kinds_in(told(number)).await;
            if kinds.iter().filter(|kind| *kind == "participant.key-replaced").count() == times {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    async fn kinds_in(&self, stream: StreamId) -> Vec<String> {
        let rows = self.store.of_stream(&trial(), &stream, 0, 100).await.unwrap();
        rows.iter().map(|row| row.checked_header().unwrap().kind).collect()
    }

    /// What can be read of a participant's events, each checked against its header.
    async fn read(&self, vault: &Vault, number: u128) -> Vec<(Opening, Value)> {
        let mut read = Vec::new();
        for row in self.rows(number).await {
            let header = row.checked_header().unwrap();
            if let Body::Readable { opening, data } = body::open(vault, &row, &header).await.unwrap() {
                body::check(&row, &header, &opening, &data).unwrap();
                read.push((opening, data));
            }
        }
        read
    }
}

#[tokio::test]
async fn one_value_goes_and_all_else_stays() {
    let world = World::new();
    world.measured().await;
    let vault = world.vault().await;
    let (rows, former) = (world.rows(0).await, vault.key_of(&scope(0)).await.unwrap());
    let Body::Readable { opening: Opening::Secret(secret), data } =
        body::open(&vault, &rows[1], &rows[1].checked_header().unwrap()).await.unwrap()
    else {
        panic!("it is as it was recorded");
    };
    let master = world.master();
    world.agree(&vault, 0, POINTER).await;
    let process = world.process().await;
    world.until_redacted(0, 1).await;
    let read = world.read(&process.vault, 0).await;
    assert_eq!(read.len(), 4);
    assert_eq!(read[1].1.pointer(POINTER).unwrap(), "[redacted]");
    assert_eq!(read[1].1.pointer("/record/items/1/value").unwrap(), "stays");
    assert_eq!(read[1].0.hidden(), [POINTER]);
    assert!(read.iter().enumerate().all(|(place, (opening, _))| opening.hidden().is_empty() == (place != 1)));
    assert_eq!(world.kinds_in(own(0)).await[3], "record.redacted");
    let kinds = ["redaction.requested", "redaction.approved", "redaction.begun", "participant.key-replaced"];
    assert_eq!(world.kinds_in(told(0)).await, kinds);
    assert_eq!((&read[3].1["requester"], &read[3].1["approver"]), (&json!("p-1"), &json!("p-2")));
    assert_eq!(world.documents.made.load(Ordering::SeqCst), 1);
    assert!(world.files.destroyed.load(Ordering::SeqCst) >= 1);

    // The rows of before, as backups have them, with all keys that there are.
    assert_ne!(world.master(), master);
    let vault = process.end().await;
    for vault in [vault, world.vault().await] {
        assert!(vault.key(former.id()).await.unwrap().is_none());
        for row in &rows {
            let opened = body::open(&vault, row, &row.checked_header().unwrap()).await.unwrap();
            assert!(matches!(opened, Body::Erased));
        }
        assert!(world.read(&vault, 1).await[1].1.to_string().contains(CANARY), "somebody else's");
    }
    // What is left does not tell a right guess from a wrong one, which the secret does.
    let root = rows[1].checked_header().unwrap().dataroot;
    let guess = |secret: &Secret, value: &str| {
        let mut data = data.clone();
        *data.pointer_mut(POINTER).unwrap() = json!(value);
        dataroot(secret, &data) == Ok(root)
    };
    let right = format!("{CANARY}/0");
    assert!(guess(&secret, &right) && !guess(&secret, "CANARY-7.0816"));
    let Opening::Redacted(left) = &read[1].0 else { panic!("it has no secret any more") };
    let plain = left.fields.to_value().to_string();
    assert!(!plain.contains(CANARY) && !plain.contains(&secret.to_hex()));
}

/// Each has a key of its own to end with.
#[tokio::test]
async fn a_second_value_of_an_event_and_one_that_was_approved_meanwhile_go_as_well() {
    let world = World::new();
    world.measured().await;
    let vault = world.vault().await;
    world.agree(&vault, 0, POINTER).await;
    let process = world.process().await;
    world.agree(&process.vault, 0, "/record/items/1/value").await;
    process.approved.send((trial(), participant(0))).unwrap();
    world.until_redacted(0, 2).await;
    let vault = process.end().await;
    let read = world.read(&vault, 0).await;
    assert_eq!(read.len(), 5);
    assert_eq!(read[1].0.hidden(), [POINTER, "/record/items/1/value"]);
    assert!(!read[1].1.to_string().contains("stays"));
    // And who is erased afterwards is erased altogether.
    world.approve(&vault, 0).await;
    let process = world.process().await;
    world.until_erased(0, 1).await;
    let vault = process.end().await;
    assert!(world.read(&vault, 0).await.is_empty());
}

/// The signed submission that the value came by holds it too, and a signature tells a right guess.
#[tokio::test]
async fn the_submission_that_held_the_value_is_hidden_with_it() {
    let world = World::new();
    world.measured().await;
    let vault = world.vault().await;
    let body = json!({"records": [{"items": [{"value": CANARY}]}]});
    let signed =
        json!({"path": "/v1/trials/DEMO-1/x", "idempotencyKey": "k", "body": body, "signature": "a..b"});
    let cause = world.record(&vault, own(0), "submission.signed", signed).await;
    let corrected = json!({
        "form": "F.VS", "itemGroup": "IG.VS", "itemOid": "IT.B", "old": "stays", "new": CANARY, "reason": "Typed",
    });
    world.record_of(&vault, own(0), "data.corrected", corrected, Some(cause)).await;
    let asked = json!({"streamseq": 4, "pointer": "/new", "requester": "p-1", "reason": "A name"});
    world.record(&vault, told(0), "redaction.requested", asked).await;
    let agreed = json!({
        "streamseq": 4, "pointer": "/new", "requester": "p-1", "approver": "p-2", "reason": "It identifies",
    });
    world.record(&vault, told(0), "redaction.approved", agreed).await;
    let process = world.process().await;
    world.until_redacted(0, 1).await;
    let vault = process.end().await;
    let read = world.read(&vault, 0).await;
    assert_eq!(read[3].0.hidden(), ["/body", "/signature"]);
    assert_eq!(read[3].1["idempotencyKey"], "k");
    assert_eq!((&read[4].1["old"], &read[4].1["new"]), (&json!("stays"), &json!("[redacted]")));
    assert!(!read[3..].iter().any(|(_, data)| data.to_string().contains(CANARY)));
}

/// As where a process was killed between two steps.
#[tokio::test]
async fn whatever_was_done_of_a_redaction_before_a_crash_is_done_again() {
    for step in 0..4 {
        let world = World::new();
        world.measured().await;
        let vault = world.vault().await;
        let former = vault.key_of(&scope(0)).await.unwrap().id();
        world.agree(&vault, 0, POINTER).await;
        if step > 0 {
            vault.succeed(&scope(0)).await.unwrap();
        }
        if step > 1 {
            // All is encrypted again, and it stops there.
            world.documents.fails.store(u32::MAX, Ordering::SeqCst);
            let process = world.process().await;
            while world.rows(0).await.iter().any(|row| row.key == former) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            process.end().await;
            world.documents.fails.store(0, Ordering::SeqCst);
            assert!(vault.key(former).await.unwrap().is_some());
        }
        if step > 2 {
            world.vault().await.destroy_former(&scope(0)).await.unwrap();
        }
        drop(vault);
        let process = world.process().await;
        world.until_redacted(0, 1).await;
        let vault = process.end().await;
        assert!(vault.key(former).await.unwrap().is_none(), "step {step}");
        assert!(!world.read(&vault, 0).await[1].1.to_string().contains(CANARY), "step {step}");
        let redacted = world.kinds_in(own(0)).await;
        assert_eq!(redacted.iter().filter(|kind| *kind == "record.redacted").count(), 1, "step {step}");
    }
}

#[tokio::test]
async fn a_redaction_that_fails_keeps_no_erasure_waiting() {
    let world = World::new();
    world.measured().await;
    world.fill(2, 0).await;
    let vault = world.vault().await;
    world.agree(&vault, 0, POINTER).await;
    world.documents.fails.store(u32::MAX, Ordering::SeqCst);
    world.approve(&vault, 1).await;
    let process = world.process().await;
    world.until_erased(1, 1).await;
    world.until_redacted(0, 0).await;
    world.documents.fails.store(0, Ordering::SeqCst);
    world.until_redacted(0, 1).await;
    process.end().await;
}

/// A copy of key store and master key from before is put back: then the former key is there again, and the new one is not.
#[tokio::test]
async fn a_redaction_that_an_old_copy_has_undone_is_carried_out_again() {
    let mut world = World::new();
    world.measured().await;
    let (master, vault) = (world.master(), world.vault().await);
    let former = vault.key_of(&scope(0)).await.unwrap().id();
    let copy = MemoryKeys::new();
    for scope in [scope(0), scope(1), Scope::Trial(trial()), Scope::Trial(TrialId::ledger())] {
        vault.key_of(&scope).await.unwrap();
        let Some(StoredKey::Wrapped(key)) = world.keys.data_key_of(&scope).await.unwrap() else {
            panic!("{scope}");
        };
        copy.add_data_key(&key).await.unwrap();
    }
    world.agree(&vault, 0, POINTER).await;
    let process = world.process().await;
    world.until_redacted(0, 1).await;
    process.end().await;

    world.keys = Arc::new(copy);
    fs::write(world.folder.path().join("master.key"), &master).unwrap();
    assert!(world.vault().await.key(former).await.unwrap().is_some(), "undone");
    for _ in 0..2 {
        let process = world.process().await;
        world.until_redacted(0, 2).await;
        let vault = process.end().await;
        assert!(vault.key(former).await.unwrap().is_none());
    }
    assert_ne!(world.master(), master);
}

/// Nobody's event is lost that was on its way under the former key: it is refused, and comes again under the new one.
#[tokio::test]
async fn what_is_on_its_way_under_the_former_key_is_refused() {
    let world = World::new();
    world.measured().await;
    let vault = world.vault().await;
    let former = vault.key_of(&scope(0)).await.unwrap();
    world.agree(&vault, 0, POINTER).await;
    let process = world.process().await;
    world.until_redacted(0, 1).await;
    process.end().await;
    let visit = json!({"visit": "V2", "occurredOn": "2026-01-18"});
    let event = Event::from_stored("visit.occurred", 1, visit).unwrap();
    let draft = Draft { stream: own(0), event, key: former };
    let late = world.append_of(draft, None, vec![Expected { stream: own(0), version: 3 }]).await;
    assert!(matches!(late, Err(AppendError::VersionConflict { .. })), "{late:?}");
}
