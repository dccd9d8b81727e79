//! How often somebody may ask: an actor, or an address that nobody who is known here asks from. So one caller alone does not
//! use up what all others need.
//!
//! A bucket of tokens each (GCRA): a second's requests may come at once, and then at the pace of the setting. The clock is
//! one that nobody sets. What is remembered lies in memory and begins anew with the process.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use actix_web::HttpRequest;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use trialseal_access::Principal;
use trialseal_access::http::Limits;
use trialseal_identity::Identity;
use trialseal_runtime::settings::RequestLimits;

/// Buckets that are kept before those that are full again are forgotten, which tells nobody apart from a stranger. So more
/// than this are kept of those alone who asked within the last two seconds.
const REMEMBERED: usize = 1 << 16;

/// The limits of one process.
pub(crate) struct Doorkeeper {
    identity: Arc<Identity>,
    actors: Option<Buckets<String>>,
    addresses: Option<Buckets<IpAddr>>,
}

impl Doorkeeper {
    pub(crate) fn new(limits: RequestLimits, identity: Arc<Identity>) -> Self {
        let (actors, addresses) = (Buckets::new(limits.by_identity), Buckets::new(limits.by_address));
        Self { identity, actors, addresses }
    }
}

impl Limits for Doorkeeper {
    fn admit(&self, request: &HttpRequest, who: Option<&Principal>) -> Result<(), u32> {
        if is_for_everybody(request.path()) {
            return Ok(());
        }
        let (by, taken) = match who {
            Some(who) => ("identity", take(self.actors.as_ref(), &who.actor)),
            None => ("address", take(self.addresses.as_ref(), &network(self.identity.address_of(request)))),
        };
        if taken.is_err() {
            metrics::counter!("trialseal_requests_refused_total", "by" => by).increment(1);
        }
        taken
    }
}

/// What monitors, witnesses and whoever watches the process read, which costs little and has to go on.
fn is_for_everybody(path: &str) -> bool {
    path.starts_with("/log/") || matches!(path, "/healthz" | "/readyz")
}

/// Of an IPv6 address the network of 64 bits, which one host has as a whole.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

fn take<K: Hash + Eq + Clone>(buckets: Option<&Buckets<K>>, key: &K) -> Result<(), u32> {
    buckets.map_or(Ok(()), |buckets| buckets.take(key))
}

/// A bucket for each key.
struct Buckets<K: Hash + Eq + Clone, C: Clock = MonotonicClock> {
    limiter: RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    /// Buckets out of which so many requests a second may be taken; `None` for 0, which is no limit.
    fn new(per_second: u32) -> Option<Self> {
        NonZeroU32::new(per_second).map(|per_second| Self::with_clock(per_second, MonotonicClock))
    }
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Buckets<K, C> {
    fn with_clock(per_second: NonZeroU32, clock: C) -> Self {
        let quota = Quota::per_second(per_second);
        Self { limiter: RateLimiter::hashmap_with_clock(quota, clock.clone()), clock }
    }

    /// Takes a request out of the key's bucket, or answers with the seconds to wait.
    fn take(&self, key: &K) -> Result<(), u32> {
        if self.limiter.len() >= REMEMBERED {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now()).as_millis().div_ceil(1_000);
            u32::try_from(wait).unwrap_or(u32::MAX).max(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn buckets<K: Hash + Eq + Clone>(per_second: u32) -> (Buckets<K, FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Buckets::with_clock(NonZeroU32::new(per_second).unwrap(), clock.clone()), clock)
    }

    #[test]
    fn a_second_s_requests_come_at_once_and_the_next_at_their_pace() {
        let (buckets, clock) = buckets(10);
        for _ in 0..10 {
            assert_eq!(buckets.take(&"a"), Ok(()));
        }
        assert_eq!(buckets.take(&"a"), Err(1));
        assert_eq!(buckets.take(&"b"), Ok(()), "another one does not wait");
        clock.advance(Duration::from_millis(99));
        assert_eq!(buckets.take(&"a"), Err(1));
        clock.advance(Duration::from_millis(1));
        assert_eq!((buckets.take(&"a"), buckets.take(&"a")), (Ok(()), Err(1)));
        clock.advance(Duration::from_hours(1));
        let taken = (0..20).filter(|_| buckets.take(&"a").is_ok()).count();
        assert_eq!(taken, 10, "nothing is saved up beyond a second's");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_who_waits_is_not_forgotten() {
        let (buckets, clock) = buckets(1);
        for key in 0..4 * u32::try_from(REMEMBERED).unwrap() {
            if key.is_multiple_of(1 << 13) {
                clock.advance(Duration::from_millis(500));
            }
            if key.is_multiple_of(1 << 14) {
                assert_eq!(buckets.take(&u32::MAX), Ok(()), "it asks once a second");
            }
            assert_eq!(buckets.take(&key), Ok(()));
            assert!(buckets.limiter.len() <= REMEMBERED);
            assert_eq!(buckets.take(&u32::MAX), Err(1));
        }
    }

    #[test]
    fn nothing_is_limited_where_the_setting_is_0() {
        assert!(Buckets::<String>::new(0).is_none());
        assert!((0..5_000).all(|_| take(None, &"a").is_ok()));
    }

    #[test]
    fn a_host_has_one_bucket_for_all_of_its_addresses() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
    }

    #[test]
    fn log_and_health_are_for_everybody() {
        for path in ["/log/checkpoint", "/log/tile/0/000", "/healthz", "/readyz"] {
            assert!(is_for_everybody(path), "{path}");
        }
        for path in ["/log", "/login", "/v1/log/checkpoint", "/", "/metrics", "/healthz/"] {
            assert!(!is_for_everybody(path), "{path}");
        }
    }
}
