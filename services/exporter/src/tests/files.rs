//! How long files are kept, and who gets them.

use super::*;
use crate::MAX_DOWNLOADS;
use crate::file::ExportFile;
use crate::testing::respond;

const HOUR: i64 = 3_600_000_000;

fn files_of(ledger: &Ledger) -> Vec<String> {
    let files = std::fs::read_dir(ledger.folder.path().join("exports")).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

#[actix_web::test]
async fn a_file_is_removed_after_its_time_and_the_status_says_so() {
    let ledger = ledger().await;
    let old = export(&ledger, Role::Monitor, "").await;
    let uri = format!("/v1/exports/{}", old["id"].as_str().unwrap());
    ledger.clock.advance(23 * HOUR);
    let young = export(&ledger, Role::Monitor, "").await;
    assert_eq!(ledger.get(Role::Monitor, &uri).await.json()["state"], "done");
    ledger.clock.advance(2 * HOUR);
    let new = export(&ledger, Role::Monitor, "").await;
    let status = ledger.get(Role::Monitor, &uri).await.json();
    assert_eq!((&status["state"], &status["sha256"]), (&json!("removed"), &old["sha256"]));
    let gone = ledger.get(Role::Monitor, &format!("{uri}/dataset.zip")).await;
    assert_eq!(gone.problem(), (404, "not-found".into()));
    assert!(gone.json()["hint"].as_str().unwrap().starts_with("Export again"), "{}", gone.text());
    assert_eq!(files_of(&ledger).len(), 2);
    let old = job(&ledger, old["id"].as_str().unwrap().parse().unwrap()).await;
    assert!(ledger.vault.key(old.key.unwrap()).await.unwrap().is_none(), "a copy of the file can be read");
    for kept in [young, new] {
        zip_of(&ledger, Role::Monitor, &kept).await;
    }
}

#[actix_web::test]
async fn a_start_removes_old_files_and_leftovers() {
    let ledger = ledger().await;
    export(&ledger, Role::Monitor, "").await;
    let folder = ledger.folder.path().join("exports");
    for leftover in ["part", "spool"] {
        std::fs::write(folder.join(format!("{}.{leftover}", Uuid::nil())), "x").unwrap();
    }
    assert_eq!(ledger.exporter().resume_exports().await.unwrap(), 0);
    assert_eq!(files_of(&ledger).len(), 1);
    ledger.clock.advance(25 * HOUR);
    assert_eq!(ledger.exporter().resume_exports().await.unwrap(), 0);
    assert_eq!(files_of(&ledger), Vec::<String>::new());
}

#[actix_web::test]
async fn a_file_that_is_elsewhere_loses_its_key_in_time() {
    let ledger = ledger().await;
    let status = export(&ledger, Role::Monitor, "").await;
    let id: Uuid = status["id"].as_str().unwrap().parse().unwrap();
    let key = job(&ledger, id).await.key.unwrap();
    std::fs::remove_file(crate::file::path(&ledger.folder.path().join("exports"), id)).unwrap();
    for (hours, is_left) in [(23, true), (2, false)] {
        ledger.clock.advance(hours * HOUR);
        assert_eq!(ledger.exporter().resume_exports().await.unwrap(), 0);
        assert_eq!(ledger.vault.key(key).await.unwrap().is_some(), is_left);
    }
    assert!(ledger.store.job(id).await.unwrap().unwrap().ended);
}

#[actix_web::test]
async fn downloads_that_stall_leave_the_others_a_busy_answer_and_free_threads() {
    let ledger = ledger().await;
    let status = export(&ledger, Role::Monitor, "").await;
    let id: Uuid = status["id"].as_str().unwrap().parse().unwrap();
    // More than the pieces that wait for a reader.
    let folder = ledger.folder.path().join("exports");
    let key = ledger.vault.key_of(&Scope::File(trial(DEMO), id)).await.unwrap();
    let mut file = ExportFile::create(&folder, id, &key).unwrap();
    std::io::Write::write_all(&mut file, &vec![7; 1 << 20]).unwrap();
    file.finish(&folder, id, crate::testing::START).unwrap();

    let exporter = ledger.exporter();
    let ask = || as_role(Role::Monitor, &format!("/v1/exports/{id}/dataset.zip"));
    let mut stalled = Vec::new();
    for _ in 0..MAX_DOWNLOADS {
        let response = respond(&exporter, ask()).await;
        assert_eq!(response.status(), 200);
        stalled.push(response);
    }
    let busy = Answer::read(respond(&exporter, ask()).await).await;
    assert_eq!(busy.problem(), (503, "busy".into()));
    assert_eq!(busy.header("retry-after"), "5");
    assert_eq!(exporter.downloading.available_permits(), 0);
    drop(stalled);
    drop(
        tokio::time::timeout(Duration::from_secs(10), exporter.downloading.acquire()).await.unwrap().unwrap(),
    );
    assert_eq!(respond(&exporter, ask()).await.status(), 200);
}
