//! Who may do what: every command in every role, and of a trial that there is.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use trialseal_record::{Command, Role, policy};

use crate::history::*;
use crate::scenario::{History, body, given};
use crate::submissions::commands;

use Role::{Admin, Investigator, Irb, SiteStaff, Sponsor, System, Unblinded};

/// What is not sent by one request to a trial.
fn others() -> Vec<Command> {
    let row = json!({"dataset": "LB", "row": 0, "record": {}});
    let key = json!({"keyId": "1a2b3c4d", "purpose": "log", "verifierKey": "a+1a2b3c4d+AAAA"});
    vec![
        register(registration()),
        Command::StartImport(IMPORT, body(dataset())),
        Command::ImportRow(IMPORT, body(row)),
        Command::CompleteImport(IMPORT, body(json!({"rows": 1, "exceptions": 0}))),
        register_passkey(json!({})),
        revoke_passkey(CREDENTIAL),
        sign_record(json!({})),
        open_emergency(12),
        Command::RegisterKey(body(key)),
        Command::RevokeKey(body(json!({"keyId": "1a2b3c4d", "reason": "Yearly change of keys"}))),
    ]
}

fn every_command() -> Vec<Command> {
    let read = |(route, body, _, _): (&str, Value, Role, History)| {
        Command::read(&crate::submissions::path(route), &body).unwrap().1
    };
    commands().into_iter().map(read).chain(others()).collect()
}

/// Written out a second time, command by command, so that a slip in the table does not pass unseen.
fn roles(command: &str) -> &'static [Role] {
    match command {
        "register-trial"
        | "submit-protocol-version"
        | "activate-site"
        | "publish-consent-version"
        | "submit-results"
        | "change-submission-signing" => &[Sponsor],
        "place-legal-hold" => &[Sponsor, Irb],
        "record-irb-decision" | "approve-erasure" | "approve-redaction" | "release-legal-hold" => &[Irb],
        "screen-participant"
        | "sign-consent"
        | "withdraw-consent"
        | "enrol-participant"
        | "record-visit"
        | "record-data"
        | "correct-data"
        | "report-adverse-event"
        | "record-disposition"
        | "register-signing-key"
        | "revoke-signing-key"
        | "sign-record"
        | "open-emergency-access" => &[Investigator, SiteStaff],
        "randomise-participant" => &[Unblinded],
        "request-erasure"
        | "request-redaction"
        | "unblind-participant"
        | "grant-delegation"
        | "end-delegation" => &[Investigator],
        "start-import" | "import-row" | "complete-import" => &[Sponsor, Investigator],
        "register-submission-key" | "revoke-submission-key" => {
            &[Sponsor, Investigator, SiteStaff, Irb, Unblinded]
        }
        "register-key" | "revoke-key" => &[Admin, System],
        other => panic!("who may {other}?"),
    }
}

#[test]
fn each_command_is_for_its_roles_and_no_other() {
    for command in every_command() {
        for role in Role::ALL {
            let refusal = given([]).by(role).when(&command).refusal();
            let by_role = ["authority.role", "correction.investigator-data"];
            let let_in = refusal.is_none_or(|refusal| !by_role.contains(&refusal.rule));
            assert_eq!(let_in, roles(command.name()).contains(&role), "{} {role}", command.name());
        }
    }
}

#[test]
fn the_policy_that_a_ledger_records_is_what_is_decided_by() {
    let table: Vec<_> = policy::commands().collect();
    let names: BTreeSet<_> = every_command().iter().map(Command::name).collect();
    let listed: BTreeSet<_> = table.iter().map(|line| line.command.as_str()).collect();
    assert_eq!((&listed, listed.len()), (&names, table.len()));
    for line in &table {
        let permitted: Vec<_> =
            Role::ALL.into_iter().filter(|role| roles(&line.command).contains(role)).collect();
        let listed: Vec<_> = Role::ALL.into_iter().filter(|role| line.roles.contains(role)).collect();
        assert_eq!((listed.len(), listed), (line.roles.len(), permitted), "{}", line.command);
        assert!(line.task.is_none() || line.roles.contains(&SiteStaff), "{}", line.command);
    }
}

#[test]
fn nothing_is_recorded_of_a_trial_that_is_not_registered() {
    // A key in use, so that no signature stands against it.
    let history = || vec![(trial(), key_registered("actor-1", X))];
    let of_trials =
        |command: &Command| !["register-trial", "register-key", "revoke-key"].contains(&command.name());
    for command in every_command().iter().filter(|command| of_trials(command)) {
        let role = roles(command.name())[0];
        given(history()).by(role).signed(signed(X)).when(command).refused("trial.registered");
    }
}

/// Whoever is let in has an id; should that ever fail, nothing is recorded of nobody.
#[test]
fn whoever_asks_for_what_names_them_has_an_id() {
    let nobody = |history, role| given(history).by(role).called("");
    nobody(enrolled(), Investigator).when(&request_erasure(erasure_body())).refused("erasure.two-people");
    nobody(requested(), Irb).when(&approve_erasure()).refused("erasure.two-people");
    nobody(measured(), Investigator)
        .when(&request_redaction(redaction_body()))
        .refused("redaction.two-people");
    nobody(redaction_requested("investigator-1"), Irb)
        .when(&approve_redaction())
        .refused("redaction.two-people");
    let first = nobody(enrolled(), Investigator).signed(signed(X));
    first.when(&register_submission_key(X)).refused("submission.key-own");
}
