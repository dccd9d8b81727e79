//! Reading in an emergency.

use serde_json::json;
use trialseal_record::{Role, StreamId};

use crate::history::*;
use crate::scenario::{History, NEW_ID, event, given};

/// Whoever it is: no delegation, no consent and no signature is asked for, and the participant's own record goes on as it was.
#[test]
fn a_record_is_opened_in_a_stream_of_its_own() {
    let opened = json!({"participant": PARTICIPANT, "hours": 72, "reason": "Brought to our emergency room unconscious"});
    for (role, history) in [
        (Role::Investigator, enrolled()),
        (Role::SiteStaff, withdrawn_history()),
        (Role::Investigator, signing_required()),
    ] {
        let expected = [(StreamId::emergency(NEW_ID), event("emergency-access.opened", opened.clone()))];
        given(history).by(role).when(&open_emergency(72)).then(expected);
    }
}

fn withdrawn_history() -> History {
    let withdrawn = json!({"scope": ["intervention", "future-data"], "withdrawnOn": "2026-02-01"});
    with(enrolled(), participant(), event("consent.withdrawn", withdrawn))
}

#[test]
fn it_is_for_a_weekend_at_the_most() {
    let asked = |hours: u32| json!({"hours": hours, "reason": "Brought to our emergency room unconscious"});
    for (hours, is_taken) in [(0, false), (1, true), (72, true), (73, false)] {
        let read = serde_json::from_value::<trialseal_record::command::OpenEmergencyAccess>(asked(hours));
        assert_eq!(read.is_ok(), is_taken, "{hours}");
    }
}
