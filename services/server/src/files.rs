//! Small files that are made once and must be whole or not there at all, whenever the process ends.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use trialseal_runtime::ids::{Ids, SystemIds};

/// Makes a file where there is none, and leaves what another process has made meanwhile: of several that begin at once,
/// one makes the file and all of them use it.
///
/// Writes beside the file, syncs, links it into place and syncs the folder. A rename would do the same but for one thing:
/// it replaces what is there.
pub(crate) fn create(file: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let beside = beside(file);
    let linked = write_new(&beside, bytes, mode).and_then(|()| match fs::hard_link(&beside, file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    // A crash before this line leaves a second name of the same file, as well guarded as the first.
    let removed = fs::remove_file(&beside);
    linked.and(removed)?;
    File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// A name that no other process takes.
fn beside(file: &Path) -> PathBuf {
    let mut random = [0; 8];
    SystemIds.fill(&mut random);
    let mut name = OsString::from(file);
    name.push(format!(".{:016x}.new", u64::from_be_bytes(random)));
    PathBuf::from(name)
}

fn write_new(file: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut out = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
    out.write_all(bytes)?;
    out.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("log.key");
        create(&file, b"first", 0o600).unwrap();
        create(&file, b"second", 0o644).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"first");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing lies beside it");
    }

    #[test]
    fn of_many_that_make_a_file_at_once_all_read_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("origin");
        let read: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let makers = (0..8u8).map(|n| {
                let file = &file;
                scope.spawn(move || {
                    create(file, &[n; 65], 0o644).unwrap();
                    fs::read(file).unwrap()
                })
            });
            let makers: Vec<_> = makers.collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert!(read.iter().all(|bytes| *bytes == read[0] && bytes.len() == 65), "{read:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
