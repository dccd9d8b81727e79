//! What single steps take at the size that a record has: opening it, appending, sealing, proving.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use tokio::task::JoinSet;
use trialseal_record::{ParticipantId, TrialId};
use trialseal_runtime::ids::{Ids, SystemIds};
use trialseal_runtime::shutdown::Shutdown;
use trialseal_sealer::Sealer;
use trialseal_store::{Progress, Store, proofs};

use crate::cpu::{Meter, Spent, rounded};
use crate::grow::{TRIALS, trial};
use crate::in_process::{EVENTS_A_COMMAND, Ledger, Place, new_participant, three_items};

/// How often each step is done; what counts is the one in the middle.
const OPENINGS: usize = 5;
const APPENDS: u32 = 100;
const SEALS: usize = 9;
const PROOFS: usize = 200;
/// Commands between two seals: 1,000 events.
const COMMANDS_A_SEAL: usize = 100;
/// Commands that wait for their answers at the same time.
const AT_ONCE: usize = 64;

/// A step: the median of how long it takes and of the processor time it needs, in milliseconds, here and in PostgreSQL.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    ms: f64,
    cpu_ms: f64,
    server_cpu_ms: f64,
    /// The most that one of them needed here.
    cpu_ms_max: f64,
}

impl Step {
    fn of(all: &[Spent]) -> Self {
        let sorted = |time: fn(&Spent) -> Duration| {
            let mut times: Vec<f64> =
                all.iter().map(|spent| rounded(time(spent).as_secs_f64() * 1000.0)).collect();
            times.sort_by(f64::total_cmp);
            times
        };
        let median = |time| sorted(time).get(all.len() / 2).copied().unwrap_or_default();
        Self {
            ms: median(|spent| spent.time),
            cpu_ms: median(|spent| spent.cpu.own),
            server_cpu_ms: median(|spent| spent.cpu.server),
            cpu_ms_max: sorted(|spent| spent.cpu.own).last().copied().unwrap_or_default(),
        }
    }
}

/// What the steps take at one size.
#[derive(Serialize)]
pub(crate) struct Steps {
    /// Connecting, reading the vault, and the sealer's reading of where the record and its publication stand.
    open: Step,
    /// One command of 10 events, durable.
    append: Step,
    /// A whole round of the sealer over 1,000 new events.
    seal: Step,
    /// The hashes of a receipt: the first seal over an event, its trial map, and the three proofs.
    prove: Step,
}

/// The parts of a service that is open.
struct Opened {
    store: Arc<dyn Store>,
    ledger: Arc<Ledger>,
    sealer: Sealer,
}

async fn open(place: &Place) -> Result<Opened> {
    let progress = Arc::new(Progress::new());
    let store = place.connect().await?;
    let ledger = Arc::new(place.open_ledger(&store, &progress, three_items()?).await?);
    let sealer = place.open_sealer(&store, &progress).await?;
    Ok(Opened { store, ledger, sealer })
}

/// Measures all steps.
pub(crate) async fn steps(place: &Place, meter: &mut Meter) -> Result<Steps> {
    meter.settle().await?;
    let mut openings = Vec::new();
    for _ in 1..OPENINGS {
        openings.push(meter.measure(open(place)).await?.0);
    }
    let (spent, mut opened) = meter.measure(open(place)).await?;
    openings.push(spent);
    seal(&mut opened.sealer).await?;

    let (mut appends, of, participant) = (Vec::new(), trial(0)?, new_participant());
    for number in 0..APPENDS {
        let version = number * u32::try_from(EVENTS_A_COMMAND)?;
        let add = opened.ledger.add(&of, participant, version, EVENTS_A_COMMAND);
        appends.push(meter.measure(add).await?.0);
    }
    seal(&mut opened.sealer).await?;

    let mut seals = Vec::new();
    for _ in 0..SEALS {
        let adds = (0..COMMANDS_A_SEAL).map(|n| Ok((trial(n)?, new_participant())));
        add_all(&opened.ledger, adds.collect::<Result<_>>()?, 0, EVENTS_A_COMMAND).await?;
        seals.push(meter.measure(seal(&mut opened.sealer)).await?.0);
    }

    let mut proven = Vec::new();
    for number in 0..PROOFS {
        let trial = trial(number % TRIALS)?;
        let size = opened.store.trial_size(&trial).await?.context("a trial is missing")?;
        let mut random = [0; 8];
        SystemIds.fill(&mut random);
        let event = u64::from_le_bytes(random) % size;
        proven.push(meter.measure(prove(opened.store.as_ref(), &trial, event)).await?.0);
    }
    let [open, append, seal, prove] = [&openings, &appends, &seals, &proven].map(|all| Step::of(all));
    Ok(Steps { open, append, seal, prove })
}

/// A round of the sealer.
async fn seal(sealer: &mut Sealer) -> Result<()> {
    sealer.round(&Shutdown::new()).await?;
    Ok(())
}

/// What a receipt needs hashes for.
async fn prove(store: &dyn Store, trial: &TrialId, event: u64) -> Result<()> {
    let leaf = store.leaves_of_trial(trial, event, 1).await?.pop().context("an event is missing")?;
    let number = store.seal_covering(trial, event).await?.context("an event is not sealed")?;
    let seal = proofs::seal(store, number).await?.context("a seal is missing")?;
    let map = proofs::trial_map(store, &seal).await?;
    let head = proofs::head_proof(store, &map, trial, &seal).await?.context("a seal is not published")?;
    proofs::trial_inclusion(store, store, &head.head, event, &leaf).await?;
    Ok(())
}

/// Records one command for each of them, several at the same time.
async fn add_all(
    ledger: &Arc<Ledger>,
    participants: Vec<(TrialId, ParticipantId)>,
    version: u32,
    events: usize,
) -> Result<()> {
    let mut workers = JoinSet::new();
    for part in participants.chunks(participants.len().div_ceil(AT_ONCE)) {
        let (ledger, part) = (Arc::clone(ledger), part.to_vec());
        workers.spawn(async move {
            for (trial, participant) in part {
                ledger.add(&trial, participant, version, events).await?;
            }
            anyhow::Ok(())
        });
    }
    workers.join_all().await.into_iter().collect()
}

/// What a seal takes in which all of many trials changed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManyTrials {
    trials: usize,
    /// A whole round of the sealer, each trial having one new event.
    seal: Step,
    /// Opening the ledger.
    open: Step,
    /// The first round after that, in which each trial's tree has to be read.
    first_seal: Step,
}

/// Measures seals of a new ledger with so many trials.
pub(crate) async fn many_trials(place: &Place, meter: &mut Meter, trials: usize) -> Result<ManyTrials> {
    let Opened { ledger, mut sealer, .. } = open(place).await?;
    let names =
        (0..trials).map(|n| Ok(format!("TRIAL-{n:05}").parse()?)).collect::<Result<Vec<TrialId>>>()?;
    register_all(&ledger, &names).await?;
    let adds: Vec<_> = names.into_iter().map(|trial| (trial, new_participant())).collect();
    seal(&mut sealer).await?;
    let (mut versions, mut seals) = (0.., Vec::new());
    for version in versions.by_ref().take(SEALS) {
        add_all(&ledger, adds.clone(), version, 1).await?;
        meter.settle().await?;
        seals.push(meter.measure(seal(&mut sealer)).await?.0);
    }
    drop(sealer);
    let (mut openings, mut first_seals) = (Vec::new(), Vec::new());
    for version in versions.take(OPENINGS) {
        let (spent, mut opened) = meter.measure(open(place)).await?;
        openings.push(spent);
        add_all(&ledger, adds.clone(), version, 1).await?;
        meter.settle().await?;
        first_seals.push(meter.measure(seal(&mut opened.sealer)).await?.0);
        let head = opened.store.head().await?;
        ensure!(head.sealed == head.position, "a seal left events out");
    }
    let [seal, open, first_seal] = [&seals, &openings, &first_seals].map(|all| Step::of(all));
    Ok(ManyTrials { trials, seal, open, first_seal })
}

async fn register_all(ledger: &Arc<Ledger>, trials: &[TrialId]) -> Result<()> {
    let mut workers = JoinSet::new();
    for part in trials.chunks(trials.len().div_ceil(AT_ONCE)) {
        let (ledger, part) = (Arc::clone(ledger), part.to_vec());
        workers.spawn(async move {
            for trial in part {
                ledger.register(&trial).await?;
            }
            anyhow::Ok(())
        });
    }
    workers.join_all().await.into_iter().collect()
}
