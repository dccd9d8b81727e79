//! Ending: one token that every role waits on, the signals that set it off, and the roles under supervision.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

/// Says that the process is to end. Cloned freely; once requested it stays so.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Shutdown {
    /// A token that nobody has requested yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Asks everybody who waits to end.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Whether it has been requested.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is requested. May be dropped and awaited anew at any time, so it suits a `select!`.
    pub async fn requested(&self) {
        // Fails only once the sender is gone, and `self` holds it.
        let _ = self.0.subscribe().wait_for(|requested| *requested).await;
    }

    /// Waits for `pause`, or less where it is requested meanwhile; answers whether to go on.
    pub async fn pause(&self, pause: Duration) -> bool {
        tokio::time::timeout(pause, self.requested()).await.is_err()
    }

    /// Requests it at the first SIGTERM or SIGINT. A second one ends the process at once, with exit code 130:
    /// everything durable survives that.
    pub fn on_signals(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if shutdown.is_requested() {
                    std::process::exit(130);
                }
                tracing::info!("asked to end");
                shutdown.request();
            }
        });
        Ok(())
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

/// A role that ended before it was asked to.
#[derive(Debug, thiserror::Error)]
#[error("{role} {how}")]
pub struct RoleEnded {
    /// Which role.
    pub role: &'static str,
    /// In which way.
    pub how: String,
}

/// The roles of a process, under supervision: when one ends unasked, all are asked to, so that a supervisor outside
/// starts the whole anew instead of a half going on unseen.
#[derive(Debug)]
pub struct Roles {
    shutdown: Shutdown,
    tasks: JoinSet<anyhow::Result<()>>,
    names: HashMap<Id, &'static str>,
}

impl Roles {
    /// No role yet; `shutdown` is what they are given to wait on.
    pub fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, tasks: JoinSet::new(), names: HashMap::new() }
    }

    /// Starts a role.
    pub fn spawn(
        &mut self,
        name: &'static str,
        role: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let task = self.tasks.spawn(role);
        self.names.insert(task.id(), name);
    }

    /// Waits until every role has ended. After a request to end they have `grace` to do so, then they are dropped.
    /// Answers the first failure: an error, a panic, an end that nobody asked for, or a role that would not end.
    pub async fn finish(mut self, grace: Duration) -> Result<(), RoleEnded> {
        let mut first = Ok(());
        let shutdown = self.shutdown.clone();
        tokio::select! {
            () = self.watch(&mut first) => {}
            () = async { shutdown.requested().await; tokio::time::sleep(grace).await } => {
                let left: Vec<_> = self.names.values().copied().collect();
                tracing::error!(roles = ?left, grace_seconds = grace.as_secs(), "roles did not end when asked to");
                if let (Ok(()), Some(role)) = (&first, left.first()) {
                    first = Err(RoleEnded { role, how: "did not end when asked to".to_owned() });
                }
            }
        }
        first
    }

    async fn watch(&mut self, first: &mut Result<(), RoleEnded>) {
        while let Some(joined) = self.tasks.join_next_with_id().await {
            let asked = self.shutdown.is_requested();
            let (id, how) = match joined {
                Ok((id, Ok(()))) => (id, (!asked).then(|| "ended without being asked to".to_owned())),
                Ok((id, Err(error))) => (id, Some(format!("failed: {error:#}"))),
                Err(error) => (error.id(), Some(described(&error))),
            };
            let role = self.names.remove(&id).unwrap_or("a role");
            match how {
                None => tracing::info!(role, "ended"),
                Some(how) => {
                    tracing::error!(role, how, "a role ended");
                    self.shutdown.request();
                    if first.is_ok() {
                        *first = Err(RoleEnded { role, how });
                    }
                }
            }
        }
    }
}

/// The panic's own text is left out, as it may quote anything; the panic hook has written where it was.
fn described(error: &JoinError) -> String {
    if error.is_panic() { "panicked".to_owned() } else { "was cancelled".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn everybody_who_waits_is_told_and_late_comers_too() {
        let shutdown = Shutdown::new();
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.requested().await }
        });
        assert!(shutdown.pause(Duration::from_secs(1)).await, "nothing was requested yet");
        shutdown.request();
        waiting.await.unwrap();
        shutdown.requested().await;
        assert!(shutdown.is_requested() && !shutdown.pause(Duration::from_secs(1)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn roles_that_end_when_asked_are_no_failure() {
        let shutdown = Shutdown::new();
        let mut roles = Roles::new(shutdown.clone());
        for name in ["sealer", "projector"] {
            let shutdown = shutdown.clone();
            roles.spawn(name, async move {
                shutdown.requested().await;
                Ok(())
            });
        }
        shutdown.request();
        roles.finish(GRACE).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_fails_panics_or_just_ends_takes_the_others_along() {
        type Ends = fn() -> anyhow::Result<()>;
        let cases: [(Ends, &str); 3] = [
            (
                || Err(anyhow::anyhow!("disk full").context("writing a tile")),
                "sealer failed: writing a tile: disk full",
            ),
            (|| panic!("of participant data"), "sealer panicked"),
            (|| Ok(()), "sealer ended without being asked to"),
        ];
        for (ends, expected) in cases {
            let shutdown = Shutdown::new();
            let mut roles = Roles::new(shutdown.clone());
            let other = shutdown.clone();
            roles.spawn("query", async move {
                other.requested().await;
                Ok(())
            });
            roles.spawn("sealer", async move { ends() });
            assert_eq!(roles.finish(GRACE).await.unwrap_err().to_string(), expected);
            assert!(shutdown.is_requested());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_will_not_end_is_left_behind_and_named() {
        let shutdown = Shutdown::new();
        let mut roles = Roles::new(shutdown.clone());
        roles.spawn("exporter", std::future::pending());
        shutdown.request();
        assert_eq!(roles.finish(GRACE).await.unwrap_err().to_string(), "exporter did not end when asked to");
    }
}
