//! The trial at a glance.

use serde::{Deserialize, Serialize};

use super::outcomes::{Comparison, compare};
use super::{Recorded, View};
use crate::date::{Date, PartialDate};
use crate::event::Event;
use crate::ids::{ImportId, SiteId, StreamKind};
use crate::text::{Name, Sha256Hex, Text, Version};
use crate::values::{IrbDecision, Phase, ProtocolOutcome, Reconsent, ReportedOutcome};

/// A trial: what it is, what was decided about it, and how many of each thing happened. Holds nothing that a
/// participant's event says beyond its type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// Title of the trial.
    pub title: Option<Text>,
    /// Who takes responsibility for it.
    pub sponsor: Option<Text>,
    /// Phase of development.
    pub phase: Option<Phase>,
    /// Ids in public registries.
    pub registry_ids: Vec<Name>,
    /// When the trial was registered.
    pub registered: Option<String>,
    /// How many of each thing there are.
    pub counts: Counts,
    /// Protocol versions, in their order.
    pub protocol_versions: Vec<ProtocolVersionView>,
    /// The newest protocol version when the first participant was enrolled.
    pub first_enrolment_under: Option<Version>,
    /// What IRBs decided, in the order of recording.
    pub irb_decisions: Vec<DecisionView>,
    /// Consent forms, in the order of publication.
    pub consent_versions: Vec<ConsentVersionView>,
    /// Sites, in the order of activation.
    pub sites: Vec<SiteView>,
    /// Files taken in, in the order of their beginning.
    pub imports: Vec<ImportView>,
    /// Results submitted, in their order.
    pub results: Vec<ResultsView>,
    /// When the newest event was recorded.
    pub last_recorded: String,
}

/// How many of each thing a trial has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Counts {
    /// Events of any type, but for those that say who has read something.
    pub events: u64,
    /// Sites activated.
    pub sites: u64,
    /// Participants screened, or known through an import.
    pub participants: u64,
    /// Participants who did not qualify.
    pub screen_failed: u64,
    /// Participants enrolled.
    pub enrolled: u64,
    /// Participants who left before the end.
    pub discontinued: u64,
    /// Participants who went through to the end.
    pub completed: u64,
    /// Consents signed, consents to a later version included.
    pub consents_signed: u64,
    /// Consents withdrawn.
    pub consents_withdrawn: u64,
    /// Visits.
    pub visits: u64,
    /// Records of values, one an item group.
    pub data_recorded: u64,
    /// Values corrected.
    pub data_corrected: u64,
    /// Rows taken in from files.
    pub data_imported: u64,
    /// Adverse events reported.
    pub adverse_events: u64,
}

/// A version of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProtocolVersionView {
    /// The event that submitted it.
    pub trialseq: u64,
    /// When that was recorded.
    pub recorded: String,
    /// The version.
    pub version: Version,
    /// SHA-256 of the document.
    pub document_sha256: Sha256Hex,
    /// The day from which it is meant to be followed.
    pub effective: Option<Date>,
    /// Planned number of participants.
    pub sample_size: u32,
    /// What changed, and why.
    pub change_summary: Text,
    /// Who has to consent anew.
    pub reconsent: Reconsent,
    /// What is to be measured.
    pub outcomes: OutcomesView,
}

/// The outcomes that a protocol version specifies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutcomesView {
    /// Primary outcomes.
    pub primary: Vec<ProtocolOutcome>,
    /// Secondary outcomes.
    pub secondary: Vec<ProtocolOutcome>,
}

/// A decision of an IRB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecisionView {
    /// The event that recorded it.
    pub trialseq: u64,
    /// When that was recorded.
    pub recorded: String,
    /// Name of the IRB.
    pub irb: Text,
    /// The decision.
    pub decision: IrbDecision,
    /// The day of the decision.
    pub decided_on: Date,
    /// The last day an approval holds.
    pub expires_on: Option<Date>,
    /// The protocol version decided on.
    pub protocol_version: Option<Version>,
    /// The consent versions decided on.
    pub consent_versions: Vec<Name>,
    /// Numbers of the sites it is for; empty means every site.
    pub sites: Vec<Name>,
}

/// A consent form in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConsentVersionView {
    /// The event that published it.
    pub trialseq: u64,
    /// When that was recorded.
    pub recorded: String,
    /// The version.
    pub version: Name,
    /// The language.
    pub language: Name,
    /// SHA-256 of the form.
    pub document_sha256: Sha256Hex,
    /// The protocol version it informs about.
    pub protocol_version: Version,
}

/// A site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SiteView {
    /// The event that activated it.
    pub trialseq: u64,
    /// When that was recorded.
    pub recorded: String,
    /// The site's id.
    pub site: SiteId,
    /// Its number in the trial.
    pub number: Name,
    /// Its name.
    pub name: Text,
    /// Its principal investigator.
    pub investigator: Text,
    /// Its country.
    pub country: Option<Name>,
    /// The day it was opened.
    pub activated_on: Date,
}

/// The import of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportView {
    /// The event that began it.
    pub trialseq: u64,
    /// When that was recorded.
    pub recorded: String,
    /// The import.
    pub import: ImportId,
    /// Name of the dataset.
    pub dataset: Name,
    /// What the dataset is.
    pub label: String,
    /// SHA-256 of the file.
    pub file_sha256: Sha256Hex,
    /// Number of rows; absent while it is under way.
    pub rows: Option<u64>,
    /// Rows taken with an exception; absent while it is under way.
    pub exceptions: Option<u64>,
}

/// Results as they were submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResultsView {
    /// The event that submitted them.
    pub trialseq: u64,
    /// When that was recorded.
    pub recorded: String,
    /// The outcomes reported.
    pub outcomes: Vec<ReportedOutcome>,
    /// When the analysis was made.
    pub analysed_on: PartialDate,
    /// What else there is to say.
    pub summary: Option<Text>,
    /// The outcomes beside those of the protocol versions that were sealed before: reported, changed, missing, new.
    pub compared: Vec<Comparison>,
}

impl View for Overview {
    const MODEL: &'static str = "overview";
}

impl Overview {
    /// Folds any event of the trial.
    pub fn apply(&mut self, recorded: &Recorded<'_>) {
        // Who has read something is not what the trial is about, and everybody may see this page.
        if recorded.subject.kind() == StreamKind::Access {
            return;
        }
        self.counts.apply(recorded.kind);
        if recorded.kind == "participant.enrolled" && self.first_enrolment_under.is_none() {
            self.first_enrolment_under = self.protocol_versions.last().map(|newest| newest.version.clone());
        }
        recorded.time.clone_into(&mut self.last_recorded);
        let (trialseq, time) = (recorded.trialseq, recorded.time.to_owned());
        // What a participant's event says is that participant's, and counted by its type alone.
        let Some(event) = recorded.event.filter(|_| recorded.subject.subject().is_none()) else {
            return;
        };
        match event.clone() {
            Event::TrialRegistered(event) => {
                self.title = Some(event.title);
                self.sponsor = Some(event.sponsor);
                self.phase = event.phase;
                self.registry_ids = event.registry_ids;
                self.registered = Some(time);
            }
            Event::ProtocolVersionSubmitted(event) => self.protocol_versions.push(ProtocolVersionView {
                trialseq,
                recorded: time,
                version: event.version,
                document_sha256: event.document_sha256,
                effective: event.effective,
                sample_size: event.sample_size,
                change_summary: event.change_summary,
                reconsent: event.reconsent,
                outcomes: OutcomesView {
                    primary: event.primary_outcomes,
                    secondary: event.secondary_outcomes,
                },
            }),
            Event::IrbDecisionRecorded(event) => self.irb_decisions.push(DecisionView {
                trialseq,
                recorded: time,
                irb: event.irb,
                decision: event.decision,
                decided_on: event.decided_on,
                expires_on: event.expires_on,
                protocol_version: event.protocol_version,
                consent_versions: event.consent_versions,
                sites: event.sites,
            }),
            Event::ConsentVersionPublished(event) => self.consent_versions.push(ConsentVersionView {
                trialseq,
                recorded: time,
                version: event.version,
                language: event.language,
                document_sha256: event.document_sha256,
                protocol_version: event.protocol_version,
            }),
            Event::ResultsSubmitted(event) => self.results.push(ResultsView {
                trialseq,
                recorded: time,
                compared: compare(
                    &self.protocol_versions,
                    self.first_enrolment_under.as_ref(),
                    &event.outcomes,
                ),
                outcomes: event.outcomes,
                analysed_on: event.analysed_on,
                summary: event.summary,
            }),
            event => self.apply_to_part(recorded, event),
        }
    }

    /// Events in the streams of sites and imports.
    fn apply_to_part(&mut self, recorded: &Recorded<'_>, event: Event) {
        let (trialseq, time, stream) = (recorded.trialseq, recorded.time.to_owned(), recorded.subject.uuid());
        match event {
            Event::SiteActivated(event) => self.sites.push(SiteView {
                trialseq,
                recorded: time,
                site: SiteId(stream),
                number: event.number,
                name: event.name,
                investigator: event.investigator,
                country: event.country,
                activated_on: event.activated_on,
            }),
            Event::ImportStarted(event) => self.imports.push(ImportView {
                trialseq,
                recorded: time,
                import: ImportId(stream),
                dataset: event.dataset.name,
                label: event.dataset.label,
                file_sha256: event.file_sha256,
                rows: None,
                exceptions: None,
            }),
            Event::ImportCompleted(event) => {
                if let Some(import) = self.imports.iter_mut().find(|import| import.import.0 == stream) {
                    import.rows = Some(event.rows);
                    import.exceptions = Some(event.exceptions);
                }
            }
            _ => {}
        }
    }
}

impl Counts {
    fn apply(&mut self, kind: &str) {
        self.events += 1;
        let count = match kind {
            "site.activated" => &mut self.sites,
            "participant.screened" => &mut self.participants,
            "participant.screen-failed" => &mut self.screen_failed,
            "participant.enrolled" => &mut self.enrolled,
            "participant.discontinued" => &mut self.discontinued,
            "participant.completed" => &mut self.completed,
            "consent.signed" => &mut self.consents_signed,
            "consent.withdrawn" => &mut self.consents_withdrawn,
            "visit.occurred" => &mut self.visits,
            "data.recorded" => &mut self.data_recorded,
            "data.corrected" => &mut self.data_corrected,
            "data.imported" => &mut self.data_imported,
            "adverse-event.reported" => &mut self.adverse_events,
            _ => return,
        };
        *count += 1;
    }
}
