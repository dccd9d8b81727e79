//! Events as they are read for folding: checked, decrypted, parsed.

use std::sync::Arc;

use trialseal_record::event::Event;
use trialseal_record::ids::{StreamId, TrialId};
use trialseal_record::view::Recorded;
use trialseal_seal::event::{Attribute, Header};
use trialseal_store::body::{self, Body};
use trialseal_store::{EventRow, StoreError};
use trialseal_vault::{DataKey, Vault};

use crate::error::ProjectorError;

/// One event, ready to be folded into every model.
pub(crate) struct Decoded {
    pub(crate) trial: TrialId,
    pub(crate) stream: StreamId,
    /// The data key of its body, and the event; `None` once the key has been destroyed.
    pub(crate) readable: Option<(Arc<DataKey>, Event)>,
    header: Header,
    time: String,
}

impl Decoded {
    /// The cipher vouches that the body is the one that was recorded for this event id; the commitment to the data is
    /// checked where data are handed out with their proof.
    pub(crate) async fn read(vault: &Vault, row: &EventRow) -> Result<Self, ProjectorError> {
        let header = row.checked_header()?;
        let readable = match (body::open(vault, row, &header).await?, vault.key(row.key).await?) {
            (Body::Readable { data, .. }, Some(key)) => {
                let unreadable = |why| ProjectorError::Unreadable {
                    trial: row.trial.clone(),
                    trialseq: row.trialseq,
                    why,
                };
                let event = Event::from_stored(&header.kind, schema_version(row, &header)?, data)
                    .map_err(unreadable)?;
                Some((key, event))
            }
            _ => None,
        };
        let time = header.time.to_string();
        Ok(Self { trial: row.trial.clone(), stream: row.stream, readable, header, time })
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

/// The number at the end of `dataschema`.
fn schema_version(row: &EventRow, header: &Header) -> Result<u32, StoreError> {
    let version = header.dataschema.rsplit(':').next().and_then(|version| version.parse().ok());
    version.ok_or_else(|| StoreError::DamagedEvent {
        trial: row.trial.clone(),
        trialseq: row.trialseq,
        what: "its dataschema has no version".into(),
    })
}
