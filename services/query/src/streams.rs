//! Places of live streams: so many at once, and so many of them for one actor, who could otherwise take them all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trialseal_runtime::problem::{Problem, ProblemKind};

/// Live streams that are served at once. Each holds one page of events at the most.
const MAX_STREAMS: usize = 256;

/// And to one actor: a few trials, each in a few windows or programs.
const MAX_STREAMS_OF_ACTOR: usize = 16;

/// After how many seconds to ask again for a place.
const RETRY_SECONDS: u32 = 5;

/// How many streams each actor has open; who has none is not in it.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<HashMap<String, usize>>);

/// One open stream's place, free again once it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    actor: String,
}

impl Places {
    /// A place for a stream of an actor.
    ///
    /// # Errors
    /// `too-many-requests` where the actor has taken theirs, `busy` where all are taken.
    pub(crate) fn take(self: &Arc<Self>, actor: &str) -> Result<Place, Problem> {
        let refused =
            |kind, detail: &str| Err(Problem::new(kind, detail).with_retry_after_seconds(RETRY_SECONDS));
        let mut open = self.open();
        let own = open.get(actor).copied().unwrap_or_default();
        if own >= MAX_STREAMS_OF_ACTOR {
            return refused(
                ProblemKind::TooManyRequests,
                "You have too many streams open: close one of them.",
            );
        }
        if open.values().sum::<usize>() >= MAX_STREAMS {
            return refused(ProblemKind::Busy, "Too many streams are open.");
        }
        open.insert(actor.to_owned(), own + 1);
        Ok(Place { places: Arc::clone(self), actor: actor.to_owned() })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.open();
        match open.get_mut(&self.actor) {
            Some(own) if *own > 1 => *own -= 1,
            _ => _ = open.remove(&self.actor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(taken: Result<Place, Problem>) -> (u16, Option<u32>) {
        let problem = taken.expect_err("a place too many");
        (problem.status, problem.retry_after_seconds)
    }

    #[test]
    fn one_actor_gets_a_few_places_and_others_are_left_theirs() {
        let places = Arc::new(Places::default());
        let mut held: Vec<_> = (0..MAX_STREAMS_OF_ACTOR).map(|_| places.take("person-1").unwrap()).collect();
        assert_eq!(refusal(places.take("person-1")), (429, Some(RETRY_SECONDS)));
        held.push(places.take("person-2").unwrap());
        held.remove(0);
        held.push(places.take("person-1").unwrap());
        assert_eq!(refusal(places.take("person-1")), (429, Some(RETRY_SECONDS)));
        drop(held);
        assert!(places.open().is_empty());
    }

    #[test]
    fn all_together_are_bounded() {
        let places = Arc::new(Places::default());
        let actors = MAX_STREAMS / MAX_STREAMS_OF_ACTOR;
        let held: Vec<_> =
            (0..MAX_STREAMS).map(|n| places.take(&format!("person-{}", n % actors)).unwrap()).collect();
        assert_eq!(refusal(places.take("somebody-else")), (503, Some(RETRY_SECONDS)));
        drop(held);
        places.take("somebody-else").unwrap();
    }
}
