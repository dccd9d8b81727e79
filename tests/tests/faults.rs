//! Faults between the service, PostgreSQL and the clients, at chosen steps and in a random order, while commands come in.
//! The connection to the database breaks or stalls around every step that events take into it; the service is killed; the
//! database ends sessions. In the end nothing that was acknowledged is missing or another, and nothing is recorded twice.
//!
//! `TRIALSEAL_FAULTS` says how many faults. `cargo xtask bench faults` runs it with 1,000.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use trialseal_tests::{
    Action, Client, Database, Fault, Load, Moment, Proxy, Rng, Role, Service, Step, Trial, Verifier,
    assert_kept, seed, under_load,
};

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

    /// One of them, those more often that do not come from a list of steps.
    fn any(rng: &mut Rng) -> Self {
        let choose = |rng: &mut Rng, from: &[Self]| from[index(rng, from.len())];
        match rng.between(1, 8) {
            1 | 2 => Self::Kill,
            3 => Self::Terminate,
            4 => Self::Away,
            5 => Self::Cut(Step::Commit, Moment::ALL[index(rng, Moment::ALL.len())]),
            _ => choose(rng, &Self::all()),
        }
    }
}

fn index(rng: &mut Rng, length: usize) -> usize {
    usize::try_from(rng.between(0, length as u64 - 1)).unwrap()
}

/// Who does all this.
struct Saboteur<'a> {
    proxy: &'a Proxy,
    service: &'a mut Service,
    load: &'a Load,
    rng: Rng,
    struck: BTreeMap<Kind, u32>,
    slowest: Duration,
}

impl Saboteur<'_> {
    fn strike_again_and_again(&mut self, faults: usize) {
        let mut kinds = Kind::all();
        while kinds.len() < faults {
            kinds.push(Kind::any(&mut self.rng));
        }
        for last in (1..kinds.len()).rev() {
            kinds.swap(last, index(&mut self.rng, last + 1));
        }
        for kind in kinds {
            thread::sleep(Duration::from_millis(self.rng.between(0, LONGEST_PEACE_MS)));
            let begun = Instant::now();
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
                self.proxy.close();
                thread::sleep(Duration::from_millis(self.rng.between(0, LONGEST_CLOSED_MS)));
                self.proxy.open();
            }
            Kind::Terminate => self.terminate(),
            Kind::Kill => {
                self.service.kill();
                self.service.start_again();
            }
        }
    }

    fn disturb(&mut self, step: Step, moment: Moment, action: Action) {
        for _ in 0..MISSES {
            // A statement is prepared once a connection: only new ones do it.
            let skip = if step == Step::Parse { 0 } else { self.rng.between(0, MOST_SKIPPED) };
            self.proxy.arm(Fault { step, skip, moment, action });
            if step == Step::Parse {
                self.proxy.cut_all();
            }
            if self.proxy.has_struck(STEP_WITHIN) {
                return;
            }
        }
        panic!("{step:?} does not come\n{}", self.service.log());
    }

    fn terminate(&self) {
        let ended = self.service.database().texts(
            "SELECT pg_terminate_backend(pid)::TEXT FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'trialseal'
             ORDER BY xact_start IS NULL, state_change DESC LIMIT 1",
        );
        assert_eq!(ended, ["true"], "the service has no session that could be ended");
    }
}

fn faults() -> usize {
    #[expect(clippy::disallowed_methods, reason = "settings are the service's; this is the tests' own")]
    let given = std::env::var(FAULTS_SETTING).ok();
    given.map_or(FAULTS, |given| given.parse().expect("TRIALSEAL_FAULTS is a number"))
}

#[test]
fn nothing_is_lost_whatever_breaks() {
    let (faults, rng) = (faults(), Rng::new(seed("faults")));
    let database = Database::on_postgres();
    let proxy = Proxy::to(database.server());
    let settings = [("TRIALSEAL_SEAL_INTERVAL_MS", "100")];
    let mut service = Service::start_behind(&proxy, database, &settings);
    let trial = Trial::open(&service, "FAULTS-1");
    let verifier = Verifier::of(&service);
    let clients: Vec<Client> = vec![service.client(Role::Investigator)];
    service.client(Role::Monitor);
    let begun = Instant::now();
    let (history, struck) = under_load(&clients, &trial, PAUSE, |load| {
        let (struck, slowest) = (BTreeMap::new(), Duration::ZERO);
        let mut saboteur = Saboteur { proxy: &proxy, service: &mut service, load, rng, struck, slowest };
        saboteur.strike_again_and_again(faults);
        println!("slowest fault with its recovery: {} ms", saboteur.slowest.as_millis());
        saboteur.struck
    });
    let total: u32 = struck.values().sum();
    println!("{:>6}  fault", "times");
    for (kind, times) in &struck {
        println!("{times:>6}  {kind:?}");
    }
    println!("{total:>6}  in all, in {} s", begun.elapsed().as_secs());
    for kind in Kind::all() {
        assert!(struck.contains_key(&kind), "{kind:?} did not happen");
    }
    assert!(total as usize >= faults, "only {total} faults of {faults}");
    let (commands, seconds) = (history.commands.len(), begun.elapsed().as_secs());
    assert_kept(&service, &trial, history, &verifier);
    // For whoever reads this by a program.
    let figures = json!({
        "bench": "faults", "faults": total, "kinds": struck.len(), "commands": commands, "lost": 0, "seconds": seconds,
    });
    println!("{figures}");
}
