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
const PAGE: u32 = 500;

/// Pauses before an erasure that could not be carried out is tried again: the first, the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Carries out erasures, one after the other.
pub struct Eraser {
    parts: EraserParts,
    pending: Vec<Erasure>,
}

/// An erasure that has to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Erasure {
    trial: TrialId,
    participant: ParticipantId,
}

/// A key is gone from the key store, and this is what has to be recorded about it.
struct Destroyed {
    erasure: Erasure,
    /// Events of the erasure's stream that are known.
    version: u64,
    /// Events of the participant.
    events: u64,
}

impl Eraser {
    /// One that has not begun.
    pub fn new(parts: EraserParts) -> Self {
        Self { parts, pending: Vec::new() }
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
                    self.pending.push(Erasure { trial, participant });
                    pause = FIRST_PAUSE;
                }
                () = tokio::time::sleep(pause), if !idle => pause = (pause * 2).min(LONGEST_PAUSE),
            }
        }
    }

    async fn step(&mut self, is_found: &mut bool) -> Result<(), EraseError> {
        if !*is_found {
            self.pending.extend(self.find().await?);
            *is_found = true;
        }
        self.carry_out().await
    }

    /// All erasures that were approved; those that were carried out too, as the key store may be an older one.
    async fn find(&self) -> Result<Vec<Erasure>, EraseError> {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let trials = self.parts.events.trials(after.as_ref(), PAGE).await?;
            for (trial, _) in &trials {
                self.find_in(trial, &mut found).await?;
            }
            match trials.last() {
                Some((last, _)) if trials.len() == PAGE as usize => after = Some(last.clone()),
                _ => return Ok(found),
            }
        }
    }

    async fn find_in(&self, trial: &TrialId, found: &mut Vec<Erasure>) -> Result<(), EraseError> {
        let mut after = None;
        loop {
            let streams = self.parts.streams.streams(trial, StreamKind::Erasure, after, PAGE).await?;
            for row in &streams {
                let participant = ParticipantId(row.stream.uuid());
                found.push(Erasure { trial: trial.clone(), participant });
            }
            match streams.last() {
                Some(last) if streams.len() == PAGE as usize => after = Some(last.stream),
                _ => return Ok(()),
            }
        }
    }

    /// Carries out all that is pending, with one new master key for all of it.
    async fn carry_out(&mut self) -> Result<(), EraseError> {
        let mut destroyed = Vec::new();
        let mut copies_left = false;
        for erasure in &self.pending {
            let Some(one) = self.destroy(erasure).await? else { continue };
            copies_left |= !self.parts.copies.destroy(&erasure.trial).await.map_err(EraseError::Copies)?;
            destroyed.push(one);
        }
        if copies_left {
            tracing::warn!(pending = self.pending.len(), "eraser.copies.wait");
            return Ok(());
        }
        if !destroyed.is_empty() || self.parts.vault.former_master_key().is_some() {
            let former =
                self.parts.vault.former_master_key().unwrap_or_else(|| self.parts.vault.master_key());
            let count = self.parts.vault.renew_master_key().await?;
            tracing::info!(erased = destroyed.len(), rewrapped = count, "eraser.master_key.renew");
            for one in destroyed {
                self.record(one, &former).await?;
            }
        }
        self.pending.clear();
        Ok(())
    }

    /// Destroys the key of a participant; `None` where nothing is left to do about it.
    async fn destroy(&self, erasure: &Erasure) -> Result<Option<Destroyed>, EraseError> {
        let Erasure { trial, participant } = erasure;
        let state = self.state(erasure).await?;
        if !state.is_approved() {
            return Ok(None);
        }
        let first = self.parts.vault.destroy(&Scope::Participant(trial.clone(), *participant)).await?;
        if !first && state.is_carried_out() {
            return Ok(None);
        }
        let events = self.parts.streams.stream_version(trial, &StreamId::participant(*participant)).await?;
        Ok(Some(Destroyed { erasure: erasure.clone(), version: state.version(), events }))
    }

    /// How an erasure stands in the record.
    async fn state(&self, erasure: &Erasure) -> Result<ErasureState, EraseError> {
        let (trial, stream) = (&erasure.trial, StreamId::erasure_of(erasure.participant));
        let mut state = ErasureState::default();
        loop {
            let rows = self.parts.events.of_stream(trial, &stream, state.version(), PAGE).await?;
            for row in &rows {
                state.evolve(&self.event(row).await?, row.streamseq);
            }
            if !may_go_on(&rows, PAGE) {
                return Ok(state);
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
        let Destroyed { erasure: Erasure { trial, participant }, version, events } = destroyed;
        let stream = StreamId::erasure_of(participant);
        let parts = &self.parts;
        let name = |id: &str| id.parse::<Name>().map_err(|_| VaultError::Management("no name".to_owned()));
        let event = KeyDestroyed {
            events,
            former_master_key: name(former)?,
            master_key: name(&parts.vault.master_key())?,
        };
        let key = parts.vault.key_of(&Scope::Trial(trial.clone())).await?;
        let actor = Actor { id: SERVICE.to_owned(), role: Role::System, organisation: String::new() };
        let mut secret = [0; 32];
        parts.ids.fill(&mut secret);
        let id = parts.ids.uuid_v7(parts.clock.now());
        let draft = Draft { stream, event: event.into(), key };
        let event = draft.prepare(&Stamp::new(actor, None, None), id, &Secret::from_bytes(secret))?;
        let command = format!("erasure/{trial}/{participant}/{version}");
        let append = Append {
            command: parts.vault.command_id(SERVICE, &command),
            digest: parts.vault.digest(&[command.as_bytes()]),
            trial: trial.clone(),
            new_trial: false,
            expected: vec![Expected { stream, version }],
            natural_keys: Vec::new(),
            events: vec![event],
        };
        parts.writer.append(append).await?;
        tracing::info!(%trial, %participant, events, "eraser.participant.erased");
        Ok(())
    }
}
