//! The table of faults: each call that a process makes to publish a seal, to the file system or to the database, fails in
//! each way that it can, one at a time. Whatever it was, what is public verifies, and the next round mends it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tempfile::TempDir;
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::{entries_path, note_path, tile_path};
use trialseal_sealer::{Folder, SealError, Sealer};
use trialseal_store::faults::FaultyStore;
use trialseal_store::memory::MemoryStore;
use trialseal_store::{
    Appends, EventRow, Events, LedgerHead, NodeRow, SealWrite, Seals, StreamVersion, TreeName, WriteBatch,
};

use crate::audit::{audit, read_note};
use crate::bench::{Bench, ORIGIN};
use crate::unreliable::{Kind, Seen, Unreliable};

/// More rows than any table of these tests has.
const ALL: u32 = 10_000;

/// How often a process has to end in each gap, for the gap to count as tried.
const KILLS_A_GAP: usize = 10;

/// Where a process can end, by what is recorded and public when it does.
const GAPS: [&str; 8] = [
    "before the seal is recorded",
    "seal recorded | checkpoint signed",
    "checkpoint signed | entries written",
    "entries written | tiles written",
    "tiles written | note recorded",
    "note recorded | note written",
    "note written | checkpoint replaced",
    "checkpoint replaced",
];

/// A ledger, and what is public of it, as a process finds it that is about to seal.
struct Start {
    name: &'static str,
    memory: Arc<MemoryStore>,
    public: TempDir,
    published: u64,
    recorded: u64,
}

impl Start {
    /// A ledger with so many published seals, and so many more that are not public.
    async fn new(name: &'static str, published: u64, backlog: u64) -> Self {
        let mut bench = Bench::new();
        let mut sealer = bench.sealer().await.unwrap();
        for seal in 0..published + backlog {
            bench.place.broken.store(seal >= published, Ordering::SeqCst);
            bench.append(if seal % 3 == 0 { "A" } else { "B" }, 1).await;
            assert_eq!(sealer.round(&bench.shutdown).await.is_ok(), seal < published);
        }
        let public = tempfile::tempdir().unwrap();
        for (path, bytes) in bench.place.files.lock().unwrap().iter() {
            let file = public.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        Self { name, memory: bench.memory, public, published, recorded: published + backlog }
    }

    /// A copy of it, with the bench of a process on it.
    async fn copy(&self) -> (Bench, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        if self.published > 0 {
            link_all(self.public.path(), &dir.path().join("log"));
        }
        (Bench::over(copy_of(&self.memory).await), dir)
    }
}

/// Files are replaced and never changed here, so that two folders can have them in common.
fn link_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            link_all(&entry.path(), &to);
        } else {
            fs::hard_link(entry.path(), to).unwrap();
        }
    }
}

/// Another ledger in memory with the same rows, but for those that the sealer does not read.
async fn copy_of(memory: &MemoryStore) -> Arc<MemoryStore> {
    let copy = MemoryStore::new(ORIGIN);
    let LedgerHead { position, time, .. } = memory.head().await.unwrap();
    let (trials, seals) = (memory.trials(None, ALL).await.unwrap(), memory.seals(0, ALL).await.unwrap());
    let mut nodes = Vec::new();
    for tree in trials.iter().map(|(trial, _)| TreeName::Trial(trial.clone())).chain([TreeName::Log]) {
        for (index, hash) in (0..).zip(memory.nodes(&tree, 8, 0, ALL).await.unwrap()) {
            nodes.push(NodeRow { tree: tree.clone(), level: 8, index, hash });
        }
    }
    let (events, commands) = (memory.since_position(0, ALL).await.unwrap(), Vec::new());
    // The last of a stream's rows to be added is the one that counts.
    let version = |row: &EventRow| StreamVersion {
        trial: row.trial.clone(),
        stream: row.stream,
        version: row.streamseq + 1,
    };
    let (streams, natural_keys) = (events.iter().map(version).collect(), Vec::new());
    let mut tx = copy.begin_append().await.unwrap();
    tx.write(&WriteBatch { events, commands, streams, trials, natural_keys, position, time }).await.unwrap();
    tx.commit().await.unwrap();
    for seal in seals {
        let number = seal.number;
        let heads = memory.sealed_heads(number).await.unwrap();
        let heads = heads.into_iter().filter(|head| head.seal == number).collect();
        let mut tx = copy.begin_seal().await.unwrap();
        tx.write(&SealWrite { seal, heads, nodes: std::mem::take(&mut nodes) }).await.unwrap();
        tx.commit().await.unwrap();
        if let Some(note) = memory.note(number + 1).await.unwrap() {
            copy.put_checkpoint(number + 1, &note).await.unwrap();
            copy.put_note(number + 1, &note).await.unwrap();
        }
    }
    Arc::new(copy)
}

/// What became of one fault.
struct Outcome {
    /// The calls of the process to which it happened.
    calls: Vec<String>,
    /// One of [`GAPS`].
    gap: &'static str,
}

struct Run<'a> {
    start: &'a Start,
    bench: Bench,
    dir: TempDir,
    seen: Seen,
}

impl Run<'_> {
    /// Opens a sealer, if there is none, and has it make a round.
    async fn round(&self, process: &Arc<Unreliable>, sealer: &mut Option<Sealer>) -> Result<(), SealError> {
        if sealer.is_none() {
            let store = FaultyStore::new(self.bench.memory.clone(), process.clone());
            let place = Folder::on(process.clone(), self.dir.path().join("log"));
            *sealer = Some(self.bench.sealer_on(Arc::new(store), Arc::new(place)).await?);
        }
        sealer.as_mut().unwrap().round(&self.bench.shutdown).await.map(|_| ())
    }

    fn public(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.dir.path().join("log").join(path)).ok()
    }

    fn published(&self) -> u64 {
        self.public("checkpoint").map_or(0, |note| read_note(&note).size)
    }

    async fn recorded(&self) -> u64 {
        self.bench.memory.head().await.unwrap().seal.map_or(0, |seal| seal.number + 1)
    }

    /// What is public verifies, as far as its checkpoint goes, and was so before.
    async fn audit(&self) -> Vec<Seal> {
        let published = self.published();
        assert!(published >= self.start.published, "the published checkpoint went back");
        if published == 0 {
            return Vec::new();
        }
        let seals = audit(|path| self.public(path));
        assert_eq!(seals.len() as u64, published);
        let seen = self.seen.lock().unwrap().clone();
        for (size, note) in seen {
            assert_eq!(self.bench.memory.checkpoint(size).await.unwrap(), Some(note), "checkpoint {size}");
        }
        seals
    }

    /// As [`Run::audit`], when all is to be there that was recorded.
    async fn audit_whole(&self) {
        let seals = self.audit().await;
        assert_eq!(seals.len() as u64, self.start.recorded + 1);
        let last = seals.last().unwrap();
        assert_eq!(last.events, self.bench.memory.head().await.unwrap().position);
        self.bench.assert_covers(last).await;
    }

    /// Which of [`GAPS`] it is now.
    async fn gap(&self) -> &'static str {
        let (recorded, size) = (self.recorded().await, self.published() + 1);
        let width = u8::try_from(size % 256).ok().filter(|width| *width > 0);
        let tile = |level: u8, count: u64| {
            let width = u8::try_from(count % 256).ok().filter(|width| *width > 0);
            self.public(&tile_path(level, (count - 1) / 256, width)).is_some()
        };
        let published = size - 1;
        let passed = if published == recorded {
            if recorded == self.start.recorded { 0 } else { 7 }
        } else if self.bench.memory.checkpoint(size).await.unwrap().is_none() {
            1
        } else if self.public(&entries_path((size - 1) / 256, width)).is_none() {
            2
        } else if !tile(0, size) || (size.is_multiple_of(256) && !tile(1, size / 256)) {
            3
        } else if self.bench.memory.note(size).await.unwrap().is_none() {
            4
        } else if self.public(&note_path(size)).is_none() {
            5
        } else {
            6
        };
        GAPS[passed]
    }
}

/// Seals once, with one call that does not go well, and sees that what is public is sound, and that it is mended.
async fn run(start: &Start, fault: Option<(usize, Kind)>) -> Outcome {
    let (bench, dir) = start.copy().await;
    let mut run = Run { start, bench, dir, seen: Seen::default() };
    run.bench.append("A", 2).await;
    run.bench.append("C", 1).await;
    let (mut process, mut sealer) = (Unreliable::new(&run.dir.path().join("log"), &run.seen, fault), None);
    let done = run.round(&process, &mut sealer).await;
    let calls = process.calls();
    assert_eq!(done.is_err(), fault.is_some(), "a fault is reported, and nothing else is");
    assert!(done.is_ok() || !done.unwrap_err().is_final(), "a fault is no reason to give up");
    match fault {
        Some((_, Kind::PowerCut)) => process.cut_power(),
        Some(_) => {}
        None => {
            run.audit_whole().await;
            process.cut_power();
            run.audit_whole().await;
        }
    }
    let gap = run.gap().await;
    run.audit().await;
    if fault.is_some_and(|(_, kind)| !kind.is_survived()) {
        (process, sealer) = (process.next_process(), None);
    }
    run.round(&process, &mut sealer).await.unwrap();
    run.audit_whole().await;
    // Another blow, after which a start alone has to do.
    process.cut_power();
    run.audit().await;
    run.round(&process.next_process(), &mut None).await.unwrap();
    run.audit_whole().await;
    Outcome { calls, gap }
}

/// How often a call came to each end.
#[derive(Default)]
struct Table {
    /// By call and kind: how often the seal was not recorded, recorded and not public, public.
    rows: BTreeMap<(String, Kind), [usize; 3]>,
    /// Processes that ended in each gap.
    kills: BTreeMap<&'static str, usize>,
}

impl Table {
    fn count(&mut self, call: &str, kind: Kind, gap: &'static str) {
        let column = match GAPS.iter().position(|name| *name == gap) {
            Some(0) => 0,
            Some(1..=6) => 1,
            _ => 2,
        };
        self.rows.entry((call.to_owned(), kind)).or_default()[column] += 1;
        if !kind.is_survived() {
            *self.kills.entry(gap).or_default() += 1;
        }
    }

    fn print(&self) {
        println!(
            "{:<36} {:<12} {:>12} {:>12} {:>8}",
            "call", "fault", "not recorded", "not public", "public"
        );
        for ((call, kind), [not_recorded, not_public, public]) in &self.rows {
            let kind = format!("{kind:?}");
            println!("{call:<36} {kind:<12} {not_recorded:>12} {not_public:>12} {public:>8}");
        }
        for gap in GAPS {
            println!("killed {:>4} times: {gap}", self.kills.get(gap).unwrap_or(&0));
        }
        let faults: usize = self.rows.values().flatten().sum();
        println!("{faults} faults, each mended by the next round");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_call_fails_what_is_public_is_sound_and_the_next_round_mends_it() {
    let mut table = Table::default();
    for start in [
        Start::new("the first seal", 0, 0).await,
        Start::new("a later seal", 3, 0).await,
        Start::new("a backlog", 2, 2).await,
        Start::new("a seal that fills a tile", 255, 0).await,
    ] {
        let calls = run(&start, None).await.calls;
        println!("{}: {} calls", start.name, calls.len());
        for (number, call) in calls.iter().enumerate() {
            for kind in Kind::of(call) {
                let outcome = run(&start, Some((number, kind))).await;
                assert_eq!(outcome.calls[number], *call, "the same calls, until one of them fails");
                table.count(call, kind, outcome.gap);
            }
        }
    }
    table.print();
    for gap in GAPS {
        let kills = table.kills.get(gap).copied().unwrap_or(0);
        assert!(kills >= KILLS_A_GAP, "{gap}: {kills}");
    }
}

/// A disk that syncs nothing loses what was public: the power cuts above do take something away.
#[tokio::test(start_paused = true)]
async fn what_was_not_synced_is_lost_in_a_power_cut() {
    let start = Start::new("a later seal", 3, 0).await;
    let calls = run(&start, None).await.calls;
    let replaced = calls.iter().position(|call| call == "rename to checkpoint").unwrap();
    let (mut bench, dir) = start.copy().await;
    bench.append("A", 1).await;
    let run = Run { start: &start, bench, dir, seen: Seen::default() };
    let process = Unreliable::new(&run.dir.path().join("log"), &run.seen, Some((replaced, Kind::CrashAfter)));
    run.round(&process, &mut None).await.unwrap_err();
    assert_eq!(run.published(), 4);
    process.cut_power();
    assert_eq!(run.published(), 3);
}
