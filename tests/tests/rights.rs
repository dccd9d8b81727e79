//! The service with the least rights in PostgreSQL, as `deploy/postgres` sets them up: it does all of its work, and whoever has
//! its password can change nothing that is recorded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use trialseal_tests::{Database, Rng, Role, Service, Trial, Verifier, bodies, export, laboratory};

const ROLES: &str = include_str!("../../deploy/postgres/roles.sql");
const RIGHTS: &str = include_str!("../../deploy/postgres/rights.sql");
const KEYS: &str = include_str!("../../deploy/postgres/keys.sql");
const TRIAL: &str = "RIGHTS-1";

/// What somebody tries who has the service's password.
const ATTEMPTS: &[&str] = &[
    "UPDATE event SET header = header",
    "DELETE FROM event",
    "TRUNCATE event",
    "UPDATE command SET count = count",
    "DELETE FROM seal",
    "UPDATE checkpoint SET size = size",
    "DELETE FROM note",
    "UPDATE data_key SET wrapped = wrapped",
    "INSERT INTO data_key (ledger) VALUES (1)",
    "DELETE FROM natural_key",
    "DELETE FROM token",
    "DELETE FROM account",
    "DELETE FROM ledger",
    "DROP TRIGGER append_only ON event",
    "ALTER TABLE event DISABLE TRIGGER append_only",
    "ALTER TABLE event OWNER TO trialseal_service",
    "DROP TABLE event CASCADE",
    "CREATE TABLE mine (a INTEGER)",
    "CREATE TEMPORARY TABLE mine (a INTEGER)",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    "CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    "UPDATE _sqlx_migrations SET version = version",
    "SET session_replication_role = replica",
    "SET ROLE trialseal_owner",
    "CREATE ROLE mine",
    "COPY event TO PROGRAM 'cat'",
    "COPY event TO '/tmp/trialseal-event'",
];

/// What they try in the key database.
const ATTEMPTS_ON_KEYS: &[&str] = &[
    "DELETE FROM data_key",
    "TRUNCATE data_key",
    "DELETE FROM master_key",
    "DROP TABLE data_key",
    "CREATE TABLE mine (a INTEGER)",
    "UPDATE _sqlx_migrations SET version = version",
];

/// The tables that a file of rights lets the service at.
fn granted_tables(rights: &'static str) -> Vec<&'static str> {
    let grants = rights.lines().filter(|line| line.ends_with("TO trialseal_service;"));
    let lists = grants.filter_map(|line| line.split_once(" ON ")?.1.strip_suffix(" TO trialseal_service;"));
    let mut tables: Vec<_> = lists.flat_map(|list| list.split(", ")).collect();
    tables.sort_unstable();
    tables
}

#[test]
fn the_service_works_with_the_least_rights_and_cannot_change_the_record() {
    let (database, keys) = (Database::on_postgres(), Database::on_postgres());
    for database in [&database, &keys] {
        database.execute(ROLES).unwrap();
    }
    let (owner, user) = (database.url_of("trialseal_owner"), database.url_of("trialseal_service"));
    let mut service = Service::prepared_on(database, &user);
    service.set("TRIALSEAL_KEY_DATABASE_URL", &keys.url_of("trialseal_service"));

    // The service may not make the tables, and says who does.
    let said = service.command(&["keys"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("`trialseal migrate` as their owner") && said.lines().count() == 1, "{said}");
    let key_owner = keys.url_of("trialseal_owner");
    let migrated = service.command(&["migrate", "--database-url", &owner, "--key-database-url", &key_owner]);
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    for (database, rights) in [(service.database(), RIGHTS), (&keys, KEYS)] {
        database.execute(rights).unwrap();
        let tables = database.texts(
            "SELECT tablename::TEXT FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename COLLATE \"C\"",
        );
        assert_eq!(granted_tables(rights), tables, "each table stands in a file of deploy/postgres once");
    }

    // All of its work: commands, an import, seals, read models and their rebuilding, reading, exports, people, keys.
    service.start_again();
    let trial = Trial::open(&service, TRIAL);
    let participant = trial.enrol("101-001", true);
    trial.about(&participant, "data", &bodies::data("V1", "120"));
    let file = laboratory(&["101-001".to_owned()], 300, &mut Rng::new(1));
    assert_eq!(trial.import(&service, file.as_bytes())["state"], "done");
    service.wait_until_sealed();
    service.wait_until_folded(TRIAL);
    let monitor = service.client(Role::Monitor);
    monitor.get(&format!("/v1/trials/{TRIAL}/participants/{participant}/timeline")).expect(200);
    let verifier = Verifier::of(&service);
    let dataset = verifier.room("rights").join("dataset.zip");
    std::fs::write(&dataset, export(&service, &monitor, TRIAL)).unwrap();
    verifier.dataset(&dataset).assert_sound();
    for arguments in [
        ["rebuild"].as_slice(),
        &["admin", "create", "--organisation", "Example"],
        &["admin", "invite"],
        &["keys", "rotate", "export"],
    ] {
        let output = service.command(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    service.stop();
    service.start_again();
    service.wait_until_sealed();

    // And nothing else.
    let attempts = ATTEMPTS.iter().map(|attempt| (service.database(), attempt));
    for (database, attempt) in attempts.chain(ATTEMPTS_ON_KEYS.iter().map(|attempt| (&keys, attempt))) {
        let refusal = database.execute_as("trialseal_service", attempt).expect_err(attempt);
        let words = ["permission denied", "must be ", "append-only"];
        assert!(words.iter().any(|word| refusal.contains(word)), "{attempt}: {refusal}");
    }
    let backup = |sql: &str| service.database().execute_as("trialseal_backup", sql);
    backup("SELECT * FROM event").unwrap();
    backup("INSERT INTO session SELECT * FROM session").expect_err("a backup writes nothing");
    let checked = service.command(&["check"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    verifier.log(&service.published()).assert_sound();
}
