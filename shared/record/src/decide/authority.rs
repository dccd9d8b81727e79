//! In which role a thing may be done, and by whom it is done for somebody else.

use crate::actor::{Context, Role};
use crate::command::Command;
use crate::date::Date;
use crate::rules::{CORRECTION_BY_INVESTIGATOR, DELEGATION_IN_FORCE, ROLE, Refusal};
use crate::state::{ParticipantState, State};
use crate::values::DelegatedTask;

/// Refuses a command in a role that does not answer for it, and by somebody to whom it is not delegated in one that needs
/// that.
pub(super) fn check(state: &State<'_>, command: &Command, context: &Context) -> Result<(), Refusal> {
    in_role(command, context.actor.role)?;
    // With whose keys somebody signs is nobody's to delegate.
    let own_key = matches!(
        command,
        Command::RegisterSubmissionKey(_)
            | Command::RevokeSubmissionKey(_)
            | Command::RegisterSigningKey(_)
            | Command::RevokeSigningKey(_)
    );
    if context.actor.role == Role::SiteStaff && !own_key {
        return delegated(state, command, context);
    }
    Ok(())
}

/// What counts is the day on which it is done, by the ledger's clock: the days that a command tells of are claims of the
/// very person who needs the delegation.
fn delegated(state: &State<'_>, command: &Command, context: &Context) -> Result<(), Refusal> {
    let site = command.site().or_else(|| state.participant.and_then(ParticipantState::site));
    let today = Date::of_micros(context.now_micros);
    let delegated = task(command)
        .zip(site)
        .is_some_and(|(task, site)| state.trial.is_delegated(&context.actor.id, task, site, today));
    DELEGATION_IN_FORCE.require(delegated, "this is not delegated to you at this site today")
}

/// What is delegated where site staff may do this; none where nobody but the investigator may.
const fn task(command: &Command) -> Option<DelegatedTask> {
    match command {
        Command::ScreenParticipant(_) => Some(DelegatedTask::Screening),
        // One task, so that withdrawing is as easy as consenting.
        Command::SignConsent(..) | Command::WithdrawConsent(..) => Some(DelegatedTask::Consent),
        Command::EnrolParticipant(..) => Some(DelegatedTask::Enrolment),
        Command::RecordVisit(..) => Some(DelegatedTask::Visits),
        // To sign for what one has entered belongs to entering it.
        Command::RecordData(..) | Command::CorrectData(..) | Command::SignRecord(..) => {
            Some(DelegatedTask::DataEntry)
        }
        Command::ReportAdverseEvent(..) => Some(DelegatedTask::AdverseEvents),
        Command::RecordDisposition(..) => Some(DelegatedTask::Disposition),
        _ => None,
    }
}

fn in_role(command: &Command, role: Role) -> Result<(), Refusal> {
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
        | Command::SubmitResults(_)
        | Command::ChangeSubmissionSigning(_) => &[Role::Sponsor],
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
        | Command::RegisterSigningKey(_)
        | Command::RevokeSigningKey(_)
        | Command::SignRecord(..) => &[Role::Investigator, Role::SiteStaff],
        Command::RequestErasure(..) | Command::GrantDelegation(_) | Command::EndDelegation(_) => {
            &[Role::Investigator]
        }
        Command::StartImport(..) | Command::ImportRow(..) | Command::CompleteImport(..) => {
            &[Role::Sponsor, Role::Investigator]
        }
        Command::RegisterSubmissionKey(_) | Command::RevokeSubmissionKey(_) => {
            &[Role::Sponsor, Role::Investigator, Role::SiteStaff, Role::Irb]
        }
        Command::RegisterKey(_) | Command::RevokeKey(_) => &[Role::Admin, Role::System],
    }
}
