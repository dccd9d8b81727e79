//! Events of the trial as a whole and of its sites.

use crate::date::{Date, PartialDate};
use crate::ids::TrialId;
use crate::text::{Name, Sha256Hex, Text, Version};
use crate::values::{IrbDecision, Phase, ProtocolOutcome, Reconsent, ReportedOutcome, value};

value! {
    /// The record of a trial began. The first event of its stream.
    pub struct TrialRegistered {
        /// The trial's id.
        pub id: TrialId,
        /// Title.
        pub title: Text,
        /// Who takes responsibility.
        pub sponsor: Text,
        /// Phase of development.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub phase: Option<Phase>,
        /// Ids in public registries.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub registry_ids: Vec<Name>,
    }

    /// A protocol version was submitted, and with it the outcomes that results will be compared with.
    pub struct ProtocolVersionSubmitted {
        /// The version.
        pub version: Version,
        /// SHA-256 of the document.
        pub document_sha256: Sha256Hex,
        /// The day from which it is meant to be followed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub effective: Option<Date>,
        /// Primary outcomes.
        pub primary_outcomes: Vec<ProtocolOutcome>,
        /// Secondary outcomes.
        pub secondary_outcomes: Vec<ProtocolOutcome>,
        /// Planned number of participants.
        pub sample_size: u32,
        /// SHA-256 of the statistical analysis plan.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub sap_sha256: Option<Sha256Hex>,
        /// What changed, and why.
        pub change_summary: Text,
        /// Who has to consent anew.
        pub reconsent: Reconsent,
    }

    /// An IRB decided something.
    pub struct IrbDecisionRecorded {
        /// Name of the IRB.
        pub irb: Text,
        /// The decision.
        pub decision: IrbDecision,
        /// The day of the decision.
        pub decided_on: Date,
        /// The last day an approval holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub expires_on: Option<Date>,
        /// The protocol version decided on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub protocol_version: Option<Version>,
        /// The consent versions decided on.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub consent_versions: Vec<Name>,
        /// Numbers of the sites it is for; empty means every site.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub sites: Vec<Name>,
    }

    /// A site was opened. The first event of the site's stream.
    pub struct SiteActivated {
        /// Number of the site in the trial.
        pub number: Name,
        /// Name.
        pub name: Text,
        /// The principal investigator.
        pub investigator: Text,
        /// ISO 3166 code of the country.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub country: Option<Name>,
        /// The day it was opened.
        pub activated_on: Date,
        /// The newest protocol version that had IRB approval for this site on that day.
        pub protocol_version: Version,
    }

    /// A consent form was published in one language.
    pub struct ConsentVersionPublished {
        /// The version.
        pub version: Name,
        /// Language (BCP 47).
        pub language: Name,
        /// SHA-256 of the form.
        pub document_sha256: Sha256Hex,
        /// The protocol version it informs about.
        pub protocol_version: Version,
    }

    /// Results were submitted, as they are.
    pub struct ResultsSubmitted {
        /// The outcomes reported.
        pub outcomes: Vec<ReportedOutcome>,
        /// When the analysis was made.
        pub analysed_on: PartialDate,
        /// What else there is to say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub summary: Option<Text>,
    }
}
