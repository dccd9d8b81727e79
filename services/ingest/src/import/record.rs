//! Recording the rows of a checked file: chunk by chunk, in order, several chunks ahead.
//!
//! A chunk is one append, in the background lane of the writer. While one is being appended, the next ones are decided on
//! (on the states as they will be then) and their commitments and encryption are computed on other threads. When it turns
//! out that somebody else changed what a chunk rested on, that chunk and those after it are decided anew; nothing of them
//! was recorded.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use trialseal_record::command::{CompleteImport, StartImport};
use trialseal_record::ids::StreamId;
use trialseal_record::{Command, Context, Event, Sha256Hex};
use trialseal_store::draft::{PrepareError, Stamp};
use trialseal_store::{Append, AppendError, CommandRow, NewEvent};

use super::check::Plan;
use super::status::{Exceptions, Job};
use super::{FIRST_PAUSE, LONGEST_PAUSE, Spooled, outcome};
use crate::Ingest;
use crate::prepare::{prepare, stamp};
use rows::Rows;
use working::{Decided, DraftError, Working};

mod rows;
mod working;

/// Chunks that are decided on before the first of them is recorded: enough to keep the other threads busy.
const AHEAD: usize = 2;

/// Chunks between two savings of how far the import is.
const SAVE_EVERY_CHUNKS: u64 = 80;

/// Why a recording broke off. It should not: everything that the file could cause was checked before.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failed(String);

impl Failed {
    pub(super) fn new(cause: impl fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

/// What is recorded at once: the start of the import, a chunk of rows, or its end.
#[derive(Debug)]
struct Step {
    /// Place among the steps, from 0; with the import's id it gives the command's.
    number: u64,
    /// How many rows it records.
    rows: u64,
    commands: Vec<Command>,
}

/// A step that is decided on and waits for its turn.
struct InFlight {
    step: Step,
    append: Append,
    exceptions: Exceptions,
    preparing: JoinHandle<Result<Vec<NewEvent>, PrepareError>>,
}

/// How far the steps are handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    Rows,
    End,
    Over,
}

struct Recorder<'a> {
    ingest: &'a Ingest,
    job: &'a mut Job,
    start: StartImport,
    rows: mpsc::Receiver<Result<Rows, Failed>>,
    stamp: Stamp,
    working: Working<'a>,
    in_flight: VecDeque<InFlight>,
    stage: Stage,
    next: u64,
    /// Whether steps that a former process recorded may still come.
    catching_up: bool,
    pause: Duration,
}

/// Records the file of `job`, whatever of it is recorded already.
pub(super) async fn record(
    ingest: &Ingest,
    job: &mut Job,
    plan: Plan,
    spooled: &Spooled,
) -> Result<(), Failed> {
    let principal = job.sender.principal(&job.trial);
    let sha256: Sha256Hex = job.status.sha256.to_string().parse().map_err(Failed::new)?;
    let start = StartImport { dataset: plan.metadata, file_sha256: sha256 };
    let file = ingest.spool.open(job.import, &spooled.file, &spooled.key).map_err(Failed::new)?;
    (job.status.rows_recorded, job.status.events, job.status.exceptions) = (0, 0, Exceptions::default());
    let context = Context { signed: ingest.signed_by(job)?, ..ingest.context(&principal) };
    let recorder = Recorder {
        ingest,
        rows: rows::read(file, plan.columns, job.import, start.dataset.name.clone()),
        start,
        stamp: stamp(&principal, &job.sender.request_id),
        working: Working::new(ingest, job.trial.clone(), job.import, context),
        job,
        in_flight: VecDeque::new(),
        stage: Stage::Start,
        next: 0,
        catching_up: true,
        pause: FIRST_PAUSE,
    };
    recorder.run().await
}

impl Recorder<'_> {
    async fn run(mut self) -> Result<(), Failed> {
        loop {
            while self.in_flight.len() < AHEAD
                && let Some(step) = self.next_step().await?
            {
                self.draft(step).await?;
            }
            let Some(front) = self.in_flight.pop_front() else { return Ok(()) };
            self.append(front).await?;
        }
    }

    /// The next step that is not recorded yet; `None` while there is none to draft.
    async fn next_step(&mut self) -> Result<Option<Step>, Failed> {
        while let Some(step) = self.hand_out().await? {
            if !self.catching_up {
                return Ok(Some(step));
            }
            let Some(command) = self.recorded_before(step.number).await? else {
                self.catching_up = false;
                return Ok(Some(step));
            };
            self.absorb(&step, &command).await?;
        }
        Ok(None)
    }

    async fn hand_out(&mut self) -> Result<Option<Step>, Failed> {
        let import = self.job.import;
        if self.stage == Stage::Rows {
            if let Some(commands) = self.rows.recv().await.transpose()? {
                return Ok(Some(self.step(commands.len() as u64, commands)));
            }
            self.stage = Stage::End;
        }
        match self.stage {
            Stage::Start => {
                self.stage = Stage::Rows;
                let start = Command::StartImport(import, self.start.clone());
                Ok(Some(self.step(0, vec![start])))
            }
            // How many exceptions there were is known once all rows are recorded.
            Stage::End if self.in_flight.is_empty() => {
                let status = &self.job.status;
                // Whatever cut the reading short, an import never ends with less than was checked.
                if status.rows_recorded != status.rows {
                    return Err(Failed(format!(
                        "the file gave {} of its {} rows",
                        status.rows_recorded, status.rows
                    )));
                }
                self.stage = Stage::Over;
                let end = CompleteImport { rows: status.rows_recorded, exceptions: status.exceptions.total };
                Ok(Some(self.step(0, vec![Command::CompleteImport(import, end)])))
            }
            Stage::Rows | Stage::End | Stage::Over => Ok(None),
        }
    }

    fn step(&mut self, rows: u64, commands: Vec<Command>) -> Step {
        let number = self.next;
        self.next += 1;
        Step { number, rows, commands }
    }

    /// Decides on a step and sets its preparation going.
    async fn draft(&mut self, mut step: Step) -> Result<(), Failed> {
        let decided = loop {
            match self.working.decide(step.number, &mut step.commands).await {
                Ok(decided) => break decided,
                Err(DraftError::Never(failed)) => return Err(failed),
                Err(DraftError::NotNow(why)) => {
                    self.wait(&why).await;
                    self.working.forget();
                }
            }
        };
        let Decided { drafts, expected, natural_keys, erased } = decided;
        let mut exceptions = Exceptions::default();
        for row in erased {
            exceptions.add_erased(row);
        }
        for draft in &drafts {
            if let Event::DataImported(imported) = &draft.event {
                exceptions.add(imported);
            }
        }
        let (command, digest) = self.command(step.number);
        let trial = self.job.trial.clone();
        let append =
            Append { command, digest, trial, new_trial: false, expected, natural_keys, events: Vec::new() };
        let (stamp, ids, now) = (self.stamp.clone(), Arc::clone(&self.ingest.ids), self.ingest.clock.now());
        let preparing = tokio::task::spawn_blocking(move || prepare(&drafts, &stamp, ids.as_ref(), now));
        self.in_flight.push_back(InFlight { step, append, exceptions, preparing });
        Ok(())
    }

    async fn append(&mut self, front: InFlight) -> Result<(), Failed> {
        let InFlight { step, mut append, exceptions, preparing } = front;
        append.events = outcome(preparing).await?.map_err(Failed::new)?;
        // A crash before this line records nothing of the step, and after it all: the next start asks for its command.
        match self.ingest.writer.append_in_background(append).await {
            Ok(appended) if appended.replayed => {
                // It was recorded when its outcome seemed lost, with ids that the later steps do not know of.
                if let Some(command) = self.recorded_before(step.number).await? {
                    self.absorb(&step, &command).await?;
                }
                self.draft_anew(None).await
            }
            Ok(appended) => {
                self.pause = FIRST_PAUSE;
                self.working.recorded(step.number);
                self.count(&step, appended.events.len(), exceptions).await;
                Ok(())
            }
            Err(AppendError::VersionConflict { .. } | AppendError::NaturalKeyTaken { .. }) => {
                metrics::counter!("trialseal_ingest_import_conflicts_total").increment(1);
                self.draft_anew(Some(step)).await
            }
            Err(error @ (AppendError::Busy(_) | AppendError::Deposed | AppendError::Store { .. })) => {
                self.wait(&error.to_string()).await;
                self.draft_anew(Some(step)).await
            }
            Err(error) => Err(Failed::new(error)),
        }
    }

    /// Decides anew on `step`, if there is one, and on all that come after it.
    async fn draft_anew(&mut self, step: Option<Step>) -> Result<(), Failed> {
        self.working.forget();
        let later = std::mem::take(&mut self.in_flight);
        for step in step.into_iter().chain(later.into_iter().map(|waiting| waiting.step)) {
            self.draft(step).await?;
        }
        Ok(())
    }

    /// The command of a step: the request's own for the start, so that its key is used up for everything else.
    fn command(&self, number: u64) -> ([u8; 32], [u8; 32]) {
        let Job { import, trial, sender, .. } = &*self.job;
        if number == 0 {
            return (*sender.command.as_bytes(), *sender.digest.as_bytes());
        }
        // No caller's key can be like this: theirs hold no line end.
        let key = format!("{trial}\nimport/{import}/{number}");
        // A file that was begun with chunks of another size is not gone on with: its chunks are other rows.
        let size = rows::CHUNK_ROWS.to_be_bytes();
        let content = [b"import step".as_slice(), import.0.as_bytes(), &number.to_be_bytes(), &size];
        (self.ingest.vault.command_id(&sender.actor, &key), self.ingest.vault.digest(&content))
    }

    async fn recorded_before(&mut self, number: u64) -> Result<Option<CommandRow>, Failed> {
        let (id, digest) = self.command(number);
        loop {
            match self.ingest.appends.command(&id).await {
                Ok(Some(row)) if row.digest != digest => return Err(Failed::new(AppendError::CommandReused)),
                Ok(row) => return Ok(row),
                Err(error) => self.wait(&error.to_string()).await,
            }
        }
    }

    /// Counts a step that is in the record by what stands there.
    async fn absorb(&mut self, step: &Step, command: &CommandRow) -> Result<(), Failed> {
        let mut exceptions = Exceptions::default();
        let rows = loop {
            match self.ingest.writer.of_command(command).await {
                Ok(rows) => break rows,
                Err(error) => self.wait(&error.to_string()).await,
            }
        };
        for row in rows.iter().filter(|row| row.stream != StreamId::trial(&row.trial)) {
            match self.ingest.states.event(row).await {
                Ok(Event::DataImported(imported)) => exceptions.add(&imported),
                // One that was erased since cannot be listed.
                Ok(_) | Err(crate::states::StateError::Erased) => {}
                Err(error) => return Err(Failed::new(error)),
            }
        }
        self.count(step, rows.len(), exceptions).await;
        Ok(())
    }

    async fn count(&mut self, step: &Step, events: usize, exceptions: Exceptions) {
        let status = &mut self.job.status;
        status.rows_recorded += step.rows;
        status.events += events as u64;
        status.exceptions.extend(exceptions);
        metrics::counter!("trialseal_ingest_import_rows_total").increment(step.rows);
        if step.number.is_multiple_of(SAVE_EVERY_CHUNKS) {
            self.ingest.save(self.job).await;
        }
    }

    /// Waits before something is tried again, longer each time.
    async fn wait(&mut self, why: &str) {
        tracing::warn!(import = %self.job.import, why, "an import waits");
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}
