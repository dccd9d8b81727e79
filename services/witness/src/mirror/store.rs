//! A folder that is a published log: any web server can serve it, and `trialseal-verify log` reads it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::source::Source;

/// The file that is written before it takes its place; one process and one thread write here. It is no path of a log.
const UNFINISHED: &str = ".unfinished";

/// Files below a folder, which is made when something is first written.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
    /// Folders in which names were written that may not outlive a power cut yet.
    unsynced: RefCell<HashSet<PathBuf>>,
    /// Folders that are known to outlive one.
    durable: RefCell<HashSet<PathBuf>>,
}

impl Store {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, unsynced: RefCell::default(), durable: RefCell::default() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Reads a file; `None` where there is none.
    pub(super) fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match fs::read(self.root.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => {
                Err(error).with_context(|| format!("cannot read {}", self.root.join(path).display()))
            }
        }
    }

    /// Writes a file whole or not at all. Its bytes are durable when this returns, its name after [`Self::sync`].
    pub(super) fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let file = self.root.join(path);
        self.write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))
    }

    fn write(&self, file: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let folder = file.parent().unwrap_or(&self.root);
        self.make(folder)?;
        self.unsynced.borrow_mut().insert(folder.to_owned());
        // The same file stands there where a round was broken off.
        if fs::read(file).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        let beside = self.root.join(UNFINISHED);
        let mut out = File::create(&beside)?;
        out.write_all(bytes)?;
        out.sync_data()?;
        fs::rename(&beside, file)
    }

    /// Makes a folder, and once a process all folders from the root down to it durable: one that is there already may have
    /// been made just before a crash.
    fn make(&self, folder: &Path) -> std::io::Result<()> {
        if self.durable.borrow().contains(folder) {
            return Ok(());
        }
        fs::create_dir_all(folder)?;
        // Two above the root are made here as well: the folder of all copies, in the witness's.
        let top = self.root.ancestors().nth(1).unwrap_or(&self.root);
        for made in folder.ancestors().take_while(|above| above.starts_with(top)) {
            if let Some(above) = made.parent() {
                File::open(above)?.sync_all()?;
            }
        }
        self.durable.borrow_mut().insert(folder.to_owned());
        Ok(())
    }

    /// Removes a file, if it is there; for good after [`Self::sync`].
    pub(super) fn remove(&self, path: &str) -> Result<()> {
        let file = self.root.join(path);
        match fs::remove_file(&file) {
            Ok(()) => {
                let folder = file.parent().unwrap_or(&self.root);
                self.unsynced.borrow_mut().insert(folder.to_owned());
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot remove {}", file.display())),
        }
    }

    /// Returns once everything that was written outlives a power cut.
    pub(super) fn sync(&self) -> Result<()> {
        let mut unsynced = self.unsynced.borrow_mut();
        for folder in unsynced.iter() {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.with_context(|| format!("cannot sync {}", folder.display()))?;
        }
        unsynced.clear();
        Ok(())
    }

    /// Removes a folder of partial tiles, if it is there.
    pub(super) fn remove_folder(&self, path: &str) -> Result<()> {
        let folder = self.root.join(path);
        self.durable.borrow_mut().remove(&folder);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", folder.display()))
            }
            _ => Ok(()),
        }
    }
}

/// A copy is a log to read from as well.
impl Source for Store {
    fn get(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        let found = self.read(path)?;
        if found.as_ref().is_some_and(|bytes| bytes.len() > limit) {
            bail!("{} has more than {limit} bytes", self.root.join(path).display());
        }
        Ok(found)
    }
}
