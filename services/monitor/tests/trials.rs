//! Each way in which the record of a trial can be other than what was sealed is found.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod ledger;

use ledger::room::{Room, codes};
use ledger::{Ledger, TRIAL, forked, time};
use trialseal_monitor::Answer;
use trialseal_seal::hash::Hash;

#[test]
fn a_changed_dropped_moved_or_inserted_event_is_found() {
    let mut ledger = Ledger::new(3);
    let room = Room::at(&ledger);
    ledger.step(4);
    let record = format!("trial {TRIAL}");
    let sealed = ledger.events.clone();

    let mut changed = ledger.clone();
    let mut events = sealed.clone();
    events[4].actor = "user:2".into();
    changed.shown = Some(events);
    room.assert_finds(&changed, "record-root", &record);

    let mut dropped = ledger.clone();
    dropped.shown = Some(sealed[..6].to_vec());
    room.assert_finds(&dropped, "event-missing", &format!("event 6 of trial {TRIAL}"));
    let mut events = sealed.clone();
    events.remove(4);
    dropped.shown = Some(events);
    let report = room.assert_finds(&dropped, "record-place", &format!("event 4 of trial {TRIAL}"));
    assert!(codes(&report).contains(&"event-missing") || codes(&report).contains(&"stream-order"));

    let mut moved = ledger.clone();
    let mut events = sealed.clone();
    events.swap(4, 5);
    moved.shown = Some(events);
    room.assert_finds(&moved, "record-root", &record);

    // None of these moved the trial's place.
    let report = room.next(&ledger);
    assert_eq!((codes(&report), report.trials[0].new_events), (vec![], 4));
}

#[test]
fn an_event_that_is_changed_after_it_was_checked_is_found_when_all_is_read_again() {
    let mut ledger = Ledger::new(5);
    let mut room = Room::at(&ledger);
    ledger.step(0);
    let mut events = ledger.events.clone();
    events[1].actor = "user:2".into();
    ledger.shown = Some(events);
    assert_eq!(codes(&room.next(&ledger)), Vec::<&str>::new());
    room.reread = true;
    room.assert_finds(&ledger, "record-root", &format!("trial {TRIAL}"));
}

#[test]
fn an_event_that_is_slipped_in_with_an_older_date_is_found() {
    // Sealed with the ledger's own key, so that every hash is right.
    let ledger = Ledger::new(6);
    let record = format!("event 6 of trial {TRIAL}");

    let mut backdated = ledger.clone();
    let mut event = ledger.event();
    event.time = ledger.events[2].time;
    backdated.events.push(event);
    backdated.seal(|_| ());
    let report = Room::at(&ledger).assert_finds(&backdated, "record-time", &record);
    assert!(codes(&report).contains(&"event-before-seal"));

    let mut held_back = ledger.clone();
    let event = ledger.event();
    held_back.step(0);
    held_back.step(0);
    held_back.events.push(event);
    held_back.seal(|_| ());
    Room::at(&ledger).assert_finds(&held_back, "outside-bracket", &record);

    let mut after = ledger.clone();
    let mut event = ledger.event();
    event.afterseal.as_mut().unwrap().leaf = Hash::ZERO;
    after.events.push(event);
    after.seal(|_| ());
    Room::at(&ledger).assert_finds(&after, "after-seal-differs", &record);

    let mut dated_late = ledger.clone();
    let mut event = ledger.event();
    event.time = time(65);
    dated_late.events.push(event);
    dated_late.seal(|_| ());
    dated_late.step(0);
    Room::at(&ledger).assert_finds(&dated_late, "event-after-seal", &record);
}

#[test]
fn a_record_that_was_written_anew_under_the_same_log_is_found() {
    let mut ledger = Ledger::new(4);
    let room = Room::at(&ledger);
    ledger.events[2].actor = "user:2".into();
    ledger.step(1);
    room.assert_finds(&ledger, "map-root-differs", &format!("trial {TRIAL}"));
}

#[test]
fn two_heads_and_another_seal_are_found() {
    let ledger = Ledger::new(4);
    let room = Room::at(&ledger);
    let (mut one, mut other) = forked(4);
    let room_of_one = Room::at(&one);
    one.step(1);
    other.step(1);
    // The log of one, the heads of the other.
    let growth = other.growth(4, 5).unwrap().to_value().to_string().into_bytes();
    one.answers.insert(format!("v1/trials/{TRIAL}/growth"), Answer { status: 200, body: growth });
    room_of_one.assert_finds(&one, "two-seals", &format!("trial {TRIAL}"));

    let mut swapped = ledger.clone();
    swapped.step(1);
    let growth = swapped.growth(2, 4).unwrap().to_value().to_string().into_bytes();
    swapped.answers.insert(format!("v1/trials/{TRIAL}/growth"), Answer { status: 200, body: growth });
    room.assert_finds(&swapped, "another-proof", &format!("trial {TRIAL}"));
}

#[test]
fn what_the_ledger_calls_damaged_is_an_alarm() {
    let mut ledger = Ledger::new(3);
    let room = Room::at(&ledger);
    ledger.step(1);
    let body = br#"{"type":"urn:trialseal:problem:damaged","status":500}"#.to_vec();
    ledger.answers.insert(format!("v1/trials/{TRIAL}/events"), Answer { status: 500, body });
    room.assert_finds(&ledger, "damaged", &format!("trial {TRIAL}"));
}
