//! Growing a record at full speed: who records what, and how far publication was at which moment.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::task::JoinSet;
use trialseal_record::{ParticipantId, TrialId};
use trialseal_runtime::shutdown::Shutdown;
use trialseal_store::Progress;

use crate::cpu::{Cpu, Meter, rounded};
use crate::in_process::{EVENTS_A_COMMAND, EVENTS_A_STREAM, Ledger, Place, new_participant, three_items};

/// Trials of the record.
pub(crate) const TRIALS: usize = 20;
/// Those who append at once, each waiting for its answer before it goes on.
const PRODUCERS: usize = 64;
/// Participants whose events a producer records in turn. With all producers that is 1,024 at a time.
const PARTICIPANTS: usize = 16;
/// Events after which it is said how it goes.
const TOLD: u64 = 500_000;

pub(crate) fn trial(number: usize) -> Result<TrialId> {
    Ok(format!("SCALE-{:02}", number % TRIALS + 1).parse()?)
}

/// A moment at which all events before this position were covered by a published seal.
pub(crate) struct Published {
    pub(crate) position: u64,
    pub(crate) at: Instant,
    pub(crate) cpu: Cpu,
    /// The time that the machine's processors had been at work.
    machine: Duration,
    /// Bytes that PostgreSQL had written ahead.
    write_ahead: u64,
}

/// Records events until the ledger has `events` of them, sealing as the service does. Answers with the publications that
/// came while events were being recorded.
pub(crate) async fn grow(place: &Place, meter: &mut Meter, events: u64) -> Result<Vec<Published>> {
    let progress = Arc::new(Progress::new());
    let store = place.connect().await?;
    let ledger = Arc::new(place.open_ledger(&store, &progress, three_items()?).await?);
    let sealer = place.open_sealer(&store, &progress).await?;
    let shutdown = Shutdown::new();
    let mut sealing = tokio::spawn(sealer.run(shutdown.clone()));
    let missing = events.saturating_sub(store.head().await?.position);
    let commands = Arc::new(AtomicU64::new(missing.div_ceil(EVENTS_A_COMMAND as u64)));
    let mut producers = JoinSet::new();
    for number in 0..PRODUCERS {
        let (ledger, commands) = (Arc::clone(&ledger), Arc::clone(&commands));
        producers.spawn(async move { produce(number, &ledger, &commands).await });
    }
    let mut producing = pin!(producers.join_all());
    let (mut published, mut course) = (progress.published(), Vec::new());
    loop {
        tokio::select! {
            all = &mut producing => {
                all.into_iter().collect::<Result<Vec<()>>>()?;
                break;
            }
            changed = published.changed() => {
                changed?;
                let position = *published.borrow_and_update();
                let (at, cpu, machine) = (Instant::now(), meter.read()?, Meter::machine()?);
                let write_ahead = meter.write_ahead().await?;
                course.push(Published { position, at, cpu, machine, write_ahead });
                tell(&course)?;
            }
            ended = &mut sealing => bail!("the sealer has ended: {ended:?}"),
        }
    }
    shutdown.request();
    sealing.await??;
    Ok(course)
}

/// Says how it goes each time that so many more events are published.
fn tell(course: &[Published]) -> Result<()> {
    let millions = |published: &Published| published.position / TOLD;
    if let [.., before, last] = course
        && millions(before) < millions(last)
    {
        let pace = Pace::between(course, last.position.saturating_sub(TOLD), last.position)?;
        eprintln!("{} events: {}", last.position, serde_json::json!(pace));
    }
    Ok(())
}

/// Records one command after the other, a participant in turn, until no command is left.
async fn produce(number: usize, ledger: &Ledger, commands: &AtomicU64) -> Result<()> {
    let mut participants = Vec::with_capacity(PARTICIPANTS);
    for place in 0..PARTICIPANTS {
        participants.push(Participant {
            trial: trial(number * PARTICIPANTS + place)?,
            id: new_participant(),
            version: 0,
            // The first ones leave early, so that from the beginning somebody new comes now and then.
            last: EVENTS_A_STREAM * u32::try_from(place + 1)? / u32::try_from(PARTICIPANTS)?,
        });
    }
    for place in (0..PARTICIPANTS).cycle() {
        let claim = commands.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        let (Ok(_), Some(participant)) = (claim, participants.get_mut(place)) else { break };
        participant.record(ledger).await?;
    }
    Ok(())
}

struct Participant {
    trial: TrialId,
    id: ParticipantId,
    version: u32,
    /// The number of events after which somebody new takes the place.
    last: u32,
}

impl Participant {
    async fn record(&mut self, ledger: &Ledger) -> Result<()> {
        ledger.add(&self.trial, self.id, self.version, EVENTS_A_COMMAND).await?;
        self.version += u32::try_from(EVENTS_A_COMMAND)?;
        if self.version >= self.last {
            (self.id, self.version, self.last) = (new_participant(), 0, EVENTS_A_STREAM);
        }
        Ok(())
    }
}

/// What came of recording from one position to another.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pace {
    events_a_second: f64,
    /// Processor time of an event in microseconds, of this process and of PostgreSQL.
    cpu_us: f64,
    server_cpu_us: f64,
    /// Bytes that PostgreSQL wrote ahead for an event.
    write_ahead_bytes: f64,
    /// Processors that others kept at work on this machine: what they take is missing in the pace.
    others: f64,
}

impl Pace {
    /// Between the first publication that covers `from` events and the first that covers `to`, or else the last there is.
    pub(crate) fn between(course: &[Published], from: u64, to: u64) -> Result<Self> {
        let first = |position: u64| course.iter().find(|published| published.position >= position);
        let begin = first(from).context("too little was published")?;
        let end = first(to).or(course.last()).context("nothing was published")?;
        let events = f64::from(u32::try_from(end.position - begin.position)?);
        let cpu = end.cpu.since(begin.cpu);
        let micros = |cpu: Duration| cpu.as_secs_f64() * 1e6 / events;
        let seconds = (end.at - begin.at).as_secs_f64();
        let others = end.machine.saturating_sub(begin.machine).saturating_sub(cpu.own + cpu.server);
        // Below 2^53, where numbers of this kind are exact.
        let written = f64::from(u32::try_from((end.write_ahead - begin.write_ahead) / 1024)?) * 1024.0;
        Ok(Self {
            events_a_second: rounded(events / seconds),
            cpu_us: rounded(micros(cpu.own)),
            server_cpu_us: rounded(micros(cpu.server)),
            write_ahead_bytes: rounded(written / events),
            others: rounded(others.as_secs_f64() / seconds),
        })
    }
}
