use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Result, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use trialseal_runtime::ids::{Ids, SystemIds};

use crate::error::SealError;
use crate::publication::Publication;

/// Begins the name of the file that is written before it takes its place: beside the log's paths and never one of them,
/// so that what a crash leaves half written stands nowhere that a reader, a mirror or a web server looks.
const UNFINISHED: &str = ".unfinished-";

/// Publication to a folder, which `query` or any web server serves as it is.
#[derive(Debug)]
pub struct Folder {
    files: Arc<Files>,
}

impl Folder {
    /// Publishes below `root`, which is made when something is first written.
    pub fn new(root: PathBuf) -> Self {
        let mut random = [0; 8];
        SystemIds.fill(&mut random);
        let unfinished = root.join(format!("{UNFINISHED}{:016x}", u64::from_be_bytes(random)));
        Self { files: Arc::new(Files { root, unfinished, durable: Mutex::default() }) }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(&Files, &Path) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, SealError> {
        let (files, file) = (Arc::clone(&self.files), self.files.root.join(path));
        let failed = |error: String| SealError::Publication { path: path.to_owned(), error };
        let done = tokio::task::spawn_blocking(move || work(&files, &file)).await;
        done.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }
}

#[async_trait]
impl Publication for Folder {
    async fn put(&self, path: &str, bytes: Vec<u8>) -> std::result::Result<(), SealError> {
        self.blocking(path, move |files, file| files.replace(file, &bytes)).await
    }

    async fn get(&self, path: &str) -> std::result::Result<Option<Vec<u8>>, SealError> {
        self.blocking(path, |_, file| unless_missing(fs::read(file).map(Some), None)).await
    }

    async fn remove_folder(&self, path: &str) -> std::result::Result<(), SealError> {
        self.blocking(path, |files, folder| {
            files.forget(folder);
            unless_missing(fs::remove_dir_all(folder), ())
        })
        .await
    }
}

#[derive(Debug)]
struct Files {
    root: PathBuf,
    /// Where this process writes a file before it takes its place. No two processes share the name, or one would put the
    /// other's bytes into place; within a process one sealer writes one file at a time. A crash leaves at most this one
    /// file, some 100 KB that nobody reads. It stays: whose it is cannot be told, and a process that lives would miss it.
    unfinished: PathBuf,
    /// Folders that are known to outlive a crash.
    durable: Mutex<HashSet<PathBuf>>,
}

impl Files {
    /// Writes the file aside, syncs, renames it to its place, and syncs the folder: after a crash the file is whole, old
    /// or new.
    fn replace(&self, file: &Path, bytes: &[u8]) -> Result<()> {
        let folder = file.parent().unwrap_or(&self.root);
        self.make_folder(folder, sync)?;
        let mut out = File::create(&self.unfinished)?;
        out.write_all(bytes)?;
        out.sync_data()?;
        fs::rename(&self.unfinished, file)?;
        sync(folder)
    }

    /// Makes the folder where it is missing, and all folders from the root down to it durable in the ones above them.
    /// Those that are there already too, once a process: one may have been made just before a crash, and not be synced.
    fn make_folder(&self, folder: &Path, sync: impl Fn(&Path) -> Result<()>) -> Result<()> {
        if self.is_durable(folder) && folder.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(folder)?;
        for made in folder.ancestors().take_while(|above| above.starts_with(&self.root)) {
            match made.parent() {
                Some(above) if above.as_os_str().is_empty() => sync(Path::new("."))?,
                Some(above) => sync(above)?,
                None => {}
            }
        }
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
        Ok(())
    }

    fn is_durable(&self, folder: &Path) -> bool {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).contains(folder)
    }

    fn forget(&self, folder: &Path) {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner).remove(folder);
    }
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder)?.sync_all()
}

fn unless_missing<T>(done: Result<T>, missing: T) -> Result<T> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(missing),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn every_folder_down_to_a_file_is_made_durable_once_a_process() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("log");
        // As a process leaves it that ends between making the folders and syncing them.
        fs::create_dir_all(root.join("tile/0")).unwrap();
        let synced = RefCell::new(Vec::new());
        let sync = |folder: &Path| {
            synced.borrow_mut().push(folder.to_owned());
            Ok(())
        };
        let files = Folder::new(root.clone()).files;
        files.make_folder(&root.join("tile/0"), sync).unwrap();
        assert_eq!(synced.take(), [root.join("tile"), root.clone(), dir.path().to_owned()]);
        files.make_folder(&root.join("tile/0"), sync).unwrap();
        assert!(synced.take().is_empty());
        files.forget(&root.join("tile/0"));
        files.make_folder(&root.join("tile/0"), sync).unwrap();
        assert_eq!(synced.take().len(), 3);
    }

    #[test]
    fn a_folder_that_could_not_be_synced_is_not_taken_for_durable() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("log");
        let files = Folder::new(root.clone()).files;
        files.make_folder(&root, |_| Err(ErrorKind::StorageFull.into())).unwrap_err();
        let synced = RefCell::new(0);
        files
            .make_folder(&root, |_| {
                *synced.borrow_mut() += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(synced.take(), 1);
    }
}
