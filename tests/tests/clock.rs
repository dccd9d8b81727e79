//! The machine's clock is put back by an hour, and on by one, under the running service: times of events and seals never go
//! back, recording and sealing go on, and so does the heartbeat.
//!
//! The service runs under libfaketime, which takes what it adds to the clock from a file, at every look at the clock. Spans of
//! time that the service measures are not changed by it, as they are not where a clock is put right.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use trialseal_tests::{
    Client, Engine, Role, Service, Trial, Verifier, assert_sound, bodies, events_of, on_both_engines,
};

const TRIAL: &str = "CLOCK-1";

/// Commands between two changes of the clock.
const COMMANDS: u32 = 20;

/// Seconds that the clock is put on by, in this order: there and back, twice.
const CHANGES: [i32; 5] = [-3600, 0, 3600, -3600, 0];

on_both_engines!(an_hour_back_and_forth_changes_no_order_and_stops_nothing);

/// The library that stands between a program and the clock.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().map(|folder| folder.unwrap().path());
    let found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|file| file.exists());
    found.expect("this test needs libfaketime, which is a package of Debian and Ubuntu of that name")
}

/// Puts the clock on by so many seconds, compared to the machine's.
fn put_on(change: &Path, seconds: i32) {
    // Nobody reads half of it.
    let next = change.with_extension("next");
    fs::write(&next, format!("{seconds:+}\n")).unwrap();
    fs::rename(next, change).unwrap();
}

/// Sends commands, each of which waits for its seal.
fn send(client: &Client, participant: &str, round: usize) {
    let path = format!("/v1/trials/{TRIAL}/participants/{participant}/adverse-events");
    for number in 0..COMMANDS {
        let wait = if number == COMMANDS - 1 { "?wait=sealed" } else { "" };
        let key = format!("{round}-{number}");
        let answer = client.post(&format!("{path}{wait}"), &key, &bodies::adverse_event("Headache"));
        assert_eq!(answer.status, 201, "{}", answer.text());
        if !wait.is_empty() {
            assert_eq!(answer.json()["level"], "sealed", "{}", answer.text());
        }
    }
}

/// The number of the newest published seal.
fn newest(monitor: &Client) -> u64 {
    monitor.json("/v1/seals?limit=1")["newest"].as_u64().unwrap()
}

/// The times of all published seals, in their order.
fn seal_times(monitor: &Client) -> Vec<String> {
    let mut times: Vec<String> = Vec::new();
    let mut next = Some(String::new());
    while let Some(after) = next {
        let page = monitor.json(&format!("/v1/seals{after}"));
        times.extend(page["seals"].as_array().unwrap().iter().map(|it| text(&it["seal"]["time"])));
        next = page["next"].as_u64().map(|next| format!("?after={next}"));
    }
    times
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// All are written with the same number of digits, so that they sort as times do.
fn assert_in_order(what: &str, times: &[String]) {
    for two in times.windows(2) {
        assert!(two[0].len() == two[1].len() && two[0] <= two[1], "{what}: {} after {}", two[1], two[0]);
    }
}

fn an_hour_back_and_forth_changes_no_order_and_stops_nothing(engine: Engine) {
    let dir = tempfile::tempdir().unwrap();
    let change = dir.path().join("change");
    put_on(&change, 0);
    let (library, file) = (library(), change.to_str().unwrap());
    let service = Service::start_with(
        engine,
        &[
            ("LD_PRELOAD", library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", file),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("TRIALSEAL_HEARTBEAT_SECONDS", "1"),
        ],
    );
    let trial = Trial::open(&service, TRIAL);
    let participant = trial.enrol("S-1", true);
    let verifier = Verifier::of(&service);
    let (client, monitor) = (service.client(Role::Investigator), service.client(Role::Monitor));
    send(&client, &participant, 0);

    for (round, seconds) in (1..).zip(CHANGES) {
        put_on(&change, seconds);
        send(&client, &participant, round);
        // Nothing is new any more: two seals that only say so.
        let silent = newest(&monitor) + 2;
        service.wait("the heartbeat goes on", || (newest(&monitor) >= silent).then_some(()));
    }

    let events = events_of(&monitor, TRIAL);
    let times: Vec<String> = events.iter().map(|event| text(&event["header"]["time"])).collect();
    assert_eq!(times.len(), trial.acknowledged().len() + COMMANDS as usize * (1 + CHANGES.len()));
    assert_in_order("events", &times);
    assert_in_order("seals", &seal_times(&monitor));
    // The clock was really changed: the test itself lasts no half hour.
    let (first, last) = (&times[0], &times[times.len() - 1]);
    assert!(seconds_of(last) > seconds_of(first) + 1800, "the service never saw the hour: {last}");
    service.wait_until_sealed();
    assert_sound(&service, &verifier);
}

/// Seconds since 1970 of a time in UTC as the record writes it (days from the civil calendar: Hinnant, 2013).
fn seconds_of(time: &str) -> u64 {
    let part = |from: usize, to: usize| time[from..to].parse::<u64>().unwrap();
    let (year, month, day) = (part(0, 4), part(5, 7), part(8, 10));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    days * 86_400 + part(11, 13) * 3600 + part(14, 16) * 60 + part(17, 19)
}
