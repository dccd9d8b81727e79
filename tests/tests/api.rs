//! The API as a stranger finds it: Schemathesis makes requests of every kind out of the OpenAPI description, right and wrong
//! ones, and holds the answers against it. None may be a failure of the server, or of a kind that the description does not know.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;

use trialseal_tests::{Engine, Role, Service, Trial, on_both_engines, other};

on_both_engines!(whatever_is_sent_the_answer_is_one_that_is_described);

/// Requests of a kind that are made up at random for each operation.
const EXAMPLES: &str = "15";

/// Seconds after which an answer is late.
const PATIENCE: &str = "20";

fn whatever_is_sent_the_answer_is_one_that_is_described(engine: Engine) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, "API-1");
    let participant = trial.enrol("101-001", true);
    service.wait_until_sealed();
    let folder = tempfile::tempdir().unwrap();
    // Where there is nothing at an address, only that is tried.
    let known = format!(
        "[parameters]\n\"path.trial\" = \"{}\"\n\"path.id\" = \"{participant}\"\n\"path.participant\" = \"{participant}\"\n",
        trial.id
    );
    fs::write(folder.path().join("schemathesis.toml"), known).unwrap();
    // Each engine serves other roles: what they may do differs, and how requests are read does not.
    let roles = match engine {
        Engine::Sqlite => [Role::Sponsor, Role::Admin],
        Engine::Postgres => [Role::Investigator, Role::Monitor],
    };
    for role in roles {
        let client = service.client(role);
        // A stream has no end. And an administrator could revoke the very token that they are tried with.
        let left_out = if role == Role::Admin { "/stream$|/v1/tokens/" } else { "/stream$" };
        let tried = other("schemathesis")
            .args(["run", &format!("{}/openapi.json", service.address()), "--header"])
            .arg(format!("Authorization: Bearer {}", client.token()))
            // What a rule of a trial refuses fits its description all the same.
            .args(["--exclude-path-regex", left_out, "--exclude-checks", "positive_data_acceptance"])
            .args(["--max-examples", EXAMPLES, "--request-timeout", PATIENCE])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&tried.stdout);
        assert!(tried.status.success(), "{}: {said}", role.name());
        let last = said.lines().rev().find(|line| line.contains("generated")).unwrap_or_default();
        println!("{}: {}", role.name(), last.trim());
    }
    let checked = service.command(&["check"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}
