//! Removing files of exports: a dataset can be made again, so none is kept for long.

use std::cmp::Reverse;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use trialseal_runtime::settings::ExportFileLimits;

use crate::file;

/// A finished file.
struct Finished {
    path: PathBuf,
    at: SystemTime,
    bytes: u64,
}

/// Removes finished files that were kept for long enough at `now_micros`, and the oldest of those that take too much
/// disk together. The newest stays, however large: whoever asked for it is about to fetch it. Answers how many it removed.
pub(crate) fn sweep(folder: &Path, now_micros: i64, limits: ExportFileLimits) -> io::Result<usize> {
    let now = file::time(now_micros);
    fs::create_dir_all(folder)?;
    let mut finished = finished(folder)?;
    finished.sort_unstable_by_key(|found| Reverse(found.at));
    let (mut bytes, mut removed) = (0_u64, 0);
    for (place, found) in finished.iter().enumerate() {
        bytes = bytes.saturating_add(found.bytes);
        let age = now.duration_since(found.at).unwrap_or(Duration::ZERO);
        if age > limits.keep || (bytes > limits.bytes && place > 0) {
            file::remove(&found.path)?;
            removed += 1;
        }
    }
    Ok(removed)
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

fn finished(folder: &Path) -> io::Result<Vec<Finished>> {
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

    #[test]
    fn what_was_kept_long_enough_goes_and_nothing_else() {
        let folder = folder(&[("a.sealed", 0), ("b.sealed", 1), ("c.part", 0), ("d.txt", 0)]);
        assert_eq!(sweep(folder.path(), 100 * SECOND, LIMITS).unwrap(), 0);
        assert_eq!(sweep(folder.path(), 101 * SECOND, LIMITS).unwrap(), 1);
        let left = ["b.sealed", "c.part", "d.txt"].map(str::to_owned);
        assert_eq!(names(folder.path()), left.into());
    }

    #[test]
    fn the_oldest_make_room_and_the_newest_stays() {
        let folder = folder(&[("a.sealed", 3), ("b.sealed", 1), ("c.sealed", 2), ("d.sealed", 4)]);
        assert_eq!(sweep(folder.path(), 5 * SECOND, LIMITS).unwrap(), 2);
        assert_eq!(names(folder.path()), ["a.sealed", "d.sealed"].map(str::to_owned).into());
        let least = ExportFileLimits { bytes: 1, ..LIMITS };
        assert_eq!(sweep(folder.path(), 5 * SECOND, least).unwrap(), 1);
        assert_eq!(names(folder.path()), ["d.sealed"].map(str::to_owned).into());
    }

    #[test]
    fn leftovers_go() {
        let folder = folder(&[("a.sealed", 0), ("b.part", 0), ("c.spool", 0)]);
        remove_leftovers(folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["a.sealed"].map(str::to_owned).into());
    }
}
