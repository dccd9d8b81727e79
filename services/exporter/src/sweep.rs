//! Which files of exports have to go: a dataset can be made again, so none is kept for long.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use trialseal_runtime::settings::ExportFileLimits;
use trialseal_seal::time::Timestamp;
use uuid::Uuid;

use crate::file;

/// A finished file.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) path: PathBuf,
    at: SystemTime,
    bytes: u64,
}

impl Finished {
    /// The export, which the file is called after.
    pub(crate) fn export(&self) -> Option<Uuid> {
        self.path.file_stem()?.to_str()?.parse().ok()
    }
}

/// The files that have to go: those that were kept for long enough at `now_micros`, and the oldest of those that take too
/// much disk together. The newest stays, however large: whoever asked for it is about to fetch it.
pub(crate) fn due(mut finished: Vec<Finished>, now_micros: i64, limits: ExportFileLimits) -> Vec<Finished> {
    finished.sort_unstable_by_key(|found| Reverse(found.at));
    let (mut bytes, mut is_newest) = (0_u64, true);
    finished.retain(|found| {
        bytes = bytes.saturating_add(found.bytes);
        let is_too_much = bytes > limits.bytes && !is_newest;
        is_newest = false;
        is_too_much || is_older(found.at, now_micros, limits)
    });
    finished
}

/// Whether a file of an export that was asked for then has been kept for long enough.
pub(crate) fn is_old(requested_at: Timestamp, now_micros: i64, limits: ExportFileLimits) -> bool {
    is_older(file::time(requested_at.micros()), now_micros, limits)
}

fn is_older(at: SystemTime, now_micros: i64, limits: ExportFileLimits) -> bool {
    file::time(now_micros).duration_since(at).unwrap_or(Duration::ZERO) > limits.keep
}

/// Removes what unfinished exports of a former process left; they begin anew.
pub(crate) fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == file::PART || ending == file::SPOOL) {
            file::remove(&path)?;
        }
    }
    Ok(())
}

/// The finished files of a folder, which is made where it is missing.
pub(crate) fn finished(folder: &Path) -> io::Result<Vec<Finished>> {
    fs::create_dir_all(folder)?;
    let mut finished = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == file::FINISHED) {
            let about = fs::metadata(&path)?;
            finished.push(Finished { path, at: about.modified()?, bytes: about.len() });
        }
    }
    Ok(finished)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SECOND: i64 = 1_000_000;
    const LIMITS: ExportFileLimits = ExportFileLimits { keep: Duration::from_secs(100), bytes: 25 };

    /// Files of ten bytes, by name and the second they were finished.
    fn folder(files: &[(&str, i64)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, seconds) in files {
            let path = folder.path().join(name);
            fs::write(&path, [0; 10]).unwrap();
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(file::time(seconds * SECOND)).unwrap();
        }
        folder
    }

    fn names(folder: &Path) -> BTreeSet<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// What has to go at a second, by name.
    fn due_at(folder: &Path, seconds: i64, limits: ExportFileLimits) -> BTreeSet<String> {
        let due = due(finished(folder).unwrap(), seconds * SECOND, limits);
        due.into_iter().map(|found| found.path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn what_was_kept_long_enough_goes_and_nothing_else() {
        let folder = folder(&[("a.sealed", 0), ("b.sealed", 1), ("c.part", 0), ("d.txt", 0)]);
        assert_eq!(due_at(folder.path(), 100, LIMITS), BTreeSet::new());
        assert_eq!(due_at(folder.path(), 101, LIMITS), ["a.sealed".to_owned()].into());
    }

    #[test]
    fn the_oldest_make_room_and_the_newest_stays() {
        let folder = folder(&[("a.sealed", 3), ("b.sealed", 1), ("c.sealed", 2), ("d.sealed", 4)]);
        assert_eq!(due_at(folder.path(), 5, LIMITS), ["b.sealed", "c.sealed"].map(str::to_owned).into());
        let least = ExportFileLimits { bytes: 1, ..LIMITS };
        let all_but_one = ["a.sealed", "b.sealed", "c.sealed"].map(str::to_owned);
        assert_eq!(due_at(folder.path(), 5, least), all_but_one.into());
    }

    #[test]
    fn leftovers_go() {
        let folder = folder(&[("a.sealed", 0), ("b.part", 0), ("c.spool", 0)]);
        remove_leftovers(folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["a.sealed"].map(str::to_owned).into());
    }
}
