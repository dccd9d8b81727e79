//! An honest ledger is followed from wherever it was left; silence is heard, the place is kept, and somebody is told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod ledger;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::thread::{self, JoinHandle};

use ledger::room::{Room, codes};
use ledger::{Ledger, TRIAL, forked, time};
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

/// Answers as many posts with these statuses as there are; gives the requests as they came.
fn receive(listener: TcpListener, statuses: Vec<u16>) -> JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let answer = |status: u16| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut request, mut length) = (String::new(), 0);
            while reader.read_line(&mut request).unwrap() > 2 {
                let line = request.lines().last().unwrap().to_lowercase();
                let told = line.strip_prefix("content-length: ").map(|told| told.parse().unwrap());
                length = told.unwrap_or(length);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            request + std::str::from_utf8(&body).unwrap()
        };
        statuses.into_iter().map(answer).collect()
    })
}

#[test]
fn an_alarm_is_posted_until_it_was_taken_and_then_no_more() {
    let (one, other) = forked(3);
    let mut room = Room::at(&one);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    room.webhook = Some(format!("http://{}/alarms", listener.local_addr().unwrap()));
    let received = receive(listener, vec![503, 200]);
    for _ in 0..3 {
        assert_eq!(codes(&room.next(&other)), ["split"]);
    }
    let requests = received.join().unwrap();
    let id =
        |request: &String| request.lines().find(|line| line.starts_with("webhook-id: ")).unwrap().to_owned();
    assert_eq!(id(&requests[0]), id(&requests[1]));
    for request in &requests {
        assert!(
            request.starts_with("POST /alarms ") && request.contains("webhook-signature: v1,"),
            "{request}"
        );
        let body: serde_json::Value = serde_json::from_str(request.lines().last().unwrap()).unwrap();
        assert_eq!(
            (&body["type"], &body["data"]["code"]),
            (&"trialseal.monitor.alarm".into(), &"split".into())
        );
    }
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
