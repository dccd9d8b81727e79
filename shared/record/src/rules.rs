//! The rules that can stand against a command, and the refusal that names one.
//!
//! To add a rule: a line in the table, a place in `decide/` that refuses by it, a case in `tests/record/rules.rs`;
//! that test fails for a rule no case produces, and `cargo xtask audit` names the places that no test would miss.

use std::fmt;

/// What sort of a refusal a rule leads to, and so what the caller does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The actor's role may not do this (HTTP 403).
    Forbidden,
    /// The record as it stands does not allow it (HTTP 409).
    Conflict,
    /// The command itself cannot be right (HTTP 422).
    Invalid,
}

/// A rule of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its stable id, such as `consent.in-force`.
    pub id: &'static str,
    /// What sort of a refusal it leads to.
    pub kind: RefusalKind,
    /// The rule, in one sentence.
    pub text: &'static str,
    /// What whoever met it can do.
    pub hint: &'static str,
}

/// A command that was not carried out, and the rule that stood against it. Its message never repeats what was recorded
/// or sent about a participant, so it may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule's id.
    pub rule: &'static str,
    /// What sort of a refusal it is.
    pub kind: RefusalKind,
    /// What the rule found.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

impl Rule {
    /// The refusal of a command by this rule.
    pub(crate) fn refuse(&self, message: impl Into<String>) -> Refusal {
        Refusal { rule: self.id, kind: self.kind, message: message.into(), hint: self.hint }
    }

    /// Refuses unless the rule is met.
    pub(crate) fn require(&self, met: bool, message: &str) -> Result<(), Refusal> {
        if met { Ok(()) } else { Err(self.refuse(message)) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.message)
    }
}

impl std::error::Error for Refusal {}

macro_rules! rules {
    ($($name:ident $id:literal $kind:ident $text:literal $hint:literal)*) => {
        $(pub(crate) const $name: Rule = Rule { id: $id, kind: RefusalKind::$kind, text: $text, hint: $hint };)*

        /// Every rule there is.
        pub const RULES: &[Rule] = &[$($name),*];
    };
}

rules! {
    ROLE "authority.role" Forbidden
        "Each thing is done in the role that answers for it."
        "Ask somebody in one of the roles named to do it."
    TRIAL_RESERVED "trial.id-reserved" Invalid
        "The id _ledger belongs to the ledger's own administration."
        "Choose another id."
    TRIAL_UNUSED "trial.id-unused" Conflict
        "A trial is registered once."
        "Choose another id, or go on with the trial that is registered under this one."
    TRIAL_REGISTERED "trial.registered" Conflict
        "A trial is registered before anything else is recorded of it."
        "Register the trial first."
    PROTOCOL_ORDER "protocol.version-order" Conflict
        "Each protocol version is greater than the one before."
        "Give the version a greater number."
    PROTOCOL_PRIMARY "protocol.primary-outcome" Invalid
        "A protocol names at least one primary outcome."
        "Add the primary outcome."
    PROTOCOL_OUTCOME_IDS "protocol.outcome-ids" Invalid
        "Within a protocol version each outcome has an id of its own."
        "Give each outcome another id."
    PROTOCOL_KNOWN "protocol.version-known" Conflict
        "What refers to a protocol version refers to one that was submitted."
        "Submit the protocol version first, or correct the reference."
    IRB_SUBJECT "irb.decision-subject" Invalid
        "An IRB decision names the protocol version or the consent versions it is about."
        "Name what was decided on."
    IRB_APPROVAL "irb.approval-in-force" Conflict
        "An IRB approval covers this version at this site on the day in question."
        "Have the IRB's decision recorded first, or check the day and the site."
    SITE_NUMBER "site.number-unique" Conflict
        "A site number stands for one site of the trial."
        "Choose another number, or use the site that has it."
    SITE_ACTIVATED "site.activated" Conflict
        "Participants and delegations belong to a site that has been activated."
        "Activate the site first."
    CONSENT_NEW "consent.version-new" Conflict
        "A consent version is published once in each language."
        "Publish the changed form under a new version."
    CONSENT_KNOWN "consent.version-known" Conflict
        "What refers to a consent version refers to one that was published, in that language where one is named."
        "Publish the consent version first, or correct the reference."
    CONSENT_IN_FORCE "consent.in-force" Conflict
        "Nothing but screening takes place without a consent that is in force."
        "Record the signed consent first."
    CONSENT_FIRST "consent.before-procedure" Conflict
        "The consent was signed no later than what it is for took place."
        "Check the date; what truly took place before the consent is a protocol deviation."
    WITHDRAWAL_SCOPE "consent.withdrawal-scope" Invalid
        "A withdrawal says what the participant withdraws from."
        "Name at least one of intervention, follow-up, future-data and samples."
    PARTICIPANT_KNOWN "participant.known" Conflict
        "What is recorded of a participant follows a screening."
        "Screen the participant first, or check the id."
    PARTICIPANT_ERASED "participant.erased" Conflict
        "Nothing is recorded of a participant whose data were erased."
        "Look at the trial's erasures; what was sent is not kept."
    SUBJECT_NUMBER "participant.subject-number-unique" Conflict
        "A subject number stands for one participant of the trial."
        "Choose another number, or use the participant who has it."
    AWAITING_ENROLMENT "participant.awaiting-enrolment" Conflict
        "Only who is screened and not yet enrolled can be enrolled or fail the screening."
        "Look at the participant's timeline."
    ENROLLED "participant.enrolled" Conflict
        "Only an enrolled participant can be randomised, discontinue or complete the trial."
        "Enrol the participant first, or record a screening failure."
    RANDOMISED "participant.randomised" Conflict
        "Only who is randomised can be unblinded."
        "Look at the participant's timeline."
    RANDOMISED_ONCE "participant.randomised-once" Conflict
        "A participant is randomised once."
        "Look at the participant's timeline."
    IN_TRIAL "participant.in-trial" Conflict
        "After a participation has ended nothing more takes place in it; what took place before may still be entered."
        "Give the date on which it took place, if that was before the end."
    DATA_SIZE "data.size" Invalid
        "A request carries from 1 to 1000 records of 1 to 500 items."
        "Divide the request."
    DATA_UNRECORDED "data.item-unrecorded" Conflict
        "A value is recorded once; after that it is corrected, with a reason."
        "Correct the value, or name another visit or repetition."
    CORRECTION_BY_INVESTIGATOR "correction.investigator-data" Forbidden
        "A sponsor does not change what an investigator recorded."
        "Ask the investigator to correct it."
    CORRECTION_REASON "correction.reason-required" Invalid
        "A correction says why."
        "Give the reason."
    CORRECTION_RECORDED "correction.item-recorded" Conflict
        "Only a recorded value can be corrected; an imported one is corrected at its source and imported anew."
        "Check the visit, form, item group, repetition and item."
    CORRECTION_OLD "correction.old-value" Conflict
        "Who corrects a value names the one that stands."
        "Read the present value and decide again."
    CORRECTION_NEW "correction.new-value" Invalid
        "A correction changes the value or its unit."
        "Give the right value."
    RESULTS_OUTCOME "results.outcome-required" Invalid
        "Results report at least one outcome."
        "Add an outcome."
    ERASURE_ONCE "erasure.request-open" Conflict
        "An erasure is requested once."
        "Have somebody else approve the request that is open."
    ERASURE_REQUESTED "erasure.requested" Conflict
        "Data are erased only after somebody asked for it."
        "Have the investigator request the erasure first."
    ERASURE_BY_TWO "erasure.two-people" Forbidden
        "Who requested an erasure does not approve it."
        "Ask somebody else to approve it."
    REDACTION_OF_VALUE "redaction.value-recorded" Conflict
        "Only a value that the participant's record holds can be redacted."
        "Check streamseq and pointer: they lead to a value that was recorded, corrected or imported."
    REDACTION_ONCE "redaction.request-open" Conflict
        "The redaction of a value is requested once and approved once."
        "Look at the trial's redactions."
    REDACTION_REQUESTED "redaction.requested" Conflict
        "A value is redacted only after somebody asked for it."
        "Have the investigator request the redaction first, and name the same value."
    REDACTION_BY_TWO "redaction.two-people" Forbidden
        "Who requested a redaction does not approve it."
        "Ask somebody else to approve it."
    LEGAL_HOLD "legal-hold.none-in-force" Conflict
        "Nothing is erased or redacted while a legal hold is in force."
        "Have the IRB release the hold first, if its reason is gone."
    LEGAL_HOLD_NEW "legal-hold.name-unused" Conflict
        "Each legal hold that is in force has a name of its own."
        "Choose another name."
    LEGAL_HOLD_KNOWN "legal-hold.in-force" Conflict
        "Only a legal hold that is in force can be released."
        "Check the name of the hold."
    DELEGATION_IN_FORCE "delegation.in-force" Forbidden
        "Site staff do what is delegated to them, at that site and while the delegation is in force."
        "Ask the investigator to do it, or to delegate it to you."
    DELEGATION_TO_ANOTHER "delegation.to-another" Forbidden
        "Nobody delegates to themselves."
        "Name somebody else; what you may do in your own role needs no delegation."
    DELEGATION_TASKS "delegation.tasks" Invalid
        "A delegation names at least one task."
        "Name what is delegated."
    DELEGATION_NEW "delegation.name-unused" Conflict
        "Each delegation of a trial has a name of its own, which it keeps when it has ended."
        "Choose another name."
    DELEGATION_OPEN "delegation.open" Conflict
        "Only a delegation that was granted and not ended can be ended."
        "Check the name of the delegation."
    NOT_FUTURE "time.not-future" Invalid
        "Nothing is recorded before it happens."
        "Check the date."
    TIME_ORDER "time.order" Invalid
        "What comes first is dated first."
        "Check both dates."
    IMPORT_OPEN "import.open" Conflict
        "Rows belong to an import that has begun and has not ended."
        "Begin a new import."
    SUBMISSION_SIGNED "submission.signature-required" Forbidden
        "Where a trial asks for signatures, its submissions are signed; so is whatever has to do with the keys for it."
        "Sign it and send it with a Submission-Signature."
    SUBMISSION_KEY_OWN "submission.key-own" Forbidden
        "Each sender signs with a key of their own that is in use in the trial."
        "Register the key first, or sign with one that is."
    SUBMISSION_SIGNATURE "submission.signature-valid" Forbidden
        "A signature is made with the key it names, over this command, its address and its Idempotency-Key."
        "Check what was signed: docs/submitting.md has every byte of it."
    SUBMISSION_FRESH "submission.signature-fresh" Forbidden
        "A signature is at most a day old and not made in the future."
        "Check the clock, and sign the command again."
    SUBMISSION_KEY_UNUSED "submission.key-unused" Conflict
        "A key is registered once in a trial."
        "Register another key."
    SUBMISSION_KEY_ACTIVE "submission.key-active" Conflict
        "Only a key in use is revoked, by its holder."
        "Check the key."
    SIGNING_POLICY "signature.policy-accepted" Invalid
        "Whoever begins to sign accepts what a signature means, word for word."
        "Send the policy as GET /v1/trials/{trial}/signing-keys has it."
    SIGNING_KEY_UNUSED "signature.key-unused" Conflict
        "A passkey is registered once in a trial, and each signer has one in use."
        "Revoke the one in use first, or register another."
    SIGNING_KEY_ACTIVE "signature.key-active" Conflict
        "Only a passkey in use is revoked, by its holder."
        "Check the passkey's id."
    SIGNING_KEY_OWN "signature.key-own" Forbidden
        "Everybody signs with a passkey of their own that is in use in the trial, and nobody for another."
        "Register the passkey first."
    SIGNATURE_VALID "signature.valid" Forbidden
        "A signature is what the signer's passkey, with the signer verified, answers to this very statement."
        "Sign again: docs/signing.md has every byte of the statement."
    SIGNATURE_FRESH "signature.fresh" Forbidden
        "A signature is made for the act: it is at most ten minutes old and not made in the future."
        "Check the clock, and sign again."
    SIGNATURE_CURRENT "signature.version-current" Conflict
        "What is signed is the record as it stands."
        "Look at what was recorded since, and sign the newest version."
    KEY_UNUSED "key.id-unused" Conflict
        "A key is registered once."
        "Register another key."
    KEY_ACTIVE "key.active" Conflict
        "Only a key in use can be revoked."
        "Check the key id."
}
