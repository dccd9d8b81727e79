//! Clients that go on sending whatever breaks, and keep what they were told.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::history::{Acknowledgement, Command, Event, History, Recorded, enrolment_mark};
use crate::{Answer, Client, Engine, Rng, Role, Service, Trial, Verifier, bodies, whole_record_from};

/// Those who send at once.
const SENDERS: u64 = 8;

/// Commands with data that a sender sends of one participant.
const COMMANDS_EACH: u64 = 25;

/// Most events of one command with data.
const MOST_EVENTS: u64 = 3;

/// One command in so many is followed by an old one, sent again.
const ONE_OLD_IN: u64 = 5;

/// How long one command may take until it is acknowledged, with all that goes wrong over it.
const WITHIN: Duration = Duration::from_mins(2);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// The load goes on; it comes to its end; or the test has failed and nobody waits for anything.
const GO_ON: u8 = 0;
const END: u8 = 1;
const GIVE_UP: u8 = 2;

/// What the senders share.
#[derive(Debug, Default)]
pub struct Load {
    order: AtomicU8,
    acknowledged: AtomicU64,
    longest_ms: AtomicU64,
}

/// Sends commands to a trial from many sides while `body` does its worst, until that ends. Nothing that was begun is given
/// up: each command is sent until it is acknowledged.
///
/// `clients` reach the same ledger at several addresses, or at one. Between two commands a sender waits for `pause`.
pub fn under_load<T>(
    clients: &[Client],
    trial: &Trial,
    pause: Duration,
    body: impl FnOnce(&Load) -> T,
) -> (History, T) {
    let (load, commands) = (Load::default(), Mutex::new(Vec::new()));
    let (site, id) = (trial.site.as_str(), trial.id.as_str());
    let done = thread::scope(|scope| {
        for number in 0..SENDERS {
            let (load, commands) = (&load, &commands);
            scope.spawn(move || {
                let rng = Rng::new(number);
                let mut sender = Sender { load, clients, id, number, rng, at: 0, sent: Vec::new() };
                let sending = catch_unwind(AssertUnwindSafe(|| sender.send_all(site, pause)));
                if let Err(panic) = sending {
                    load.order.store(GIVE_UP, Ordering::Relaxed);
                    resume_unwind(panic);
                }
                commands.lock().unwrap().append(&mut sender.sent);
            });
        }
        let done = catch_unwind(AssertUnwindSafe(|| body(&load)));
        load.order.fetch_max(if done.is_ok() { END } else { GIVE_UP }, Ordering::Relaxed);
        done
    });
    let done = done.unwrap_or_else(|panic| resume_unwind(panic));
    let before = Event::all_of(&json!({"events": trial.acknowledged()}));
    println!("longest time until a command was acknowledged: {} ms", load.longest_ms.into_inner());
    (History { before, commands: commands.into_inner().unwrap() }, done)
}

impl Load {
    /// How many commands were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many more are: whatever broke is mended.
    pub fn wait_for(&self, more: u64) {
        let (enough, deadline) = (self.acknowledged() + more, Instant::now() + WITHIN);
        while self.acknowledged() < enough {
            assert!(!self.has_failed(), "a sender has failed");
            assert!(Instant::now() < deadline, "nothing is acknowledged any more");
            thread::sleep(PAUSE);
        }
    }

    fn has_failed(&self) -> bool {
        self.order.load(Ordering::Relaxed) == GIVE_UP
    }
}

/// One of those who send.
struct Sender<'a> {
    load: &'a Load,
    clients: &'a [Client],
    id: &'a str,
    number: u64,
    rng: Rng,
    /// Which of the clients is used.
    at: usize,
    sent: Vec<Command>,
}

impl Sender<'_> {
    fn send_all(&mut self, site: &str, pause: Duration) {
        for person in 0.. {
            let name = format!("S{}-{person:04}", self.number);
            let participant = self.enrol(site, &name);
            for command in 0..COMMANDS_EACH {
                if self.load.order.load(Ordering::Relaxed) != GO_ON {
                    return;
                }
                self.record(&participant, &format!("{name}.{command}"), command);
                if self.rng.between(1, ONE_OLD_IN) == 1 {
                    let old = self.rng.between(0, self.sent.len() as u64 - 1);
                    self.send(usize::try_from(old).unwrap());
                }
                thread::sleep(pause);
            }
        }
    }

    fn enrol(&mut self, site: &str, name: &str) -> String {
        let screened =
            self.command("participants".into(), name, bodies::screening(site, name), vec![name.into()]);
        let participant = screened["participant"].as_str().unwrap().to_owned();
        let about = |route: &str| format!("participants/{participant}/{route}");
        let (discussion, mut consent) = (format!("{name}.consent"), bodies::consent(true));
        consent["discussedBy"] = json!(discussion);
        self.command(about("consents"), &discussion, consent, vec![discussion.clone()]);
        let mark = enrolment_mark(&participant);
        let enrolment = json!({"enrolledOn": "2025-02-03"});
        self.command(about("enrolment"), &format!("{name}.enrolment"), enrolment, vec![mark]);
        participant
    }

    fn record(&mut self, participant: &str, key: &str, command: u64) {
        let events = 0..self.rng.between(1, MOST_EVENTS);
        let marks: Vec<String> = events.map(|event| format!("{key}.{event}")).collect();
        let records = (0..).zip(&marks).map(|(event, mark)| {
            json!({
                "visit": "Baseline", "form": "VS", "itemGroup": "IG.VS", "collectedOn": "2025-03-01",
                "repeat": command * MOST_EVENTS + event + 1,
                "items": [{"itemOid": "IT.VS.MARK", "value": mark}],
            })
        });
        let body = json!({"records": records.collect::<Vec<_>>()});
        self.command(format!("participants/{participant}/data"), key, body, marks);
    }

    /// Sends a command for the first time.
    fn command(&mut self, route: String, key: &str, body: Value, marks: Vec<String>) -> Value {
        self.sent.push(Command { key: key.to_owned(), route, body, marks, acknowledged: Vec::new() });
        self.send(self.sent.len() - 1)
    }

    /// Sends a command until it is acknowledged.
    fn send(&mut self, place: usize) -> Value {
        let begun = Instant::now();
        loop {
            let Command { route, key, body, .. } = &self.sent[place];
            let client = &self.clients[self.at % self.clients.len()];
            let why = match client.try_post(&format!("/v1/trials/{}/{route}", self.id), key, body) {
                Ok(answer) if answer.status == 201 => {
                    let waited = u64::try_from(begun.elapsed().as_millis()).unwrap();
                    self.load.longest_ms.fetch_max(waited, Ordering::Relaxed);
                    self.load.acknowledged.fetch_add(1, Ordering::Relaxed);
                    self.sent[place].acknowledged.push(acknowledgement(&answer));
                    return answer.json();
                }
                Ok(answer) if may_be_sent_again(&answer) => answer.text(),
                Ok(answer) => panic!("{key}: {}: {}", answer.status, answer.text()),
                Err(error) => error.to_string(),
            };
            // Where the process is not there, or cannot serve, another one may.
            self.at += 1;
            assert!(!self.load.has_failed(), "the test has failed elsewhere");
            assert!(begun.elapsed() < WITHIN, "{key} is not acknowledged: {why}");
            thread::sleep(PAUSE);
        }
    }
}

fn acknowledgement(answer: &Answer) -> Acknowledgement {
    let replayed = answer.header("idempotent-replayed") == "true";
    Acknowledgement { events: Event::all_of(&answer.json()), replayed }
}

/// Too much to do, the database away, or others faster; or the process stood still, and takes the request for one that did not
/// arrive in time (408).
fn may_be_sent_again(answer: &Answer) -> bool {
    matches!(answer.status, 408 | 429 | 503)
        || answer.text().contains("urn:trialseal:problem:version-conflict")
}

/// Sends every command once more: the answer is the old one.
fn replay(history: &mut History, client: &Client, trial: &str) {
    let each = history.commands.len().div_ceil(usize::try_from(SENDERS).unwrap()).max(1);
    thread::scope(|scope| {
        for commands in history.commands.chunks_mut(each) {
            scope.spawn(move || {
                for Command { key, route, body, acknowledged, .. } in commands {
                    let answer = client.post(&format!("/v1/trials/{trial}/{route}"), key, body).expect(201);
                    acknowledged.push(acknowledgement(&answer));
                }
            });
        }
    });
}

/// Holds a history of a trial against what is recorded: by the answers to all of it sent once more, by the API, by the
/// database, by `trialseal check`, and by the verifier on the published log.
pub fn assert_kept(service: &Service, trial: &Trial, mut history: History, verifier: &Verifier) {
    // Commands are taken sooner after an outage than read models are folded.
    service.wait_until_ready();
    replay(&mut history, &service.client(Role::Investigator), &trial.id);
    let listed = whole_record_from(&service.client(Role::Monitor), &trial.id, 0);
    let record: Vec<Recorded> = listed.iter().map(Recorded::of).collect();
    history.assert_kept(&record);

    let hex = match service.database().engine() {
        Engine::Postgres => "encode(leaf, 'hex')",
        Engine::Sqlite => "lower(hex(leaf))",
    };
    let stored = service.database().texts(&format!(
        "SELECT CAST(trialseq AS TEXT) || ' ' || {hex} FROM event WHERE trial = '{}' AND trialseq < {} ORDER BY trialseq",
        trial.id,
        record.len()
    ));
    let shown = record.iter().map(|it| format!("{} {}", it.event.trialseq, it.event.eventleaf));
    assert!(stored.iter().eq(&shown.collect::<Vec<_>>()), "the database holds other events than are listed");
    // Whoever reads something has a command of their own.
    let commands = format!(
        "SELECT CAST((SELECT count(*) FROM command WHERE trial = '{0}')
            - (SELECT count(*) FROM event WHERE trial = '{0}' AND stream LIKE 'access/%') AS TEXT)",
        trial.id
    );
    let sent = history.commands.len() + trial.acknowledged_commands();
    assert_eq!(service.database().texts(&commands), [sent.to_string()], "commands are stored twice or not");

    service.wait_until_sealed();
    assert_sound(service, verifier);
    println!(
        "{} commands, acknowledged {} times, {} events: nothing is lost, nothing doubled",
        history.commands.len(),
        history.acknowledgements(),
        record.len()
    );
}

/// `trialseal check` finds nothing, and the published log verifies.
pub fn assert_sound(service: &Service, verifier: &Verifier) {
    let checked = service.command(&["check"]);
    let words = [checked.stdout, checked.stderr].map(|words| String::from_utf8_lossy(&words).into_owned());
    assert!(checked.status.success(), "{words:?}");
    verifier.log(&service.published()).assert_sound();
}
