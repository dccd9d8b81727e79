//! A full disk, a folder that cannot be written, a command that the database will not have, and a process that is stopped
//! while it holds the lock: nothing acknowledged is lost, who asks is told, and the service recovers by itself.
//!
//! On SQLite, where all of it happens to one process. Here a limit on the size of files stands for the full disk, and a file
//! in the place of a folder for one that cannot be written; in `disks` there are real ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use trialseal_tests::{Answer, Client, Engine, Role, Service, Trial, Verifier, bodies, whole_record_from};

#[path = "trouble/disks.rs"]
mod disks;

const TRIAL: &str = "TROUBLE-1";

/// How long the service may take to recover.
const WITHIN: Duration = Duration::from_mins(1);

/// Between two looks or tries.
const PAUSE: Duration = Duration::from_millis(20);

/// What the log beside the database may still grow by, bytes: less than a commit or two, so that one is cut off.
const LEFT: u64 = 20_000;

/// Those who submit at once.
const SUBMITTERS: usize = 8;

/// What was acknowledged, over all submitters.
#[derive(Default)]
struct Said(Mutex<Vec<Value>>);

impl Said {
    fn take(&self, answer: &Value) {
        self.0.lock().unwrap().extend(answer["events"].as_array().unwrap().iter().cloned());
    }
}

/// Reports an adverse event: a command that no rule stands against.
fn report(client: &Client, participant: &str, key: &str) -> Answer {
    let path = format!("/v1/trials/{TRIAL}/participants/{participant}/adverse-events");
    client.post(&path, key, &bodies::adverse_event("Headache"))
}

/// Refused for now, with what to do.
fn assert_told(answer: &Answer) {
    let problem = answer.any_problem();
    assert!((500..600).contains(&answer.status), "{problem}");
    let retry = answer.header("retry-after");
    assert!(retry.parse().is_ok_and(|seconds: u32| seconds > 0), "nothing says what to do: {problem}");
}

/// Sends the same request again until it is taken.
fn insist(said: &Said, send: impl Fn() -> Answer) {
    let deadline = Instant::now() + WITHIN;
    loop {
        let answer = send();
        if answer.status == 201 {
            return said.take(&answer.json());
        }
        assert!(Instant::now() < deadline, "not taken any more: {}", answer.text());
        thread::sleep(PAUSE);
    }
}

/// All that was acknowledged is there and as it was said, all that is there is sealed, public and sound.
fn assert_nothing_lost(service: &Service, said: &Said, verifier: &Verifier) {
    service.wait_until_sealed();
    let recorded = whole_record_from(&service.client(Role::Monitor), TRIAL, 0);
    for event in said.0.lock().unwrap().iter() {
        let at = usize::try_from(event["trialseq"].as_u64().unwrap()).unwrap();
        let found = recorded.get(at).unwrap_or_else(|| panic!("lost: {event}"));
        assert_eq!((&found["header"]["id"], &found["eventleaf"]), (&event["id"], &event["eventleaf"]));
    }
    verifier.log(&service.published()).assert_sound();
    let checked = service.command(&["check"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// A service with a trial and people in it.
fn given(service: &Service, people: usize) -> (Said, Verifier, Vec<String>) {
    let trial = Trial::open(service, TRIAL);
    let people = (0..people).map(|number| trial.enrol(&format!("S-{number}"), true)).collect();
    service.wait_until_sealed();
    (Said(Mutex::new(trial.acknowledged())), Verifier::of(service), people)
}

/// No file of the process may grow beyond this any more.
fn limit_files(service: &Service, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let done = Command::new("prlimit").args(["--pid", &service.pid().to_string(), &limit]).status();
    assert!(done.is_ok_and(|status| status.success()), "prlimit, of util-linux, is needed");
}

/// Sends until three in a row are refused; answers their keys.
fn fill(service: &Service, said: &Said, participant: &str, round: &str) -> Vec<String> {
    let client = service.client(Role::Investigator);
    let written = fs::metadata(service.dir().join("trialseal.db-wal")).unwrap().len();
    limit_files(service, &(written + LEFT).to_string());
    let mut refused = Vec::new();
    for number in 0..2_000 {
        let key = format!("{round}-{number}");
        let answer = report(&client, participant, &key);
        if answer.status == 201 {
            said.take(&answer.json());
            refused.clear();
        } else {
            assert_told(&answer);
            refused.push(key);
        }
        if refused.len() == 3 {
            println!("full after {number} more commands");
            return refused;
        }
    }
    panic!("the disk does not become full")
}

#[test]
fn a_full_disk_loses_nothing_and_is_recovered_from() {
    // The limit is announced by a signal, which would end the process; a full disk sends none.
    let mut service = Service::start_under("trap '' XFSZ", Engine::Sqlite, &[]);
    let (said, verifier, people) = given(&service, 1);
    let client = service.client(Role::Investigator);

    let refused = fill(&service, &said, &people[0], "first");
    let page = client.get(&format!("/v1/trials/{TRIAL}/events?limit=1"));
    assert_eq!(page.status, 200, "reading goes on: {}", page.text());
    limit_files(&service, "unlimited");
    for key in &refused {
        insist(&said, || report(&client, &people[0], key));
    }
    assert_nothing_lost(&service, &said, &verifier);

    let refused = fill(&service, &said, &people[0], "second");
    service.kill();
    service.start_again();
    for key in &refused {
        insist(&said, || report(&client, &people[0], key));
    }
    assert_nothing_lost(&service, &said, &verifier);
}

#[test]
fn a_folder_that_cannot_be_written_stops_nothing_but_what_needs_it() {
    let service = Service::start(Engine::Sqlite);
    let (said, verifier, people) = given(&service, 1);
    let client = service.client(Role::Investigator);
    let (published, spool) = (service.published(), service.dir().join("spool"));
    let away = |folder: &std::path::Path| folder.with_extension("away");
    let _ = fs::create_dir(&spool);
    for folder in [&published, &spool] {
        fs::rename(folder, away(folder)).unwrap();
        fs::write(folder, "in the way").unwrap();
    }

    for number in 0..20 {
        let answer = report(&client, &people[0], &format!("meanwhile-{number}")).expect(201);
        said.take(&answer.json());
    }
    let imports = format!("/v1/trials/{TRIAL}/imports");
    let sponsor = service.client(Role::Sponsor);
    let answer = sponsor.try_post_text(&imports, "file", "{}").unwrap();
    let problem = answer.any_problem();
    assert!((500..600).contains(&answer.status), "{problem}");
    service.wait("the log says what is wrong", || service.log().contains("cannot publish").then_some(()));

    for folder in [&published, &spool] {
        fs::remove_file(folder).unwrap();
        fs::rename(away(folder), folder).unwrap();
    }
    assert_nothing_lost(&service, &said, &verifier);
}

#[test]
fn a_database_that_cannot_be_opened_is_named_and_left_alone() {
    let mut service = Service::start(Engine::Sqlite);
    let (said, verifier, _) = given(&service, 1);
    service.stop();
    let (file, away) = (service.dir().join("trialseal.db"), service.dir().join("away"));
    fs::rename(&file, &away).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(!service.try_start_again());
    let log = service.log();
    assert!(log.lines().last().unwrap().contains("unable to open database file"), "{log}");
    fs::remove_dir(&file).unwrap();
    fs::rename(&away, &file).unwrap();
    service.start_again();
    assert_nothing_lost(&service, &said, &verifier);
}

/// A connection of somebody else to the service's database, who does not wait for locks.
struct Other(tokio::runtime::Runtime, SqliteConnection);

impl Other {
    fn of(service: &Service) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let file = service.dir().join("trialseal.db");
        let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::ZERO);
        let connection = runtime.block_on(options.connect()).unwrap();
        Self(runtime, connection)
    }

    fn execute(&mut self, sql: &str) -> bool {
        self.0.block_on(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.1)).is_ok()
    }

    /// Takes the lock that appends and seals take.
    fn lock(&mut self) {
        let deadline = Instant::now() + WITHIN;
        while !self.execute("BEGIN IMMEDIATE") {
            assert!(Instant::now() < deadline, "the lock is never free");
            thread::sleep(PAUSE);
        }
    }
}

#[test]
fn a_command_that_the_database_will_not_have_fails_alone() {
    let service = Service::start(Engine::Sqlite);
    let (said, verifier, people) = given(&service, SUBMITTERS);
    let client = service.client(Role::Investigator);
    let poisoned = &people[SUBMITTERS / 2];
    let mut other = Other::of(&service);
    let poison = format!(
        "CREATE TRIGGER poison BEFORE INSERT ON event WHEN new.stream LIKE '%{poisoned}' \
         BEGIN SELECT RAISE(ABORT, 'poison'); END"
    );
    other.lock();
    assert!(other.execute(&poison) && other.execute("COMMIT"));

    // While somebody else holds the lock, all of them come into one batch, or two.
    other.lock();
    thread::scope(|scope| {
        let sending: Vec<_> = people
            .iter()
            .map(|who| {
                let client = &client;
                (who, scope.spawn(move || report(client, who, &format!("poison-{who}"))))
            })
            .collect();
        thread::sleep(Duration::from_millis(500));
        assert!(other.execute("COMMIT"));
        for (who, answer) in sending {
            let answer = answer.join().unwrap();
            if who == poisoned {
                assert_told(&answer);
            } else {
                said.take(&answer.expect(201).json());
            }
        }
    });
    other.lock();
    assert!(other.execute("DROP TRIGGER poison") && other.execute("COMMIT"));
    insist(&said, || report(&client, poisoned, &format!("poison-{poisoned}")));
    assert_nothing_lost(&service, &said, &verifier);
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("sh").args(["-c", "kill -\"$0\" \"$1\"", name, &pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

#[test]
fn a_process_that_is_stopped_while_it_holds_the_lock_goes_on_where_it_stood() {
    let service = Service::start(Engine::Sqlite);
    let (said, verifier, people) = given(&service, SUBMITTERS);
    let client = service.client(Role::Investigator);
    let mut other = Other::of(&service);
    let done = AtomicBool::new(false);
    let (told, client, done) = (&said, &client, &done);
    thread::scope(|scope| {
        for who in &people {
            scope.spawn(move || {
                for number in 0.. {
                    if done.load(Ordering::Relaxed) {
                        return;
                    }
                    told.take(&report(client, who, &format!("stopped-{who}-{number}")).expect(201).json());
                }
            });
        }
        let stopped = stop_with_the_lock(&service, &mut other);
        if stopped {
            let (before, pid) = (told.0.lock().unwrap().len(), service.pid());
            let going_on = scope.spawn(move || {
                thread::sleep(Duration::from_secs(2));
                let meanwhile = told.0.lock().unwrap().len();
                signal(pid, "CONT");
                meanwhile
            });
            // Another process that wants to write waits for it.
            let create = ["token", "create", "--actor", "late", "--role", "monitor", "--organisation", "o"];
            let output = service.command(&create);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(going_on.join().unwrap(), before, "nobody is answered meanwhile");
            thread::sleep(Duration::from_millis(500));
        }
        done.store(true, Ordering::Relaxed);
        assert!(stopped, "it was never stopped with the lock");
    });
    assert_nothing_lost(&service, &said, &verifier);
}

/// Stops the process again and again, until it holds the lock.
fn stop_with_the_lock(service: &Service, other: &mut Other) -> bool {
    for attempt in 0..2_000 {
        signal(service.pid(), "STOP");
        // The signal takes a moment.
        thread::sleep(PAUSE);
        if !other.execute("BEGIN IMMEDIATE") {
            println!("stopped with the lock at attempt {attempt}");
            return true;
        }
        assert!(other.execute("ROLLBACK"));
        signal(service.pid(), "CONT");
        thread::sleep(Duration::from_millis(attempt % 7));
    }
    false
}
