//! Signed submissions, as far as their meaning goes: which command was sent to which address, and whether events say what
//! their sender signed. Of signatures it knows nothing but that somebody has checked them.

use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;

use crate::command::{
    Command, CorrectData, GrantDelegation, RandomiseParticipant, RecordDisposition, ReportAdverseEvent,
    ScreenParticipant, WithdrawConsent,
};
use crate::event::{DataRecorded, Event, SubmissionSigned};
use crate::ids::{ParticipantId, TrialId};
use crate::text::{Ed25519X, Sha256Hex};
use crate::values::{DataRecord, DispositionStatus, value};

/// How long after it was made a signature is taken, microseconds: a day, so that a long file can be sent and checked.
const MAX_AGE_MICROS: i64 = 86_400_000_000;
/// How far a sender's clock may be ahead, microseconds.
const MAX_AHEAD_MICROS: i64 = 300_000_000;

pub use crate::decide::submission::check;

/// A command's signature, and what its check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The key it names.
    pub key: Ed25519X,
    /// When it says it was made, in microseconds since 1970 (UTC).
    pub signed_at_micros: i64,
    /// Whether it is a signature of this key over this command.
    pub verifies: bool,
    /// What is recorded of it.
    pub event: SubmissionSigned,
}

/// Whether a signature that says it was made at `signed` may be recorded at `recorded`, both in microseconds.
pub fn is_timely(signed: i64, recorded: i64) -> bool {
    (-MAX_AHEAD_MICROS..=MAX_AGE_MICROS).contains(&recorded.saturating_sub(signed))
}

/// What somebody signs: a command, or a file by its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submission {
    /// A command.
    Command(Box<Command>),
    /// A file that is imported. Its rows rest on what its event says of it.
    File(SubmittedFile),
}

value! {
    /// What is signed of a file.
    pub struct SubmittedFile {
        /// The SHA-256 of the whole file, as it is sent.
        pub sha256: Sha256Hex,
    }
}

/// The end of the address that files are sent to.
const FILES: &str = "imports";

impl Submission {
    /// The trial and what a request to this address is about, of which `body` was signed; `None` where it is about nothing, or where
    /// the body is not of the shape that the address asks for.
    pub fn read(path: &str, body: &Value) -> Option<(TrialId, Self)> {
        let (trial, rest) = path.strip_prefix("/v1/trials/")?.split_once('/')?;
        if rest == FILES {
            return Some((trial.parse().ok()?, Self::File(SubmittedFile::deserialize(body).ok()?)));
        }
        Command::read(path, body).map(|(trial, command)| (trial, Self::Command(Box::new(command))))
    }

    /// The command, where it is one.
    pub fn command(&self) -> Option<&Command> {
        match self {
            Self::Command(command) => Some(command),
            Self::File(_) => None,
        }
    }

    /// Whether these events say what was signed when `actor` sends it: see [`Command::is_what_was_recorded`]. Of a file it is the
    /// event with which its import begins.
    pub fn is_what_was_recorded(&self, actor: &str, events: &[Event]) -> bool {
        match (self, events) {
            (Self::Command(command), events) => command.is_what_was_recorded(actor, events),
            (Self::File(file), [Event::ImportStarted(event)]) => event.file_sha256 == file.sha256,
            (Self::File(_), _) => false,
        }
    }
}

impl SubmittedFile {
    /// Where files of a trial are sent to.
    pub fn path(trial: &TrialId) -> String {
        format!("/v1/trials/{trial}/{FILES}")
    }
}

impl Command {
    /// Where the command is sent to; `None` for those that nobody signs: before a trial is registered it has no keys, a file is
    /// signed as a whole ([`SubmittedFile`]), people sign by themselves ([`crate::signature`]), an emergency does not wait, and what is done with the keys of the
    /// ledger comes by no command of its own.
    pub fn path(&self, trial: &TrialId) -> Option<String> {
        let of_trial = |rest: &str| Some(format!("/v1/trials/{trial}/{rest}"));
        let of_participant =
            |id: &ParticipantId, rest: &str| Some(format!("/v1/trials/{trial}/participants/{id}/{rest}"));
        match self {
            Self::SubmitProtocolVersion(_) => of_trial("protocol-versions"),
            Self::RecordIrbDecision(_) => of_trial("irb-decisions"),
            Self::ActivateSite(_) => of_trial("sites"),
            Self::PublishConsentVersion(_) => of_trial("consent-versions"),
            Self::SubmitResults(_) => of_trial("results"),
            Self::ScreenParticipant(_) => of_trial("participants"),
            Self::SignConsent(id, _) => of_participant(id, "consents"),
            Self::WithdrawConsent(id, _) => of_participant(id, "consent-withdrawals"),
            Self::EnrolParticipant(id, _) => of_participant(id, "enrolment"),
            Self::RandomiseParticipant(id, _) => of_participant(id, "randomisation"),
            Self::UnblindParticipant(id, _) => of_participant(id, "unblindings"),
            Self::RecordVisit(id, _) => of_participant(id, "visits"),
            Self::RecordData(id, _) => of_participant(id, "data"),
            Self::CorrectData(id, _) => of_participant(id, "data/corrections"),
            Self::ReportAdverseEvent(id, _) => of_participant(id, "adverse-events"),
            Self::RecordDisposition(id, _) => of_participant(id, "disposition"),
            Self::RequestErasure(id, _) => of_participant(id, "erasure-requests"),
            Self::ApproveErasure(id, _) => of_participant(id, "erasure-approvals"),
            Self::RequestRedaction(id, _) => of_participant(id, "redaction-requests"),
            Self::ApproveRedaction(id, _) => of_participant(id, "redaction-approvals"),
            Self::PlaceLegalHold(_) => of_trial("legal-holds"),
            Self::ReleaseLegalHold(_) => of_trial("legal-hold-releases"),
            Self::GrantDelegation(_) => of_trial("delegations"),
            Self::EndDelegation(_) => of_trial("delegation-ends"),
            Self::RegisterSubmissionKey(_) => of_trial("submission-keys"),
            Self::RevokeSubmissionKey(_) => of_trial("submission-key-revocations"),
            Self::ChangeSubmissionSigning(_) => of_trial("submission-signing"),
            Self::RegisterTrial(_)
            | Self::StartImport(..)
            | Self::ImportRow(..)
            | Self::CompleteImport(..)
            | Self::RegisterSigningKey(_)
            | Self::RevokeSigningKey(_)
            | Self::SignRecord(..)
            | Self::OpenEmergencyAccess(..)
            | Self::RegisterKey(_)
            | Self::RevokeKey(_) => None,
        }
    }

    /// The trial and the command that a request to this address with this body is about; `None` where it is about none, or
    /// where the body is not of the shape that the address asks for.
    pub fn read(path: &str, body: &Value) -> Option<(TrialId, Self)> {
        let (trial, rest) = path.strip_prefix("/v1/trials/")?.split_once('/')?;
        let trial = trial.parse().ok()?;
        let command = match rest.strip_prefix("participants/").and_then(|rest| rest.split_once('/')) {
            Some((participant, rest)) => Self::read_of_participant(participant.parse().ok()?, rest, body)?,
            None => Self::read_of_trial(rest, body)?,
        };
        Some((trial, command))
    }

    fn read_of_trial(rest: &str, body: &Value) -> Option<Self> {
        match rest {
            "protocol-versions" => of(Self::SubmitProtocolVersion, body),
            "irb-decisions" => of(Self::RecordIrbDecision, body),
            "sites" => of(Self::ActivateSite, body),
            "consent-versions" => of(Self::PublishConsentVersion, body),
            "results" => of(Self::SubmitResults, body),
            "participants" => of(Self::ScreenParticipant, body),
            "legal-holds" => of(Self::PlaceLegalHold, body),
            "legal-hold-releases" => of(Self::ReleaseLegalHold, body),
            "delegations" => of(Self::GrantDelegation, body),
            "delegation-ends" => of(Self::EndDelegation, body),
            "submission-keys" => of(Self::RegisterSubmissionKey, body),
            "submission-key-revocations" => of(Self::RevokeSubmissionKey, body),
            "submission-signing" => of(Self::ChangeSubmissionSigning, body),
            _ => None,
        }
    }

    fn read_of_participant(id: ParticipantId, rest: &str, body: &Value) -> Option<Self> {
        match rest {
            "consents" => of(|body| Self::SignConsent(id, body), body),
            "consent-withdrawals" => of(|body| Self::WithdrawConsent(id, body), body),
            "enrolment" => of(|body| Self::EnrolParticipant(id, body), body),
            "randomisation" => of(|body| Self::RandomiseParticipant(id, body), body),
            "unblindings" => of(|body| Self::UnblindParticipant(id, body), body),
            "visits" => of(|body| Self::RecordVisit(id, body), body),
            "data" => of(|body| Self::RecordData(id, body), body),
            "data/corrections" => of(|body| Self::CorrectData(id, body), body),
            "adverse-events" => of(|body| Self::ReportAdverseEvent(id, body), body),
            "disposition" => of(|body| Self::RecordDisposition(id, body), body),
            "erasure-requests" => of(|body| Self::RequestErasure(id, body), body),
            "erasure-approvals" => of(|body| Self::ApproveErasure(id, body), body),
            "redaction-requests" => of(|body| Self::RequestRedaction(id, body), body),
            "redaction-approvals" => of(|body| Self::ApproveRedaction(id, body), body),
            _ => None,
        }
    }

    /// Whether these events say what the command asks for when `actor` sends it, all of it and nothing else but what the record
    /// adds by itself: which protocol version was in force, the value before a correction, random ids.
    pub fn is_what_was_recorded(&self, actor: &str, events: &[Event]) -> bool {
        use Event as E;
        match (self, events) {
            (Self::SubmitProtocolVersion(asked), [E::ProtocolVersionSubmitted(event)]) => {
                says(event, &[], asked)
            }
            (Self::RecordIrbDecision(asked), [E::IrbDecisionRecorded(event)]) => says(event, &[], asked),
            (Self::ActivateSite(asked), [E::SiteActivated(event)]) => {
                says(event, &["protocolVersion"], asked)
            }
            (Self::PublishConsentVersion(asked), [E::ConsentVersionPublished(event)]) => {
                says(event, &[], asked)
            }
            (Self::SubmitResults(asked), [E::ResultsSubmitted(event)]) => says(event, &[], asked),
            (Self::ScreenParticipant(asked), [E::ParticipantScreened(event), failed @ ..]) => {
                let failed = match (&asked.screen_failed, failed) {
                    (None, []) => true,
                    (Some(asked), [E::ParticipantScreenFailed(event)]) => says(event, &[], asked),
                    _ => false,
                };
                let screening = ScreenParticipant { screen_failed: None, ..asked.clone() };
                failed && says(event, &["siteNumber"], &screening)
            }
            (Self::SignConsent(_, asked), [E::ConsentSigned(event)]) => says(event, &[], asked),
            (Self::WithdrawConsent(_, asked), [E::ConsentWithdrawn(event)]) => {
                let asked = WithdrawConsent { scope: as_set(&asked.scope), ..asked.clone() };
                says(event, &[], &asked)
            }
            (Self::EnrolParticipant(_, asked), [E::ParticipantEnrolled(event)]) => says(event, &[], asked),
            (
                Self::RandomiseParticipant(_, asked),
                [E::ParticipantAllocated(arm), E::ParticipantRandomised(event)],
            ) => {
                let (randomised_on, arm) = (event.randomised_on, arm.clone());
                *asked
                    == RandomiseParticipant {
                        randomised_on,
                        arm_code: arm.arm_code,
                        randomisation_number: arm.randomisation_number,
                        kit: arm.kit,
                    }
            }
            (Self::UnblindParticipant(_, asked), [E::ParticipantUnblinded(event)]) => says(event, &[], asked),
            (Self::RecordVisit(_, asked), [E::VisitOccurred(event)]) => says(event, &[], asked),
            (Self::RecordData(_, asked), events) => {
                let one = |(event, record): (&E, &DataRecord)| {
                    let (record, originator) = (record.clone(), asked.originator.clone());
                    matches!(event, E::DataRecorded(event) if *event == DataRecorded { record, originator })
                };
                events.len() == asked.records.len() && events.iter().zip(&asked.records).all(one)
            }
            (Self::CorrectData(_, asked), [E::DataCorrected(event)]) => {
                // A unit that is not given is the one before.
                let new_unit = asked.unit.as_ref().or(event.old_unit.as_ref()) == event.new_unit.as_ref();
                let asked = CorrectData { unit: None, ..asked.clone() };
                new_unit && says(event, &["oldUnit", "newUnit"], &asked)
            }
            (Self::ReportAdverseEvent(_, asked), [E::AdverseEventReported(event)]) => {
                let asked = ReportAdverseEvent { seriousness: as_set(&asked.seriousness), ..asked.clone() };
                says(event, &["adverseEvent"], &asked)
            }
            (Self::RecordDisposition(_, asked), [event]) => {
                let (status, on, reason) = match event {
                    E::ParticipantScreenFailed(e) => (DispositionStatus::ScreenFailed, e.on, &e.reason),
                    E::ParticipantDiscontinued(e) => (DispositionStatus::Discontinued, e.on, &e.reason),
                    E::ParticipantCompleted(e) => (DispositionStatus::Completed, e.on, &e.reason),
                    _ => return false,
                };
                *asked == RecordDisposition { status, on, reason: reason.clone() }
            }
            (Self::RequestErasure(_, asked), [E::ErasureRequested(event)]) => {
                event.requester.as_str() == actor && says(event, &["requester"], asked)
            }
            (Self::ApproveErasure(_, asked), [E::ErasureApproved(event), E::ParticipantClosed(_)]) => {
                event.approver.as_str() == actor && says(event, &["requester", "approver"], asked)
            }
            (Self::RequestRedaction(_, asked), [E::RedactionRequested(event)]) => {
                event.requester.as_str() == actor && says(event, &["requester"], asked)
            }
            (Self::ApproveRedaction(_, asked), [E::RedactionApproved(event)]) => {
                event.approver.as_str() == actor && says(event, &["requester", "approver"], asked)
            }
            (Self::PlaceLegalHold(asked), [E::LegalHoldPlaced(event)]) => says(event, &[], asked),
            (Self::ReleaseLegalHold(asked), [E::LegalHoldReleased(event)]) => says(event, &[], asked),
            (Self::GrantDelegation(asked), [E::DelegationGranted(event)]) => {
                let asked = GrantDelegation { tasks: as_set(&asked.tasks), ..asked.clone() };
                says(event, &[], &asked)
            }
            (Self::EndDelegation(asked), [E::DelegationEnded(event)]) => says(event, &[], asked),
            (Self::RegisterSubmissionKey(asked), [E::SubmissionKeyRegistered(event)]) => {
                event.holder.as_str() == actor && says(event, &["holder"], asked)
            }
            (Self::RevokeSubmissionKey(asked), [E::SubmissionKeyRevoked(event)]) => says(event, &[], asked),
            (Self::ChangeSubmissionSigning(asked), [E::SubmissionSigningChanged(event)]) => {
                says(event, &[], asked)
            }
            _ => false,
        }
    }
}

/// Whether events of this type come of what a sender asks for by a command, and so can be signed. A participant whom a file made
/// known is the exception: `participant.screened` then names the import.
pub fn is_submitted(kind: &str) -> bool {
    matches!(
        kind,
        "protocol.version-submitted"
            | "irb.decision-recorded"
            | "site.activated"
            | "consent.version-published"
            | "results.submitted"
            | "participant.screened"
            | "participant.screen-failed"
            | "participant.enrolled"
            | "participant.randomised"
            | "participant.allocated"
            | "participant.unblinded"
            | "participant.discontinued"
            | "participant.completed"
            | "participant.closed"
            | "consent.signed"
            | "consent.withdrawn"
            | "visit.occurred"
            | "data.recorded"
            | "data.corrected"
            | "adverse-event.reported"
            | "erasure.requested"
            | "erasure.approved"
            | "redaction.requested"
            | "redaction.approved"
            | "legal-hold.placed"
            | "legal-hold.released"
            | "delegation.granted"
            | "delegation.ended"
            | "submission-key.registered"
            | "submission-key.revoked"
            | "submission-signing.changed"
            | "import.started"
    )
}

fn of<T: DeserializeOwned>(command: impl FnOnce(T) -> Command, body: &Value) -> Option<Command> {
    T::deserialize(body).ok().map(command)
}

/// Whether an event says what is asked for in the very same members, besides those that the record `adds`.
fn says(event: &impl Serialize, adds: &[&str], asked: &impl Serialize) -> bool {
    let (Ok(Value::Object(mut event)), Ok(asked)) =
        (serde_json::to_value(event), serde_json::to_value(asked))
    else {
        return false;
    };
    event.retain(|member, _| !adds.contains(&member.as_str()));
    Value::Object(event) == asked
}

/// What the record keeps of a list in which neither order nor repetition means anything.
fn as_set<T: Copy + Ord>(list: &[T]) -> Vec<T> {
    let mut set = list.to_vec();
    set.sort_unstable();
    set.dedup();
    set
}
