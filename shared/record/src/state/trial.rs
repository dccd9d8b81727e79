//! The state of a trial's own stream, or of the ledger's.

use std::collections::BTreeMap;

use crate::date::Date;
use crate::event::{DelegationGranted, Event, IrbDecisionRecorded, SigningKeyRegistered};
use crate::ids::{ParticipantId, SiteId, TrialId};
use crate::text::{Base64Url, Ed25519X, Name, Text, Version};
use crate::values::{DelegatedTask, IrbDecision};

/// What decisions need to know of a trial; of the ledger, its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrialState {
    version: u64,
    id: Option<TrialId>,
    protocol_versions: Vec<Version>,
    consent_versions: Vec<(Name, Name)>,
    irb_decisions: Vec<IrbDecisionRecorded>,
    keys_in_use: BTreeMap<Name, bool>,
    holds: BTreeMap<Name, Option<ParticipantId>>,
    /// The keys that senders sign with, and whose each is; no one's any more once it is revoked.
    submission_keys: BTreeMap<Ed25519X, Option<Text>>,
    signatures_required: bool,
    /// The passkeys that people sign with, by their ids; of those that were revoked nothing is left but that.
    signing_keys: BTreeMap<Base64Url, Option<SigningKeyRegistered>>,
    /// By name; of those that were ended nothing is left but that.
    delegations: BTreeMap<Name, Option<DelegationGranted>>,
}

/// What an IRB can approve.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Approvable<'a> {
    Protocol(&'a Version),
    Consent(&'a Name),
}

impl TrialState {
    /// Number of events of the stream that are folded in.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The trial's id, once it is registered.
    pub fn id(&self) -> Option<&TrialId> {
        self.id.as_ref()
    }

    /// Folds in the event at place `streamseq` of the stream.
    pub fn evolve(&mut self, event: &Event, streamseq: u64) {
        self.version = streamseq + 1;
        match event {
            Event::TrialRegistered(e) => self.id = Some(e.id.clone()),
            Event::ProtocolVersionSubmitted(e) => self.protocol_versions.push(e.version.clone()),
            Event::ConsentVersionPublished(e) => {
                self.consent_versions.push((e.version.clone(), e.language.clone()));
            }
            Event::IrbDecisionRecorded(e) => self.irb_decisions.push(e.clone()),
            Event::KeyRegistered(e) => {
                self.keys_in_use.insert(e.key_id.clone(), true);
            }
            Event::KeyRevoked(e) => {
                self.keys_in_use.insert(e.key_id.clone(), false);
            }
            Event::LegalHoldPlaced(e) => {
                self.holds.insert(e.hold.clone(), e.participant);
            }
            Event::LegalHoldReleased(e) => {
                self.holds.remove(&e.hold);
            }
            Event::SubmissionKeyRegistered(e) => {
                self.submission_keys.insert(e.key.x.clone(), Some(e.holder.clone()));
            }
            Event::SubmissionKeyRevoked(e) => {
                self.submission_keys.insert(e.key.clone(), None);
            }
            Event::SubmissionSigningChanged(e) => self.signatures_required = e.required,
            Event::SigningKeyRegistered(e) => {
                self.signing_keys.insert(e.passkey.credential.clone(), Some(e.clone()));
            }
            Event::SigningKeyRevoked(e) => {
                self.signing_keys.insert(e.credential.clone(), None);
            }
            Event::DelegationGranted(e) => {
                self.delegations.insert(e.delegation.clone(), Some(e.clone()));
            }
            Event::DelegationEnded(e) => {
                self.delegations.insert(e.delegation.clone(), None);
            }
            _ => {}
        }
    }

    /// Whether every submission has to be signed.
    pub fn requires_signatures(&self) -> bool {
        self.signatures_required
    }

    /// Who signs with this key, where it is in use.
    pub fn submission_key(&self, key: &Ed25519X) -> Option<&str> {
        self.submission_keys.get(key)?.as_ref().map(Text::as_str)
    }

    /// Whether somebody has a key in use.
    pub fn has_submission_key(&self, holder: &str) -> bool {
        self.submission_keys.values().flatten().any(|known| known.as_str() == holder)
    }

    /// Whether this key was ever registered.
    pub(crate) fn knows_submission_key(&self, key: &Ed25519X) -> bool {
        self.submission_keys.contains_key(key)
    }

    /// The passkey of this id and its holder, where it is in use.
    pub fn signing_key(&self, credential: &Base64Url) -> Option<&SigningKeyRegistered> {
        self.signing_keys.get(credential)?.as_ref()
    }

    /// Whether somebody has a passkey in use.
    pub(crate) fn has_signing_key(&self, holder: &str) -> bool {
        self.signing_keys.values().flatten().any(|key| key.holder.as_str() == holder)
    }

    /// Whether this passkey was ever registered.
    pub(crate) fn knows_signing_key(&self, credential: &Base64Url) -> bool {
        self.signing_keys.contains_key(credential)
    }

    /// Whether a legal hold keeps this participant's data.
    pub fn is_held(&self, id: ParticipantId) -> bool {
        self.holds.values().any(|whose| whose.is_none_or(|whose| whose == id))
    }

    /// Whether this legal hold is in force.
    pub(crate) fn has_hold(&self, hold: &Name) -> bool {
        self.holds.contains_key(hold)
    }

    /// Whether a delegation has, or had, this name.
    pub(crate) fn knows_delegation(&self, name: &Name) -> bool {
        self.delegations.contains_key(name)
    }

    /// Whether this delegation was granted, and not ended.
    pub(crate) fn has_delegation(&self, name: &Name) -> bool {
        matches!(self.delegations.get(name), Some(Some(_)))
    }

    /// Whether a task is delegated to an actor at a site today. Of another day it cannot be asked: what was ended is forgotten.
    pub(crate) fn is_delegated(&self, actor: &str, task: DelegatedTask, site: SiteId, today: Date) -> bool {
        self.delegations.values().flatten().any(|it| {
            it.delegate.as_str() == actor && it.site == site && it.tasks.contains(&task) && it.is_dated(today)
        })
    }

    /// The newest protocol version.
    pub fn newest_protocol_version(&self) -> Option<&Version> {
        self.protocol_versions.last()
    }

    pub(crate) fn knows_protocol(&self, version: &Version) -> bool {
        self.protocol_versions.contains(version)
    }

    /// Whether the consent version is published, in `language` where one is given.
    pub(crate) fn knows_consent(&self, version: &Name, language: Option<&Name>) -> bool {
        self.consent_versions.iter().any(|(v, l)| v == version && language.is_none_or(|wanted| wanted == l))
    }

    /// Whether the key is in use; none where it was never registered.
    pub(crate) fn key_in_use(&self, key_id: &Name) -> Option<bool> {
        self.keys_in_use.get(key_id).copied()
    }

    /// The newest protocol version with an approval in force for the site on that day. An amendment that waits for
    /// its approval does not take the one before out of force.
    pub(crate) fn approved_protocol(&self, site: &Name, day: Date) -> Option<&Version> {
        let approved = |version: &&Version| self.is_approved(Approvable::Protocol(version), Some(site), day);
        self.protocol_versions.iter().rev().find(approved)
    }

    /// Whether an IRB's approval covers `what` at `site` on `day`: decided and not expired by then, and not taken back
    /// by the same IRB through a later disapproval (of one day: one recorded later). Where the site is unknown only an
    /// approval for all sites counts.
    pub(crate) fn is_approved(&self, what: Approvable<'_>, site: Option<&Name>, day: Date) -> bool {
        let mut covering: Vec<_> = self
            .irb_decisions
            .iter()
            .filter(|d| d.decided_on <= day && is_about(d, what) && is_for(d, site))
            .collect();
        // Stable: what was decided on one day stays in the order of recording.
        covering.sort_by_key(|decision| decision.decided_on);
        covering.iter().enumerate().any(|(i, approval)| {
            let taken_back = covering
                .iter()
                .skip(i + 1)
                .any(|later| later.decision == IrbDecision::Disapproved && later.irb == approval.irb);
            approval.decision == IrbDecision::Approved
                && approval.expires_on.is_none_or(|last| day <= last)
                && !taken_back
        })
    }
}

fn is_about(decision: &IrbDecisionRecorded, what: Approvable<'_>) -> bool {
    match what {
        Approvable::Protocol(version) => decision.protocol_version.as_ref() == Some(version),
        Approvable::Consent(version) => decision.consent_versions.contains(version),
    }
}

fn is_for(decision: &IrbDecisionRecorded, site: Option<&Name>) -> bool {
    decision.sites.is_empty() || site.is_some_and(|site| decision.sites.contains(site))
}
