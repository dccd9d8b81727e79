//! Values that commands and events share. They are part of what is stored: whoever changes one makes a new schema
//! version of every event that holds it (see [`crate::event`]).

mod hours;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::actor::Role;
use crate::date::PartialDate;
use crate::text::{Base64Url, Ed25519X, Name, Text};

pub use hours::Hours;

/// What every value here derives, and how each is spelt in JSON.
macro_rules! value {
    ($($(#[$meta:meta])* pub struct $name:ident { $($body:tt)* })*) => { $(
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        $(#[$meta])*
        pub struct $name { $($body)* }
    )* };
    ($($(#[$meta:meta])* pub enum $name:ident { $($body:tt)* })*) => { $(
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        $(#[$meta])*
        pub enum $name { $($body)* }
    )* };
}
pub(crate) use value;

value! {
    /// A phase of drug development, as registries name it.
    pub enum Phase {
        /// Early phase 1, formerly phase 0.
        EarlyPhase1,
        /// Phase 1.
        Phase1,
        /// Phases 1 and 2 in one trial.
        Phase1Phase2,
        /// Phase 2.
        Phase2,
        /// Phases 2 and 3 in one trial.
        Phase2Phase3,
        /// Phase 3.
        Phase3,
        /// Phase 4.
        Phase4,
        /// The trial has no phase: of a device or of behaviour, say.
        NotApplicable,
    }

    /// A kind of key, as JSON Web Keys name it.
    pub enum JwkType {
        /// An octet key pair (RFC 8037).
        #[serde(rename = "OKP")]
        Okp,
    }

    /// A curve, as JSON Web Keys name it.
    pub enum JwkCurve {
        /// Ed25519 (RFC 8037).
        #[serde(rename = "Ed25519")]
        Ed25519,
    }

    /// The kind of a key on an elliptic curve, as JSON Web Keys name it.
    pub enum EcType {
        /// An elliptic curve (RFC 7518).
        #[serde(rename = "EC")]
        Ec,
    }

    /// The curve of a key that passkeys have, as JSON Web Keys name it.
    pub enum EcCurve {
        /// P-256 (RFC 7518).
        #[serde(rename = "P-256")]
        P256,
    }

    /// What a signature means (21 CFR 11.50).
    pub enum Meaning {
        /// The signer wrote it, or had it written.
        Authorship,
        /// The signer has gone through it.
        Review,
        /// The signer agrees to it.
        Approval,
        /// The signer answers for it.
        Responsibility,
    }

    /// What an investigator can have somebody of a site do.
    pub enum DelegatedTask {
        /// Screening.
        Screening,
        /// Obtaining consent, and taking it back at the participant's word.
        Consent,
        /// Enrolment.
        Enrolment,
        /// Visits.
        Visits,
        /// Entering data and correcting them.
        DataEntry,
        /// Reporting adverse events.
        AdverseEvents,
        /// Recording how a participation ended.
        Disposition,
    }

    /// Why nothing more is recorded of a participant.
    pub enum ClosingCause {
        /// All data are erased.
        Erasure,
    }

    /// Who has to consent anew when a protocol version takes effect.
    pub enum Reconsent {
        /// Everybody in the trial.
        Required,
        /// Only those who join from then on.
        NewParticipantsOnly,
        /// Nobody.
        None,
    }

    /// What an IRB decided.
    pub enum IrbDecision {
        /// Approved.
        Approved,
        /// Not approved until changed.
        ModificationsRequired,
        /// Not approved; also ends an earlier approval of the same things by the same IRB.
        Disapproved,
        /// Put off.
        Tabled,
    }

    /// Who signed a consent.
    pub enum ConsentSigner {
        /// The participant.
        Participant,
        /// A legally authorised representative.
        Representative,
    }

    /// What a participant withdraws from.
    pub enum WithdrawalScope {
        /// The intervention: no enrolment from then on.
        Intervention,
        /// Being followed up: no visits from then on.
        FollowUp,
        /// Data from then on: no visits, no data, and no share in research.
        FutureData,
        /// The samples that were taken.
        Samples,
    }

    /// How a participation ended.
    pub enum DispositionStatus {
        /// Did not qualify.
        ScreenFailed,
        /// Left before the end.
        Discontinued,
        /// Went through to the end.
        Completed,
    }

    /// Why an adverse event is a serious one (the criteria of ICH E2A).
    pub enum Seriousness {
        /// Results in death (AESDTH).
        Death,
        /// Is life-threatening (AESLIFE).
        LifeThreatening,
        /// Requires or prolongs hospitalization (AESHOSP).
        Hospitalization,
        /// Persistent or significant disability (AESDISAB).
        Disability,
        /// A congenital anomaly or birth defect (AESCONG).
        CongenitalAnomaly,
        /// Another important medical event (AESMIE).
        ImportantMedicalEvent,
    }

    /// How severe an adverse event is (CDISC AESEV).
    pub enum Severity {
        /// Mild.
        #[serde(rename = "MILD")]
        Mild,
        /// Moderate.
        #[serde(rename = "MODERATE")]
        Moderate,
        /// Severe.
        #[serde(rename = "SEVERE")]
        Severe,
    }

    /// How an adverse event ended (CDISC AEOUT).
    pub enum AdverseEventOutcome {
        /// Recovered.
        #[serde(rename = "RECOVERED/RESOLVED")]
        Recovered,
        /// Recovering.
        #[serde(rename = "RECOVERING/RESOLVING")]
        Recovering,
        /// Not recovered.
        #[serde(rename = "NOT RECOVERED/NOT RESOLVED")]
        NotRecovered,
        /// Recovered, but something stays.
        #[serde(rename = "RECOVERED/RESOLVED WITH SEQUELAE")]
        RecoveredWithSequelae,
        /// Died of it.
        #[serde(rename = "FATAL")]
        Fatal,
        /// Unknown.
        #[serde(rename = "UNKNOWN")]
        Unknown,
    }

    /// Whether the intervention caused an adverse event, in the investigator's judgement (AEREL).
    pub enum Relatedness {
        /// Not related.
        #[serde(rename = "NOT RELATED")]
        NotRelated,
        /// Unlikely.
        #[serde(rename = "UNLIKELY RELATED")]
        UnlikelyRelated,
        /// Possibly.
        #[serde(rename = "POSSIBLY RELATED")]
        PossiblyRelated,
        /// Related.
        #[serde(rename = "RELATED")]
        Related,
    }

    /// What a published key is for. One key serves one purpose (section 1 of the format specification).
    pub enum KeyPurpose {
        /// Signs checkpoints.
        Log,
        /// Signs the manifests of datasets.
        Export,
    }

    /// How somebody shows who they are.
    pub enum AccessMeans {
        /// By a bearer token of the service's own.
        Token,
        /// By an account of the service's own.
        Account,
        /// By an OpenID Connect provider.
        Provider,
    }

    /// The type of a Dataset-JSON column.
    pub enum DataType {
        /// Text.
        String,
        /// A whole number.
        Integer,
        /// A decimal number, written as text.
        Decimal,
        /// A number of 32 bits.
        Float,
        /// A number of 64 bits.
        Double,
        /// True or false.
        Boolean,
        /// A date with a time.
        #[serde(rename = "datetime")]
        DateTime,
        /// A date.
        Date,
        /// A time.
        Time,
        /// An address.
        #[serde(rename = "URI")]
        Uri,
    }

    /// What a Dataset-JSON column means where that differs from its type.
    pub enum TargetDataType {
        /// A whole number.
        Integer,
        /// A decimal number.
        Decimal,
    }
}

value! {
    /// An Ed25519 public key as a JSON Web Key (RFC 7517, RFC 8037). Its `x` is its name.
    pub struct PublicJwk {
        /// `OKP`.
        pub kty: JwkType,
        /// `Ed25519`.
        pub crv: JwkCurve,
        /// The key: 32 bytes in base64url without padding.
        pub x: Ed25519X,
    }

    /// Who may give a command.
    pub struct CommandPolicy {
        /// The command, as refusals of it name it.
        pub command: String,
        /// The roles in which it may be given.
        pub roles: Vec<Role>,
        /// What has to be delegated to site staff who give it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub task: Option<DelegatedTask>,
    }

    /// Who has a permission.
    pub struct PermissionPolicy {
        /// The permission.
        pub permission: String,
        /// The roles that have it.
        pub roles: Vec<Role>,
    }

    /// The public key of a passkey as a JSON Web Key (RFC 7518, section 6.2).
    pub struct PasskeyJwk {
        /// `EC`.
        pub kty: EcType,
        /// `P-256`.
        pub crv: EcCurve,
        /// One coordinate: 32 bytes in base64url without padding.
        pub x: Base64Url,
        /// The other.
        pub y: Base64Url,
    }

    /// A passkey, as far as others need to know it.
    pub struct Passkey {
        /// Its id, by which the authenticator finds it.
        pub credential: Base64Url,
        /// The domain whose pages may use it.
        pub relying_party: Name,
        /// Its public key.
        pub key: PasskeyJwk,
    }

    /// What a passkey answers to a challenge, as browsers give it (Web Authentication, `AuthenticatorAssertionResponse`).
    pub struct PasskeyAnswer {
        /// Whose page it was, and whether the person was verified.
        pub authenticator_data: Base64Url,
        /// The challenge, and the page it came from.
        #[serde(rename = "clientDataJSON")]
        pub client_data: Base64Url,
        /// Over both.
        pub signature: Base64Url,
    }

    /// An outcome as a protocol specifies it beforehand.
    pub struct ProtocolOutcome {
        /// Names the outcome through all versions of the protocol, so that a change to it can be shown.
        pub id: Name,
        /// What is measured.
        pub measure: Text,
        /// Over what time.
        pub time_frame: Text,
    }

    /// An outcome as it is reported.
    pub struct ReportedOutcome {
        /// The pre-specified outcome that this answers; absent where it answers none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub outcome: Option<Name>,
        /// What was measured.
        pub measure: Text,
        /// The result, as text.
        pub value: Text,
        /// Unit of the result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub unit: Option<Name>,
        /// Over what time.
        pub time_frame: Text,
        /// In whom.
        pub analysis_population: Text,
    }

    /// What a participant agrees to have shared.
    pub struct Sharing {
        /// Data with other researchers.
        pub research: bool,
        /// Samples with other researchers.
        #[serde(default)]
        pub samples: bool,
        /// Being contacted about other research.
        #[serde(default)]
        pub contact: bool,
    }

    /// One recorded value.
    pub struct Item {
        /// The item, by its ODM ItemOID.
        pub item_oid: Name,
        /// The value as text, as received: a decimal keeps its digits.
        pub value: String,
        /// The unit of the value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub unit: Option<Name>,
    }

    /// The items of one item group of one form, recorded together.
    pub struct DataRecord {
        /// The visit they belong to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub visit: Option<Name>,
        /// The form, by its ODM FormOID.
        pub form: Name,
        /// The item group, by its ODM ItemGroupOID.
        pub item_group: Name,
        /// Which repetition of the item group; absent where it does not repeat.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub repeat: Option<u32>,
        /// When the values were collected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub collected_on: Option<PartialDate>,
        /// The values.
        pub items: Vec<Item>,
    }

    /// A rule that something recorded all the same did not meet.
    pub struct Exception {
        /// The rule, by its id in [`crate::RULES`].
        pub rule: String,
        /// In what way.
        pub detail: String,
    }

    /// The system a file came from.
    pub struct SourceSystem {
        /// Its name.
        pub name: String,
        /// Its version.
        pub version: String,
    }

    /// What a Dataset-JSON 1.1 file says of itself, under that standard's own names, kept as received. It holds every
    /// member the standard knows but `rows`.
    pub struct DatasetMetadata {
        /// When the file was made.
        #[serde(rename = "datasetJSONCreationDateTime")]
        pub creation_date_time: String,
        /// Version of the standard.
        #[serde(rename = "datasetJSONVersion")]
        pub dataset_json_version: String,
        /// Id of the file.
        #[serde(rename = "fileOID", default, skip_serializing_if = "Option::is_none")]
        pub file_oid: Option<String>,
        /// When the source database was last changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub db_last_modified_date_time: Option<String>,
        /// The organisation that made the file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub originator: Option<String>,
        /// The system it came from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub source_system: Option<SourceSystem>,
        /// The study.
        #[serde(rename = "studyOID", default, skip_serializing_if = "Option::is_none")]
        pub study_oid: Option<String>,
        /// The version of the study's metadata.
        #[serde(rename = "metaDataVersionOID", default, skip_serializing_if = "Option::is_none")]
        pub meta_data_version_oid: Option<String>,
        /// Where the metadata is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub meta_data_ref: Option<String>,
        /// The item group the rows are of.
        #[serde(rename = "itemGroupOID")]
        pub item_group_oid: String,
        /// Number of rows.
        pub records: u64,
        /// Name of the dataset, such as `LB`.
        pub name: Name,
        /// What the dataset is.
        pub label: String,
        /// The columns, in the order of the file.
        pub columns: Vec<Column>,
    }

    /// A column of a Dataset-JSON 1.1 file, under that standard's own names.
    pub struct Column {
        /// The item in the column.
        #[serde(rename = "itemOID")]
        pub item_oid: String,
        /// Name of the column.
        pub name: String,
        /// What the column holds.
        pub label: String,
        /// Type of the values.
        pub data_type: DataType,
        /// What the values mean where that differs from their type.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub target_data_type: Option<TargetDataType>,
        /// Longest value.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub length: Option<u32>,
        /// How the values are shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub display_format: Option<String>,
        /// Place in the key of the dataset.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub key_sequence: Option<u32>,
    }
}

/// One value of an imported row. A number with a fraction or an exponent, and an integer beyond 2^53−1 in either
/// direction, stands as the text it had in the file; the column's type says that it is a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum ImportedValue {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Text, or a number as it was written.
    Text(String),
}

/// An imported row: the value of each column, by the column's name.
pub type ImportedRecord = BTreeMap<String, ImportedValue>;

value! {
    /// A way in which participant data are read.
    pub enum Reading {
        /// A list of events with their data.
        Events,
        /// Events with their data, one after the other as they are recorded.
        Stream,
        /// One event with fields of its data and its proof.
        Receipt,
        /// The participants of a trial at a glance.
        Participants,
        /// What happened to a participant.
        Timeline,
        /// Who has signed a participant's record.
        Signatures,
        /// What a participant is given, which others are blinded to.
        Allocation,
        /// The values of a trial as they stand.
        Data,
        /// A dataset to take away.
        Dataset,
    }

    /// Whose data are read.
    pub enum Extent {
        /// Those of the participant in whose stream the event is.
        Participant,
        /// Those of the participants that are listed. Where none is, data that name no participant.
        Listed,
        /// Those of participants who agree to the sharing of their data.
        Consenting,
        /// Everybody's in the trial.
        Trial,
    }
}

value! {
    /// Events of a trial that follow each other.
    pub struct Places {
        /// `trialseq` of the first.
        pub first: u64,
        /// `trialseq` of the last; absent where whatever is recorded from there on is among them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub last: Option<u64>,
    }
}

impl Meaning {
    /// The meaning as statements and the record spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorship => "authorship",
            Self::Review => "review",
            Self::Approval => "approval",
            Self::Responsibility => "responsibility",
        }
    }
}

impl std::fmt::Display for Meaning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
