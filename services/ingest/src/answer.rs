//! What the sender of a command gets to read.

use serde::{Deserialize, Serialize};
use trialseal_record::{StreamId, StreamKind};
use trialseal_store::{Appended, AppendedEvent};
use utoipa::ToSchema;
use uuid::Uuid;

/// A recorded command. Sending it again gives the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    /// The events that came of it, in order.
    pub events: Vec<RecordedEvent>,
    /// How far they have come.
    pub level: Level,
    /// The participant that they are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant: Option<Uuid>,
    /// The site that they are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Uuid>,
}

/// A recorded event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedEvent {
    /// The event's id.
    #[schema(value_type = Uuid)]
    pub id: String,
    /// 0-based place in the trial; receipts are asked for by it.
    pub trialseq: u64,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "consent.signed")]
    pub kind: String,
    /// The stream.
    pub subject: String,
    /// When it was recorded.
    #[schema(example = "2026-01-01T12:00:00.000000Z")]
    pub time: String,
    /// The hash that receipts prove, hex.
    pub eventleaf: String,
}

/// How safe a recorded event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// It is durable and will not change.
    Recorded,
    /// A seal that the log has signed covers it, so that a change would show.
    Sealed,
    /// As many witnesses as the publication policy asks for have cosigned a checkpoint that covers it: the ledger's
    /// operator cannot take it back any more without being seen by others.
    Witnessed,
}

impl Recorded {
    /// The answer for an append.
    pub(crate) fn of(appended: &Appended) -> Self {
        let uuid_of = |kind: StreamKind| {
            appended
                .events
                .iter()
                .map(|event| event.stream)
                .find(|stream| stream.kind() == kind)
                .map(StreamId::uuid)
        };
        Self {
            events: appended.events.iter().map(RecordedEvent::of).collect(),
            level: Level::Recorded,
            participant: uuid_of(StreamKind::Participant),
            site: uuid_of(StreamKind::Site),
        }
    }
}

impl RecordedEvent {
    fn of(event: &AppendedEvent) -> Self {
        Self {
            id: event.id.clone(),
            trialseq: event.trialseq,
            kind: event.kind.clone(),
            subject: event.stream.to_string(),
            time: event.time.to_string(),
            eventleaf: event.leaf.to_string(),
        }
    }
}
