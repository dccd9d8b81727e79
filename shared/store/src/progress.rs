use tokio::sync::watch;

/// How far the record has come, told within one process so that nobody has to poll: roles that share a process share
/// one of these. Roles that run apart poll the store's head instead; nothing depends on a signal arriving.
#[derive(Debug)]
pub struct Progress {
    recorded: watch::Sender<u64>,
    published: watch::Sender<u64>,
}

impl Progress {
    /// Nothing recorded, nothing published.
    pub fn new() -> Self {
        Self { recorded: watch::Sender::new(0), published: watch::Sender::new(0) }
    }

    /// Says that all events before ledger position `position` are committed.
    pub fn set_recorded(&self, position: u64) {
        raise(&self.recorded, position);
    }

    /// Says that all events before ledger position `position` are covered by a published seal.
    pub fn set_published(&self, position: u64) {
        raise(&self.published, position);
    }

    /// Follows the committed position.
    pub fn recorded(&self) -> watch::Receiver<u64> {
        self.recorded.subscribe()
    }

    /// Follows the published position.
    pub fn published(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
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
