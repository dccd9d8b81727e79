//! What people ask for: one struct a request body, and [`Command`], which adds whom it concerns.
//!
//! A body that parses can be recorded as far as its shape goes; whether it may be is for [`crate::decide()`] to say.
//! Member names are camelCase and unknown members are refused. To add a command: a struct in one of the modules below, a
//! variant in [`Command`], its role in `decide/authority.rs`, its rules in `decide/`.

mod blinding;
mod data;
mod delegation;
mod emergency;
mod erasure;
mod import;
mod participant;
mod redaction;
mod signature;
mod submission;
mod trial;

pub use blinding::{RandomiseParticipant, UnblindParticipant};
pub use data::{CorrectData, MAX_ITEMS_PER_RECORD, MAX_RECORDS_PER_COMMAND, RecordData};
pub use delegation::{EndDelegation, GrantDelegation};
pub use emergency::OpenEmergencyAccess;
pub use erasure::{ApproveErasure, PlaceLegalHold, ReleaseLegalHold, RequestErasure};
pub use import::{CompleteImport, ImportRow, ImportSubject, StartImport};
pub use participant::{
    EnrolParticipant, RecordDisposition, RecordVisit, ReportAdverseEvent, ScreenFailure, ScreenParticipant,
    SignConsent, WithdrawConsent,
};
pub use redaction::{ApproveRedaction, RequestRedaction};
pub use signature::{RegisterSigningKey, RevokeSigningKey, SignRecord};
pub use submission::{ChangeSubmissionSigning, RegisterSubmissionKey, RevokeSubmissionKey};
pub use trial::{
    ActivateSite, PublishConsentVersion, RecordIrbDecision, RegisterKey, RegisterTrial, RevokeKey,
    SubmitProtocolVersion, SubmitResults,
};

use crate::ids::{ImportId, ParticipantId, SiteId};

/// What is asked for, and of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `POST /v1/trials`
    RegisterTrial(RegisterTrial),
    /// `POST /v1/trials/{trial}/protocol-versions`
    SubmitProtocolVersion(SubmitProtocolVersion),
    /// `POST /v1/trials/{trial}/irb-decisions`
    RecordIrbDecision(RecordIrbDecision),
    /// `POST /v1/trials/{trial}/sites`
    ActivateSite(ActivateSite),
    /// `POST /v1/trials/{trial}/consent-versions`
    PublishConsentVersion(PublishConsentVersion),
    /// `POST /v1/trials/{trial}/participants`
    ScreenParticipant(ScreenParticipant),
    /// `POST /v1/trials/{trial}/participants/{id}/consents`
    SignConsent(ParticipantId, SignConsent),
    /// `POST /v1/trials/{trial}/participants/{id}/consent-withdrawals`
    WithdrawConsent(ParticipantId, WithdrawConsent),
    /// `POST /v1/trials/{trial}/participants/{id}/enrolment`
    EnrolParticipant(ParticipantId, EnrolParticipant),
    /// `POST /v1/trials/{trial}/participants/{id}/randomisation`
    RandomiseParticipant(ParticipantId, RandomiseParticipant),
    /// `POST /v1/trials/{trial}/participants/{id}/unblindings`
    UnblindParticipant(ParticipantId, UnblindParticipant),
    /// `POST /v1/trials/{trial}/participants/{id}/visits`
    RecordVisit(ParticipantId, RecordVisit),
    /// `POST /v1/trials/{trial}/participants/{id}/data`
    RecordData(ParticipantId, RecordData),
    /// `POST /v1/trials/{trial}/participants/{id}/data/corrections`
    CorrectData(ParticipantId, CorrectData),
    /// `POST /v1/trials/{trial}/participants/{id}/adverse-events`
    ReportAdverseEvent(ParticipantId, ReportAdverseEvent),
    /// `POST /v1/trials/{trial}/participants/{id}/disposition`
    RecordDisposition(ParticipantId, RecordDisposition),
    /// `POST /v1/trials/{trial}/participants/{id}/erasure-requests`
    RequestErasure(ParticipantId, RequestErasure),
    /// `POST /v1/trials/{trial}/participants/{id}/erasure-approvals`
    ApproveErasure(ParticipantId, ApproveErasure),
    /// `POST /v1/trials/{trial}/participants/{id}/redaction-requests`
    RequestRedaction(ParticipantId, RequestRedaction),
    /// `POST /v1/trials/{trial}/participants/{id}/redaction-approvals`
    ApproveRedaction(ParticipantId, ApproveRedaction),
    /// `POST /v1/trials/{trial}/participants/{id}/emergency-access`
    OpenEmergencyAccess(ParticipantId, OpenEmergencyAccess),
    /// `POST /v1/trials/{trial}/legal-holds`
    PlaceLegalHold(PlaceLegalHold),
    /// `POST /v1/trials/{trial}/legal-hold-releases`
    ReleaseLegalHold(ReleaseLegalHold),
    /// `POST /v1/trials/{trial}/delegations`
    GrantDelegation(GrantDelegation),
    /// `POST /v1/trials/{trial}/delegation-ends`
    EndDelegation(EndDelegation),
    /// `POST /v1/trials/{trial}/results`
    SubmitResults(SubmitResults),
    /// The head of a file sent to `POST /v1/trials/{trial}/imports`.
    StartImport(ImportId, StartImport),
    /// A row of that file.
    ImportRow(ImportId, ImportRow),
    /// The end of that file.
    CompleteImport(ImportId, CompleteImport),
    /// `POST /v1/trials/{trial}/submission-keys`
    RegisterSubmissionKey(RegisterSubmissionKey),
    /// `POST /v1/trials/{trial}/submission-key-revocations`
    RevokeSubmissionKey(RevokeSubmissionKey),
    /// `POST /v1/trials/{trial}/submission-signing`
    ChangeSubmissionSigning(ChangeSubmissionSigning),
    /// `POST /v1/trials/{trial}/signing-keys`
    RegisterSigningKey(RegisterSigningKey),
    /// `POST /v1/trials/{trial}/signing-key-revocations`
    RevokeSigningKey(RevokeSigningKey),
    /// `POST /v1/trials/{trial}/participants/{id}/signatures`
    SignRecord(ParticipantId, SignRecord),
    /// A key begins to be used; in the trial `_ledger`.
    RegisterKey(RegisterKey),
    /// A key is no longer used; in the trial `_ledger`.
    RevokeKey(RevokeKey),
}

impl Command {
    /// What is asked for, in words that stand in the record.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RegisterTrial(_) => "register-trial",
            Self::SubmitProtocolVersion(_) => "submit-protocol-version",
            Self::RecordIrbDecision(_) => "record-irb-decision",
            Self::ActivateSite(_) => "activate-site",
            Self::PublishConsentVersion(_) => "publish-consent-version",
            Self::ScreenParticipant(_) => "screen-participant",
            Self::SignConsent(..) => "sign-consent",
            Self::WithdrawConsent(..) => "withdraw-consent",
            Self::EnrolParticipant(..) => "enrol-participant",
            Self::RandomiseParticipant(..) => "randomise-participant",
            Self::UnblindParticipant(..) => "unblind-participant",
            Self::RecordVisit(..) => "record-visit",
            Self::RecordData(..) => "record-data",
            Self::CorrectData(..) => "correct-data",
            Self::ReportAdverseEvent(..) => "report-adverse-event",
            Self::RecordDisposition(..) => "record-disposition",
            Self::RequestErasure(..) => "request-erasure",
            Self::ApproveErasure(..) => "approve-erasure",
            Self::RequestRedaction(..) => "request-redaction",
            Self::ApproveRedaction(..) => "approve-redaction",
            Self::OpenEmergencyAccess(..) => "open-emergency-access",
            Self::PlaceLegalHold(_) => "place-legal-hold",
            Self::ReleaseLegalHold(_) => "release-legal-hold",
            Self::GrantDelegation(_) => "grant-delegation",
            Self::EndDelegation(_) => "end-delegation",
            Self::SubmitResults(_) => "submit-results",
            Self::StartImport(..) => "start-import",
            Self::ImportRow(..) => "import-row",
            Self::CompleteImport(..) => "complete-import",
            Self::RegisterSubmissionKey(_) => "register-submission-key",
            Self::RevokeSubmissionKey(_) => "revoke-submission-key",
            Self::ChangeSubmissionSigning(_) => "change-submission-signing",
            Self::RegisterSigningKey(_) => "register-signing-key",
            Self::RevokeSigningKey(_) => "revoke-signing-key",
            Self::SignRecord(..) => "sign-record",
            Self::RegisterKey(_) => "register-key",
            Self::RevokeKey(_) => "revoke-key",
        }
    }

    /// Whether it never comes without its sender's signature.
    pub(crate) const fn is_always_signed(&self) -> bool {
        matches!(self, Self::RegisterSubmissionKey(_) | Self::ChangeSubmissionSigning(_))
    }

    /// Whether it comes with its sender's signature where a trial asks for signatures. A trial's registration is there before
    /// any key is, a key that is lost has to be revoked without it, an emergency does not wait for one, rows rest on the file they came in, people sign with a key of
    /// their own, and the keys of the ledger are nobody's submission.
    pub(crate) const fn is_signed_where_required(&self) -> bool {
        !matches!(
            self,
            Self::RegisterTrial(_)
                | Self::RevokeSubmissionKey(_)
                | Self::UnblindParticipant(..)
                | Self::OpenEmergencyAccess(..)
                | Self::ImportRow(..)
                | Self::CompleteImport(..)
                | Self::RegisterSigningKey(_)
                | Self::RevokeSigningKey(_)
                | Self::SignRecord(..)
                | Self::RegisterKey(_)
                | Self::RevokeKey(_)
        )
    }

    /// The participant whose state the decision needs. None for one that is yet to be screened.
    pub fn participant(&self) -> Option<ParticipantId> {
        match self {
            Self::SignConsent(id, _)
            | Self::WithdrawConsent(id, _)
            | Self::EnrolParticipant(id, _)
            | Self::RandomiseParticipant(id, _)
            | Self::UnblindParticipant(id, _)
            | Self::RecordVisit(id, _)
            | Self::RecordData(id, _)
            | Self::CorrectData(id, _)
            | Self::ReportAdverseEvent(id, _)
            | Self::RecordDisposition(id, _)
            | Self::RequestErasure(id, _)
            | Self::ApproveErasure(id, _)
            | Self::RequestRedaction(id, _)
            | Self::ApproveRedaction(id, _)
            | Self::OpenEmergencyAccess(id, _)
            | Self::SignRecord(id, _) => Some(*id),
            Self::ImportRow(_, row) => row.subject.as_ref()?.participant,
            _ => None,
        }
    }

    /// The site whose state the decision needs.
    pub fn site(&self) -> Option<SiteId> {
        match self {
            Self::ScreenParticipant(body) => Some(body.site),
            Self::GrantDelegation(body) => Some(body.site),
            Self::ImportRow(_, row) => row.subject.as_ref()?.site,
            _ => None,
        }
    }

    /// The participant whose erasure's state the decision needs.
    pub fn erasure(&self) -> Option<ParticipantId> {
        match self {
            Self::RequestErasure(id, _) | Self::ApproveErasure(id, _) => Some(*id),
            _ => None,
        }
    }

    /// The participant whose redactions' state the decision needs, and the place in the participant's stream of the event that
    /// they are about.
    pub fn redaction(&self) -> Option<(ParticipantId, u64)> {
        match self {
            Self::RequestRedaction(id, body) => Some((*id, body.streamseq)),
            Self::ApproveRedaction(id, body) => Some((*id, body.streamseq)),
            _ => None,
        }
    }

    /// The import whose state the decision needs.
    pub fn import(&self) -> Option<ImportId> {
        match self {
            Self::StartImport(id, _) | Self::ImportRow(id, _) | Self::CompleteImport(id, _) => Some(*id),
            _ => None,
        }
    }
}
