//! `kill -9` in the middle of many requests, and journals that a crash or a disk did something to.

use std::fs;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use trialseal_seal::note::SignedNote;

use crate::log::Log;
use crate::program::{Home, Running, agent, post, read};

const LOGS: usize = 8;
const ROUNDS: u32 = 10;
/// Below what the logs have.
const LARGEST: u64 = 1900;

/// What a log heard of: the largest size, and the newest time of a cosignature.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    size: u64,
    time: u64,
}

/// The time in a cosignature line.
fn time(line: &str) -> u64 {
    let note = SignedNote::parse(&format!("text\n\n{line}")).unwrap();
    u64::from_be_bytes(note.signatures.last().unwrap().signature[..8].try_into().unwrap())
}

/// Has all logs cosigned one step after the other until the witness is gone.
fn load(witness: &Running, logs: &[Log], heard: &[Mutex<Heard>]) {
    std::thread::scope(|scope| {
        for (log, heard) in logs.iter().zip(heard) {
            let address = &witness.address;
            scope.spawn(move || {
                let agent = agent();
                let mut size = heard.lock().unwrap().size;
                while size < LARGEST
                    // An answer that is cut off says nothing.
                    && let Some(answer) = post(&agent, address, log.body(size, size + 1).as_bytes())
                {
                    let mut heard = heard.lock().unwrap();
                    match answer.status {
                        200 => {
                            size += 1;
                            *heard = Heard { size, time: time(&answer.body) };
                        }
                        409 => {
                            size = answer.body.trim_end().parse().unwrap();
                            heard.size = size;
                        }
                        status => panic!("{status}: {}", answer.body),
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_millis(300));
        crate::program::signal(witness.id(), "KILL");
    });
}

#[test]
fn what_was_answered_outlives_kill_9() {
    let logs: Vec<_> = (0..LOGS).map(|n| Log::new(&format!("ledger.example.org/{n}"))).collect();
    let all: Vec<_> = logs.iter().collect();
    let heard: Vec<_> = logs.iter().map(|_| Mutex::<Heard>::default()).collect();
    let home = Home::new();
    for round in 0..ROUNDS {
        let witness = home.start(&all);
        for (log, heard) in logs.iter().zip(&heard) {
            let heard = heard.lock().unwrap();
            let size = witness.size(log);
            assert!(size >= heard.size, "round {round}: {size} after {heard:?}");
            if size > 0 {
                let newest = witness.newest(log).body;
                assert!(newest.starts_with(&log.checkpoint(size).to_string()), "round {round}: {newest}");
                assert!(time(newest.split_once("\n\n").unwrap().1) >= heard.time);
            }
        }
        load(&witness, &logs, &heard);
    }
    let sizes: Vec<_> = heard.iter().map(|heard| heard.lock().unwrap().size).collect();
    assert!(sizes.iter().sum::<u64>() > 200, "there was no load: {sizes:?}");
    println!("{ROUNDS} kills, sizes {sizes:?}");
}

/// Each start writes the journal anew; killed at any moment of that, it leaves the old one or the new one.
#[test]
fn a_start_that_is_killed_loses_nothing() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let witness = home.start(&[&log]);
    assert_eq!(witness.post(log.body(0, 7)).status, 200);
    witness.kill();
    for step in 0..40 {
        let mut command = home.command(&[&log]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(500 * step));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // What a crash in the middle of that leaves beside it.
    fs::write(home.dir().join("journal.new"), "trialseal-witness jour").unwrap();
    let witness = home.start(&[&log]);
    assert_eq!(witness.size(&log), 7);
    assert_eq!(witness.post(log.body(7, 9)).status, 200);
}

/// A witness that cosigned sizes 1 to 5; its journal, and where each of the frames after the start ends.
fn journal(home: &Home, log: &Log) -> (Vec<u8>, Vec<usize>) {
    let witness = home.start(&[log]);
    let length = || read(&home.journal()).len();
    let mut ends = vec![length()];
    for size in 1..=5 {
        assert_eq!(witness.post(log.body(size - 1, size)).status, 200);
        ends.push(length());
    }
    witness.kill();
    (read(&home.journal()), ends)
}

/// All byte offsets are tried where the journal is read; here, that the whole program does with it what it should.
#[test]
fn a_torn_tail_is_cut_and_the_witness_goes_on() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let (whole, ends) = journal(&home, &log);
    let last = ends[4];
    for length in [last, last + 1, last + 50, last + 100, whole.len() - 1, whole.len()] {
        fs::write(home.journal(), &whole[..length]).unwrap();
        let witness = home.start(&[&log]);
        let size = if length == whole.len() { 5 } else { 4 };
        assert_eq!(witness.size(&log), size, "{length}");
        assert_eq!(witness.post(log.body(size, 6)).status, 200);
        witness.kill();
        assert_eq!(home.start(&[&log]).size(&log), 6);
    }
}

#[test]
fn damage_is_refused_and_named() {
    let (home, log) = (Home::new(), Log::new("ledger.example.org/main"));
    let (whole, ends) = journal(&home, &log);
    let places =
        [0, ends[0] - 1, ends[0], ends[0] + 200, ends[3] - 1, ends[4] + 3, ends[4] + 200, whole.len() - 1];
    for place in places {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        fs::write(home.journal(), &damaged).unwrap();
        let said = home.refused(&[&log]);
        let frame = ends.iter().rfind(|end| **end <= place).copied();
        let at = frame.unwrap_or(if place == 0 { 0 } else { FIRST_FRAME });
        assert!(said.contains(&format!("is damaged at byte {at}: ")), "{place}: {said}");
        assert_eq!(read(&home.journal()), damaged, "a start that is refused changes nothing");
    }
    fs::write(home.journal(), &whole).unwrap();
    assert_eq!(home.start(&[&log]).size(&log), 5);
}

/// Where the first frame begins, after the first line.
const FIRST_FRAME: usize = "trialseal-witness journal 1\n".len();
