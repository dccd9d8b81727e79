//! Events of one participant, data aside.

use uuid::Uuid;

use crate::date::{Date, PartialDate};
use crate::ids::{ImportId, SiteId};
use crate::text::{Name, Text};
use crate::values::{
    AdverseEventOutcome, ConsentSigner, Relatedness, Seriousness, Severity, Sharing, WithdrawalScope, value,
};

value! {
    /// Somebody was screened, or became known through an import. The first event of a participant's stream.
    pub struct ParticipantScreened {
        /// Number of the participant, unique in the trial.
        pub subject_number: Name,
        /// The site; absent where an import names none that the record knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub site: Option<SiteId>,
        /// Number of the site; absent where an import names none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub site_number: Option<Name>,
        /// The day of the screening; absent for a participant who became known through an import.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub screened_on: Option<Date>,
        /// The import through which the participant became known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub import: Option<ImportId>,
        /// Who or what the information came from, if not from the actor.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub originator: Option<Name>,
    }

    /// A screened person turned out not to qualify.
    pub struct ParticipantScreenFailed {
        /// The day it was established.
        pub on: Date,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<Text>,
    }

    /// A consent was signed.
    ///
    /// Version 1 had no `sharing`: whoever signed then was not asked, and is read as having agreed to nothing.
    pub struct ConsentSigned {
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

    /// A participant withdrew consent.
    pub struct ConsentWithdrawn {
        /// From what.
        pub scope: Vec<WithdrawalScope>,
        /// The day the participant said so.
        pub withdrawn_on: Date,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<Text>,
    }

    /// A participant was enrolled.
    pub struct ParticipantEnrolled {
        /// The day of the enrolment.
        pub enrolled_on: Date,
    }

    /// A participant left before the end.
    pub struct ParticipantDiscontinued {
        /// The day.
        pub on: Date,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<Text>,
    }

    /// A participant went through to the end.
    pub struct ParticipantCompleted {
        /// The day.
        pub on: Date,
        /// What there is to say about it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub reason: Option<Text>,
    }

    /// A visit took place.
    pub struct VisitOccurred {
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

    /// An adverse event was reported.
    pub struct AdverseEventReported {
        /// Names this adverse event in whatever follows of it.
        pub adverse_event: Uuid,
        /// What happened, in the reporter's words.
        pub term: Text,
        /// Why it is serious; empty where it is not.
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
}
