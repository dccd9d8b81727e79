//! One process as the world treats it: the n-th call that it makes, to the file system or to the database, fails, is cut
//! off by a crash, or is the last one before the power goes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Result, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use trialseal_sealer::Disk;
use trialseal_store::StoreError;
use trialseal_store::faults::{Fate, Faults};

use crate::audit::read_note;

/// What becomes of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// It fails before anything was done.
    Before,
    /// It is done, and reported as failed.
    After,
    /// Half of the bytes are written, then the disk is full.
    Half,
    /// The process ends before the call is done.
    CrashBefore,
    /// The process ends when the call has been done.
    CrashAfter,
    /// The power goes when the call has been done: what was not synced is gone.
    PowerCut,
}

impl Kind {
    /// Whether the process lives on.
    pub(crate) fn is_survived(self) -> bool {
        matches!(self, Self::Before | Self::After | Self::Half)
    }

    /// What can become of a call of this name.
    pub(crate) fn of(call: &str) -> impl Iterator<Item = Self> {
        let halves = call == "write";
        [Self::Before, Self::After, Self::Half, Self::CrashBefore, Self::CrashAfter, Self::PowerCut]
            .into_iter()
            .filter(move |kind| halves || *kind != Self::Half)
    }
}

/// Every checkpoint that ever stood in the published place, by its size.
pub(crate) type Seen = Arc<Mutex<BTreeMap<u64, Vec<u8>>>>;

#[derive(Debug)]
pub(crate) struct Unreliable {
    root: PathBuf,
    seen: Seen,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The names of the calls so far.
    calls: Vec<String>,
    fault: Option<(usize, Kind)>,
    /// Whether the process has ended: nothing that it still asks for is done.
    ended: bool,
    /// Names in folders that a power cut takes back, the oldest first.
    unsynced: Vec<Unsynced>,
    /// The file that is being written, until it is synced.
    unsynced_file: Option<PathBuf>,
}

#[derive(Debug)]
enum Unsynced {
    Folder(PathBuf),
    /// A file that took the place of another, or of none.
    Renamed(PathBuf, Option<Vec<u8>>),
    /// A file whose bytes were not synced before it was put into place.
    Torn(PathBuf),
}

impl Unsynced {
    fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Renamed(path, _) | Self::Torn(path) => path,
        }
    }
}

impl Unreliable {
    /// A process that publishes below `root`, whose call of that number does not go well.
    pub(crate) fn new(root: &Path, seen: &Seen, fault: Option<(usize, Kind)>) -> Arc<Self> {
        let state = Mutex::new(State { fault, ..State::default() });
        Arc::new(Self { root: root.to_owned(), seen: Arc::clone(seen), state })
    }

    /// The next process in the same place, to which everything goes well. What was not synced is so still.
    pub(crate) fn next_process(&self) -> Arc<Self> {
        let next = Self::new(&self.root, &self.seen, None);
        next.state().unsynced = std::mem::take(&mut self.state().unsynced);
        next
    }

    /// The names of the calls so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// The power goes: takes back what a disk may lose that was not asked to sync it.
    pub(crate) fn cut_power(&self) {
        for lost in self.state().unsynced.drain(..).rev() {
            match lost {
                Unsynced::Folder(folder) => fs::remove_dir_all(folder).unwrap(),
                Unsynced::Renamed(file, None) => fs::remove_file(file).unwrap(),
                Unsynced::Renamed(file, Some(before)) => fs::write(file, before).unwrap(),
                Unsynced::Torn(file) => fs::write(file, "").unwrap(),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What becomes of the next call.
    fn next(&self, name: impl Into<String>) -> Option<Kind> {
        let mut state = self.state();
        let number = state.calls.len();
        state.calls.push(name.into());
        if state.ended {
            return Some(Kind::Before);
        }
        let (_, kind) = state.fault.filter(|(at, _)| *at == number)?;
        state.ended = !kind.is_survived();
        Some(kind)
    }

    /// Carries out a call to the file system, or not.
    fn call<T>(&self, name: impl Into<String>, work: impl FnOnce() -> Result<T>) -> Result<T> {
        match self.next(name) {
            None => work(),
            Some(Kind::Before | Kind::Half | Kind::CrashBefore) => Err(ErrorKind::StorageFull.into()),
            Some(Kind::After | Kind::CrashAfter | Kind::PowerCut) => {
                drop(work());
                Err(ErrorKind::StorageFull.into())
            }
        }
    }

    /// What sort of file stands at a path.
    fn sort(&self, path: &Path) -> &'static str {
        match path.strip_prefix(&self.root).ok().and_then(Path::to_str) {
            Some("checkpoint") => "checkpoint",
            Some(path) if path.starts_with("notes") => "notes",
            Some(path) if path.starts_with("tile/entries") => "entries",
            Some(path) if path.starts_with("tile") => "tiles",
            _ => "the root",
        }
    }

    fn saw_checkpoint(&self, note: &[u8]) {
        let size = read_note(note).size;
        let mut seen = self.seen.lock().unwrap();
        let newest = seen.last_key_value().map_or(0, |(size, _)| *size);
        assert!(size >= newest, "the published checkpoint went back from {newest} to {size}");
        let known = seen.insert(size, note.to_vec());
        assert!(known.is_none_or(|known| known == note), "two checkpoints of size {size}");
    }
}

impl Disk for Unreliable {
    fn make_folders(&self, folder: &Path) -> Result<()> {
        self.call(format!("make folder of {}", self.sort(folder)), || {
            let missing: Vec<_> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
            fs::create_dir_all(folder)?;
            let made = missing.into_iter().rev().map(|folder| Unsynced::Folder(folder.to_owned()));
            self.state().unsynced.extend(made);
            Ok(())
        })
    }

    fn create(&self, file: &Path) -> Result<File> {
        self.call("create", || {
            self.state().unsynced_file = Some(file.to_owned());
            File::create(file)
        })
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> Result<()> {
        let half = &bytes[..bytes.len() / 2];
        match self.next("write") {
            None => file.write_all(bytes),
            Some(kind) => {
                match kind {
                    Kind::Before | Kind::CrashBefore => {}
                    Kind::Half => file.write_all(half)?,
                    Kind::After | Kind::CrashAfter | Kind::PowerCut => file.write_all(bytes)?,
                }
                Err(ErrorKind::StorageFull.into())
            }
        }
    }

    fn sync(&self, _: &File) -> Result<()> {
        self.call("sync", || {
            self.state().unsynced_file = None;
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let sort = self.sort(to);
        self.call(format!("rename to {sort}"), || {
            if sort == "checkpoint" {
                self.saw_checkpoint(&fs::read(from)?);
            }
            let before = fs::read(to).ok();
            fs::rename(from, to)?;
            let mut state = self.state();
            state.unsynced.push(Unsynced::Renamed(to.to_owned(), before));
            if state.unsynced_file.as_deref() == Some(from) {
                state.unsynced.push(Unsynced::Torn(to.to_owned()));
            }
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &Path) -> Result<()> {
        self.call(format!("sync folder of {}", self.sort(folder)), || {
            let stays =
                |lost: &Unsynced| matches!(lost, Unsynced::Torn(_)) || lost.path().parent() != Some(folder);
            self.state().unsynced.retain(stays);
            Ok(())
        })
    }

    fn read(&self, file: &Path) -> Result<Vec<u8>> {
        self.call("read checkpoint", || fs::read(file))
    }

    fn remove_folder(&self, folder: &Path) -> Result<()> {
        self.call(format!("remove folder of {}", self.sort(folder)), || {
            self.state().unsynced.retain(|lost| !lost.path().starts_with(folder));
            fs::remove_dir_all(folder)
        })
    }
}

impl Faults for Unreliable {
    fn fate(&self, call: &'static str) -> Fate {
        let broken = || StoreError::Unavailable("the connection broke".into());
        match self.next(format!("database: {call}")) {
            None => Fate::Done,
            Some(Kind::Before | Kind::Half | Kind::CrashBefore) => Fate::Fails(broken()),
            Some(Kind::After | Kind::CrashAfter | Kind::PowerCut) => Fate::DoneButFails(broken()),
        }
    }
}
