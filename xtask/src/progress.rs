//! Tells whoever waits how far a long step is: one line that moves on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Width of the bar in characters.
const BAR_WIDTH: u64 = 30;

/// How often a line is written where there is no terminal.
const LINE_EVERY_SECONDS: u64 = 5;

/// One step of known length. May be shared between threads.
pub(crate) struct Progress {
    title: &'static str,
    total: u64,
    done: AtomicU64,
    started: Instant,
    /// When the last line was written, in seconds since the start.
    said_seconds: AtomicU64,
    on_terminal: bool,
}

impl Progress {
    pub(crate) fn new(title: &'static str, total: u64) -> Self {
        let on_terminal = std::io::stderr().is_terminal();
        Self {
            title,
            total: total.max(1),
            done: AtomicU64::new(0),
            started: Instant::now(),
            said_seconds: AtomicU64::new(0),
            on_terminal,
        }
    }

    /// So much more is done.
    pub(crate) fn add(&self, more: u64) {
        let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
        self.show(done);
    }

    /// So much is done in all.
    pub(crate) fn reach(&self, now: u64) {
        self.done.store(now, Ordering::Relaxed);
        self.show(now);
    }

    fn show(&self, now: u64) {
        let now = now.min(self.total);
        let (title, total) = (self.title, self.total);
        if self.on_terminal {
            let filled = usize::try_from(now * BAR_WIDTH / total).unwrap_or(0);
            eprint!("\r{title:<28} {:░<30} {now}/{total}", "█".repeat(filled));
        } else if self.is_time_for_a_line() {
            eprintln!("{title:<28} {now}/{total}");
        }
        // Progress that cannot be shown is no reason to stop.
        let _ = std::io::stderr().flush();
    }

    fn is_time_for_a_line(&self) -> bool {
        let (now, before) = (self.started.elapsed().as_secs(), self.said_seconds.load(Ordering::Relaxed));
        let is_due = now >= before + LINE_EVERY_SECONDS;
        // Of several threads that find it due, one says it.
        is_due
            && self.said_seconds.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The step is over.
    pub(crate) fn finish(self) {
        let total = self.total;
        self.reach(total);
        let seconds = self.started.elapsed().as_secs_f64();
        // On a terminal this covers what is left of the bar.
        let (back, width) = if self.on_terminal { ("\r", 50) } else { ("", 0) };
        eprintln!("{back}{:<28} {:<width$}", self.title, format!("done, {total} in {seconds:.1} s"));
    }
}

/// Says that a step without a known length begins.
pub(crate) fn begin(title: &str) {
    eprintln!("{title} …");
}
