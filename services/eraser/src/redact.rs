//! Redactions: one value goes, and everything else of the participant stays.
//!
//! All that is recorded of a participant lies under one key, in the database and in every backup. So the participant is given
//! another key; what is left of their data is encrypted again under it; and the former key is destroyed. The step that makes
//! this safe is `record.redacted`, the first event under the new key: whatever was on its way under the former one rests on an
//! older version of the participant's stream, and is refused by its append.

use trialseal_record::RedactionState;
use trialseal_record::event::{KeyReplaced, RecordRedacted, RedactionApproved, RedactionBegun};
use trialseal_record::ids::StreamId;
use trialseal_record::redacted::HIDDEN_IN_SUBMISSION;
use trialseal_record::state::Redaction;
use trialseal_record::text::Name;
use trialseal_seal::canonical;
use trialseal_seal::event::Header;
use trialseal_store::body::{self, Body, Opening};
use trialseal_store::{EventRow, Expected, ResealedBody, StoreError, may_go_on};
use trialseal_vault::{DataKey, VaultError};
use uuid::Uuid;

use crate::EraseError;
use crate::eraser::{Eraser, PAGE, Whose, name};

/// A redaction whose key is gone from the key store, and which has to be recorded.
pub(crate) struct Replaced {
    whose: Whose,
    redaction: Redaction,
}

impl Eraser {
    /// Carries out the redactions of a participant that were approved, one after the other; gives those of which it has to be
    /// recorded.
    pub(crate) async fn redact(&self, whose: &Whose) -> Result<Vec<Replaced>, EraseError> {
        let mut replaced = Vec::new();
        for redaction in self.redactions(whose).await?.redactions() {
            let Some(approved) = &redaction.approved else { continue };
            // Erased altogether, and this value with it.
            if let Err(VaultError::Destroyed(_)) = self.parts.vault.key_of(&whose.scope()).await {
                break;
            }
            let done = match &redaction.former_key {
                Some(former) if redaction.is_carried_out => self.redo(whose, former).await?,
                _ => self.redact_one(whose, redaction, approved).await?,
            };
            if done {
                replaced.push(Replaced { whose: whose.clone(), redaction: redaction.clone() });
            }
        }
        Ok(replaced)
    }

    /// How the redactions of a participant stand in the record.
    async fn redactions(&self, whose: &Whose) -> Result<RedactionState, EraseError> {
        let mut state = RedactionState::default();
        let events = self.events(&whose.trial, StreamId::redactions_of(whose.participant)).await?;
        events.iter().zip(0..).for_each(|(event, streamseq)| state.evolve(event, streamseq));
        Ok(state)
    }

    /// Each step can be taken again: the former key is there until the last of them.
    async fn redact_one(
        &self,
        whose: &Whose,
        redaction: &Redaction,
        approved: &RedactionApproved,
    ) -> Result<bool, EraseError> {
        let (vault, scope) = (&self.parts.vault, whose.scope());
        if redaction.former_key.is_none() {
            vault.succeed(&scope).await?;
            self.begin(whose, approved).await?;
        }
        if let Some(former) = vault.former_of(&scope).await? {
            self.reseal(whose, redaction, former).await?;
            self.parts.models.rebuild().await.map_err(EraseError::Models)?;
            vault.destroy_former(&scope).await?;
        }
        Ok(true)
    }

    /// Destroys a key that an older copy of the key store has brought back. Whether it had.
    async fn redo(&self, whose: &Whose, former: &Name) -> Result<bool, EraseError> {
        let (vault, scope) = (&self.parts.vault, whose.scope());
        let former =
            former.as_str().parse().map_err(|_| StoreError::Damaged("a key without an id".into()))?;
        if !matches!(vault.key(former).await, Ok(Some(_))) {
            return Ok(false);
        }
        if vault.former_of(&scope).await?.is_none() {
            vault.succeed(&scope).await?;
        }
        vault.destroy_former(&scope).await?;
        Ok(true)
    }

    /// Records that the participant has another key, in their own stream as the first event under it.
    async fn begin(&self, whose: &Whose, approved: &RedactionApproved) -> Result<(), EraseError> {
        let Whose { trial, participant } = whose;
        let former = self.parts.vault.former_of(&whose.scope()).await?;
        let former =
            former.ok_or_else(|| StoreError::Damaged("the key store lacks a participant's key".into()))?;
        let RedactionApproved { streamseq, pointer, requester, approver, reason } = approved.clone();
        let begun =
            RedactionBegun { streamseq, pointer: pointer.clone(), former_key: name(&former.to_string())? };
        let redacted = RecordRedacted { streamseq, pointer, requester, approver, reason };
        let streams = [StreamId::redactions_of(*participant), StreamId::participant(*participant)];
        let mut expected = Vec::new();
        for stream in streams {
            let version = self.parts.streams.stream_version(trial, &stream).await?;
            expected.push(Expected { stream, version });
        }
        let command = format!("redaction/{trial}/{participant}/{former}");
        let [told, own] = streams;
        self.append(trial, &command, expected, [(told, begun.into()), (own, redacted.into())]).await
    }

    /// Encrypts again what lies under the former key, without the value.
    async fn reseal(&self, whose: &Whose, redaction: &Redaction, former: Uuid) -> Result<(), EraseError> {
        let (trial, stream) = (&whose.trial, StreamId::participant(whose.participant));
        let key = self.parts.vault.key_of(&whose.scope()).await?;
        let target = self.parts.events.of_stream(trial, &stream, redaction.streamseq, 1).await?.pop();
        let target = target.ok_or_else(|| StoreError::Damaged("a redaction of no event".into()))?;
        let cause = target.checked_header()?.causationid;
        let mut from = 0;
        loop {
            let rows = self.parts.events.of_stream(trial, &stream, from, PAGE).await?;
            let mut bodies = Vec::new();
            for row in rows.iter().filter(|row| row.key == former) {
                let header = row.checked_header()?;
                let hide = if row.streamseq == redaction.streamseq {
                    vec![redaction.pointer.as_str()]
                } else if cause.as_ref() == Some(&header.id) {
                    HIDDEN_IN_SUBMISSION.to_vec()
                } else {
                    Vec::new()
                };
                bodies.push(self.resealed(row, &header, &hide, &key).await?);
            }
            self.parts.bodies.reseal(&bodies).await?;
            match rows.last() {
                Some(last) if may_go_on(&rows, PAGE) => from = last.streamseq + 1,
                _ => return Ok(()),
            }
        }
    }

    /// The body of an event under another key, without what stands at these pointers. What the header does not commit to is not
    /// encrypted again: then the former key stays, and whoever runs the service is told.
    async fn resealed(
        &self,
        row: &EventRow,
        header: &Header,
        hide: &[&str],
        key: &DataKey,
    ) -> Result<ResealedBody, EraseError> {
        let Body::Readable { opening, data } = body::open(&self.parts.vault, row, header).await? else {
            return Err(StoreError::Damaged(format!("the former key of trial {} is gone", row.trial)).into());
        };
        body::check(row, header, &opening, &data)?;
        let body = match &opening {
            Opening::Secret(secret) if hide.is_empty() => {
                body::seal(key, &header.id, secret, &canonical::to_vec(&data))?
            }
            _ => {
                let left = opening.redact(&data, hide);
                body::check(row, header, &Opening::Redacted(left.clone()), &data)?;
                left.seal(key, &header.id)?
            }
        };
        Ok(ResealedBody { position: row.position, key: key.id(), body })
    }

    /// Records that the key is gone, as [`Eraser::record`] does.
    pub(crate) async fn record_redaction(&self, replaced: Replaced, former: &str) -> Result<(), EraseError> {
        let Replaced { whose: Whose { trial, participant }, redaction } = replaced;
        let stream = StreamId::redactions_of(participant);
        let version = self.parts.streams.stream_version(&trial, &stream).await?;
        let event = KeyReplaced {
            streamseq: redaction.streamseq,
            pointer: redaction.pointer,
            former_master_key: name(former)?,
            master_key: name(&self.parts.vault.master_key())?,
        };
        let command = format!("redaction-carried-out/{trial}/{participant}/{version}");
        self.append(&trial, &command, vec![Expected { stream, version }], [(stream, event.into())]).await?;
        tracing::info!(%trial, %participant, "eraser.value.redacted");
        Ok(())
    }
}
