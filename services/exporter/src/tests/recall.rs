//! Datasets are destroyed when a participant of their trial was erased.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use trialseal_runtime::clock::{Clock, ManualClock};
use trialseal_vault::DataKey;

use super::*;
use crate::file;
use crate::status::Shown;
use crate::testing::order;

/// A copy of the folder of exports, as a backup has it.
struct Backup(tempfile::TempDir);

impl Backup {
    fn of(ledger: &Ledger) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(ledger.folder.path().join("exports")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        Self(copy)
    }

    /// Reads the dataset of an export.
    fn read(&self, export: Uuid, key: &DataKey) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        file::open(self.0.path(), export, key)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn id_of(status: &Value) -> Uuid {
    status["id"].as_str().unwrap().parse().unwrap()
}

async fn is_destroyed(ledger: &Ledger, scope: &Scope) -> bool {
    matches!(ledger.vault.key_of(scope).await, Err(VaultError::Destroyed(_)))
}

#[actix_web::test]
async fn after_a_recall_neither_the_file_nor_a_copy_of_it_can_be_read() {
    let ledger = ledger().await;
    let exporter = ledger.exporter();
    let ours = id_of(&export(&ledger, Role::Monitor, "").await);
    let mut wanted = order("person-1", Shown::All, None);
    wanted.trial = trial("OTHER-1");
    let theirs = exporter.begin(wanted).await.unwrap().status.id;
    ended(&ledger, theirs).await;

    let (backup, done) = (Backup::of(&ledger), job(&ledger, ours).await);
    let key = ledger.vault.key(done.key.unwrap()).await.unwrap().unwrap();
    assert_eq!(key.scope(), &Scope::File(trial(DEMO), ours));
    assert_eq!(json!(sha256(&backup.read(ours, &key).unwrap())), json!(done.status.sha256));
    drop(key);

    ledger.destroy_key_of(DEMO, 2).await;
    assert_eq!(exporter.recall(&trial(DEMO)).await.unwrap(), 1);
    assert!(ledger.vault.key(done.key.unwrap()).await.unwrap().is_none());
    assert!(is_destroyed(&ledger, &done.scope()).await);
    let trials = ledger.vault.key_of(&Scope::Trial(trial(DEMO))).await.unwrap();
    assert_eq!(backup.read(ours, &trials).unwrap_err().kind(), ErrorKind::InvalidData);
    let names = std::fs::read_dir(ledger.folder.path().join("exports")).unwrap();
    let names: Vec<_> = names.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names, [format!("{theirs}.sealed")]);

    let uri = format!("/v1/exports/{ours}");
    assert_eq!(ledger.get(Role::Monitor, &uri).await.json()["state"], "removed");
    let gone = ledger.get(Role::Monitor, &format!("{uri}/dataset.zip")).await;
    assert_eq!(gone.problem(), (404, "not-found".into()));
    let theirs = ledger.get(Role::Monitor, &format!("/v1/exports/{theirs}/dataset.zip")).await;
    assert_eq!(theirs.status, 200);
    assert_eq!(exporter.recall(&trial(DEMO)).await.unwrap(), 0, "a second time");
}

#[actix_web::test]
async fn a_recall_reaches_files_that_are_elsewhere_or_that_no_open_job_speaks_of() {
    let ledger = ledger().await;
    let folder = ledger.folder.path().join("exports");
    let [elsewhere, former, forgotten] = [Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3)];
    let made = job(&ledger, id_of(&export(&ledger, Role::Monitor, "").await)).await;
    // One whose file another process has.
    let key = ledger.vault.key_of(&Scope::File(trial(DEMO), elsewhere)).await.unwrap();
    let mut done = made.clone();
    (done.status.id, done.key) = (elsewhere, Some(key.id()));
    ledger.store.put_job(&done.row().unwrap()).await.unwrap();
    // One that a former version made: its job ended then, and its key is the trial's.
    let trials = ledger.vault.key_of(&Scope::Trial(trial(DEMO))).await.unwrap();
    file::ExportFile::create(&folder, former, &trials).unwrap().finish(&folder, former, 0).unwrap();
    (done.status.id, done.key) = (former, Some(trials.id()));
    let mut row = done.row().unwrap();
    row.ended = true;
    ledger.store.put_job(&row).await.unwrap();
    // One whose job is gone.
    let lost = ledger.vault.key_of(&Scope::File(trial(DEMO), forgotten)).await.unwrap();
    file::ExportFile::create(&folder, forgotten, &lost).unwrap().finish(&folder, forgotten, 0).unwrap();

    assert_eq!(ledger.exporter().recall(&trial("OTHER-1")).await.unwrap(), 1, "nobody can fetch that");
    assert_eq!(ledger.exporter().recall(&trial(DEMO)).await.unwrap(), 3);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    for key in [key.id(), lost.id(), made.key.unwrap()] {
        assert!(ledger.vault.key(key).await.unwrap().is_none());
    }
    for export in [elsewhere, former, made.status.id] {
        let status = ledger.get(Role::Monitor, &format!("/v1/exports/{export}")).await.json();
        assert_eq!(status["state"], "removed");
    }
}

/// Time that stands still where a dataset is written and about to be ended, until somebody says so; once.
struct Halting {
    time: Arc<ManualClock>,
    folder: PathBuf,
    halted: AtomicBool,
    reached: Mutex<mpsc::Sender<()>>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl Clock for Halting {
    fn now(&self) -> i64 {
        let mut files = std::fs::read_dir(&self.folder).into_iter().flatten();
        let is_writing = files.any(|file| file.unwrap().path().extension().is_some_and(|e| e == file::PART));
        if is_writing && !self.halted.swap(true, Ordering::SeqCst) {
            self.reached.lock().unwrap().send(()).unwrap();
            self.go_on.lock().unwrap().recv().unwrap();
        }
        self.time.now()
    }
}

#[actix_web::test]
async fn what_is_being_made_begins_anew_under_another_key_and_without_the_erased() {
    let ledger = ledger().await;
    let (reached, is_reached) = mpsc::channel();
    let (go_on, is_to_go_on) = mpsc::channel();
    let clock = Halting {
        time: Arc::clone(&ledger.clock),
        folder: ledger.folder.path().join("exports"),
        halted: AtomicBool::new(false),
        reached: Mutex::new(reached),
        go_on: Mutex::new(is_to_go_on),
    };
    let exporter = ledger.exporter_of(Arc::clone(&ledger.store) as _, Arc::new(clock));
    let id = ledger.begin_with(&exporter).await;
    let is_written = tokio::task::spawn_blocking(move || is_reached.recv_timeout(Duration::from_secs(10)));
    is_written.await.unwrap().unwrap();

    let first = Scope::File(trial(DEMO), id);
    ledger.destroy_key_of(DEMO, 2).await;
    let recall = tokio::spawn({
        let exporter = exporter.clone();
        async move { exporter.recall(&trial(DEMO)).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!recall.is_finished(), "it answers while the dataset is being written");
    go_on.send(()).unwrap();
    assert_eq!(recall.await.unwrap().unwrap(), 0);
    assert!(is_destroyed(&ledger, &first).await);

    ended(&ledger, id).await;
    let again = job(&ledger, id).await;
    assert_ne!(again.scope(), first);
    let status = ledger.get(Role::Monitor, &format!("/v1/exports/{id}")).await.json();
    assert_eq!((&status["state"], &status["withheld"]), (&json!("done"), &json!(4)), "{status}");
    let files = unzip(zip_of(&ledger, Role::Monitor, &status).await);
    let erased = record_lines(&files).iter().filter(|line| line["withheld"] == "erased").count();
    assert_eq!(erased, 4);
    // It can be recalled like any other.
    assert_eq!(exporter.recall(&trial(DEMO)).await.unwrap(), 1);
    assert!(is_destroyed(&ledger, &again.scope()).await);
}
