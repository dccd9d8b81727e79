//! An honest ledger is followed from wherever it was left; silence is heard, and the place is kept.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod ledger;

use std::fs;
use std::path::Path;

use ledger::room::{Room, codes};
use ledger::{Ledger, TRIAL, time};
use trialseal_monitor::{Answer, Folder, Following, StateError};
use trialseal_verify::Verdict;

#[test]
fn an_honest_ledger_is_followed_from_wherever_it_was_left() {
    for (first, steps) in [(1, vec![1, 1, 1]), (3, vec![0, 0, 4, 1]), (255, vec![1, 1, 1]), (257, vec![300])]
    {
        let mut ledger = Ledger::new(first);
        let room = Room::at(&ledger);
        for events in steps {
            let (seals, known) = (ledger.seals.len() as u64, ledger.events.len() as u64);
            ledger.step(events);
            let report = room.next(&ledger);
            assert_eq!(codes(&report), Vec::<&str>::new(), "{:?}", report.findings);
            let log = report.log.unwrap();
            assert_eq!((log.size, log.new_seals), (seals + 1, 1));
            assert_eq!(report.trials[0].events, ledger.events.len() as u64);
            assert_eq!(report.trials[0].new_events, ledger.events.len() as u64 - known);
        }
        assert_eq!(fs::read(room.path("checkpoint")).unwrap(), ledger.files["checkpoint"]);
    }
}

#[test]
fn many_seals_at_once_and_a_trial_that_begins_later_are_followed() {
    let mut ledger = Ledger::default();
    ledger.step(0);
    let room = Room::at(&ledger);
    for events in [0, 2, 0, 0, 5, 1].into_iter().cycle().take(600) {
        ledger.step(events);
    }
    let report = room.next(&ledger);
    assert_eq!(codes(&report), Vec::<&str>::new(), "{:?}", report.findings);
    assert_eq!((report.log.unwrap().new_seals, report.trials[0].events), (600, 800));
}

#[test]
fn sizes_without_a_note_are_no_fault() {
    let mut ledger = Ledger::new(3);
    let room = Room::at(&ledger);
    for _ in 0..3 {
        ledger.step(1);
        ledger.without_newest_note();
    }
    ledger.step(1);
    assert_eq!(ledger.seals[5].prior, ledger.seals[3].prior);
    let report = room.next(&ledger);
    assert_eq!(codes(&report), Vec::<&str>::new(), "{:?}", report.findings);
    assert_eq!((report.log.unwrap().new_seals, report.trials[0].events), (4, 7));
    ledger.step(1);
    assert_eq!(codes(&room.next(&ledger)), Vec::<&str>::new());
}

#[test]
fn a_stalled_ledger_is_found() {
    let ledger = Ledger::new(3);
    let room = Room::at(&ledger);
    let newest = 20;
    room.clock.set(time(newest + 180).micros());
    assert_eq!(room.pass_now(&ledger, false).unwrap().verdict, Verdict::Sound);
    room.clock.set(time(newest + 182).micros());
    let report = room.pass_now(&ledger, false).unwrap();
    assert_eq!((report.verdict, codes(&report)), (Verdict::NotSound, vec!["silent"]));
    room.clock.set(time(newest - 61).micros());
    assert_eq!(codes(&room.pass_now(&ledger, false).unwrap()), ["seal-in-future"]);
}

#[test]
fn a_ledger_that_cannot_be_read_cannot_be_told_and_after_a_while_is_silent() {
    let mut ledger = Ledger::new(3);
    let room = Room::at(&ledger);
    let before = room.place();
    let honest = ledger.clone();
    ledger.answers.insert("log/checkpoint".into(), Answer { status: 0, body: Vec::new() });
    let report = room.next(&ledger);
    assert_eq!((report.verdict, codes(&report)), (Verdict::CannotTell, vec!["unreadable"]));
    assert!(room.place() == before);

    let mut following = Following::open(Folder::take(room.dir.path()).unwrap(), false).unwrap();
    room.clock.set(time(25).micros());
    assert_eq!(room.monitor(&honest).pass(&mut following).unwrap().verdict, Verdict::Sound);
    room.clock.set(time(25 + 180).micros());
    assert_eq!(room.monitor(&ledger).pass(&mut following).unwrap().verdict, Verdict::CannotTell);
    room.clock.set(time(25 + 181).micros());
    assert_eq!(codes(&room.monitor(&ledger).pass(&mut following).unwrap()), ["silent", "unreadable"]);
}

#[test]
fn a_lost_or_damaged_place_is_not_made_up_for() {
    let ledger = Ledger::new(3);
    let room = Room::new();
    assert!(matches!(room.pass(&ledger, false), Err(StateError::Lost(_))));
    room.first(&ledger);
    assert!(matches!(room.pass(&ledger, true), Err(StateError::NotFirst(_))));
    let good = room.place();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(room.path("place"), &bad).unwrap();
        assert!(matches!(room.pass(&ledger, false), Err(StateError::Damaged(_))), "byte {at}");
    }
    fs::write(room.path("place"), &good[..good.len() / 2]).unwrap();
    assert!(matches!(room.pass(&ledger, false), Err(StateError::Damaged(_))));
    fs::remove_file(room.path("place")).unwrap();
    assert!(matches!(room.pass(&ledger, false), Err(StateError::Lost(_))));
}

#[test]
fn a_pass_that_ends_before_its_place_is_saved_is_done_again() {
    let mut ledger = Ledger::new(3);
    let room = Room::at(&ledger);
    let before = room.place();
    ledger.step(2);
    let asked = |ledger: &Ledger| std::mem::take(&mut *ledger.asked.borrow_mut());
    asked(&ledger);
    let report = room.next(&ledger);
    let (first, after) = (asked(&ledger), room.place());
    assert_ne!(before, after);
    // The crash: all was done but the last step.
    fs::write(room.path("place"), &before).unwrap();
    let again = room.next(&ledger);
    assert_eq!(asked(&ledger), first);
    assert!(room.place() == after);
    assert_eq!(again.trials[0].new_events, report.trials[0].new_events);
}

#[test]
fn a_place_that_cannot_be_saved_does_not_move() {
    let mut ledger = Ledger::new(3);
    let room = Room::at(&ledger);
    ledger.step(1);
    let mut following = Following::open(Folder::take(room.dir.path()).unwrap(), false).unwrap();
    room.clock.set(time(33).micros());
    // Where the new place would be written stands a folder.
    fs::create_dir(room.path(".place.new")).unwrap();
    assert!(matches!(room.monitor(&ledger).pass(&mut following), Err(StateError::Io(..))));
    fs::remove_dir(room.path(".place.new")).unwrap();
    let report = room.monitor(&ledger).pass(&mut following).unwrap();
    assert_eq!((report.log.unwrap().new_seals, report.trials[0].new_events), (1, 1));
}

#[test]
fn a_folder_is_used_by_one_at_a_time() {
    let room = Room::at(&Ledger::new(1));
    let _taken = Folder::take(room.dir.path()).unwrap();
    assert!(matches!(Folder::take(room.dir.path()), Err(StateError::Locked(_))));
}

#[test]
fn reports_are_written_for_programs_people_and_collectors() {
    let ledger = Ledger::new(4);
    let room = Room::at(&ledger);
    let text = |name: &str| fs::read_to_string(Path::new(room.dir.path()).join(name)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text("report.json")).unwrap();
    assert_eq!(json["format"], "trialseal/monitor-report/v1");
    assert_eq!((&json["verdict"], &json["log"]["size"]), (&"sound".into(), &4.into()));
    assert_eq!((&json["trials"][0]["trial"], &json["trials"][0]["events"]), (&TRIAL.into(), &4.into()));
    let html = text("report.html");
    assert!(html.contains("All is well") && html.contains(TRIAL) && !html.contains("<script"), "{html}");
    let metrics = text("metrics.prom");
    assert!(metrics.contains("trialseal_monitor_alarms 0\n"), "{metrics}");
    assert!(metrics.contains("trialseal_monitor_trial_events{trial=\"DEMO-1\"} 4\n"), "{metrics}");

    let mut forked = Ledger::new(3);
    forked.step(2);
    room.next(&forked);
    assert!(text("report.html").contains("Alarm") && text("metrics.prom").contains("monitor_alarms 1\n"));
}
