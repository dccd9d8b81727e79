//! Measures how fast the record is read, checked and decrypted, and how fast read models are folded from it: in one
//! process, by the service's own projector.
//!
//! `cargo xtask bench rebuild` runs it: `rebuild FOLDER EVENTS [POSTGRES-URL]`. The folder has to be empty; the keys
//! and, without a URL, the SQLite database come into it. Times are processor time of this process, all threads together,
//! and beside it what the clock says. It prints one line of JSON.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use mimalloc::MiMalloc;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use trialseal_projector::{Model, Projector, ProjectorParts};
use trialseal_record::event::DataRecorded;
use trialseal_store::{Progress, Store};

use crate::in_process::{EVENTS_A_COMMAND, EVENTS_A_STREAM, Ledger, Place, new_participant};

#[expect(dead_code, reason = "nothing is sealed here")]
mod in_process;

const TRIAL: &str = "MEASURED";

/// That of the service.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Those who append at once while the ledger is filled.
const PRODUCERS: usize = 64;

/// Ticks of the clock by which Linux tells processor time.
const TICKS_A_SECOND: f64 = 100.0;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, events, url) = match arguments.as_slice() {
        [folder, events] => (folder, events, None),
        [folder, events, url] => (folder, events, Some(url.as_str())),
        _ => bail!("usage: rebuild FOLDER EVENTS [POSTGRES-URL]"),
    };
    let folder = Path::new(folder);
    fs::create_dir_all(folder)?;
    ensure!(fs::read_dir(folder)?.next().is_none(), "{} is not empty", folder.display());
    let events: u64 = events.parse().context("EVENTS is no number")?;

    let progress = Arc::new(Progress::new());
    let place = Place::new(folder.to_owned(), url)?;
    let store = place.connect().await?;
    let ledger = Arc::new(place.open_ledger(&store, &progress, template()?).await?);
    ledger.register(&TRIAL.parse()?).await?;
    fill(&ledger, events).await?;
    let projector = projector(&store, &ledger, progress);

    let began = Began::now()?;
    while projector.step().await? {}
    let folded = began.until_now()?;
    // The pages are in the database's memory from here on.
    let began = Began::now()?;
    let read = catch_up(&projector).await?;
    let catch_up = began.until_now()?;
    let began = Began::now()?;
    projector.rebuild(&Model::ALL).await?;
    let rebuilt = began.until_now()?;
    ensure!(read == store.head().await?.position, "not all of the record was read");
    let printed = json!({
        "events": read, "catchUp": catch_up.rates(read), "fold": folded.rates(read), "rebuild": rebuilt.rates(read),
    });
    println!("{printed}");
    Ok(())
}

fn projector(store: &Arc<dyn Store>, ledger: &Ledger, progress: Arc<Progress>) -> Projector {
    let vault = Arc::clone(&ledger.vault);
    Projector::new(ProjectorParts { events: store.clone(), models: store.clone(), vault, progress })
}

/// Reads the whole record as it is read for folding; answers the number of events.
async fn catch_up(projector: &Projector) -> Result<u64> {
    let mut batch = projector.read(0).await?;
    while !batch.is_empty() {
        batch = projector.read(batch.end()).await?;
    }
    Ok(batch.from())
}

/// Records some `events` events of participants, 200 each.
async fn fill(ledger: &Arc<Ledger>, events: u64) -> Result<()> {
    let left = Arc::new(AtomicU64::new(events / u64::from(EVENTS_A_STREAM)));
    let mut producers = JoinSet::new();
    for _ in 0..PRODUCERS {
        let (ledger, left) = (Arc::clone(ledger), Arc::clone(&left));
        producers.spawn(async move {
            let one_less = |left: u64| left.checked_sub(1);
            let trial = TRIAL.parse()?;
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
                let participant = new_participant();
                for version in (0..EVENTS_A_STREAM).step_by(EVENTS_A_COMMAND) {
                    ledger.add(&trial, participant, version, EVENTS_A_COMMAND).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    producers.join_all().await.into_iter().collect()
}

/// When something began.
struct Began {
    at: Instant,
    processor: Duration,
}

/// How long something took.
struct Took {
    clock: Duration,
    processor: Duration,
}

impl Began {
    fn now() -> Result<Self> {
        Ok(Self { at: Instant::now(), processor: processor_time()? })
    }

    fn until_now(&self) -> Result<Took> {
        Ok(Took { clock: self.at.elapsed(), processor: processor_time()?.saturating_sub(self.processor) })
    }
}

impl Took {
    /// Events per second of processor time, and per second of the clock.
    fn rates(&self, events: u64) -> Value {
        let rate = |time: Duration| u32::try_from(events).map_or(f64::NAN, f64::from) / time.as_secs_f64();
        json!({
            "eventsACpuSecond": rate(self.processor), "eventsASecond": rate(self.clock),
            "cpuSeconds": self.processor.as_secs_f64(), "seconds": self.clock.as_secs_f64(),
        })
    }
}

/// What this process has used of the processors so far, in and for it: fields 14 and 15 of `/proc/self/stat`.
fn processor_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name, field 2, stands in brackets and can hold anything.
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat names no program")?;
    let ticks: Vec<u32> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(Duration::from_secs_f64(f64::from(ticks.iter().sum::<u32>()) / TICKS_A_SECOND))
}

/// The record that `cargo xtask bench append` sends: 20 fields, some 500 bytes of JSON.
fn template() -> Result<DataRecorded> {
    let item = |oid: &str, value: &str, unit: &str| json!({"itemOid": oid, "value": value, "unit": unit});
    let record = json!({
        "visit": "WEEK 12 OF TREATMENT", "form": "F.VITAL_SIGNS", "itemGroup": "IG.VITAL_SIGNS.SUPINE", "repeat": 1,
        "collectedOn": "2025-03-03T09:30",
        "items": [
            item("IT.SYSTOLIC_BLOOD_PRESSURE", "128.0", "mmHg"),
            item("IT.DIASTOLIC_BLOOD_PRESSURE", "81.5", "mmHg"),
            item("IT.PULSE_RATE_AT_REST", "66.0", "beats/min"),
            item("IT.BODY_TEMPERATURE_ORAL", "36.7", "C"),
            {"itemOid": "IT.INVESTIGATOR_COMMENT", "value": "Measured after five minutes of rest, left arm, cuff of medium size"},
        ],
    });
    Ok(serde_json::from_value(json!({"record": record}))?)
}
