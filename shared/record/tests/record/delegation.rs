//! What site staff may do: what the investigator has delegated to them, there, and as long as it lasts.

use serde_json::{Value, json};
use trialseal_record::{Command, Role, SiteId, StreamId};
use uuid::Uuid;

use crate::history::*;
use crate::scenario::{History, body, event, given};

use Role::{Investigator, SiteStaff};

const TASKS: [&str; 7] =
    ["screening", "consent", "enrolment", "visits", "data-entry", "adverse-events", "disposition"];

/// What each task is needed for, with a history in which nothing else stands against it.
fn delegable() -> Vec<(&'static str, History, Command)> {
    let withdrawal = json!({"scope": ["samples"], "withdrawnOn": "2026-02-01"});
    vec![
        ("screening", activated(), screen(screening())),
        ("consent", screened(), sign(consent())),
        ("consent", enrolled(), withdraw(withdrawal)),
        ("enrolment", consented(), enrol("2026-01-16")),
        ("visits", enrolled(), visit("2026-01-30")),
        ("data-entry", enrolled(), record(&[vital_signs()])),
        ("data-entry", measured(), correct(correction())),
        ("adverse-events", enrolled(), report(adverse_event())),
        ("disposition", enrolled(), dispose("completed", "2026-02-10")),
    ]
}

fn delegated(history: History, changes: Value) -> History {
    with(history, trial(), event("delegation.granted", but(delegation(), changes)))
}

fn ended(history: History) -> History {
    with(history, trial(), event("delegation.ended", end_of_delegation()))
}

#[test]
fn an_investigator_delegates_tasks_to_somebody_of_a_site() {
    let sent = json!({"delegate": "person-2", "tasks": ["visits", "consent", "visits"]});
    let kept = json!({"delegate": "person-2", "tasks": ["consent", "visits"]});
    let granted = given(activated())
        .by(Investigator)
        .when(&grant(but(delegation(), sent)))
        .then([(trial(), event("delegation.granted", but(delegation(), kept)))]);
    granted
        .after
        .by(Investigator)
        .when(&end_delegation())
        .then([(trial(), event("delegation.ended", end_of_delegation()))]);
}

#[test]
fn each_task_is_for_its_own_commands_and_no_other() {
    for (needed, history, command) in delegable() {
        given(history.clone()).by(SiteStaff).when(&command).refused("delegation.in-force");
        for task in TASKS {
            let outcome =
                given(delegated(history.clone(), json!({"tasks": [task]}))).by(SiteStaff).when(&command);
            if task == needed { outcome.accepted() } else { outcome.refused("delegation.in-force") }
        }
        given(history).by(Investigator).when(&command).accepted();
    }
}

#[test]
fn a_delegation_is_for_one_person_at_one_site() {
    let elsewhere = SiteId(Uuid::from_u128(9));
    for (_, history, command) in delegable() {
        for other in [json!({"delegate": "person-2"}), json!({"site": elsewhere})] {
            given(delegated(history.clone(), other))
                .by(SiteStaff)
                .when(&command)
                .refused("delegation.in-force");
        }
        let both = delegated(delegated(history, json!({"site": elsewhere})), json!({"delegation": "DL-8"}));
        given(both).by(SiteStaff).when(&command).accepted();
    }
}

/// Every decision is made on 2026-03-01, and everything that is recorded here took place in January or February.
#[test]
fn a_delegation_counts_on_its_days_and_not_on_those_that_a_command_claims() {
    let cases = [
        (json!({"from": "2026-01-01", "until": "2026-02-28"}), false),
        (json!({"from": "2026-01-01", "until": "2026-03-01"}), true),
        (json!({"from": "2026-03-01", "until": "2026-03-01"}), true),
        (json!({"from": "2026-03-02"}), false),
        (json!({"from": "2026-03-01"}), true),
    ];
    for (_, history, command) in delegable() {
        for (days, counts) in &cases {
            let outcome = given(delegated(history.clone(), days.clone())).by(SiteStaff).when(&command);
            if *counts { outcome.accepted() } else { outcome.refused("delegation.in-force") }
        }
    }
}

#[test]
fn a_delegation_that_was_ended_counts_no_more_and_keeps_its_name() {
    for (_, history, command) in delegable() {
        let over = ended(delegated(history, json!({})));
        given(over.clone()).by(SiteStaff).when(&command).refused("delegation.in-force");
        given(over.clone()).by(Investigator).when(&end_delegation()).refused("delegation.open");
        let to_another = but(delegation(), json!({"delegate": "person-2"}));
        given(over.clone()).by(Investigator).when(&grant(to_another)).refused("delegation.name-unused");
        given(delegated(over, json!({"delegation": "DL-8"}))).by(SiteStaff).when(&command).accepted();
    }
}

/// Nobody can be told of a participant by how they are refused.
#[test]
fn whoever_is_not_known_is_refused_like_whoever_is_at_another_site() {
    let nobody = delegated(activated(), json!({}));
    let nowhere = but(screening(), json!({"site": null, "siteNumber": null, "import": IMPORT}));
    let imported = with(nobody.clone(), participant(), event("participant.screened", nowhere));
    let gone = delegated(erased(), json!({}));
    for history in [nobody, imported, gone] {
        given(history).by(SiteStaff).when(&visit("2026-01-30")).refused("delegation.in-force");
    }
}

#[test]
fn what_is_the_investigators_own_cannot_be_delegated() {
    let row = body(json!({"dataset": "LB", "row": 0, "record": {}}));
    let file = |history| with(history, StreamId::import(IMPORT), event("import.started", dataset()));
    let own = [
        request_erasure(erasure_body()),
        grant(but(delegation(), json!({"delegation": "DL-8", "delegate": "person-2"}))),
        end_delegation(),
        Command::StartImport(IMPORT, body(dataset())),
        Command::ImportRow(IMPORT, row),
    ];
    for command in own {
        given(file(delegated(enrolled(), json!({})))).by(SiteStaff).when(&command).refused("authority.role");
    }
}
