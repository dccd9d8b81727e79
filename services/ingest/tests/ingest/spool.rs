//! Received files and their keys: what is kept on disk can be read while it is needed, and no copy of it after that.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use trialseal_record::Role::Sponsor;
use trialseal_record::ids::{Scope, TrialId};
use trialseal_runtime::ids::{Ids, SystemIds};
use trialseal_store::Jobs as _;
use trialseal_vault::file::SealedReader;
use trialseal_vault::{DataKey, VaultError};
use uuid::{Builder, Uuid};

use crate::imports::{Gated, IMPORTS, file, rows};
use crate::support::*;

fn demo() -> TrialId {
    "DEMO-1".parse().unwrap()
}

/// The scope of a spooled file, by its name.
fn scope_of(path: &Path) -> Scope {
    let (trial, id) = path.file_stem().unwrap().to_str().unwrap().rsplit_once('.').unwrap();
    Scope::File(trial.parse().unwrap(), id.parse().unwrap())
}

fn read(path: &Path, import: Uuid, key: &DataKey) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let context = format!("import/{import}");
    SealedReader::new(File::open(path)?, key, context.as_bytes())?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn is_destroyed(world: &World, scope: &Scope) -> bool {
    matches!(world.vault.key_of(scope).await, Err(VaultError::Destroyed(_)))
}

#[actix_web::test]
async fn a_file_has_a_key_of_its_own_that_goes_with_it() {
    let world = World::new().await;
    world.trial().await;
    let appends = Arc::new(Gated { store: world.store.clone(), allowed: Semaphore::new(1) });
    let (store, vault, folder) = (world.store.clone(), world.vault.clone(), world.folder.clone());
    let halted = World::over(store, vault, folder, Arc::new(SystemIds), Some(appends.clone()));
    let sent = file(&rows(40));
    let answer = halted.post_text(Sponsor, IMPORTS, "k", sent.clone()).await;
    let import: Uuid = answer.body["id"].as_str().unwrap().parse().unwrap();

    let spooled = world.spooled().remove(0);
    let copy = world.folder.path().join("copy");
    std::fs::copy(&spooled, &copy).unwrap();
    let scope = scope_of(&spooled);
    assert_eq!(scope.trial(), &demo());
    let key = world.vault.key_of(&scope).await.unwrap();
    assert_eq!(read(&copy, import, &key).unwrap(), sent.as_bytes());
    let id = key.id();
    drop(key);

    appends.allowed.add_permits(1_000);
    assert_eq!(halted.ended(&answer.location.unwrap()).await["state"], "done");
    world.nothing_is_spooled().await;
    assert!(is_destroyed(&world, &scope).await);
    assert!(world.vault.key(id).await.unwrap().is_none());
    let trials = world.vault.key_of(&Scope::Trial(demo())).await.unwrap();
    assert_eq!(read(&copy, import, &trials).unwrap_err().kind(), ErrorKind::InvalidData);
}

/// Random bytes of which the UUIDs are noted, among them those of all uploads.
#[derive(Default)]
struct Noted(Mutex<Vec<Uuid>>);

impl Ids for Noted {
    fn fill(&self, bytes: &mut [u8]) {
        SystemIds.fill(bytes);
        if let Ok(bytes) = bytes.try_into() {
            self.0.lock().unwrap().push(Builder::from_random_bytes(bytes).into_uuid());
        }
    }
}

#[actix_web::test]
async fn no_upload_leaves_a_key_behind() {
    let world = World::new().await;
    world.trial().await;
    let ids = Arc::new(Noted::default());
    let world = World::over(world.store, world.vault, world.folder, ids.clone(), None);
    let large = vec![b' '; usize::try_from(limits().imports.file_bytes).unwrap() + 1];
    // Too large; taken; the same again; something else under the same key.
    for (file, status) in [
        (large, 413),
        (file(&rows(5)).into(), 202),
        (file(&rows(5)).into(), 202),
        (file(&rows(6)).into(), 409),
    ] {
        let before = ids.0.lock().unwrap().len();
        let answer = world.post_text(Sponsor, IMPORTS, "k", file).await;
        assert_eq!(answer.status, status, "{answer:?}");
        if let Some(location) = answer.location {
            assert_eq!(world.ended(&location).await["state"], "done");
        }
        world.nothing_is_spooled().await;
        let made = ids.0.lock().unwrap()[before..].to_vec();
        let mut uploads = 0;
        for id in made {
            uploads += usize::from(is_destroyed(&world, &Scope::File(demo(), id)).await);
        }
        assert_eq!(uploads, 1);
    }
}

#[actix_web::test]
async fn what_a_crash_leaves_is_destroyed_at_the_next_start() {
    let world = World::new().await;
    world.trial().await;
    let spool = world.folder.path().join("spool");
    std::fs::create_dir_all(&spool).unwrap();
    let mut keys = Vec::new();
    for ending in ["part", "sealed"] {
        let scope = Scope::File(demo(), Uuid::from_u128(keys.len() as u128));
        keys.push(world.vault.key_of(&scope).await.unwrap().id());
        let Scope::File(trial, id) = scope else { panic!() };
        std::fs::write(spool.join(format!("{trial}.{id}.{ending}")), b"x").unwrap();
    }
    assert_eq!(world.ingest.resume_imports().await.unwrap(), 0);
    world.nothing_is_spooled().await;
    for key in keys {
        assert!(world.vault.key(key).await.unwrap().is_none());
    }
}

#[actix_web::test]
async fn an_import_whose_file_does_not_open_fails_and_says_what_to_do() {
    let world = World::new().await;
    world.trial().await;
    let done = world.import("k", file(&rows(5))).await;
    world.nothing_is_spooled().await;
    let row = world.store.job(done["id"].as_str().unwrap().parse().unwrap()).await.unwrap().unwrap();
    let spool = world.folder.path().join("spool");
    // A file that is no sealed one, one whose key is gone, and one of a former version, under the trial's key.
    let (damaged, keyless) = (Uuid::from_u128(1), Uuid::from_u128(2));
    world.vault.destroy(&Scope::File(demo(), keyless)).await.unwrap();
    let cases = [
        (json!(damaged), format!("DEMO-1.{damaged}.sealed")),
        (json!(keyless), format!("DEMO-1.{keyless}.sealed")),
        (Value::Null, format!("{}.sealed", Uuid::from_u128(12))),
    ];
    for (number, (file, name)) in (10..).zip(cases) {
        let mut open = row.clone();
        let mut detail: Value = serde_json::from_slice(&row.detail).unwrap();
        detail["status"]["state"] = "checking".into();
        detail["file"] = file;
        (open.id, open.ended) = (Uuid::from_u128(number), false);
        open.detail = serde_json::to_vec(&detail).unwrap();
        world.store.put_job(&open).await.unwrap();
        std::fs::write(spool.join(name), b"x").unwrap();
    }
    assert_eq!(world.ingest.resume_imports().await.unwrap(), 3);
    for number in 10..13 {
        let status = world.ended(&format!("/v1/imports/{}", Uuid::from_u128(number))).await;
        assert_eq!(status["state"], "failed", "{status}");
        assert!(status["problem"].as_str().unwrap().contains("Send the file again"), "{status}");
    }
    world.nothing_is_spooled().await;
    assert!(is_destroyed(&world, &Scope::File(demo(), damaged)).await);
}
