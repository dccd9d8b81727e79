//! Electronic signatures: what is recorded of them, and what they are not.

use serde_json::{Value, json};
use trialseal_record::Role::{Investigator, SiteStaff};
use trialseal_record::event::Event;
use trialseal_record::submission::is_submitted;
use trialseal_record::{Role, StreamId};

use crate::history::*;
use crate::scenario::{History, event, given};

fn applied(changes: Value) -> (StreamId, Event) {
    let of_record = json!({"digest": SHA256, "name": "Ada Example"});
    (participant(), event("signature.applied", but(but(signature(), of_record), changes)))
}

#[test]
fn a_passkey_is_registered_with_what_its_holder_accepted() {
    let decided = given(enrolled()).by(Investigator).answered(answered()).when(&register_passkey(json!({})));
    decided.then([(trial(), signing_key_registered("actor-1", CREDENTIAL))]);
    // Whoever lost theirs takes another one, once that is revoked.
    let anew = json!({"passkey": signing_key(OTHER_CREDENTIAL)["passkey"]});
    let second =
        given(with_passkey()).by(Investigator).answered(answered()).when(&register_passkey(anew.clone()));
    second.refused("signature.key-unused");
    let revoked = given(with_passkey()).by(Investigator).when(&revoke_passkey(CREDENTIAL));
    revoked
        .then([(trial(), event("signing-key.revoked", json!({"credential": CREDENTIAL, "reason": "Lost"})))]);
    let after = given(passkey_revoked()).by(Investigator).answered(answered()).when(&register_passkey(anew));
    after.then([(trial(), signing_key_registered("actor-1", OTHER_CREDENTIAL))]);
}

#[test]
fn a_signature_stands_in_the_stream_of_the_record_with_name_time_and_meaning() {
    for meaning in ["authorship", "review", "approval", "responsibility"] {
        let meaning = json!({"meaning": meaning});
        let signed = given(with_passkey()).by(Investigator).answered(answered());
        signed.when(&sign_record(meaning.clone())).then([applied(meaning)]);
    }
}

#[test]
fn a_second_signature_is_on_the_first_as_well() {
    let once = || with(with_passkey(), participant(), applied(json!({})).1);
    let again = given(once()).by(Investigator).answered(answered()).when(&sign_record(json!({})));
    again.refused("signature.version-current");
    let next = json!({"version": ENROLLED_VERSION + 1, "meaning": "responsibility"});
    let signed = given(once()).by(Investigator).answered(answered()).when(&sign_record(next.clone()));
    signed.then([applied(next)]);
}

#[test]
fn nobody_signs_with_the_passkey_of_another() {
    let other = given(with_passkey()).by(Investigator).called("actor-2").answered(answered());
    other.when(&sign_record(json!({}))).refused("signature.key-own");
}

#[test]
fn site_staff_sign_as_authors_of_what_was_delegated_to_them() {
    let delegated = |tasks: &[&str]| -> History {
        let given = event("delegation.granted", but(delegation(), json!({"tasks": tasks})));
        with(with_passkey(), trial(), given)
    };
    let sign = |history: History, meaning: &str| {
        let staff = given(history).by(SiteStaff).answered(answered());
        staff.when(&sign_record(json!({"meaning": meaning})))
    };
    sign(delegated(&["data-entry"]), "authorship").accepted();
    sign(delegated(&["data-entry"]), "approval").refused("authority.role");
    sign(delegated(&["visits"]), "authorship").refused("delegation.in-force");
    sign(with_passkey(), "authorship").refused("delegation.in-force");
    // With whose passkey somebody signs is nobody's to delegate.
    let own = given(enrolled()).by(SiteStaff).answered(answered()).when(&register_passkey(json!({})));
    own.accepted();
}

#[test]
fn where_senders_have_to_sign_people_sign_by_themselves() {
    let history = with(signing_required(), trial(), signing_key_registered("actor-1", CREDENTIAL));
    let signed = given(history).by(Role::Investigator).answered(answered()).when(&sign_record(json!({})));
    signed.accepted();
    assert!(!is_submitted("signature.applied") && !is_submitted("signing-key.registered"));
}

#[test]
fn nothing_is_signed_of_somebody_whose_data_are_erased() {
    let closed =
        with(with_passkey(), participant(), event("participant.closed", json!({"cause": "erasure"})));
    let signed =
        given(closed).by(Investigator).answered(answered()).when(&sign_record(json!({"version": 4})));
    signed.refused("participant.erased");
}
