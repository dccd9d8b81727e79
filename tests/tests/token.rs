//! The master key on a PKCS#11 token: an erasure destroys it there, it is moved there from its file, several machines share it,
//! and what is wrong with a token is said in a sentence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;
use trialseal_tests::{
    Engine, Role, Service, SoftHsm, Trial, Verifier, all_files, assert_sound, bodies, on_both_engines,
    read_models,
};

on_both_engines!(
    an_erasure_destroys_the_key_on_the_token,
    a_master_key_is_moved_from_its_file_to_the_token,
    what_is_wrong_with_a_token_is_one_sentence,
);

const TRIAL: &str = "TOKEN-1";
const KEYS: &str = "TRIALSEAL_KEY_DATABASE_URL";

/// A service whose keys are in a file, wrapped by a key on the token.
fn given(engine: Engine) -> (SoftHsm, Service, Trial) {
    let hsm = SoftHsm::default();
    let settings = hsm.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.push((KEYS, "file"));
    let service = Service::start_with(engine, &settings);
    let trial = Trial::open(&service, TRIAL);
    (hsm, service, trial)
}

fn participant(trial: &Trial, number: &str) -> String {
    let participant = trial.enrol(number, true);
    trial.about(&participant, "data", &bodies::data("V1", "120"));
    participant
}

fn erase(service: &Service, trial: &Trial, participant: &str) {
    let request = json!({"askedOn": "2025-06-01", "reason": "Asked for by letter"});
    trial.about(participant, "erasure-requests", &request);
    let approval = json!({"reason": "No duty to keep the data is left"});
    trial.irb(&format!("participants/{participant}/erasure-approvals"), &approval);
    let irb = service.client(Role::Irb);
    service.wait("the erasure is carried out", || {
        let list = irb.json(&format!("/v1/trials/{TRIAL}/erasures"));
        let erasures = list["erasures"].as_array().unwrap();
        let own = erasures.iter().find(|erasure| erasure["participant"] == participant)?;
        (own["state"] == "carried-out").then_some(())
    });
}

/// The key store of a service that does not run: one file, or three.
fn key_store(service: &Service) -> Vec<(String, Vec<u8>)> {
    let files = all_files(&service.dir().join("keys")).into_iter().filter_map(|file| {
        let name = file.file_name()?.to_str()?.to_owned();
        name.starts_with("data-keys").then(|| (name, fs::read(file).unwrap()))
    });
    files.collect()
}

fn put_back(service: &Service, key_store: &[(String, Vec<u8>)]) {
    let folder = service.dir().join("keys");
    for (name, _) in self::key_store(service) {
        fs::remove_file(folder.join(name)).unwrap();
    }
    for (name, bytes) in key_store {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// A command, and a start, end with a sentence that says this and shows no PIN.
fn assert_refused(service: &mut Service, words: &str) {
    let refused = service.command(&["doctor"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains(words) && said.lines().count() == 1, "{said}");
    assert_start_refused(service, words);
    assert!(!said.contains("canary") && !service.log().contains("canary"), "{said}");
}

fn assert_start_refused(service: &mut Service, words: &str) {
    assert!(!service.try_start_again(), "it starts");
    let log = service.log();
    assert!(log.lines().last().is_some_and(|line| line.contains(words)), "{log}");
}

fn key_files(service: &Service) -> Vec<String> {
    let names = all_files(&service.dir().join("keys"));
    names.into_iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

fn an_erasure_destroys_the_key_on_the_token(engine: Engine) {
    let (hsm, mut service, trial) = given(engine);
    let (gone, stays) = (participant(&trial, "101-001"), participant(&trial, "101-002"));
    service.stop();
    let (former, backup) = (hsm.objects(), key_store(&service));
    assert_eq!(former.len(), 1);
    assert!(key_files(&service).iter().all(|name| !name.starts_with("master")), "{:?}", key_files(&service));

    service.start_again();
    let verifier = Verifier::of(&service);
    erase(&service, &trial, &gone);
    assert_eq!(hsm.objects().len(), 1);
    assert_ne!(hsm.objects(), former, "the key of before has left the token");
    trial.about(&stays, "data", &bodies::data("V2", "121"));
    assert_sound(&service, &verifier);
    service.stop();

    // Who has a backup of the key store has nothing that the token would open.
    let newest = key_store(&service);
    put_back(&service, &backup);
    assert_start_refused(&mut service, "is wrapped by master key pkcs11-1-");
    put_back(&service, &newest);
    service.start_again();
    trial.about(&stays, "data", &bodies::data("V3", "122"));
    assert_sound(&service, &verifier);
}

fn a_master_key_is_moved_from_its_file_to_the_token(engine: Engine) {
    let mut service = Service::start_with(engine, &[(KEYS, "file")]);
    let trial = Trial::open(&service, TRIAL);
    let gone = participant(&trial, "101-001");
    participant(&trial, "101-002");
    service.wait_until_folded(TRIAL);
    let monitor = service.client(Role::Monitor);
    let read = read_models(&monitor, TRIAL);
    let verifier = Verifier::of(&service);
    service.stop();
    let master = service.dir().join("keys/master.key");
    let (file, backup) = (fs::read(&master).unwrap(), key_store(&service));

    // A renewal in the file had begun, and was broken off before its successor came into use.
    let next = service.dir().join("keys/master.next.key");
    write_key(&next, &[7; 32]);
    let hsm = SoftHsm::default();
    hsm.give_to(&mut service);
    // A command does not move it: whoever serves might still use it.
    let said = service.command(&["doctor"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("start serve once, which moves it"));
    assert!(hsm.objects().is_empty() && master.exists());
    service.start_again();
    assert_eq!((hsm.objects().len(), master.exists(), next.exists()), (1, false, false));
    service.wait_until_folded(TRIAL);
    assert!(read_models(&monitor, TRIAL) == read, "something reads otherwise than before");
    erase(&service, &trial, &gone);
    assert_sound(&service, &verifier);
    service.stop();

    // There is no way back to the file, and no second key beside the one on the token.
    let [_, (module, path), (token, label), (pin, pin_file)] = hsm.settings();
    for setting in [module, token, pin] {
        service.set(setting, "");
    }
    assert_refused(
        &mut service,
        "the master key of this ledger lies on a PKCS#11 token: set TRIALSEAL_PKCS11_MODULE",
    );
    assert!(!master.exists());
    for (setting, value) in [(module, path), (token, label), (pin, pin_file)] {
        service.set(setting, &value);
    }
    // A move that was broken off before the file was destroyed ends with the next start.
    write_key(&master, &file);
    service.start_again();
    assert!(!master.exists());
    assert_sound(&service, &verifier);
    service.stop();
    // Nor does anything come back with the key store of before and an empty file.
    put_back(&service, &backup);
    assert_start_refused(&mut service, "master.key cannot be read");
}

fn write_key(file: &Path, key: &[u8]) {
    fs::write(file, key).unwrap();
    fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
}

fn what_is_wrong_with_a_token_is_one_sentence(engine: Engine) {
    let (hsm, mut service, trial) = given(engine);
    let participant = participant(&trial, "101-001");
    let verifier = Verifier::of(&service);
    service.stop();
    hsm.write_pin("canary-of-another");
    assert_refused(&mut service, "token \"trialseal test\" refuses the PIN");
    hsm.put_pin_right();
    fs::set_permissions(hsm.pin_file(), Permissions::from_mode(0o644)).unwrap();
    assert_refused(&mut service, "can be read by others: run chmod 600 on it");
    fs::remove_file(hsm.pin_file()).unwrap();
    assert_refused(&mut service, "cannot read the PIN of the token in");
    hsm.put_pin_right();

    for (setting, wrong, words) in [
        ("TRIALSEAL_PKCS11_MODULE", "/nowhere/module.so", "module /nowhere/module.so cannot be loaded"),
        ("TRIALSEAL_PKCS11_TOKEN", "another", "token \"another\" is not there: the module"),
    ] {
        service.set(setting, wrong);
        assert_refused(&mut service, words);
        hsm.give_to(&mut service);
    }
    // Another token of the same name gets no new key of this ledger, which would open nothing.
    let other = SoftHsm::default();
    other.give_to(&mut service);
    assert_refused(&mut service, "token \"trialseal test\" has no master key of this ledger");
    assert!(other.objects().is_empty());

    hsm.give_to(&mut service);
    service.start_again();
    trial.about(&participant, "data", &bodies::data("V2", "121"));
    assert_sound(&service, &verifier);
}

/// Machines that use one token have no master key to copy from one to the other.
#[test]
fn a_standby_takes_over_after_an_erasure_with_nothing_to_copy() {
    let hsm = SoftHsm::default();
    let settings = hsm.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut first = Service::start_with(Engine::Postgres, &settings);
    let trial = Trial::open(&first, TRIAL);
    let (gone, stays) = (participant(&trial, "101-001"), participant(&trial, "101-002"));
    let second = first.with_its_keys();
    let former = hsm.objects();
    erase(&first, &trial, &gone);
    assert_ne!(hsm.objects(), former);
    first.wait_until_folded(TRIAL);
    let read = read_models(&first.client(Role::Monitor), TRIAL);
    first.kill();
    second.wait_until_ready();
    second.wait_until_folded(TRIAL);
    assert!(read_models(&second.client(Role::Monitor), TRIAL) == read);
    let body = bodies::data("V2", "121");
    let path = format!("/v1/trials/{TRIAL}/participants/{stays}/data");
    second.client(Role::Investigator).post(&path, "after", &body).expect(201);
}
