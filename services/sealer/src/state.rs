//! What a sealer knows, and the steps of a round: take in what is new, record a seal, publish.

use std::time::Duration;

use tokio::time::Instant;
use trialseal_runtime::shutdown::Shutdown;
use trialseal_seal::hash::{Hash, Sha2, sha256};
use trialseal_seal::seal::Seal;
use trialseal_seal::time::Timestamp;
use trialseal_seal::tree::Frontier;
use trialseal_store::{
    LeafRow, LedgerHead, NodeRow, SealRef, SealRow, SealTx, SealWrite, StoreError, TreeName,
};

use crate::edge::log_frontier;
use crate::error::SealError;
use crate::forest::Forest;
use crate::publish::{Outlet, Public, Publisher, checked_seal};
use crate::round::SealerParts;

/// Leaves read at once when trees are extended.
const LEAVES: u32 = 4_096;
/// Seals read at once when publication catches up.
const SEALS: u32 = 256;
/// How often the lock is given back to read trees of trials that grew at the last moment. After that they are read
/// under it, so that a seal comes about however many new trials keep waking.
const CUTS_GIVEN_UP: u32 = 3;
/// The longest that one round publishes, where the interval is longer still: a request to end is answered in time.
const LONGEST_PUBLISHING: Duration = Duration::from_secs(10);

/// What a sealer knows; read anew from the store after any failure.
pub(crate) struct State {
    forest: Forest,
    /// The log's tree as recorded.
    log: Frontier<Sha2>,
    /// The newest seal.
    newest: Option<SealRef>,
    publisher: Publisher,
    silence: Silence,
}

impl State {
    /// Reads where the record and its publication stand, and checks the one against the other.
    pub(crate) async fn load(parts: &SealerParts, outlet: Outlet) -> Result<Self, SealError> {
        let public = Public::read(parts).await?;
        let head = parts.store.head().await?;
        let newest = newest_seal(parts, &head).await?;
        let recorded = newest.as_ref().map_or(0, |seal| seal.seal + 1);
        let publisher = Publisher::open(parts, outlet, &public, recorded).await?;
        let forest = Forest::load(parts.store.as_ref(), newest.as_ref()).await?;
        let log = log_frontier(parts.store.as_ref(), recorded).await?;
        parts.progress.set_recorded(head.position);
        if let Some(last) = publisher.size().checked_sub(1) {
            for seal in parts.store.seals(last, 1).await? {
                parts.progress.set_sealed(seal.sealed);
                parts.progress.set_published(seal.sealed);
            }
        }
        let silence = Silence::after(newest.map(|seal| seal.time), parts.clock.now());
        Ok(Self { forest, log, newest: head.seal, publisher, silence })
    }

    /// How many seals are recorded.
    pub(crate) fn recorded(&self) -> u64 {
        self.log.size()
    }

    /// One round. Answers whether a seal was recorded.
    pub(crate) async fn round(
        &mut self,
        parts: &SealerParts,
        shutdown: &Shutdown,
    ) -> Result<bool, SealError> {
        let begun = Instant::now();
        self.extend(parts).await?;
        let due = self.is_due(parts).await?;
        if due {
            if parts.progress.clock_is_ahead() {
                return Err(SealError::ClockAhead);
            }
            self.record(parts).await?;
        }
        self.publish(parts, shutdown).await?;
        if due {
            let (events, seconds) = (self.forest.taken(), begun.elapsed().as_secs_f64());
            let (seals, signed) = (self.log.size(), self.publisher.size());
            metrics::counter!("trialseal_seals_total").increment(1);
            metrics::histogram!("trialseal_seal_seconds").record(seconds);
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; sizes stay far below 2^52")]
            metrics::gauge!("trialseal_log_size", "state" => "signed").set(signed as f64);
            tracing::info!(seals, signed, events, seconds, "sealer.seal.sign");
        }
        Ok(due)
    }

    /// Takes what is new into the trees, outside of the lock, until little is left.
    async fn extend(&mut self, parts: &SealerParts) -> Result<(), SealError> {
        loop {
            let leaves = parts.store.leaves_from_position(self.forest.taken(), LEAVES).await?;
            let more = leaves.len() == LEAVES as usize;
            self.take_in(parts, leaves).await?;
            if !more {
                return Ok(());
            }
        }
    }

    async fn take_in(&mut self, parts: &SealerParts, leaves: Vec<LeafRow>) -> Result<(), SealError> {
        self.forest.prepare(parts.store.as_ref(), &leaves).await?;
        self.forest.take(leaves)
    }

    async fn is_due(&self, parts: &SealerParts) -> Result<bool, SealError> {
        let head = parts.store.head().await?;
        Ok(head.position > head.sealed || self.silence.lasts() >= parts.settings.heartbeat)
    }

    /// Records one seal: cuts under the head row's lock, so that no event can name it before it exists nor miss it.
    async fn record(&mut self, parts: &SealerParts) -> Result<(), SealError> {
        // Read before the lock, under which nothing may wait for another connection. That is early enough: the newest
        // note is of a recorded seal, and where another process records one meanwhile, the cut is refused.
        let prior = parts.store.newest_note().await?.map_or(Hash::ZERO, |(_, note)| sha256(&note));
        let mut tx = self.cut(parts).await?;
        let (write, log) = self.next_seal(parts, &tx.head(), prior);
        tx.write(&write).await?;
        // A crash before the commit leaves no seal; after it, the seal is final and the restart publishes it. A commit
        // in doubt is an error here, and the state is read anew.
        tx.commit().await?;
        self.log = log;
        self.newest = Some(SealRef { number: write.seal.number, leaf: write.seal.leaf });
        self.silence = Silence::beginning();
        self.forest.recorded();
        Ok(())
    }

    /// Takes the lock, with all that was recorded until then taken in. Trees that have to be read for that are read with
    /// the lock given back: while it is held, appends wait, and each of them may hold a connection.
    async fn cut(&mut self, parts: &SealerParts) -> Result<Box<dyn SealTx>, SealError> {
        for _ in 0..CUTS_GIVEN_UP {
            let mut tx = self.lock(parts).await?;
            let Some(unready) = self.take_rest(tx.as_mut()).await? else { return Ok(tx) };
            drop(tx);
            self.take_in(parts, unready).await?;
        }
        let mut tx = self.lock(parts).await?;
        while let Some(unready) = self.take_rest(tx.as_mut()).await? {
            self.take_in(parts, unready).await?;
        }
        Ok(tx)
    }

    /// Takes the lock, if the record is still the one that this sealer knows.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] where another process has sealed, which a new look at the record mends. Final ones where
    /// the database has gone back under this process: then it was put back or replaced while it was being used.
    async fn lock(&self, parts: &SealerParts) -> Result<Box<dyn SealTx>, SealError> {
        let tx = parts.store.begin_seal().await?;
        let head = tx.head();
        if head.seal.map(|seal| seal.number) > self.newest.map(|seal| seal.number) {
            return Err(StoreError::Overtaken(format!("seal {}", self.log.size())).into());
        }
        if head.seal != self.newest {
            let what = "the newest seal in the database is not the one that this process knows";
            return Err(SealError::Fork(what.to_owned()));
        }
        if self.forest.taken() > head.position {
            let (taken, left) = (self.forest.taken(), head.position);
            let what = format!("{taken} events were recorded, and the database has only {left} left");
            return Err(SealError::Damaged(what));
        }
        Ok(tx)
    }

    /// Takes in, under the lock, the events that came after [`State::extend`] looked. Answers with leaves that it cannot
    /// take in before the trees of their trials have been read, or with `None` when no event is left.
    async fn take_rest(&mut self, tx: &mut dyn SealTx) -> Result<Option<Vec<LeafRow>>, SealError> {
        while self.forest.taken() < tx.head().position {
            let leaves = tx.leaves_from_position(self.forest.taken(), LEAVES).await?;
            if leaves.is_empty() {
                let what = format!("event {} of the ledger is missing", self.forest.taken());
                return Err(SealError::Damaged(what));
            }
            if !self.forest.is_ready(&leaves) {
                return Ok(Some(leaves));
            }
            self.forest.take(leaves)?;
        }
        Ok(None)
    }

    /// The seal over what was taken in with all that is stored beside it, and the log's tree with it.
    fn next_seal(
        &mut self,
        parts: &SealerParts,
        head: &LedgerHead,
        prior: Hash,
    ) -> (SealWrite, Frontier<Sha2>) {
        let number = self.log.size();
        let heads = self.forest.heads(number);
        let (root, trials) = self.forest.root();
        let time = Timestamp::from_micros(parts.clock.now()).max(head.time);
        let (ledger, events) = (parts.store.origin().to_owned(), head.position);
        let seal = Seal { ledger, seal: number, time, events, trials, root, prior };
        let (entry, leaf) = (seal.entry(), seal.leaf());
        let mut nodes = self.forest.nodes().to_vec();
        let mut log = self.log.clone();
        log.push_with(leaf, |node, hash| {
            if node.level > 0 {
                nodes.push(NodeRow { tree: TreeName::Log, level: node.level, index: node.index, hash });
            }
        });
        let seal = SealRow { number, entry, leaf, sealed: events, time };
        (SealWrite { seal, heads, nodes }, log)
    }

    /// Publishes recorded seals that are not out yet, in order: as many as an interval has time for, and at least one.
    /// After an outage there may be thousands, and what is recorded meanwhile must not wait for them to be sealed.
    pub(crate) async fn publish(
        &mut self,
        parts: &SealerParts,
        shutdown: &Shutdown,
    ) -> Result<(), SealError> {
        let begun = Instant::now();
        let longest = parts.settings.interval.min(LONGEST_PUBLISHING);
        while self.publisher.size() < self.log.size() {
            for seal in self.unpublished(parts).await? {
                self.publisher.publish(&seal).await?;
                parts.progress.set_sealed(seal.sealed);
                if !parts.policy.asks_for_witnesses() {
                    parts.progress.set_published(seal.sealed);
                }
                if begun.elapsed() >= longest || shutdown.is_requested() {
                    return Ok(());
                }
            }
        }
        if self.publisher.root() == self.log.root() {
            Ok(())
        } else {
            Err(SealError::Damaged("the stored nodes of the log are not those of its seals".to_owned()))
        }
    }

    /// The next seals to publish, of those that this sealer knows.
    async fn unpublished(&self, parts: &SealerParts) -> Result<Vec<SealRow>, SealError> {
        let from = self.publisher.size();
        let limit = u32::try_from(self.log.size() - from).unwrap_or(SEALS).min(SEALS);
        let seals = parts.store.seals(from, limit).await?;
        if seals.is_empty() {
            return Err(SealError::Damaged(format!("seal {from} was recorded, and is missing")));
        }
        Ok(seals)
    }
}

/// The newest seal, which the head row must tell of as it was recorded.
async fn newest_seal(parts: &SealerParts, head: &LedgerHead) -> Result<Option<Seal>, SealError> {
    let Some(SealRef { number, leaf }) = head.seal else { return Ok(None) };
    let Some(row) = parts.store.seals(number, 1).await?.pop() else {
        return Err(SealError::Damaged(format!("seal {number} is missing")));
    };
    let seal = checked_seal(&row, number, parts.store.origin())?;
    if (row.leaf, row.sealed) != (leaf, head.sealed) {
        return Err(SealError::Damaged(format!("the ledger's head does not speak of seal {number}")));
    }
    Ok(Some(seal))
}

/// How long ago the newest seal was made. Counted by a clock that is never set: were the system's clock put back by an
/// hour, there would be no heartbeat for an hour.
struct Silence {
    /// How long it had lasted when this process began to count.
    before: Duration,
    since: Instant,
}

impl Silence {
    /// After a seal that is as old as its time says, and new where that is yet to come; endless where there is none.
    fn after(newest: Option<Timestamp>, now: i64) -> Self {
        let before = match newest {
            Some(time) => u64::try_from(now.saturating_sub(time.micros())).unwrap_or(0),
            None => u64::MAX,
        };
        Self { before: Duration::from_micros(before), since: Instant::now() }
    }

    /// After a seal that was made just now.
    fn beginning() -> Self {
        Self { before: Duration::ZERO, since: Instant::now() }
    }

    fn lasts(&self) -> Duration {
        self.before.saturating_add(self.since.elapsed())
    }
}
