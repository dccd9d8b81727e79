//! Faults between the service, PostgreSQL and the clients, at chosen steps and in a random order, while commands come in.
//! The connection to the database breaks or stalls around every step that events take into it; the service is killed; the
//! database ends sessions. In the end nothing that was acknowledged is missing or another, and nothing is recorded twice.
//!
//! It happens to one process, and to two on one database, of which the elected one is hit: then it may also be replaced by
//! the other one, or stand still until it was.
//!
//! `TRIALSEAL_FAULTS` says how many faults, in both together. `cargo xtask bench faults` runs it with 1,000.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use trialseal_tests::{
    Action, Client, Database, Fault, Load, Moment, Proxy, Rng, Role, Service, Step, Trial, Verifier,
    assert_kept, seed, under_load,
};
use ureq::SendBody;

/// Faults of a run, unless it is told another number.
const FAULTS: usize = 100;

/// How many faults, for longer runs.
const FAULTS_SETTING: &str = "TRIALSEAL_FAULTS";

/// How long a stall lasts: longer than commands are apart, shorter than any time limit of the service.
const STALL: Duration = Duration::from_millis(1_500);

/// How long we wait for the step that a fault is to happen to.
const STEP_WITHIN: Duration = Duration::from_secs(5);

/// How often in a row such a step may fail to come.
const MISSES: u32 = 5;

/// The most that a fault waits for beyond the first step of its kind.
const MOST_SKIPPED: u64 = 12;

/// Acknowledgements after a fault, from which it follows that the service has recovered.
const RECOVERED: u64 = 8;

/// Longest time between a recovery and the next fault, in milliseconds.
const LONGEST_PEACE_MS: u64 = 150;

/// How long no connection is taken, in milliseconds.
const LONGEST_CLOSED_MS: u64 = 600;

/// Between two commands of one client, so that there is not too much to look through afterwards.
const PAUSE: Duration = Duration::from_millis(40);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A connection ends at a step.
    Cut(Step, Moment),
    /// A connection stalls at a step.
    Stall(Step, Moment),
    /// All connections end, and for a while there are no new ones.
    Away,
    /// The database ends a session, one in a transaction if there is any.
    Terminate,
    /// The service is killed, and started again.
    Kill,
    /// The service is killed, and started again once another process has taken over.
    Replace,
    /// The service stands still until another process has taken over, and then goes on.
    Freeze,
}

impl Kind {
    /// Every kind once.
    fn all() -> Vec<Self> {
        let steps =
            [Step::Begin, Step::Parse, Step::Bind, Step::Execute, Step::Commit, Step::OtherCommit, Step::Any];
        let cuts = steps.iter().flat_map(|step| Moment::ALL.map(|moment| Self::Cut(*step, moment)));
        let stalls = [
            Self::Stall(Step::Begin, Moment::Answered),
            Self::Stall(Step::Bind, Moment::Middle),
            Self::Stall(Step::Commit, Moment::Before),
            Self::Stall(Step::Commit, Moment::HalfAnswered),
        ];
        cuts.chain(stalls).chain([Self::Away, Self::Terminate, Self::Kill]).collect()
    }

    /// Those that happen to two processes: what leaves a commit in doubt, and all that ends a process or its term.
    fn of_two() -> Vec<Self> {
        let cuts = Moment::ALL.map(|moment| Self::Cut(Step::Commit, moment));
        let others = [
            Self::Cut(Step::Begin, Moment::Answered),
            Self::Cut(Step::Bind, Moment::Middle),
            Self::Stall(Step::Commit, Moment::Before),
            Self::Stall(Step::Commit, Moment::HalfAnswered),
        ];
        let whole = [Self::Away, Self::Terminate, Self::Kill, Self::Replace, Self::Freeze];
        cuts.into_iter().chain(others).chain(whole).collect()
    }

    /// One of them, those more often that do not come from a list of steps.
    fn any(rng: &mut Rng, all: &[Self]) -> Self {
        match rng.between(1, 8) {
            1 | 2 => Self::Kill,
            3 => Self::Terminate,
            4 => Self::Away,
            5 => Self::Cut(Step::Commit, Moment::ALL[index(rng, Moment::ALL.len())]),
            _ => all[index(rng, all.len())],
        }
    }
}

fn index(rng: &mut Rng, length: usize) -> usize {
    usize::try_from(rng.between(0, length as u64 - 1)).unwrap()
}

/// Who does all this.
struct Saboteur<'a> {
    /// The ways of the processes to the database, in their order.
    proxies: &'a [Proxy],
    processes: &'a mut [Service],
    load: &'a Load,
    rng: Rng,
    struck: BTreeMap<Kind, u32>,
    slowest: Duration,
}

impl Saboteur<'_> {
    fn strike_again_and_again(&mut self, faults: usize, all: &[Kind]) {
        let mut kinds = all.to_vec();
        while kinds.len() < faults {
            kinds.push(Kind::any(&mut self.rng, all));
        }
        for last in (1..kinds.len()).rev() {
            kinds.swap(last, index(&mut self.rng, last + 1));
        }
        for kind in kinds {
            thread::sleep(Duration::from_millis(self.rng.between(0, LONGEST_PEACE_MS)));
            let begun = Instant::now();
            self.revive();
            self.strike(kind);
            self.load.wait_for(RECOVERED);
            *self.struck.entry(kind).or_default() += 1;
            self.slowest = self.slowest.max(begun.elapsed());
        }
    }

    fn strike(&mut self, kind: Kind) {
        match kind {
            Kind::Cut(step, moment) => self.disturb(step, moment, Action::Cut),
            Kind::Stall(step, moment) => self.disturb(step, moment, Action::Stall(STALL)),
            Kind::Away => {
                let proxy = &self.proxies[self.elected()];
                proxy.close();
                thread::sleep(Duration::from_millis(self.rng.between(0, LONGEST_CLOSED_MS)));
                proxy.open();
            }
            Kind::Terminate => self.terminate(),
            Kind::Kill => {
                let elected = self.elected();
                self.processes[elected].kill();
                self.processes[elected].start_standby();
            }
            Kind::Replace => {
                let elected = self.elected();
                self.processes[elected].kill();
                self.elected();
                self.processes[elected].start_standby();
            }
            Kind::Freeze => self.freeze(),
        }
    }

    /// The process that serves, once one does.
    fn elected(&self) -> usize {
        self.processes[0].wait("one is elected", || self.processes.iter().position(Service::is_ready))
    }

    /// Starts those again that have ended, as another one was elected while they did not get on.
    fn revive(&mut self) {
        for process in &mut *self.processes {
            let answer = process.anonymous().send("GET", "/healthz", &[], SendBody::none());
            if answer.is_err() {
                process.wait_for_end();
                process.start_standby();
            }
        }
    }

    fn freeze(&mut self) {
        let elected = self.elected();
        self.processes[elected].signal("STOP");
        let others = || (0..self.processes.len()).filter(|other| *other != elected);
        self.processes[elected]
            .wait("another one takes over", || others().find(|other| self.processes[*other].is_ready()));
        self.processes[elected].signal("CONT");
        let status = self.processes[elected].wait_for_end();
        assert_eq!(status.code(), Some(1), "a process goes on though another one was elected");
        self.processes[elected].start_standby();
    }

    fn disturb(&mut self, step: Step, moment: Moment, action: Action) {
        for _ in 0..MISSES {
            // A statement is prepared once a connection: only new ones do it.
            let skip = if step == Step::Parse { 0 } else { self.rng.between(0, MOST_SKIPPED) };
            let proxy = &self.proxies[self.elected()];
            proxy.arm(Fault { step, skip, moment, action });
            if step == Step::Parse {
                proxy.cut_all();
            }
            if proxy.has_struck(STEP_WITHIN) {
                return;
            }
        }
        panic!("{step:?} does not come\n{}", self.processes[self.elected()].log());
    }

    fn terminate(&self) {
        let ended = self.processes[0].database().texts(
            "SELECT pg_terminate_backend(pid)::TEXT FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'trialseal'
             ORDER BY xact_start IS NULL, state_change DESC LIMIT 1",
        );
        assert_eq!(ended, ["true"], "the service has no session that could be ended");
    }
}

/// How many faults in all.
fn faults() -> usize {
    #[expect(clippy::disallowed_methods, reason = "settings are the service's; this is the tests' own")]
    let given = std::env::var(FAULTS_SETTING).ok();
    given.map_or(FAULTS, |given| given.parse().expect("TRIALSEAL_FAULTS is a number"))
}

/// Of all faults, those that happen to two processes: some of them last as long as a term.
fn faults_of_two() -> usize {
    faults() / 4
}

#[test]
fn nothing_is_lost_whatever_breaks() {
    break_things("FAULTS-1", 1, faults() - faults_of_two(), &Kind::all());
}

#[test]
fn nothing_is_lost_whatever_breaks_with_another_process_standing_by() {
    break_things("FAULTS-2", 2, faults_of_two(), &Kind::of_two());
}

fn break_things(trial: &str, number: usize, faults: usize, kinds: &[Kind]) {
    let rng = Rng::new(seed(trial));
    let database = Database::on_postgres();
    let proxies: Vec<Proxy> = (0..number).map(|_| Proxy::to(database.server())).collect();
    let settings = [("TRIALSEAL_SEAL_INTERVAL_MS", "100")];
    let first = Service::start_behind(&proxies[0], database, &settings);
    let trial = Trial::open(&first, trial);
    let verifier = Verifier::of(&first);
    let token = first.client(Role::Investigator).token().to_owned();
    first.client(Role::Monitor);
    let mut processes = vec![first];
    for proxy in &proxies[1..] {
        processes.push(processes[0].with_its_keys_behind(proxy));
    }
    let clients: Vec<Client> = processes.iter().map(|process| process.client_with(&token)).collect();
    let begun = Instant::now();
    let (history, struck) = under_load(&clients, &trial, PAUSE, |load| {
        let (struck, slowest) = (BTreeMap::new(), Duration::ZERO);
        let (proxies, processes) = (&proxies[..], &mut processes[..]);
        let mut saboteur = Saboteur { proxies, processes, load, rng, struck, slowest };
        saboteur.strike_again_and_again(faults, kinds);
        println!("slowest fault with its recovery: {} ms", saboteur.slowest.as_millis());
        saboteur.struck
    });
    let total: u32 = struck.values().sum();
    println!("{:>6}  fault, of {number} processes", "times");
    for (kind, times) in &struck {
        println!("{times:>6}  {kind:?}");
    }
    println!("{total:>6}  in all, in {} s", begun.elapsed().as_secs());
    for kind in kinds {
        assert!(struck.contains_key(kind), "{kind:?} did not happen");
    }
    assert!(total as usize >= faults, "only {total} faults of {faults}");
    let (commands, seconds) = (history.commands.len(), begun.elapsed().as_secs());
    // What was sent is sent again to the first one, which may have to take over for that.
    processes.truncate(1);
    if processes[0].anonymous().send("GET", "/healthz", &[], SendBody::none()).is_err() {
        processes[0].wait_for_end();
        processes[0].start_standby();
    }
    assert_kept(&processes[0], &trial, history, &verifier);
    // For whoever reads this by a program.
    let figures = json!({
        "bench": "faults", "processes": number, "faults": total, "kinds": struck.len(), "commands": commands,
        "lost": 0, "seconds": seconds,
    });
    println!("{figures}");
}
