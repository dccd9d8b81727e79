use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// How far the record has come, told within one process so that nobody has to poll: roles that share a process share
/// one of these. Roles that run apart poll the store's head instead; nothing depends on a signal arriving.
#[derive(Debug)]
pub struct Progress {
    recorded: watch::Sender<u64>,
    sealed: watch::Sender<u64>,
    published: watch::Sender<u64>,
    clock_ahead: AtomicBool,
}

impl Progress {
    /// Nothing recorded, nothing published.
    pub fn new() -> Self {
        let nothing = || watch::Sender::new(0);
        Self {
            recorded: nothing(),
            sealed: nothing(),
            published: nothing(),
            clock_ahead: AtomicBool::new(false),
        }
    }

    /// Says that all events before ledger position `position` are committed.
    pub fn set_recorded(&self, position: u64) {
        raise(&self.recorded, position);
    }

    /// Says that all events before ledger position `position` are covered by a seal that the log has signed.
    pub fn set_sealed(&self, position: u64) {
        raise(&self.sealed, position);
    }

    /// Says that all events before ledger position `position` are covered by a seal whose note meets the publication
    /// policy, and is public.
    pub fn set_published(&self, position: u64) {
        raise(&self.published, position);
    }

    /// Follows the committed position.
    pub fn recorded(&self) -> watch::Receiver<u64> {
        self.recorded.subscribe()
    }

    /// Follows the position that signed seals cover.
    pub fn sealed(&self) -> watch::Receiver<u64> {
        self.sealed.subscribe()
    }

    /// Follows the published position.
    pub fn published(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    /// Says whether the clock of this machine was found to be ahead of all others that were asked.
    pub fn set_clock_ahead(&self, ahead: bool) {
        self.clock_ahead.store(ahead, Ordering::Relaxed);
    }

    /// Whether nothing may be stamped with the time of this machine.
    pub fn clock_is_ahead(&self) -> bool {
        self.clock_ahead.load(Ordering::Relaxed)
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

fn raise(sender: &watch::Sender<u64>, position: u64) {
    sender.send_if_modified(|known| {
        let grew = position > *known;
        *known = (*known).max(position);
        grew
    });
}
