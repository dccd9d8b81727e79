use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::master_in;
use crate::{KeyManagement, MasterKeyFile, VaultError};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[track_caller]
fn problem(path: &Path) -> String {
    let error = MasterKeyFile::open(path).unwrap_err();
    assert!(matches!(error, VaultError::MasterKeyFile { .. }));
    let start = format!("the master key file {} ", path.display());
    error.to_string().strip_prefix(&start).unwrap().to_owned()
}

#[test]
fn a_new_key_has_32_bytes_and_mode_0600_and_leaves_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let made = MasterKeyFile::open_or_create(&path).unwrap();
    let facts = fs::metadata(&path).unwrap();
    assert_eq!((facts.len(), facts.permissions().mode() & 0o777), (32, 0o600));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let again = MasterKeyFile::open_or_create(&path).unwrap();
    assert_eq!(again.id(), made.id());
    assert_eq!(MasterKeyFile::open(&path).unwrap().id(), made.id());
}

#[test]
fn two_files_hold_two_keys() {
    let folder = tempfile::tempdir().unwrap();
    let id = |name| MasterKeyFile::open_or_create(&folder.path().join(name)).unwrap().id();
    assert_ne!(id("a"), id("b"));
}

#[test]
fn many_who_make_it_at_once_get_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let ids: Vec<String> = std::thread::scope(|scope| {
        let make = || MasterKeyFile::open_or_create(&path).unwrap().id();
        let making: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        making.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_others_can_reach_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    MasterKeyFile::open_or_create(&path).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o601, 0o666, 0o777] {
        set_mode(&path, mode);
        assert_eq!(problem(&path), format!("has mode {mode:04o}, so others can reach it: set it to 0600"));
        assert!(MasterKeyFile::open_or_create(&path).is_err());
    }
    set_mode(&path, 0o400);
    assert!(MasterKeyFile::open(&path).is_ok(), "reading is enough");
}

#[test]
fn a_file_of_another_size_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    for bytes in [0, 31, 33, 64] {
        fs::write(&path, vec![7; bytes]).unwrap();
        set_mode(&path, 0o600);
        assert_eq!(problem(&path), format!("has {bytes} bytes, where a master key has 32"));
        assert!(MasterKeyFile::open_or_create(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), vec![7; bytes]);
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(problem(folder.path()), "is no regular file");
    assert!(problem(&folder.path().join("none")).starts_with("cannot be read: "));
    let nowhere = folder.path().join("no/folder/master.key");
    let error = MasterKeyFile::open_or_create(&nowhere).unwrap_err().to_string();
    assert!(error.contains("cannot be made: "), "{error}");
}

#[test]
fn a_link_to_nowhere_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    std::os::unix::fs::symlink(folder.path().join("gone"), &path).unwrap();
    assert!(MasterKeyFile::open_or_create(&path).is_err(), "the volume that it leads to may just be missing");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn what_is_wrapped_unwraps_for_its_context_alone() {
    let folder = tempfile::tempdir().unwrap();
    let master = master_in(folder.path(), 1);
    let (id, wrapped) = master.wrap(b"context", &[9; 32]).await.unwrap();
    assert_eq!(id, master.id());
    assert_eq!(*master.unwrap(&id, b"context", &wrapped).await.unwrap().unwrap(), [9; 32]);
    assert!(matches!(master.unwrap(&id, b"another", &wrapped).await, Err(VaultError::Refused)));
    let other = super::master(2);
    assert!(other.unwrap(&id, b"context", &wrapped).await.unwrap().is_none());
    assert!(matches!(other.unwrap(&other.id(), b"context", &wrapped).await, Err(VaultError::Refused)));
}

#[tokio::test]
async fn a_successor_takes_over_and_the_former_key_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (path, next) = (folder.path().join("master.key"), folder.path().join("master.next.key"));
    let master = master_in(folder.path(), 1);
    // A second name of the same file, as a crash while it was made leaves one.
    let second = folder.path().join("second");
    fs::hard_link(&path, &second).unwrap();
    set_mode(&path, 0o400);
    let (former, wrapped) = master.wrap(b"context", &[9; 32]).await.unwrap();
    for _ in 0..2 {
        master.succeed().await.unwrap();
        assert!(master.former_id().is_some() && next.exists());
        assert_ne!(master.id(), former);
        assert_eq!(*master.unwrap(&former, b"context", &wrapped).await.unwrap().unwrap(), [9; 32]);
    }
    let again = MasterKeyFile::open(&path).unwrap();
    assert_eq!((again.id(), again.former_id().is_some()), (master.id(), true));
    assert!(again.unwrap(&former, b"context", &wrapped).await.unwrap().is_some());
    for _ in 0..2 {
        again.destroy_former().await.unwrap();
        assert!(again.former_id().is_none() && !next.exists());
        assert!(again.unwrap(&former, b"context", &wrapped).await.unwrap().is_none());
    }
    assert_eq!(fs::read(second).unwrap(), [0; 32]);
    assert_eq!(MasterKeyFile::open(&path).unwrap().id(), again.id());
}

/// A crash between the overwriting and the renaming.
#[tokio::test]
async fn an_overwritten_key_with_a_successor_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let master = master_in(folder.path(), 1);
    master.succeed().await.unwrap();
    fs::write(&path, [0; 32]).unwrap();
    let again = MasterKeyFile::open_or_create(&path).unwrap();
    assert_eq!((again.id(), again.former_id().is_some()), (master.id(), true));
    again.destroy_former().await.unwrap();
    assert_eq!(MasterKeyFile::open(&path).unwrap().id(), master.id());
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_keeps_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let master = master_in(folder.path(), 1);
    let id = master.id();
    fs::create_dir(folder.path().join("master.next.key")).unwrap();
    let error = master.succeed().await.unwrap_err().to_string();
    assert!(error.contains("master.next.key is no regular file"), "{error}");
    assert_eq!((master.id(), master.former_id().is_some()), (id, false));
}
