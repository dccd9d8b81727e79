//! Every target on mutated vectors, for a bounded time.
#![expect(clippy::panic, reason = "what is found fails the test")]

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use trialseal_fuzz::mutate::{Random, mutate};
use trialseal_fuzz::{Corpus, Target, all};

/// For all targets together.
const DEFAULT_SECONDS: u64 = 20;

/// For one input, a hundred times what the slowest one takes: whoever needs longer does not come back.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a target is at: since when, and the input.
type At = Arc<Mutex<(Instant, Vec<u8>)>>;

fn setting(name: &str, default: impl FnOnce() -> u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test has no settings but these")]
    let set = std::env::var(name).ok();
    set.map_or_else(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is no whole number")))
}

/// Another one in every run, so that runs add up; it is printed where something is found.
fn any_seed() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), "fuzz")
}

#[test]
fn every_target_returns() {
    let seconds = setting("TRIALSEAL_FUZZ_SECONDS", || DEFAULT_SECONDS);
    let seed = setting("TRIALSEAL_FUZZ_SEED", any_seed);
    println!("TRIALSEAL_FUZZ_SEED={seed} TRIALSEAL_FUZZ_SECONDS={seconds}");
    let (corpus, targets) = (Arc::new(Corpus::read()), all());
    let share = Duration::from_secs(seconds) / u32::try_from(targets.len()).unwrap_or(u32::MAX);
    for target in targets {
        let at = At::new(Mutex::new((Instant::now(), Vec::new())));
        let running = {
            let (corpus, at) = (Arc::clone(&corpus), Arc::clone(&at));
            thread::spawn(move || run(target, &corpus, seed, share, &at))
        };
        while !running.is_finished() {
            thread::sleep(Duration::from_millis(20));
            let (since, input) = &*at.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(since.elapsed() < PATIENCE, "{}", found("does not come back", target, seed, input));
        }
        let inputs = running.join().unwrap_or_else(|_| {
            let (_, input) = &*at.lock().unwrap_or_else(PoisonError::into_inner);
            panic!("{}", found("panics", target, seed, input))
        });
        println!("{}: {inputs} inputs", target.name);
    }
}

/// Runs the seeds as they are, then changed, until the time is up; all seeds are run in any case.
fn run(target: Target, corpus: &Corpus, seed: u64, share: Duration, at: &At) -> u64 {
    let seeds = (target.seeds)(corpus);
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    let mut random = Random::new(seed);
    let (start, mut inputs) = (Instant::now(), 0);
    let mut attempt = |input: &[u8]| {
        *at.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), input.to_vec());
        (target.run)(input);
        inputs += 1;
    };
    for input in &seeds {
        attempt(input);
    }
    while start.elapsed() < share {
        let (input, other) = (&seeds[random.below(seeds.len())], &seeds[random.below(seeds.len())]);
        attempt(&mutate(&mut random, input, other));
    }
    inputs
}

fn found(what: &str, target: Target, seed: u64, input: &[u8]) -> String {
    format!(
        "target {} {what} with TRIALSEAL_FUZZ_SEED={seed} on this input:\n{}",
        target.name,
        input.escape_ascii()
    )
}
