//! What follows when no rule stands against it.

use serde_json::json;
use trialseal_record::state::ParticipantStatus;
use trialseal_record::{NaturalKeyKind, ParticipantId, Role, SiteId, StreamId, consents_to_research};

use crate::history::*;
use crate::scenario::{NEW_ID, event, given};

use Role::{Investigator, Irb, Sponsor};

#[test]
fn a_trial_begins_in_a_stream_that_follows_from_its_id() {
    given([])
        .by(Sponsor)
        .when(&register(registration()))
        .then([(trial(), event("trial.registered", registration()))]);
}

#[test]
fn an_amendment_follows_the_first_protocol_version() {
    let amendment = but(protocol(), json!({"version": "1.1", "changeSummary": "More sites"}));
    given(submitted())
        .by(Sponsor)
        .when(&submit_protocol(amendment.clone()))
        .then([(trial(), event("protocol.version-submitted", amendment))]);
}

#[test]
fn an_irb_decides_on_what_was_submitted() {
    given(submitted())
        .by(Irb)
        .when(&decide_as_irb(approval()))
        .then([(trial(), event("irb.decision-recorded", approval()))]);
}

#[test]
fn a_site_opens_under_the_newest_protocol_version_that_is_approved_for_it() {
    let amendment = but(protocol(), json!({"version": "2.0"}));
    let history = with(approved(), trial(), event("protocol.version-submitted", amendment));
    let stream = StreamId::site(SiteId(NEW_ID));
    let activation = but(site(), json!({"protocolVersion": "1.0"}));
    let decided = given(history)
        .by(Sponsor)
        .when(&activate(site()))
        .then([(stream, event("site.activated", activation))]);
    let [key] = &decided.decision.keys[..] else { panic!("one key") };
    assert_eq!((key.kind, key.value.as_str(), key.stream), (NaturalKeyKind::SiteNumber, "701", stream));
}

#[test]
fn an_irb_that_disapproves_ends_its_own_approval_and_no_other() {
    let other = but(
        approval(),
        json!({"irb": "Other IRB", "decision": "disapproved", "decidedOn": "2026-01-08", "expiresOn": null}),
    );
    let history = with(approved(), trial(), event("irb.decision-recorded", other));
    given(history).by(Sponsor).when(&activate(site())).accepted();
}

#[test]
fn a_screened_person_gets_a_random_id_and_a_number_of_their_own() {
    let stream = StreamId::participant(ParticipantId(NEW_ID));
    let decided = given(activated())
        .by(Investigator)
        .when(&screen(screening()))
        .then([(stream, event("participant.screened", but(screening(), json!({"siteNumber": "701"}))))]);
    let [key] = &decided.decision.keys[..] else { panic!("one key") };
    assert_eq!(
        (key.kind, key.value.as_str(), key.stream),
        (NaturalKeyKind::SubjectNumber, "701-1015", stream)
    );
}

#[test]
fn a_screening_can_fail_at_once() {
    let failure = json!({"on": "2026-01-12", "reason": "Age"});
    let command = screen(but(screening(), json!({"screenFailed": failure})));
    let stream = StreamId::participant(ParticipantId(NEW_ID));
    let decided = given(activated()).by(Investigator).when(&command).then([
        (stream, event("participant.screened", but(screening(), json!({"siteNumber": "701"})))),
        (stream, event("participant.screen-failed", failure)),
    ]);
    assert_eq!(decided.after.participant(stream).status(), ParticipantStatus::ScreenFailed);
}

#[test]
fn approval_then_consent_then_enrolment() {
    let decided = given(screened())
        .by(Investigator)
        .when(&sign(consent()))
        .then([(participant(), event("consent.signed", consent()))]);
    let decided = decided
        .after
        .by(Investigator)
        .when(&enrol("2026-01-16"))
        .then([(participant(), event("participant.enrolled", json!({"enrolledOn": "2026-01-16"})))]);
    let state = decided.after.participant(participant());
    assert_eq!((state.status(), state.version()), (ParticipantStatus::Enrolled, 3));
    assert_eq!(state.site(), Some(SITE));
}

#[test]
fn a_date_that_may_be_tomorrow_somewhere_is_taken() {
    given(enrolled()).by(Investigator).when(&visit("2026-03-02")).accepted();
}

#[test]
fn a_partial_date_is_taken_where_it_may_be_right() {
    given(enrolled()).by(Investigator).when(&visit("2026-01")).accepted();
    given(enrolled()).by(Investigator).when(&visit("2026")).accepted();
}

#[test]
fn each_record_becomes_an_event() {
    let second = but(vital_signs(), json!({"repeat": 2}));
    let decided = given(enrolled()).by(Investigator).when(&record(&[vital_signs(), second.clone()])).then([
        (participant(), event("data.recorded", json!({"record": vital_signs()}))),
        (participant(), event("data.recorded", json!({"record": second}))),
    ]);
    assert_eq!(decided.after.participant(participant()).weight(), 3, "itself and two items");
}

#[test]
fn a_correction_keeps_the_old_value_and_the_next_one_starts_from_the_new() {
    let corrected = but(correction(), json!({"oldUnit": "mmHg", "newUnit": "mmHg"}));
    let decided = given(measured())
        .by(Investigator)
        .when(&correct(correction()))
        .then([(participant(), event("data.corrected", corrected))]);
    let again = but(correction(), json!({"old": "118.0", "new": "119.0"}));
    decided.after.by(Investigator).when(&correct(again)).accepted();
}

#[test]
fn a_unit_alone_can_be_corrected() {
    let in_kilopascal = but(correction(), json!({"new": "128.0", "unit": "kPa"}));
    let corrected = but(correction(), json!({"new": "128.0", "oldUnit": "mmHg", "newUnit": "kPa"}));
    given(measured())
        .by(Investigator)
        .when(&correct(in_kilopascal))
        .then([(participant(), event("data.corrected", corrected))]);
}

#[test]
fn a_withdrawal_takes_effect_at_once_and_keeps_the_way_open_for_safety_and_truth() {
    let withdrawal =
        json!({"scope": ["future-data", "intervention", "future-data"], "withdrawnOn": "2026-02-01"});
    let stored = json!({"scope": ["intervention", "future-data"], "withdrawnOn": "2026-02-01"});
    let decided = given(measured())
        .by(Investigator)
        .when(&withdraw(withdrawal))
        .then([(participant(), event("consent.withdrawn", stored))]);
    assert!(!consents_to_research(decided.after.participant(participant())));

    let history = || withdrawn("future-data");
    given(history()).by(Investigator).when(&report(adverse_event())).accepted();
    given(history()).by(Investigator).when(&correct(correction())).accepted();
    given(history()).by(Investigator).when(&dispose("discontinued", "2026-02-01")).accepted();
}

#[test]
fn signing_anew_is_agreeing_anew() {
    let decided = given(withdrawn("future-data"))
        .by(Investigator)
        .when(&sign(but(consent(), json!({"signedOn": "2026-02-05"}))))
        .then([(participant(), event("consent.signed", but(consent(), json!({"signedOn": "2026-02-05"}))))]);
    let state = decided.after.participant(participant());
    assert!(consents_to_research(state));
    assert_eq!(state.first_signed_on(), Some("2026-01-15".parse().unwrap()));
}

#[test]
fn a_form_that_is_entered_late_undoes_nothing_that_came_after_it() {
    let late = given(late_form());
    assert!(!consents_to_research(late.participant(participant())), "it was withdrawn after it was signed");

    let private = but(consent(), json!({"signedOn": "2026-01-20", "sharing": {"research": false}}));
    let history = with(enrolled(), participant(), event("consent.signed", private));
    let history = with(history, participant(), event("consent.signed", consent()));
    let entered_last = given(history);
    let state = entered_last.participant(participant());
    assert!(!consents_to_research(state), "the form signed last says no");
    assert_eq!(state.consent().map(|consent| consent.signed_on), Some("2026-01-20".parse().unwrap()));
    assert_eq!(state.first_signed_on(), Some("2026-01-15".parse().unwrap()));
}

#[test]
fn what_took_place_under_a_consent_can_be_entered_after_a_new_one() {
    for day in ["2026-01-30", "2026-02-01", "2026-02-05", "2026-02-20", "2026-02"] {
        given(agreed_again()).by(Investigator).when(&visit(day)).accepted();
    }
}

#[test]
fn of_one_day_the_order_of_recording_tells() {
    let same_day = but(consent(), json!({"signedOn": "2026-02-01"}));
    let again = with(withdrawn("future-data"), participant(), event("consent.signed", same_day));
    assert!(consents_to_research(given(again.clone()).participant(participant())));
    let withdrawal = json!({"scope": ["future-data"], "withdrawnOn": "2026-02-01"});
    let withdrawn = with(again, participant(), event("consent.withdrawn", withdrawal));
    assert!(!consents_to_research(given(withdrawn).participant(participant())));
}

#[test]
fn research_takes_a_consent_that_shares() {
    let private = but(consent(), json!({"sharing": {"research": false}}));
    let history = with(screened(), participant(), event("consent.signed", private));
    assert!(!consents_to_research(given(history).participant(participant())));
    assert!(!consents_to_research(given(screened()).participant(participant())));
    assert!(consents_to_research(given(consented()).participant(participant())));
    assert!(consents_to_research(given(withdrawn("samples")).participant(participant())));
}

#[test]
fn what_took_place_before_the_end_can_still_be_entered() {
    let late = but(vital_signs(), json!({"visit": "WEEK 4", "collectedOn": "2026-02-10"}));
    given(completed()).by(Investigator).when(&record(&[late])).accepted();
    given(completed()).by(Investigator).when(&visit("2026-02-09")).accepted();
    given(completed()).by(Investigator).when(&correct(correction())).accepted();
}

#[test]
fn an_adverse_event_gets_an_id_and_can_be_reported_after_the_end() {
    let expected = but(adverse_event(), json!({"adverseEvent": NEW_ID}));
    given(completed())
        .by(Investigator)
        .when(&report(adverse_event()))
        .then([(participant(), event("adverse-event.reported", expected))]);
}

#[test]
fn a_participation_ends_in_one_of_three_ways() {
    let ended = |history, status, kind| {
        given(history)
            .by(Investigator)
            .when(&dispose(status, "2026-02-10"))
            .then([(participant(), event(kind, json!({"on": "2026-02-10"})))]);
    };
    ended(screened(), "screen-failed", "participant.screen-failed");
    ended(enrolled(), "discontinued", "participant.discontinued");
    ended(enrolled(), "completed", "participant.completed");
}

#[test]
fn results_are_stored_as_they_are() {
    let results = json!({
        "outcomes": [{
            "outcome": "no such outcome", "measure": "Weight", "value": "-1.2", "timeFrame": "12 weeks",
            "analysisPopulation": "Per protocol",
        }],
        "analysedOn": "2026-02",
    });
    given(submitted())
        .by(Sponsor)
        .when(&submit_results(results.clone()))
        .then([(trial(), event("results.submitted", results))]);
}
