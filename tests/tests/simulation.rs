//! A ledger in one thread, on which everything goes wrong that can: calls fail before or after they are done, processes
//! end at any call, the clock is put back. Chance follows from a seed, so that what fails can be repeated.
//!
//! The writer, the sealer and the projector are the real ones, the store is the one in memory. Unlike the other tests of
//! this crate it uses the crates themselves, for time and chance cannot be held in another process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "simulation/chaos.rs"]
mod chaos;
#[path = "simulation/checker.rs"]
mod checker;
#[path = "simulation/process.rs"]
mod process;
#[path = "simulation/run.rs"]
mod run;

use chaos::Broken;
use run::run;

/// The seeds of every run of the tests, and how many steps each of them is followed.
const SEEDS: [u64; 4] = [1, 2, 3, 4];
const STEPS: u64 = 1_500;

/// The environment variables for another seed and another length.
const SEED: &str = "TRIALSEAL_SIM_SEED";
const LENGTH: &str = "TRIALSEAL_SIM_STEPS";

fn setting(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "settings are the service's; this is the tests' own")]
    let given = std::env::var(name).ok()?;
    Some(given.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn whatever_goes_wrong_no_promise_is_broken() {
    let steps = setting(LENGTH).unwrap_or(STEPS);
    let seeds = setting(SEED).map_or(SEEDS.to_vec(), |seed| vec![seed]);
    for seed in seeds {
        let began = std::time::Instant::now();
        match run(seed, steps, None) {
            Ok(summary) => println!("seed {seed}, {steps} steps, {:?}: {summary:#?}", began.elapsed()),
            Err(what) => panic!("{what}\nRepeat with {SEED}={seed} {LENGTH}={steps}"),
        }
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let [once, again, other] = [11, 11, 12].map(|seed| run(seed, 200, None).unwrap());
    assert_eq!(once, again);
    assert_ne!(once.trace, other.trace);
    assert_ne!(once.checkpoint, other.checkpoint);
}

#[test]
fn a_store_that_loses_what_was_acknowledged_is_caught() {
    let caught = run(21, STEPS, Some(Broken::Loses)).unwrap_err();
    // Whichever shows first: that it is gone, that it was recorded again when it was sent again, or that its id was free for
    // another command.
    let shown = ["lost", "twice", "must not be recorded"];
    assert!(shown.iter().any(|shown| caught.contains(shown)), "{caught}");
}

#[test]
fn a_store_that_records_a_command_twice_is_caught() {
    let caught = run(22, STEPS, Some(Broken::Doubles)).unwrap_err();
    assert!(caught.contains("twice"), "{caught}");
}
