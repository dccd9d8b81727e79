//! In which role a thing may be done.

use crate::actor::Role;
use crate::command::Command;
use crate::rules::{CORRECTION_BY_INVESTIGATOR, ROLE, Refusal};

/// Refuses a command in a role that does not answer for it.
pub(super) fn check(command: &Command, role: Role) -> Result<(), Refusal> {
    let permitted = roles(command);
    if permitted.contains(&role) {
        return Ok(());
    }
    if let (Command::CorrectData(..), Role::Sponsor) = (command, role) {
        return Err(CORRECTION_BY_INVESTIGATOR.refuse("a sponsor cannot correct an investigator's data"));
    }
    let names: Vec<_> = permitted.iter().map(|role| role.as_str()).collect();
    Err(ROLE.refuse(format!("this is done in the role of {}", names.join(" or "))))
}

/// Who runs the service has no say in a trial, and who conducts a trial none in the keys of the ledger.
const fn roles(command: &Command) -> &'static [Role] {
    match command {
        Command::RegisterTrial(_)
        | Command::SubmitProtocolVersion(_)
        | Command::ActivateSite(_)
        | Command::PublishConsentVersion(_)
        | Command::SubmitResults(_) => &[Role::Sponsor],
        // A sponsor can have data kept, and has no say in whether they are erased.
        Command::PlaceLegalHold(_) => &[Role::Sponsor, Role::Irb],
        Command::RecordIrbDecision(_) | Command::ApproveErasure(..) | Command::ReleaseLegalHold(_) => {
            &[Role::Irb]
        }
        Command::ScreenParticipant(_)
        | Command::SignConsent(..)
        | Command::WithdrawConsent(..)
        | Command::EnrolParticipant(..)
        | Command::RecordVisit(..)
        | Command::RecordData(..)
        | Command::CorrectData(..)
        | Command::ReportAdverseEvent(..)
        | Command::RecordDisposition(..)
        | Command::RequestErasure(..) => &[Role::Investigator],
        Command::StartImport(..) | Command::ImportRow(..) | Command::CompleteImport(..) => {
            &[Role::Sponsor, Role::Investigator]
        }
        Command::RegisterSubmissionKey(_) | Command::RevokeSubmissionKey(_) => {
            &[Role::Sponsor, Role::Investigator, Role::Irb]
        }
        Command::ChangeSubmissionSigning(_) => &[Role::Sponsor],
        Command::RegisterKey(_) | Command::RevokeKey(_) => &[Role::Admin, Role::System],
    }
}
