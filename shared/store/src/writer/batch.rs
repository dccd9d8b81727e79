//! One batch of the writer, from the lock to the answers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use trialseal_record::ids::{StreamId, TrialId};
use trialseal_seal::event::{AfterSeal, Header, eventleaf};
use trialseal_seal::time::Timestamp;

use super::{Append, AppendError, Clock, Expected, NewEvent, Outcome, Waiting, WriterSettings};
use crate::error::StoreError;
use crate::ports::{AppendTx, Appends};
use crate::progress::Progress;
use crate::rows::{CommandId, CommandRow, EventRow, LedgerHead, NaturalKeyRow, StreamVersion, WriteBatch};

/// How often a batch is tried again when the database asks for it, before its callers are told.
const TRIES: u32 = 8;
/// How often the outcome of a commit in doubt is asked for, and how long is waited between.
const LOOKUPS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);
/// Places of a trial and of a stream are at most 2^31 − 1, as the header format says.
const PLACES: u64 = 1 << 31;

pub(super) struct Batcher {
    pub(super) appends: Arc<dyn Appends>,
    pub(super) clock: Clock,
    pub(super) progress: Arc<Progress>,
    pub(super) settings: WriterSettings,
    pub(super) origin: String,
}

type Answers = Vec<Result<Outcome, AppendError>>;

impl Batcher {
    pub(super) async fn run(self, mut waiting: mpsc::UnboundedReceiver<Waiting>) {
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(first) => first,
                None => match waiting.recv().await {
                    Some(first) => first,
                    None => return,
                },
            };
            let (batch, left) = self.gather(first, &mut waiting);
            next = left;
            let (appends, answers): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|w| (w.append, (w.answer, w.places))).unzip();
            let outcomes = self.commit_or_bisect(appends).await;
            for ((answer, places), outcome) in answers.into_iter().zip(outcomes) {
                // A caller that has gone away finds out by sending its command again.
                let _ = answer.send(outcome);
                drop(places);
            }
        }
    }

    /// All that is waiting, up to one transaction's worth; what does not fit any more opens the next batch.
    fn gather(
        &self,
        first: Waiting,
        waiting: &mut mpsc::UnboundedReceiver<Waiting>,
    ) -> (Vec<Waiting>, Option<Waiting>) {
        let mut events = first.append.events.len();
        let mut batch = vec![first];
        while let Ok(more) = waiting.try_recv() {
            events += more.append.events.len();
            if events > self.settings.batch_events {
                return (batch, Some(more));
            }
            batch.push(more);
        }
        (batch, None)
    }

    /// Commits; where the database refuses the batch, halves it, so that one poisoned append fails alone.
    async fn commit_or_bisect(&self, appends: Vec<Append>) -> Answers {
        let mut halves = vec![appends];
        let mut answers = Vec::new();
        while let Some(mut part) = halves.pop() {
            match self.commit(&part).await {
                Ok(outcomes) => answers.extend(outcomes),
                Err(StoreError::Refused(_)) if part.len() > 1 => {
                    let second = part.split_off(part.len() / 2);
                    halves.push(second);
                    halves.push(part);
                }
                Err(error) => answers.extend(part.iter().map(|_| Err(failed(&error, false)))),
            }
        }
        answers
    }

    /// One transaction, tried again for as long as the database asks for that. `Err`: nothing was stored.
    async fn commit(&self, appends: &[Append]) -> Result<Answers, StoreError> {
        let mut pause = Duration::from_millis(2);
        for _ in 1..TRIES {
            match self.commit_once(appends).await {
                Err(StoreError::TryAgain(_)) => tokio::time::sleep(pause).await,
                done => return done,
            }
            pause *= 2;
        }
        self.commit_once(appends).await
    }

    async fn commit_once(&self, appends: &[Append]) -> Result<Answers, StoreError> {
        let mut tx = self.appends.begin_append().await?;
        let head = tx.head();
        if head.position.saturating_sub(head.sealed) > self.settings.unsealed_events {
            return Ok(appends.iter().map(|_| Err(AppendError::Busy("sealing lags behind"))).collect());
        }
        let mut plan = Plan::read(tx.as_mut(), appends).await?;
        let now = (self.clock)().max(head.time);
        let outcomes: Answers =
            appends.iter().map(|append| plan.place(append, &head, now, &self.origin)).collect();
        if plan.write.events.is_empty() {
            return Ok(outcomes);
        }
        let batch = plan.into_batch(now);
        // A crash before the commit leaves nothing; after it, all of the batch is durable, answered or not.
        tx.write(&batch).await?;
        match tx.commit().await {
            Ok(()) => {
                self.progress.set_recorded(batch.position);
                Ok(outcomes)
            }
            Err(StoreError::Unavailable(error)) => Ok(self.ask_again(appends, outcomes, &error).await),
            Err(error) => Err(error),
        }
    }

    /// The connection broke at the commit: looks every command up before anybody is answered.
    async fn ask_again(&self, appends: &[Append], outcomes: Answers, error: &str) -> Answers {
        let Some(witness) =
            appends.iter().zip(&outcomes).find(|(_, o)| matches!(o, Ok(Outcome::Recorded(_))))
        else {
            return outcomes;
        };
        let mut stored = None;
        for _ in 0..LOOKUPS {
            // One command tells for the whole transaction. A commit that is still under way in the database holds the
            // head row; waiting for its lock makes sure that it has ended.
            if let Ok(tx) = self.appends.begin_append().await {
                drop(tx);
                if let Ok(found) = self.appends.command(&witness.0.command).await {
                    stored = Some(found.is_some());
                    break;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        let unavailable = StoreError::Unavailable(error.to_owned());
        outcomes
            .into_iter()
            .map(|outcome| match (outcome, stored) {
                (Ok(Outcome::Recorded(rows)), Some(true)) => Ok(Outcome::Recorded(rows)),
                (Ok(Outcome::Recorded(_)), Some(false)) => Err(failed(&unavailable, false)),
                (Ok(Outcome::Recorded(_)), None) => Err(failed(&unavailable, true)),
                (other, _) => other,
            })
            .collect()
    }
}

fn failed(error: &StoreError, in_doubt: bool) -> AppendError {
    AppendError::Store { error: error.to_string(), in_doubt }
}

/// What a batch found under the lock, and what it is going to write.
struct Plan {
    commands: HashMap<CommandId, CommandRow>,
    trials: HashMap<TrialId, u64>,
    streams: HashMap<(TrialId, StreamId), u64>,
    taken: HashSet<(TrialId, [u8; 32])>,
    write: WriteBatch,
    grown_trials: HashSet<TrialId>,
    grown_streams: HashSet<(TrialId, StreamId)>,
}

impl Plan {
    async fn read(tx: &mut dyn AppendTx, appends: &[Append]) -> Result<Self, StoreError> {
        let ids: Vec<CommandId> = appends.iter().map(|a| a.command).collect();
        let commands = tx.commands(&ids).await?.into_iter().map(|row| (row.id, row)).collect();
        let trials: HashSet<TrialId> = appends.iter().map(|a| a.trial.clone()).collect();
        let trials = tx.trial_sizes(&trials.into_iter().collect::<Vec<_>>()).await?.into_iter().collect();
        let streams: HashSet<(TrialId, StreamId)> = appends.iter().flat_map(streams_of).collect();
        let streams = tx.stream_versions(&streams.into_iter().collect::<Vec<_>>()).await?;
        let streams = streams.into_iter().map(|row| ((row.trial, row.stream), row.version)).collect();
        let keys: Vec<(TrialId, [u8; 32])> =
            appends.iter().flat_map(|a| a.natural_keys.iter().map(|k| (a.trial.clone(), k.key))).collect();
        let taken =
            if keys.is_empty() { HashSet::new() } else { tx.taken(&keys).await?.into_iter().collect() };
        Ok(Self {
            commands,
            trials,
            streams,
            taken,
            write: empty_batch(&tx.head()),
            grown_trials: HashSet::new(),
            grown_streams: HashSet::new(),
        })
    }

    /// Gives one append its places, or refuses it and leaves the plan as it was.
    fn place(
        &mut self,
        append: &Append,
        head: &LedgerHead,
        now: Timestamp,
        origin: &str,
    ) -> Result<Outcome, AppendError> {
        if let Some(done) = self.commands.get(&append.command) {
            let same = done.digest == append.digest;
            return if same { Ok(Outcome::Replayed(done.clone())) } else { Err(AppendError::CommandReused) };
        }
        self.refuse(append)?;
        let first = self.trials.get(&append.trial).copied().unwrap_or(0);
        let mut rows = Vec::with_capacity(append.events.len());
        for (event, trialseq) in append.events.iter().zip(first..) {
            let key = (append.trial.clone(), event.stream);
            let version = self.streams.entry(key.clone()).or_insert(0);
            let place = Place { position: self.write.position, trialseq, streamseq: *version };
            rows.push(place.row(append, event, head, now, origin));
            *version += 1;
            self.write.position += 1;
            self.grown_streams.insert(key);
        }
        let count = rows.len();
        self.trials.insert(append.trial.clone(), first + count as u64);
        self.grown_trials.insert(append.trial.clone());
        let row = CommandRow {
            id: append.command,
            digest: append.digest,
            trial: append.trial.clone(),
            first,
            count: u32::try_from(count).unwrap_or(u32::MAX),
        };
        self.commands.insert(row.id, row.clone());
        self.write.commands.push(row);
        for taken in &append.natural_keys {
            self.taken.insert((append.trial.clone(), taken.key));
            let row = NaturalKeyRow { trial: append.trial.clone(), key: taken.key, stream: taken.stream };
            self.write.natural_keys.push(row);
        }
        self.write.events.extend(rows.iter().cloned());
        Ok(Outcome::Recorded(rows))
    }

    fn refuse(&self, append: &Append) -> Result<(), AppendError> {
        let size = self.trials.get(&append.trial).copied();
        match (append.new_trial, size) {
            (true, Some(_)) => return Err(AppendError::TrialExists),
            (false, None) => return Err(AppendError::UnknownTrial),
            _ => {}
        }
        for expected in &append.expected {
            let actual = self.streams.get(&(append.trial.clone(), expected.stream)).copied().unwrap_or(0);
            if actual != expected.version {
                return Err(AppendError::VersionConflict { expected: expected.clone(), actual });
            }
        }
        for taken in &append.natural_keys {
            if self.taken.contains(&(append.trial.clone(), taken.key)) {
                return Err(AppendError::NaturalKeyTaken { rule: taken.rule });
            }
        }
        if size.unwrap_or(0) + append.events.len() as u64 > PLACES {
            return Err(AppendError::Unacceptable("the trial has 2^31 events and is full"));
        }
        Ok(())
    }

    fn into_batch(mut self, now: Timestamp) -> WriteBatch {
        self.write.trials = self
            .grown_trials
            .iter()
            .filter_map(|trial| Some((trial.clone(), *self.trials.get(trial)?)))
            .collect();
        self.write.trials.sort();
        self.write.streams = self
            .grown_streams
            .into_iter()
            .filter_map(|key| {
                let version = *self.streams.get(&key)?;
                Some(StreamVersion { trial: key.0, stream: key.1, version })
            })
            .collect();
        self.write.time = now;
        self.write
    }
}

fn empty_batch(head: &LedgerHead) -> WriteBatch {
    WriteBatch {
        events: Vec::new(),
        commands: Vec::new(),
        streams: Vec::new(),
        trials: Vec::new(),
        natural_keys: Vec::new(),
        position: head.position,
        time: head.time,
    }
}

/// The streams whose versions an append needs to know.
fn streams_of(append: &Append) -> impl Iterator<Item = (TrialId, StreamId)> + '_ {
    let read = append.expected.iter().map(|expected: &Expected| &expected.stream);
    let written = append.events.iter().map(|event| &event.stream);
    read.chain(written).map(|stream| (append.trial.clone(), *stream))
}

/// Where an event goes.
struct Place {
    position: u64,
    trialseq: u64,
    streamseq: u64,
}

impl Place {
    fn row(
        self,
        append: &Append,
        event: &NewEvent,
        head: &LedgerHead,
        now: Timestamp,
        origin: &str,
    ) -> EventRow {
        let header = Header {
            id: event.id.to_string(),
            source: origin.to_owned(),
            kind: event.kind.clone(),
            subject: event.stream.to_string(),
            time: now,
            trial: append.trial.to_string(),
            trialseq: place(self.trialseq),
            streamseq: place(self.streamseq),
            actor: event.actor.clone(),
            actorrole: event.actorrole.clone(),
            dataschema: format!("urn:trialseal:{}:{}", event.kind, event.schema_version),
            dataroot: event.dataroot,
            afterseal: head.seal.map(|seal| AfterSeal { seal: seal.number, leaf: seal.leaf }),
            correlationid: event.correlationid.clone(),
            causationid: event.causationid.clone(),
            extra: event.extra.clone(),
        };
        let header = header.canonical();
        EventRow {
            position: self.position,
            trial: append.trial.clone(),
            trialseq: self.trialseq,
            stream: event.stream,
            streamseq: self.streamseq,
            leaf: eventleaf(&header),
            header,
            key: event.key,
            body: event.body.clone(),
        }
    }
}

/// A place as headers hold it; `Plan::refuse` keeps places in range.
fn place(seq: u64) -> u32 {
    u32::try_from(seq).unwrap_or(u32::MAX)
}
