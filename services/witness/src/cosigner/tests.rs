use std::sync::Mutex;

use trialseal_runtime::clock::ManualClock;
use trialseal_seal::checkpoint::cosign;
use trialseal_seal::hash::sha256;
use trialseal_seal::note::{KeyKind, Signer};

use super::*;
use crate::journal::Journal;

const ORIGIN: &str = "ledger.example.org/main";
const NOW: i64 = 1_800_000_000;

/// A disk in memory, on which the n-th write fails.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<(Vec<String>, usize, bool)>>);

impl Memory {
    fn notes(&self) -> Vec<String> {
        self.0.lock().unwrap().0.clone()
    }

    fn writes(&self) -> usize {
        self.0.lock().unwrap().1
    }

    fn breaks(&self) {
        self.0.lock().unwrap().2 = true;
    }

    fn write(&self, write: impl FnOnce(&mut Vec<String>)) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if disk.2 {
            return Err(io::Error::other("no space left"));
        }
        disk.1 += 1;
        write(&mut disk.0);
        Ok(())
    }
}

impl Storage for Memory {
    fn append(&mut self, notes: &[&str]) -> io::Result<()> {
        self.write(|kept| kept.extend(notes.iter().map(|note| (*note).to_owned())))
    }

    fn is_large(&self) -> bool {
        self.notes().len() > 3
    }

    fn rewrite(&mut self, notes: &[&str]) -> io::Result<()> {
        self.write(|kept| *kept = notes.iter().map(|note| (*note).to_owned()).collect())
    }
}

fn keys() -> Keys {
    Keys::new("witness.example.org/w1", [&[9; 32]], None).unwrap()
}

/// A log that has only ever doubled: the root of each size, and the proof from half of it.
fn root(size: u64) -> Hash {
    match size {
        0 => Sha2::empty(),
        1 => Sha2::leaf(&[b"a"]),
        _ => Sha2::node(&root(size / 2), &sha256(&size.to_be_bytes())),
    }
}

fn submission(origin: &str, old_size: u64, size: u64) -> Submission {
    let log = Signer::new(origin, KeyKind::Ed25519, &[1; 32]).unwrap();
    let checkpoint = Checkpoint { origin: origin.into(), size, root: root(size) };
    let grows = 0 < old_size && old_size < size;
    let proof = if grows { vec![sha256(&size.to_be_bytes())] } else { Vec::new() };
    Submission { old_size, proof, note: checkpoint.sign(&log).unwrap(), checkpoint }
}

struct Bench {
    disk: Memory,
    clock: Arc<ManualClock>,
    published: Arc<Published>,
    cosigner: Cosigner<Memory>,
}

impl Bench {
    fn new() -> Self {
        Self::on(Memory::default()).unwrap()
    }

    fn on(disk: Memory) -> Result<Self> {
        let clock = Arc::new(ManualClock::new(NOW * 1_000_000));
        let published = Arc::<Published>::default();
        let notes = disk.notes();
        let (time, seen): (Arc<dyn Clock>, _) = (clock.clone(), Arc::clone(&published));
        let cosigner = Cosigner::new(keys(), time, disk.clone(), notes, seen)?;
        Ok(Self { disk, clock, published, cosigner })
    }

    /// One batch.
    fn ask(&mut self, submissions: Vec<Submission>) -> Vec<Answer> {
        self.try_ask(submissions).1
    }

    fn try_ask(&mut self, submissions: Vec<Submission>) -> (io::Result<()>, Vec<Answer>) {
        let (jobs, mut answers): (Vec<_>, Vec<_>) = submissions
            .into_iter()
            .map(|submission| {
                let (answer, answered) = oneshot::channel();
                (Job { submission, answer }, answered)
            })
            .unzip();
        let done = self.cosigner.answer(jobs.into_iter());
        let answers = answers.iter_mut().map(|answer| answer.try_recv().unwrap_or(Err(Refusal::Unavailable)));
        (done, answers.collect())
    }

    fn one(&mut self, old_size: u64, size: u64) -> Answer {
        self.ask(vec![submission(ORIGIN, old_size, size)]).remove(0)
    }
}

/// The time in the cosignature that an answer is.
fn time(answer: &Answer, size: u64) -> i64 {
    let line = NoteSignature::parse(answer.as_ref().unwrap().strip_suffix('\n').unwrap()).unwrap();
    let text = submission(ORIGIN, 0, size).note.text;
    verify_cosignature(&keys().ed25519()[0], &text, &line).unwrap().cast_signed()
}

#[test]
fn a_batch_is_decided_one_by_one_and_stored_at_once() {
    let mut bench = Bench::new();
    let before = bench.disk.writes();
    let other = "ledger.example.org/other";
    let answers = bench.ask(vec![
        submission(ORIGIN, 0, 4),
        submission(ORIGIN, 0, 2),
        submission(other, 0, 1),
        submission(ORIGIN, 4, 8),
        submission(ORIGIN, 4, 8),
    ]);
    assert_eq!(time(&answers[0], 4), NOW);
    assert_eq!(answers[1], Err(Refusal::Conflict(4)));
    assert!(answers[2].is_ok());
    assert_eq!(time(&answers[3], 8), NOW);
    assert_eq!(answers[4], Err(Refusal::Conflict(8)));
    assert_eq!((bench.disk.writes() - before, bench.disk.notes().len()), (1, 3));

    let before = bench.disk.writes();
    assert_eq!(bench.one(4, 8), Err(Refusal::Conflict(8)));
    assert_eq!(bench.disk.writes(), before, "nothing new, nothing stored");
}

#[test]
fn what_does_not_follow_is_refused_and_changes_nothing() {
    let mut bench = Bench::new();
    let with = |change: fn(&mut Submission), old, new| {
        let mut submission = submission(ORIGIN, old, new);
        change(&mut submission);
        vec![submission]
    };
    let fork = |submission: &mut Submission| submission.checkpoint.root = sha256(b"fork");
    let too_long = |submission: &mut Submission| submission.proof.push(sha256(b"more"));
    let refused = |bench: &mut Bench, submissions| bench.ask(submissions).remove(0).unwrap_err();

    // The tree of a log that was never seen is the empty one.
    assert_eq!(refused(&mut bench, with(fork, 0, 0)), Refusal::OtherRoot(0));
    assert!(matches!(refused(&mut bench, with(too_long, 0, 4)), Refusal::Inconsistent(_)));
    assert_eq!(refused(&mut bench, with(|_| (), 2, 4)), Refusal::Conflict(0));
    assert!(bench.one(0, 0).is_ok());
    assert!(bench.one(0, 4).is_ok());
    let kept = bench.disk.notes();
    assert_eq!(refused(&mut bench, with(fork, 4, 4)), Refusal::OtherRoot(4));
    assert!(matches!(refused(&mut bench, with(fork, 4, 8)), Refusal::Inconsistent(_)));
    assert!(matches!(refused(&mut bench, with(too_long, 4, 8)), Refusal::Inconsistent(_)));
    assert!(matches!(refused(&mut bench, with(too_long, 4, 4)), Refusal::Inconsistent(_)));
    assert!(matches!(refused(&mut bench, with(|it| it.proof.clear(), 4, 8)), Refusal::Inconsistent(_)));
    assert_eq!(bench.disk.notes(), kept);
    assert!(bench.one(4, 4).is_ok(), "the same again is cosigned again");
    assert!(bench.one(4, 8).is_ok());
}

#[test]
fn times_are_never_zero_and_never_go_back() {
    let mut bench = Bench::new();
    assert_eq!(time(&bench.one(0, 4), 4), NOW);
    for (clock, expected) in [(NOW + 9, NOW + 9), (NOW, NOW + 9), (NOW - 51, NOW + 9), (NOW + 10, NOW + 10)] {
        bench.clock.set(clock * 1_000_000);
        assert_eq!(time(&bench.one(4, 4), 4), expected);
    }
    for wrong in [NOW - 51, 0, -5] {
        bench.clock.set(wrong * 1_000_000);
        assert_eq!(bench.one(4, 4), Err(Refusal::Clock));
    }
    // Nor after a start.
    let mut again = Bench::on(bench.disk).unwrap();
    again.clock.set((NOW + 5) * 1_000_000);
    assert_eq!(time(&again.one(4, 8), 8), NOW + 10);

    let mut unset = Bench::new();
    unset.clock.set(999_999);
    assert_eq!(unset.one(0, 4), Err(Refusal::Clock));
    assert!(unset.disk.notes().is_empty());
}

#[test]
fn what_cannot_be_stored_is_told_to_nobody() {
    let mut bench = Bench::new();
    assert!(bench.one(0, 4).is_ok());
    let heard = bench.published.newest(ORIGIN).unwrap();
    bench.disk.breaks();
    let batch = vec![submission(ORIGIN, 4, 8), submission(ORIGIN, 4, 8)];
    let (done, answers) = bench.try_ask(batch);
    assert!(done.is_err());
    assert_eq!(
        answers,
        [Err(Refusal::Unavailable), Err(Refusal::Unavailable)],
        "not even that 8 is the size"
    );
    assert_eq!(bench.published.newest(ORIGIN), Some(heard));
}

#[test]
fn the_thread_ends_with_the_error_and_with_the_last_asker() {
    let bench = Bench::new();
    let disk = bench.disk.clone();
    let (queue, jobs) = mpsc::channel(8);
    let thread = std::thread::spawn(|| bench.cosigner.run(jobs));
    let ask = |old_size, size| {
        let (answer, answered) = oneshot::channel();
        let _ = queue.blocking_send(Job { submission: submission(ORIGIN, old_size, size), answer });
        answered.blocking_recv()
    };
    assert!(ask(0, 4).unwrap().is_ok());
    disk.breaks();
    assert!(ask(4, 8).is_err());
    assert!(format!("{:#}", thread.join().unwrap().unwrap_err()).contains("no space left"));

    let bench = Bench::new();
    let (queue, jobs) = mpsc::channel(8);
    let thread = std::thread::spawn(|| bench.cosigner.run(jobs));
    drop(queue);
    thread.join().unwrap().unwrap();
}

#[test]
fn a_start_goes_on_with_what_was_cosigned_and_writes_it_anew() {
    let mut bench = Bench::new();
    for (old, new) in [(0, 1), (1, 2), (2, 4)] {
        assert!(bench.one(old, new).is_ok());
    }
    let newest = bench.published.newest(ORIGIN).unwrap();
    assert_eq!(bench.disk.notes().len(), 3);
    let mut again = Bench::on(bench.disk).unwrap();
    assert_eq!(again.disk.notes(), [newest.to_string()]);
    assert_eq!(again.published.newest(ORIGIN), Some(newest));
    assert_eq!(again.one(2, 4), Err(Refusal::Conflict(4)));
    // Until it is large again.
    for (old, new) in [(4, 8), (8, 16), (16, 32)] {
        assert!(again.one(old, new).is_ok());
    }
    assert_eq!(again.disk.notes().len(), 1);
}

#[test]
fn a_journal_that_cannot_be_this_witnesss_is_refused() {
    let mut bench = Bench::new();
    assert!(bench.one(0, 4).is_ok());
    let note = bench.disk.notes().remove(0);
    let log = submission(ORIGIN, 0, 4).note;
    let other = Signer::new("witness.example.org/w1", KeyKind::Cosignature, &[8; 32]).unwrap();
    let by_other =
        SignedNote { signatures: vec![cosign(&other, &log.text, 1).unwrap()], text: log.text.clone() };
    let smaller = submission(ORIGIN, 0, 2).note.encode();
    let mut forged = SignedNote::parse(&note).unwrap();
    forged.signatures[1].signature[20] ^= 1;
    for (notes, expected) in [
        (vec![note, smaller], "a log goes back"),
        (vec![by_other.encode()], "written with another key"),
        (vec![forged.encode()], "does not verify"),
        (vec!["no note".to_owned()], "this is not a signed note"),
    ] {
        let disk = Memory::default();
        disk.0.lock().unwrap().0 = notes;
        let error = format!("{:#}", Bench::on(disk).err().unwrap());
        assert!(error.starts_with("the journal cannot be used: ") && error.contains(expected), "{error}");
    }
}

#[test]
fn a_journal_on_the_disk_keeps_what_a_witness_needs() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let (journal, notes) = Journal::open(dir.path()).unwrap();
        Cosigner::new(keys(), Arc::new(ManualClock::new(NOW * 1_000_000)), journal, notes, Arc::default())
    };
    drop(Journal::create(dir.path()).unwrap());
    for (old, new) in [(0, 4), (4, 8)] {
        let mut cosigner = start().unwrap();
        let (answer, mut answered) = oneshot::channel();
        let job = Job { submission: submission(ORIGIN, old, new), answer };
        cosigner.answer(std::iter::once(job)).unwrap();
        assert!(answered.try_recv().unwrap().is_ok());
    }
    assert_eq!(start().unwrap().latest[ORIGIN].size, 8);
}
