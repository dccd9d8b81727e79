//! What a dataset shows, by whose consent.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde_json::Value;
use trialseal_record::ids::{StreamId, StreamKind};
use trialseal_record::{ParticipantState, consents_to_research};
use trialseal_seal::event::Header;
use trialseal_store::EventRow;
use trialseal_store::body::{self, Body};

use super::record::Reader;
use crate::error::ExportError;
use crate::status::Shown;

/// What the rules on consent begin with; an imported row that does not meet one was taken without consent.
const CONSENT_RULES: &str = "consent.";

/// The trial design datasets of CDISC SDTM: arms, disease assessments, elements, inclusion criteria, milestones, summary,
/// visits. They describe the trial and nobody in it. Rows of other files may be about people, though they name none.
const TRIAL_DESIGN: [&str; 7] = ["TA", "TD", "TE", "TI", "TM", "TS", "TV"];

/// Whose data may be shown.
pub(super) enum Rights {
    All,
    /// Data of these participants, and data that is no participant's.
    Consented(HashSet<StreamId>),
}

impl Rights {
    /// Reads the consents. A participant is shown who agrees under the snapshot and still does by now: a withdrawal binds
    /// whatever is made after it, and a later consent does not reach back.
    pub(super) fn read(reader: &Reader<'_>, shown: Shown) -> Result<Self, ExportError> {
        if shown == Shown::All {
            return Ok(Self::All);
        }
        let mut consents = Consents::default();
        consents.fold(reader, reader.under_seal())?;
        let mut participants = consents.agreeing();
        consents.fold(reader, reader.since_then()?)?;
        let by_now = consents.agreeing();
        participants.retain(|participant| by_now.contains(participant));
        Ok(Self::Consented(participants))
    }

    /// Why the data of events in this stream are not shown at all; `None` where they may be.
    pub(super) fn withheld(&self, row: &EventRow) -> Option<&'static str> {
        // No dataset says who is given what, whoever asks for it: it is handed on, and with it others are unblinded.
        if row.stream.kind() == StreamKind::Blinded {
            return Some("out-of-scope");
        }
        let Self::Consented(participants) = self else { return None };
        if is_of_participant(row) {
            return (!participants.contains(&row.stream)).then_some("no-consent");
        }
        // Who else has read, and who asked to be forgotten, is for those who oversee the trial.
        let is_oversight =
            matches!(row.stream.kind(), StreamKind::Access | StreamKind::Erasure | StreamKind::Redaction);
        is_oversight.then_some("out-of-scope")
    }

    /// Whether this very event may be shown, by its data.
    pub(super) fn show_data(&self, row: &EventRow, header: &Header, data: &Value) -> bool {
        let names_nobody = header.kind == "data.imported" && !is_of_participant(row);
        let is_withheld = (names_nobody && !is_trial_design(data)) || is_taken_without_consent(data);
        matches!(self, Self::All) || !is_withheld
    }
}

fn is_of_participant(row: &EventRow) -> bool {
    row.stream.as_participant().is_some()
}

fn is_trial_design(data: &Value) -> bool {
    let dataset = data.get("dataset").and_then(Value::as_str);
    dataset.is_some_and(|dataset| TRIAL_DESIGN.contains(&dataset))
}

fn is_taken_without_consent(data: &Value) -> bool {
    let exceptions = data.get("exceptions").and_then(Value::as_array).into_iter().flatten();
    let mut rules = exceptions.filter_map(|exception| exception.get("rule").and_then(Value::as_str));
    rules.any(|rule| rule.starts_with(CONSENT_RULES))
}

/// What the participants agreed to, as of the newest event that was folded in.
#[derive(Default)]
struct Consents(HashMap<StreamId, ParticipantState>);

impl Consents {
    fn fold(&mut self, reader: &Reader<'_>, events: Range<u64>) -> Result<(), ExportError> {
        reader.for_each(events, |row, header| {
            if !is_of_participant(row) || !header.kind.starts_with(CONSENT_RULES) {
                return Ok(());
            }
            // Without its key nothing of a participant can be shown, consent or not.
            if let Body::Readable { data, .. } = reader.body(row, header)? {
                let event = body::event(header, data)?;
                self.0.entry(row.stream).or_default().evolve(&event, row.streamseq);
            }
            Ok(())
        })
    }

    fn agreeing(&self) -> HashSet<StreamId> {
        let agreeing = self.0.iter().filter(|(_, participant)| consents_to_research(participant));
        agreeing.map(|(stream, _)| *stream).collect()
    }
}
