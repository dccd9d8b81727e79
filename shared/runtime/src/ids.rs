//! Ids and random bytes, as a port.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::{Builder, Uuid};

/// Makes ids and random bytes.
pub trait Ids: Send + Sync {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);

    /// A UUID of version 7 (RFC 9562 section 5.7) for the time `micros`, in microseconds since the epoch; a time before
    /// the epoch counts as the epoch. The fraction of the millisecond stands in `rand_a` (section 6.2, method 3), so
    /// that ids sort by time to a quarter of a microsecond; 62 bits are random.
    fn uuid_v7(&self, micros: i64) -> Uuid {
        let micros = micros.max(0).unsigned_abs();
        let mut tail = [0; 10];
        self.fill(&mut tail);
        // Below 4096: the 12 bits of `rand_a`, whose upper four the version then takes.
        let fraction = u16::try_from(micros % 1000 * 4096 / 1000).unwrap_or(0);
        [tail[0], tail[1]] = fraction.to_be_bytes();
        Builder::from_unix_timestamp_millis(micros / 1000, &tail).into_uuid()
    }
}

/// The operating system's random source.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    /// Ends the process where the system has no randomness to give: ids and secrets that can be guessed would be worse,
    /// and everything durable survives a process that ends at any moment.
    fn fill(&self, bytes: &mut [u8]) {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's random source")]
        let filled = getrandom::fill(bytes);
        if let Err(error) = filled {
            tracing::error!(%error, "the system's random source failed");
            std::process::abort();
        }
    }
}

/// Ids that repeat from a seed, for tests and for demonstrations that can be replayed. No secret may come from here.
#[derive(Debug)]
pub struct SeededIds(AtomicU64);

impl SeededIds {
    /// The same seed gives the same ids in the same order.
    pub const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next step of SplitMix64 (Steele, Lea, Flood 2014).
    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Ids for SeededIds {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROS: i64 = 1_700_000_000_123_456;

    #[test]
    fn an_id_carries_its_time_version_and_variant() {
        let id = SystemIds.uuid_v7(MICROS);
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        let millis = u64::from_be_bytes([&[0, 0], &id.as_bytes()[..6]].concat().try_into().unwrap());
        assert_eq!(millis, 1_700_000_000_123);
    }

    #[test]
    fn ids_sort_by_microsecond() {
        let ids: Vec<_> = (0..2_000).map(|step| SystemIds.uuid_v7(MICROS + step)).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn ids_of_one_moment_differ() {
        assert_ne!(SystemIds.uuid_v7(MICROS), SystemIds.uuid_v7(MICROS));
        assert_ne!(SystemIds.uuid_v7(-5), SystemIds.uuid_v7(-5));
    }

    #[test]
    fn a_seed_repeats_and_another_does_not() {
        let of = |seed| {
            let ids = SeededIds::new(seed);
            let mut bytes = [0; 13];
            ids.fill(&mut bytes);
            (bytes, ids.uuid_v7(MICROS))
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1).0, of(2).0);
        assert_ne!(of(1).1, of(2).1);
    }

    #[test]
    fn seeded_bytes_are_splitmix64() {
        // First output for seed 0, as published with the reference implementation.
        assert_eq!(SeededIds::new(0).next(), 0xe220_a839_7b1d_cdaf);
    }
}
