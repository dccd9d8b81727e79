//! Every target on mutated vectors, for a bounded time.
#![expect(clippy::panic, reason = "what is found fails the test")]

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use trialseal_fuzz::mutate::{Random, mutate};
use trialseal_fuzz::{Corpus, Target, all};

/// For all targets together.
const DEFAULT_SECONDS: u64 = 20;

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
fn no_target_panics() {
    let seconds = setting("TRIALSEAL_FUZZ_SECONDS", || DEFAULT_SECONDS);
    let seed = setting("TRIALSEAL_FUZZ_SEED", any_seed);
    println!("TRIALSEAL_FUZZ_SEED={seed} TRIALSEAL_FUZZ_SECONDS={seconds}");
    let (corpus, targets) = (Corpus::read(), all());
    let share = Duration::from_secs(seconds) / u32::try_from(targets.len()).unwrap_or(u32::MAX);
    for target in targets {
        let inputs = run(target, &corpus, seed, share);
        println!("{}: {inputs} inputs", target.name);
    }
}

/// Runs the seeds as they are, then changed, until the time is up; all seeds are run in any case.
fn run(target: Target, corpus: &Corpus, seed: u64, share: Duration) -> u64 {
    let seeds = (target.seeds)(corpus);
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    let mut random = Random::new(seed);
    let (start, mut inputs) = (Instant::now(), 0);
    for input in &seeds {
        attempt(target, input, seed);
        inputs += 1;
    }
    while start.elapsed() < share {
        let (input, other) = (&seeds[random.below(seeds.len())], &seeds[random.below(seeds.len())]);
        attempt(target, &mutate(&mut random, input, other), seed);
        inputs += 1;
    }
    inputs
}

fn attempt(target: Target, input: &[u8], seed: u64) {
    let came_back = catch_unwind(|| (target.run)(input)).is_ok();
    assert!(
        came_back,
        "target {} fails with TRIALSEAL_FUZZ_SEED={seed} on this input:\n{}",
        target.name,
        input.escape_ascii()
    );
}
