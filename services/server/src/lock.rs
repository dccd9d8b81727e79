//! The right to serve a folder, which one process has at a time: publication, spool and exports cannot be shared.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Takes the lock of a folder, which is made if it is not there. The lock is held for as long as the file is open, and the
/// operating system gives it back however the process ends.
pub(crate) fn take(dir: &Path) -> Result<File> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
    let path = dir.join("serving.lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another process serves the ledger in {} already: end it first", dir.display())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_served_once_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("ledger");
        let first = take(&folder).unwrap();
        assert!(take(&folder).unwrap_err().to_string().contains("serves the ledger in"));
        drop(first);
        take(&folder).unwrap();
    }
}
