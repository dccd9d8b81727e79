//! One participant at a glance.

use serde::{Deserialize, Serialize};

use super::{Recorded, View};
use crate::date::Date;
use crate::event::Event;
use crate::ids::{ImportId, ParticipantId, SiteId};
use crate::text::{Name, Text};
use crate::values::{Sharing, WithdrawalScope};

/// How far a participant has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ParticipantStatus {
    /// Screened, or known through an import.
    #[default]
    Screened,
    /// Did not qualify.
    ScreenFailed,
    /// In the trial.
    Enrolled,
    /// Left before the end.
    Discontinued,
    /// Went through to the end.
    Completed,
}

/// A participant as the record knows them now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParticipantView {
    /// The participant's id in the record.
    pub participant: Option<ParticipantId>,
    /// The participant's number in the trial.
    pub subject_number: Option<Name>,
    /// The site.
    pub site: Option<SiteId>,
    /// The site's number, where an import named one.
    pub site_number: Option<Name>,
    /// The import through which the participant became known, if that was how.
    pub import: Option<ImportId>,
    /// How far the participant has come.
    pub status: ParticipantStatus,
    /// The day of the screening.
    pub screened_on: Option<Date>,
    /// The day of the enrolment.
    pub enrolled_on: Option<Date>,
    /// The day the participation ended.
    pub ended_on: Option<Date>,
    /// Why it ended.
    pub end_reason: Option<Text>,
    /// The consent signed last, by the day it was signed.
    pub consent: Option<ConsentView>,
    /// The withdrawals, in the order of recording.
    pub withdrawals: Vec<WithdrawalView>,
    /// Number of visits.
    pub visits: u64,
    /// Number of records of values and of rows taken in.
    pub data_records: u64,
    /// Number of corrections.
    pub corrections: u64,
    /// Number of adverse events.
    pub adverse_events: u64,
    /// Number of those that are serious.
    pub serious_adverse_events: u64,
    /// Number of rows taken in though they break a rule.
    pub exceptions: u64,
    /// Number of events.
    pub events: u64,
    /// When the newest of them was recorded.
    pub last_recorded: String,
}

/// A consent in force until a later one, or until it is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsentView {
    /// The event that recorded it.
    pub trialseq: u64,
    /// When that was recorded.
    pub recorded: String,
    /// The consent version.
    pub version: Name,
    /// Its language.
    pub language: Name,
    /// The day it was signed.
    pub signed_on: Date,
    /// What may be shared.
    pub sharing: Sharing,
}

/// A withdrawal of consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WithdrawalView {
    /// The event that recorded it.
    pub trialseq: u64,
    /// When that was recorded: it takes effect then.
    pub recorded: String,
    /// From what.
    pub scope: Vec<WithdrawalScope>,
    /// The day the participant said so.
    pub withdrawn_on: Date,
}

impl View for ParticipantView {
    const MODEL: &'static str = "participants";
}

impl ParticipantView {
    /// Folds an event of the participant's stream.
    pub fn apply(&mut self, recorded: &Recorded<'_>) {
        let Some(event) = recorded.event else { return };
        self.participant = recorded.subject.as_participant();
        self.events += 1;
        recorded.time.clone_into(&mut self.last_recorded);
        match event {
            Event::ParticipantScreened(event) => {
                self.subject_number = Some(event.subject_number.clone());
                self.site = event.site;
                self.site_number.clone_from(&event.site_number);
                self.import = event.import;
                self.screened_on.clone_from(&event.screened_on);
            }
            Event::ParticipantEnrolled(event) => {
                self.status = ParticipantStatus::Enrolled;
                self.enrolled_on = Some(event.enrolled_on);
            }
            Event::ParticipantScreenFailed(event) => {
                self.end(ParticipantStatus::ScreenFailed, event.on, event.reason.clone());
            }
            Event::ParticipantDiscontinued(event) => {
                self.end(ParticipantStatus::Discontinued, event.on, event.reason.clone());
            }
            Event::ParticipantCompleted(event) => {
                self.end(ParticipantStatus::Completed, event.on, event.reason.clone());
            }
            // A form of an earlier day that is entered later does not take the place of the one signed last.
            Event::ConsentSigned(event)
                if self.consent.as_ref().is_some_and(|newest| newest.signed_on > event.signed_on) => {}
            Event::ConsentSigned(event) => {
                self.consent = Some(ConsentView {
                    trialseq: recorded.trialseq,
                    recorded: recorded.time.to_owned(),
                    version: event.consent_version.clone(),
                    language: event.language.clone(),
                    signed_on: event.signed_on,
                    sharing: event.sharing.clone(),
                });
            }
            Event::ConsentWithdrawn(event) => self.withdrawals.push(WithdrawalView {
                trialseq: recorded.trialseq,
                recorded: recorded.time.to_owned(),
                scope: event.scope.clone(),
                withdrawn_on: event.withdrawn_on,
            }),
            event => self.count(event),
        }
    }

    fn end(&mut self, status: ParticipantStatus, on: Date, reason: Option<Text>) {
        self.status = status;
        self.ended_on = Some(on);
        self.end_reason = reason;
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::VisitOccurred(_) => self.visits += 1,
            Event::DataRecorded(_) => self.data_records += 1,
            Event::DataCorrected(_) => self.corrections += 1,
            Event::DataImported(event) => {
                self.data_records += 1;
                self.exceptions += u64::from(!event.exceptions.is_empty());
            }
            Event::AdverseEventReported(event) => {
                self.adverse_events += 1;
                self.serious_adverse_events += u64::from(!event.seriousness.is_empty());
            }
            _ => {}
        }
    }
}
