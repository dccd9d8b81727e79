//! What can have happened: one struct a type, and [`Event`] over all of them.
//!
//! A stored event never changes. Its header names its type and schema version (`dataschema`, section 4 of the format
//! specification), and [`Event::from_stored`] reads every version there ever was, bringing older ones up to the present
//! one in `upcast`. Its data is a JSON object of strings, integers, booleans, nulls, arrays and objects; decimals
//! are strings (section 2).
//!
//! Data in a participant's stream is participant data; data in any other stream is the trial's. Who did it, in what
//! role, for which organisation and with which system stands in the header, which the store writes; `originator` in the
//! data says where the information came from if not from the actor.
//!
//! To add an event: a struct in one of the modules below, a line in the table in this file, a golden file in
//! `tests/stored`. To change one: raise its version in the table, say in `upcast` how the older one is read, and
//! add a golden file of the new version; the old one stays.

mod access;
mod blinding;
mod data;
mod delegation;
mod emergency;
mod erasure;
mod import;
mod ledger;
mod participant;
mod redaction;
mod signature;
mod submission;
mod trial;
mod upcast;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use access::{CommandRefused, RecordRead};
pub use blinding::{ParticipantAllocated, ParticipantRandomised, ParticipantUnblinded};
pub use data::{DataCorrected, DataRecorded};
pub use delegation::{DelegationEnded, DelegationGranted};
pub use emergency::EmergencyAccessOpened;
pub use erasure::{
    ErasureApproved, ErasureRequested, KeyDestroyed, LegalHoldPlaced, LegalHoldReleased, ParticipantClosed,
};
pub use import::{DataImported, ImportCompleted, ImportStarted};
pub use ledger::{
    AccountInvited, FailedAccount, KeyRegistered, KeyRevoked, LoginFailed, PasskeyRegistered, PasskeyRemoved,
    PasswordChosen, PolicyChanged, RoleGranted, RoleRevoked,
};
pub use participant::{
    AdverseEventReported, ConsentSigned, ConsentWithdrawn, ParticipantCompleted, ParticipantDiscontinued,
    ParticipantEnrolled, ParticipantScreenFailed, ParticipantScreened, VisitOccurred,
};
pub use redaction::{KeyReplaced, RecordRedacted, RedactionApproved, RedactionBegun, RedactionRequested};
pub use signature::{SignatureApplied, SigningKeyRegistered, SigningKeyRevoked};
pub use submission::{
    SubmissionKeyRegistered, SubmissionKeyRevoked, SubmissionSigned, SubmissionSigningChanged,
};
pub use trial::{
    ConsentVersionPublished, IrbDecisionRecorded, ProtocolVersionSubmitted, ResultsSubmitted, SiteActivated,
    TrialRegistered,
};

/// Stored data that this version of the software cannot read. It names type and version alone: what is wrong with
/// the data could repeat the data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableEvent {
    /// The type is not one of [`Event::KINDS`]: most likely written by newer software.
    #[error("events of the type {0} are unknown to this version of the software")]
    UnknownType(String),
    /// The schema version is not one this software knows: most likely written by newer software.
    #[error("schema version {1} of {0} is unknown to this version of the software")]
    UnknownVersion(&'static str, u32),
    /// The data is not what its schema version says.
    #[error("the data of a {0} event does not follow its schema version {1}")]
    Malformed(&'static str, u32),
}

macro_rules! events {
    ($($kind:literal v $version:literal => $name:ident),* $(,)?) => {
        /// Something that happened, in the present version of its schema.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Event {
            $(#[doc = concat!("`", $kind, "`")] $name($name),)*
        }

        impl Event {
            /// Every type of event and the present version of its schema.
            pub const KINDS: &[(&str, u32)] = &[$(($kind, $version)),*];

            /// The event's type, as the header's `type` says it.
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$name(_) => $kind,)* }
            }

            /// The version of the event's schema, which is always the present one.
            pub const fn schema_version(&self) -> u32 {
                match self { $(Self::$name(_) => $version,)* }
            }

            /// The event's data as a JSON object. Fails for no value these types can hold; the error is serde's own.
            pub fn to_data(&self) -> Result<Value, serde_json::Error> {
                match self { $(Self::$name(event) => serde_json::to_value(event),)* }
            }

            /// Reads what is stored: the data of an event of type `kind` in schema version `version`.
            pub fn from_stored(kind: &str, version: u32, data: Value) -> Result<Self, UnreadableEvent> {
                match kind {
                    $($kind => read($kind, version, $version, data).map(Self::$name),)*
                    _ => Err(UnreadableEvent::UnknownType(kind.to_owned())),
                }
            }

            /// [`from_stored`](Self::from_stored) from the text of the data, if they are in the present version of their
            /// schema. It asks for less than a strict reader of JSON does: the text has to be one that somebody vouches
            /// for, such as a cipher.
            pub fn from_present_text(kind: &str, version: u32, data: &[u8]) -> Option<Self> {
                match kind {
                    $($kind if version == $version => serde_json::from_slice(data).ok().map(Self::$name),)*
                    _ => None,
                }
            }
        }

        $(impl From<$name> for Event {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        })*
    };
}

events! {
    "trial.registered" v 1 => TrialRegistered,
    "protocol.version-submitted" v 1 => ProtocolVersionSubmitted,
    "irb.decision-recorded" v 1 => IrbDecisionRecorded,
    "site.activated" v 1 => SiteActivated,
    "consent.version-published" v 1 => ConsentVersionPublished,
    "participant.screened" v 1 => ParticipantScreened,
    "participant.screen-failed" v 1 => ParticipantScreenFailed,
    "consent.signed" v 2 => ConsentSigned,
    "consent.withdrawn" v 1 => ConsentWithdrawn,
    "participant.enrolled" v 1 => ParticipantEnrolled,
    "participant.discontinued" v 1 => ParticipantDiscontinued,
    "participant.completed" v 1 => ParticipantCompleted,
    "visit.occurred" v 1 => VisitOccurred,
    "data.recorded" v 1 => DataRecorded,
    "data.corrected" v 1 => DataCorrected,
    "import.started" v 1 => ImportStarted,
    "data.imported" v 1 => DataImported,
    "import.completed" v 1 => ImportCompleted,
    "adverse-event.reported" v 1 => AdverseEventReported,
    "results.submitted" v 1 => ResultsSubmitted,
    "key.registered" v 1 => KeyRegistered,
    "key.revoked" v 1 => KeyRevoked,
    "record.read" v 1 => RecordRead,
    "command.refused" v 1 => CommandRefused,
    "erasure.requested" v 1 => ErasureRequested,
    "erasure.approved" v 1 => ErasureApproved,
    "participant.closed" v 1 => ParticipantClosed,
    "participant.key-destroyed" v 1 => KeyDestroyed,
    "legal-hold.placed" v 1 => LegalHoldPlaced,
    "legal-hold.released" v 1 => LegalHoldReleased,
    "submission.signed" v 1 => SubmissionSigned,
    "submission-key.registered" v 1 => SubmissionKeyRegistered,
    "submission-key.revoked" v 1 => SubmissionKeyRevoked,
    "submission-signing.changed" v 1 => SubmissionSigningChanged,
    "signing-key.registered" v 1 => SigningKeyRegistered,
    "signing-key.revoked" v 1 => SigningKeyRevoked,
    "signature.applied" v 1 => SignatureApplied,
    "policy.changed" v 1 => PolicyChanged,
    "role.granted" v 1 => RoleGranted,
    "role.revoked" v 1 => RoleRevoked,
    "account.invited" v 1 => AccountInvited,
    "account.password-chosen" v 1 => PasswordChosen,
    "account.passkey-registered" v 1 => PasskeyRegistered,
    "account.passkey-removed" v 1 => PasskeyRemoved,
    "login.failed" v 1 => LoginFailed,
    "delegation.granted" v 1 => DelegationGranted,
    "delegation.ended" v 1 => DelegationEnded,
    "redaction.requested" v 1 => RedactionRequested,
    "redaction.approved" v 1 => RedactionApproved,
    "redaction.begun" v 1 => RedactionBegun,
    "record.redacted" v 1 => RecordRedacted,
    "participant.key-replaced" v 1 => KeyReplaced,
    "participant.randomised" v 1 => ParticipantRandomised,
    "participant.allocated" v 1 => ParticipantAllocated,
    "participant.unblinded" v 1 => ParticipantUnblinded,
    "emergency-access.opened" v 1 => EmergencyAccessOpened,
}

fn read<T: DeserializeOwned>(
    kind: &'static str,
    stored: u32,
    present: u32,
    data: Value,
) -> Result<T, UnreadableEvent> {
    if !(1..=present).contains(&stored) {
        return Err(UnreadableEvent::UnknownVersion(kind, stored));
    }
    let malformed = |_| UnreadableEvent::Malformed(kind, stored);
    let data = (stored..present).fold(data, |data, version| upcast::to_next(kind, version, data));
    serde_json::from_value(data).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_is_not_read() {
        let unknown = Event::from_stored("trial.moved", 1, json!({}));
        assert_eq!(unknown, Err(UnreadableEvent::UnknownType("trial.moved".into())));
        for version in [0, 2] {
            let newer =
                Event::from_stored("participant.enrolled", version, json!({"enrolledOn": "2026-01-01"}));
            assert_eq!(newer, Err(UnreadableEvent::UnknownVersion("participant.enrolled", version)));
        }
        for data in [json!({}), json!([]), json!({"enrolledOn": "2026-01-01", "by": "x"})] {
            let malformed = Event::from_stored("participant.enrolled", 1, data);
            assert_eq!(malformed, Err(UnreadableEvent::Malformed("participant.enrolled", 1)));
        }
    }

    #[test]
    fn kinds_are_listed_once() {
        let mut kinds: Vec<_> = Event::KINDS.iter().map(|(kind, _)| kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), Event::KINDS.len());
    }
}
