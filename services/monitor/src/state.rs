//! The monitor's place: one file, written whole or not at all, and only after the work that it stands for.
//!
//! The first line is a JSON object, the second the SHA-256 of the first in hex, so that a damaged file is told from a good
//! one. A monitor without its place does not go on by itself: what it had seen before is all that it can hold against a
//! ledger that shows it something else.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::hash::{Hash, TreeHash, sha256};
use trialseal_seal::note::SignedNote;
use trialseal_seal::seal::Seal;
use trialseal_seal::time::Timestamp;
use trialseal_seal::tree::Frontier;

use crate::log::LogPlace;
use crate::trial::TrialPlace;

const FORMAT: &str = "trialseal/monitor-place/v1";
/// The file of the place.
const FILE: &str = "place";
/// The newest checkpoint that was checked, for other monitors.
pub const CHECKPOINT: &str = "checkpoint";

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// There is none.
    #[error("there is no place in {}: give --first if this is the first start of this monitor", .0.display())]
    Lost(PathBuf),
    /// There is one that is not what was written.
    #[error(
        "the place in {} is damaged: restore it, or find out why before you start anew in another folder with --first",
        .0.display()
    )]
    Damaged(PathBuf),
    /// There is one, and a first start was asked for.
    #[error("there is a place in {} already: leave --first out", .0.display())]
    NotFirst(PathBuf),
    /// Another process uses the folder.
    #[error("another process monitors from {} already: end it first", .0.display())]
    Locked(PathBuf),
    /// The folder cannot be read or written.
    #[error("{path}: {1}", path = .0.display())]
    Io(PathBuf, io::Error),
}

/// The places of the log and of each trial.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) log: Option<LogPlace>,
    pub(crate) trials: BTreeMap<String, TrialPlace>,
}

/// The folder of a monitor, held for as long as this lives.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tree {
    size: u64,
    nodes: Vec<Hash>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedTrial {
    seal: u64,
    tree: Tree,
    time: Option<Timestamp>,
    streams: BTreeMap<String, u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    format: String,
    note: String,
    tree: Tree,
    last: Option<serde_json::Value>,
    prior: (u64, Hash),
    notes: Vec<(u64, Hash)>,
    trials: BTreeMap<String, SavedTrial>,
}

impl Tree {
    fn of<H: TreeHash>(tree: &Frontier<H>) -> Self {
        Self { size: tree.size(), nodes: tree.nodes().to_vec() }
    }

    fn read<H: TreeHash>(self) -> Option<Frontier<H>> {
        Frontier::from_nodes(self.size, self.nodes).ok()
    }
}

impl State {
    fn encode(&self) -> Option<Vec<u8>> {
        let log = self.log.as_ref()?;
        let trial = |(id, place): (&String, &TrialPlace)| {
            let streams = place.streams.iter().map(|(stream, last)| (stream.to_string(), *last)).collect();
            let saved =
                SavedTrial { seal: place.seal, tree: Tree::of(&place.tree), time: place.time, streams };
            (id.clone(), saved)
        };
        let saved = Saved {
            format: FORMAT.to_owned(),
            note: log.note.clone(),
            tree: Tree::of(&log.tree),
            last: log.last.as_ref().map(Seal::to_value),
            prior: log.prior,
            notes: log.notes.clone(),
            trials: self.trials.iter().map(trial).collect(),
        };
        let mut bytes = serde_json::to_vec(&saved).ok()?;
        let digest = sha256(&bytes);
        bytes.extend_from_slice(format!("\n{digest}\n").as_bytes());
        Some(bytes)
    }

    /// `None` for what was not written by [`encode`](Self::encode).
    fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (json, digest) = text.strip_suffix('\n')?.split_once('\n')?;
        if sha256(json.as_bytes()).to_string() != digest {
            return None;
        }
        let saved: Saved = serde_json::from_str(json).ok().filter(|saved: &Saved| saved.format == FORMAT)?;
        let tree = saved.tree.read()?;
        let checkpoint = Checkpoint::parse(&SignedNote::parse(&saved.note).ok()?.text).ok()?;
        if (checkpoint.size, checkpoint.root) != (tree.size(), tree.root()) {
            return None;
        }
        let last = match saved.last {
            Some(last) => Some(Seal::parse(&last).ok()?),
            None => None,
        };
        let trial = |(id, trial): (String, SavedTrial)| {
            let streams = trial.streams.into_iter();
            let streams = streams.map(|(stream, last)| Some((stream.parse().ok()?, last)));
            let streams = streams.collect::<Option<_>>()?;
            let place = TrialPlace { seal: trial.seal, tree: trial.tree.read()?, time: trial.time, streams };
            Some((id, place))
        };
        let trials = saved.trials.into_iter().map(trial).collect::<Option<_>>()?;
        let log = LogPlace { note: saved.note, tree, last, prior: saved.prior, notes: saved.notes };
        Some(Self { log: Some(log), trials })
    }
}

impl Folder {
    /// Takes a folder for this process; it is made if it is not there.
    ///
    /// # Errors
    /// Where another process has it, or it cannot be written.
    pub fn take(dir: &Path) -> Result<Self, StateError> {
        let io = |error| StateError::Io(dir.to_owned(), error);
        fs::create_dir_all(dir).map_err(io)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("monitor.lock"));
        let lock = lock.map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StateError::Locked(dir.to_owned())),
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads the place; on a first start there must be none.
    pub(crate) fn load(&self, first: bool) -> Result<State, StateError> {
        match fs::read(self.dir.join(FILE)) {
            Ok(_) if first => Err(StateError::NotFirst(self.dir.clone())),
            Ok(bytes) => State::decode(&bytes).ok_or_else(|| StateError::Damaged(self.dir.clone())),
            Err(error) if error.kind() == ErrorKind::NotFound && first => Ok(State::default()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(StateError::Lost(self.dir.clone())),
            Err(error) => Err(StateError::Io(self.dir.clone(), error)),
        }
    }

    /// Writes the place, and the checkpoint for other monitors.
    pub(crate) fn save(&self, state: &State) -> Result<(), StateError> {
        let (Some(bytes), Some(log)) = (state.encode(), &state.log) else { return Ok(()) };
        self.write(FILE, &bytes)?;
        self.write(CHECKPOINT, log.note.as_bytes())
    }

    /// Writes a file whole or not at all.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let (file, beside) = (self.dir.join(name), self.dir.join(format!(".{name}.new")));
        let write = || {
            let mut out = File::create(&beside)?;
            out.write_all(bytes)?;
            out.sync_all()?;
            fs::rename(&beside, &file)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|error| StateError::Io(file.clone(), error))
    }
}
