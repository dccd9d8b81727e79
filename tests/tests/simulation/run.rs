//! One run: chance decides what is sent, when it is sealed and folded, how the clock goes, and when a process ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use trialseal_projector::Model;
use trialseal_record::ids::{ParticipantId, SiteId, TrialId};
use trialseal_record::{Command, Role};
use trialseal_runtime::clock::ManualClock;
use trialseal_runtime::ids::SeededIds;
use trialseal_store::memory::MemoryStore;
use trialseal_store::{Events as _, Models as _, docs};
use trialseal_tests::{Rng, bodies};
use trialseal_vault::MasterKeyFile;

use crate::chaos::{Broken, Chaos, Place};
use crate::checker::{Known, check};
use crate::process::{Answer, ORIGIN, Process, Sent, World};

/// 2026-06-15T12:00:00Z: the days in the bodies lie before it.
const START_MICROS: i64 = 1_781_524_800_000_000;
const HOUR_MICROS: i64 = 3_600_000_000;

/// Steps between two checks of everything.
const STEPS_A_CHECK: u64 = 250;

/// Most commands that are sent at the same time.
const AT_ONCE: u64 = 6;

/// Rounds and steps after which all is sealed and folded in calm times, and far more.
const ENOUGH: u32 = 1_000;

/// What happened in a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) events: u64,
    pub(crate) seals: u64,
    pub(crate) acknowledged: usize,
    pub(crate) failed: u64,
    pub(crate) ended: u64,
    pub(crate) poisoned: u64,
    pub(crate) replayed: u64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// A digest of all calls to the store and what became of them.
    pub(crate) trace: u64,
    /// The last public checkpoint, which commits to every event.
    pub(crate) checkpoint: String,
}

struct Run {
    rng: Rng,
    world: Arc<World>,
    process: Arc<Process>,
    commands: BTreeMap<u64, Known>,
    trials: Vec<(TrialId, SiteId)>,
    participants: Vec<(TrialId, ParticipantId)>,
    failed: u64,
    /// What the last one to fail was told.
    failure: String,
    ended: u64,
    poisoned: u64,
    replayed: u64,
}

/// Runs a seed for so many steps; what does not hold is the error.
pub(crate) fn run(seed: u64, steps: u64, broken: Option<Broken>) -> Result<Summary, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let mut run = Run::new(seed, broken).await;
        run.open_trials().await;
        run.world.chaos.set_calm(false);
        for step in 1..=steps {
            run.step().await.map_err(|what| format!("at step {step}: {what}"))?;
            if step.is_multiple_of(STEPS_A_CHECK) {
                run.check().await.map_err(|what| format!("after step {step}: {what}"))?;
            }
        }
        run.come_to_an_end().await.map_err(|what| format!("at the end: {what}"))
    })
}

impl Run {
    async fn new(seed: u64, broken: Option<Broken>) -> Self {
        let mut rng = Rng::new(seed);
        let folder = tempfile::tempdir().unwrap();
        let world = Arc::new(World {
            store: Arc::new(MemoryStore::new(ORIGIN)),
            place: Arc::new(Place::default()),
            chaos: Chaos::new(rng.next_number(), broken),
            clock: Arc::new(ManualClock::new(START_MICROS)),
            ids: SeededIds::new(rng.next_number()),
            keys: Arc::default(),
            master: Arc::new(MasterKeyFile::open_or_create(&folder.path().join("master.key")).unwrap()),
        });
        let process = Process::start(&world).await;
        let (commands, trials, participants) = (BTreeMap::new(), Vec::new(), Vec::new());
        let (failed, failure, ended, poisoned, replayed) = (0, String::new(), 0, 0, 0);
        Self {
            rng,
            world,
            process,
            commands,
            trials,
            participants,
            failed,
            failure,
            ended,
            poisoned,
            replayed,
        }
    }

    /// Two trials that may screen.
    async fn open_trials(&mut self) {
        for name in ["SIM-1", "SIM-2"] {
            let trial: TrialId = name.parse().unwrap();
            let opening = [
                (Role::Sponsor, Command::RegisterTrial(read(bodies::registration(name)))),
                (Role::Sponsor, Command::SubmitProtocolVersion(read(bodies::protocol("1.0")))),
                (Role::Sponsor, Command::PublishConsentVersion(read(bodies::consent_version("1.0")))),
                (Role::Irb, Command::RecordIrbDecision(read(bodies::approval()))),
                (Role::Sponsor, Command::ActivateSite(read(bodies::site("01")))),
            ];
            for (role, command) in opening {
                let sent = self.new_command(trial.clone(), role, command);
                self.send(vec![sent]).await.unwrap();
            }
            let last = self.commands.last_key_value().unwrap().1;
            let site = last.acknowledged.as_ref().unwrap()[0].stream.as_site().unwrap();
            self.trials.push((trial, site));
        }
    }

    fn new_command(&mut self, trial: TrialId, role: Role, command: Command) -> Sent {
        let number = self.commands.len() as u64;
        let sent = Sent { number, content: 1, trial, role, command, poisoned: false };
        self.commands.insert(number, Known { sent: sent.clone(), acknowledged: None, is_new: false });
        sent
    }

    async fn step(&mut self) -> Result<(), String> {
        match self.rng.between(0, 24) {
            // The clock is set back.
            0 => self.world.clock.advance(-HOUR_MICROS),
            // Or somebody finds that it was slow.
            1 => self.world.clock.advance(2 * HOUR_MICROS),
            _ => self.world.clock.advance(self.rng.between(0, 2_000_000).cast_signed()),
        };
        if self.rng.between(0, 29) == 0 {
            self.process.line.end_after(self.rng.between(0, 60));
        }
        let sending = (0..self.rng.between(0, AT_ONCE)).filter_map(|_| self.next_command()).collect();
        let (seals, folds) = (self.rng.between(0, 3) == 0, self.rng.between(0, 3) == 0);
        let (sealing, folding) = (Arc::clone(&self.process), Arc::clone(&self.process));
        let sealing = tokio::spawn(async move { if seals { sealing.seal().await } else { Ok(()) } });
        // A model that cannot be folded now is folded later.
        let folding = tokio::spawn(async move { folds.then_some(folding.projector.step().await) });
        self.send(sending).await?;
        sealing.await.unwrap()?;
        folding.await.unwrap();
        if self.process.line.has_ended() || self.rng.between(0, 199) == 0 {
            self.process.line.end_now();
            self.ended += 1;
            self.process = Process::start(&self.world).await;
        }
        Ok(())
    }

    /// What is sent next: something new, something again, or something that must not be recorded.
    fn next_command(&mut self) -> Option<Sent> {
        let again = self.rng.between(0, self.commands.len() as u64 - 1);
        match self.rng.between(0, 19) {
            0..=3 => Some(self.commands[&again].sent.clone()),
            // The key of another command.
            4 if self.commands[&again].acknowledged.is_some() => {
                Some(Sent { content: 2, ..self.commands[&again].sent.clone() })
            }
            5 => {
                let new = self.something_new()?;
                let known = self.commands.get_mut(&new.number)?;
                known.sent.poisoned = true;
                self.poisoned += 1;
                Some(known.sent.clone())
            }
            _ => self.something_new(),
        }
    }

    fn something_new(&mut self) -> Option<Sent> {
        let chosen = self.rng.between(0, 9);
        if self.participants.len() < 2 || chosen == 0 {
            let at = usize::try_from(self.rng.between(0, self.trials.len() as u64 - 1)).ok()?;
            let (trial, site) = self.trials[at].clone();
            // A number that somebody may have already.
            let number = format!("S-{}", self.rng.between(0, 2 * self.participants.len() as u64 + 9));
            let body = read(bodies::screening(&site.to_string(), &number));
            return Some(self.new_command(trial, Role::Investigator, Command::ScreenParticipant(body)));
        }
        // Mostly those who came last, so that streams stay short.
        let newest = self.participants.len() as u64;
        let at = usize::try_from(self.rng.between(newest.saturating_sub(8), newest - 1)).ok()?;
        let (trial, id) = self.participants[at].clone();
        let visit = format!("V{}", self.rng.between(1, 4));
        let command = match chosen {
            1 | 2 => Command::SignConsent(id, read(bodies::consent(true))),
            3 => Command::EnrolParticipant(id, read(json!({"enrolledOn": "2025-02-03"}))),
            4 => Command::RecordVisit(id, read(bodies::visit(&visit))),
            5 | 6 => {
                // One event a record, all or none.
                let records = (0..self.rng.between(1, 3)).map(|_| {
                    let visit = format!("V{}", self.rng.between(1, 40));
                    bodies::data(&visit, &self.rng.between(40, 99).to_string())["records"][0].clone()
                });
                let records: Vec<Value> = records.collect();
                Command::RecordData(id, read(json!({"records": records})))
            }
            7 => Command::CorrectData(id, read(bodies::correction(&visit, "81", "84", "Transposed"))),
            8 => Command::ReportAdverseEvent(id, read(bodies::adverse_event("Headache"))),
            _ => Command::WithdrawConsent(
                id,
                read(json!({"scope": ["future-data"], "withdrawnOn": "2025-04-01"})),
            ),
        };
        Some(self.new_command(trial, Role::Investigator, command))
    }

    /// Sends all of them at the same time, and takes their answers down.
    async fn send(&mut self, sending: Vec<Sent>) -> Result<(), String> {
        let submit = |sent: Sent| {
            let process = Arc::clone(&self.process);
            tokio::spawn(async move { (process.submit(&sent).await, sent) })
        };
        let under_way: Vec<_> = sending.into_iter().map(submit).collect();
        for answer in under_way {
            let (answer, sent) = answer.await.unwrap();
            let appended = match answer {
                Answer::Acknowledged(appended) => appended,
                Answer::Refused => continue,
                Answer::Failed(error) => {
                    self.failed += 1;
                    self.failure = error;
                    continue;
                }
            };
            let number = sent.number;
            let known = self.commands.get_mut(&number).unwrap();
            if sent.content != known.sent.content || sent.poisoned {
                return Err(format!("command {number} was acknowledged, and must not be recorded"));
            }
            self.replayed += u64::from(appended.replayed);
            let was_new = known.is_new;
            known.is_new |= !appended.replayed;
            let same = known.acknowledged.as_ref().is_none_or(|said| *said == appended.events);
            if !same || (was_new && !appended.replayed) {
                return Err(format!("command {number} was recorded twice"));
            }
            if known.acknowledged.is_some() {
                continue;
            }
            if let Command::ScreenParticipant(_) = sent.command {
                self.participants.push((sent.trial, appended.events[0].stream.as_participant().unwrap()));
            }
            known.acknowledged = Some(appended.events);
        }
        Ok(())
    }

    async fn check(&self) -> Result<(), String> {
        check(&self.world.store, &self.world.place, &self.commands).await
    }

    /// Calm comes: all that failed is sent again, all is sealed and folded, and the read models are built anew.
    async fn come_to_an_end(&mut self) -> Result<Summary, String> {
        self.check().await?;
        self.world.chaos.set_calm(true);
        self.process.line.end_now();
        self.process = Process::start(&self.world).await;
        let unanswered = self.commands.values().filter(|known| known.acknowledged.is_none());
        let unanswered: Vec<Sent> = unanswered.map(|known| known.sent.clone()).collect();
        for sent in unanswered {
            let poisoned = sent.poisoned;
            let before = self.failed;
            self.send(vec![sent]).await?;
            if self.failed > before && !poisoned {
                return Err(format!("a command fails though all is well: {}", self.failure));
            }
        }
        let mut rounds = 0;
        while self.world.store.head().await.unwrap().sealed < self.world.store.head().await.unwrap().position
            || self.process.projector.step().await.map_err(|error| error.to_string())?
        {
            self.process.seal().await?;
            rounds += 1;
            if rounds > ENOUGH {
                return Err("sealing and folding do not come to an end".into());
            }
        }
        self.process.seal().await?;
        self.check().await?;
        self.rebuild().await?;
        let head = self.world.store.head().await.unwrap();
        let Self { failed, ended, poisoned, replayed, .. } = *self;
        Ok(Summary {
            events: head.position,
            seals: head.seal.map_or(0, |seal| seal.number + 1),
            acknowledged: self.commands.values().filter(|known| known.acknowledged.is_some()).count(),
            failed,
            ended,
            poisoned,
            replayed,
            faults: self.world.chaos.faults(),
            trace: self.world.chaos.trace(),
            checkpoint: self.world.place.checkpoints().pop().unwrap_or_default(),
        })
    }

    async fn rebuild(&self) -> Result<(), String> {
        let before = self.readable().await;
        self.process.projector.rebuild(&Model::ALL).await.map_err(|error| error.to_string())?;
        let after = self.readable().await;
        if before.is_empty() {
            return Err("there is nothing in the read models".into());
        }
        if before != after {
            let differing = before.iter().find(|(id, document)| after.get(id) != Some(*document));
            return Err(format!("a read model is another one when it is rebuilt: {differing:?}"));
        }
        Ok(())
    }

    /// What readers find, by model, trial and id.
    async fn readable(&self) -> BTreeMap<(&'static str, String, String), Value> {
        let (store, mut found) = (&self.world.store, BTreeMap::new());
        for (model, (trial, _)) in
            Model::ALL.iter().flat_map(|model| self.trials.iter().map(move |at| (model, at)))
        {
            let name = model.name();
            let generations = store.generations(name).await.unwrap();
            let generation = generations.iter().find(|row| row.active).unwrap().generation;
            let own = store.docs(name, generation, &[(trial.clone(), String::new())]).await.unwrap();
            let mut documents: Vec<_> = own.into_iter().flatten().collect();
            let mut after: Option<String> = None;
            loop {
                let page = store.list(name, generation, trial, "", after.as_deref(), 1_000).await.unwrap();
                let Some(last) = page.last() else { break };
                after = Some(last.id.clone());
                documents.extend(page);
            }
            for document in documents {
                let json = docs::open(self.process.vault(), name, &document).await.unwrap().unwrap();
                let key = (name, trial.to_string(), document.id);
                found.insert(key, serde_json::from_slice(&json).unwrap());
            }
        }
        found
    }
}

fn read<T: serde::de::DeserializeOwned>(body: Value) -> T {
    serde_json::from_value(body).unwrap()
}
