//! What a participant is given, apart from what the trial may know of them.

use serde_json::json;
use trialseal_record::{Role, StreamId};

use crate::history::*;
use crate::scenario::{event, given};

use Role::{Investigator, Unblinded};

/// The arm first, so that what its sender signed stands in the blinded stream as well.
#[test]
fn the_arm_stands_apart_from_the_day() {
    let blinded = StreamId::blinded_of(PARTICIPANT);
    let allocated = json!({"armCode": "XAN-HIGH", "randomisationNumber": "R-7", "kit": "K-42"});
    let events = given(enrolled()).by(Unblinded).when(&randomise(json!({}))).then([
        (blinded, event("participant.allocated", allocated)),
        (participant(), event("participant.randomised", json!({"randomisedOn": "2026-01-17"}))),
    ]);
    let after = events.after;
    assert!(after.participant(participant()).is_randomised());
    after
        .by(Unblinded)
        .when(&randomise(json!({"armCode": "PLACEBO"})))
        .refused("participant.randomised-once");
}

#[test]
fn what_its_sender_signed_goes_with_the_arm() {
    let history = with(enrolled(), trial(), key_registered("actor-1", X));
    let events = given(history).by(Unblinded).signed(signed(X)).when(&randomise(json!({}))).events();
    let streams: Vec<_> = events.iter().map(|(stream, event)| (*stream, event.kind())).collect();
    let blinded = StreamId::blinded_of(PARTICIPANT);
    let expected = [
        (blinded, "submission.signed"),
        (blinded, "participant.allocated"),
        (participant(), "participant.randomised"),
    ];
    assert_eq!(streams, expected);
}

/// Nothing stands in the way of it, not even a withdrawal or the end of the participation.
#[test]
fn an_emergency_unblinding_asks_for_a_reason_alone() {
    let reason = json!({"reason": "Unconscious in the emergency room"});
    let unblinded = || [(participant(), event("participant.unblinded", reason.clone()))];
    let ended = json!({"on": "2026-02-01"});
    let withdrawn = json!({"scope": ["intervention", "future-data"], "withdrawnOn": "2026-02-01"});
    for history in [
        randomised(),
        with(randomised(), participant(), event("participant.discontinued", ended)),
        with(randomised(), participant(), event("consent.withdrawn", withdrawn)),
        with(randomised(), participant(), event("participant.unblinded", reason.clone())),
    ] {
        given(history).by(Investigator).when(&unblind()).then(unblinded());
    }
    let required = with(
        signing_required(),
        participant(),
        event("participant.randomised", json!({"randomisedOn": "2026-01-17"})),
    );
    given(required).by(Investigator).when(&unblind()).then(unblinded());
}
