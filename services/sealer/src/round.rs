//! The rounds: when to seal, and recording one seal.

use std::sync::Arc;
use std::time::Duration;

use trialseal_runtime::clock::Clock;
use trialseal_runtime::shutdown::Shutdown;
use trialseal_seal::hash::{Hash, Sha2, TreeHash, sha256};
use trialseal_seal::note::Signer;
use trialseal_seal::seal::Seal;
use trialseal_seal::time::Timestamp;
use trialseal_seal::tree::Frontier;
use trialseal_store::{NodeRow, Progress, SealRow, SealTx, SealWrite, Store, StoreError, TreeName};

use crate::edge::frontier;
use crate::error::SealError;
use crate::forest::Forest;
use crate::publication::Publication;
use crate::publish::Publisher;

/// Leaves read at once when trees are extended.
const LEAVES: u32 = 4_096;
/// Seals read at once when publication catches up.
const SEALS: u32 = 256;

/// What a sealer is made of.
pub struct SealerParts {
    /// The store of the ledger.
    pub store: Arc<dyn Store>,
    /// Where the log is published.
    pub place: Arc<dyn Publication>,
    /// The log's signing key, under the name of the ledger's origin.
    pub signer: Signer,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where other roles of the process learn of published seals.
    pub progress: Arc<Progress>,
    /// When to seal.
    pub settings: SealerSettings,
}

/// When to seal.
#[derive(Debug, Clone, Copy)]
pub struct SealerSettings {
    /// The time between two seals while there is something new.
    pub interval: Duration,
    /// The time after which a seal is made though nothing is new.
    pub heartbeat: Duration,
}

impl Default for SealerSettings {
    fn default() -> Self {
        Self { interval: Duration::from_secs(1), heartbeat: Duration::from_mins(1) }
    }
}

/// The sealer of one ledger.
pub struct Sealer {
    parts: SealerParts,
    state: State,
}

/// What a sealer knows; read anew from the store after any failure.
struct State {
    forest: Forest,
    /// The log's tree as recorded.
    log: Frontier<Sha2>,
    publisher: Publisher,
    /// The newest seal's time.
    newest: Option<Timestamp>,
}

impl Sealer {
    /// Reads where the record and its publication stand and publishes the seals that are recorded and not yet out.
    ///
    /// # Errors
    /// [`SealError::Behind`] or [`SealError::Fork`] where sealing on would fork the log.
    pub async fn open(parts: SealerParts) -> Result<Self, SealError> {
        let state = State::load(&parts).await?;
        let mut sealer = Self { parts, state };
        sealer.publish().await?;
        Ok(sealer)
    }

    /// Seals until asked to stop; then once more, if something is new.
    ///
    /// # Errors
    /// Only those that [`SealError::is_final`] says a person has to look at; others are logged and tried again.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), SealError> {
        let mut ticks = tokio::time::interval(self.parts.settings.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let stopping = tokio::select! {
                () = shutdown.requested() => true,
                _ = ticks.tick() => false,
            };
            if let Err(error) = self.round().await {
                metrics::counter!("trialseal_seal_failures_total").increment(1);
                if error.is_final() {
                    return Err(error);
                }
                tracing::error!(%error, "sealing failed, trying again");
                self.reload().await?;
            }
            if stopping {
                return Ok(());
            }
        }
    }

    /// One round: records a seal if one is due, and publishes what is recorded. Answers whether a seal was recorded.
    pub async fn round(&mut self) -> Result<bool, SealError> {
        let begun = std::time::Instant::now();
        self.extend().await?;
        let due = self.is_due().await?;
        if due {
            self.record().await?;
        }
        self.publish().await?;
        if due {
            let (events, seconds) = (self.state.forest.taken(), begun.elapsed().as_secs_f64());
            metrics::counter!("trialseal_seals_total").increment(1);
            metrics::histogram!("trialseal_seal_seconds").record(seconds);
            tracing::info!(seals = self.state.log.size(), events, seconds, "sealer.seal.publish");
        }
        Ok(due)
    }

    async fn reload(&mut self) -> Result<(), SealError> {
        match State::load(&self.parts).await {
            Ok(state) => self.state = state,
            Err(error) if error.is_final() => return Err(error),
            Err(error) => tracing::error!(%error, "the sealer cannot read where it stands, trying again"),
        }
        Ok(())
    }

    /// Takes what is new into the trees, outside of the lock, until little is left.
    async fn extend(&mut self) -> Result<(), SealError> {
        loop {
            let leaves = self.parts.store.leaves_from_position(self.state.forest.taken(), LEAVES).await?;
            let more = leaves.len() == LEAVES as usize;
            self.state.forest.prepare(self.parts.store.as_ref(), &leaves).await?;
            self.state.forest.take(leaves)?;
            if !more {
                return Ok(());
            }
        }
    }

    async fn is_due(&self) -> Result<bool, SealError> {
        let head = self.parts.store.head().await?;
        let heartbeat = i64::try_from(self.parts.settings.heartbeat.as_micros()).unwrap_or(i64::MAX);
        let silent =
            self.state.newest.is_none_or(|newest| self.parts.clock.now() - newest.micros() >= heartbeat);
        Ok(head.position > head.sealed || silent)
    }

    /// Records one seal: cuts under the head row's lock, so that no event can name it before it exists nor miss it.
    async fn record(&mut self) -> Result<(), SealError> {
        let mut tx = self.parts.store.begin_seal().await?;
        let head = tx.head();
        let number = head.seal.map_or(0, |seal| seal.number + 1);
        if number != self.state.log.size() {
            return Err(StoreError::Overtaken(format!("seal {}", self.state.log.size())).into());
        }
        self.take_rest(tx.as_mut(), head.position).await?;
        let heads = self.state.forest.heads(number);
        let (root, trials) = self.state.forest.root();
        let time = Timestamp::from_micros(self.parts.clock.now()).max(head.time);
        let prior = match self.parts.store.newest_note().await? {
            Some((_, note)) => sha256(&note),
            None => Hash::ZERO,
        };
        let ledger = self.parts.store.origin().to_owned();
        let seal = Seal { ledger, seal: number, time, events: head.position, trials, root, prior };
        let entry = seal.entry();
        let leaf = Sha2::leaf(&[&entry]);
        let mut nodes = self.state.forest.nodes().to_vec();
        let mut log = self.state.log.clone();
        log.push_with(leaf, |node, hash| {
            if node.level > 0 {
                nodes.push(NodeRow { tree: TreeName::Log, level: node.level, index: node.index, hash });
            }
        });
        let seal = SealRow { number, entry, leaf, sealed: head.position, time };
        tx.write(&SealWrite { seal, heads: heads.clone(), nodes }).await?;
        // A crash before the commit leaves no seal; after it, the seal is final and the restart publishes it. A commit
        // in doubt is an error here, and the state is read anew.
        tx.commit().await?;
        self.state.log = log;
        self.state.newest = Some(time);
        self.state.forest.recorded(heads);
        Ok(())
    }

    /// Takes in, under the lock, the events that came after [`Sealer::extend`] looked.
    async fn take_rest(&mut self, tx: &mut dyn SealTx, position: u64) -> Result<(), SealError> {
        while self.state.forest.taken() < position {
            let leaves = tx.leaves_from_position(self.state.forest.taken(), LEAVES).await?;
            if leaves.is_empty() {
                return Err(SealError::Damaged(format!(
                    "event {} of the ledger is missing",
                    self.state.forest.taken()
                )));
            }
            self.state.forest.prepare(self.parts.store.as_ref(), &leaves).await?;
            self.state.forest.take(leaves)?;
        }
        Ok(())
    }

    /// Publishes every recorded seal that is not out yet, in order.
    async fn publish(&mut self) -> Result<(), SealError> {
        while self.state.publisher.size() < self.state.log.size() {
            for seal in self.parts.store.seals(self.state.publisher.size(), SEALS).await? {
                self.state.publisher.publish(&seal).await?;
                self.parts.progress.set_published(seal.sealed);
            }
        }
        Ok(())
    }
}

impl State {
    async fn load(parts: &SealerParts) -> Result<Self, SealError> {
        let head = parts.store.head().await?;
        let seal = head.seal.map(|seal| seal.number);
        let recorded = seal.map_or(0, |number| number + 1);
        let publisher = Publisher::open(
            Arc::clone(&parts.store),
            Arc::clone(&parts.place),
            parts.signer.clone(),
            recorded,
        )
        .await?;
        let forest = Forest::load(parts.store.as_ref(), seal, head.sealed).await?;
        let log = frontier::<Sha2>(parts.store.as_ref(), &TreeName::Log, recorded).await?;
        parts.progress.set_recorded(head.position);
        if let Some(last) = publisher.size().checked_sub(1) {
            let published = parts.store.seals(last, 1).await?;
            for seal in published {
                parts.progress.set_published(seal.sealed);
            }
        }
        let newest = match seal {
            Some(number) => parts.store.seals(number, 1).await?.pop().map(|seal| seal.time),
            None => None,
        };
        Ok(Self { forest, log, publisher, newest })
    }
}
