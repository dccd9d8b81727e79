//! Which of the waiting appends go into the next batch: those of the foreground lane before those of the background lane,
//! and of each lane in the order in which they came.
//!
//! Whoever comes while a batch is being recorded waits for its end. So a batch holds only a little of the background
//! lane, and nothing of it while the foreground lane waits, unless the background has waited too long.

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Waiting, WriterSettings, body_bytes};

/// The two queues of the writer.
pub(super) struct Lanes {
    foreground: Lane,
    background: Lane,
    settings: WriterSettings,
    /// When the background lane had its share of a batch last.
    background_served: Instant,
}

/// A queue whose first append can be looked at.
struct Lane {
    queue: mpsc::UnboundedReceiver<Waiting>,
    front: Option<Waiting>,
}

impl Lane {
    fn front(&mut self) -> Option<&Waiting> {
        if self.front.is_none() {
            self.front = self.queue.try_recv().ok();
        }
        self.front.as_ref()
    }

    /// Moves appends into the batch, in order, for as long as `fits` says so of the events and bytes it would have.
    fn fill(&mut self, batch: &mut Batch, fits: impl Fn(&Batch, usize, usize) -> bool) {
        while let Some(front) = self.front() {
            let (events, bytes) = (front.append.events.len(), body_bytes(&front.append));
            if !fits(batch, batch.events + events, batch.bytes + bytes) {
                return;
            }
            (batch.events, batch.bytes) = (batch.events + events, batch.bytes + bytes);
            batch.waiting.extend(self.front.take());
        }
    }
}

#[derive(Default)]
struct Batch {
    waiting: Vec<Waiting>,
    events: usize,
    bytes: usize,
}

impl Lanes {
    pub(super) fn new(
        foreground: mpsc::UnboundedReceiver<Waiting>,
        background: mpsc::UnboundedReceiver<Waiting>,
        settings: WriterSettings,
    ) -> Self {
        let lane = |queue| Lane { queue, front: None };
        Self {
            foreground: lane(foreground),
            background: lane(background),
            settings,
            background_served: Instant::now(),
        }
    }

    /// The next batch, never empty, once anything waits; `None` when nothing waits and no handle is left to send more.
    pub(super) async fn next_batch(&mut self) -> Option<Vec<Waiting>> {
        if self.foreground.front().is_none() && self.background.front().is_none() {
            // A handle has an end of each queue: where one is closed, nothing new comes into the other either.
            tokio::select! {
                first = self.foreground.queue.recv() => self.foreground.front = first,
                first = self.background.queue.recv() => self.background.front = first,
            }
        }
        Some(self.gather()).filter(|batch| !batch.is_empty())
    }

    fn gather(&mut self) -> Vec<Waiting> {
        let limits = self.settings;
        let fits = |events, bytes| events <= limits.batch_events && bytes <= limits.batch_bytes();
        let mut batch = Batch::default();
        let is_overdue = self.background_served.elapsed() >= limits.background_waits;
        if is_overdue || self.foreground.front().is_none() {
            // One at least, however large it is.
            self.background.fill(&mut batch, |batch, events, bytes| {
                batch.waiting.is_empty() || (events <= limits.background_events && fits(events, bytes))
            });
            self.background_served = Instant::now();
        }
        self.foreground
            .fill(&mut batch, |batch, events, bytes| batch.waiting.is_empty() || fits(events, bytes));
        batch.waiting
    }
}
