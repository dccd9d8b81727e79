//! `kill -9`, again and again and at no chosen moment, while commands and files come in, are sealed and are folded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trialseal_tests::{
    Answer, Client, Engine, Rng, Role, Service, Trial, Verifier, all_files, bodies, events_from, events_of,
    laboratory, on_both_engines, read_models, seed, wait_for_import,
};

on_both_engines!(nothing_acknowledged_is_lost);

/// How often the service is killed.
const KILLS: u32 = 20;

/// Longest time that it runs before that, in milliseconds.
const LONGEST_RUN_MS: u64 = 700;

/// Those who submit at once.
const SUBMITTERS: u64 = 3;

/// Rows of an imported file: several chunks.
const SUBJECTS_A_FILE: u64 = 12;
const ROWS_EACH: u64 = 100;
const ROWS_A_FILE: u64 = SUBJECTS_A_FILE * ROWS_EACH;

/// How long one request or one file may take, with all the times that the service dies over it.
const WITHIN: Duration = Duration::from_mins(3);

/// Between two looks or tries.
const PAUSE: Duration = Duration::from_millis(10);

/// The trial of this test.
const TRIAL: &str = "CRASH-1";

/// What the service has said, and must not forget.
#[derive(Default)]
struct Said {
    /// Acknowledged events: id to place and leaf.
    events: Mutex<HashMap<String, (u64, String)>>,
    /// Accepted imports, where to ask for them.
    imports: Mutex<Vec<String>>,
    /// Every checkpoint that was seen, by its size.
    checkpoints: Mutex<BTreeMap<u64, String>>,
}

impl Said {
    fn acknowledged(&self, answer: &Value) {
        let mut events = self.events.lock().unwrap();
        for event in answer["events"].as_array().unwrap() {
            let place =
                (event["trialseq"].as_u64().unwrap(), event["eventleaf"].as_str().unwrap().to_owned());
            let known = events.insert(event["id"].as_str().unwrap().to_owned(), place.clone());
            assert!(known.is_none_or(|known| known == place), "one event was acknowledged in two ways");
        }
    }

    /// Takes a checkpoint note that somebody could have seen.
    fn saw(&self, note: String) {
        let size = note.lines().nth(1).unwrap().parse().unwrap();
        let mut checkpoints = self.checkpoints.lock().unwrap();
        if let Some(known) = checkpoints.get(&size) {
            assert_eq!(*known, note, "two checkpoints of size {size}");
        }
        checkpoints.insert(size, note);
    }

    /// Takes every note in the published folder, the newest first.
    fn saw_published(&self, service: &Service) {
        let published = service.published();
        if let Ok(note) = fs::read_to_string(published.join("checkpoint")) {
            self.saw(note);
        }
        for file in all_files(&published.join("notes")) {
            if let Ok(note) = fs::read_to_string(&file) {
                assert!(note.ends_with('\n'), "{} is cut short", file.display());
                self.saw(note);
            }
        }
    }
}

/// The load goes on; nobody begins anything new for a while; all comes to an end in order; or the test has failed and nobody
/// waits for anything.
const GO_ON: u8 = 0;
const HOLD: u8 = 1;
const COME_TO_AN_END: u8 = 2;
const GIVE_UP: u8 = 3;

/// Sends commands and files to a service that dies now and then.
struct Load<'a> {
    said: &'a Said,
    client: Client,
    site: &'a str,
    order: &'a AtomicU8,
}

impl Load<'_> {
    fn goes_on(&self) -> bool {
        while self.order.load(Ordering::Relaxed) == HOLD {
            thread::sleep(PAUSE);
        }
        self.order.load(Ordering::Relaxed) == GO_ON
    }

    /// Sends one request until it is answered; the key makes that safe.
    fn insist(&self, send: impl Fn() -> Result<Answer, ureq::Error>) -> Answer {
        let deadline = Instant::now() + WITHIN;
        loop {
            let said = match send() {
                Ok(answer) if answer.status < 300 => return answer,
                // Too much to do, or others were faster.
                Ok(answer) if matches!(answer.status, 429 | 503) => answer.text(),
                Ok(answer) if answer.text().contains("urn:trialseal:problem:version-conflict") => {
                    answer.text()
                }
                Ok(answer) => panic!("{}: {}", answer.status, answer.text()),
                Err(error) => error.to_string(),
            };
            self.pause_until(deadline, &said);
        }
    }

    /// Waits a moment, unless there is nothing to wait for any more.
    fn pause_until(&self, deadline: Instant, said: &str) {
        assert_ne!(self.order.load(Ordering::Relaxed), GIVE_UP, "the test has failed elsewhere");
        assert!(Instant::now() < deadline, "waited in vain: {said}");
        thread::sleep(PAUSE);
    }

    fn submit(&self, route: &str, key: &str, body: &Value) -> Value {
        let path = format!("/v1/trials/{TRIAL}/{route}");
        let answer = self.insist(|| self.client.try_post(&path, key, body)).json();
        self.said.acknowledged(&answer);
        answer
    }

    /// One participant after the other.
    fn participants(&self, submitter: u64) {
        let mut numbers = 0..;
        while self.goes_on() {
            let name = format!("S{submitter}-{:04}", numbers.next().unwrap());
            let screened = self.submit("participants", &name, &bodies::screening(self.site, &name));
            let id = screened["participant"].as_str().unwrap();
            let about = |route: &str, body: &Value| {
                self.submit(&format!("participants/{id}/{route}"), &format!("{name}.{route}"), body)
            };
            about("consents", &bodies::consent(true));
            about("enrolment", &json!({"enrolledOn": "2025-02-03"}));
            about("visits", &bodies::visit("Baseline"));
            about("data", &bodies::data("Baseline", "81.40"));
            about("data/corrections", &bodies::correction("Baseline", "81.40", "84.10", "Transposed"));
        }
    }

    /// One file after the other.
    fn files(&self, rng: &mut Rng) {
        let mut numbers = 0..;
        while self.goes_on() {
            let number = numbers.next().unwrap();
            let subjects: Vec<String> = (0..SUBJECTS_A_FILE).map(|n| format!("F{number}-{n:02}")).collect();
            let file = laboratory(&subjects, ROWS_EACH, rng);
            let path = format!("/v1/trials/{TRIAL}/imports");
            let key = format!("file-{number}");
            let accepted = self.insist(|| self.client.try_post_text(&path, &key, &file));
            assert_eq!(accepted.status, 202);
            let at = accepted.header("location").to_owned();
            self.said.imports.lock().unwrap().push(at.clone());
            // The next one when this one is over, so that every run of the service has something to record.
            self.wait_for_import(&at);
        }
    }

    fn wait_for_import(&self, at: &str) {
        let deadline = Instant::now() + WITHIN;
        loop {
            let now = self.insist(|| self.client.send("GET", at, &[], ureq::SendBody::none())).json();
            match now["state"].as_str() {
                Some("done") => return,
                Some("failed" | "refused") | None => panic!("an import was not taken: {now}"),
                Some(_) => self.pause_until(deadline, &now.to_string()),
            }
        }
    }

    /// Reads what everybody can read.
    fn watch(&self) {
        while self.goes_on() {
            let checkpoint = self.client.send("GET", "/log/checkpoint", &[], ureq::SendBody::none());
            if let Some(answer) = checkpoint.ok().filter(|answer| answer.status == 200) {
                self.said.saw(answer.text());
            }
            thread::sleep(PAUSE);
        }
    }
}

fn nothing_acknowledged_is_lost(engine: Engine) {
    let mut rng = Rng::new(seed("crash"));
    let mut service = Service::start_with(engine, &[("TRIALSEAL_SEAL_INTERVAL_MS", "50")]);
    let trial = Trial::open(&service, TRIAL);
    service.wait_until_sealed();
    let said = Said::default();
    said.acknowledged(&json!({"events": trial.acknowledged()}));
    let verifier = Verifier::of(&service);
    let order = AtomicU8::new(GO_ON);
    let load =
        || Load { said: &said, client: service.client(Role::Investigator), site: &trial.site, order: &order };
    let (watching, filing) = (load(), load());
    let submitting: Vec<Load<'_>> = (0..SUBMITTERS).map(|_| load()).collect();
    let mut for_files = Rng::new(rng.next_number());
    thread::scope(|scope| {
        scope.spawn(move || watching.watch());
        scope.spawn(move || filing.files(&mut for_files));
        for (submitter, load) in (0..).zip(submitting) {
            scope.spawn(move || load.participants(submitter));
        }
        let killing =
            AssertUnwindSafe(|| kill_again_and_again(&mut service, &said, &verifier, &order, &mut rng));
        let killed = catch_unwind(killing);
        order.store(if killed.is_ok() { COME_TO_AN_END } else { GIVE_UP }, Ordering::Relaxed);
        if let Err(panic) = killed {
            resume_unwind(panic);
        }
    });
    assert_complete(&service, &said, &verifier);
}

fn kill_again_and_again(
    service: &mut Service,
    said: &Said,
    verifier: &Verifier,
    order: &AtomicU8,
    rng: &mut Rng,
) {
    let reader = service.client(Role::Researcher);
    let mut verified = 0;
    for kill in 0..KILLS {
        thread::sleep(Duration::from_millis(rng.between(0, LONGEST_RUN_MS)));
        service.kill();
        said.saw_published(service);
        verifier.log(&service.published()).assert_sound();
        assert_checked(service);
        let acknowledged = said.events.lock().unwrap().clone();
        order.store(HOLD, Ordering::Relaxed);
        service.start_again();
        // What was there at an earlier restart is read again at the end.
        let events = events_from(&reader, TRIAL, verified);
        assert_recorded(&events, acknowledged.iter().filter(|(_, (place, _))| *place >= verified));
        println!(
            "kill {kill}: {} events acknowledged, {} new ones recorded",
            acknowledged.len(),
            events.len()
        );
        verified += events.len() as u64;
        order.store(GO_ON, Ordering::Relaxed);
    }
}

fn assert_checked(service: &Service) {
    let checked = service.command(&["check"]);
    let words = [checked.stdout, checked.stderr].map(|words| String::from_utf8_lossy(&words).into_owned());
    assert!(checked.status.success(), "{words:?}");
}

/// Every acknowledged event is in the record, at its place and with its hash; no id is there twice.
fn assert_recorded<'a>(
    events: &[Value],
    acknowledged: impl IntoIterator<Item = (&'a String, &'a (u64, String))>,
) {
    let mut recorded = HashMap::new();
    for event in events {
        let place = (event["header"]["trialseq"].as_u64().unwrap(), event["eventleaf"].as_str().unwrap());
        let id = event["header"]["id"].as_str().unwrap();
        assert!(recorded.insert(id, place).is_none(), "event {id} is recorded twice");
    }
    for (id, (trialseq, leaf)) in acknowledged {
        let found = recorded.get(id.as_str());
        assert_eq!(found, Some(&(*trialseq, leaf.as_str())), "event {id} was acknowledged");
    }
}

/// After the last restart, when all that was begun has come to its end.
fn assert_complete(service: &Service, said: &Said, verifier: &Verifier) {
    let monitor = service.client(Role::Monitor);
    let mut by_imports = 0;
    let imports = said.imports.lock().unwrap().clone();
    for at in &imports {
        let done = wait_for_import(service, &monitor, at);
        assert_eq!(done["state"], "done", "{done}");
        assert_eq!((&done["rows"], &done["rowsRecorded"]), (&json!(ROWS_A_FILE), &json!(ROWS_A_FILE)));
        by_imports += done["events"].as_u64().unwrap();
    }
    service.wait_until_sealed();
    service.wait_until_folded(TRIAL);
    let events = events_of(&monitor, TRIAL);
    let acknowledged = said.events.lock().unwrap().clone();
    assert_recorded(&events, &acknowledged);
    // Each command was sent until it was acknowledged, so what is more than that was carried out twice.
    let recorded = events.len() as u64;
    assert_eq!(recorded, acknowledged.len() as u64 + by_imports);
    assert_rows_once(&events, &imports);
    let people: Vec<&Value> =
        events.iter().filter(|it| it["header"]["type"] == "participant.screened").collect();
    let numbers: HashSet<&str> =
        people.iter().map(|it| it["data"]["subjectNumber"].as_str().unwrap()).collect();
    assert_eq!(numbers.len(), people.len(), "somebody was screened twice");

    said.saw_published(service);
    let (first, last) = (1, *said.checkpoints.lock().unwrap().last_key_value().unwrap().0);
    println!("{recorded} events, {} imports, checkpoints {first} to {last}", imports.len());
    verifier.log(&service.published()).assert_sound();
    assert_checked(service);
    let growth = monitor.json(&format!("/v1/trials/{TRIAL}/growth?from={}&to={}", last / 2, last - 1));
    verifier.document("growth", &growth).assert_sound();

    let before = read_models(&monitor, TRIAL);
    assert_eq!(before["participants"].as_array().unwrap().len(), people.len());
    assert_eq!(before["overview"]["counts"]["events"], recorded);
    let rebuilt = service.command(&["rebuild"]);
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    service.wait_until_folded(TRIAL);
    let after = read_models(&monitor, TRIAL);
    for model in ["overview", "participants", "timelines", "data"] {
        assert!(before[model] == after[model], "{model} is another one when it is rebuilt");
    }
}

/// Of each import, each row exactly once.
fn assert_rows_once(events: &[Value], imports: &[String]) {
    let mut rows: HashMap<&str, HashSet<u64>> = HashMap::new();
    for event in events.iter().filter(|event| event["header"]["type"] == "data.imported") {
        let (import, row) =
            (event["data"]["import"].as_str().unwrap(), event["data"]["row"].as_u64().unwrap());
        assert!(
            rows.entry(import).or_default().insert(row),
            "row {row} of import {import} is recorded twice"
        );
    }
    assert_eq!(rows.len(), imports.len());
    for at in imports {
        let rows = &rows[at.rsplit('/').next().unwrap()];
        assert!((0..ROWS_A_FILE).all(|row| rows.contains(&row)), "{at} lacks rows");
        assert_eq!(rows.len() as u64, ROWS_A_FILE);
    }
}
