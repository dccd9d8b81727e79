//! Random-looking numbers that are the same in every run and on every machine.

/// Splitmix64: small, well spread, and no secret; for generated data only.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included. The slight preference that a remainder has for low numbers does
    /// no harm to data that nobody draws conclusions from.
    pub(crate) fn between(&mut self, low: u32, high: u32) -> u32 {
        let span = u64::from(high.saturating_sub(low)) + 1;
        low + u32::try_from(self.next() % span).unwrap_or(0)
    }

    /// True about once in `n` times.
    pub(crate) fn one_in(&mut self, n: u32) -> bool {
        self.between(1, n) == 1
    }

    /// One of several.
    pub(crate) fn pick<T>(&mut self, from: [T; 4]) -> T {
        let [a, b, c, d] = from;
        match self.between(0, 3) {
            0 => a,
            1 => b,
            2 => c,
            _ => d,
        }
    }

    /// Puts the elements into another order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, elements: &mut [T]) {
        for last in (1..elements.len()).rev() {
            let other = self.between(0, u32::try_from(last).unwrap_or(u32::MAX));
            elements.swap(last, other as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut rng = Rng::new(1_234_567);
        assert_eq!(rng.next(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn both_ends_are_reached() {
        let mut rng = Rng::new(1);
        let drawn: Vec<u32> = (0..100).map(|_| rng.between(3, 5)).collect();
        assert!([3, 4, 5].iter().all(|n| drawn.contains(n)) && drawn.iter().all(|n| (3..=5).contains(n)));
    }
}
