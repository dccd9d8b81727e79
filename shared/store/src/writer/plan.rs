//! What one batch finds under the lock, and what it is going to write.

use std::collections::{HashMap, HashSet};

use trialseal_record::ids::{StreamId, TrialId};
use trialseal_seal::event::{AfterSeal, Header, eventleaves};
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;

use super::{Append, AppendError, AppendedEvent, Expected, NewEvent, Outcome};
use crate::error::StoreError;
use crate::ports::AppendTx;
use crate::rows::{CommandId, CommandRow, EventRow, NaturalKeyRow, StreamVersion, WriteBatch};

/// Places of a trial and of a stream are at most 2^31 − 1, as the header format says.
const PLACES: u64 = 1 << 31;

/// Streams whose versions are kept from batch to batch; some hundred bytes each.
const KNOWN_STREAMS: usize = 20_000;

/// Sizes of trials and versions of streams as the last batch left them. They hold for as long as the head row does not say
/// that anybody has written since, and need not be read again.
#[derive(Default)]
pub(super) struct Known {
    /// Position and time of the head row that they belong to.
    head: Option<(u64, Timestamp)>,
    trials: HashMap<TrialId, u64>,
    streams: HashMap<(TrialId, StreamId), u64>,
}

pub(super) struct Plan {
    commands: HashMap<CommandId, CommandRow>,
    known: Known,
    taken: HashSet<(TrialId, [u8; 32])>,
    stamp: Stamp,
    write: WriteBatch,
    grown_trials: HashSet<TrialId>,
    grown_streams: HashSet<(TrialId, StreamId)>,
}

/// What all headers of a batch say alike.
struct Stamp {
    origin: String,
    time: Timestamp,
    after: Option<AfterSeal>,
}

impl Plan {
    /// Reads what the appends rest on and is not known.
    pub(super) async fn read(
        tx: &mut dyn AppendTx,
        appends: &[Append],
        mut known: Known,
    ) -> Result<Self, StoreError> {
        let head = tx.head();
        if known.head != Some((head.position, head.time)) || known.streams.len() > KNOWN_STREAMS {
            known = Known::default();
        }
        let ids: Vec<CommandId> = appends.iter().map(|a| a.command).collect();
        let commands = tx.commands(&ids).await?.into_iter().map(|row| (row.id, row)).collect();
        let trials: HashSet<&TrialId> =
            appends.iter().map(|a| &a.trial).filter(|trial| !known.trials.contains_key(trial)).collect();
        if !trials.is_empty() {
            let trials: Vec<TrialId> = trials.into_iter().cloned().collect();
            known.trials.extend(tx.trial_sizes(&trials).await?);
        }
        let streams: HashSet<(TrialId, StreamId)> = appends
            .iter()
            .flat_map(streams_of)
            .filter(|stream| !known.streams.contains_key(stream))
            .collect();
        if !streams.is_empty() {
            let streams = tx.stream_versions(&streams.into_iter().collect::<Vec<_>>()).await?;
            known.streams.extend(streams.into_iter().map(|row| ((row.trial, row.stream), row.version)));
        }
        known.head = Some((head.position, head.time));
        let keys: Vec<(TrialId, [u8; 32])> =
            appends.iter().flat_map(|a| a.natural_keys.iter().map(|k| (a.trial.clone(), k.key))).collect();
        let taken =
            if keys.is_empty() { HashSet::new() } else { tx.taken(&keys).await?.into_iter().collect() };
        let after = head.seal.map(|seal| AfterSeal { seal: seal.number, leaf: seal.leaf });
        Ok(Self {
            commands,
            known,
            taken,
            stamp: Stamp { origin: String::new(), time: head.time, after },
            write: WriteBatch {
                events: Vec::new(),
                commands: Vec::new(),
                streams: Vec::new(),
                trials: Vec::new(),
                natural_keys: Vec::new(),
                position: head.position,
                time: head.time,
            },
            grown_trials: HashSet::new(),
            grown_streams: HashSet::new(),
        })
    }

    /// Fixes the time of the batch, and the ledger that its headers name.
    pub(super) fn stamp(&mut self, time: Timestamp, origin: &str) {
        self.stamp.time = time;
        origin.clone_into(&mut self.stamp.origin);
    }

    /// Gives one append its places, or refuses it and leaves the plan as it was.
    pub(super) fn place(&mut self, append: &Append) -> Result<Outcome, AppendError> {
        if let Some(done) = self.commands.get(&append.command) {
            let same = done.digest == append.digest;
            return if same { Ok(Outcome::Replayed(done.clone())) } else { Err(AppendError::CommandReused) };
        }
        self.refuse(append)?;
        let first = self.known.trials.get(&append.trial).copied().unwrap_or(0);
        let (mut rows, mut answers) = (Vec::new(), Vec::with_capacity(append.events.len()));
        let mut versions: HashMap<StreamId, u64> = HashMap::new();
        for (event, offset) in append.events.iter().zip(0..) {
            let version = versions.entry(event.stream).or_insert_with(|| self.version(append, event.stream));
            let place = Place {
                position: self.write.position + offset,
                trialseq: first + offset,
                streamseq: *version,
            };
            *version += 1;
            let (row, answer) = place.row(append, event, &self.stamp)?;
            rows.push(row);
            answers.push(answer);
        }
        self.take(append, rows, versions);
        Ok(Outcome::Recorded(answers))
    }

    fn version(&self, append: &Append, stream: StreamId) -> u64 {
        self.known.streams.get(&(append.trial.clone(), stream)).copied().unwrap_or(0)
    }

    fn refuse(&self, append: &Append) -> Result<(), AppendError> {
        let size = self.known.trials.get(&append.trial).copied();
        match (append.new_trial, size) {
            (true, Some(_)) => return Err(AppendError::TrialExists),
            (false, None) => return Err(AppendError::UnknownTrial),
            _ => {}
        }
        for expected in &append.expected {
            let actual = self.version(append, expected.stream);
            if actual != expected.version {
                return Err(AppendError::VersionConflict { expected: expected.clone(), actual });
            }
        }
        let mut named = HashSet::new();
        for taken in &append.natural_keys {
            if self.taken.contains(&(append.trial.clone(), taken.key)) || !named.insert(taken.key) {
                return Err(AppendError::NaturalKeyTaken { rule: taken.rule });
            }
        }
        if size.unwrap_or(0) + append.events.len() as u64 > PLACES {
            return Err(AppendError::Unacceptable("the trial has 2^31 events and is full"));
        }
        Ok(())
    }

    /// Takes an append that has its places into the batch.
    fn take(&mut self, append: &Append, rows: Vec<EventRow>, versions: HashMap<StreamId, u64>) {
        let trial = &append.trial;
        let size = self.known.trials.entry(trial.clone()).or_insert(0);
        let row = CommandRow {
            id: append.command,
            digest: append.digest,
            trial: trial.clone(),
            first: *size,
            count: u32::try_from(rows.len()).unwrap_or(u32::MAX),
        };
        *size += rows.len() as u64;
        self.grown_trials.insert(trial.clone());
        for (stream, version) in versions {
            self.known.streams.insert((trial.clone(), stream), version);
            self.grown_streams.insert((trial.clone(), stream));
        }
        self.commands.insert(row.id, row.clone());
        self.write.commands.push(row);
        for taken in &append.natural_keys {
            self.taken.insert((trial.clone(), taken.key));
            let row = NaturalKeyRow { trial: trial.clone(), key: taken.key, stream: taken.stream };
            self.write.natural_keys.push(row);
        }
        self.write.position += rows.len() as u64;
        self.write.events.extend(rows);
    }

    /// Gives the events of the batch their leaves, and those who sent them too.
    pub(super) fn hash(&mut self, outcomes: &mut [Result<Outcome, AppendError>]) {
        let leaves = eventleaves(self.write.events.iter().map(|row| row.header.as_slice()));
        let recorded = outcomes.iter_mut().filter_map(|outcome| match outcome {
            Ok(Outcome::Recorded(events)) => Some(events),
            _ => None,
        });
        // Both are in the order of the places.
        for ((row, answer), leaf) in self.write.events.iter_mut().zip(recorded.flatten()).zip(leaves) {
            row.leaf = leaf;
            answer.leaf = leaf;
        }
    }

    /// What is to be written, if anything is: not where every append was refused or carried out before. And what is known
    /// once it is written.
    pub(super) fn into_batch(mut self) -> (Option<WriteBatch>, Known) {
        if self.write.events.is_empty() {
            return (None, self.known);
        }
        self.write.trials = self
            .grown_trials
            .iter()
            .filter_map(|trial| Some((trial.clone(), *self.known.trials.get(trial)?)))
            .collect();
        self.write.trials.sort();
        self.write.streams = self
            .grown_streams
            .into_iter()
            .filter_map(|key| {
                let version = *self.known.streams.get(&key)?;
                Some(StreamVersion { trial: key.0, stream: key.1, version })
            })
            .collect();
        self.write.time = self.stamp.time;
        self.known.head = Some((self.write.position, self.write.time));
        (Some(self.write), self.known)
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
    /// The event as it is stored, and as its submitter gets to know it. What a reader would refuse is not written.
    fn row(
        &self,
        append: &Append,
        event: &NewEvent,
        stamp: &Stamp,
    ) -> Result<(EventRow, AppendedEvent), AppendError> {
        let header = Header {
            id: event.id.to_string(),
            source: stamp.origin.clone(),
            kind: event.kind.clone(),
            subject: event.stream.to_string(),
            time: stamp.time,
            trial: append.trial.to_string(),
            trialseq: place(self.trialseq),
            streamseq: place(self.streamseq),
            actor: event.actor.clone(),
            actorrole: event.actorrole.clone(),
            dataschema: format!("urn:trialseal:{}:{}", event.kind, event.schema_version),
            dataroot: event.dataroot,
            afterseal: stamp.after,
            correlationid: event.correlationid.clone(),
            causationid: event.causationid.clone(),
            extra: event.extra.clone(),
        };
        header.check().map_err(|_| AppendError::Unacceptable("its header would not be a valid one"))?;
        let canonical = header.canonical();
        // `Plan::hash` gives it, to all of the batch at once.
        let leaf = Hash::ZERO;
        let answer = AppendedEvent {
            position: self.position,
            trialseq: self.trialseq,
            stream: event.stream,
            streamseq: self.streamseq,
            id: header.id,
            kind: header.kind,
            time: header.time,
            leaf,
        };
        let row = EventRow {
            position: self.position,
            trial: append.trial.clone(),
            trialseq: self.trialseq,
            stream: event.stream,
            streamseq: self.streamseq,
            leaf,
            header: canonical,
            key: event.key,
            body: event.body.clone(),
        };
        Ok((row, answer))
    }
}

/// A place as headers hold it; `Plan::refuse` keeps places in range.
fn place(seq: u64) -> u32 {
    u32::try_from(seq).unwrap_or(u32::MAX)
}
