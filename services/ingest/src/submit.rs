//! The one path that every command takes: decide on the states it rests on, prepare, append.
//!
//! A command is decided on the states at hand first, without a question to the database: what they miss, the append
//! finds, which names the version of every stream the decision rested on. Only then are they read anew. And nothing is
//! refused on states at hand alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;
use trialseal_access::{Permission, Principal};
use trialseal_record::ids::{Scope, StreamId, TrialId};
use trialseal_record::{Command, Context, Decision, Event, Signed, State, TrialState, decide};
use trialseal_runtime::problem::{Problem, ProblemKind};
use trialseal_seal::hash::Hash;
use trialseal_store::body;
use trialseal_store::draft::Draft;
use trialseal_store::{Append, AppendError, Appended, CommandId, Digest, Expected, NaturalKey};
use trialseal_vault::DataKey;
use uuid::{Builder, Uuid};

use crate::Ingest;
use crate::answer::{Level, Recorded};
use crate::prepare::{prepare, stamp};
use crate::refusal;
use crate::states::{StateError, StreamState};

/// How often a command is decided anew because others changed what it rests on, before its sender is told.
const TRIES: usize = 16;

/// How long a command waits for those before it that write to the same stream: as long as these may wait for the ledger.
const TURN: Duration = Duration::from_secs(10);

/// A command with all that its sender said of it.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) principal: Principal,
    pub(crate) trial: TrialId,
    pub(crate) request_id: String,
    /// The command's id, from its sender and the key they chose.
    pub(crate) id: CommandId,
    /// The hash of its content. What is kept of it is a digest under the key of whom it is about, which nobody can test
    /// guesses by once that key is destroyed.
    pub(crate) content: Hash,
    pub(crate) command: Command,
    /// Its signature, where it came with one.
    pub(crate) signed: Option<Signed>,
    /// What the sender waits for.
    pub(crate) wait: Level,
}

/// An answer, and whether it is an old one.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) recorded: Recorded,
    pub(crate) replayed: bool,
}

/// What became of deciding and appending once.
enum Attempt {
    Recorded(Appended),
    /// By a rule, on the states that were given.
    Refused(Problem),
    /// The states that were given are no longer those of the record.
    Outdated,
}

impl Submission {
    fn creates_trial(&self) -> bool {
        matches!(self.command, Command::RegisterTrial(_))
    }

    /// The stream that the command writes to; `None` where it makes a new one, for which nobody has to wait.
    fn written(&self) -> Option<StreamId> {
        match &self.command {
            Command::ScreenParticipant(_) | Command::ActivateSite(_) => None,
            command => Some(
                command.participant().map_or_else(|| StreamId::trial(&self.trial), StreamId::participant),
            ),
        }
    }

    /// The streams besides the trial's own that the decision rests on.
    fn others(&self) -> impl Iterator<Item = StreamId> {
        let others = [
            self.command.site().map(StreamId::site),
            self.command.participant().map(StreamId::participant),
            self.command.erasure().map(StreamId::erasure_of),
            self.command.redaction().map(|(participant, _)| StreamId::redactions_of(participant)),
        ];
        others.into_iter().flatten()
    }

    fn digest(&self, key: &DataKey) -> Digest {
        key.digest(&[b"command", self.content.as_bytes()])
    }
}

/// What somebody is to hear of at once, by whatever watches the log.
fn alarm(submission: &Submission) {
    let (trial, actor) = (&submission.trial, &submission.principal.actor);
    match &submission.command {
        Command::UnblindParticipant(participant, _) => {
            tracing::warn!(%trial, %participant, %actor, "ingest.participant.unblinded");
        }
        Command::OpenEmergencyAccess(participant, _) => {
            tracing::warn!(%trial, %participant, %actor, "ingest.emergency-access.opened");
        }
        _ => {}
    }
}

/// The states that a command rests on.
struct Basis {
    trial: Arc<TrialState>,
    others: Vec<(StreamId, StreamState)>,
    /// The event that the command is about, where it is about one.
    target: Option<Event>,
}

impl Ingest {
    /// Sees that the principal may send commands at all, and to this trial.
    pub(crate) fn admit(principal: &Principal, trial: &TrialId, needed: Permission) -> Result<(), Problem> {
        if trial.is_ledger() || !principal.reaches(trial) {
            return Err(refusal::no_such_trial());
        }
        Self::require(principal, needed)
    }

    /// Sees that the principal may send commands at all.
    pub(crate) fn require(principal: &Principal, needed: Permission) -> Result<(), Problem> {
        if principal.may(needed) {
            return Ok(());
        }
        Err(Problem::new(ProblemKind::Forbidden, "This role records nothing by this route."))
    }

    /// The id of a command, from its sender and the key that they chose within the trial.
    pub(crate) fn command_id(&self, principal: &Principal, trial: &TrialId, key: &str) -> CommandId {
        self.vault.command_id(&principal.actor, &format!("{trial}/{key}"))
    }

    /// Carries a command out, or says why not.
    pub(crate) async fn submit(&self, submission: Submission) -> Result<Submitted, Problem> {
        let appended = self.carry_out(&submission).await?;
        if let Command::ApproveErasure(participant, _) | Command::ApproveRedaction(participant, _) =
            &submission.command
        {
            // Where nobody listens any more the process is ending, and the next start finds it in the record.
            _ = self.erasures.send((submission.trial.clone(), *participant));
        }
        alarm(&submission);
        let mut recorded = Recorded::of(&appended);
        recorded.level = self.wait(submission.wait, &appended).await;
        Ok(Submitted { recorded, replayed: appended.replayed })
    }

    async fn carry_out(&self, submission: &Submission) -> Result<Appended, Problem> {
        let _held = match submission.written() {
            Some(stream) => Some(self.turn(&submission.trial, stream).await?),
            None => None,
        };
        if let Some(basis) = self.basis_at_hand(submission)
            && let Attempt::Recorded(appended) = self.attempt(submission, basis).await?
        {
            return Ok(appended);
        }
        for _ in 0..TRIES {
            let basis = self.basis(submission).await.map_err(|error| refusal::of_state(&error))?;
            match self.attempt(submission, basis).await? {
                Attempt::Recorded(appended) => return Ok(appended),
                Attempt::Refused(problem) => {
                    // Perhaps by what this very command has done before: then the old answer stands.
                    if let Some(done) = self.replay(submission).await? {
                        return Ok(done);
                    }
                    self.record_refusal(submission, &problem).await;
                    return Err(problem);
                }
                Attempt::Outdated => {}
            }
        }
        Err(refusal::outdated())
    }

    /// The right to write to a stream, once the commands before have ended.
    async fn turn(&self, trial: &TrialId, stream: StreamId) -> Result<OwnedMutexGuard<()>, Problem> {
        let held = tokio::time::timeout(TURN, self.locks.hold(trial, stream)).await;
        held.map_err(|_| {
            refusal::of_append(&AppendError::Busy("the commands before this one have not ended yet"))
        })
    }

    /// The old answer, if this very command was carried out before.
    async fn replay(&self, submission: &Submission) -> Result<Option<Appended>, Problem> {
        let done = self.appends.command(&submission.id).await.map_err(|error| refusal::of_store(&error))?;
        let Some(done) = done else { return Ok(None) };
        let first = self.events.of_trial(&done.trial, done.first, 1).await;
        let Some(first) = first.map_err(|error| refusal::of_store(&error))?.pop() else { return Ok(None) };
        let key = body::key_of(&self.vault, &first).await.map_err(|error| refusal::of_body(&error))?;
        let key = key.ok_or_else(refusal::erased)?;
        if done.digest != submission.digest(&key) || done.trial != submission.trial {
            return Err(refusal::key_reused());
        }
        let old = self.writer.replay(&done).await;
        old.map(Some).map_err(|error| refusal::of_append(&error))
    }

    /// Decides on what `basis` tells, and appends.
    async fn attempt(&self, submission: &Submission, basis: Basis) -> Result<Attempt, Problem> {
        if basis.trial.version() == 0 && !submission.creates_trial() {
            return Ok(Attempt::Refused(refusal::no_such_trial()));
        }
        let context = Context {
            signed: submission.signed.clone(),
            answered: self.answered(submission, &basis.trial).await?,
            ..self.context(&submission.principal)
        };
        let decision = match decide(&basis.state(), &submission.command, &context) {
            Ok(decision) => decision,
            Err(refused) => return Ok(Attempt::Refused(refusal::of_rule(refused))),
        };
        let (append, drafts) = self.append_of(submission, &basis, decision, context.now_micros).await?;
        drop(basis);
        // A crash before this line records nothing. After it the events may be durable without an answer: the sender
        // sends the command again, and is answered from the record.
        match self.writer.append(append).await {
            Ok(appended) => {
                if !appended.replayed {
                    let places = appended.events.iter().map(|event| event.streamseq);
                    let recorded = drafts.iter().zip(places);
                    let recorded = recorded.map(|(draft, place)| (draft.stream, &draft.event, place));
                    self.states.learn(&submission.trial, recorded);
                }
                Ok(Attempt::Recorded(appended))
            }
            Err(AppendError::VersionConflict { .. }) => Ok(Attempt::Outdated),
            // A new participant has another key each time that the command is sent, and its digest with it.
            Err(AppendError::CommandReused) => {
                let done = self.replay(submission).await?;
                done.map(Attempt::Recorded).ok_or_else(refusal::key_reused)
            }
            Err(error) => Err(refusal::of_append(&error)),
        }
    }

    /// The states that the command rests on, where all of them are at hand. An event is not.
    fn basis_at_hand(&self, submission: &Submission) -> Option<Basis> {
        if submission.command.redaction().is_some() {
            return None;
        }
        let at_hand = |stream| self.states.at_hand(&submission.trial, stream);
        let StreamState::Trial(trial) = at_hand(StreamId::trial(&submission.trial))? else { return None };
        let others =
            submission.others().map(|stream| Some((stream, at_hand(stream)?))).collect::<Option<_>>()?;
        Some(Basis { trial, others, target: None })
    }

    /// The states that the command rests on, as they are recorded now.
    async fn basis(&self, submission: &Submission) -> Result<Basis, StateError> {
        let trial = &submission.trial;
        let mut others = Vec::new();
        for stream in submission.others() {
            others.push((stream, self.states.of(trial, stream).await?));
        }
        let target = match submission.command.redaction() {
            Some((participant, streamseq)) => {
                self.states.event_at(trial, StreamId::participant(participant), streamseq).await?
            }
            None => None,
        };
        Ok(Basis { trial: self.states.of_trial(trial).await?, others, target })
    }

    /// What the decision may know besides the record.
    pub(crate) fn context(&self, principal: &Principal) -> Context {
        Context {
            now_micros: self.clock.now(),
            actor: principal.as_actor(),
            signed: None,
            answered: None,
            new_id: self.random_uuid(),
        }
    }

    /// A UUID that tells nothing, not even when it was made.
    pub(crate) fn random_uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.ids.fill(&mut bytes);
        Builder::from_random_bytes(bytes).into_uuid()
    }

    async fn append_of(
        &self,
        submission: &Submission,
        basis: &Basis,
        decision: Decision,
        now_micros: i64,
    ) -> Result<(Append, Vec<Draft>), Problem> {
        let trial = &submission.trial;
        let mut drafts = Vec::with_capacity(decision.events.len());
        let mut expected = basis.expected(trial);
        for (stream, event) in decision.events {
            let key = self.vault.key_of(&Scope::of(trial, stream)).await;
            drafts.push(Draft { stream, event, key: key.map_err(|error| refusal::of_vault(&error))? });
            // A stream that the decision did not read is one that it makes.
            if expected.iter().all(|known| known.stream != stream) {
                expected.push(Expected { stream, version: 0 });
            }
        }
        let digest = drafts.first().map(|draft| submission.digest(&draft.key)).unwrap_or_default();
        let stamp = stamp(&submission.principal, &submission.request_id);
        // Costs no more than reading the body did.
        let events = prepare(&drafts, &stamp, self.ids.as_ref(), now_micros);
        let append = Append {
            command: submission.id,
            digest,
            trial: trial.clone(),
            new_trial: submission.creates_trial(),
            expected,
            natural_keys: decision.keys.iter().map(|key| self.natural_key(trial, key)).collect(),
            events: events.map_err(|error| refusal::of_prepare(&error))?,
        };
        Ok((append, drafts))
    }

    /// A name to take, under the hash by which it is looked up.
    pub(crate) fn natural_key(&self, trial: &TrialId, key: &trialseal_record::NaturalKey) -> NaturalKey {
        NaturalKey {
            key: self.vault.natural_key(trial, key.kind.as_str(), key.value.as_str()),
            stream: key.stream,
            rule: key.kind.taken().rule,
        }
    }

    /// Waits until the events have come as far as `level`, and answers how far they have where that takes too long.
    async fn wait(&self, level: Level, appended: &Appended) -> Level {
        let Some(last) = appended.events.last() else { return level };
        let until = Instant::now() + self.limits.wait_sealed;
        let (sealed, published) = (self.progress.sealed(), self.progress.published());
        let mut reached = Level::Recorded;
        for (next, mut progress) in [(Level::Sealed, sealed), (Level::Witnessed, published)] {
            if level < next {
                break;
            }
            let covered = progress.wait_for(|position| *position > last.position);
            if !matches!(tokio::time::timeout_at(until, covered).await, Ok(Ok(_))) {
                break;
            }
            reached = next;
        }
        reached
    }
}

impl Basis {
    fn state(&self) -> State<'_> {
        let mut state = State::of(&self.trial);
        state.target = self.target.as_ref();
        for (_, other) in &self.others {
            other.show(&mut state);
        }
        state
    }

    fn expected(&self, trial: &TrialId) -> Vec<Expected> {
        let mut expected = vec![Expected { stream: StreamId::trial(trial), version: self.trial.version() }];
        expected.extend(
            self.others.iter().map(|(stream, state)| Expected { stream: *stream, version: state.version() }),
        );
        expected
    }
}
