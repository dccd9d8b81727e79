//! Read models are made anew by `trialseal rebuild` beside those in use, while people read and record. Whatever becomes of
//! it, readers see whole models, and in the end the same ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use trialseal_tests::{
    Client, Engine, Rng, Role, Service, Trial, bodies, laboratory, on_both_engines, read_models, seed,
};

on_both_engines!(a_killed_rebuild_is_not_noticed, a_rebuild_takes_in_what_is_recorded_meanwhile);

const TRIAL: &str = "REBUILD-1";

/// How often a rebuild is killed.
const KILLS: u32 = 6;

/// Participants, and rows of a file for each of them: enough that a rebuild takes several batches.
const PARTICIPANTS: u64 = 8;
const ROWS_EACH: u64 = 1_500;

/// A service with a trial whose models are up to date.
fn given(engine: Engine) -> (Service, Trial) {
    let service = Service::start(engine);
    let trial = Trial::open(&service, TRIAL);
    let numbers: Vec<String> = (0..PARTICIPANTS).map(|number| format!("01-{number:03}")).collect();
    for number in &numbers {
        let participant = trial.enrol(number, true);
        trial.about(&participant, "data", &bodies::data("V1", "120"));
        trial.about(
            &participant,
            "data/corrections",
            &bodies::correction("V1", "120", "130", "typing error"),
        );
    }
    let file = laboratory(&numbers, ROWS_EACH, &mut Rng::new(seed("rebuild")));
    assert_eq!(trial.import(&service, file.as_bytes())["state"], "done");
    service.wait_until_folded(TRIAL);
    (service, trial)
}

/// Every generation of which there is anything in the database, as `model/generation/active`.
fn generations(service: &Service) -> Vec<String> {
    service.database().texts(
        "SELECT model || '/' || generation || '/active' FROM read_model WHERE active
         UNION SELECT model || '/' || generation FROM read_model WHERE NOT active
         UNION SELECT model || '/' || generation || '/documents' FROM read_model_doc ORDER BY 1",
    )
}

/// What there is where every model is there once.
fn each_once(generation: u32) -> Vec<String> {
    let models = ["data", "overview", "participants", "timeline"];
    let rows = |model| ["active", "documents"].map(|what| format!("{model}/{generation}/{what}"));
    models.into_iter().flat_map(rows).collect()
}

/// Reads all models again and again until told to stop; answers how often.
fn keep_reading(client: &Client, before: &Value, stop: &AtomicBool) -> u64 {
    let mut read = 0;
    while !stop.load(Ordering::Relaxed) {
        let found = read_models(client, TRIAL);
        for model in ["overview", "participants", "timelines", "data"] {
            assert!(found[model] == before[model], "{model} is another one while it is rebuilt");
        }
        read += 1;
    }
    read
}

fn a_killed_rebuild_is_not_noticed(engine: Engine) {
    let (service, _trial) = given(engine);
    let monitor = service.client(Role::Monitor);
    let before = read_models(&monitor, TRIAL);
    assert_eq!(before["data"].as_array().unwrap().len() as u64, PARTICIPANTS * (ROWS_EACH + 1));
    assert_eq!(generations(&service), each_once(1));

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let reading: Vec<_> =
            (0..2).map(|_| scope.spawn(|| keep_reading(&monitor, &before, &stop))).collect();
        let began = Instant::now();
        assert!(service.command(&["rebuild"]).status.success());
        let whole = began.elapsed();
        assert_eq!(generations(&service), each_once(2));
        let mut cut_short = 0;
        for kill in 1..=KILLS {
            let mut rebuild = service.begin(&["rebuild"]);
            thread::sleep(whole * kill / (KILLS + 1));
            rebuild.kill().unwrap();
            rebuild.wait().unwrap();
            let unfinished = |row: &String| row.ends_with(|end: char| end.is_ascii_digit());
            cut_short += u32::from(generations(&service).iter().any(unfinished));
        }
        assert!(cut_short > 0, "no rebuild was killed before it had ended");
        let rebuilt = service.command(&["rebuild"]);
        assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
        stop.store(true, Ordering::Relaxed);
        let read: u64 = reading.into_iter().map(|reader| reader.join().unwrap()).sum();
        println!(
            "read {read} times beside rebuilds of {whole:?}, {cut_short} of {KILLS} killed in the middle"
        );
    });
    assert!(read_models(&monitor, TRIAL) == before);
    let left = generations(&service);
    assert_eq!(left.len(), 8, "what was killed is still there: {left:?}");
}

fn a_rebuild_takes_in_what_is_recorded_meanwhile(engine: Engine) {
    let (service, trial) = given(engine);
    let monitor = service.client(Role::Monitor);
    let events = |overview: &Value| overview["counts"]["events"].as_u64().unwrap();
    let overview = || monitor.json(&format!("/v1/trials/{TRIAL}/overview"));
    let (stop, seen) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut recorded = 0;
    thread::scope(|scope| {
        let reading = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let now = events(&overview());
                assert!(now >= seen.swap(now, Ordering::Relaxed), "a reader was taken back");
            }
        });
        let mut rebuild = service.begin(&["rebuild"]);
        while rebuild.try_wait().unwrap().is_none() {
            trial.screen(&format!("02-{recorded:05}"));
            recorded += 1;
        }
        assert!(rebuild.wait().unwrap().success());
        thread::sleep(Duration::from_millis(200));
        stop.store(true, Ordering::Relaxed);
        reading.join().unwrap();
    });
    assert!(recorded > 0);
    service.wait_until_folded(TRIAL);
    let after = read_models(&monitor, TRIAL);
    assert_eq!(after["participants"].as_array().unwrap().len() as u64, PARTICIPANTS + recorded);
    assert!(service.command(&["rebuild"]).status.success());
    service.wait_until_folded(TRIAL);
    assert!(read_models(&monitor, TRIAL) == after, "a model is another one when it is rebuilt");
    println!("{recorded} participants were screened meanwhile");
}
