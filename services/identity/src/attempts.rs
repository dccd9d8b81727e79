//! How often somebody may try to log in: after a few failures the name, and after some more the address, has to wait,
//! twice as long each time.
//!
//! A name that nobody has waits like any other, so that waiting tells nothing. What is remembered is bounded, lies in
//! memory, and begins anew with the process.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use sha3::{Digest, Sha3_256};

/// Failures of one name before it has to wait.
const FREE_BY_NAME: u32 = 5;
/// Failures from one address before it has to wait: many people may share one.
const FREE_BY_ADDRESS: u32 = 30;
/// The longest wait, microseconds: a quarter of an hour.
const LONGEST_MICROS: i64 = 900_000_000;
/// After so long half of a name's failures are forgotten, microseconds: six hours.
const HALF_OF_NAME_MICROS: i64 = 21_600_000_000;
/// After so long half of an address's are, microseconds: an hour, for where many people share one, somebody mistypes every day.
const HALF_OF_ADDRESS_MICROS: i64 = 3_600_000_000;
/// Names and addresses that are remembered, each. To have one forgotten, an attacker has to fail as often with others, at
/// the pace at which passwords are hashed: some hours.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1 << 17).unwrap();

/// What failed, by the hash of a name or an address.
#[derive(Default)]
pub(crate) struct Attempts(Mutex<Option<Remembered>>);

struct Remembered {
    names: LruCache<[u8; 32], Failed>,
    addresses: LruCache<[u8; 32], Failed>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Failed {
    times: u32,
    /// Up to when half of them were forgotten each time.
    halved: i64,
    until: i64,
}

impl Failed {
    /// Counts one more, which has failed until it is known that it has not.
    fn count(&mut self, free: u32, half: i64, now: i64) {
        let halves = now.saturating_sub(self.halved).max(0) / half;
        self.times =
            u32::try_from(halves).ok().and_then(|halves| self.times.checked_shr(halves)).unwrap_or(0);
        self.halved += halves * half;
        self.times = self.times.saturating_add(1);
        if let Some(over) = self.times.checked_sub(free) {
            let wait = 1_000_000_i64.checked_shl(over.min(20)).unwrap_or(LONGEST_MICROS);
            self.until = now + wait.min(LONGEST_MICROS);
        }
    }
}

impl Attempts {
    /// Begins an attempt at time `now`, which counts as failed until [`Self::succeeded`]: so no two at once count as one.
    ///
    /// # Errors
    /// The seconds to wait, where there were too many before; this one was not counted then.
    pub(crate) fn begin(&self, name: &str, address: IpAddr, now: i64) -> Result<(), u32> {
        let mut remembered = self.remembered();
        let remembered = remembered.get_or_insert_with(Remembered::new);
        let (name, address) = (of_name(name), of_address(address));
        let waits = [remembered.names.get(&name), remembered.addresses.get(&address)];
        let until = waits.into_iter().flatten().map(|failed| failed.until).max().unwrap_or(0);
        if until > now {
            let seconds = (until - now + 999_999) / 1_000_000;
            return Err(u32::try_from(seconds).unwrap_or(u32::MAX));
        }
        remembered.names.get_or_insert_mut(name, Failed::default).count(
            FREE_BY_NAME,
            HALF_OF_NAME_MICROS,
            now,
        );
        let by_address = remembered.addresses.get_or_insert_mut(address, Failed::default);
        by_address.count(FREE_BY_ADDRESS, HALF_OF_ADDRESS_MICROS, now);
        Ok(())
    }

    /// An attempt that was begun has not failed.
    pub(crate) fn succeeded(&self, name: &str, address: IpAddr) {
        // Of an address only this one: whoever has one account could else try others for ever.
        self.not_looked_at(name, address);
        self.forget(name);
    }

    /// Nobody has looked whether an attempt that was begun is one that fails.
    pub(crate) fn not_looked_at(&self, name: &str, address: IpAddr) {
        let mut remembered = self.remembered();
        let Some(Remembered { names, addresses }) = remembered.as_mut() else { return };
        let both = [names.get_mut(&of_name(name)), addresses.get_mut(&of_address(address))];
        for failed in both.into_iter().flatten() {
            failed.times = failed.times.saturating_sub(1);
            failed.until = 0;
        }
    }

    /// A name begins anew.
    pub(crate) fn forget(&self, name: &str) {
        if let Some(remembered) = self.remembered().as_mut() {
            remembered.names.pop(&of_name(name));
        }
    }

    fn remembered(&self) -> MutexGuard<'_, Option<Remembered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn new() -> Self {
        Self { names: LruCache::new(REMEMBERED), addresses: LruCache::new(REMEMBERED) }
    }
}

/// Names are not kept: people type passwords there.
fn of_name(name: &str) -> [u8; 32] {
    Sha3_256::digest(name.as_bytes()).into()
}

/// Of an IPv6 address the network of 64 bits, which one host has as a whole.
fn of_address(address: IpAddr) -> [u8; 32] {
    match address.to_canonical() {
        IpAddr::V4(address) => Sha3_256::digest(address.octets()).into(),
        IpAddr::V6(address) => Sha3_256::digest(&address.octets()[..8]).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const SECOND: i64 = 1_000_000;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn a_name_waits_twice_as_long_each_time_and_no_longer_than_a_quarter_of_an_hour() {
        let attempts = Attempts::default();
        let mut now = 0;
        for n in 0..5 {
            assert_eq!(attempts.begin("a", address(n), now), Ok(()));
        }
        for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            assert_eq!(attempts.begin("a", address(9), now), Err(wait));
            assert_eq!(attempts.begin("a", address(9), now + i64::from(wait) * SECOND - 1), Err(1));
            assert_eq!(attempts.begin("b", address(100), now), Ok(()), "another name does not wait");
            attempts.succeeded("b", address(100));
            now += i64::from(wait) * SECOND;
            assert_eq!(attempts.begin("a", address(10), now), Ok(()));
        }
        now += 5 * HALF_OF_NAME_MICROS;
        assert_eq!(attempts.begin("a", address(11), now), Ok(()));
        assert_eq!(attempts.begin("a", address(12), now), Ok(()));
    }

    #[test]
    fn whoever_succeeds_begins_anew() {
        let attempts = Attempts::default();
        for _ in 0..20 {
            for _ in 0..4 {
                attempts.begin("a", HOME, 0).unwrap();
                attempts.succeeded("a", HOME);
            }
        }
        for n in 0..5 {
            assert_eq!(attempts.begin("a", address(n), 0), Ok(()));
        }
        assert_eq!(attempts.begin("a", HOME, 0), Err(1));
    }

    #[test]
    fn an_address_that_many_share_does_not_add_up_what_they_mistype_over_weeks() {
        let attempts = Attempts::default();
        let mut now = 0;
        for n in 0..500 {
            now += 20 * 60 * SECOND;
            assert_eq!(attempts.begin(&format!("right{n}"), HOME, now), Ok(()), "{n}");
            attempts.succeeded(&format!("right{n}"), HOME);
            assert_eq!(attempts.begin(&format!("mistyped{n}"), HOME, now), Ok(()), "{n}");
        }
    }

    #[test]
    fn what_nobody_looked_at_is_no_failure() {
        let attempts = Attempts::default();
        for n in 0..100 {
            assert_eq!(attempts.begin("a", HOME, 0), Ok(()), "{n}");
            attempts.not_looked_at("a", HOME);
        }
    }

    #[test]
    fn an_address_waits_whatever_the_names() {
        let attempts = Attempts::default();
        for n in 0..FREE_BY_ADDRESS {
            // One account of their own does not let anybody try others for ever.
            assert_eq!(attempts.begin("own", HOME, 0), Ok(()), "{n}");
            attempts.succeeded("own", HOME);
            assert_eq!(attempts.begin(&format!("n{n}"), HOME, 0), Ok(()), "{n}");
        }
        assert!(attempts.begin("yet another", HOME, 0).is_err());
        assert_eq!(attempts.begin("yet another", address(1), 0), Ok(()));
        let six = |text: &str| of_address(text.parse().unwrap());
        assert_eq!(six("2001:db8::1"), six("2001:db8::ffff"));
        assert_ne!(six("2001:db8::1"), six("2001:db8:0:1::1"));
        assert_eq!(six("::ffff:192.0.2.1"), of_address(address(1)));
    }
}
