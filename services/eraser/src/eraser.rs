use std::time::Duration;

use trialseal_record::event::{Event, KeyDestroyed};
use trialseal_record::ids::{ParticipantId, Scope, StreamId, StreamKind, TrialId};
use trialseal_record::text::Name;
use trialseal_record::{Actor, ErasureState, Role};
use trialseal_runtime::shutdown::Shutdown;
use trialseal_seal::data::Secret;
use trialseal_store::body::{self, Body};
use trialseal_store::draft::{Draft, Stamp};
use trialseal_store::{Append, EventRow, Expected, StoreError, may_go_on};
use trialseal_vault::VaultError;

use crate::{EraseError, EraserParts};

/// The actor of what the service does by itself.
const SERVICE: &str = "service:trialseal";

/// Trials, streams or events that are read at once.
pub(crate) const PAGE: u32 = 500;

/// Pauses before an erasure that could not be carried out is tried again: the first, the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Carries out erasures and redactions, one after the other.
pub struct Eraser {
    pub(crate) parts: EraserParts,
    pending: Vec<Whose>,
    /// Whether keys were destroyed since the master key was renewed here.
    owes_renewal: bool,
}

/// Of whom an erasure or redactions have to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whose {
    pub(crate) trial: TrialId,
    pub(crate) participant: ParticipantId,
}

impl Whose {
    pub(crate) fn scope(&self) -> Scope {
        Scope::Participant(self.trial.clone(), self.participant)
    }
}

/// A key is gone from the key store, and this is what has to be recorded about it.
struct Destroyed {
    whose: Whose,
    /// Events of the erasure's stream that are known.
    version: u64,
    /// Events of the participant.
    events: u64,
}

impl Eraser {
    /// One that has not begun.
    pub fn new(parts: EraserParts) -> Self {
        Self { parts, pending: Vec::new(), owes_renewal: false }
    }

    /// Finds what was approved and not carried out in the record, carries it out, and goes on with what is approved
    /// meanwhile until asked to stop. Failures are logged and tried again.
    pub async fn run(mut self, shutdown: Shutdown) {
        let mut pause = FIRST_PAUSE;
        let mut is_found = false;
        loop {
            let done = self.step(&mut is_found).await;
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; these are a few")]
            metrics::gauge!("trialseal_erasures_pending").set(self.pending.len() as f64);
            if let Err(error) = done {
                tracing::error!(%error, pending = self.pending.len(), "eraser.step");
            }
            let idle = self.pending.is_empty() && is_found;
            tokio::select! {
                () = shutdown.requested() => return,
                Some((trial, participant)) = self.parts.approved.recv() => {
                    self.add([Whose { trial, participant }]);
                    pause = FIRST_PAUSE;
                }
                () = tokio::time::sleep(pause), if !idle => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    async fn step(&mut self, is_found: &mut bool) -> Result<(), EraseError> {
        if !*is_found {
            let found = self.find().await?;
            self.add(found);
            *is_found = true;
        }
        self.carry_out().await
    }

    /// Nobody's turn comes twice, however often it was said.
    fn add(&mut self, more: impl IntoIterator<Item = Whose>) {
        for whose in more {
            if !self.pending.contains(&whose) {
                self.pending.push(whose);
            }
        }
    }

    /// Everybody of whom an erasure or a redaction was asked for; also where it was carried out, as the key store may be an older
    /// one.
    async fn find(&self) -> Result<Vec<Whose>, EraseError> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let trials = self.parts.events.trials(after.as_ref(), PAGE).await?;
            for (trial, _) in &trials {
                self.find_in(trial, StreamKind::Erasure, &mut found).await?;
                self.find_in(trial, StreamKind::Redaction, &mut found).await?;
            }
            match trials.last() {
                Some((last, _)) if trials.len() == PAGE as usize => after = Some(last.clone()),
                _ => return Ok(found),
            }
        }
    }

    async fn find_in(
        &self,
        trial: &TrialId,
        kind: StreamKind,
        found: &mut Vec<Whose>,
    ) -> Result<(), EraseError> {
        let mut after = None;
        loop {
            let streams = self.parts.streams.streams(trial, kind, after, PAGE).await?;
            for row in &streams {
                let participant = ParticipantId(row.stream.uuid());
                found.push(Whose { trial: trial.clone(), participant });
            }
            match streams.last() {
                Some(last) if streams.len() == PAGE as usize => after = Some(last.stream),
                _ => return Ok(()),
            }
        }
    }

    /// Carries out all that is pending, with one new master key for all of it. A redaction that fails keeps nobody else waiting.
    async fn carry_out(&mut self) -> Result<(), EraseError> {
        let (mut destroyed, mut replaced) = (Vec::new(), Vec::new());
        let (mut copies_left, mut failed) = (false, None);
        for whose in &self.pending {
            let erased = self.destroy(whose).await?;
            self.owes_renewal |= erased.is_some();
            let redacted = self.redact(whose).await.unwrap_or_else(|error| {
                failed.get_or_insert(error);
                Vec::new()
            });
            self.owes_renewal |= !redacted.is_empty();
            if erased.is_some() || !redacted.is_empty() {
                copies_left |= !self.parts.copies.destroy(&whose.trial).await.map_err(EraseError::Copies)?;
            }
            destroyed.extend(erased);
            replaced.extend(redacted);
        }
        if copies_left {
            tracing::warn!(pending = self.pending.len(), "eraser.copies.wait");
            return Ok(());
        }
        if self.owes_renewal || self.parts.vault.former_master_key().is_some() {
            let former =
                self.parts.vault.former_master_key().unwrap_or_else(|| self.parts.vault.master_key());
            let count = self.parts.vault.renew_master_key().await?;
            self.owes_renewal = false;
            let (erased, redacted) = (destroyed.len(), replaced.len());
            tracing::info!(erased, redacted, rewrapped = count, "eraser.master_key.renew");
            for one in destroyed {
                self.record(one, &former).await?;
            }
            for one in replaced {
                self.record_redaction(one, &former).await?;
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        self.pending.clear();
        Ok(())
    }

    /// Destroys the key of a participant; `None` where nothing is left to do about it.
    async fn destroy(&self, whose: &Whose) -> Result<Option<Destroyed>, EraseError> {
        let Whose { trial, participant } = whose;
        let state = self.state(whose).await?;
        if !state.is_approved() {
            return Ok(None);
        }
        // The participant's own goes last: that it is there shows that this is not done.
        self.parts.vault.destroy(&Scope::Blinded(trial.clone(), *participant)).await?;
        let first = self.parts.vault.destroy(&whose.scope()).await?;
        if !first && state.is_carried_out() {
            return Ok(None);
        }
        let events = self.parts.streams.stream_version(trial, &StreamId::participant(*participant)).await?;
        Ok(Some(Destroyed { whose: whose.clone(), version: state.version(), events }))
    }

    /// How an erasure stands in the record.
    async fn state(&self, whose: &Whose) -> Result<ErasureState, EraseError> {
        let mut state = ErasureState::default();
        let events = self.events(&whose.trial, StreamId::erasure_of(whose.participant)).await?;
        events.iter().zip(0..).for_each(|(event, streamseq)| state.evolve(event, streamseq));
        Ok(state)
    }

    /// The events of a stream under the trial's key; of an erasure or of a participant's redactions there are a few.
    pub(crate) async fn events(&self, trial: &TrialId, stream: StreamId) -> Result<Vec<Event>, EraseError> {
        let mut events = Vec::new();
        loop {
            let rows = self.parts.events.of_stream(trial, &stream, events.len() as u64, PAGE).await?;
            for row in &rows {
                events.push(self.event(row).await?);
            }
            if !may_go_on(&rows, PAGE) {
                return Ok(events);
            }
        }
    }

    async fn event(&self, row: &EventRow) -> Result<Event, EraseError> {
        let header = row.checked_header()?;
        let Body::Readable { data, .. } = body::open(&self.parts.vault, row, &header).await? else {
            // The trial's key is never destroyed.
            let what = format!("the key of trial {} is gone", row.trial);
            return Err(StoreError::Damaged(what).into());
        };
        Ok(body::event(&header, data)?)
    }

    /// Records that it was done. A crash before this line makes the next start do it once more; one after it finds it
    /// done.
    async fn record(&self, destroyed: Destroyed, former: &str) -> Result<(), EraseError> {
        let Destroyed { whose, version, events } = destroyed;
        let stream = StreamId::erasure_of(whose.participant);
        let event = KeyDestroyed {
            events,
            former_master_key: name(former)?,
            master_key: name(&self.parts.vault.master_key())?,
        };
        let command = format!("erasure/{}/{}/{version}", whose.trial, whose.participant);
        let expected = vec![Expected { stream, version }];
        self.append(&whose.trial, &command, expected, [(stream, event.into())]).await?;
        tracing::info!(trial = %whose.trial, participant = %whose.participant, events, "eraser.participant.erased");
        Ok(())
    }

    /// Records what the service did.
    pub(crate) async fn append(
        &self,
        trial: &TrialId,
        command: &str,
        expected: Vec<Expected>,
        events: impl IntoIterator<Item = (StreamId, Event)>,
    ) -> Result<(), EraseError> {
        let parts = &self.parts;
        let mut prepared = Vec::new();
        for (stream, event) in events {
            let key = parts.vault.key_of(&Scope::of(trial, stream)).await?;
            let actor = Actor { id: SERVICE.to_owned(), role: Role::System, organisation: String::new() };
            let mut secret = [0; 32];
            parts.ids.fill(&mut secret);
            let id = parts.ids.uuid_v7(parts.clock.now());
            let draft = Draft { stream, event, key };
            prepared.push(draft.prepare(&Stamp::new(actor, None, None), id, &Secret::from_bytes(secret))?);
        }
        let append = Append {
            command: parts.vault.command_id(SERVICE, command),
            digest: parts.vault.digest(&[command.as_bytes()]),
            trial: trial.clone(),
            new_trial: false,
            expected,
            natural_keys: Vec::new(),
            events: prepared,
        };
        parts.writer.append(append).await?;
        Ok(())
    }
}

/// An id as events hold it.
pub(crate) fn name(id: &str) -> Result<Name, VaultError> {
    id.parse().map_err(|_| VaultError::Management("no name".to_owned()))
}
