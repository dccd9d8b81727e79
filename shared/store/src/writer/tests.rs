use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use trialseal_record::ids::{ParticipantId, StreamId, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;
use uuid::Uuid;

use super::{Append, AppendError, Expected, NaturalKey, NewEvent, Writer, WriterSettings};
use crate::error::{Result, StoreError};
use crate::memory::MemoryStore;
use crate::ports::{AppendTx, Appends, Election, Events};
use crate::progress::Progress;
use crate::rows::{CommandId, CommandRow, LedgerHead, StreamVersion, WriteBatch};

mod election;
mod lanes;

/// Bodies that the faulty engine refuses.
const POISON: &[u8] = b"poison";

/// A store whose commits can be made to fail.
struct Faulty {
    store: MemoryStore,
    /// 0: sound. 1: the next commit is lost. 2: the next commit is done and its answer lost. 3: asks to try again once.
    /// 4 and 5: as 1 and 2, and another process is elected.
    fault: Arc<AtomicU8>,
}

struct FaultyTx {
    tx: Box<dyn AppendTx>,
    store: MemoryStore,
    fault: Arc<AtomicU8>,
}

#[async_trait]
impl Appends for Faulty {
    async fn begin_append(&self) -> Result<Box<dyn AppendTx>> {
        let (store, fault) = (self.store.clone(), Arc::clone(&self.fault));
        Ok(Box::new(FaultyTx { tx: store.begin_append().await?, store, fault }))
    }
    async fn command(&self, id: &CommandId) -> Result<Option<CommandRow>> {
        self.store.command(id).await
    }
}

#[async_trait]
impl AppendTx for FaultyTx {
    fn head(&self) -> LedgerHead {
        self.tx.head()
    }
    async fn commands(&mut self, ids: &[CommandId]) -> Result<Vec<CommandRow>> {
        self.tx.commands(ids).await
    }
    async fn trial_sizes(&mut self, trials: &[TrialId]) -> Result<Vec<(TrialId, u64)>> {
        self.tx.trial_sizes(trials).await
    }
    async fn stream_versions(&mut self, streams: &[(TrialId, StreamId)]) -> Result<Vec<StreamVersion>> {
        self.tx.stream_versions(streams).await
    }
    async fn taken(&mut self, keys: &[(TrialId, [u8; 32])]) -> Result<Vec<(TrialId, [u8; 32])>> {
        self.tx.taken(keys).await
    }
    async fn write(&mut self, batch: &WriteBatch) -> Result<()> {
        if batch.events.iter().any(|event| event.body == POISON) {
            return Err(StoreError::Refused("a NUL in a text".into()));
        }
        self.tx.write(batch).await
    }
    async fn commit(self: Box<Self>) -> Result<()> {
        let broken = || StoreError::Unavailable("the connection broke".into());
        let fault = self.fault.swap(0, Ordering::SeqCst);
        match fault {
            1 => Err(broken()),
            2 => {
                self.tx.commit().await?;
                Err(broken())
            }
            4 | 5 => {
                let Self { tx, store, .. } = *self;
                if fault == 5 {
                    tx.commit().await?;
                } else {
                    drop(tx);
                }
                store.stand(OTHER, Duration::from_mins(1)).await?;
                Err(broken())
            }
            3 => Err(StoreError::TryAgain("serialization failure".into())),
            _ => self.tx.commit().await,
        }
    }
}

/// Another process.
const OTHER: Uuid = Uuid::from_u128(77);

struct Bench {
    store: Arc<Faulty>,
    writer: Writer,
    clock: Arc<AtomicI64>,
}

fn bench(settings: WriterSettings) -> Bench {
    let store = Faulty { store: MemoryStore::new("test.example/ledger"), fault: Arc::default() };
    bench_on(Arc::new(store), settings)
}

fn bench_on(store: Arc<Faulty>, settings: WriterSettings) -> Bench {
    let clock = Arc::new(AtomicI64::new(1_000_000));
    let time = Arc::clone(&clock);
    let events: Arc<dyn Events> = Arc::new(Shared(Arc::clone(&store)));
    let writer = Writer::spawn(
        Arc::clone(&store) as Arc<dyn Appends>,
        events,
        Arc::new(move || Timestamp::from_micros(time.load(Ordering::SeqCst))),
        Arc::new(Progress::new()),
        settings,
    );
    Bench { store, writer, clock }
}

/// The reading half of the faulty store.
struct Shared(Arc<Faulty>);

#[async_trait]
impl Events for Shared {
    fn origin(&self) -> &str {
        self.0.store.origin()
    }
    async fn head(&self) -> Result<LedgerHead> {
        self.0.store.head().await
    }
    async fn trial_size(&self, trial: &TrialId) -> Result<Option<u64>> {
        self.0.store.trial_size(trial).await
    }
    async fn trials(&self, after: Option<&TrialId>, limit: u32) -> Result<Vec<(TrialId, u64)>> {
        self.0.store.trials(after, limit).await
    }
    async fn since_position(&self, from: u64, limit: u32) -> Result<Vec<crate::EventRow>> {
        self.0.store.since_position(from, limit).await
    }
    async fn of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<crate::EventRow>> {
        self.0.store.of_trial(trial, from, limit).await
    }
    async fn of_stream(
        &self,
        trial: &TrialId,
        stream: &StreamId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<crate::EventRow>> {
        self.0.store.of_stream(trial, stream, from, limit).await
    }
    async fn leaves_from_position(&self, from: u64, limit: u32) -> Result<Vec<crate::LeafRow>> {
        self.0.store.leaves_from_position(from, limit).await
    }
    async fn leaves_of_trial(&self, trial: &TrialId, from: u64, limit: u32) -> Result<Vec<Hash>> {
        self.0.store.leaves_of_trial(trial, from, limit).await
    }
    async fn stream_of(&self, trial: &TrialId, key: &[u8; 32]) -> Result<Option<StreamId>> {
        self.0.store.stream_of(trial, key).await
    }
}

fn trial(n: u8) -> TrialId {
    format!("T-{n}").parse().unwrap()
}

fn stream(n: u128) -> StreamId {
    StreamId::participant(ParticipantId(Uuid::from_u128(n)))
}

fn command(n: u64) -> CommandId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&n.to_be_bytes());
    id
}

/// An append of one event for each body.
fn append(n: u64, trial: &TrialId, stream: StreamId, expected: Option<u64>, bodies: &[&[u8]]) -> Append {
    let event = |body: &&[u8]| NewEvent {
        stream,
        id: uuid::Builder::from_unix_timestamp_millis(n, &[1; 10]).into_uuid(),
        kind: "visit.occurred".into(),
        schema_version: 1,
        dataroot: Hash::ZERO,
        actor: "user:1".into(),
        actorrole: "investigator".into(),
        correlationid: None,
        causationid: None,
        extra: BTreeMap::new(),
        key: Uuid::nil(),
        body: body.to_vec(),
    };
    Append {
        command: command(n),
        digest: [7; 32],
        trial: trial.clone(),
        new_trial: false,
        expected: expected.map(|version| Expected { stream, version }).into_iter().collect(),
        natural_keys: Vec::new(),
        events: bodies.iter().map(event).collect(),
    }
}

async fn begin(bench: &Bench, trial: &TrialId) {
    let mut first =
        append(u64::MAX - u64::from(trial.as_str().as_bytes()[2]), trial, stream(0), Some(0), &[b"first"]);
    first.new_trial = true;
    bench.writer.append(first).await.unwrap();
}

#[tokio::test]
async fn many_callers_get_places_without_gaps() {
    let bench = bench(WriterSettings { batch_events: 16, ..WriterSettings::default() });
    for n in 0..3 {
        begin(&bench, &trial(n)).await;
    }
    let calls = (1..=100u64).map(|n| {
        let writer = bench.writer.clone();
        let trial = trial(u8::try_from(n % 3).unwrap());
        tokio::spawn(async move {
            writer.append(append(n, &trial, stream(u128::from(n % 7)), None, &[b"a", b"b"])).await
        })
    });
    for call in calls.collect::<Vec<_>>() {
        let events = call.await.unwrap().unwrap().events;
        assert_eq!(events[0].trialseq + 1, events[1].trialseq);
        assert_eq!(events[0].position + 1, events[1].position);
    }
    let rows = bench.store.store.since_position(0, 1_000).await.unwrap();
    assert_eq!(rows.len(), 203);
    let mut trials = BTreeMap::new();
    let mut streams = BTreeMap::new();
    for (position, row) in rows.iter().enumerate() {
        assert_eq!(row.position, position as u64);
        let header = row.checked_header().unwrap();
        assert_eq!(header.source, "test.example/ledger");
        let next = trials.entry(row.trial.clone()).or_insert(0);
        assert_eq!(row.trialseq, *next);
        *next += 1;
        let next = streams.entry((row.trial.clone(), row.stream)).or_insert(0);
        assert_eq!(row.streamseq, *next);
        *next += 1;
    }
}

#[tokio::test]
async fn a_conflict_refuses_one_append_and_no_other() {
    let bench = bench(WriterSettings::default());
    begin(&bench, &trial(1)).await;
    let good = bench.writer.append(append(1, &trial(1), stream(1), Some(0), &[b"a"]));
    let stale = bench.writer.append(append(2, &trial(1), stream(1), Some(0), &[b"b"]));
    let other = bench.writer.append(append(3, &trial(1), stream(2), Some(0), &[b"c"]));
    let (good, stale, other) = tokio::join!(good, stale, other);
    assert!(good.is_ok() && other.is_ok());
    assert!(matches!(stale, Err(AppendError::VersionConflict { actual: 1, .. })));
    assert_eq!(bench.store.store.head().await.unwrap().position, 3);
}

/// Each writer keeps what its last batch left, which the other's batch makes outdated; and a batch that failed leaves nothing.
#[tokio::test]
async fn what_another_writer_wrote_is_seen() {
    let one = bench(WriterSettings::default());
    let other = bench_on(Arc::clone(&one.store), WriterSettings::default());
    begin(&one, &trial(1)).await;
    for version in 0..6 {
        let (turn, waits) = if version % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let stale = append(100 + version, &trial(1), stream(1), Some(version + 1), &[b"a"]);
        let refused = waits.writer.append(stale).await;
        assert!(matches!(refused, Err(AppendError::VersionConflict { actual, .. }) if actual == version));
        turn.store.fault.store(1, Ordering::SeqCst);
        let sent = append(version + 1, &trial(1), stream(1), Some(version), &[b"a"]);
        let event = &turn.writer.append(sent).await.unwrap().events[0];
        assert_eq!((event.trialseq, event.streamseq), (version + 1, version));
    }
    assert_eq!(one.store.store.head().await.unwrap().position, 7);
}

#[tokio::test]
async fn a_stream_that_was_only_read_is_checked_as_well() {
    let bench = bench(WriterSettings::default());
    begin(&bench, &trial(1)).await;
    let mut rests_on_consent = append(1, &trial(1), stream(1), Some(0), &[b"a"]);
    rests_on_consent.expected.push(Expected { stream: stream(0), version: 0 });
    let refused = bench.writer.append(rests_on_consent).await;
    assert!(matches!(refused, Err(AppendError::VersionConflict { actual: 1, .. })));
}

#[tokio::test]
async fn the_same_command_gets_the_same_answer_and_another_content_is_refused() {
    let bench = bench(WriterSettings::default());
    begin(&bench, &trial(1)).await;
    let sent = append(1, &trial(1), stream(1), Some(0), &[b"a", b"b"]);
    let (first, again) = tokio::join!(bench.writer.append(sent.clone()), bench.writer.append(sent.clone()));
    let (first, again) = (first.unwrap(), again.unwrap());
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(first.events, again.events);
    let later = bench.writer.append(sent.clone()).await.unwrap();
    assert_eq!((later.replayed, later.events), (true, first.events));
    let other = Append { digest: [8; 32], ..sent };
    assert!(matches!(bench.writer.append(other).await, Err(AppendError::CommandReused)));
    assert_eq!(bench.store.store.head().await.unwrap().position, 3);
}

#[tokio::test]
async fn a_trial_is_made_once_and_before_anything_is_appended_to_it() {
    let bench = bench(WriterSettings::default());
    let early = bench.writer.append(append(1, &trial(1), stream(1), None, &[b"a"])).await;
    assert!(matches!(early, Err(AppendError::UnknownTrial)));
    begin(&bench, &trial(1)).await;
    let mut twice = append(2, &trial(1), stream(2), None, &[b"a"]);
    twice.new_trial = true;
    assert!(matches!(bench.writer.append(twice).await, Err(AppendError::TrialExists)));
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let bench = bench(WriterSettings::default());
    begin(&bench, &trial(1)).await;
    let naming = |n: u64| {
        let bearer = stream(u128::from(n));
        let natural_keys = vec![NaturalKey { key: [9; 32], stream: bearer, rule: "subject-number" }];
        Append { natural_keys, ..append(n, &trial(1), bearer, Some(0), &[b"a"]) }
    };
    let (first, second) = tokio::join!(bench.writer.append(naming(1)), bench.writer.append(naming(2)));
    assert!(first.is_ok());
    assert!(matches!(second, Err(AppendError::NaturalKeyTaken { rule: "subject-number" })));
    assert_eq!(bench.store.store.stream_of(&trial(1), &[9; 32]).await.unwrap(), Some(stream(1)));
}

#[tokio::test]
async fn a_poisoned_append_fails_alone() {
    let bench = bench(WriterSettings::default());
    begin(&bench, &trial(1)).await;
    let calls: Vec<_> = (1..=9u64)
        .map(|n| {
            let (writer, body) = (bench.writer.clone(), if n == 5 { POISON } else { b"sound" });
            let sent = append(n, &trial(1), stream(u128::from(n)), Some(0), &[body]);
            tokio::spawn(async move { writer.append(sent).await })
        })
        .collect();
    for (n, call) in (1..).zip(calls) {
        assert_eq!(call.await.unwrap().is_err(), n == 5, "append {n}");
    }
    let rows = bench.store.store.since_position(0, 100).await.unwrap();
    assert_eq!(rows.len(), 9);
    assert!(rows.iter().all(|row| row.body != POISON));
}

#[tokio::test]
async fn a_commit_in_doubt_is_looked_up_before_anybody_is_answered() {
    let bench = bench(WriterSettings::default());
    begin(&bench, &trial(1)).await;
    bench.store.fault.store(2, Ordering::SeqCst);
    let done = bench.writer.append(append(1, &trial(1), stream(1), Some(0), &[b"a"])).await.unwrap();
    assert_eq!(done.events[0].trialseq, 1);
    bench.store.fault.store(1, Ordering::SeqCst);
    let tried_again = bench.writer.append(append(2, &trial(1), stream(2), Some(0), &[b"b"])).await.unwrap();
    assert_eq!((tried_again.replayed, tried_again.events[0].trialseq), (false, 2));
    assert_eq!(bench.store.store.head().await.unwrap().position, 3);
}

#[tokio::test]
async fn what_rested_on_a_lost_commit_is_decided_anew() {
    let bench = bench(WriterSettings::default());
    begin(&bench, &trial(1)).await;
    let named = |n: u64, digest: u8| Append {
        natural_keys: vec![NaturalKey { key: [9; 32], stream: stream(1), rule: "subject-number" }],
        digest: [digest; 32],
        ..append(n, &trial(1), stream(1), Some(0), &[b"a"])
    };
    // While the lock is held elsewhere, all of them come into one batch, whose first commit is lost.
    let held = bench.store.store.begin_append().await.unwrap();
    let send = |append: Append| {
        let writer = bench.writer.clone();
        tokio::spawn(async move { writer.append(append).await })
    };
    let opening = send(append(9, &trial(1), stream(9), Some(0), &[b"z"]));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let sent = [send(named(1, 7)), send(named(1, 7)), send(named(1, 8)), send(named(2, 7))];
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(held);
    assert!(opening.await.unwrap().is_ok());
    bench.store.fault.store(1, Ordering::SeqCst);
    let [first, again, other, taken] = sent;
    let (first, again) = (first.await.unwrap().unwrap(), again.await.unwrap().unwrap());
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(first.events, again.events);
    assert!(matches!(other.await.unwrap(), Err(AppendError::CommandReused)));
    assert!(taken.await.unwrap().is_err());
    let rows = bench.store.store.of_stream(&trial(1), &stream(1), 0, 10).await.unwrap();
    assert_eq!(rows.len(), 1);
}

#[tokio::test]
async fn a_header_that_nobody_could_read_is_not_written() {
    let bench = bench(WriterSettings::default());
    begin(&bench, &trial(1)).await;
    let mut nameless = append(1, &trial(1), stream(1), Some(0), &[b"a"]);
    nameless.events[0].actor = String::new();
    assert!(matches!(bench.writer.append(nameless).await, Err(AppendError::Unacceptable(_))));
    assert_eq!(bench.store.store.head().await.unwrap().position, 1);
}

#[tokio::test]
async fn a_name_that_stands_twice_in_one_append_is_taken() {
    let bench = bench(WriterSettings::default());
    begin(&bench, &trial(1)).await;
    let key = NaturalKey { key: [9; 32], stream: stream(1), rule: "subject-number" };
    let twice =
        Append { natural_keys: vec![key.clone(), key], ..append(1, &trial(1), stream(1), Some(0), &[b"a"]) };
    assert!(matches!(bench.writer.append(twice).await, Err(AppendError::NaturalKeyTaken { .. })));
}

#[tokio::test]
async fn a_batch_is_tried_again_when_the_database_asks_for_it() {
    let bench = bench(WriterSettings::default());
    begin(&bench, &trial(1)).await;
    bench.store.fault.store(3, Ordering::SeqCst);
    assert!(bench.writer.append(append(1, &trial(1), stream(1), Some(0), &[b"a"])).await.is_ok());
    assert_eq!(bench.store.store.head().await.unwrap().position, 2);
}

#[tokio::test]
async fn times_never_go_back() {
    let bench = bench(WriterSettings::default());
    begin(&bench, &trial(1)).await;
    bench.clock.store(5, Ordering::SeqCst);
    bench.writer.append(append(1, &trial(1), stream(1), Some(0), &[b"a"])).await.unwrap();
    let rows = bench.store.store.since_position(0, 10).await.unwrap();
    let times: Vec<_> = rows.iter().map(|row| row.checked_header().unwrap().time.micros()).collect();
    assert_eq!(times, [1_000_000, 1_000_000]);
}

#[tokio::test]
async fn a_full_queue_and_a_lagging_sealer_say_busy() {
    let settings = WriterSettings {
        unsealed_events: 2,
        patience: Duration::from_millis(50),
        ..WriterSettings::default()
    };
    let bench = bench(settings);
    begin(&bench, &trial(1)).await;
    bench.writer.append(append(1, &trial(1), stream(1), Some(0), &[b"a", b"b"])).await.unwrap();
    let lagging = bench.writer.append(append(2, &trial(1), stream(1), Some(2), &[b"c"])).await;
    assert!(matches!(lagging, Err(AppendError::Busy(_))));

    let settings =
        WriterSettings { queue_events: 3, patience: Duration::from_millis(50), ..WriterSettings::default() };
    let bench = self::bench(settings);
    begin(&bench, &trial(1)).await;
    let held = bench.store.store.begin_append().await.unwrap();
    let writer = bench.writer.clone();
    let first =
        tokio::spawn(
            async move { writer.append(append(1, &trial(1), stream(1), None, &[b"a", b"b"])).await },
        );
    tokio::task::yield_now().await;
    let full = bench.writer.append(append(2, &trial(1), stream(2), None, &[b"a", b"b"])).await;
    assert!(matches!(full, Err(AppendError::Busy(_))));
    drop(held);
    assert!(first.await.unwrap().is_ok());
}

#[tokio::test]
async fn an_append_without_events_or_with_too_many_is_refused() {
    let bench = bench(WriterSettings { batch_events: 2, ..WriterSettings::default() });
    let none = bench.writer.append(append(1, &trial(1), stream(1), None, &[])).await;
    assert!(matches!(none, Err(AppendError::Unacceptable(_))));
    let many = bench.writer.append(append(1, &trial(1), stream(1), None, &[b"a", b"b", b"c"])).await;
    assert!(matches!(many, Err(AppendError::Unacceptable(_))));
}
