use std::fs::{self, File};
use std::io::{ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::error::SealError;
use crate::publication::Publication;

/// Where a file is written before it takes its place: beside the log's paths and never one of them, so that what a crash
/// leaves half written stands nowhere that a reader, a mirror or a web server looks. One sealer writes one file at a time.
const UNFINISHED: &str = ".unfinished";

/// Publication to a folder, which `query` or any web server serves as it is.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Publishes below `root`, which is made when something is first written.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(&Path, &Path) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, SealError> {
        let (root, file) = (self.root.clone(), self.root.join(path));
        let failed = |error: String| SealError::Publication { path: path.to_owned(), error };
        let done = tokio::task::spawn_blocking(move || work(&root, &file)).await;
        done.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
    }
}

#[async_trait]
impl Publication for Folder {
    async fn put(&self, path: &str, bytes: Vec<u8>) -> std::result::Result<(), SealError> {
        self.blocking(path, move |root, file| replace(root, file, &bytes)).await
    }

    async fn get(&self, path: &str) -> std::result::Result<Option<Vec<u8>>, SealError> {
        self.blocking(path, |_, file| unless_missing(fs::read(file).map(Some), None)).await
    }

    async fn remove_folder(&self, path: &str) -> std::result::Result<(), SealError> {
        self.blocking(path, |_, folder| unless_missing(fs::remove_dir_all(folder), ())).await
    }
}

/// Writes the file aside, syncs, renames it to its place, and syncs the folder: after a crash the file is whole, old or new.
fn replace(root: &Path, file: &Path, bytes: &[u8]) -> Result<()> {
    let folder = file.parent().unwrap_or(root);
    if !folder.is_dir() {
        make_folder(folder)?;
    }
    let aside = root.join(UNFINISHED);
    let mut out = File::create(&aside)?;
    out.write_all(bytes)?;
    out.sync_data()?;
    fs::rename(&aside, file)?;
    File::open(folder)?.sync_all()
}

/// Makes the folder and its parents, each made durable in the one above.
fn make_folder(folder: &Path) -> Result<()> {
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty() && !above.is_dir()) {
        make_folder(above)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        Some(above) => File::open(above)?.sync_all(),
        None => Ok(()),
    }
}

fn unless_missing<T>(done: Result<T>, missing: T) -> Result<T> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(missing),
        other => other,
    }
}
