//! One stored event of every type and schema version, readable for ever. A file here is never changed: it stands for
//! what is in databases.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use trialseal_record::Event;

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "stored"].iter().collect()
}

fn stored(kind: &str, version: u32) -> Value {
    let path = folder().join(format!("{kind}.v{version}.json"));
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{kind} v{version} has no golden file: {e}"));
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn every_type_and_version_is_read_and_the_present_one_is_written_back_the_same() {
    for &(kind, present) in Event::KINDS {
        for version in 1..=present {
            let data = stored(kind, version);
            let event = Event::from_stored(kind, version, data.clone()).unwrap();
            assert_eq!((event.kind(), event.schema_version()), (kind, present));
            let written = event.to_data().unwrap();
            assert_eq!(Event::from_stored(kind, present, written.clone()), Ok(event.clone()));
            let text = written.to_string();
            assert_eq!(Event::from_present_text(kind, present, text.as_bytes()), Some(event));
            for (version, text) in [(present + 1, &*text), (present, "[]"), (present, &text[1..])] {
                assert_eq!(Event::from_present_text(kind, version, text.as_bytes()), None);
            }
            if version == present {
                assert_eq!(written, data, "{kind}");
            }
        }
    }
}

#[test]
fn every_golden_file_is_of_a_known_type_and_version() {
    let known: BTreeSet<String> = Event::KINDS
        .iter()
        .flat_map(|(kind, present)| (1..=*present).map(move |version| format!("{kind}.v{version}.json")))
        .collect();
    let found: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, known);
}

#[test]
fn a_consent_from_before_sharing_was_asked_shares_nothing() {
    let event = Event::from_stored("consent.signed", 1, stored("consent.signed", 1)).unwrap();
    let Event::ConsentSigned(signed) = event else { panic!("it is a consent") };
    assert!(!signed.sharing.research && !signed.sharing.samples && !signed.sharing.contact);
}

#[test]
fn data_in_an_older_version_with_members_of_a_newer_one_is_still_read_with_care() {
    let mut data = stored("consent.signed", 1);
    data["sharing"] = json!({"research": true});
    let event = Event::from_stored("consent.signed", 1, data).unwrap();
    let Event::ConsentSigned(signed) = event else { panic!("it is a consent") };
    assert!(!signed.sharing.research);
}

#[test]
fn stored_data_holds_nothing_the_format_refuses() {
    fn check(value: &Value) {
        match value {
            Value::Number(number) => assert!(number.as_i64().is_some_and(|n| n.abs() < 1 << 53)),
            Value::Array(elements) => elements.iter().for_each(check),
            Value::Object(members) => members.values().for_each(check),
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }
    for &(kind, present) in Event::KINDS {
        let data = Event::from_stored(kind, present, stored(kind, present)).unwrap().to_data().unwrap();
        assert!(data.is_object());
        check(&data);
    }
}
