//! From what happened to what is stored: secret, commitment and encryption of an event. Nothing but arithmetic.

use std::collections::BTreeMap;
use std::sync::Arc;

use trialseal_record::event::Event;
use trialseal_record::ids::{StreamId, StreamKind};
use trialseal_record::{Actor, Role};
use trialseal_seal::canonical;
use trialseal_seal::data::{Secret, dataroot};
use trialseal_seal::event::Attribute;
use trialseal_vault::{DataKey, VaultError};
use uuid::Uuid;

use crate::body;
use crate::writer::NewEvent;

/// What the headers of all events of one request say alike.
#[derive(Debug, Clone)]
pub struct Stamp {
    actor: String,
    role: Role,
    request: Option<String>,
    extra: BTreeMap<String, Attribute>,
}

impl Stamp {
    /// The stamp of what `actor` does, from the system they send from where that is known, by a request where one led to it.
    pub fn new(actor: Actor, source_system: Option<&str>, request: Option<&str>) -> Self {
        let text = |name: &str, value: &str| (name.to_owned(), Attribute::Text(value.to_owned()));
        let organisation = Some(actor.organisation.as_str()).filter(|name| !name.is_empty());
        let system = source_system.filter(|name| !name.is_empty());
        let extra = [
            organisation.map(|name| text("organisation", name)),
            system.map(|name| text("sourcesystem", name)),
        ];
        Self {
            extra: extra.into_iter().flatten().collect(),
            actor: actor.id,
            role: actor.role,
            request: request.map(str::to_owned),
        }
    }
}

/// An event, where it goes, and the key of that scope.
#[derive(Debug)]
pub struct Draft {
    /// The stream.
    pub stream: StreamId,
    /// What happened.
    pub event: Event,
    /// The data key of the stream's scope.
    pub key: Arc<DataKey>,
}

/// Why an event cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// It has no data form. No event of `record` is like that.
    #[error("an event cannot be written as data: {0}")]
    Data(#[from] serde_json::Error),
    /// Its data are not what the format allows.
    #[error("an event's data cannot be committed to: {0}")]
    Commitment(#[from] trialseal_seal::Refused),
    /// It cannot be encrypted.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// What is blinded is stored in multiples of so many bytes, which are more than an allocation has.
const BLINDED_LENGTH: usize = 1024;

/// JSON takes spaces at its end, and whoever sees how long a body is does not see which arm it names.
fn hide_length(text: &mut Vec<u8>) {
    text.resize(text.len().next_multiple_of(BLINDED_LENGTH), b' ');
}

impl Draft {
    /// Commits to the event and encrypts it, under an id (a UUIDv7) and a secret of its own.
    ///
    /// # Errors
    /// [`PrepareError`]
    pub fn prepare(&self, stamp: &Stamp, id: Uuid, secret: &Secret) -> Result<NewEvent, PrepareError> {
        let Self { stream, event, key } = self;
        let data = event.to_data()?;
        let mut text = canonical::to_vec(&data);
        if stream.kind() == StreamKind::Blinded {
            hide_length(&mut text);
        }
        Ok(NewEvent {
            stream: *stream,
            id,
            kind: event.kind().to_owned(),
            schema_version: event.schema_version(),
            dataroot: dataroot(secret, &data)?,
            actor: stamp.actor.clone(),
            actorrole: stamp.role.as_str().to_owned(),
            correlationid: stamp.request.clone(),
            causationid: None,
            extra: stamp.extra.clone(),
            key: key.id(),
            body: body::seal(key, &id.to_string(), secret, &text)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_blinded_is_as_long_whatever_it_says_and_reads_the_same() {
        let texts = [r#"{"armCode":"A"}"#, r#"{"armCode":"HIGH-DOSE","kit":"K-1"}"#];
        let hidden = texts.map(|text| {
            let mut bytes = text.as_bytes().to_vec();
            hide_length(&mut bytes);
            assert_eq!(canonical::parse_data(&bytes), canonical::parse_data(text));
            bytes.len()
        });
        assert_eq!(hidden, [BLINDED_LENGTH; 2]);
        let mut longer = vec![b' '; BLINDED_LENGTH + 1];
        hide_length(&mut longer);
        assert_eq!(longer.len(), 2 * BLINDED_LENGTH);
    }
}
