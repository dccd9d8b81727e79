//! One batch of the writer, from the lock to the answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::lanes::Lanes;
use super::plan::{Known, Plan};
use super::{Append, AppendError, Clock, Outcome, WriterSettings};
use crate::error::StoreError;
use crate::ports::Appends;
use crate::progress::Progress;

/// How often a batch is tried again when the database asks for it, before its callers are told.
const TRIES: u32 = 8;
/// After so long it is not tried again, however seldom it was: where each try waits for a lock in vain, those who sent the
/// commands have waited long enough.
const TRYING: Duration = Duration::from_secs(5);
/// How often the outcome of a commit in doubt is asked for, and how long is waited between.
const LOOKUPS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Batcher {
    pub(super) appends: Arc<dyn Appends>,
    pub(super) clock: Clock,
    pub(super) progress: Arc<Progress>,
    pub(super) settings: WriterSettings,
    pub(super) origin: String,
    pub(super) known: Known,
}

type Answers = Vec<Result<Outcome, AppendError>>;

impl Batcher {
    pub(super) async fn run(mut self, mut lanes: Lanes) {
        while let Some(batch) = lanes.next_batch().await {
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

    /// Commits; where the database refuses the batch, halves it, so that one poisoned append fails alone.
    async fn commit_or_bisect(&mut self, appends: Vec<Append>) -> Answers {
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
    async fn commit(&mut self, appends: &[Append]) -> Result<Answers, StoreError> {
        let mut pause = Duration::from_millis(2);
        let begun = Instant::now();
        for _ in 1..TRIES {
            match self.commit_once(appends).await {
                Err(StoreError::TryAgain(_)) if begun.elapsed() < TRYING => tokio::time::sleep(pause).await,
                done => return done,
            }
            pause *= 2;
        }
        self.commit_once(appends).await
    }

    async fn commit_once(&mut self, appends: &[Append]) -> Result<Answers, StoreError> {
        let mut tx = self.appends.begin_append().await?;
        let head = tx.head();
        if head.position.saturating_sub(head.sealed) > self.settings.unsealed_events {
            return Ok(appends.iter().map(|_| Err(AppendError::Busy("sealing lags behind"))).collect());
        }
        if self.progress.clock_is_ahead() {
            let why =
                "the clock of this machine is ahead of the witnesses' clocks, and no event gets its time";
            return Ok(appends.iter().map(|_| Err(AppendError::Busy(why))).collect());
        }
        // Whatever goes wrong from here on leaves nothing known.
        let mut plan = Plan::read(tx.as_mut(), appends, std::mem::take(&mut self.known)).await?;
        plan.stamp((self.clock)().max(head.time), &self.origin);
        let mut outcomes: Answers = appends.iter().map(|append| plan.place(append)).collect();
        plan.hash(&mut outcomes);
        let (batch, known) = plan.into_batch();
        let Some(batch) = batch else {
            self.known = known;
            return Ok(outcomes);
        };
        // A crash before the commit leaves nothing; after it, all of the batch is durable, answered or not.
        tx.write(&batch).await?;
        match tx.commit().await {
            Ok(()) => {
                self.known = known;
                self.progress.set_recorded(batch.position);
                Ok(outcomes)
            }
            Err(StoreError::Unavailable(error)) => self.settle(appends, outcomes, error).await,
            Err(error) => Err(error),
        }
    }

    /// The connection broke at the commit: nobody is answered before it is known what became of it. Where nothing was
    /// stored the whole batch is tried again, for the refusals in it rested on what was not stored either.
    async fn settle(
        &self,
        appends: &[Append],
        outcomes: Answers,
        error: String,
    ) -> Result<Answers, StoreError> {
        let recorded = |outcome: &Result<Outcome, _>| matches!(outcome, Ok(Outcome::Recorded(_)));
        // One command tells for the whole transaction.
        let told = appends.iter().zip(&outcomes).find(|(_, outcome)| recorded(outcome));
        let Some((append, _)) = told else { return Err(StoreError::TryAgain(error)) };
        match self.was_carried_out(append).await {
            Some(true) => Ok(outcomes),
            Some(false) => Err(StoreError::TryAgain(error)),
            None => {
                let unavailable = StoreError::Unavailable(error);
                Ok(appends.iter().map(|_| Err(failed(&unavailable, true))).collect())
            }
        }
    }

    /// Whether this batch put the command into the record; `None` where the database does not come back, or cannot tell.
    async fn was_carried_out(&self, append: &Append) -> Option<bool> {
        for _ in 0..LOOKUPS {
            // A commit that is still under way in the database holds the head row; waiting for its lock makes sure that
            // it has ended.
            let locked = self.appends.begin_append().await.map(drop);
            let deposed = matches!(locked, Err(StoreError::Deposed));
            if locked.is_ok() || deposed {
                match self.appends.command(&append.command).await {
                    // The one that was elected since may have recorded it, at other places than this batch had for it.
                    Ok(Some(_)) if deposed => return None,
                    Ok(found) => return Some(found.is_some()),
                    Err(_) => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }
}

fn failed(error: &StoreError, in_doubt: bool) -> AppendError {
    match error {
        StoreError::Deposed => AppendError::Deposed,
        error => AppendError::Store { error: error.to_string(), in_doubt },
    }
}
