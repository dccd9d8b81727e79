//! In which role a thing may be done, and by whom it is done for somebody else.

use crate::actor::{Context, Role};
use crate::command::Command;
use crate::date::Date;
use crate::policy::{self, Line};
use crate::rules::{CORRECTION_BY_INVESTIGATOR, DELEGATION_IN_FORCE, ROLE, Refusal};
use crate::state::{ParticipantState, State};
use crate::values::DelegatedTask;

/// Refuses a command in a role that does not answer for it, and by somebody to whom it is not delegated in one that needs
/// that.
pub(super) fn check(state: &State<'_>, command: &Command, context: &Context) -> Result<(), Refusal> {
    let line = in_role(command, context.actor.role)?;
    match line.task {
        Some(task) if context.actor.role == Role::SiteStaff => delegated(state, command, task, context),
        // What site staff may do without a task is their own, such as a key to sign with.
        _ => Ok(()),
    }
}

/// What counts is the day on which it is done, by the ledger's clock: the days that a command tells of are claims of the
/// very person who needs the delegation.
fn delegated(
    state: &State<'_>,
    command: &Command,
    task: DelegatedTask,
    context: &Context,
) -> Result<(), Refusal> {
    let site = command.site().or_else(|| state.participant.and_then(ParticipantState::site));
    let today = Date::of_micros(context.now_micros);
    let delegated = site.is_some_and(|site| state.trial.is_delegated(&context.actor.id, task, site, today));
    DELEGATION_IN_FORCE.require(delegated, "this is not delegated to you at this site today")
}

fn in_role(command: &Command, role: Role) -> Result<&'static Line, Refusal> {
    let line = policy::of(command);
    if let Some(line) = line.filter(|line| line.roles.contains(&role)) {
        return Ok(line);
    }
    if let (Command::CorrectData(..), Role::Sponsor) = (command, role) {
        return Err(CORRECTION_BY_INVESTIGATOR.refuse("a sponsor cannot correct an investigator's data"));
    }
    let permitted = line.map_or(&[][..], |line| line.roles);
    let names: Vec<_> = permitted.iter().map(|role| role.as_str()).collect();
    Err(ROLE.refuse(format!("this is done in the role of {}", names.join(" or "))))
}
