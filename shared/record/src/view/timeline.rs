//! What happened to a participant, one line an event.

use serde::{Deserialize, Serialize};

use super::{Recorded, View};
use crate::event::Event;
use crate::ids::ParticipantId;
use crate::values::Exception;

/// One event of a participant: when it is said to have happened, when it was recorded, and what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TimelineEntry {
    /// 0-based place in the trial: names the event for its receipt.
    pub trialseq: u64,
    /// 0-based place in the participant's history.
    pub streamseq: u64,
    /// The event's id.
    pub id: String,
    /// What happened, such as `consent.signed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened, by whoever recorded it: an ISO 8601 date or time, perhaps a partial one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub happened: Option<String>,
    /// When it was recorded.
    pub recorded: String,
    /// Who did it.
    pub actor: String,
    /// In what role.
    pub actor_role: String,
    /// For which organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// What it was, in a few words.
    pub summary: String,
    /// The rules that it breaks and was recorded all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
}

impl View for TimelineEntry {
    const MODEL: &'static str = "timeline";
}

impl TimelineEntry {
    /// The line for an event; `None` where its data have been destroyed.
    pub fn of(recorded: &Recorded<'_>) -> Option<Self> {
        let event = recorded.event?;
        let (happened, summary) = describe(event);
        let exceptions = match event {
            Event::DataImported(event) => event.exceptions.clone(),
            _ => Vec::new(),
        };
        Some(Self {
            trialseq: recorded.trialseq,
            streamseq: recorded.streamseq,
            id: recorded.id.to_owned(),
            kind: recorded.kind.to_owned(),
            happened,
            recorded: recorded.time.to_owned(),
            actor: recorded.actor.to_owned(),
            actor_role: recorded.actor_role.to_owned(),
            organisation: recorded.organisation.map(str::to_owned),
            summary,
            exceptions,
        })
    }

    /// The key of the entry's document: entries of a participant are listed in the order of their history.
    pub fn doc_id(participant: ParticipantId, streamseq: u64) -> String {
        format!("{participant}/{streamseq:010}")
    }
}

/// When an event of a participant is said to have happened, and what it was.
fn describe(event: &Event) -> (Option<String>, String) {
    let on = |day: &dyn std::fmt::Display| Some(day.to_string());
    match event {
        Event::ParticipantScreened(event) => match &event.screened_on {
            Some(day) => (on(day), "screened".into()),
            None => (None, "known through an import".into()),
        },
        Event::ParticipantScreenFailed(event) => (on(&event.on), "did not qualify".into()),
        Event::ConsentSigned(event) => {
            (on(&event.signed_on), format!("consent version {} ({})", event.consent_version, event.language))
        }
        Event::ConsentWithdrawn(event) => (on(&event.withdrawn_on), "consent withdrawn".into()),
        Event::ParticipantEnrolled(event) => (on(&event.enrolled_on), "enrolled".into()),
        Event::ParticipantDiscontinued(event) => (on(&event.on), "left before the end".into()),
        Event::ParticipantCompleted(event) => (on(&event.on), "went through to the end".into()),
        Event::ParticipantRandomised(event) => (on(&event.randomised_on), "randomised".into()),
        Event::ParticipantUnblinded(event) => (None, format!("unblinded: {}", event.reason)),
        Event::VisitOccurred(event) => (on(&event.occurred_on), format!("visit {}", event.visit)),
        Event::DataRecorded(event) => {
            let record = &event.record;
            let what = format!("{} / {}: {} items", record.form, record.item_group, record.items.len());
            (record.collected_on.as_ref().map(ToString::to_string), what)
        }
        Event::DataCorrected(event) => {
            (None, format!("{} / {} / {} corrected", event.form, event.item_group, event.item_oid))
        }
        Event::DataImported(event) => (None, format!("row {} of {}", event.row, event.dataset)),
        Event::AdverseEventReported(event) => {
            let serious =
                if event.seriousness.is_empty() { "adverse event" } else { "serious adverse event" };
            (on(&event.started_on), format!("{serious}: {}", event.term))
        }
        Event::SignatureApplied(event) => {
            let what =
                format!("signed by {} ({}) as of version {}", event.name, event.meaning, event.version);
            (None, what)
        }
        Event::RecordRedacted(event) => {
            (None, format!("{} of entry {} redacted", event.pointer, event.streamseq))
        }
        other => (None, other.kind().to_owned()),
    }
}
