//! What goes wrong: any call to the database or to the published place may fail, before it is done or after; a process
//! may end at any call. All of it follows from one seed.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use trialseal_sealer::{Publication, SealError};
use trialseal_store::faults::{Fate, Faults};
use trialseal_store::{Result, StoreError, WriteBatch};
use trialseal_tests::Rng;
use trialseal_verify::Source;

/// Stands at the front of the correlation id of a command that the database refuses whenever it is to store it.
pub(crate) const POISON: &str = "poison-";

/// How many calls of a thousand fail in rough times.
const FAULTS_PER_MILLE: u64 = 15;

/// How many commits of a thousand a store of [`Broken::Loses`] loses.
const LOST_PER_MILLE: u64 = 50;

/// A store that breaks a promise: what the checker is there to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It reports a commit that it did not make.
    Loses,
    /// It forgets which commands it has carried out.
    Doubles,
}

/// What there is besides the processes, and outlives them.
pub(crate) struct Chaos {
    state: Mutex<State>,
    broken: Option<Broken>,
    /// Whether anything goes wrong at all.
    calm: AtomicBool,
}

struct State {
    rng: Rng,
    /// A digest of all calls and what became of them: two runs of a seed have the same.
    trace: u64,
    /// How often a call met a fault, by its name.
    faults: BTreeMap<&'static str, u64>,
}

impl Chaos {
    pub(crate) fn new(seed: u64, broken: Option<Broken>) -> Arc<Self> {
        let state = State { rng: Rng::new(seed), trace: 0, faults: BTreeMap::new() };
        Arc::new(Self { state: Mutex::new(state), broken, calm: AtomicBool::new(true) })
    }

    pub(crate) fn set_calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::SeqCst);
    }

    pub(crate) fn trace(&self) -> u64 {
        self.state().trace
    }

    pub(crate) fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.state().faults.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Draws what becomes of a call, where nobody dies.
    fn draw(&self, call: &'static str) -> Fate {
        let mut state = self.state();
        let drawn = state.rng.between(0, 999);
        let which = state.rng.between(0, 2);
        let fate = if self.calm.load(Ordering::SeqCst) {
            Fate::Done
        } else if self.broken == Some(Broken::Loses) && call == "append.commit" && drawn < LOST_PER_MILLE {
            Fate::Pretended
        } else if drawn >= FAULTS_PER_MILLE {
            Fate::Done
        } else {
            match which {
                0 => Fate::Fails(StoreError::TryAgain("busy".into())),
                1 => Fate::Fails(unreachable()),
                _ => Fate::DoneButFails(unreachable()),
            }
        };
        if !matches!(fate, Fate::Done) {
            *state.faults.entry(call).or_default() += 1;
        }
        let mark = call.bytes().fold(drawn, |mark, byte| mark.wrapping_mul(31).wrapping_add(byte.into()));
        state.trace = state.trace.rotate_left(7) ^ mark;
        fate
    }
}

fn unreachable() -> StoreError {
    StoreError::Unavailable("the connection broke".into())
}

/// All that one process reaches the world by. Once the process has ended, nothing comes through any more.
pub(crate) struct Line {
    chaos: Arc<Chaos>,
    ended: AtomicBool,
    /// How many calls the process has left, where that is settled.
    calls_left: Mutex<Option<u64>>,
}

impl Line {
    pub(crate) fn new(chaos: &Arc<Chaos>) -> Arc<Self> {
        Arc::new(Self {
            chaos: Arc::clone(chaos),
            ended: AtomicBool::new(false),
            calls_left: Mutex::default(),
        })
    }

    /// The process will end after so many more calls.
    pub(crate) fn end_after(&self, calls: u64) {
        *self.calls_left.lock().unwrap() = Some(calls);
    }

    pub(crate) fn end_now(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Whether this is the call at which the process ends.
    fn ends(&self) -> bool {
        let mut left = self.calls_left.lock().unwrap();
        let ends = *left == Some(0);
        *left = left.and_then(|left| left.checked_sub(1));
        ends
    }
}

impl Faults for Line {
    fn fate(&self, call: &'static str) -> Fate {
        if self.has_ended() {
            return Fate::Fails(StoreError::Unavailable("the process has ended".into()));
        }
        let fate = self.chaos.draw(call);
        if !self.ends() {
            return fate;
        }
        self.end_now();
        match fate {
            Fate::Done => Fate::DoneButFails(unreachable()),
            _ => Fate::Fails(unreachable()),
        }
    }

    fn before_write(&self, batch: &mut WriteBatch) -> Result<()> {
        let mark = format!("\"{POISON}").into_bytes();
        let is_poisoned = |header: &[u8]| header.windows(mark.len()).any(|window| window == mark);
        if batch.events.iter().any(|event| is_poisoned(&event.header)) {
            return Err(StoreError::Refused("poison".into()));
        }
        if self.chaos.broken == Some(Broken::Doubles) {
            batch.commands.clear();
        }
        Ok(())
    }
}

/// The published place.
#[derive(Default)]
pub(crate) struct Place {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    /// Every checkpoint that stood there.
    checkpoints: Mutex<Vec<String>>,
}

impl Place {
    pub(crate) fn checkpoints(&self) -> Vec<String> {
        self.checkpoints.lock().unwrap().clone()
    }

    fn put(&self, path: &str, bytes: Vec<u8>) {
        if path == "checkpoint" {
            self.checkpoints.lock().unwrap().push(String::from_utf8(bytes.clone()).unwrap());
        }
        self.files.lock().unwrap().insert(path.into(), bytes);
    }
}

/// As the verifier reads it.
impl Source for Place {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.files.lock().unwrap().get(path).cloned())
    }

    fn partials(&self, path: &str) -> io::Result<Vec<u8>> {
        let files = self.files.lock().unwrap();
        let widths =
            files.keys().filter_map(|file| file.strip_prefix(path)?.strip_prefix(".p/")?.parse().ok());
        Ok(widths.collect())
    }
}

/// The published place as one process reaches it.
pub(crate) struct Reached {
    pub(crate) place: Arc<Place>,
    pub(crate) line: Arc<Line>,
}

impl Reached {
    fn call<T>(
        &self,
        call: &'static str,
        work: impl FnOnce(&Place) -> T,
    ) -> std::result::Result<T, SealError> {
        let failed = |error: StoreError| {
            Err(SealError::Publication { path: "the published place".into(), error: error.to_string() })
        };
        match self.line.fate(call) {
            Fate::Done => Ok(work(&self.place)),
            Fate::DoneButFails(error) => {
                work(&self.place);
                failed(error)
            }
            Fate::Fails(error) => failed(error),
            Fate::Pretended => failed(unreachable()),
        }
    }
}

#[async_trait]
impl Publication for Reached {
    async fn put(&self, path: &str, bytes: Vec<u8>) -> std::result::Result<(), SealError> {
        self.call("place.put", |place| place.put(path, bytes))
    }

    async fn get(&self, path: &str) -> std::result::Result<Option<Vec<u8>>, SealError> {
        self.call("place.get", |place| place.files.lock().unwrap().get(path).cloned())
    }

    async fn remove_folder(&self, path: &str) -> std::result::Result<(), SealError> {
        let below = format!("{path}/");
        self.call("place.remove", |place| {
            place.files.lock().unwrap().retain(|file, _| !file.starts_with(&below));
        })
    }
}
