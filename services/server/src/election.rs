//! Which process serves a ledger. Several can be started on one PostgreSQL database; one of them is elected, and the
//! others stand by until its term ends.
//!
//! What it is not: what keeps two processes from writing at once. The store does that, by the head row that every append
//! and every seal locks; here it is only found out and acted upon.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use trialseal_runtime::clock::{Clock, SystemClock};
use trialseal_runtime::ids::{Ids, SystemIds};
use trialseal_runtime::settings::Settings;
use trialseal_runtime::shutdown::Shutdown;
use trialseal_store::{Standing, Store, StoreError};
use uuid::Uuid;

use crate::http::Door;
use crate::ledger::Ledger;
use crate::lock::FolderLock;
use crate::standby::Standby;

/// How long a term lasts that nobody renews: how long a ledger is without a writer when the writer's machine dies.
/// Shorter, and a pause of a busy machine would cost an orderly writer its term.
const TERM: Duration = Duration::from_secs(5);
/// How often the elected process renews its term, so that several renewals may fail; and how often the others stand.
const RENEWAL: Duration = Duration::from_secs(1);
/// How long a process that was elected waits for the one before it to leave a folder that they share. That one finds out
/// at its next renewal, and ends what is under way.
const FOLDER_PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks whether it has left.
const FOLDER_PAUSE: Duration = Duration::from_millis(100);

/// The right to write a ledger, until it is given back or lost.
pub(crate) struct Elected {
    who: Uuid,
    /// The ledger in this process's hands.
    pub(crate) store: Arc<dyn Store>,
    /// Ends by itself only where another process was elected.
    keeper: JoinHandle<()>,
    folder: Option<FolderLock>,
    standby: Option<Standby>,
}

/// Waits until this process is elected; `None` where it was asked to end before. While it waits it answers at the
/// door that it stands by. `folder` is the lock of the folder where that is had already, to be kept meanwhile.
pub(crate) async fn win(
    settings: &Settings,
    store: &Arc<dyn Store>,
    mut folder: Option<FolderLock>,
    door: &Door,
    shutdown: &Shutdown,
) -> Result<Option<Elected>> {
    let who = SystemIds.uuid_v7(SystemClock.now());
    let keep_folder = folder.is_some();
    let mut standby: Option<Standby> = None;
    loop {
        let mut held = match folder.take() {
            None => FolderLock::try_take(&settings.dir)?,
            taken => taken,
        };
        match stand(store.as_ref(), who, held.as_mut()).await {
            Ok(Standing::Elected) => {
                let elected = Elected::begin(settings, store, who, shutdown, held, standby);
                return elected.with_folder(settings).await.map(Some);
            }
            Ok(Standing::Other(holder)) if standby.is_none() => {
                tracing::info!(process = %who, %holder, "server.election.standby");
            }
            Ok(Standing::Other(_)) => {}
            Err(error) => tracing::warn!(%error, "server.election.stand"),
        }
        let answering = match standby.take() {
            None => Standby::serve(door)?,
            Some(answering) => answering,
        };
        // Of processes that share a folder, those that are not elected leave its lock to the one that is.
        folder = held.filter(|_| keep_folder);
        if !shutdown.pause(RENEWAL).await {
            answering.stop().await;
            return Ok(None);
        }
        standby = Some(answering);
    }
}

/// Stands for the election, after ending the term of a process that is known to have ended: the one that held the
/// folder's lock before. So a start after a crash need not wait for the term to run out.
async fn stand(
    store: &dyn Store,
    who: Uuid,
    folder: Option<&mut FolderLock>,
) -> Result<Standing, StoreError> {
    if let Some(ended) = folder.and_then(FolderLock::last) {
        store.resign(ended).await?;
    }
    store.stand(who, TERM).await
}

impl Elected {
    fn begin(
        settings: &Settings,
        store: &Arc<dyn Store>,
        who: Uuid,
        shutdown: &Shutdown,
        folder: Option<FolderLock>,
        standby: Option<Standby>,
    ) -> Self {
        tracing::info!(process = %who, "server.election.elected");
        let keeper = Keeper { store: Arc::clone(store), who, embedded: Ledger::is_embedded(settings) };
        let keeper = tokio::spawn(keeper.run(shutdown.clone()));
        Self { who, store: store.in_hands_of(who), keeper, folder, standby }
    }

    /// Makes sure of the folder's lock, for which the process that was elected before may have to end.
    async fn with_folder(mut self, settings: &Settings) -> Result<Self> {
        let begun = Instant::now();
        while self.folder.is_none() && begun.elapsed() < FOLDER_PATIENCE {
            self.folder = FolderLock::try_take(&settings.dir)?;
            tokio::time::sleep(FOLDER_PAUSE).await;
        }
        let named = match &mut self.folder {
            Some(folder) => folder.name(self.who),
            None => Err(anyhow!(
                "another process serves the ledger in {} and does not end, though it lost its term: end it",
                settings.dir.display()
            )),
        };
        if let Err(error) = named {
            self.end(Err(error)).await?;
            bail!("the folder could not be had");
        }
        Ok(self)
    }

    /// Stops answering that this process stands by, as it is about to answer for itself.
    pub(crate) async fn step_forward(&mut self) {
        if let Some(standby) = self.standby.take() {
            standby.stop().await;
        }
    }

    /// Gives the right back, when all roles have ended, so that the next process need not wait for the term to run out.
    /// `served` is how they ended.
    ///
    /// # Errors
    /// That of `served`, or that the right was lost.
    pub(crate) async fn end(mut self, served: Result<()>) -> Result<()> {
        self.step_forward().await;
        if self.keeper.is_finished() {
            bail!("another process was elected to write this ledger; started again, this one stands by");
        }
        self.keeper.abort();
        // No longer than the term would last anyway.
        match tokio::time::timeout(TERM, self.store.resign(self.who)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "server.election.resign"),
            Err(_) => tracing::warn!("server.election.resign"),
        }
        served
    }
}

/// Keeps a term.
struct Keeper {
    store: Arc<dyn Store>,
    who: Uuid,
    /// An embedded database's folder has one process at a time, so that nobody waits there for a term to run out: it is
    /// not renewed, and an idle service leaves the disk alone.
    embedded: bool,
}

impl Keeper {
    /// Renews the term until another process is elected, and then asks this one to end. As long as the database cannot be
    /// reached nobody else is elected either, or what this process writes is refused: so that is no reason to end.
    async fn run(self, shutdown: Shutdown) {
        loop {
            tokio::time::sleep(RENEWAL).await;
            match self.renew().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => tracing::warn!(%error, "server.election.renew"),
            }
        }
        tracing::error!(process = %self.who, "server.election.deposed");
        shutdown.request();
    }

    async fn renew(&self) -> Result<bool, StoreError> {
        if self.embedded {
            return Ok(self.store.holder().await? == Some(self.who));
        }
        self.store.renew(self.who, TERM).await
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::path::Path;

    use trialseal_store::memory::MemoryStore;

    use super::*;

    /// A process with a folder, on a database that all of them share.
    struct Process {
        settings: Settings,
        door: Door,
        shutdown: Shutdown,
    }

    impl Process {
        fn new(dir: &Path) -> Self {
            let dir = dir.to_string_lossy().into_owned();
            let settings = Settings::from_env(|name| match name {
                "TRIALSEAL_DIR" => Some(dir.clone()),
                "TRIALSEAL_DATABASE_URL" => Some("postgres://nobody.asks.example/it".to_owned()),
                "TRIALSEAL_KEY_DATABASE_URL" => Some("file".to_owned()),
                _ => None,
            });
            let door = Door { listener: TcpListener::bind("127.0.0.1:0").unwrap(), certificate: None };
            Self { settings: settings.unwrap(), door, shutdown: Shutdown::new() }
        }

        async fn win(&self, store: &Arc<dyn Store>) -> Result<Option<Elected>> {
            win(&self.settings, store, None, &self.door, &self.shutdown).await
        }

        /// What is answered at the listener.
        async fn answer(&self, route: &'static str) -> String {
            let address = self.door.listener.local_addr().unwrap();
            let asked = tokio::task::spawn_blocking(move || {
                let mut connection = TcpStream::connect(address).unwrap();
                connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                write!(connection, "GET {route} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                    .unwrap();
                let mut answer = String::new();
                connection.read_to_string(&mut answer).unwrap();
                answer
            });
            asked.await.unwrap()
        }
    }

    fn store() -> Arc<dyn Store> {
        Arc::new(MemoryStore::new("ledger.example.org/election"))
    }

    /// As `kill -9` ends a process.
    fn kill(elected: Elected) {
        elected.keeper.abort();
        drop(elected);
    }

    #[tokio::test]
    async fn the_second_stands_by_until_the_first_has_ended() {
        let (dirs, store) = ([(); 2].map(|()| tempfile::tempdir().unwrap()), store());
        let [first, second] = dirs.each_ref().map(|dir| Process::new(dir.path()));
        let elected = first.win(&store).await.unwrap().unwrap();
        drop(elected.store.begin_append().await.unwrap());
        let waiting = async {
            let next = second.win(&store).await.unwrap().unwrap();
            assert_eq!(store.holder().await.unwrap(), Some(next.who));
            next
        };
        let asking = async {
            assert!(second.answer("/healthz").await.starts_with("HTTP/1.1 200"));
            for route in ["/readyz", "/v1/trials", "/metrics"] {
                let answer = second.answer(route).await.to_lowercase();
                assert!(answer.starts_with("http/1.1 503"), "{answer}");
                assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
                assert!(answer.contains("application/problem+json"), "{answer}");
            }
            let former = elected.store.clone();
            elected.end(Ok(())).await.unwrap();
            former
        };
        let (next, former) = tokio::join!(waiting, asking);
        assert!(matches!(former.begin_append().await.err(), Some(StoreError::Deposed)));
        next.end(Ok(())).await.unwrap();
        assert_eq!(store.holder().await.unwrap(), None);
    }

    #[tokio::test]
    async fn who_stands_by_can_be_asked_to_end() {
        let (dirs, store) = ([(); 2].map(|()| tempfile::tempdir().unwrap()), store());
        let [first, second] = dirs.each_ref().map(|dir| Process::new(dir.path()));
        let elected = first.win(&store).await.unwrap().unwrap();
        second.shutdown.request();
        assert!(second.win(&store).await.unwrap().is_none());
        elected.end(Ok(())).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_deposed_ends_and_says_so() {
        let (dir, store) = (tempfile::tempdir().unwrap(), store());
        let process = Process::new(dir.path());
        let elected = process.win(&store).await.unwrap().unwrap();
        // As long as nobody else is elected it goes on, and the term with it.
        tokio::time::sleep(TERM * 3).await;
        let other = Uuid::from_u128(1);
        assert_eq!(store.stand(other, TERM).await.unwrap(), Standing::Other(elected.who));
        assert!(!process.shutdown.is_requested());
        store.resign(elected.who).await.unwrap();
        store.stand(other, TERM).await.unwrap();
        process.shutdown.requested().await;
        let said = elected.end(Err(anyhow!("what came of it"))).await.unwrap_err().to_string();
        assert!(said.starts_with("another process was elected"), "{said}");
        assert_eq!(store.holder().await.unwrap(), Some(other));
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_after_a_crash_does_not_wait_for_the_term() {
        let (dir, store) = (tempfile::tempdir().unwrap(), store());
        let (begun, process) = (Instant::now(), Process::new(dir.path()));
        for _ in 0..3 {
            kill(process.win(&store).await.unwrap().unwrap());
        }
        assert!(begun.elapsed() < RENEWAL);
        // From elsewhere nobody can know that it has ended.
        let elsewhere = tempfile::tempdir().unwrap();
        let elected = Process::new(elsewhere.path()).win(&store).await.unwrap().unwrap();
        assert!(begun.elapsed() >= TERM);
        kill(elected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_folder_that_is_not_left_is_not_shared() {
        let (dir, store) = (tempfile::tempdir().unwrap(), store());
        let process = Process::new(dir.path());
        let frozen = FolderLock::take(dir.path()).unwrap();
        let said = process.win(&store).await.err().unwrap().to_string();
        assert!(said.contains("does not end"), "{said}");
        assert_eq!(store.holder().await.unwrap(), None);
        drop(frozen);
        process.win(&store).await.unwrap().unwrap().end(Ok(())).await.unwrap();
    }
}
