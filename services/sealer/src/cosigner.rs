//! Having checkpoints cosigned, beside the rounds that sign them: a witness that is down or slow stops neither recording
//! nor sealing. The newest signed checkpoint is carried to all witnesses at once; as soon as their signatures meet the
//! policy, the note is published. Sizes that were signed meanwhile go without a note of their own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::Instant;
use trialseal_runtime::clock::Clock;
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::note::SignedNote;
use trialseal_seal::policy::Policy;
use trialseal_seal::time::Timestamp;
use trialseal_store::{Progress, Store};

use crate::error::SealError;
use crate::notes::Notes;
use crate::round::SealerParts;
use crate::witness::{Contact, ContactError, Cosignature};

/// How long those who have not answered are waited for once the policy is met: the more witnesses stand in a note, the
/// more readers can have policies of their own.
const GRACE: Duration = Duration::from_millis(20);
/// How long all together may take; longer than a witness may take by itself.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long to wait after a failure, and between looks at the clock while it is ahead.
const PAUSE: Duration = Duration::from_secs(1);
/// How far the clock may be ahead of the newest cosignature. Twice as much makes a seal one that nobody accepts
/// (section 6 of the format).
const MAX_LEAD_SECONDS: i64 = 30;

/// A signed checkpoint, and what it covers.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: SignedNote,
    /// All events before this ledger position are covered.
    pub(crate) position: u64,
    /// When its newest seal was made.
    pub(crate) time: Timestamp,
}

/// Carries signed checkpoints to the witnesses of the policy.
pub(crate) struct Cosigner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    progress: Arc<Progress>,
    policy: Policy,
    notes: Notes,
    /// Each is asked one thing at a time.
    contacts: Vec<Arc<Mutex<Contact>>>,
    signed: watch::Receiver<Option<Signed>>,
    /// The largest size that a note was published of.
    noted: u64,
    /// Whether notes may be recorded that are not public: at the start, and after a failure.
    unsettled: bool,
}

/// What came of asking.
struct Answers {
    cosignatures: Vec<Cosignature>,
    ahead: Option<u64>,
}

impl Cosigner {
    pub(crate) async fn open(
        parts: &SealerParts,
        signed: watch::Receiver<Option<Signed>>,
    ) -> Result<Self, SealError> {
        let contacts = parts.witnesses.iter().map(|witness| Contact::new(Arc::clone(witness), parts));
        let cosigner = Self {
            store: Arc::clone(&parts.store),
            clock: Arc::clone(&parts.clock),
            progress: Arc::clone(&parts.progress),
            policy: parts.policy.clone(),
            notes: Notes::new(parts),
            contacts: contacts.map(|contact| Arc::new(Mutex::new(contact))).collect(),
            signed,
            noted: 0,
            unsettled: true,
        };
        cosigner.check_notes().await?;
        Ok(cosigner)
    }

    /// The oldest note and the newest must meet the policy: one that begins to ask for witnesses, or that drops one, would
    /// make the log unreadable to all who follow it.
    async fn check_notes(&self) -> Result<(), SealError> {
        let newest = self.store.newest_note().await?;
        for (size, note) in self.store.note_from(1).await?.into_iter().chain(newest) {
            let accepted = std::str::from_utf8(&note).map(|note| self.policy.check(note));
            if let Ok(Err(refused)) = accepted {
                return Err(SealError::Policy { size, refused: refused.to_string() });
            }
        }
        Ok(())
    }

    /// Asks every witness where it stands, before anything is sealed: after a restore from an old backup they know more
    /// than the database.
    pub(crate) async fn check_witnesses(&self, recorded: u64) -> Result<(), SealError> {
        let asked = self.contacts.iter().map(|contact| async move {
            let contact = contact.lock().await;
            (contact.name().to_owned(), contact.newest().await)
        });
        for (witness, shown) in futures_util::future::join_all(asked).await {
            match shown {
                Ok(Some(shown)) => self.check_shown(&witness, &shown, recorded).await?,
                Ok(None) => {}
                Err(error) => tracing::warn!(witness, %error, "sealer.witness.start"),
            }
        }
        Ok(())
    }

    async fn check_shown(&self, witness: &str, shown: &Checkpoint, recorded: u64) -> Result<(), SealError> {
        if shown.size > recorded {
            return Err(SealError::Behind { published: shown.size, recorded });
        }
        let Some(ours) = self.store.checkpoint(shown.size).await? else { return Ok(()) };
        if ours.starts_with(shown.to_string().as_bytes()) {
            return Ok(());
        }
        let what = format!("witness {witness} has cosigned another checkpoint of size {}", shown.size);
        Err(SealError::Fork(what))
    }

    /// Goes on until something is wrong that only a person can decide about.
    pub(crate) async fn run(&mut self) -> SealError {
        loop {
            match self.round().await {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(PAUSE).await,
                Err(error) if error.is_final() => return error,
                Err(error) => {
                    tracing::error!(%error, "sealer.witness.publish");
                    tokio::time::sleep(PAUSE).await;
                }
            }
            if self.progress.clock_is_ahead() {
                // The witnesses are asked again, though nothing new is signed: only they can tell that it is right.
                tokio::time::sleep(PAUSE).await;
            } else if self.is_done() {
                // An error: the sealer is gone, and this task with it.
                let _ = self.signed.changed().await;
            }
        }
    }

    /// Whether the newest signed checkpoint has its note.
    fn is_done(&self) -> bool {
        self.signed.borrow().as_ref().is_none_or(|signed| signed.checkpoint.size <= self.noted)
    }

    /// Has the newest signed checkpoint cosigned. Answers whether it is published now.
    pub(crate) async fn round(&mut self) -> Result<bool, SealError> {
        self.settle().await?;
        let Some(signed) = self.signed.borrow_and_update().clone() else { return Ok(true) };
        if signed.checkpoint.size <= self.noted && !self.progress.clock_is_ahead() {
            return Ok(true);
        }
        let begun = Instant::now();
        let answers = self.ask(&signed).await;
        if let Some(published) = answers.ahead {
            self.check_ahead(published).await?;
        }
        self.watch_clock(&answers.cosignatures);
        let note = note_of(&signed, &answers.cosignatures);
        let (met, cosigned) = (self.policy.check(&note).is_ok(), answers.cosignatures.len());
        let size = signed.checkpoint.size;
        if !met {
            metrics::counter!("trialseal_cosigning_failures_total").increment(1);
            tracing::warn!(size, cosigned, "sealer.witness.quorum.missing");
            return Ok(false);
        }
        if size > self.noted {
            self.unsettled = true;
            self.notes.publish(&signed.checkpoint, note.as_bytes()).await?;
            self.unsettled = false;
            self.noted = size;
            self.progress.set_published(signed.position);
            self.tell(&signed, begun, cosigned);
        }
        Ok(true)
    }

    /// Publishes what was recorded and did not get out: a later seal may name it.
    async fn settle(&mut self) -> Result<(), SealError> {
        if !self.unsettled {
            return Ok(());
        }
        self.noted = self.notes.published().await?.map_or(0, |checkpoint| checkpoint.size);
        while let Some((size, note)) = self.store.note_from(self.noted + 1).await? {
            let text = String::from_utf8(note).unwrap_or_default();
            let accepted = self.policy.check(&text);
            let checkpoint =
                accepted.map_err(|refused| SealError::Policy { size, refused: refused.to_string() })?;
            self.notes.publish(&checkpoint.checkpoint, text.as_bytes()).await?;
            self.noted = size;
            for seal in self.store.seals(size - 1, 1).await? {
                self.progress.set_published(seal.sealed);
            }
        }
        self.unsettled = false;
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; sizes stay far below 2^52")]
    fn tell(&self, signed: &Signed, begun: Instant, cosigned: usize) {
        let (size, seconds) = (signed.checkpoint.size, begun.elapsed().as_secs_f64());
        let since_seal = self.clock.now().saturating_sub(signed.time.micros());
        metrics::histogram!("trialseal_cosigning_seconds").record(seconds);
        metrics::histogram!("trialseal_sealed_to_witnessed_seconds").record(since_seal as f64 / 1e6);
        metrics::gauge!("trialseal_log_size", "state" => "witnessed").set(size as f64);
        tracing::info!(size, cosigned, seconds, "sealer.checkpoint.witnessed");
    }

    /// Asks all witnesses at once, until the policy is met and a moment longer.
    async fn ask(&self, signed: &Signed) -> Answers {
        let (sender, mut answers) = mpsc::unbounded_channel();
        for contact in &self.contacts {
            // One that has not answered to the checkpoint before is asked again when it has.
            let Ok(mut contact) = Arc::clone(contact).try_lock_owned() else { continue };
            let (sender, store) = (sender.clone(), Arc::clone(&self.store));
            let signed = signed.clone();
            // Not ended with the round: a request that is under way goes on, and its answer tells the witness's size.
            tokio::spawn(async move {
                let begun = Instant::now();
                let answer = contact.cosign(store.as_ref(), &signed).await;
                observe(contact.name(), &answer, begun);
                drop(contact);
                let _ = sender.send(answer);
            });
        }
        drop(sender);
        let mut got = Answers { cosignatures: Vec::new(), ahead: None };
        let mut until = Instant::now() + PATIENCE;
        let mut met = false;
        while let Ok(Some(answer)) = tokio::time::timeout_at(until, answers.recv()).await {
            match answer {
                Ok(cosignature) => got.cosignatures.push(cosignature),
                Err(ContactError::Ahead(size)) => got.ahead = got.ahead.max(Some(size)),
                Err(_) => continue,
            }
            if !met && self.policy.check(&note_of(signed, &got.cosignatures)).is_ok() {
                met = true;
                until = Instant::now() + GRACE;
            }
        }
        got
    }

    /// A witness has seen a larger tree of this log than is asked about: perhaps another process went on, which the
    /// database then tells.
    async fn check_ahead(&self, published: u64) -> Result<(), SealError> {
        let recorded = self.store.head().await?.seal.map_or(0, |seal| seal.number + 1);
        if published > recorded { Err(SealError::Behind { published, recorded }) } else { Ok(()) }
    }

    /// Times never go back, and a seal that is dated after it was public is a bad one for ever: neither events nor seals
    /// are stamped by a clock that is ahead of all witnesses.
    fn watch_clock(&self, cosignatures: &[Cosignature]) {
        let Some(newest) = cosignatures.iter().map(|cosignature| cosignature.time).max() else { return };
        let now = self.clock.now().div_euclid(1_000_000);
        let lead = now.saturating_sub(i64::try_from(newest).unwrap_or(i64::MAX));
        let ahead = lead > MAX_LEAD_SECONDS;
        if ahead && !self.progress.clock_is_ahead() {
            tracing::error!(
                lead,
                "this machine's clock is ahead of the witnesses': nothing is recorded until it is set"
            );
        }
        self.progress.set_clock_ahead(ahead);
    }
}

fn note_of(signed: &Signed, cosignatures: &[Cosignature]) -> String {
    let mut note = signed.note.clone();
    note.signatures.extend(cosignatures.iter().map(|cosignature| cosignature.line.clone()));
    note.encode()
}

fn observe(witness: &str, answer: &Result<Cosignature, ContactError>, begun: Instant) {
    let witness = witness.to_owned();
    let outcome = if answer.is_ok() { "cosigned" } else { "failed" };
    metrics::counter!("trialseal_witness_answers_total", "witness" => witness.clone(), "outcome" => outcome)
        .increment(1);
    metrics::histogram!("trialseal_witness_seconds", "witness" => witness.clone())
        .record(begun.elapsed().as_secs_f64());
    if let Err(error) = answer {
        tracing::warn!(witness, %error, "sealer.witness.failed");
    }
}
