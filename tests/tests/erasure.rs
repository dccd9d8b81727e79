//! A participant is erased, or one value of theirs redacted: whoever has the database, all its backups, the key store and all its backups reads nothing of
//! them any more; and every proof stands as before.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "erasure/redaction.rs"]
mod redaction;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use trialseal_seal::canonical;
use trialseal_seal::data::{Secret, dataroot};
use trialseal_store_sqlite::SqliteKeys;
use trialseal_tests::{
    Database, Engine, Monitor, Role, Service, Trial, Verifier, all_files, assert_sound, bodies, export,
    laboratory, on_both_engines, unpack,
};
use trialseal_tests::{Rng, events_of};
use trialseal_vault::{MasterKeyFile, Vault, VaultError};
use uuid::Uuid;

on_both_engines!(
    nobody_reads_what_was_erased_and_every_proof_stands,
    an_erasure_survives_the_death_of_the_process,
    what_keeps_data_from_being_erased_is_listed,
);

const TRIAL: &str = "ERASURE-1";
const GONE: [&str; 3] = ["CANARY-SUBJECT-4711", "CANARYVALUE-99.4711", "Canary term of the one who left"];
/// To which arm who left was randomised: under a key of its own, and in no dataset.
const ARM: [&str; 1] = ["CANARYARM-4711"];
const STAYS: [&str; 3] = ["OTHER-SUBJECT-0815", "OTHERVALUE-12.0815", "Term of the one who stayed"];

/// Everything encrypted that somebody has who has the database: bodies of events, and documents of read models, each with
/// its key and what it is bound to.
struct Stolen(Vec<(Uuid, Vec<u8>, Vec<u8>)>);

impl Stolen {
    fn from(database: &Database) -> Self {
        let hex = |column: &str| match database.engine() {
            Engine::Postgres => format!("encode({column}, 'hex')"),
            Engine::Sqlite => format!("lower(hex({column}))"),
        };
        let key = match database.engine() {
            Engine::Postgres => "replace(key::text, '-', '')".to_owned(),
            Engine::Sqlite => hex("key"),
        };
        let (body, header) = (hex("body"), hex("header"));
        let events = database.texts(&format!("SELECT {key} || ' ' || {body} || ' ' || {header} FROM event"));
        let (newest, at) = match database.engine() {
            Engine::Postgres => ("replace(data_key::text, '-', '')".to_owned(), "of_position = position"),
            Engine::Sqlite => (hex("data_key"), "of_row = row"),
        };
        let resealed = database.texts(&format!(
            "SELECT {newest} || ' ' || {} || ' ' || {header} FROM event, resealed_body WHERE {at}",
            hex("sealed")
        ));
        let docs = "model || '/' || trial || '/' || id";
        let docs =
            database.texts(&format!("SELECT {key} || ' ' || {body} || ' ' || {docs} FROM read_model_doc"));
        let event = |row: &String| {
            let [key, body, header] = parts(row);
            let header: Value = serde_json::from_slice(&bytes(header)).unwrap();
            (key.parse().unwrap(), bytes(body), header["id"].as_str().unwrap().as_bytes().to_vec())
        };
        let doc = |row: &String| {
            let [key, body, context] = parts(row);
            (key.parse().unwrap(), bytes(body), context.as_bytes().to_vec())
        };
        assert!(!events.is_empty() && !docs.is_empty());
        let events = events.iter().chain(&resealed).map(event);
        Self(events.chain(docs.iter().map(doc)).collect())
    }

    /// All of it that can be read with these keys.
    async fn read_with(&self, keys: &Vault) -> Vec<Vec<u8>> {
        let mut read = Vec::new();
        for (key, body, context) in &self.0 {
            if let Ok(Some(key)) = keys.key(*key).await {
                read.push(key.open(context, body).expect("what has its key opens").to_vec());
            }
        }
        read
    }
}

fn parts(row: &str) -> [&str; 3] {
    row.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The keys in a folder: the key store, and the master key.
async fn keys_in(folder: &Path, origin: &str) -> Result<Vault, VaultError> {
    let keys = SqliteKeys::open(folder.join("data-keys.sqlite"), origin).await.unwrap();
    let master = MasterKeyFile::open(&folder.join("master.key"))?;
    Vault::open(origin, Arc::new(keys), Arc::new(master)).await
}

/// A copy of the folder of keys.
fn copy_of_keys(service: &Service) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in fs::read_dir(service.dir().join("keys")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

/// Which of these texts stand somewhere in what was read.
fn found<'a>(texts: &[&'a str], read: &[Vec<u8>]) -> Vec<&'a str> {
    let stands = |text: &str| read.iter().any(|bytes| String::from_utf8_lossy(bytes).contains(text));
    texts.iter().copied().filter(|text| stands(text)).collect()
}

/// Somebody with all that belongs to them.
fn participant(trial: &Trial, [number, value, term]: [&str; 3]) -> String {
    let participant = trial.enrol(number, true);
    trial.about(&participant, "data", &bodies::data("Baseline", value));
    trial.about(&participant, "adverse-events", &bodies::adverse_event(term));
    participant
}

/// Records to which arm somebody was randomised.
fn randomise(service: &Service, trial: &Trial, participant: &str) {
    let path = trial.path(&format!("participants/{participant}/randomisation"));
    service.client(Role::Unblinded).post(&path, "arm", &bodies::randomisation(ARM[0])).expect(201);
}

/// What somebody in the role for it reads of that.
fn allocation(service: &Service, trial: &Trial, participant: &str) -> Value {
    service.client(Role::Unblinded).json(&trial.path(&format!("participants/{participant}/allocation")))
}

fn approve(trial: &Trial, participant: &str) {
    let request = json!({"askedOn": "2025-06-01", "reason": "Asked for by letter"});
    trial.about(participant, "erasure-requests", &request);
    let approval = json!({"reason": "No duty to keep the data is left"});
    trial.irb(&format!("participants/{participant}/erasure-approvals"), &approval);
}

/// Waits until it is recorded that a participant's key was destroyed, and gives what stands in the list of erasures.
fn wait_until_erased(service: &Service, participant: &str) -> Value {
    let irb = service.client(Role::Irb);
    service.wait("the erasure is carried out", || {
        let list = irb.json(&format!("/v1/trials/{TRIAL}/erasures"));
        let erasures = list["erasures"].as_array().unwrap().clone();
        let own = erasures.into_iter().find(|erasure| erasure["participant"] == participant)?;
        (own["state"] == "carried-out").then_some(own)
    })
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(work)
}

fn nobody_reads_what_was_erased_and_every_proof_stands(engine: Engine) {
    let mut service = Service::start_with(engine, &[("TRIALSEAL_KEY_DATABASE_URL", "file")]);
    let trial = Trial::open(&service, TRIAL);
    let (gone, stays) = (participant(&trial, GONE), participant(&trial, STAYS));
    randomise(&service, &trial, &gone);
    let file = laboratory(&[GONE[0].to_owned(), STAYS[0].to_owned()], 20, &mut Rng::new(1));
    assert_eq!(trial.import(&service, file.as_bytes())["state"], "done");
    service.wait_until_sealed();
    service.wait_until_folded(TRIAL);
    let verifier = Verifier::of(&service);
    let reader = service.client(Role::Monitor);
    let monitor = Monitor::of(&service, TRIAL, &reader);
    monitor.check(&service, &["--first"]).assert_sound();
    let events = events_of(&reader, TRIAL);
    let last_of_gone = events.iter().rfind(|event| {
        event["header"]["subject"] == format!("participant/{gone}")
            && event["header"]["type"] == "data.recorded"
    });
    let last_of_gone = last_of_gone.unwrap().clone();
    let receipt = format!("/v1/trials/{TRIAL}/events/{}/receipt", last_of_gone["header"]["trialseq"]);
    let before = reader.json(&receipt);
    let dataset = export(&service, &reader, TRIAL);
    assert_eq!(found(&GONE, &unpacked(&dataset)).len(), 3);

    // What an operator keeps in backups: the database, the key store, and once even the master key.
    service.stop();
    let origin = fs::read_to_string(service.dir().join("origin")).unwrap().trim_end().to_owned();
    let (old_rows, old_keys) = (Stolen::from(service.database()), copy_of_keys(&service));
    let secret = run(async {
        let vault = keys_in(old_keys.path(), &origin).await.unwrap();
        let read = old_rows.read_with(&vault).await;
        // The search finds what may be found, so it would have found what may not.
        assert_eq!([&GONE[..], &STAYS, &ARM].map(|texts| found(texts, &read).len()), [3, 3, 1]);
        secret_of(&last_of_gone, &read)
    });
    let exports: Vec<_> = sealed_files(&service);
    assert!(!exports.is_empty());

    service.start_again();
    approve(&trial, &gone);
    let erasure = wait_until_erased(&service, &gone);
    assert_eq!(erasure["events"][1]["data"]["requester"], erasure["events"][0]["header"]["actor"]);
    assert_eq!(erasure["events"][2]["header"]["type"], "participant.key-destroyed");
    assert!(sealed_files(&service).iter().all(|file| !exports.contains(file)), "datasets of before are gone");

    // Through the front door.
    let investigator = service.client(Role::Investigator);
    let anew = bodies::data("Week 4", "1");
    let refused =
        investigator.post(&trial.path(&format!("participants/{gone}/data")), "anew", &anew).expect(409);
    assert_eq!(refused.json()["rule"], "participant.erased");
    for path in ["participants", "data", "events", &format!("participants/{gone}/timeline")] {
        let answer = reader.get(&trial.path(path));
        assert!(answer.status < 500, "{path}: {}", answer.text());
        assert_eq!(found(&GONE, &[answer.body]), [""; 0], "{path}");
    }
    let timeline = reader.json(&trial.path(&format!("participants/{gone}/timeline")));
    assert_eq!((&timeline["erased"], &timeline["entries"]), (&json!(true), &json!([])));
    assert_eq!(allocation(&service, &trial, &gone), json!({"erased": true}));
    let timeline = reader.json(&trial.path(&format!("participants/{stays}/timeline")));
    assert_eq!(timeline.get("erased"), None);
    let listed = reader.json(&trial.path("participants"));
    assert_eq!(listed["participants"].as_array().unwrap().len(), 1);
    assert_eq!(listed["participants"][0]["participant"], stays);

    // Proofs: what was recorded still was, in a place where it still stands.
    service.wait_until_sealed();
    let after = reader.json(&receipt);
    assert_eq!(after["header"], before["header"]);
    assert!(after.get("fields").is_none() && before.get("fields").is_some());
    for receipt in [&before, &after] {
        assert_eq!(verifier.document("receipt", receipt).code, 0);
    }
    monitor.check(&service, &[]).assert_sound();
    let dataset = export(&service, &reader, TRIAL);
    let left = unpacked(&dataset);
    assert_eq!((found(&GONE, &left).len(), found(&STAYS, &left).len()), (0, 3));
    assert!(!found(&["\"withheld\":\"erased\""], &left).is_empty());
    let zip = service.dir().join("after.zip");
    fs::write(&zip, &dataset).unwrap();
    assert_eq!(verifier.dataset(&zip).code, 0);
    fs::remove_file(zip).unwrap();
    assert_sound(&service, &verifier);
    let check = service_stopped_and_checked(&mut service);
    assert!(check.contains(" erased"), "{check}");

    // With everything that is left, and with all backups of before.
    let (new_rows, new_keys) = (Stolen::from(service.database()), copy_of_keys(&service));
    run(async {
        let vault = keys_in(new_keys.path(), &origin).await.unwrap();
        for rows in [&new_rows, &old_rows] {
            let read = rows.read_with(&vault).await;
            assert_eq!([&GONE[..], &STAYS, &ARM].map(|texts| found(texts, &read).len()), [0, 3, 0]);
        }
        // The key store of before under the master key of now.
        fs::copy(new_keys.path().join("master.key"), old_keys.path().join("master.key")).unwrap();
        let error = keys_in(old_keys.path(), &origin).await.unwrap_err();
        assert!(matches!(error, VaultError::OtherMasterKey { .. }), "{error}");
    });
    let raw: Vec<_> = all_files(service.dir()).into_iter().map(|file| fs::read(file).unwrap()).collect();
    assert_eq!(found(&GONE, &raw), [""; 0]);
    assert_eq!(found(&GONE, &[service.database().dump().into_bytes(), service.log().into_bytes()]), [""; 0]);

    // What the record committed to is no help to whoever guesses, unless they have the secret that was destroyed.
    let root = last_of_gone["header"]["dataroot"].as_str().unwrap();
    let guess = |secret: &Secret| {
        let mut data = last_of_gone["data"].clone();
        (0..200).any(|number| {
            data["record"]["items"][0]["value"] = json!(format!("CANARYVALUE-99.{}", 4600 + number));
            dataroot(secret, &data).unwrap().to_string() == root
        })
    };
    assert!(!guess(&Secret::from_bytes([0; 32])));
    assert!(guess(&secret));
}

/// The files of a dataset.
fn unpacked(zip: &[u8]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    unpack(zip, folder.path());
    all_files(folder.path()).into_iter().map(|file| fs::read(file).unwrap()).collect()
}

fn sealed_files(service: &Service) -> Vec<Vec<u8>> {
    all_files(&service.dir().join("exports")).into_iter().map(|file| fs::read(file).unwrap()).collect()
}

fn service_stopped_and_checked(service: &mut Service) -> String {
    service.stop();
    let output = service.command(&["check"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The secret of an event, which stands before its data.
fn secret_of(event: &Value, read: &[Vec<u8>]) -> Secret {
    let data = canonical::to_vec(&event["data"]);
    let body = read.iter().find(|bytes| bytes.get(32..) == Some(data.as_slice())).unwrap();
    Secret::from_bytes(body[..32].try_into().unwrap())
}

/// Whatever moment the process dies in: the next one carries the erasure out.
fn an_erasure_survives_the_death_of_the_process(engine: Engine) {
    let mut service = Service::start_with(engine, &[("TRIALSEAL_KEY_DATABASE_URL", "file")]);
    let trial = Trial::open(&service, TRIAL);
    let mut erased = Vec::new();
    for round in 0..5_u64 {
        let number = format!("101-{round:03}");
        let participant = trial.enrol(&number, true);
        approve(&trial, &participant);
        std::thread::sleep(std::time::Duration::from_millis(round * 4));
        service.kill();
        service.start_again();
        wait_until_erased(&service, &participant);
        erased.push(participant);
    }
    service.wait_until_sealed();
    assert_sound(&service, &Verifier::of(&service));
    service.stop();
    let origin = fs::read_to_string(service.dir().join("origin")).unwrap().trim_end().to_owned();
    let (rows, keys) = (Stolen::from(service.database()), copy_of_keys(&service));
    let read = run(async { rows.read_with(&keys_in(keys.path(), &origin).await.unwrap()).await });
    assert_eq!(found(&["101-00"], &read), [""; 0]);
    assert!(!keys.path().join("master.next.key").exists());
}

fn what_keeps_data_from_being_erased_is_listed(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, TRIAL);
    let participant = trial.enrol("01-001", true);
    let (sponsor, irb) = (service.client(Role::Sponsor), service.client(Role::Irb));
    let list = format!("/v1/trials/{TRIAL}/legal-holds");
    assert_eq!(irb.json(&list), json!({"legalHolds": []}));

    let hold = |hold: &str, participant: Option<&str>| {
        let mut body = json!({"hold": hold, "reason": "Inspection announced"});
        if let Some(participant) = participant {
            body["participant"] = participant.into();
        }
        body
    };
    sponsor.post(&list, "h1", &hold("FDA-1", Some(&participant))).expect(201);
    sponsor.post(&list, "h2", &hold("Court 7", None)).expect(201);
    let release = json!({"hold": "FDA-1", "reason": "Inspection closed"});
    irb.post(&format!("/v1/trials/{TRIAL}/legal-hold-releases"), "h3", &release).expect(201);
    irb.post(&list, "h4", &hold("FDA-1", None)).expect(201);

    let listed = irb.json(&list);
    let told: Vec<_> = listed["legalHolds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hold| {
            (&hold["hold"], &hold["participant"], &hold["inForce"], hold["events"].as_array().unwrap().len())
        })
        .collect();
    let (own, all) = (json!(participant), Value::Null);
    assert_eq!(
        told,
        [
            (&json!("FDA-1"), &own, &json!(false), 2),
            (&json!("Court 7"), &all, &json!(true), 1),
            (&json!("FDA-1"), &all, &json!(true), 1)
        ]
    );
    let released = &listed["legalHolds"][0]["events"][1];
    assert_eq!(released["header"]["type"], "legal-hold.released");
    assert_eq!(released["data"]["reason"], "Inspection closed");
}
