//! Time from outside, beside the rounds: once an interval the newest published note is stamped by an authority, and its
//! answer recorded and published. An authority that is down, slow or wrong stops nothing; it is asked again.
//!
//! What was recorded is published in any case, also where nobody is asked any more: so the log's folder can be made anew.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trialseal_runtime::clock::Clock;
use trialseal_runtime::ids::Ids;
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::hash::sha256;
use trialseal_seal::proof::MAX_SEAL_LEAD_SECONDS;
use trialseal_seal::tiles::{LISTED_SIZES, encode_sizes, timestamp_path, timestamp_sizes_path};
use trialseal_store::{Store, StoreError, TimestampRow};
use trialseal_timestamp::{Authorities, Refused, Request, Stated};

use crate::authority::{Authority, AuthorityError};
use crate::error::SealError;
use crate::notes::Notes;
use crate::publication::Publication;
use crate::round::SealerParts;

/// How long to wait after a failure, if the interval is not shorter.
const RETRY: Duration = Duration::from_secs(30);
/// How long to wait for a note that has no timestamp yet.
const PAUSE: Duration = Duration::from_secs(1);
/// How far an authority's time may lie ahead of this machine's clock, in seconds.
const MAX_AHEAD_SECONDS: i64 = 300;

/// Whom to ask for timestamps, and how often.
#[derive(Clone)]
pub struct Timestamping {
    /// The authority.
    pub authority: Arc<dyn Authority>,
    /// Whose answers are taken.
    pub trusted: Authorities,
    /// The time from one timestamp to the next.
    pub interval: Duration,
    /// For nonces.
    pub ids: Arc<dyn Ids>,
}

/// Has published notes stamped.
pub(crate) struct Timestamper {
    store: Arc<dyn Store>,
    place: Arc<dyn Publication>,
    clock: Arc<dyn Clock>,
    notes: Notes,
    asked: Option<Timestamping>,
    /// Whether timestamps may be recorded that are not public: at the start, and after a failure.
    unsettled: bool,
}

/// Why a note has no timestamp.
#[derive(Debug, thiserror::Error)]
enum TimestampError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error("its answer is refused: {0}")]
    Refused(#[from] Refused),
    #[error(
        "its time, {0}, lies more than 60 seconds before that of a seal that it stamps: a clock is wrong"
    )]
    BeforeSeal(String),
    #[error("its time, {0}, lies more than 5 minutes ahead of this machine's clock: a clock is wrong")]
    Ahead(String),
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl From<StoreError> for TimestampError {
    fn from(error: StoreError) -> Self {
        Self::Seal(error.into())
    }
}

impl Timestamper {
    pub(crate) fn new(parts: &SealerParts) -> Self {
        Self {
            store: Arc::clone(&parts.store),
            place: Arc::clone(&parts.place),
            clock: Arc::clone(&parts.clock),
            notes: Notes::new(parts),
            asked: parts.timestamping.clone(),
            unsettled: true,
        }
    }

    /// Goes on for as long as it is let.
    pub(crate) async fn run(mut self) -> Infallible {
        loop {
            let pause = match self.round().await {
                Ok(pause) => pause,
                Err(error) => {
                    metrics::counter!("trialseal_timestamps_total", "outcome" => "failed").increment(1);
                    tracing::warn!(%error, "sealer.timestamp.failed");
                    Some(self.asked.as_ref().map_or(RETRY, |asked| asked.interval.min(RETRY)))
                }
            };
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Stamps the newest published note where that is due. Answers how long to wait; `None` where nothing is left to do.
    async fn round(&mut self) -> Result<Option<Duration>, TimestampError> {
        let Some(newest) = self.notes.published().await? else { return Ok(Some(PAUSE)) };
        self.settle(newest.size).await?;
        let Some(asked) = self.asked.clone() else {
            return Ok(self.unsettled.then_some(PAUSE));
        };
        let last = self.store.newest_timestamp().await?;
        if let Some(wait) = last.as_ref().and_then(|last| self.wait(last, asked.interval)) {
            return Ok(Some(wait));
        }
        if last.is_some_and(|last| last.size >= newest.size) {
            return Ok(Some(PAUSE));
        }
        self.stamp(&asked, &newest).await?;
        Ok(Some(asked.interval))
    }

    /// How much of the interval since the last timestamp is left.
    fn wait(&self, last: &TimestampRow, interval: Duration) -> Option<Duration> {
        let since = self.clock.now().saturating_sub(last.time.micros());
        let left = interval.saturating_sub(Duration::from_micros(u64::try_from(since).unwrap_or_default()));
        Some(left).filter(|left| *left > Duration::ZERO)
    }

    async fn stamp(&mut self, asked: &Timestamping, newest: &Checkpoint) -> Result<(), TimestampError> {
        let begun = Instant::now();
        let size = newest.size;
        let Some(note) = self.store.note(size).await? else { return Ok(()) };
        let mut nonce = [0; 8];
        asked.ids.fill(&mut nonce);
        let request = Request::new(sha256(&note), nonce);
        let reply = asked.authority.ask(request.encode()?).await?;
        let stated = request.verify(&reply, &asked.trusted)?;
        self.check_time(&stated, size).await?;
        let timestamp = TimestampRow { size, time: stated.time, reply };
        self.unsettled = true;
        let stored = self.store.put_timestamp(&timestamp).await?;
        self.place.put(&timestamp_path(size), stored.reply).await?;
        self.list(size / LISTED_SIZES, size).await?;
        self.unsettled = false;
        tell(size, &stated, begun);
        Ok(())
    }

    /// A time that contradicts the seals would stay in the log for good.
    async fn check_time(&self, stated: &Stated, size: u64) -> Result<(), TimestampError> {
        let seconds = stated.time.seconds();
        let seals = self.store.seals(size.saturating_sub(1), 1).await?;
        if seals.iter().any(|seal| seal.time.seconds() > seconds.saturating_add(MAX_SEAL_LEAD_SECONDS)) {
            return Err(TimestampError::BeforeSeal(stated.time.to_string()));
        }
        if seconds > self.clock.now().div_euclid(1_000_000).saturating_add(MAX_AHEAD_SECONDS) {
            return Err(TimestampError::Ahead(stated.time.to_string()));
        }
        Ok(())
    }

    /// Publishes what was recorded and did not get out, of notes that are out: up to size `published`. A list is written
    /// after what it lists, so that one which is there and right says that the rest is too.
    async fn settle(&mut self, published: u64) -> Result<(), TimestampError> {
        if !self.unsettled {
            return Ok(());
        }
        let mut from = 1;
        while let Some(first) = self.store.timestamp_sizes(from, 1).await?.first().copied() {
            if first > published {
                return Ok(());
            }
            let index = first / LISTED_SIZES;
            let sizes = self.listed(index, published).await?;
            let path = timestamp_sizes_path(first);
            if self.place.get(&path).await? != Some(encode_sizes(&sizes).into_bytes()) {
                for size in sizes {
                    if let Some(timestamp) = self.store.timestamp_from(size).await? {
                        self.place.put(&timestamp_path(timestamp.size), timestamp.reply).await?;
                    }
                }
                self.list(index, published).await?;
            }
            from = (index + 1) * LISTED_SIZES;
        }
        self.unsettled = false;
        Ok(())
    }

    /// Writes the list at `index`, with sizes up to `published`.
    async fn list(&self, index: u64, published: u64) -> Result<(), TimestampError> {
        let sizes = self.listed(index, published).await?;
        let path = timestamp_sizes_path(index * LISTED_SIZES);
        Ok(self.place.put(&path, encode_sizes(&sizes).into_bytes()).await?)
    }

    async fn listed(&self, index: u64, published: u64) -> Result<Vec<u64>, TimestampError> {
        let limit = u32::try_from(LISTED_SIZES).unwrap_or(u32::MAX);
        let sizes = self.store.timestamp_sizes(index * LISTED_SIZES, limit).await?;
        Ok(sizes.into_iter().filter(|size| size / LISTED_SIZES == index && *size <= published).collect())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; sizes stay far below 2^52")]
fn tell(size: u64, stated: &Stated, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    metrics::counter!("trialseal_timestamps_total", "outcome" => "stamped").increment(1);
    metrics::histogram!("trialseal_timestamp_seconds").record(seconds);
    metrics::gauge!("trialseal_log_size", "state" => "timestamped").set(size as f64);
    tracing::info!(size, time = %stated.time, authority = stated.authority, seconds, "sealer.note.timestamped");
}
