//! Decisions about what an investigator has others do. Whether somebody may act by a delegation is asked in `authority`.

use super::{Decision, in_order, registered};
use crate::actor::Context;
use crate::command::{EndDelegation, GrantDelegation};
use crate::event::{DelegationEnded, DelegationGranted};
use crate::rules::{
    DELEGATION_NEW, DELEGATION_OPEN, DELEGATION_TASKS, DELEGATION_TO_ANOTHER, Refusal, SITE_ACTIVATED,
};
use crate::state::{SiteState, State};

pub(super) fn grant(
    state: &State<'_>,
    body: &GrantDelegation,
    context: &Context,
) -> Result<Decision, Refusal> {
    let stream = registered(state)?;
    let to_another = body.delegate.as_str() != context.actor.id;
    DELEGATION_TO_ANOTHER.require(to_another, "you are the one to whom this would be delegated")?;
    DELEGATION_TASKS.require(!body.tasks.is_empty(), "nothing would be delegated")?;
    if let Some(until) = body.until {
        in_order(body.from, until, "the delegation would end before it begins")?;
    }
    let activated = state.site.and_then(SiteState::number).is_some();
    SITE_ACTIVATED.require(activated, "the site is not activated")?;
    let unused = !state.trial.knows_delegation(&body.delegation);
    DELEGATION_NEW.require(unused, "a delegation of the trial has, or had, this name")?;
    let mut tasks = body.tasks.clone();
    tasks.sort_unstable();
    tasks.dedup();
    let event = DelegationGranted {
        delegation: body.delegation.clone(),
        delegate: body.delegate.clone(),
        site: body.site,
        tasks,
        from: body.from,
        until: body.until,
    };
    Ok(Decision::event(stream, event))
}

pub(super) fn end(state: &State<'_>, body: &EndDelegation) -> Result<Decision, Refusal> {
    let stream = registered(state)?;
    let open = state.trial.has_delegation(&body.delegation);
    DELEGATION_OPEN.require(open, "there is no such delegation, or it was ended")?;
    let event = DelegationEnded { delegation: body.delegation.clone(), reason: body.reason.clone() };
    Ok(Decision::event(stream, event))
}
