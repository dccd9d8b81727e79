//! Commands about the trial as a whole, its sites, and the ledger.

use crate::date::{Date, PartialDate};
use crate::ids::TrialId;
use crate::text::{Name, Sha256Hex, Text, Version};
use crate::values::{IrbDecision, KeyPurpose, Phase, ProtocolOutcome, Reconsent, ReportedOutcome, value};

value! {
    /// Begin the record of a trial.
    pub struct RegisterTrial {
        /// The trial's id in the ledger. Public: it stands in every header.
        pub id: TrialId,
        /// Title of the trial.
        pub title: Text,
        /// Who takes responsibility for it.
        pub sponsor: Text,
        /// Phase of development.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub phase: Option<Phase>,
        /// Ids in public registries, such as an NCT number.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub registry_ids: Vec<Name>,
    }

    /// Submit the first or the next version of the protocol.
    pub struct SubmitProtocolVersion {
        /// The version; must be greater than the one before.
        pub version: Version,
        /// SHA-256 of the protocol document.
        pub document_sha256: Sha256Hex,
        /// The day from which it is meant to be followed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub effective: Option<Date>,
        /// Primary outcomes; at least one.
        pub primary_outcomes: Vec<ProtocolOutcome>,
        /// Secondary outcomes.
        #[serde(default)]
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

    /// Record what an IRB decided.
    pub struct RecordIrbDecision {
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
        /// Numbers of the sites it is for; empty means every site of the trial. A site may be named before it is
        /// activated, as the approval has to come first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub sites: Vec<Name>,
    }

    /// Open a site for recruitment.
    pub struct ActivateSite {
        /// Number of the site in the trial.
        pub number: Name,
        /// Name of the site.
        pub name: Text,
        /// The principal investigator.
        pub investigator: Text,
        /// ISO 3166 code of the country.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub country: Option<Name>,
        /// The day it was opened.
        pub activated_on: Date,
    }

    /// Publish a consent form in one language.
    pub struct PublishConsentVersion {
        /// The version, the same in all languages.
        pub version: Name,
        /// Language of the form (BCP 47), such as `en` or `de-CH`.
        pub language: Name,
        /// SHA-256 of the form.
        pub document_sha256: Sha256Hex,
        /// The protocol version it informs about.
        pub protocol_version: Version,
    }

    /// Submit results. They are stored as they are; comparing them with the protocol versions is for the readers.
    pub struct SubmitResults {
        /// The outcomes reported; at least one.
        pub outcomes: Vec<ReportedOutcome>,
        /// When the analysis was made.
        pub analysed_on: PartialDate,
        /// What else there is to say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub summary: Option<Text>,
    }

    /// Make a key of the ledger known.
    pub struct RegisterKey {
        /// Key id, as it stands in the verifier key.
        pub key_id: Name,
        /// What it is for.
        pub purpose: KeyPurpose,
        /// The verifier key (`<name>+<key id>+<base64>`).
        pub verifier_key: Text,
    }

    /// End the use of a key of the ledger.
    pub struct RevokeKey {
        /// Key id of the key.
        pub key_id: Name,
        /// Why.
        pub reason: Text,
    }
}
