//! The rounds: when to seal, and what becomes of a round that fails.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use trialseal_runtime::clock::Clock;
use trialseal_runtime::shutdown::Shutdown;
use trialseal_seal::note::Signer;
use trialseal_seal::policy::Policy;
use trialseal_store::{Progress, Store};

use crate::cosigner::Cosigner;
use crate::error::SealError;
use crate::notes::Notes;
use crate::publication::Publication;
use crate::publish::Outlet;
use crate::state::State;
use crate::timestamper::{Timestamper, Timestamping};
use crate::witness::Witness;

/// How long the last checkpoint may wait for its witnesses when the process is asked to end.
const LAST_COSIGNING: Duration = Duration::from_secs(5);

/// What a sealer is made of.
pub struct SealerParts {
    /// The store of the ledger.
    pub store: Arc<dyn Store>,
    /// Where the log is published.
    pub place: Arc<dyn Publication>,
    /// The log's signing keys, under the name of the ledger's origin: one, or two while one takes the place of the other.
    pub signers: Vec<Signer>,
    /// The publication policy. Where it asks for witnesses, nothing is published that it is not met by. It names every log
    /// key that notes were signed with, those too that sign no more.
    pub policy: Policy,
    /// The witnesses to ask.
    pub witnesses: Vec<Arc<dyn Witness>>,
    /// Whom to ask for timestamps of published notes, if anybody.
    pub timestamping: Option<Timestamping>,
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
    outlet: Outlet,
    /// Where the policy asks for witnesses.
    cosigner: Option<Cosigner>,
    /// `None` after a round that failed, until a round has read anew where the record stands.
    state: Option<State>,
}

impl Sealer {
    /// Reads where the record and its publication stand, and begins to publish the seals that are recorded and not yet
    /// out; the rounds go on with it.
    ///
    /// # Errors
    /// [`SealError::Behind`] or [`SealError::Fork`] where sealing on would fork the log, [`SealError::Damaged`] where
    /// what is stored is not what was sealed.
    /// [`SealError::Policy`] where a note that is out does not meet the policy.
    pub async fn open(parts: SealerParts) -> Result<Self, SealError> {
        let (sender, signed) = watch::channel(None);
        let asks = parts.policy.asks_for_witnesses();
        let outlet =
            if asks { Outlet::Cosigner(sender) } else { Outlet::Notes(Box::new(Notes::new(&parts))) };
        let mut state = State::load(&parts, outlet.clone()).await?;
        let cosigner = Cosigner::open(&parts, signed).await?;
        cosigner.check_witnesses(state.recorded()).await?;
        state.publish(&parts, &Shutdown::new()).await?;
        Ok(Self { parts, outlet, cosigner: asks.then_some(cosigner), state: Some(state) })
    }

    /// Seals until asked to stop; then once more, if something is new.
    ///
    /// # Errors
    /// Only those that [`SealError::is_final`] says a person has to look at; others are logged and tried again.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), SealError> {
        let timestamper = Timestamper::new(&self.parts);
        tokio::select! {
            ended = self.seal(shutdown) => ended,
            never = timestamper.run() => match never {},
        }
    }

    async fn seal(mut self, shutdown: Shutdown) -> Result<(), SealError> {
        let Some(mut cosigner) = self.cosigner.take() else { return self.rounds(shutdown).await };
        tokio::select! {
            ended = self.rounds(shutdown) => ended?,
            error = cosigner.run() => return Err(error),
        }
        // The process is about to end: the last seal may still get its note, and else the next start sees to it.
        match tokio::time::timeout(LAST_COSIGNING, cosigner.round()).await {
            Ok(Err(error)) if error.is_final() => Err(error),
            Ok(Err(error)) => {
                tracing::error!(%error, "the last seal was not cosigned, the next start sees to it");
                Ok(())
            }
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }

    /// Has the newest signed checkpoint cosigned, as `run` does beside the rounds. Answers whether all that is signed is
    /// published.
    pub async fn cosign(&mut self) -> Result<bool, SealError> {
        match &mut self.cosigner {
            Some(cosigner) => cosigner.round().await,
            None => Ok(true),
        }
    }

    async fn rounds(&mut self, shutdown: Shutdown) -> Result<(), SealError> {
        let mut ticks = tokio::time::interval(self.parts.settings.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let stopping = tokio::select! {
                () = shutdown.requested() => true,
                _ = ticks.tick() => false,
            };
            if let Err(error) = self.round(&shutdown).await {
                metrics::counter!("trialseal_seal_failures_total").increment(1);
                if error.is_final() {
                    return Err(error);
                }
                tracing::error!(%error, "sealing failed, trying again");
            }
            if stopping {
                return Ok(());
            }
        }
    }

    /// One round: records a seal if one is due, and publishes what is recorded, as much of it as one round may. Answers
    /// whether a seal was recorded. `shutdown` cuts publishing short after the seal that is under way.
    ///
    /// What a round leaves behind that fails is dropped: the database may have lost, or another process added, what this
    /// one takes for the record. The next round reads it anew, and does nothing where it cannot.
    pub async fn round(&mut self, shutdown: &Shutdown) -> Result<bool, SealError> {
        let mut state = match self.state.take() {
            Some(state) => state,
            None => State::load(&self.parts, self.outlet.clone()).await?,
        };
        let sealed = state.round(&self.parts, shutdown).await?;
        self.state = Some(state);
        Ok(sealed)
    }
}
