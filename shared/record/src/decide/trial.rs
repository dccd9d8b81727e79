//! Decisions about the trial as a whole and its sites.

use std::collections::BTreeSet;

use super::{Decision, NaturalKey, NaturalKeyKind, in_order, not_future, not_future_partial, registered};
use crate::actor::Context;
use crate::command::{
    ActivateSite, PublishConsentVersion, RecordIrbDecision, RegisterTrial, SubmitProtocolVersion,
    SubmitResults,
};
use crate::event::{
    ConsentVersionPublished, IrbDecisionRecorded, ProtocolVersionSubmitted, ResultsSubmitted, SiteActivated,
    TrialRegistered,
};
use crate::ids::{SiteId, StreamId};
use crate::rules::{
    CONSENT_KNOWN, CONSENT_NEW, IRB_APPROVAL, IRB_SUBJECT, PROTOCOL_KNOWN, PROTOCOL_ORDER,
    PROTOCOL_OUTCOME_IDS, PROTOCOL_PRIMARY, RESULTS_OUTCOME, Refusal, TRIAL_RESERVED, TRIAL_UNUSED,
};
use crate::state::State;

pub(super) fn register(state: &State<'_>, body: &RegisterTrial) -> Result<Decision, Refusal> {
    TRIAL_RESERVED.require(!body.id.is_ledger(), "this id is the ledger's own")?;
    TRIAL_UNUSED.require(state.trial.id().is_none(), "a trial with this id is registered")?;
    let event = TrialRegistered {
        id: body.id.clone(),
        title: body.title.clone(),
        sponsor: body.sponsor.clone(),
        phase: body.phase,
        registry_ids: body.registry_ids.clone(),
    };
    Ok(Decision::event(StreamId::trial(&body.id), event))
}

pub(super) fn submit_protocol(state: &State<'_>, body: &SubmitProtocolVersion) -> Result<Decision, Refusal> {
    let stream = registered(state)?;
    PROTOCOL_PRIMARY.require(!body.primary_outcomes.is_empty(), "there is no primary outcome")?;
    let mut ids = BTreeSet::new();
    let unique = body.primary_outcomes.iter().chain(&body.secondary_outcomes).all(|o| ids.insert(&o.id));
    PROTOCOL_OUTCOME_IDS.require(unique, "two outcomes have the same id")?;
    if let Some(newest) = state.trial.newest_protocol_version() {
        let message = format!("the newest protocol version is {newest}");
        PROTOCOL_ORDER.require(body.version > *newest, &message)?;
    }
    let event = ProtocolVersionSubmitted {
        version: body.version.clone(),
        document_sha256: body.document_sha256.clone(),
        effective: body.effective,
        primary_outcomes: body.primary_outcomes.clone(),
        secondary_outcomes: body.secondary_outcomes.clone(),
        sample_size: body.sample_size,
        sap_sha256: body.sap_sha256.clone(),
        change_summary: body.change_summary.clone(),
        reconsent: body.reconsent,
    };
    Ok(Decision::event(stream, event))
}

pub(super) fn record_irb_decision(
    state: &State<'_>,
    body: &RecordIrbDecision,
    context: &Context,
) -> Result<Decision, Refusal> {
    let stream = registered(state)?;
    let names_something = body.protocol_version.is_some() || !body.consent_versions.is_empty();
    IRB_SUBJECT.require(names_something, "the decision is about no version of protocol or consent")?;
    let protocol_known = body.protocol_version.as_ref().is_none_or(|v| state.trial.knows_protocol(v));
    PROTOCOL_KNOWN.require(protocol_known, "this protocol version was not submitted")?;
    let consents_known = body.consent_versions.iter().all(|v| state.trial.knows_consent(v, None));
    CONSENT_KNOWN.require(consents_known, "one of the consent versions was not published")?;
    not_future(body.decided_on, context)?;
    if let Some(expires_on) = body.expires_on {
        in_order(body.decided_on, expires_on, "the approval would expire before it was decided")?;
    }
    let event = IrbDecisionRecorded {
        irb: body.irb.clone(),
        decision: body.decision,
        decided_on: body.decided_on,
        expires_on: body.expires_on,
        protocol_version: body.protocol_version.clone(),
        consent_versions: body.consent_versions.clone(),
        sites: body.sites.clone(),
    };
    Ok(Decision::event(stream, event))
}

pub(super) fn activate_site(
    state: &State<'_>,
    body: &ActivateSite,
    context: &Context,
) -> Result<Decision, Refusal> {
    registered(state)?;
    not_future(body.activated_on, context)?;
    let protocol_version =
        state.trial.approved_protocol(&body.number, body.activated_on).ok_or_else(|| {
            IRB_APPROVAL.refuse("no protocol version had IRB approval for this site on that day")
        })?;
    let stream = StreamId::site(SiteId(context.new_id));
    let event = SiteActivated {
        number: body.number.clone(),
        name: body.name.clone(),
        investigator: body.investigator.clone(),
        country: body.country.clone(),
        activated_on: body.activated_on,
        protocol_version: protocol_version.clone(),
    };
    let key = NaturalKey { kind: NaturalKeyKind::SiteNumber, value: body.number.clone(), stream };
    Ok(Decision { keys: vec![key], ..Decision::event(stream, event) })
}

pub(super) fn publish_consent(state: &State<'_>, body: &PublishConsentVersion) -> Result<Decision, Refusal> {
    let stream = registered(state)?;
    let known = state.trial.knows_protocol(&body.protocol_version);
    PROTOCOL_KNOWN.require(known, "this protocol version was not submitted")?;
    let published = state.trial.knows_consent(&body.version, Some(&body.language));
    CONSENT_NEW.require(!published, "this consent version is published in this language")?;
    let event = ConsentVersionPublished {
        version: body.version.clone(),
        language: body.language.clone(),
        document_sha256: body.document_sha256.clone(),
        protocol_version: body.protocol_version.clone(),
    };
    Ok(Decision::event(stream, event))
}

pub(super) fn submit_results(
    state: &State<'_>,
    body: &SubmitResults,
    context: &Context,
) -> Result<Decision, Refusal> {
    let stream = registered(state)?;
    RESULTS_OUTCOME.require(!body.outcomes.is_empty(), "there is no outcome")?;
    not_future_partial(&body.analysed_on, context)?;
    let event = ResultsSubmitted {
        outcomes: body.outcomes.clone(),
        analysed_on: body.analysed_on.clone(),
        summary: body.summary.clone(),
    };
    Ok(Decision::event(stream, event))
}
