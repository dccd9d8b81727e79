//! What a dataset shows, by whose consent.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use trialseal_record::ids::StreamId;
use trialseal_record::{ParticipantState, consents_to_research};
use trialseal_store::EventRow;
use trialseal_store::body::Body;

use super::record::{Reader, event_of};
use crate::error::ExportError;
use crate::status::Shown;

/// What the rules on consent begin with; an imported row that does not meet one was taken without consent.
const CONSENT_RULES: &str = "consent.";

/// Whose data may be shown.
pub(super) enum Rights {
    All,
    /// Data of these participants, and data that is no participant's.
    Consented(HashSet<StreamId>),
}

impl Rights {
    /// Reads the consents as they stand under the snapshot: what is withdrawn later binds later datasets.
    pub(super) fn read(reader: &Reader<'_>, shown: Shown) -> Result<Self, ExportError> {
        if shown == Shown::All {
            return Ok(Self::All);
        }
        let mut participants: HashMap<StreamId, ParticipantState> = HashMap::new();
        reader.for_each(|row, header| {
            if row.stream.as_participant().is_none() || !header.kind.starts_with(CONSENT_RULES) {
                return Ok(());
            }
            // Without its key nothing of a participant can be shown, consent or not.
            if let Body::Readable { data, .. } = reader.body(row, header)? {
                let event = event_of(header, data)?;
                participants.entry(row.stream).or_default().evolve(&event, row.streamseq);
            }
            Ok(())
        })?;
        participants.retain(|_, participant| consents_to_research(participant));
        Ok(Self::Consented(participants.into_keys().collect()))
    }

    /// Whether the data of events in this stream may be shown at all.
    pub(super) fn show(&self, row: &EventRow) -> bool {
        match self {
            Self::All => true,
            Self::Consented(participants) => {
                row.stream.as_participant().is_none() || participants.contains(&row.stream)
            }
        }
    }

    /// Whether this very event may be shown, by its data.
    pub(super) fn show_data(&self, data: &Value) -> bool {
        let is_taken_without_consent = || {
            let rules = data.get("exceptions").and_then(Value::as_array).into_iter().flatten();
            let mut rules = rules.filter_map(|exception| exception.get("rule").and_then(Value::as_str));
            rules.any(|rule| rule.starts_with(CONSENT_RULES))
        };
        matches!(self, Self::All) || !is_taken_without_consent()
    }
}
