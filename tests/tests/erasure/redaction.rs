//! One value is redacted: whoever has the database, all its backups, the key store and all its backups reads everything else of
//! the participant, and not the value; and every proof stands as before.

use trialseal_tests::{Client, Submitter};

use super::*;

on_both_engines!(nobody_reads_the_value_and_all_else_is_read, a_redaction_survives_the_death_of_the_process,);

const TRIAL: &str = "REDACTION-1";
const VALUE: &str = "CANARYVALUE-99.4711";
const KEPT: [&str; 3] = ["SUBJECT-4711", "OTHERVALUE-12.0815", "Term of the same participant"];
const POINTER: &str = "/record/items/0/value";

/// Somebody with two values that came in one signed submission, and with an adverse event.
fn measured(service: &Service, trial: &Trial) -> String {
    let investigator = service.client(Role::Investigator);
    let submitter = Submitter::of(&investigator);
    let key = json!({"key": submitter.jwk()});
    submitter.post(&investigator, &trial.path("submission-keys"), "key", &key).unwrap().expect(201);
    let participant = trial.enrol(KEPT[0], true);
    let mut data = bodies::data("Baseline", VALUE);
    let other = bodies::data("Week 4", KEPT[1])["records"][0].clone();
    data["records"].as_array_mut().unwrap().push(other);
    let path = trial.path(&format!("participants/{participant}/data"));
    submitter.post(&investigator, &path, "data", &data).unwrap().expect(201);
    trial.about(&participant, "adverse-events", &bodies::adverse_event(KEPT[2]));
    participant
}

/// The event that holds the value.
fn target(reader: &Client, trial: &str) -> Value {
    let events = events_of(reader, trial);
    let holds = |event: &&Value| {
        event["header"]["type"] == "data.recorded" && event["data"].pointer(POINTER) == Some(&json!(VALUE))
    };
    events.iter().find(holds).expect("it is recorded").clone()
}

fn redaction(target: &Value, reason: &str) -> Value {
    json!({"streamseq": target["header"]["streamseq"], "pointer": POINTER, "reason": reason})
}

fn approve_redaction(trial: &Trial, participant: &str, target: &Value) {
    trial.about(participant, "redaction-requests", &redaction(target, "A name was typed here"));
    let approval = redaction(target, "It identifies the participant");
    trial.irb(&format!("participants/{participant}/redaction-approvals"), &approval);
}

/// Waits until it is recorded that the former key was destroyed, and gives what is recorded of the redaction.
fn wait_until_redacted(service: &Service, trial: &str, participant: &str) -> Vec<Value> {
    let irb = service.client(Role::Irb);
    service.wait("the redaction is carried out", || {
        let list = irb.json(&format!("/v1/trials/{trial}/redactions"));
        let all = list["redactions"].as_array().unwrap().clone();
        let own = all.into_iter().find(|one| one["participant"] == participant)?;
        let events = own["events"].as_array().unwrap().clone();
        let is_last = |event: &Value| event["header"]["type"] == "participant.key-replaced";
        events.last().is_some_and(is_last).then_some(events)
    })
}

/// Through the front door: the value is seen to be gone, and nothing else is.
fn assert_seen_to_be_gone(reader: &Client, trial: &Trial, participant: &str, target: &Value) {
    let timeline = format!("participants/{participant}/timeline");
    for (path, kept) in [("participants", 0..1), ("data", 1..2), ("events", 0..3), (&timeline, 2..3)] {
        let answer = reader.get(&trial.path(path));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let body = [answer.body];
        assert_eq!(found(&[VALUE], &body), [""; 0], "{path}");
        assert_eq!(found(&KEPT[kept.clone()], &body), KEPT[kept], "{path}");
    }
    let events = events_of(reader, TRIAL);
    let own = events.iter().find(|event| event["header"]["id"] == target["header"]["id"]).unwrap();
    assert_eq!(
        (&own["redacted"], own["data"].pointer(POINTER)),
        (&json!([POINTER]), Some(&json!("[redacted]")))
    );
    let cause = events.iter().find(|event| event["header"]["id"] == target["header"]["causationid"]).unwrap();
    assert_eq!(cause["redacted"], json!(["/body", "/signature"]));
}

fn nobody_reads_the_value_and_all_else_is_read(engine: Engine) {
    let mut service = Service::start_with(engine, &[("TRIALSEAL_KEY_DATABASE_URL", "file")]);
    let trial = Trial::open(&service, TRIAL);
    let participant = measured(&service, &trial);
    service.wait_until_sealed();
    service.wait_until_folded(TRIAL);
    let verifier = Verifier::of(&service);
    let reader = service.client(Role::Monitor);
    let monitor = Monitor::of(&service, TRIAL, &reader);
    monitor.check(&service, &["--first"]).assert_sound();
    let target = target(&reader, TRIAL);
    let receipt = format!("/v1/trials/{TRIAL}/events/{}/receipt", target["header"]["trialseq"]);
    let before = reader.json(&receipt);
    let dataset = export(&service, &reader, TRIAL);
    assert_eq!((found(&[VALUE], &unpacked(&dataset)).len(), found(&KEPT, &unpacked(&dataset)).len()), (1, 3));

    // What an operator keeps in backups: the database, the key store, and once even the master key.
    service.stop();
    let origin = fs::read_to_string(service.dir().join("origin")).unwrap().trim_end().to_owned();
    let (old_rows, old_keys) = (Stolen::from(service.database()), copy_of_keys(&service));
    let secret = run(async {
        let read = old_rows.read_with(&keys_in(old_keys.path(), &origin).await.unwrap()).await;
        // The search finds what may be found, so it would have found what may not.
        assert_eq!((found(&[VALUE], &read).len(), found(&KEPT, &read).len()), (1, 3));
        secret_of(&target, &read)
    });
    let exports = sealed_files(&service);

    service.start_again();
    let (sponsor, irb) = (service.client(Role::Sponsor), service.client(Role::Irb));
    let approvals = trial.path(&format!("participants/{participant}/redaction-approvals"));
    let hold = json!({"hold": "FDA-1", "reason": "Inspection announced"});
    sponsor.post(&trial.path("legal-holds"), "hold", &hold).expect(201);
    trial.about(&participant, "redaction-requests", &redaction(&target, "A name was typed here"));
    let approval = redaction(&target, "It identifies the participant");
    sponsor.post(&approvals, "own", &approval).expect(403);
    let held = irb.post(&approvals, "held", &approval).expect(409).json();
    assert_eq!(held["rule"], "legal-hold.none-in-force");
    let release = json!({"hold": "FDA-1", "reason": "Inspection closed"});
    irb.post(&trial.path("legal-hold-releases"), "release", &release).expect(201);
    irb.post(&approvals, "approval", &approval).expect(201);
    let told = wait_until_redacted(&service, TRIAL, &participant);
    assert_eq!(told[1]["data"]["requester"], told[0]["header"]["actor"]);
    assert!(sealed_files(&service).iter().all(|file| !exports.contains(file)), "datasets of before are gone");

    service.wait_until_folded(TRIAL);
    assert_seen_to_be_gone(&reader, &trial, &participant, &target);
    let right = bodies::correction("Baseline", "[redacted]", "80.5", "The value as the source has it");
    trial.about(&participant, "data/corrections", &right);

    // Proofs: what was recorded still was, in a place where it still stands.
    service.wait_until_sealed();
    let after = reader.json(&receipt);
    assert_eq!(after["header"], before["header"]);
    let fields = |receipt: &Value| receipt["fields"].as_array().unwrap().len();
    assert_eq!(fields(&after), fields(&before));
    assert_eq!(found(&[VALUE], &[after.to_string().into_bytes()]), [""; 0]);
    for receipt in [&before, &after] {
        assert_eq!(verifier.document("receipt", receipt).code, 0);
    }
    monitor.check(&service, &[]).assert_sound();
    let dataset = export(&service, &reader, TRIAL);
    let left = unpacked(&dataset);
    assert_eq!((found(&[VALUE], &left).len(), found(&KEPT, &left).len()), (0, 3));
    let zip = service.dir().join("after.zip");
    fs::write(&zip, &dataset).unwrap();
    let verdict = verifier.dataset(&zip);
    assert_eq!(verdict.code, 0, "{verdict:?}");
    fs::remove_file(zip).unwrap();
    assert_sound(&service, &verifier);
    service_stopped_and_checked(&mut service);

    // With everything that is left, and with all backups of before.
    let (new_rows, new_keys) = (Stolen::from(service.database()), copy_of_keys(&service));
    run(async {
        let vault = keys_in(new_keys.path(), &origin).await.unwrap();
        let read = old_rows.read_with(&vault).await;
        assert_eq!(found(&[VALUE], &read), [""; 0]);
        let read = new_rows.read_with(&vault).await;
        assert_eq!((found(&[VALUE], &read).len(), found(&KEPT, &read).len()), (0, 3));
        let secret = secret.as_bytes();
        assert!(
            !read.iter().any(|bytes| bytes.windows(32).any(|part| part == secret)),
            "its salt follows from it"
        );
        // The key store of before under the master key of now.
        fs::copy(new_keys.path().join("master.key"), old_keys.path().join("master.key")).unwrap();
        let error = keys_in(old_keys.path(), &origin).await.unwrap_err();
        assert!(matches!(error, VaultError::OtherMasterKey { .. }), "{error}");
    });
    let raw: Vec<_> = all_files(service.dir()).into_iter().map(|file| fs::read(file).unwrap()).collect();
    assert_eq!(found(&[VALUE], &raw), [""; 0]);
    assert_eq!(
        found(&[VALUE], &[service.database().dump().into_bytes(), service.log().into_bytes()]),
        [""; 0]
    );

    assert_guesses_need(&secret, &target);
}

/// What the record committed to is no help to whoever guesses, unless they have the secret that was destroyed.
fn assert_guesses_need(secret: &Secret, target: &Value) {
    let root = target["header"]["dataroot"].as_str().unwrap();
    let guess = |secret: &Secret| {
        let mut data = target["data"].clone();
        (0..200).any(|number| {
            *data.pointer_mut(POINTER).unwrap() = json!(format!("CANARYVALUE-99.{}", 4600 + number));
            dataroot(secret, &data).unwrap().to_string() == root
        })
    };
    assert!(!guess(&Secret::from_bytes([0; 32])));
    assert!(guess(secret));
}

/// Whatever moment the process dies in: the next one carries the redaction out, and nothing else is lost.
fn a_redaction_survives_the_death_of_the_process(engine: Engine) {
    let mut service = Service::start_with(engine, &[("TRIALSEAL_KEY_DATABASE_URL", "file")]);
    let trial = Trial::open(&service, TRIAL);
    for round in 0..5_u64 {
        let participant = trial.enrol(&format!("{}-{round}", KEPT[0]), true);
        trial.about(&participant, "data", &bodies::data("Baseline", VALUE));
        trial.about(&participant, "adverse-events", &bodies::adverse_event(KEPT[2]));
        let target = target(&service.client(Role::Monitor), TRIAL);
        approve_redaction(&trial, &participant, &target);
        std::thread::sleep(std::time::Duration::from_millis(round * 12));
        service.kill();
        service.start_again();
        wait_until_redacted(&service, TRIAL, &participant);
    }
    service.wait_until_sealed();
    assert_sound(&service, &Verifier::of(&service));
    let events = events_of(&service.client(Role::Monitor), TRIAL);
    let of_type =
        |kind: &str| events.iter().filter(|event| event["header"]["type"] == kind).collect::<Vec<_>>();
    assert_eq!((of_type("record.redacted").len(), of_type("adverse-event.reported").len()), (5, 5));
    assert!(of_type("data.recorded").iter().all(|event| event["redacted"] == json!([POINTER])));
    assert!(events.iter().all(|event| event["withheld"].is_null()), "everything else is read");
    service.stop();
    let origin = fs::read_to_string(service.dir().join("origin")).unwrap().trim_end().to_owned();
    let (rows, keys) = (Stolen::from(service.database()), copy_of_keys(&service));
    let read = run(async { rows.read_with(&keys_in(keys.path(), &origin).await.unwrap()).await });
    assert_eq!((found(&[VALUE], &read).len(), found(&KEPT[2..], &read).len()), (0, 1));
    assert!(!keys.path().join("master.next.key").exists());
}
