use std::collections::HashSet;
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use trialseal_runtime::ids::{Ids, SystemIds};

use crate::disk::{Disk, SystemDisk};
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
        Self::on(Arc::new(SystemDisk), root)
    }

    /// As [`Folder::new`], on another file system than the operating system's.
    pub fn on(disk: Arc<dyn Disk>, root: PathBuf) -> Self {
        let mut random = [0; 8];
        SystemIds.fill(&mut random);
        let unfinished = root.join(format!("{UNFINISHED}{:016x}", u64::from_be_bytes(random)));
        Self {
            files: Arc::new(Files {
                disk,
                root,
                unfinished,
                writing: Mutex::default(),
                durable: Mutex::default(),
            }),
        }
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
        self.blocking(path, |files, file| unless_missing(files.disk.read(file).map(Some), None)).await
    }

    async fn remove_folder(&self, path: &str) -> std::result::Result<(), SealError> {
        self.blocking(path, |files, folder| {
            files.forget(folder);
            unless_missing(files.disk.remove_folder(folder), ())
        })
        .await
    }
}

#[derive(Debug)]
struct Files {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Where this process writes a file before it takes its place. No two processes share the name, or one would put the
    /// other's bytes into place; within a process one file is written at a time. A crash leaves at most this one
    /// file, some 100 KB that nobody reads. It stays: whose it is cannot be told, and a process that lives would miss it.
    unfinished: PathBuf,
    /// Held while a file is put into its place.
    writing: Mutex<()>,
    /// Folders that are known to outlive a crash.
    durable: Mutex<HashSet<PathBuf>>,
}

impl Files {
    /// Writes the file aside, syncs, renames it to its place, and syncs the folder: after a crash the file is whole, old
    /// or new.
    fn replace(&self, file: &Path, bytes: &[u8]) -> Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = file.parent().unwrap_or(&self.root);
        self.make_folder(folder)?;
        let mut out = self.disk.create(&self.unfinished)?;
        self.disk.write(&mut out, bytes)?;
        self.disk.sync(&out)?;
        self.disk.rename(&self.unfinished, file)?;
        self.disk.sync_folder(folder)
    }

    /// Makes the folder where it is missing, and all folders from the root down to it durable in the ones above them.
    /// Those that are there already too, once a process: one may have been made just before a crash, and not be synced.
    fn make_folder(&self, folder: &Path) -> Result<()> {
        if self.is_durable(folder) && folder.is_dir() {
            return Ok(());
        }
        self.disk.make_folders(folder)?;
        for made in folder.ancestors().take_while(|above| above.starts_with(&self.root)) {
            match made.parent() {
                Some(above) if above.as_os_str().is_empty() => self.disk.sync_folder(Path::new("."))?,
                Some(above) => self.disk.sync_folder(above)?,
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

fn unless_missing<T>(done: Result<T>, missing: T) -> Result<T> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(missing),
        other => other,
    }
}
