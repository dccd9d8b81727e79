//! Events as they are read for folding: checked, decrypted, parsed.

use std::collections::HashMap;
use std::sync::Arc;

use trialseal_record::event::Event;
use trialseal_record::ids::{StreamId, StreamKind, TrialId};
use trialseal_record::view::Recorded;
use trialseal_seal::event::{Attribute, Header};
use trialseal_store::body::{self, Plain};
use trialseal_store::{EventRow, StoreError};
use trialseal_vault::{DataKey, Vault};
use uuid::Uuid;

use crate::error::ProjectorError;

/// One event, ready to be folded into every model.
pub(crate) struct Decoded {
    pub(crate) trial: TrialId,
    pub(crate) stream: StreamId,
    /// The data key of its body, and the event; `None` once the key has been destroyed, and of what is blinded, which no read model
    /// shows.
    pub(crate) readable: Option<(Arc<DataKey>, Event)>,
    header: Header,
    time: String,
}

impl Decoded {
    /// Reads a page of events, which follow each other.
    ///
    /// The cipher vouches that a body is the one that was recorded for this event id; the commitment to the data is
    /// checked where data are handed out with their proof.
    pub(crate) async fn read_all(vault: &Vault, rows: Vec<EventRow>) -> Result<Vec<Self>, ProjectorError> {
        let headers = EventRow::checked_headers(&rows)?;
        let mut keys: HashMap<Uuid, Option<Arc<DataKey>>> = HashMap::new();
        let mut events = Vec::with_capacity(rows.len());
        for (row, header) in rows.into_iter().zip(headers) {
            let key = match keys.get(&row.key) {
                _ if row.stream.kind() == StreamKind::Blinded => None,
                Some(key) => key.clone(),
                None => keys.entry(row.key).insert_entry(body::key_of(vault, &row).await?).get().clone(),
            };
            events.push(Self::read(row, header, key)?);
            tokio::task::consume_budget().await;
        }
        Ok(events)
    }

    fn read(row: EventRow, header: Header, key: Option<Arc<DataKey>>) -> Result<Self, ProjectorError> {
        let readable = match key {
            Some(key) => {
                let event = event(&Plain::open(&key, &row, &header)?, &row, &header)?;
                Some((key, event))
            }
            None => None,
        };
        let time = header.time.to_string();
        Ok(Self { trial: row.trial, stream: row.stream, readable, header, time })
    }

    pub(crate) fn recorded(&self) -> Recorded<'_> {
        let organisation = match self.header.extra.get("organisation") {
            Some(Attribute::Text(name)) => Some(name.as_str()),
            _ => None,
        };
        Recorded {
            trialseq: self.header.trialseq.into(),
            streamseq: self.header.streamseq.into(),
            id: &self.header.id,
            kind: &self.header.kind,
            time: &self.time,
            actor: &self.header.actor,
            actor_role: &self.header.actorrole,
            organisation,
            subject: self.stream,
            event: self.readable.as_ref().map(|(_, event)| event),
        }
    }
}

fn event(plain: &Plain, row: &EventRow, header: &Header) -> Result<Event, ProjectorError> {
    let version = schema_version(row, header)?;
    if let Some(event) = Event::from_present_text(&header.kind, version, plain.data()) {
        return Ok(event);
    }
    // An older version, or nothing that can be read: then this says why.
    Event::from_stored(&header.kind, version, plain.parsed(row)?).map_err(|why| ProjectorError::Unreadable {
        trial: row.trial.clone(),
        trialseq: row.trialseq,
        why,
    })
}

/// The number at the end of `dataschema`.
fn schema_version(row: &EventRow, header: &Header) -> Result<u32, StoreError> {
    header.schema_version().ok_or_else(|| StoreError::DamagedEvent {
        trial: row.trial.clone(),
        trialseq: row.trialseq,
        what: "its dataschema has no version".into(),
    })
}
