//! From what happened to what is stored: secret, commitment and encryption of each event. Nothing but arithmetic.

use std::collections::BTreeMap;
use std::sync::Arc;

use trialseal_access::Principal;
use trialseal_record::Event;
use trialseal_record::ids::StreamId;
use trialseal_runtime::ids::Ids;
use trialseal_seal::canonical;
use trialseal_seal::data::{Secret, dataroot};
use trialseal_seal::event::Attribute;
use trialseal_store::{NewEvent, body};
use trialseal_vault::{DataKey, VaultError};

/// What the headers of all events of one request say alike.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    actor: String,
    actorrole: String,
    correlationid: String,
    extra: BTreeMap<String, Attribute>,
}

impl Stamp {
    /// The stamp of a request of `principal`.
    pub(crate) fn new(principal: &Principal, request_id: &str) -> Self {
        let text = |name: &str, value: &str| (name.to_owned(), Attribute::Text(value.to_owned()));
        let organisation = Some(principal.organisation.as_str()).filter(|name| !name.is_empty());
        let system = principal.source_system.as_deref().filter(|name| !name.is_empty());
        Self {
            actor: principal.actor.clone(),
            actorrole: principal.role.to_string(),
            correlationid: request_id.to_owned(),
            extra: [
                organisation.map(|name| text("organisation", name)),
                system.map(|name| text("sourcesystem", name)),
            ]
            .into_iter()
            .flatten()
            .collect(),
        }
    }
}

/// An event, where it goes, and the key of that scope.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) stream: StreamId,
    pub(crate) event: Event,
    pub(crate) key: Arc<DataKey>,
}

/// Why an event cannot be stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
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

/// Commits to the events and encrypts them. `now_micros` goes into their ids.
pub(crate) fn prepare(
    drafts: &[Draft],
    stamp: &Stamp,
    ids: &dyn Ids,
    now_micros: i64,
) -> Result<Vec<NewEvent>, PrepareError> {
    drafts.iter().map(|draft| prepare_one(draft, stamp, ids, now_micros)).collect()
}

fn prepare_one(
    draft: &Draft,
    stamp: &Stamp,
    ids: &dyn Ids,
    now_micros: i64,
) -> Result<NewEvent, PrepareError> {
    let Draft { stream, event, key } = draft;
    let data = event.to_data()?;
    let mut secret = [0; 32];
    ids.fill(&mut secret);
    let secret = Secret::from_bytes(secret);
    let id = ids.uuid_v7(now_micros);
    Ok(NewEvent {
        stream: *stream,
        id,
        kind: event.kind().to_owned(),
        schema_version: event.schema_version(),
        dataroot: dataroot(&secret, &data)?,
        actor: stamp.actor.clone(),
        actorrole: stamp.actorrole.clone(),
        correlationid: Some(stamp.correlationid.clone()),
        causationid: None,
        extra: stamp.extra.clone(),
        key: key.id(),
        body: body::seal(key, &id.to_string(), &secret, &canonical::to_vec(&data))?,
    })
}
