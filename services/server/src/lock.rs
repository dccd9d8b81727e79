//! The right to serve a folder, which one process has at a time: publication, spool and exports cannot be shared.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use uuid::Uuid;

/// The lock of a folder. It is held for as long as this lives, and the operating system gives it back however the process
/// ends. The file names the process that held it last: whoever gets the lock knows that this one has ended.
#[derive(Debug)]
pub(crate) struct FolderLock(File);

impl FolderLock {
    /// Takes the lock of a folder, which is made if it is not there.
    pub(crate) fn take(dir: &Path) -> Result<Self> {
        let Some(lock) = Self::try_take(dir)? else {
            bail!("another process serves the ledger in {} already: end it first", dir.display())
        };
        Ok(lock)
    }

    /// As [`take`](Self::take); `None` where another process has it.
    pub(crate) fn try_take(dir: &Path) -> Result<Option<Self>> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
        let path = dir.join("serving.lock");
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// The process that served here last, where the file tells.
    pub(crate) fn last(&mut self) -> Option<Uuid> {
        let mut text = String::new();
        self.0.rewind().ok()?;
        self.0.read_to_string(&mut text).ok()?;
        text.trim_end().parse().ok()
    }

    /// Names the process that serves here from now on.
    pub(crate) fn name(&mut self, who: Uuid) -> Result<()> {
        let emptied = self.0.set_len(0).and_then(|()| self.0.rewind());
        let written = emptied.and_then(|()| self.0.write_all(format!("{who}\n").as_bytes()));
        written.context("cannot write serving.lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_served_once_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("ledger");
        let first = FolderLock::take(&folder).unwrap();
        assert!(FolderLock::try_take(&folder).unwrap().is_none());
        assert!(FolderLock::take(&folder).unwrap_err().to_string().contains("serves the ledger in"));
        drop(first);
        FolderLock::take(&folder).unwrap();
    }

    #[test]
    fn the_next_one_learns_who_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = FolderLock::take(dir.path()).unwrap();
        assert_eq!(first.last(), None);
        for who in [Uuid::from_u128(1), Uuid::from_u128(2)] {
            first.name(who).unwrap();
        }
        drop(first);
        assert_eq!(FolderLock::take(dir.path()).unwrap().last(), Some(Uuid::from_u128(2)));
    }
}
