//! How long events wait, from being recorded until a seal covers them that the log has signed, and until its note is public,
//! which is to say witnessed where the policy asks for witnesses.
//!
//! It listens to what roles tell each other anyway, so recording, sealing and publishing do nothing for it. Its own work is
//! one step a batch, not one an event.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use trialseal_runtime::shutdown::Shutdown;
use trialseal_store::Progress;

/// Batches that follow each other within this part of the longest wait are counted as the first of them: so there are a few
/// hundred at the most, however long nothing is sealed.
const JOINED: u32 = 100;
/// For how many events one batch counts at the most.
const MOST_EVENTS: u64 = 1_000;

/// Measures until the process is asked to end. A role of its own.
pub async fn measure_delays(progress: Arc<Progress>, shutdown: Shutdown) {
    let (mut recorded, mut sealed, mut published) =
        (progress.recorded(), progress.sealed(), progress.published());
    // What was recorded before this process began is not its own to measure.
    let start = *recorded.borrow_and_update();
    let (mut unsealed, mut unpublished) = (Waiting::from(start), Waiting::from(start));
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => return,
            _ = recorded.changed() => {
                let (position, now) = (*recorded.borrow_and_update(), Instant::now());
                unsealed.add(position, now);
                unpublished.add(position, now);
            }
            _ = sealed.changed() => {
                for (wait, events) in unsealed.reach(*sealed.borrow_and_update(), Instant::now()) {
                    metrics::histogram!("trialseal_seconds_to_sealed").record_many(wait, events);
                }
            }
            _ = published.changed() => {
                for (wait, events) in unpublished.reach(*published.borrow_and_update(), Instant::now()) {
                    metrics::histogram!("trialseal_seconds_to_published").record_many(wait, events);
                }
            }
        }
    }
}

/// Batches of events that wait for one thing.
#[derive(Debug)]
struct Waiting {
    /// The position after each batch, and when it was recorded.
    batches: VecDeque<(u64, Instant)>,
    /// All events before this position wait no more.
    reached: u64,
}

impl Waiting {
    fn from(start: u64) -> Self {
        Self { batches: VecDeque::new(), reached: start }
    }

    /// Events before `position` are recorded.
    fn add(&mut self, position: u64, now: Instant) {
        let longest = self.batches.front().map_or(Duration::ZERO, |(_, since)| now - *since);
        match self.batches.back_mut() {
            Some((end, since)) if (now - *since) * JOINED < longest => *end = position,
            _ if position > self.reached => self.batches.push_back((position, now)),
            _ => {}
        }
    }

    /// Events before `position` wait no more. Gives the seconds that they waited, batch by batch, and how many they were.
    fn reach(&mut self, position: u64, now: Instant) -> Vec<(f64, usize)> {
        let mut waits = Vec::new();
        while let Some((end, since)) = self.batches.front().copied() {
            let to = end.min(position);
            if to > self.reached {
                let events = (to - self.reached).min(MOST_EVENTS);
                waits.push(((now - since).as_secs_f64(), usize::try_from(events).unwrap_or(usize::MAX)));
            }
            if end > position {
                break;
            }
            self.batches.pop_front();
            self.reached = self.reached.max(end);
        }
        self.reached = self.reached.max(position);
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_waits_once_from_its_batch_on() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut waiting = Waiting::from(10);
        assert_eq!(waiting.reach(10, at(0)), []);
        waiting.add(15, at(0));
        waiting.add(20, at(500));
        // A seal covers the first batch and a part of the second.
        assert_eq!(waiting.reach(17, at(1_000)), [(1.0, 5), (0.5, 2)]);
        assert_eq!(waiting.reach(17, at(1_100)), []);
        assert_eq!(waiting.reach(20, at(1_500)), [(1.0, 3)]);
        // What was sealed before it was heard of has not waited.
        assert_eq!(waiting.reach(25, at(1_600)), []);
        waiting.add(25, at(1_700));
        assert_eq!(waiting.reach(25, at(2_000)), []);
        assert!(waiting.batches.is_empty());
    }

    #[test]
    fn a_long_wait_takes_little_room() {
        let begin = Instant::now();
        let mut waiting = Waiting::from(0);
        for batch in 1..=100_000 {
            waiting.add(batch, begin + Duration::from_millis(batch * 10));
        }
        let batches = waiting.batches.len();
        assert!(batches < 1_500, "{batches}");
        let waits = waiting.reach(100_000, begin + Duration::from_secs(1_000));
        assert!(waits.windows(2).all(|pair| pair[0].0 >= pair[1].0), "the oldest waited longest");
    }
}
