//! Commands about one participant, data aside.

use crate::date::{Date, PartialDate};
use crate::ids::SiteId;
use crate::text::{Name, Text};
use crate::values::{
    AdverseEventOutcome, ConsentSigner, DispositionStatus, Relatedness, Seriousness, Severity, Sharing,
    WithdrawalScope, value,
};

value! {
    /// Screen somebody for the trial.
    pub struct ScreenParticipant {
        /// The site, by its id.
        pub site: SiteId,
        /// Number of the participant, unique in the trial.
        pub subject_number: Name,
        /// The day of the screening.
        pub screened_on: Date,
        /// Present where it was clear at once that the person does not qualify.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub screen_failed: Option<ScreenFailure>,
        /// Who or what the information came from, if not from the actor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub originator: Option<Name>,
    }

    /// Why somebody does not qualify.
    pub struct ScreenFailure {
        /// The day it was established.
        pub on: Date,
        /// The criterion that was not met.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<Text>,
    }

    /// Record a signed consent.
    pub struct SignConsent {
        /// The consent version that was signed.
        pub consent_version: Name,
        /// Its language.
        pub language: Name,
        /// Who signed.
        pub signed_by: ConsentSigner,
        /// The day it was signed.
        pub signed_on: Date,
        /// The member of staff who held the discussion.
        pub discussed_by: Text,
        /// The day of the discussion.
        pub discussed_on: Date,
        /// What may be shared.
        pub sharing: Sharing,
    }

    /// Record that a participant withdraws consent. Takes effect when it is recorded.
    pub struct WithdrawConsent {
        /// From what; at least one.
        pub scope: Vec<WithdrawalScope>,
        /// The day the participant said so.
        pub withdrawn_on: Date,
        /// Why, where the participant cared to say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<Text>,
    }

    /// Enrol a screened participant.
    pub struct EnrolParticipant {
        /// The day of the enrolment.
        pub enrolled_on: Date,
    }

    /// Record that a visit took place.
    pub struct RecordVisit {
        /// Name of the visit.
        pub visit: Name,
        /// Its ODM StudyEventOID.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub visit_oid: Option<Name>,
        /// When it took place.
        pub occurred_on: PartialDate,
        /// Who or what the information came from, if not from the actor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub originator: Option<Name>,
    }

    /// Report an adverse event.
    pub struct ReportAdverseEvent {
        /// What happened, in the reporter's words.
        pub term: Text,
        /// Why it is serious; empty where it is not.
        #[serde(default)]
        pub seriousness: Vec<Seriousness>,
        /// How severe it is.
        pub severity: Severity,
        /// When it began.
        pub started_on: PartialDate,
        /// When it ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub ended_on: Option<PartialDate>,
        /// How it ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub outcome: Option<AdverseEventOutcome>,
        /// Whether the intervention caused it.
        pub relatedness: Relatedness,
        /// What was done about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub action_taken: Option<Text>,
        /// Who or what the information came from, if not from the actor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub originator: Option<Name>,
    }

    /// Record how a participation ended.
    pub struct RecordDisposition {
        /// How.
        pub status: DispositionStatus,
        /// When.
        pub on: Date,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<Text>,
    }
}
