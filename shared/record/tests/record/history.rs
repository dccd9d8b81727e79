//! The history most scenarios begin with, in steps, and the commands that go on from it.

use serde_json::{Value, json};
use trialseal_record::event::Event;
use trialseal_record::signature::Answered;
use trialseal_record::{Command, ImportId, ParticipantId, Signed, SiteId, StreamId};
use uuid::Uuid;

use crate::scenario::{History, NOW_MICROS, body, event};

pub(crate) const SITE: SiteId = SiteId(Uuid::from_u128(1));
pub(crate) const PARTICIPANT: ParticipantId = ParticipantId(Uuid::from_u128(2));
pub(crate) const IMPORT: ImportId = ImportId(Uuid::from_u128(3));
pub(crate) const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(crate) fn trial() -> StreamId {
    StreamId::trial(&"DEMO-1".parse().unwrap())
}

pub(crate) fn participant() -> StreamId {
    StreamId::participant(PARTICIPANT)
}

/// `data` with the members of `changes` in the place of its own; null removes one.
pub(crate) fn but(mut data: Value, changes: Value) -> Value {
    let object = data.as_object_mut().unwrap();
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    for (name, value) in changes {
        if value.is_null() {
            object.remove(&name)
        } else {
            object.insert(name, value)
        };
    }
    data
}

pub(crate) fn registration() -> Value {
    json!({"id": "DEMO-1", "title": "A demonstration", "sponsor": "Example Pharma"})
}

pub(crate) fn protocol() -> Value {
    json!({
        "version": "1.0", "documentSha256": SHA256, "sampleSize": 60, "changeSummary": "First version",
        "primaryOutcomes": [{"id": "P1", "measure": "ADAS-Cog", "timeFrame": "24 weeks"}],
        "secondaryOutcomes": [], "reconsent": "none",
    })
}

pub(crate) fn consent_version() -> Value {
    json!({"version": "ICF 1.0", "language": "en", "documentSha256": SHA256, "protocolVersion": "1.0"})
}

pub(crate) fn approval() -> Value {
    json!({
        "irb": "Central IRB", "decision": "approved", "decidedOn": "2026-01-05", "expiresOn": "2026-12-31",
        "protocolVersion": "1.0", "consentVersions": ["ICF 1.0"],
    })
}

pub(crate) fn site() -> Value {
    json!({"number": "701", "name": "General Hospital", "investigator": "Dr. Example", "activatedOn": "2026-01-10"})
}

pub(crate) fn screening() -> Value {
    json!({"site": SITE, "subjectNumber": "701-1015", "screenedOn": "2026-01-12"})
}

pub(crate) fn consent() -> Value {
    json!({
        "consentVersion": "ICF 1.0", "language": "en", "signedBy": "participant", "signedOn": "2026-01-15",
        "discussedBy": "A. Nurse", "discussedOn": "2026-01-14",
        "sharing": {"research": true, "samples": false, "contact": false},
    })
}

pub(crate) fn vital_signs() -> Value {
    json!({
        "visit": "WEEK 2", "form": "F.VS", "itemGroup": "IG.VS", "collectedOn": "2026-01-30",
        "items": [{"itemOid": "IT.SYSBP", "value": "128.0", "unit": "mmHg"}],
    })
}

pub(crate) fn correction() -> Value {
    json!({
        "visit": "WEEK 2", "form": "F.VS", "itemGroup": "IG.VS", "itemOid": "IT.SYSBP", "old": "128.0",
        "new": "118.0", "reason": "Transcription error",
    })
}

pub(crate) fn adverse_event() -> Value {
    json!({
        "term": "Headache", "seriousness": [], "severity": "MILD", "startedOn": "2026-02",
        "relatedness": "NOT RELATED",
    })
}

/// Registered, with a protocol and a consent form that wait for approval.
pub(crate) fn submitted() -> History {
    vec![
        (trial(), event("trial.registered", registration())),
        (trial(), event("protocol.version-submitted", protocol())),
        (trial(), event("consent.version-published", consent_version())),
    ]
}

/// And approved by the IRB.
pub(crate) fn approved() -> History {
    with(submitted(), trial(), event("irb.decision-recorded", approval()))
}

/// And with an open site.
pub(crate) fn activated() -> History {
    let activation = but(site(), json!({"protocolVersion": "1.0"}));
    with(approved(), StreamId::site(SITE), event("site.activated", activation))
}

/// And with a screened participant.
pub(crate) fn screened() -> History {
    let screening = but(screening(), json!({"siteNumber": "701"}));
    with(activated(), participant(), event("participant.screened", screening))
}

/// Who has consented.
pub(crate) fn consented() -> History {
    with(screened(), participant(), event("consent.signed", consent()))
}

/// And is enrolled.
pub(crate) fn enrolled() -> History {
    with(consented(), participant(), event("participant.enrolled", json!({"enrolledOn": "2026-01-16"})))
}

pub(crate) fn randomisation() -> Value {
    json!({"randomisedOn": "2026-01-17", "armCode": "XAN-HIGH", "randomisationNumber": "R-7", "kit": "K-42"})
}

pub(crate) fn randomise(changes: Value) -> Command {
    Command::RandomiseParticipant(PARTICIPANT, body(but(randomisation(), changes)))
}

pub(crate) fn unblind() -> Command {
    Command::UnblindParticipant(PARTICIPANT, body(json!({"reason": "Unconscious in the emergency room"})))
}

pub(crate) fn open_emergency(hours: u32) -> Command {
    let asked = json!({"hours": hours, "reason": "Brought to our emergency room unconscious"});
    Command::OpenEmergencyAccess(PARTICIPANT, body(asked))
}

/// And is randomised.
pub(crate) fn randomised() -> History {
    with(enrolled(), participant(), event("participant.randomised", json!({"randomisedOn": "2026-01-17"})))
}

/// And has data.
pub(crate) fn measured() -> History {
    with(enrolled(), participant(), event("data.recorded", json!({"record": vital_signs()})))
}

/// And has withdrawn the consent to `scope`.
pub(crate) fn withdrawn(scope: &str) -> History {
    let withdrawal = json!({"scope": [scope], "withdrawnOn": "2026-02-01"});
    with(measured(), participant(), event("consent.withdrawn", withdrawal))
}

/// And has agreed anew, four days later.
pub(crate) fn agreed_again() -> History {
    let anew = but(consent(), json!({"signedOn": "2026-02-05"}));
    with(withdrawn("future-data"), participant(), event("consent.signed", anew))
}

/// And a form from before the withdrawal is entered after it.
pub(crate) fn late_form() -> History {
    let earlier = but(consent(), json!({"signedOn": "2026-01-20"}));
    with(withdrawn("future-data"), participant(), event("consent.signed", earlier))
}

/// Or has completed the trial.
pub(crate) fn completed() -> History {
    with(measured(), participant(), event("participant.completed", json!({"on": "2026-02-10"})))
}

pub(crate) fn with(mut history: History, stream: StreamId, event: Event) -> History {
    history.push((stream, event));
    history
}

pub(crate) fn register(json: Value) -> Command {
    Command::RegisterTrial(body(json))
}

pub(crate) fn submit_protocol(json: Value) -> Command {
    Command::SubmitProtocolVersion(body(json))
}

pub(crate) fn publish_consent(json: Value) -> Command {
    Command::PublishConsentVersion(body(json))
}

pub(crate) fn decide_as_irb(json: Value) -> Command {
    Command::RecordIrbDecision(body(json))
}

pub(crate) fn activate(json: Value) -> Command {
    Command::ActivateSite(body(json))
}

pub(crate) fn screen(json: Value) -> Command {
    Command::ScreenParticipant(body(json))
}

pub(crate) fn sign(json: Value) -> Command {
    Command::SignConsent(PARTICIPANT, body(json))
}

pub(crate) fn withdraw(json: Value) -> Command {
    Command::WithdrawConsent(PARTICIPANT, body(json))
}

pub(crate) fn enrol(on: &str) -> Command {
    Command::EnrolParticipant(PARTICIPANT, body(json!({"enrolledOn": on})))
}

pub(crate) fn visit(on: &str) -> Command {
    Command::RecordVisit(PARTICIPANT, body(json!({"visit": "WEEK 4", "occurredOn": on})))
}

pub(crate) fn record(records: &[Value]) -> Command {
    Command::RecordData(PARTICIPANT, body(json!({"records": records})))
}

pub(crate) fn correct(json: Value) -> Command {
    Command::CorrectData(PARTICIPANT, body(json))
}

pub(crate) fn report(json: Value) -> Command {
    Command::ReportAdverseEvent(PARTICIPANT, body(json))
}

pub(crate) fn dispose(status: &str, on: &str) -> Command {
    Command::RecordDisposition(PARTICIPANT, body(json!({"status": status, "on": on})))
}

pub(crate) fn submit_results(json: Value) -> Command {
    Command::SubmitResults(body(json))
}

pub(crate) const HOLD: &str = "FDA-2026-17";

pub(crate) fn erasure() -> StreamId {
    StreamId::erasure_of(PARTICIPANT)
}

pub(crate) fn erasure_body() -> Value {
    json!({"askedOn": "2026-02-20", "reason": "The participant asked for it by letter"})
}

pub(crate) fn erasure_request(by: &str) -> Event {
    event("erasure.requested", but(erasure_body(), json!({"requester": by})))
}

pub(crate) fn requested() -> History {
    with(enrolled(), erasure(), erasure_request("investigator-1"))
}

pub(crate) fn erased() -> History {
    with(requested(), participant(), event("participant.closed", json!({"cause": "erasure"})))
}

pub(crate) fn request_erasure(json: Value) -> Command {
    Command::RequestErasure(PARTICIPANT, body(json))
}

pub(crate) fn approve_erasure() -> Command {
    let reason = json!({"reason": "No duty to keep the data is left"});
    Command::ApproveErasure(PARTICIPANT, body(reason))
}

pub(crate) fn redactions() -> StreamId {
    StreamId::redactions_of(PARTICIPANT)
}

/// The first value of [`measured`].
pub(crate) fn redaction_body() -> Value {
    let of_participant = |(stream, _): &&(StreamId, Event)| *stream == participant();
    let last = measured().iter().filter(of_participant).count() - 1;
    json!({"streamseq": last, "pointer": "/record/items/0/value", "reason": "A name was typed here"})
}

pub(crate) fn redaction_requested(by: &str) -> History {
    let event = event("redaction.requested", but(redaction_body(), json!({"requester": by})));
    with(measured(), redactions(), event)
}

pub(crate) fn redaction_approved() -> History {
    let people = json!({"requester": "investigator-1", "approver": "irb-1"});
    let approved = event("redaction.approved", but(redaction_body(), people));
    with(redaction_requested("investigator-1"), redactions(), approved)
}

pub(crate) fn request_redaction(json: Value) -> Command {
    Command::RequestRedaction(PARTICIPANT, body(json))
}

pub(crate) fn approve_redaction() -> Command {
    Command::ApproveRedaction(PARTICIPANT, body(redaction_body()))
}

pub(crate) fn release_hold() -> Command {
    Command::ReleaseLegalHold(body(json!({"hold": HOLD, "reason": "Inspection closed"})))
}

pub(crate) fn dataset() -> Value {
    json!({
        "dataset": {
            "datasetJSONCreationDateTime": "2026-01-12T12:00:00", "datasetJSONVersion": "1.1.0",
            "itemGroupOID": "IG.LB", "records": 1, "name": "LB", "label": "Laboratory Test Results",
            "columns": [{"itemOID": "IT.LB.LBSTRESN", "name": "LBSTRESN", "label": "Result", "dataType": "double"}],
        },
        "fileSha256": SHA256,
    })
}

/// Public keys of RFC 8037 (appendix A) and RFC 8410 (section 10.3).
pub(crate) const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
pub(crate) const OTHER_X: &str = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE";

pub(crate) fn jwk(x: &str) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": x})
}

pub(crate) fn key_registered(holder: &str, x: &str) -> Event {
    event("submission-key.registered", json!({"holder": holder, "key": jwk(x)}))
}

/// Enrolled, and whoever acts in these scenarios has a key.
pub(crate) fn with_key() -> History {
    with(enrolled(), trial(), key_registered("actor-1", X))
}

/// Or somebody else has.
pub(crate) fn other_key() -> History {
    with(enrolled(), trial(), key_registered("actor-2", X))
}

pub(crate) fn key_revoked() -> History {
    with(with_key(), trial(), event("submission-key.revoked", json!({"key": X, "reason": "Lost"})))
}

pub(crate) fn signing_required() -> History {
    let required = json!({"required": true, "reason": "All sites have keys"});
    with(with_key(), trial(), event("submission-signing.changed", required))
}

pub(crate) fn register_submission_key(x: &str) -> Command {
    Command::RegisterSubmissionKey(body(json!({"key": jwk(x)})))
}

pub(crate) fn revoke_submission_key(x: &str) -> Command {
    Command::RevokeSubmissionKey(body(json!({"key": x, "reason": "Lost"})))
}

pub(crate) fn change_signing(required: bool) -> Command {
    Command::ChangeSubmissionSigning(body(json!({"required": required, "reason": "As the protocol says"})))
}

/// A signature with this key that was found right, made when the decision is.
pub(crate) fn signed(x: &str) -> Signed {
    let event =
        json!({"path": "/v1/trials/DEMO-1/sites", "idempotencyKey": "k", "body": {}, "signature": "a..b"});
    Signed { key: x.parse().unwrap(), signed_at_micros: NOW_MICROS, verifies: true, event: body(event) }
}

/// To the actor of every scenario.
pub(crate) fn delegation() -> Value {
    json!({
        "delegation": "DL-7", "delegate": "actor-1", "site": SITE, "from": "2026-02-01", "until": "2026-12-31",
        "tasks": [
            "screening", "consent", "enrolment", "visits", "data-entry", "adverse-events", "disposition",
        ],
    })
}

pub(crate) fn end_of_delegation() -> Value {
    json!({"delegation": "DL-7", "reason": "Left the hospital"})
}

pub(crate) fn grant(json: Value) -> Command {
    Command::GrantDelegation(body(json))
}

pub(crate) fn end_delegation() -> Command {
    Command::EndDelegation(body(end_of_delegation()))
}

/// The statement's time: when every decision is made, in seconds.
pub(crate) const NOW_SECONDS: i64 = NOW_MICROS / 1_000_000;
pub(crate) const CREDENTIAL: &str = "Y3JlZGVudGlhbA";
pub(crate) const OTHER_CREDENTIAL: &str = "b3RoZXI";

/// The body with which a passkey is registered; what it answers is looked at elsewhere.
pub(crate) fn signing_key(credential: &str) -> Value {
    json!({
        "name": "Ada Example", "accepts": trialseal_record::signature::POLICY, "at": NOW_SECONDS, "answer": answer(),
        "passkey": {
            "credential": credential, "relyingParty": "ledger.example.org",
            "key": {"kty": "EC", "crv": "P-256", "x": X, "y": OTHER_X},
        },
    })
}

fn answer() -> Value {
    json!({"authenticatorData": "AAAA", "clientDataJSON": "e30", "signature": "MAA"})
}

pub(crate) fn signing_key_registered(holder: &str, credential: &str) -> Event {
    event("signing-key.registered", but(signing_key(credential), json!({"holder": holder})))
}

/// The actor of every scenario signs with a passkey.
pub(crate) fn with_passkey() -> History {
    with(enrolled(), trial(), signing_key_registered("actor-1", CREDENTIAL))
}

pub(crate) fn passkey_revoked() -> History {
    let revoked = json!({"credential": CREDENTIAL, "reason": "Lost"});
    with(with_passkey(), trial(), event("signing-key.revoked", revoked))
}

pub(crate) fn register_passkey(changes: Value) -> Command {
    Command::RegisterSigningKey(body(but(signing_key(CREDENTIAL), changes)))
}

pub(crate) fn revoke_passkey(credential: &str) -> Command {
    Command::RevokeSigningKey(body(json!({"credential": credential, "reason": "Lost"})))
}

/// How many events the record of somebody enrolled has.
pub(crate) const ENROLLED_VERSION: u64 = 3;

pub(crate) fn signature() -> Value {
    json!({
        "version": ENROLLED_VERSION, "meaning": "approval", "credential": CREDENTIAL, "at": NOW_SECONDS, "answer": answer(),
    })
}

pub(crate) fn sign_record(changes: Value) -> Command {
    Command::SignRecord(PARTICIPANT, body(but(signature(), changes)))
}

/// That a passkey answered as it should, of a record with this digest.
pub(crate) fn answered() -> Answered {
    Answered { refused: None, digest: Some(SHA256.parse().unwrap()) }
}
