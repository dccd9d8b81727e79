//! Publication to a folder.

use std::fs;
use std::path::Path;

use trialseal_sealer::{Folder, Publication, SealError};

use crate::unreliable::{Kind, Seen, Unreliable};

#[tokio::test]
async fn a_folder_keeps_whole_files() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(dir.path().join("log"));
    assert_eq!(folder.get("tile/0/000").await.unwrap(), None);
    folder.put("tile/0/000.p/3", b"abc".to_vec()).await.unwrap();
    folder.put("tile/0/000.p/3", b"abc".to_vec()).await.unwrap();
    folder.put("tile/0/000", b"abcd".to_vec()).await.unwrap();
    folder.remove_folder("tile/0/000.p").await.unwrap();
    folder.remove_folder("tile/0/000.p").await.unwrap();
    assert_eq!(folder.get("tile/0/000.p/3").await.unwrap(), None);
    assert_eq!(folder.get("tile/0/000").await.unwrap(), Some(b"abcd".to_vec()));
    folder.put("tile/0/000.p/3", b"abc".to_vec()).await.unwrap();
    assert_eq!(folder.get("tile/0/000.p/3").await.unwrap(), Some(b"abc".to_vec()));
}

/// Something that a file cannot replace, so that the write ends before the rename, as a crash could end it.
fn block(file: &Path) {
    fs::create_dir_all(file).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[tokio::test]
async fn an_unfinished_file_stands_at_no_path_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("log");
    let folder = Folder::new(root.clone());
    block(&root.join("notes/001"));
    assert!(matches!(folder.put("notes/001", b"note".to_vec()).await, Err(SealError::Publication { .. })));
    assert_eq!(names(&root.join("notes")), ["001"]);
    fs::remove_dir(root.join("notes/001")).unwrap();
    folder.put("notes/001", b"note".to_vec()).await.unwrap();
    assert_eq!(folder.get("notes/001").await.unwrap(), Some(b"note".to_vec()));
    assert_eq!(names(&root), ["notes"]);
}

#[tokio::test]
async fn two_processes_never_write_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("log");
    block(&root.join("checkpoint"));
    for bytes in ["one", "other"] {
        let folder = Folder::new(root.clone());
        folder.put("checkpoint", bytes.into()).await.unwrap_err();
        folder.put("checkpoint", bytes.into()).await.unwrap_err();
    }
    let mut unfinished: Vec<_> = names(&root)
        .iter()
        .filter(|name| name.starts_with(".unfinished"))
        .map(|name| fs::read_to_string(root.join(name)).unwrap())
        .collect();
    unfinished.sort();
    assert_eq!(unfinished, ["one", "other"]);
}

/// The folders that are synced before a file is made in one, by a new process or by one that was at work before.
fn synced(process: &Unreliable) -> usize {
    let calls = process.calls();
    let last = calls.iter().rposition(|call| call == "create").unwrap();
    let since = calls[..last].iter().rposition(|call| call.starts_with("rename")).map_or(0, |at| at + 2);
    calls[since..last].iter().filter(|call| call.starts_with("sync folder")).count()
}

#[tokio::test]
async fn every_folder_down_to_a_file_is_made_durable_once_a_process() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("log");
    // As a process leaves it that ends between making the folders and syncing them.
    fs::create_dir_all(root.join("tile/0")).unwrap();
    let process = Unreliable::new(&root, &Seen::default(), None);
    let folder = Folder::on(process.clone(), root);
    folder.put("tile/0/000", b"one".to_vec()).await.unwrap();
    assert_eq!(synced(&process), 3, "the root in the one above it, tile, and tile/0");
    folder.put("tile/0/001", b"other".to_vec()).await.unwrap();
    assert_eq!(synced(&process), 0);
    folder.remove_folder("tile/0").await.unwrap();
    folder.put("tile/0/000", b"one".to_vec()).await.unwrap();
    assert_eq!(synced(&process), 3);
}

#[tokio::test]
async fn a_folder_that_could_not_be_synced_is_not_taken_for_durable() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("log");
    // The first call makes the root, the second syncs it.
    let process = Unreliable::new(&root, &Seen::default(), Some((1, Kind::Before)));
    let folder = Folder::on(process.clone(), root);
    folder.put("notes", b"note".to_vec()).await.unwrap_err();
    folder.put("notes", b"note".to_vec()).await.unwrap();
    assert_eq!(synced(&process), 2, "the one that failed, and the one that was done");
}
