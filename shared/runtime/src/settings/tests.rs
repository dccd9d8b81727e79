use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use super::*;

fn with(set: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    Settings::from_env(|name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
}

#[test]
fn nothing_needs_to_be_set() {
    let settings = with(&[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8480");
    assert_eq!(settings.database, Database::Sqlite("var/trialseal.db".into()));
    assert_eq!(settings.key_database, Database::Sqlite("var/keys/data-keys.sqlite".into()));
    assert_eq!(settings.master_key_file, Path::new("var/keys/master.key"));
    assert_eq!(settings.seal_interval, Duration::from_secs(1));
    assert_eq!(settings.heartbeat, Duration::from_mins(1));
    assert_eq!(settings.log_format, LogFormat::Human);
    assert_eq!(settings.export_files, ExportFileLimits::default());
    assert_eq!(settings, with(&[("TRIALSEAL_PORT", "")]).unwrap(), "empty counts as not set");
}

#[test]
fn the_documented_names_are_the_ones_that_are_read() {
    let read = RefCell::new(BTreeSet::new());
    Settings::from_env(|name| {
        read.borrow_mut().insert(name.to_owned());
        None
    })
    .unwrap();
    let documented: BTreeSet<_> = SETTINGS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(read.into_inner(), documented);
    assert_eq!(documented.len(), SETTINGS.len());
    for (name, default, meaning) in SETTINGS {
        assert!(name.starts_with("TRIALSEAL_") && !default.is_empty() && meaning.ends_with('.'), "{name}");
    }
}

#[test]
fn documented_defaults_are_the_real_ones() {
    let all: Vec<_> = SETTINGS.iter().filter(|(_, default, _)| !default.starts_with('<')).collect();
    let set: Vec<_> = all.iter().map(|(name, default, _)| (*name, *default)).collect();
    assert_eq!(with(&set).unwrap(), with(&[]).unwrap());
}

#[test]
fn what_is_set_is_taken() {
    let settings = with(&[
        ("TRIALSEAL_DIR", "/srv/ts"),
        ("TRIALSEAL_LISTEN", "::1"),
        ("TRIALSEAL_PORT", "0"),
        ("TRIALSEAL_ORIGIN", "ledger.example.org/main"),
        ("TRIALSEAL_LOG_FORMAT", "json"),
        ("TRIALSEAL_SEAL_INTERVAL_MS", "250"),
        ("TRIALSEAL_IMPORT_FILE_BYTES", "2048"),
        ("TRIALSEAL_PUBLIC_TRIALS", "DEMO-1, DEMO-2,"),
    ])
    .unwrap();
    assert_eq!(settings.listen.to_string(), "[::1]:0");
    assert_eq!(settings.database, Database::Sqlite("/srv/ts/trialseal.db".into()));
    assert_eq!(settings.master_key_file, Path::new("/srv/ts/keys/master.key"));
    assert_eq!(settings.origin.as_deref(), Some("ledger.example.org/main"));
    assert_eq!(settings.log_format, LogFormat::Json);
    assert_eq!(settings.seal_interval, Duration::from_millis(250));
    assert_eq!(settings.imports.file_bytes, 2048);
    assert_eq!(settings.public_trials, ["DEMO-1", "DEMO-2"]);
}

#[test]
fn databases_are_told_apart() {
    let database = |url| {
        let keys = ("TRIALSEAL_KEY_DATABASE_URL", "file");
        with(&[("TRIALSEAL_DATABASE_URL", url), keys]).map(|settings| settings.database)
    };
    assert_eq!(database("sqlite:/data/x.db"), Ok(Database::Sqlite("/data/x.db".into())));
    let url = "postgres://seal:hunter2@db/trialseal";
    assert_eq!(database(url), Ok(Database::Postgres(url.to_owned())));
    assert!(!format!("{:?}", database(url)).contains("hunter2"));
    for bad in ["mysql://seal:hunter2@db/x", "postgres:db", "sqlite:", "sqlite:///x", "sqlite::memory:"] {
        let error = database(bad).unwrap_err();
        assert!(
            error.to_string().starts_with("TRIALSEAL_DATABASE_URL is ")
                && !error.to_string().contains("hunter2")
        );
    }
}

#[test]
fn where_keys_lie_has_to_be_said_beside_postgresql() {
    let keys = |record: &'static str, keys: &'static str| {
        with(&[("TRIALSEAL_DATABASE_URL", record), ("TRIALSEAL_KEY_DATABASE_URL", keys)])
            .map(|settings| settings.key_database)
    };
    let (postgres, url) = ("postgres://db/trialseal", "postgres://seal:hunter2@db/keys");
    let file = Database::Sqlite("var/keys/data-keys.sqlite".into());
    assert_eq!(keys("sqlite", "file"), Ok(file.clone()));
    assert_eq!(keys("sqlite", url), Ok(Database::Postgres(url.to_owned())));
    assert_eq!(keys(postgres, "file"), Ok(file));
    assert_eq!(keys(postgres, url), Ok(Database::Postgres(url.to_owned())));
    assert_eq!(
        keys(postgres, "").unwrap_err().to_string(),
        "TRIALSEAL_KEY_DATABASE_URL is not set, but it must be `file` where one machine alone serves this ledger, or a \
         PostgreSQL database of its own (`postgres://…`)"
    );
    for bad in ["sqlite:/keys.db", "/keys.db", "mysql://seal:hunter2@db/x"] {
        let error = keys("sqlite", bad).unwrap_err();
        assert!(error.name() == "TRIALSEAL_KEY_DATABASE_URL" && !error.to_string().contains("hunter2"));
    }
}

#[test]
fn browsers_come_by_tls_where_there_is_a_certificate_or_an_https_address() {
    let reached = |pairs| with(pairs).unwrap().is_reached_by_tls();
    assert!(!reached(&[]) && !reached(&[("TRIALSEAL_PUBLIC_ADDRESS", "http://ledger.example.org")]));
    assert!(reached(&[("TRIALSEAL_PUBLIC_ADDRESS", "https://ledger.example.org")]));
    assert!(reached(&[("TRIALSEAL_TLS_CERT_FILE", "c.pem"), ("TRIALSEAL_TLS_KEY_FILE", "k.pem")]));
}

#[test]
fn a_bad_value_is_answered_with_one_sentence_that_names_it() {
    let long = "a".repeat(256);
    let cases = [
        ("TRIALSEAL_LISTEN", "localhost", "an IP address, such as 127.0.0.1"),
        ("TRIALSEAL_PORT", "65536", "a whole number from 0 to 65535"),
        ("TRIALSEAL_PORT", "eighty", "a whole number from 0 to 65535"),
        ("TRIALSEAL_SEAL_INTERVAL_MS", "1", "a whole number from 10 to 3600000"),
        ("TRIALSEAL_HEARTBEAT_SECONDS", "-1", "a whole number from 1 to 86400"),
        ("TRIALSEAL_LOG_FORMAT", "xml", "`human` or `json`"),
        ("TRIALSEAL_REQUESTS_PER_SECOND_BY_ADDRESS", "none", "a whole number from 0 to 1000000"),
    ];
    for (name, value, expected) in cases {
        let error = with(&[(name, value)]).unwrap_err();
        assert_eq!(error.to_string(), format!("{name} is {value:?}, but it must be {expected}"));
        assert_eq!(error.name(), name);
    }
    for bad in ["https://example.org", "a b", "a+b", "/a", "a/", "é", &long] {
        assert_eq!(with(&[("TRIALSEAL_ORIGIN", bad)]).unwrap_err().name(), "TRIALSEAL_ORIGIN", "{bad}");
    }
}

#[test]
fn a_timestamp_authority_is_named_with_what_its_answers_are_checked_with() {
    let (url, ca) = (("TRIALSEAL_TSA_URL", "https://tsa.example.org"), ("TRIALSEAL_TSA_CA_FILE", "ca.pem"));
    let timestamps = with(&[url, ca]).unwrap().timestamps.unwrap();
    assert_eq!((timestamps.url.as_str(), timestamps.interval), (url.1, Duration::from_mins(10)));
    assert_eq!(timestamps.ca_file, Path::new("ca.pem"));
    assert_eq!(with(&[ca]).unwrap().timestamps, None);
    assert_eq!(with(&[url]).unwrap_err().name(), ca.0);
    assert_eq!(with(&[("TRIALSEAL_TSA_URL", "tsa.example.org"), ca]).unwrap_err().name(), url.0);
    let interval = "TRIALSEAL_TSA_INTERVAL_SECONDS";
    assert_eq!(with(&[(interval, "0")]).unwrap_err().name(), interval);
}

#[test]
fn a_token_is_named_with_its_module_and_its_pin_or_not_at_all() {
    let all = [
        ("TRIALSEAL_PKCS11_MODULE", "/usr/lib/softhsm/libsofthsm2.so"),
        ("TRIALSEAL_PKCS11_TOKEN", "ledger"),
        ("TRIALSEAL_PKCS11_PIN_FILE", "pin"),
    ];
    let token = with(&all).unwrap().token.unwrap();
    assert_eq!((token.module.as_path(), token.label.as_str()), (Path::new(all[0].1), "ledger"));
    assert_eq!(token.pin_file, Path::new("pin"));
    assert_eq!(with(&[]).unwrap().token, None);
    for missing in all {
        let others: Vec<_> = all.into_iter().filter(|setting| *setting != missing).collect();
        let error = with(&others).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{} is not set, but it must be set where another TRIALSEAL_PKCS11_… setting is",
                missing.0
            )
        );
    }
}

#[test]
fn misspelt_names_are_found() {
    let names = ["PATH", "TRIALSEAL_PORT", "TRIALSEAL_PROT"];
    assert_eq!(unknown(names.map(str::to_owned)), ["TRIALSEAL_PROT"]);
}
