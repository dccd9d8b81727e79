//! Several processes on one PostgreSQL database: one is elected, and when it dies, stands still or ends, another takes over.
//! On the embedded database there is nothing to stand by for (`folders.rs`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use trialseal_tests::{Client, Engine, Rng, Role, Service, Trial, Verifier, bodies, events_of, seed};

/// How often the elected process is killed.
const KILLS: usize = 5;

/// Longest time that it runs before that, in milliseconds.
const LONGEST_RUN_MS: u64 = 700;

/// Those who submit at once.
const SUBMITTERS: u64 = 3;

/// How long one request may take, with all the times that a process dies over it.
const WITHIN: Duration = Duration::from_mins(3);

/// Less than a term lasts: who takes over in this time was not waiting for the term to run out.
const AT_ONCE: Duration = Duration::from_secs(4);

/// Between two looks or tries.
const PAUSE: Duration = Duration::from_millis(10);

/// The trial of these tests.
const TRIAL: &str = "STANDBY-1";

/// Waits until one of the processes is ready, and answers which.
fn elected(processes: &[Service]) -> usize {
    processes[0].wait("one is elected", || processes.iter().position(Service::is_ready))
}

/// One command, sent to one process after the other until one acknowledges it.
fn insist(clients: &[Client], path: &str, key: &str, body: &Value, failed: &AtomicBool) -> Value {
    let deadline = Instant::now() + WITHIN;
    for client in clients.iter().cycle() {
        let said = match client.try_post(path, key, body) {
            Ok(answer) if answer.status < 300 => return answer.json(),
            Ok(answer) if answer.status == 503 => {
                assert_eq!(answer.header("retry-after"), "1", "{}", answer.text());
                answer.any_problem().to_string()
            }
            Ok(answer) if answer.text().contains("urn:trialseal:problem:version-conflict") => answer.text(),
            Ok(answer) => panic!("{}: {}", answer.status, answer.text()),
            Err(error) => error.to_string(),
        };
        assert!(!failed.load(Ordering::Relaxed), "the test has failed elsewhere");
        assert!(Instant::now() < deadline, "waited in vain: {said}");
        thread::sleep(PAUSE);
    }
    unreachable!("the clients go round")
}

/// Every acknowledged event is recorded, once and as it was acknowledged, and nothing else is.
fn assert_recorded(service: &Service, acknowledged: &HashMap<String, (u64, String)>) {
    let mut recorded = HashMap::new();
    for event in events_of(&service.client(Role::Monitor), TRIAL) {
        let place =
            (event["header"]["trialseq"].as_u64().unwrap(), event["eventleaf"].as_str().unwrap().to_owned());
        let before = recorded.insert(event["header"]["id"].as_str().unwrap().to_owned(), place);
        assert!(before.is_none(), "an event is recorded twice");
    }
    assert_eq!(recorded.len(), acknowledged.len(), "each command was sent until it was acknowledged");
    assert!(recorded == *acknowledged, "what is recorded is not what was acknowledged");
}

fn note(acknowledged: &mut HashMap<String, (u64, String)>, events: &Value) {
    for event in events.as_array().unwrap() {
        let place = (event["trialseq"].as_u64().unwrap(), event["eventleaf"].as_str().unwrap().to_owned());
        let known = acknowledged.insert(event["id"].as_str().unwrap().to_owned(), place.clone());
        assert!(known.is_none_or(|known| known == place), "one event was acknowledged in two ways");
    }
}

/// The record and the published log hold together.
fn assert_sound(service: &Service, verifier: &Verifier) {
    service.wait_until_sealed();
    verifier.log(&service.published()).assert_sound();
    let checked = service.command(&["check"]);
    let words = [checked.stdout, checked.stderr].map(|words| String::from_utf8_lossy(&words).into_owned());
    assert!(checked.status.success(), "{words:?}");
}

#[test]
fn the_others_take_over_when_the_elected_is_killed() {
    let mut rng = Rng::new(seed("standby"));
    let first = Service::start_with(Engine::Postgres, &[("TRIALSEAL_SEAL_INTERVAL_MS", "50")]);
    let trial = Trial::open(&first, TRIAL);
    let verifier = Verifier::of(&first);
    let (second, third) = (first.with_its_keys(), first.with_its_keys());
    let token = first.client(Role::Investigator).token().to_owned();
    let mut processes = [first, second, third];
    for standby in &processes[1..] {
        let answer = standby.anonymous().get("/readyz");
        assert_eq!(answer.header("retry-after"), "1");
        answer.problem(503, "unavailable");
        standby.client_with(&token).get("/v1/trials").problem(503, "unavailable");
    }

    let clients: Vec<Client> = processes.iter().map(|process| process.client_with(&token)).collect();
    let acknowledged = Mutex::new(HashMap::new());
    note(&mut acknowledged.lock().unwrap(), &Value::from(trial.acknowledged()));
    let (over, failed) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        for submitter in 0..SUBMITTERS {
            let (clients, acknowledged, site) = (&clients, &acknowledged, &trial.site);
            let (over, failed) = (&over, &failed);
            scope.spawn(move || {
                let mut numbers = 0..;
                while !over.load(Ordering::Relaxed) {
                    let name = format!("S{submitter}-{:04}", numbers.next().unwrap());
                    let send = |route: &str, body: &Value| {
                        let (path, key) = (format!("/v1/trials/{TRIAL}/{route}"), format!("{name}.{route}"));
                        let answer = insist(clients, &path, &key, body, failed);
                        note(&mut acknowledged.lock().unwrap(), &answer["events"]);
                        answer
                    };
                    let screened = send("participants", &bodies::screening(site, &name));
                    let id = screened["participant"].as_str().unwrap();
                    send(&format!("participants/{id}/consents"), &bodies::consent(true));
                }
            });
        }
        let killing = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for kill in 0..KILLS {
                thread::sleep(Duration::from_millis(rng.between(0, LONGEST_RUN_MS)));
                let killed = elected(&processes);
                let before = acknowledged.lock().unwrap().len();
                processes[killed].kill();
                let begun = Instant::now();
                let next = elected(&processes);
                println!("kill {kill}: {killed}, then {next} after {:?}; {before} events", begun.elapsed());
                processes[killed].start_standby();
            }
        }));
        failed.store(killing.is_err(), Ordering::Relaxed);
        over.store(true, Ordering::Relaxed);
        if let Err(panic) = killing {
            std::panic::resume_unwind(panic);
        }
    });
    let now = &processes[elected(&processes)];
    assert_recorded(now, &acknowledged.lock().unwrap());
    assert_sound(now, &verifier);
}

#[test]
fn a_process_that_stood_still_writes_nothing_and_ends() {
    let mut first = Service::start(Engine::Postgres);
    let trial = Trial::open(&first, TRIAL);
    let verifier = Verifier::of(&first);
    let second = first.with_its_keys();
    let mut acknowledged = HashMap::new();
    note(&mut acknowledged, &Value::from(trial.acknowledged()));
    let clients =
        [&first, &second].map(|process| process.client_with(first.client(Role::Investigator).token()));
    let path = format!("/v1/trials/{TRIAL}/participants");
    first.wait_until_sealed();

    first.signal("STOP");
    second.wait("the other one takes over", || second.is_ready().then_some(()));
    let (in_time, late) = thread::scope(|scope| {
        // Waits in the port of the process that stands still.
        let late =
            scope.spawn(|| clients[0].try_post(&path, "late", &bodies::screening(&trial.site, "S-LATE")));
        let answer = clients[1].try_post(&path, "in-time", &bodies::screening(&trial.site, "S-TIME"));
        first.signal("CONT");
        (answer, late.join().unwrap())
    });
    note(&mut acknowledged, &in_time.unwrap().expect(201).json()["events"]);
    let status = first.wait_for_end();
    assert_eq!(status.code(), Some(1), "{}", first.log());
    let last = first.log().lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("trialseal: another process was elected"), "{last}");
    if let Ok(answer) = late {
        assert_eq!(answer.status, 503, "{}", answer.text());
        answer.any_problem();
    }
    let answer = clients[1].post(&path, "late", &bodies::screening(&trial.site, "S-LATE")).expect(201);
    assert_eq!(answer.header("idempotent-replayed"), "", "the deposed process has recorded it");
    note(&mut acknowledged, &answer.json()["events"]);
    assert_recorded(&second, &acknowledged);
    assert_sound(&second, &verifier);

    // Started again, it stands by.
    first.start_standby();
    assert!(!first.is_ready() && second.is_ready());
}

#[test]
fn a_process_that_ends_in_order_hands_over_at_once() {
    let mut first = Service::start(Engine::Postgres);
    Trial::open(&first, TRIAL);
    let verifier = Verifier::of(&first);
    let second = first.with_its_keys();
    first.stop();
    let ended = Instant::now();
    second.wait("the other one takes over", || second.is_ready().then_some(()));
    assert!(ended.elapsed() < AT_ONCE, "{:?}", ended.elapsed());
    // Its folder held nothing of the log: all of it is published there anew.
    assert_sound(&second, &verifier);
}

#[test]
fn who_shares_the_folder_takes_over_from_the_dead_at_once() {
    // So they share the file of keys as well.
    let mut first = Service::start_with(Engine::Postgres, &[("TRIALSEAL_KEY_DATABASE_URL", "file")]);
    let trial = Trial::open(&first, TRIAL);
    let verifier = Verifier::of(&first);
    first.wait_until_sealed();
    let second = first.sharing_its_folder();
    let token = first.client(Role::Investigator).token().to_owned();
    first.kill();
    let killed = Instant::now();
    second.wait("the other one takes over", || second.is_ready().then_some(()));
    assert!(killed.elapsed() < AT_ONCE, "{:?}", killed.elapsed());
    let path = format!("/v1/trials/{TRIAL}/participants");
    second.client_with(&token).post(&path, "s", &bodies::screening(&trial.site, "S-1")).expect(201);
    assert_sound(&second, &verifier);
    // So does a process that is started where one was killed.
    first.start_standby();
    drop(second);
    let killed = Instant::now();
    first.wait("the first one takes over again", || first.is_ready().then_some(()));
    assert!(killed.elapsed() < AT_ONCE, "{:?}", killed.elapsed());
}
