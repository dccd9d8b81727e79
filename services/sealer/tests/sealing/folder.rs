//! Publication to a folder.

use std::fs;
use std::path::Path;

use trialseal_sealer::{Folder, Publication, SealError};

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
