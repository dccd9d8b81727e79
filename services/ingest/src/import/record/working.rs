//! The states that the rows of a file are decided on: as they will be once everything decided on is recorded.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use trialseal_record::command::ImportSubject;
use trialseal_record::ids::{ImportId, ParticipantId, Scope, SiteId, StreamId, TrialId};
use trialseal_record::text::Name;
use trialseal_record::{Command, Context, Event, NaturalKeyKind, Signed, State, TrialState, decide};
use trialseal_store::body::BodyError;
use trialseal_store::{Expected, NaturalKey, StoreError};
use trialseal_vault::{DataKey, VaultError};

use super::Failed;
use crate::Ingest;
use crate::states::{StateError, StreamState};
use trialseal_store::draft::Draft;

/// So many states are kept before those are dropped that no chunk under way has used: bounds the memory of an import
/// of however many participants.
const KEPT_STATES: usize = 2_000;

/// Why a step cannot be decided on.
#[derive(Debug)]
pub(super) enum DraftError {
    /// The database cannot answer now.
    NotNow(String),
    /// It will never be.
    Never(Failed),
}

/// What follows from a step.
#[derive(Debug, Default)]
pub(super) struct Decided {
    pub(super) drafts: Vec<Draft>,
    /// The versions of all streams it rests on, from before it.
    pub(super) expected: Vec<Expected>,
    pub(super) natural_keys: Vec<NaturalKey>,
    /// The rows of participants whose data are erased. Nothing of them is recorded.
    pub(super) erased: Vec<u64>,
}

/// What is known of one stream.
struct Known {
    state: StreamState,
    /// `None` for a participant whose data are erased.
    key: Option<Arc<DataKey>>,
    /// The step that used it last.
    step: u64,
    /// The step whose `expected` has it.
    expected_by: Option<u64>,
}

pub(super) struct Working<'a> {
    ingest: &'a Ingest,
    trial: TrialId,
    import: ImportId,
    context: Context,
    /// The file's signature, where it has one.
    signed: Option<Signed>,
    streams: HashMap<StreamId, Known>,
    /// Participants and sites by their numbers, with the step that used them last.
    numbers: HashMap<(NaturalKeyKind, Name), (StreamId, u64)>,
}

impl<'a> Working<'a> {
    pub(super) fn new(ingest: &'a Ingest, trial: TrialId, import: ImportId, context: Context) -> Self {
        let signed = context.signed.clone();
        Self { ingest, trial, import, context, signed, streams: HashMap::new(), numbers: HashMap::new() }
    }

    /// Forgets everything, since it is not, or not surely, what is recorded.
    pub(super) fn forget(&mut self) {
        self.streams.clear();
        self.numbers.clear();
    }

    /// Says that `step` and those before it are recorded, so that what only they used can be read again.
    pub(super) fn recorded(&mut self, step: u64) {
        if self.streams.len() > KEPT_STATES || self.numbers.len() > KEPT_STATES {
            self.streams.retain(|_, known| known.step > step);
            self.numbers.retain(|_, (_, used)| *used > step);
        }
    }

    /// Decides on the commands of one step, each on the states that the ones before it lead to.
    pub(super) async fn decide(
        &mut self,
        step: u64,
        commands: &mut [Command],
    ) -> Result<Decided, DraftError> {
        let mut decided = Decided::default();
        self.context.now_micros = self.ingest.clock.now();
        for command in commands {
            // A file is signed as a whole: its rows rest on how it begins.
            let begins = matches!(command, Command::StartImport(..));
            self.context.signed = if begins { self.signed.clone() } else { None };
            if let Command::ImportRow(_, row) = command
                && let Some(subject) = &mut row.subject
            {
                self.find(subject, step).await?;
                if subject.participant.is_none() {
                    self.context.new_id = self.ingest.random_uuid();
                }
            }
            self.decide_one(step, command, &mut decided).await?;
        }
        Ok(decided)
    }

    async fn decide_one(
        &mut self,
        step: u64,
        command: &Command,
        decided: &mut Decided,
    ) -> Result<(), DraftError> {
        let trial = StreamId::trial(&self.trial);
        let import = StreamId::import(self.import);
        let named = [command.site().map(StreamId::site), command.participant().map(StreamId::participant)];
        let rests_on = [Some(trial), Some(import), named[0], named[1]];
        for stream in rests_on.into_iter().flatten() {
            self.read(stream, step, decided).await?;
        }
        let erased = command.participant().and_then(|id| self.streams.get(&StreamId::participant(id)));
        if erased.is_some_and(|known| known.state.is_erased())
            && let Command::ImportRow(_, row) = command
        {
            decided.erased.push(row.row);
            return Ok(());
        }
        let nothing = TrialState::default();
        let mut state = State::of(&nothing);
        for stream in rests_on.iter().flatten() {
            if let Some(known) = self.streams.get(stream) {
                known.state.show(&mut state);
            }
        }
        let decision = decide(&state, command, &self.context).map_err(never)?;
        for key in &decision.keys {
            self.numbers.insert((key.kind, key.value.clone()), (key.stream, step));
            decided.natural_keys.push(self.ingest.natural_key(&self.trial, key));
            self.make(key.stream, step).await?;
        }
        for (stream, event) in decision.events {
            self.read(stream, step, decided).await?;
            self.fold(stream, event, decided);
        }
        Ok(())
    }

    fn fold(&mut self, stream: StreamId, event: Event, decided: &mut Decided) {
        if let Some(known) = self.streams.get_mut(&stream)
            && let Some(key) = known.key.clone()
        {
            known.state.evolve(&event);
            decided.drafts.push(Draft { stream, event, key });
        }
    }

    /// Finds out whether the record, or a row before, knows participant and site.
    async fn find(&mut self, subject: &mut ImportSubject, step: u64) -> Result<(), DraftError> {
        let participant = self.bearer(NaturalKeyKind::SubjectNumber, &subject.subject_number, step).await?;
        subject.participant = participant.map(|stream| ParticipantId(stream.uuid()));
        subject.site = match &subject.site_number {
            Some(number) => {
                let site = self.bearer(NaturalKeyKind::SiteNumber, number, step).await?;
                site.map(|stream| SiteId(stream.uuid()))
            }
            None => None,
        };
        Ok(())
    }

    /// The stream that bears a number.
    async fn bearer(
        &mut self,
        kind: NaturalKeyKind,
        number: &Name,
        step: u64,
    ) -> Result<Option<StreamId>, DraftError> {
        let name = (kind, number.clone());
        if let Some((stream, used)) = self.numbers.get_mut(&name) {
            *used = step;
            return Ok(Some(*stream));
        }
        let key = self.ingest.vault.natural_key(&self.trial, kind.as_str(), number.as_str());
        let found =
            self.ingest.events.stream_of(&self.trial, &key).await.map_err(|error| of_store(&error))?;
        if let Some(stream) = found {
            self.numbers.insert(name, (stream, step));
        }
        Ok(found)
    }

    /// Sees that the stream's state is at hand, and that the step expects the version it has before the step.
    async fn read(&mut self, stream: StreamId, step: u64, decided: &mut Decided) -> Result<(), DraftError> {
        if !self.streams.contains_key(&stream) {
            let state = self.ingest.states.of(&self.trial, stream).await.map_err(|error| of_state(&error))?;
            let key = if state.is_erased() { None } else { Some(self.key_of(stream).await?) };
            self.streams.insert(stream, Known { state, key, step, expected_by: None });
        }
        if let Some(known) = self.streams.get_mut(&stream) {
            known.step = step;
            if known.expected_by != Some(step) {
                known.expected_by = Some(step);
                decided.expected.push(Expected { stream, version: known.state.version() });
            }
        }
        Ok(())
    }

    /// Begins a stream that the step makes.
    async fn make(&mut self, stream: StreamId, step: u64) -> Result<(), DraftError> {
        let key = self.key_of(stream).await?;
        if let Entry::Vacant(place) = self.streams.entry(stream) {
            place.insert(Known { state: StreamState::new(stream), key: Some(key), step, expected_by: None });
        }
        Ok(())
    }

    async fn key_of(&self, stream: StreamId) -> Result<Arc<DataKey>, DraftError> {
        let key = self.ingest.vault.key_of(&Scope::of(&self.trial, stream)).await;
        key.map_err(|error| of_vault(&error))
    }
}

fn never(cause: impl std::fmt::Display) -> DraftError {
    DraftError::Never(Failed::new(cause))
}

fn of_store(error: &StoreError) -> DraftError {
    match error {
        StoreError::Unavailable(_)
        | StoreError::TryAgain(_)
        | StoreError::Overtaken(_)
        | StoreError::Deposed => DraftError::NotNow(error.to_string()),
        StoreError::Refused(_) | StoreError::DamagedEvent { .. } | StoreError::Damaged(_) => never(error),
    }
}

fn of_vault(error: &VaultError) -> DraftError {
    match error {
        // A key that was there a moment ago is not asked for again once its stream has been read anew.
        VaultError::Store(_) | VaultError::Management(_) | VaultError::Destroyed(_) => {
            DraftError::NotNow(error.to_string())
        }
        _ => never(error),
    }
}

fn of_state(error: &StateError) -> DraftError {
    match error {
        StateError::Store(error) | StateError::Body(BodyError::Damaged(error)) => of_store(error),
        StateError::Body(BodyError::Vault(error)) => of_vault(error),
        StateError::Unreadable(_) | StateError::Erased => never(error),
    }
}
