//! Chance that can be repeated.

/// SplitMix64: small, and good enough to choose moments and rows.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next_number() % (high - low + 1)
    }
}

/// The seed of this run, printed so that a failure can be repeated: `TRIALSEAL_SEED` where it is set, else another each
/// time.
pub fn seed(test: &str) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "settings are the service's; this is the tests' own")]
    let given = std::env::var("TRIALSEAL_SEED").ok();
    let seed = match given {
        Some(text) => text.parse().expect("TRIALSEAL_SEED is a number"),
        None => std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), test),
    };
    println!("{test}: repeat with TRIALSEAL_SEED={seed}");
    seed
}
