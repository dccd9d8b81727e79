//! Erasing a participant's data: who asks, who agrees, and what nobody can do any more.

use serde_json::json;
use trialseal_record::state::ParticipantStatus;
use trialseal_record::{Command, ParticipantId, Role, StreamId};

use crate::history::*;
use crate::scenario::{body, event, given};

use Role::{Investigator, Irb, Sponsor};

#[test]
fn two_people_and_a_reason_close_the_participant() {
    let request = request_erasure(erasure_body());
    let decided =
        given(enrolled()).by(Investigator).when(&request).then([(erasure(), erasure_request("actor-1"))]);
    assert_eq!(decided.after.participant(participant()).status(), ParticipantStatus::Enrolled);
    let approved = json!({
        "requester": "investigator-1", "approver": "actor-1", "reason": "No duty to keep the data is left",
    });
    let decided = given(requested()).by(Irb).when(&approve_erasure()).then([
        (erasure(), event("erasure.approved", approved)),
        (participant(), event("participant.closed", json!({"cause": "erasure"}))),
    ]);
    let after = decided.after.participant(participant());
    assert_eq!(after.status(), ParticipantStatus::Erased);
    assert_eq!((after.subject_number(), after.consent(), after.weight()), (None, None, 1));
}

#[test]
fn a_legal_hold_keeps_whom_it_names_until_it_is_released() {
    let id = |number| ParticipantId(uuid::Uuid::from_u128(number));
    let placed = json!({"hold": HOLD, "participant": id(5), "reason": "Inspection announced"});
    let place = json!({"hold": HOLD, "participant": id(5), "reason": "Inspection announced"});
    let decided = given(requested())
        .by(Sponsor)
        .when(&Command::PlaceLegalHold(body(place)))
        .then([(trial(), event("legal-hold.placed", placed))]);
    // It is about somebody else.
    decided.after.by(Irb).when(&approve_erasure()).accepted();

    let hold = json!({"hold": HOLD, "reason": "Inspection announced"});
    let held = || with(requested(), trial(), event("legal-hold.placed", hold.clone()));
    given(held()).by(Irb).when(&approve_erasure()).refused("legal-hold.none-in-force");
    let released = json!({"hold": HOLD, "reason": "Inspection closed"});
    let decided =
        given(held()).by(Irb).when(&release_hold()).then([(trial(), event("legal-hold.released", released))]);
    decided.after.by(Irb).when(&approve_erasure()).accepted();
}

/// The stream of the erasure is the trial's, so that it can be read when the participant's key is gone.
#[test]
fn what_is_told_of_an_erasure_stands_under_the_trials_key() {
    let trial: trialseal_record::TrialId = "DEMO-1".parse().unwrap();
    assert_eq!(trialseal_record::Scope::of(&trial, erasure()), trialseal_record::Scope::Trial(trial.clone()));
    assert_ne!(erasure(), StreamId::access_to(PARTICIPANT));
}
