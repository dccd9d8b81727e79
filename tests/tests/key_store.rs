//! The key store: keys that lay beside the record are moved out of it for good, and a ledger is not opened without its keys.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;
use trialseal_record::ids::Scope;
use trialseal_store_postgres::PostgresKeys;
use trialseal_store_sqlite::SqliteKeys;
use trialseal_tests::{
    Database, Engine, Role, Service, Trial, Verifier, assert_sound, bodies, on_both_engines, read_models,
};
use trialseal_vault::{DataKeys as _, KeyManagement as _, MasterKeyFile, StoredKey, WrappedKey};

on_both_engines!(
    keys_beside_the_record_are_moved_and_wrapped_anew,
    a_ledger_is_not_opened_without_its_keys,
    an_old_copy_of_the_key_store_is_not_gone_on_with
);

const ORIGIN: &str = "ledger.example.org/test";
const TRIAL: &str = "KEYS-1";
const PLACE: &str = "TRIALSEAL_KEY_DATABASE_URL";

/// A service with a few keys in a file, whatever engine the record is on.
fn given(engine: Engine) -> (Service, Trial) {
    let service = Service::start_with(engine, &[(PLACE, "file")]);
    let trial = Trial::open(&service, TRIAL);
    for number in 1..=3 {
        let participant = trial.enrol(&format!("101-{number:03}"), true);
        trial.about(&participant, "data", &bodies::data("V1", "120"));
    }
    service.wait_until_folded(TRIAL);
    (service, trial)
}

fn key_file(service: &Service) -> PathBuf {
    service.dir().join("keys/data-keys.sqlite")
}

fn master_file(service: &Service) -> PathBuf {
    service.dir().join("keys/master.key")
}

/// Like the embedded database it is three files, of which none may be left from another one.
fn move_key_store(from: &Path, to: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let [from, to] = [from, to].map(|file| format!("{}{ending}", file.display()));
        if fs::exists(&from).unwrap() {
            fs::rename(from, to).unwrap();
        } else if fs::exists(&to).unwrap() {
            fs::remove_file(to).unwrap();
        }
    }
}

fn wait<F: Future>(what: F) -> F::Output {
    Runtime::new().unwrap().block_on(what)
}

/// All keys in the file of a service that does not run.
fn keys_in_file(service: &Service) -> Vec<WrappedKey> {
    wait(async {
        let keys = SqliteKeys::open(key_file(service), ORIGIN).await.unwrap();
        let all = keys.wrapped_by_others("nobody", u32::MAX).await.unwrap();
        keys.close().await;
        all
    })
}

/// Has the ledger as versions before the key store left it: each key in a row beside the record.
fn put_beside_the_record(service: &Service, keys: &[WrappedKey]) {
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    for key in keys {
        let (id, wrapped) = (hex(key.id.as_bytes()), hex(&key.wrapped));
        let (id, wrapped) = match service.database().engine() {
            Engine::Sqlite => (format!("x'{id}'"), format!("x'{wrapped}'")),
            Engine::Postgres => (format!("'{id}'"), format!("'\\x{wrapped}'")),
        };
        let (scope, master) = (&key.scope, &key.master);
        let row = format!("INSERT INTO data_key VALUES (1, {id}, '{scope}', '{master}', {wrapped})");
        service.database().execute(&row).unwrap();
    }
    fs::remove_file(key_file(service)).unwrap();
}

fn scopes_beside_the_record(service: &Service) -> Vec<String> {
    service.database().texts("SELECT scope FROM data_key")
}

/// A command, or a start, ends with a sentence that says this.
fn assert_refused(command: &str, service: &mut Service, words: &str) {
    let refused = service.command(&[command]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains(words) && said.lines().count() == 1, "{said}");
    assert_start_refused(service, words);
}

fn assert_start_refused(service: &mut Service, words: &str) {
    assert!(!service.try_start_again(), "it starts");
    let log = service.log();
    assert!(log.lines().last().is_some_and(|line| line.contains(words)), "{log}");
}

fn keys_beside_the_record_are_moved_and_wrapped_anew(engine: Engine) {
    let (mut service, _trial) = given(engine);
    let monitor = service.client(Role::Monitor);
    let read = read_models(&monitor, TRIAL);
    service.wait_until_sealed();
    let verifier = Verifier::of(&service);
    service.stop();
    let former = keys_in_file(&service);
    put_beside_the_record(&service, &former);
    service.database().back_up("before");
    let master = fs::read(master_file(&service)).unwrap();
    let keys = Database::on_postgres();
    if engine == Engine::Postgres {
        service.set(PLACE, &keys.url());
    }

    // A command does not move them: whoever serves might still use them.
    let said = service.command(&["doctor"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("start serve once, which moves them"));
    assert_eq!(scopes_beside_the_record(&service).len(), former.len());
    service.start_again();
    assert_eq!(scopes_beside_the_record(&service), [""; 0]);
    assert_ne!(fs::read(master_file(&service)).unwrap(), master);
    assert!(!service.dir().join("keys/master.next.key").exists());
    service.wait_until_folded(TRIAL);
    assert!(read_models(&monitor, TRIAL) == read, "something reads otherwise than before");
    assert_sound(&service, &verifier);
    service.stop();

    // Who has a backup of before, and the master key of today, has none of its keys.
    wait(async {
        let master = MasterKeyFile::open(&master_file(&service)).unwrap();
        for key in &former {
            assert!(master.unwrap(&key.master, b"", &key.wrapped).await.unwrap().is_none());
        }
    });
    service.database().restore("before");
    if engine == Engine::Postgres {
        let empty = Database::on_postgres();
        service.set(PLACE, &empty.url());
        assert_start_refused(&mut service, "is wrapped by master key");
        service.set(PLACE, &keys.url());
    } else {
        let newest = service.dir().join("newest");
        move_key_store(&key_file(&service), &newest);
        assert_start_refused(&mut service, "is wrapped by master key");
        move_key_store(&newest, &key_file(&service));
    }
    // With the newest key store, which knows them, they are forgotten again.
    assert_eq!(scopes_beside_the_record(&service).len(), former.len());
    assert!(!service.try_start_again(), "the published log knows more than this record");
    assert_eq!(scopes_beside_the_record(&service), [""; 0]);
    service.database().remove_copy("before");
}

fn a_ledger_is_not_opened_without_its_keys(engine: Engine) {
    let (mut service, trial) = given(engine);
    service.wait_until_sealed();
    let verifier = Verifier::of(&service);
    service.stop();
    let kept = service.dir().join("kept");
    move_key_store(&key_file(&service), &kept);
    assert_refused(
        "doctor",
        &mut service,
        "data-keys.sqlite is missing, and without it the record cannot be read",
    );
    assert!(!key_file(&service).exists(), "a key store was made");
    // One without keys is as good as none.
    let others = Database::on_postgres();
    service.set(PLACE, &others.url());
    assert_refused("doctor", &mut service, "the key store has no keys of this ledger");
    assert_eq!(others.texts("SELECT ledger FROM data_key UNION SELECT ledger FROM master_key"), [""; 0]);

    move_key_store(&kept, &key_file(&service));
    service.set(PLACE, "file");
    service.start_again();
    trial.enrol("101-004", true);
    assert_sound(&service, &verifier);
}

/// Of which a machine that takes over may have one, against all advice.
fn an_old_copy_of_the_key_store_is_not_gone_on_with(engine: Engine) {
    let (mut service, trial) = given(engine);
    service.stop();
    let (old, newest) = (service.dir().join("old"), service.dir().join("newest"));
    // Opened and closed, it is one file.
    keys_in_file(&service);
    fs::copy(key_file(&service), &old).unwrap();
    service.start_again();
    let participant = trial.enrol("101-004", true);
    service.stop();
    move_key_store(&key_file(&service), &newest);
    move_key_store(&old, &key_file(&service));
    assert_start_refused(&mut service, "and is older than the record: put back its newest copy");
    move_key_store(&newest, &key_file(&service));
    service.start_again();
    trial.about(&participant, "data", &bodies::data("V1", "120"));
}

#[test]
fn on_postgresql_somebody_has_to_say_where_the_keys_are() {
    let mut service = Service::prepared(Engine::Postgres);
    service.set(PLACE, "");
    assert_refused("keys", &mut service, "TRIALSEAL_KEY_DATABASE_URL is not set, but it must be `file`");
    assert!(!service.dir().join("keys").exists());
    let record = service.database().url();
    service.set(PLACE, &record);
    assert_refused("keys", &mut service, "a record lies in this database");
    assert_eq!(service.database().texts("SELECT scope FROM data_key"), [""; 0]);
}

/// Of either engine: what is destroyed there is erased here.
#[test]
fn the_key_database_is_the_one_that_is_used() {
    let keys = Database::on_postgres();
    let mut service = Service::start_with(Engine::Sqlite, &[(PLACE, &keys.url())]);
    let trial = Trial::open(&service, TRIAL);
    let participant = trial.enrol("101-001", true);
    assert!(!key_file(&service).exists());
    service.wait_until_sealed();
    let verifier = Verifier::of(&service);
    service.stop();
    wait(async {
        let keys = PostgresKeys::connect(&keys.url(), ORIGIN).await.unwrap();
        let scope = Scope::Participant(TRIAL.parse().unwrap(), participant.parse().unwrap());
        assert!(matches!(keys.data_key_of(&scope).await.unwrap(), Some(StoredKey::Wrapped(_))));
        keys.destroy_data_key(&scope).await.unwrap();
        keys.close().await;
    });
    service.start_again();
    assert_sound(&service, &verifier);
    let checked = service.command(&["check"]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && !said.contains(" 0 erased"), "{said}");
}
