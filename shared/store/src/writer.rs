//! The writer: what several callers want appended at the same time shares one transaction, and so one commit, which is what
//! costs most. Whether an append fails is nobody's business but its caller's.
//!
//! A batch holds the head row's lock from its first statement to its commit. Under it, and not before, the writer looks
//! whether anything stands against an append; what is left over gets places, a time and hashes, and is inserted.
//!
//! There are two lanes. What people wait for goes in the foreground; what is sent in bulk goes in the background, and
//! makes nobody in the foreground wait for more than the small batch that is just being recorded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use trialseal_record::ids::{StreamId, TrialId};
use trialseal_seal::event::Attribute;
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ports::{Appends, Events};
use crate::progress::Progress;
use crate::rows::{CommandId, CommandRow, Digest, EventRow};

mod batch;
mod lanes;
mod plan;
#[cfg(test)]
mod tests;

/// The time to stamp events with; asked once a batch, after the lock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a command wants appended. All events are of one trial; they get consecutive `trialseq`.
#[derive(Debug, Clone)]
pub struct Append {
    /// The command's id: sent again with the same digest, it gets the same answer.
    pub command: CommandId,
    /// Keyed digest of the command's content.
    pub digest: Digest,
    /// The trial.
    pub trial: TrialId,
    /// Whether this append makes the trial (which then must not exist) or needs it to exist.
    pub new_trial: bool,
    /// The versions of all streams that the decision rested on, written to or only read.
    pub expected: Vec<Expected>,
    /// Names that the new events take, unique in the trial.
    pub natural_keys: Vec<NaturalKey>,
    /// The events, at least one.
    pub events: Vec<NewEvent>,
}

/// A stream and the number of events it had when the decision was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The stream.
    pub stream: StreamId,
    /// Its number of events; 0 for a stream that must be new.
    pub version: u64,
}

/// A name to take: see [`crate::NaturalKeyRow`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NaturalKey {
    /// The keyed hash of kind and name.
    pub key: [u8; 32],
    /// The stream that bears the name.
    pub stream: StreamId,
    /// The id of the rule that a second bearer breaks; handed back in the refusal.
    pub rule: &'static str,
}

/// An event before it has its place and time.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its id, a UUIDv7.
    pub id: Uuid,
    /// Event type, such as `consent.signed`.
    pub kind: String,
    /// Schema version of its data.
    pub schema_version: u32,
    /// Commitment to its data.
    pub dataroot: Hash,
    /// Opaque stable id of who did it.
    pub actor: String,
    /// The role in which it was done.
    pub actorrole: String,
    /// The request that led to it.
    pub correlationid: Option<String>,
    /// The event that led to it.
    pub causationid: Option<String>,
    /// Further header attributes (organisation, source system).
    pub extra: BTreeMap<String, Attribute>,
    /// The data key its body is encrypted under.
    pub key: Uuid,
    /// Encrypted secret and data, see [`crate::body`].
    pub body: Vec<u8>,
}

/// A recorded append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Its events, in order.
    pub events: Vec<AppendedEvent>,
    /// Whether the command had been carried out before and this is the old answer.
    pub replayed: bool,
}

/// A recorded event, as its submitter gets to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendedEvent {
    /// Place in the ledger.
    pub position: u64,
    /// Place in the trial.
    pub trialseq: u64,
    /// The stream.
    pub stream: StreamId,
    /// Place in the stream.
    pub streamseq: u64,
    /// The event's id.
    pub id: String,
    /// What happened, such as `consent.signed`.
    pub kind: String,
    /// When it was recorded.
    pub time: Timestamp,
    /// The hash that receipts prove.
    pub leaf: Hash,
}

/// Why an append was not recorded. Unless it says otherwise, nothing of it was stored.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A stream has other events than the decision knew of: read again, decide again.
    #[error("stream {} has {actual} events, not {}", expected.stream, expected.version)]
    VersionConflict {
        /// What the decision knew.
        expected: Expected,
        /// The number of events now.
        actual: u64,
    },
    /// The command id was used for a command with other content.
    #[error("this command id was used before, with other content")]
    CommandReused,
    /// The trial to be made exists.
    #[error("the trial exists already")]
    TrialExists,
    /// There is no such trial.
    #[error("there is no such trial")]
    UnknownTrial,
    /// A name is borne by another stream; the rule says what kind of name.
    #[error("the name is taken ({rule})")]
    NaturalKeyTaken {
        /// The rule's id.
        rule: &'static str,
    },
    /// The append is larger than any batch may be, or empty; or a trial or stream is full (2^31 events).
    #[error("the append cannot be taken: {0}")]
    Unacceptable(&'static str),
    /// The queue is full, or sealing lags too far behind: try again after a while.
    #[error("too much is waiting to be recorded: {0}")]
    Busy(&'static str),
    /// Another process was elected to write the ledger: the same command can be sent to that one.
    #[error("{}", StoreError::Deposed)]
    Deposed,
    /// The database failed. `in_doubt` where it may have recorded the append all the same: sending the same command
    /// again tells.
    #[error("the append could not be recorded: {error}")]
    Store {
        /// What the database said.
        error: String,
        /// Whether the outcome is unknown.
        in_doubt: bool,
    },
}

/// Limits of the writer.
#[derive(Debug, Clone, Copy)]
pub struct WriterSettings {
    /// Events in one transaction at the most: bounds how long the head row stays locked.
    pub batch_events: usize,
    /// Events of the background lane in one transaction, unless a single append has more: bounds how long the foreground
    /// waits for what was begun before it came.
    pub background_events: usize,
    /// After so long without anything of the background lane in a batch, it has its share of the next one, whoever waits.
    pub background_waits: Duration,
    /// Events that may wait, over all callers.
    pub queue_events: usize,
    /// Bytes of bodies that may wait, over all callers.
    pub queue_bytes: usize,
    /// Recorded events that may wait for their seal before appends are slowed down.
    pub unsealed_events: u64,
    /// How long an append waits for a place in the queue before it is told that the writer is busy.
    pub patience: Duration,
}

impl WriterSettings {
    /// Bytes of bodies in one transaction at the most: four of them fill the queue.
    fn batch_bytes(&self) -> usize {
        self.queue_bytes / 4
    }
}

impl Default for WriterSettings {
    fn default() -> Self {
        Self {
            batch_events: 2_000,
            background_events: 100,
            background_waits: Duration::from_millis(50),
            queue_events: 20_000,
            queue_bytes: 64 << 20,
            unsealed_events: 500_000,
            patience: Duration::from_secs(5),
        }
    }
}

/// A handle to the writer; cloned freely. The writer ends when the last handle is gone and the queue is empty.
#[derive(Clone)]
pub struct Writer {
    foreground: mpsc::UnboundedSender<Waiting>,
    background: mpsc::UnboundedSender<Waiting>,
    events_free: Arc<Semaphore>,
    bytes_free: Arc<Semaphore>,
    /// Bytes of bodies that may wait for a place in the queue.
    outside_free: Arc<Semaphore>,
    settings: WriterSettings,
    events: Arc<dyn Events>,
}

/// An append in the queue, with its places in it.
struct Waiting {
    append: Append,
    answer: oneshot::Sender<Result<Outcome, AppendError>>,
    places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// What the batch says of one append.
#[derive(Debug, Clone)]
enum Outcome {
    Recorded(Vec<AppendedEvent>),
    Replayed(CommandRow),
}

impl Writer {
    /// Starts the writer on the current tokio runtime.
    pub fn spawn(
        appends: Arc<dyn Appends>,
        events: Arc<dyn Events>,
        clock: Clock,
        progress: Arc<Progress>,
        settings: WriterSettings,
    ) -> Self {
        let (foreground, in_front) = mpsc::unbounded_channel();
        let (background, behind) = mpsc::unbounded_channel();
        let origin = events.origin().to_owned();
        tokio::spawn(
            batch::Batcher { appends, clock, progress, settings, origin, known: plan::Known::default() }
                .run(lanes::Lanes::new(in_front, behind, settings)),
        );
        Self {
            foreground,
            background,
            events_free: Arc::new(Semaphore::new(settings.queue_events)),
            bytes_free: Arc::new(Semaphore::new(settings.queue_bytes)),
            outside_free: Arc::new(Semaphore::new(settings.queue_bytes)),
            settings,
            events,
        }
    }

    /// Records an append, or says why not. Returns once the events are durable.
    ///
    /// Cancelling the call does not take the append back: it may be recorded, and sending the command again tells.
    ///
    /// # Errors
    /// [`AppendError`]; each variant says what the caller can do.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.append_in(&self.foreground, append).await
    }

    /// The same, in the background lane: all that waits in the foreground is recorded first, but for what keeps this lane
    /// moving. Appends of this lane are recorded in the order in which they came.
    ///
    /// # Errors
    /// [`AppendError`]; each variant says what the caller can do.
    pub async fn append_in_background(&self, append: Append) -> Result<Appended, AppendError> {
        self.append_in(&self.background, append).await
    }

    async fn append_in(
        &self,
        lane: &mpsc::UnboundedSender<Waiting>,
        append: Append,
    ) -> Result<Appended, AppendError> {
        let places = self.places(&append).await?;
        let (answer, outcome) = oneshot::channel();
        lane.send(Waiting { append, answer, places }).map_err(|_| stopped())?;
        match outcome.await.map_err(|_| stopped())?? {
            Outcome::Recorded(events) => Ok(Appended { events, replayed: false }),
            Outcome::Replayed(command) => self.replay(&command).await,
        }
    }

    /// The old answer to a command that was carried out before.
    ///
    /// # Errors
    /// [`AppendError::Store`] where its events cannot be read.
    pub async fn replay(&self, command: &CommandRow) -> Result<Appended, AppendError> {
        let failed = |error: StoreError| AppendError::Store { error: error.to_string(), in_doubt: false };
        let rows = self.of_command(command).await.map_err(failed)?;
        let events: Result<_, StoreError> = rows.iter().map(AppendedEvent::read).collect();
        Ok(Appended { events: events.map_err(failed)?, replayed: true })
    }

    /// All events of a command that was carried out, however many bytes they have.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Damaged`] where some are missing.
    pub async fn of_command(&self, command: &CommandRow) -> Result<Vec<EventRow>, StoreError> {
        let trial = &command.trial;
        let mut rows = Vec::new();
        while let Some(left) = command.count.checked_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX))
            && left > 0
        {
            let page = self.events.of_trial(trial, command.first + rows.len() as u64, left).await?;
            if page.is_empty() {
                let what = format!("events of a command in trial {trial} are missing");
                return Err(StoreError::Damaged(what));
            }
            rows.extend(page);
        }
        Ok(rows)
    }

    /// Waits for places in the queue, for as long as the settings allow.
    async fn places(
        &self,
        append: &Append,
    ) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), AppendError> {
        let events = append.events.len();
        let bytes = body_bytes(append);
        if events == 0 || events > self.settings.batch_events {
            return Err(AppendError::Unacceptable("it has no events, or more than one transaction may hold"));
        }
        if bytes > self.settings.batch_bytes() {
            return Err(AppendError::Unacceptable("its bodies are larger than one transaction may be"));
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        // Those who wait for a place hold their bodies as well, and are told at once where too many do.
        let full = || AppendError::Busy("the queue of the writer is full");
        let _outside =
            Arc::clone(&self.outside_free).try_acquire_many_owned(count(bytes)).map_err(|_| full())?;
        let both = async {
            let events = Arc::clone(&self.events_free).acquire_many_owned(count(events)).await;
            let bytes = Arc::clone(&self.bytes_free).acquire_many_owned(count(bytes)).await;
            events.and_then(|events| bytes.map(|bytes| (events, bytes)))
        };
        match tokio::time::timeout(self.settings.patience, both).await {
            Ok(places) => places.map_err(|_| stopped()),
            Err(_) => Err(full()),
        }
    }
}

/// Bytes of the bodies of an append.
fn body_bytes(append: &Append) -> usize {
    append.events.iter().map(|event| event.body.len()).sum()
}

fn stopped() -> AppendError {
    AppendError::Store { error: "the writer has stopped".into(), in_doubt: true }
}

impl AppendedEvent {
    /// An event that was recorded before, distrusted as everything that is read back.
    fn read(row: &EventRow) -> Result<Self, StoreError> {
        let header = row.checked_header()?;
        Ok(Self {
            position: row.position,
            trialseq: row.trialseq,
            stream: row.stream,
            streamseq: row.streamseq,
            id: header.id,
            kind: header.kind,
            time: header.time,
            leaf: row.leaf,
        })
    }
}
