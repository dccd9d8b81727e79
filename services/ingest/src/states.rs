//! The states that decisions rest on: folded from their streams, kept at hand, and caught up before each use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use trialseal_record::event::UnreadableEvent;
use trialseal_record::ids::{StreamId, StreamKind, TrialId};
use trialseal_record::state::ParticipantStatus;
use trialseal_record::{
    ErasureState, Event, ImportState, ParticipantState, RedactionState, SiteState, State, TrialState,
};
use trialseal_store::body::{self, Body, BodyError};
use trialseal_store::{EventRow, Events, StoreError, may_go_on};
use trialseal_vault::Vault;

/// Events that are read at once.
const PAGE_EVENTS: u32 = 500;

/// What all states at hand may weigh together, in recorded items of some hundred bytes each.
const CACHED_WEIGHT: usize = 200_000;

/// The state of one stream, cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum StreamState {
    /// Of a trial's own stream, or of the ledger's.
    Trial(Arc<TrialState>),
    /// Of a site.
    Site(Arc<SiteState>),
    /// Of a participant.
    Participant(Arc<ParticipantState>),
    /// Of the erasure of a participant's data.
    Erasure(Arc<ErasureState>),
    /// Of the redactions of a participant's values.
    Redaction(Arc<RedactionState>),
    /// Of an import.
    Import(Arc<ImportState>),
}

/// Why a state cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// The store cannot answer, or an event in it is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event's body cannot be opened.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// An event was written by software that knows more than this one.
    #[error(transparent)]
    Unreadable(#[from] UnreadableEvent),
    /// The key of the stream was destroyed, and with it the state.
    #[error("the data of this stream were destroyed")]
    Erased,
}

impl StreamState {
    /// The state of a stream without events.
    pub(crate) fn new(stream: StreamId) -> Self {
        match stream.kind() {
            // No command rests on who has read what, who was granted what, which arm somebody is in, or whose record
            // was opened.
            StreamKind::Trial
            | StreamKind::Ledger
            | StreamKind::Access
            | StreamKind::Blinded
            | StreamKind::Emergency
            | StreamKind::Grant
            | StreamKind::Login => Self::Trial(Arc::default()),
            StreamKind::Site => Self::Site(Arc::default()),
            StreamKind::Participant => Self::Participant(Arc::default()),
            StreamKind::Erasure => Self::Erasure(Arc::default()),
            StreamKind::Redaction => Self::Redaction(Arc::default()),
            StreamKind::Import => Self::Import(Arc::default()),
        }
    }

    /// Number of events that are folded in.
    pub(crate) fn version(&self) -> u64 {
        match self {
            Self::Trial(state) => state.version(),
            Self::Site(state) => state.version(),
            Self::Participant(state) => state.version(),
            Self::Erasure(state) => state.version(),
            Self::Redaction(state) => state.version(),
            Self::Import(state) => state.version(),
        }
    }

    /// Folds in the next event of the stream.
    pub(crate) fn evolve(&mut self, event: &Event) {
        let streamseq = self.version();
        match self {
            Self::Trial(state) => Arc::make_mut(state).evolve(event, streamseq),
            Self::Site(state) => Arc::make_mut(state).evolve(event, streamseq),
            Self::Participant(state) => Arc::make_mut(state).evolve(event, streamseq),
            Self::Erasure(state) => Arc::make_mut(state).evolve(event, streamseq),
            Self::Redaction(state) => Arc::make_mut(state).evolve(event, streamseq),
            Self::Import(state) => Arc::make_mut(state).evolve(event, streamseq),
        }
    }

    /// Goes past an event whose data cannot be read any more.
    fn pass_over(&mut self) -> Result<(), StateError> {
        let streamseq = self.version();
        match self {
            Self::Participant(state) => {
                Arc::make_mut(state).erase(streamseq);
                Ok(())
            }
            // Only participants' keys are destroyed.
            _ => Err(StateError::Erased),
        }
    }

    /// Whether it is a participant's whose data are erased, or about to be.
    pub(crate) fn is_erased(&self) -> bool {
        matches!(self, Self::Participant(state) if state.status() == ParticipantStatus::Erased)
    }

    /// Puts the state where a decision looks for it.
    pub(crate) fn show<'a>(&'a self, decision: &mut State<'a>) {
        match self {
            Self::Trial(state) => decision.trial = state,
            Self::Site(state) => decision.site = Some(state),
            Self::Participant(state) => decision.participant = Some(state),
            Self::Erasure(state) => decision.erasure = Some(state),
            Self::Redaction(state) => decision.redaction = Some(state),
            Self::Import(state) => decision.import = Some(state),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Participant(state) => state.weight(),
            // Of a trial's events its state keeps some; of a site's and an import's next to nothing.
            Self::Trial(state) => usize::try_from(state.version()).unwrap_or(usize::MAX),
            Self::Site(_) | Self::Erasure(_) | Self::Redaction(_) | Self::Import(_) => 1,
        }
    }
}

/// Reads states.
pub(crate) struct States {
    events: Arc<dyn Events>,
    vault: Arc<Vault>,
    cache: Mutex<Cache>,
}

struct Cache {
    states: LruCache<(TrialId, StreamId), StreamState>,
    weight: usize,
}

impl States {
    pub(crate) fn new(events: Arc<dyn Events>, vault: Arc<Vault>) -> Self {
        Self { events, vault, cache: Mutex::new(Cache { states: LruCache::unbounded(), weight: 0 }) }
    }

    /// The state of a stream with all events that are recorded by now.
    pub(crate) async fn of(&self, trial: &TrialId, stream: StreamId) -> Result<StreamState, StateError> {
        let key = (trial.clone(), stream);
        let cached = self.cache().states.get(&key).cloned();
        let known = cached.as_ref().map_or(0, StreamState::version);
        let mut state = cached.unwrap_or_else(|| StreamState::new(stream));
        loop {
            let rows = self.events.of_stream(trial, &stream, state.version(), PAGE_EVENTS).await?;
            for row in &rows {
                match self.event(row).await {
                    Ok(event) => state.evolve(&event),
                    Err(StateError::Erased) => state.pass_over()?,
                    Err(error) => return Err(error),
                }
            }
            if !may_go_on(&rows, PAGE_EVENTS) {
                break;
            }
        }
        if state.version() > known {
            self.cache().put(key, state.clone());
        }
        Ok(state)
    }

    /// The state of a stream as it was when it was last used here, if it is at hand.
    pub(crate) fn at_hand(&self, trial: &TrialId, stream: StreamId) -> Option<StreamState> {
        self.cache().states.get(&(trial.clone(), stream)).cloned()
    }

    /// Folds in events that were just recorded here, each with its place in its stream, where the state at hand is the one
    /// before it. Whoever still holds that state makes this copy it.
    pub(crate) fn learn<'a>(
        &self,
        trial: &TrialId,
        recorded: impl IntoIterator<Item = (StreamId, &'a Event, u64)>,
    ) {
        let mut cache = self.cache();
        for (stream, event, streamseq) in recorded {
            let key = (trial.clone(), stream);
            // Out of the cache it is nobody else's, and changed in place.
            let mut state = cache.take(&key).unwrap_or_else(|| StreamState::new(stream));
            if state.version() == streamseq {
                state.evolve(event);
            }
            if state.version() > 0 {
                cache.put(key, state);
            }
        }
    }

    /// The state of the trial's own stream.
    pub(crate) async fn of_trial(&self, trial: &TrialId) -> Result<Arc<TrialState>, StateError> {
        match self.of(trial, StreamId::trial(trial)).await? {
            StreamState::Trial(state) => Ok(state),
            // The stream's kind says that there is no other; and a trial without a state is not registered.
            _ => Ok(Arc::default()),
        }
    }

    /// The event at a place of a stream; `None` where there is none that can be read.
    pub(crate) async fn event_at(
        &self,
        trial: &TrialId,
        stream: StreamId,
        streamseq: u64,
    ) -> Result<Option<Event>, StateError> {
        let row = self.events.of_stream(trial, &stream, streamseq, 1).await?.pop();
        match row {
            Some(row) => match self.event(&row).await {
                Err(StateError::Erased) => Ok(None),
                event => event.map(Some),
            },
            None => Ok(None),
        }
    }

    /// Reads a stored event.
    pub(crate) async fn event(&self, row: &EventRow) -> Result<Event, StateError> {
        let header = row.checked_header()?;
        let Body::Readable { data, .. } = body::open(&self.vault, row, &header).await? else {
            return Err(StateError::Erased);
        };
        Ok(body::event(&header, data)?)
    }

    /// The cache, also after a panic elsewhere: a state in it is whole or not there.
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    fn take(&mut self, key: &(TrialId, StreamId)) -> Option<StreamState> {
        let state = self.states.pop(key)?;
        self.weight -= state.weight();
        Some(state)
    }

    /// Keeps a state, unless a newer one is there; drops those not used for longest until all have room.
    fn put(&mut self, key: (TrialId, StreamId), state: StreamState) {
        if self.states.peek(&key).is_some_and(|known| known.version() >= state.version()) {
            return;
        }
        self.weight += state.weight();
        if let Some(old) = self.states.put(key, state) {
            self.weight -= old.weight();
        }
        while self.weight > CACHED_WEIGHT
            && let Some((_, dropped)) = self.states.pop_lru()
        {
            self.weight -= dropped.weight();
        }
    }
}
