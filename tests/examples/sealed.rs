//! Measures how many events a second come as far as a published seal, in one process and without HTTP: committed to and
//! encrypted here, grouped and made durable by the writer, sealed once a second and published into a folder by the
//! sealer. All of it is what the service uses; only the deciding of commands is left out.
//!
//! The clock runs from the first append until the last event is covered by a published seal. What is compared with it is
//! a log without a record behind it: Tessera's POSIX driver, with 51,000 leaves of 300 bytes a second on two cores. So
//! the data of an event here are 300 bytes, too.
//!
//! `cargo xtask bench append` runs it: `sealed FOLDER SECONDS [POSTGRES-URL]`. The folder has to be empty; the log, the
//! keys and, without a URL, the SQLite database come into it. It prints one line of JSON.

mod in_process;

use std::fs;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};
use trialseal_record::TrialId;
use trialseal_runtime::shutdown::Shutdown;
use trialseal_sealer::SealError;
use trialseal_store::Progress;

use self::in_process::{EVENTS_A_COMMAND, EVENTS_A_STREAM, Ledger, Place, new_participant, three_items};

const TRIAL: &str = "SEALED";

/// Those who append at once, each waiting for its answer before it goes on: as many as the other loads have clients.
const PRODUCERS: usize = 64;

/// How long the sealer may need for what is left when the producers end. It is a failure, not a figure, if it needs more.
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, seconds, url) = match arguments.as_slice() {
        [folder, seconds] => (folder, seconds, None),
        [folder, seconds, url] => (folder, seconds, Some(url.as_str())),
        _ => bail!("usage: sealed FOLDER SECONDS [POSTGRES-URL]"),
    };
    let folder = Path::new(folder);
    fs::create_dir_all(folder)?;
    ensure!(fs::read_dir(folder)?.next().is_none(), "{} is not empty", folder.display());
    let length = Duration::from_secs(seconds.parse().context("SECONDS is no number")?);

    let progress = Arc::new(Progress::new());
    let place = Place::new(folder.to_owned(), url)?;
    let store = place.connect().await?;
    let ledger = Arc::new(place.open_ledger(&store, &progress, three_items()?).await?);
    ledger.register(&TRIAL.parse()?).await?;
    let sealer = place.open_sealer(&store, &progress).await?;
    let shutdown = Shutdown::new();
    let mut sealing = tokio::spawn(sealer.run(shutdown.clone()));
    let begun = Instant::now();
    let measuring = follow(&ledger, &progress, &mut sealing, begun + length);
    let (added, seals) = tokio::time::timeout(length + PATIENCE, measuring)
        .await
        .context("the last event is not in a published seal in time")??;
    shutdown.request();
    sealing.await??;
    print(begun, &added, &seals)
}

/// A command that is durable.
struct Added {
    /// When its data were there, and nothing was done with them yet.
    begun: Instant,
    /// The ledger position after its last event.
    end: u64,
}

/// A publication: all events before this position are covered by a published seal.
struct Published {
    at: Instant,
    position: u64,
}

/// Lets the producers append until `until`, and waits until all of it is published.
async fn follow(
    ledger: &Arc<Ledger>,
    progress: &Progress,
    sealing: &mut JoinHandle<Result<(), SealError>>,
    until: Instant,
) -> Result<(Vec<Added>, Vec<Published>)> {
    let mut published = progress.published();
    let mut producers = JoinSet::new();
    for _ in 0..PRODUCERS {
        let ledger = Arc::clone(ledger);
        producers.spawn(async move { produce(&ledger, until).await });
    }
    let mut producing = pin!(producers.join_all());
    let (mut added, mut seals): (Option<Vec<Added>>, Vec<Published>) = (None, Vec::new());
    loop {
        tokio::select! {
            all = &mut producing, if added.is_none() => {
                added = Some(all.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect());
            }
            changed = published.changed() => {
                changed?;
                seals.push(Published { at: Instant::now(), position: *published.borrow_and_update() });
            }
            ended = &mut *sealing => bail!("the sealer has ended: {ended:?}"),
        }
        let Some(all) = added.take() else { continue };
        let end = all.iter().map(|added| added.end).max().context("nothing was appended")?;
        if seals.last().is_some_and(|seal| seal.position >= end) {
            return Ok((all, seals));
        }
        added = Some(all);
    }
}

fn print(begun: Instant, added: &[Added], seals: &[Published]) -> Result<()> {
    // A seal never divides a command: what is added at once is published at once.
    let published = |added: &Added| {
        seals.get(seals.partition_point(|seal| seal.position < added.end)).map(|seal| seal.at)
    };
    let mut latencies: Vec<(Duration, Instant)> = added
        .iter()
        .map(|added| published(added).map(|at| (at - added.begun, at)))
        .collect::<Option<_>>()
        .context("an event is not published")?;
    let last = latencies.iter().map(|(_, at)| *at).max().context("nothing was appended")?;
    latencies.sort_unstable();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100].0.as_secs_f64() * 1000.0;
    let events = u32::try_from(added.len() * EVENTS_A_COMMAND)?;
    let seconds = (last - begun).as_secs_f64();
    let printed = json!({
        "events": events, "seconds": seconds, "publications": seals.len(),
        "eventsASecond": f64::from(events) / seconds, "p50Ms": at(50), "p99Ms": at(99),
    });
    println!("{printed}");
    Ok(())
}

/// Appends one command after the other, until it is late.
async fn produce(ledger: &Ledger, until: Instant) -> Result<Vec<Added>> {
    let trial: TrialId = TRIAL.parse()?;
    let mut added = Vec::new();
    loop {
        let participant = new_participant();
        for version in (0..EVENTS_A_STREAM).step_by(EVENTS_A_COMMAND) {
            let begun = Instant::now();
            if begun >= until {
                return Ok(added);
            }
            let end = ledger.add(&trial, participant, version, EVENTS_A_COMMAND).await?;
            added.push(Added { begun, end });
        }
    }
}
