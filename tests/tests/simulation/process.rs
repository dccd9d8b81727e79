//! One process: a writer, a sealer and a projector, the real ones, over a store that fails.

use std::sync::Arc;

use tokio::sync::Mutex;
use trialseal_projector::{Projector, ProjectorParts};
use trialseal_record::ids::{Scope, StreamId, StreamKind, TrialId};
use trialseal_record::state::{ParticipantState, SiteState, State, TrialState};
use trialseal_record::{Actor, Command, Context, Decision, Event, Role, decide};
use trialseal_runtime::clock::{Clock, ManualClock};
use trialseal_runtime::ids::{Ids, SeededIds};
use trialseal_runtime::shutdown::Shutdown;
use trialseal_seal::canonical;
use trialseal_seal::data::{Secret, dataroot};
use trialseal_seal::hash::sha256;
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_seal::policy::Policy;
use trialseal_seal::time::Timestamp;
use trialseal_sealer::{Sealer, SealerParts, SealerSettings};
use trialseal_store::body::{self, Body};
use trialseal_store::faults::{FaultyKeys, FaultyStore};
use trialseal_store::memory::MemoryStore;
use trialseal_store::{
    Append, AppendError, Appended, Appends as _, Events as _, Expected, NaturalKey, NewEvent, Progress,
    Writer, WriterSettings,
};
use trialseal_vault::memory::MemoryKeys;
use trialseal_vault::{MasterKeyFile, Vault};
use uuid::{Builder, Uuid};

use crate::chaos::{Chaos, Line, POISON, Place, Reached};

pub(crate) const ORIGIN: &str = "ledger.example.org/simulation";

/// How often a command is decided anew because others were faster.
const TRIES: u32 = 8;

/// Events of a stream that are read at once.
const PAGE: u32 = 1_000;

/// What all processes have in common.
pub(crate) struct World {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) place: Arc<Place>,
    pub(crate) chaos: Arc<Chaos>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ids: SeededIds,
    pub(crate) keys: Arc<MemoryKeys>,
    pub(crate) master: Arc<MasterKeyFile>,
}

/// A command that is sent, once or more often.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Tells it from all others; its idempotency key.
    pub(crate) number: u64,
    /// Content, as the digest of it sees it: the same key with another one is not the same command.
    pub(crate) content: u8,
    pub(crate) trial: TrialId,
    pub(crate) role: Role,
    pub(crate) command: Command,
    pub(crate) poisoned: bool,
}

impl Sent {
    /// The id under which the store knows it.
    pub(crate) fn id(&self) -> [u8; 32] {
        *sha256(&self.number.to_be_bytes()).as_bytes()
    }
}

/// What its sender hears.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is recorded.
    Acknowledged(Appended),
    /// A rule stands against it, or its key was used before.
    Refused,
    /// It may be recorded or not.
    Failed(String),
}

pub(crate) struct Process {
    pub(crate) world: Arc<World>,
    pub(crate) line: Arc<Line>,
    store: Arc<FaultyStore>,
    vault: Arc<Vault>,
    writer: Writer,
    progress: Arc<Progress>,
    sealer: Mutex<Option<Sealer>>,
    pub(crate) projector: Projector,
}

pub(crate) fn signer() -> Signer {
    Signer::new(ORIGIN, KeyKind::Ed25519, &[7; 32]).unwrap()
}

impl Process {
    /// Starts, which is tried until it works.
    pub(crate) async fn start(world: &Arc<World>) -> Arc<Self> {
        let line = Line::new(&world.chaos);
        let store = Arc::new(FaultyStore::new(world.store.clone(), line.clone()));
        let keys = Arc::new(FaultyKeys::new(world.keys.clone(), line.clone()));
        let vault = loop {
            if let Ok(vault) = Vault::open(ORIGIN, keys.clone(), world.master.clone()).await {
                break Arc::new(vault);
            }
        };
        let progress = Arc::new(Progress::new());
        let clock = Arc::clone(&world.clock);
        let writer = Writer::spawn(
            store.clone(),
            store.clone(),
            Arc::new(move || Timestamp::from_micros(clock.now())),
            Arc::clone(&progress),
            WriterSettings::default(),
        );
        let projector = Projector::new(ProjectorParts {
            events: store.clone(),
            models: store.clone(),
            vault: Arc::clone(&vault),
            progress: Arc::clone(&progress),
        });
        let world = Arc::clone(world);
        Arc::new(Self { world, line, store, vault, writer, progress, sealer: Mutex::default(), projector })
    }

    /// One round of the sealer, which is opened where it is not. Only a final error is one.
    pub(crate) async fn seal(&self) -> Result<(), String> {
        let mut sealer = self.sealer.lock().await;
        if sealer.is_none() {
            let place = Reached { place: self.world.place.clone(), line: self.line.clone() };
            let opened = Sealer::open(SealerParts {
                store: self.store.clone(),
                place: Arc::new(place),
                signers: vec![signer()],
                policy: Policy::parse(&Policy::text_for_log(&signer().verifier_key())).unwrap(),
                timestamping: None,
                witnesses: Vec::new(),
                clock: self.world.clock.clone(),
                progress: self.progress.clone(),
                settings: SealerSettings::default(),
            });
            match opened.await {
                Ok(opened) => *sealer = Some(opened),
                Err(error) if error.is_final() => return Err(error.to_string()),
                Err(_) => return Ok(()),
            }
        }
        match sealer.as_mut().unwrap().round(&Shutdown::new()).await {
            Err(error) if error.is_final() => Err(error.to_string()),
            _ => Ok(()),
        }
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Decides on a command and appends what follows, as often as it takes.
    pub(crate) async fn submit(&self, sent: &Sent) -> Answer {
        for _ in 0..TRIES {
            let append = match self.decide(sent).await {
                Ok(Some(append)) => append,
                Ok(None) => return self.replayed_or_refused(sent).await,
                Err(error) => return Answer::Failed(error),
            };
            match self.writer.append(append).await {
                Ok(appended) => return Answer::Acknowledged(appended),
                Err(AppendError::VersionConflict { .. }) => {}
                Err(AppendError::Store { error, .. }) => return Answer::Failed(error),
                Err(_) => return self.replayed_or_refused(sent).await,
            }
        }
        Answer::Failed("others were always faster".into())
    }

    /// A command that was carried out before gets its old answer, whatever stands against it now.
    async fn replayed_or_refused(&self, sent: &Sent) -> Answer {
        match self.store.command(&sent.id()).await {
            Ok(Some(done)) if done.digest == digest(sent) => match self.writer.replay(&done).await {
                Ok(appended) => Answer::Acknowledged(appended),
                Err(error) => Answer::Failed(error.to_string()),
            },
            Ok(_) => Answer::Refused,
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    /// The append that follows from a command; `None` where a rule stands against it.
    async fn decide(&self, sent: &Sent) -> Result<Option<Append>, String> {
        let own = StreamId::trial(&sent.trial);
        let (mut trial, mut site, mut participant) =
            (TrialState::default(), SiteState::default(), ParticipantState::default());
        let site_stream = sent.command.site().map(StreamId::site);
        let participant_stream = sent.command.participant().map(StreamId::participant);
        let mut expected = Vec::new();
        for stream in [Some(own), site_stream, participant_stream].into_iter().flatten() {
            let events = self.events_of(&sent.trial, stream).await?;
            for (event, place) in events.iter().zip(0..) {
                match stream.kind() {
                    StreamKind::Site => site.evolve(event, place),
                    StreamKind::Participant => participant.evolve(event, place),
                    _ => trial.evolve(event, place),
                }
            }
            expected.push(Expected { stream, version: events.len() as u64 });
        }
        let mut state = State::of(&trial);
        state.site = site_stream.map(|_| &site);
        state.participant = participant_stream.map(|_| &participant);
        match decide(&state, &sent.command, &self.context(sent.role)) {
            Ok(decision) => self.append_of(sent, decision, expected).await.map(Some),
            Err(_) => Ok(None),
        }
    }

    fn context(&self, role: Role) -> Context {
        let actor = Actor { id: format!("person-{role}"), role, organisation: "Test".into() };
        let mut bytes = [0; 16];
        self.world.ids.fill(&mut bytes);
        let new_id: Uuid = Builder::from_random_bytes(bytes).into_uuid();
        Context { now_micros: self.world.clock.now(), actor, signed: None, answered: None, new_id }
    }

    async fn events_of(&self, trial: &TrialId, stream: StreamId) -> Result<Vec<Event>, String> {
        let mut events = Vec::new();
        for row in self.store.of_stream(trial, &stream, 0, PAGE).await.map_err(|error| error.to_string())? {
            let header = row.checked_header().map_err(|error| error.to_string())?;
            let opened = body::open(&self.vault, &row, &header).await.map_err(|error| error.to_string())?;
            let Body::Readable { data, .. } = opened else { return Err("erased".into()) };
            let version = header.dataschema.rsplit(':').next().unwrap().parse().unwrap();
            events.push(Event::from_stored(&header.kind, version, data).unwrap());
        }
        Ok(events)
    }

    async fn append_of(
        &self,
        sent: &Sent,
        decision: Decision,
        mut expected: Vec<Expected>,
    ) -> Result<Append, String> {
        let mut events = Vec::new();
        for (stream, event) in decision.events {
            events.push(self.event(sent, stream, &event).await?);
            if expected.iter().all(|known| known.stream != stream) {
                expected.push(Expected { stream, version: 0 });
            }
        }
        let natural_keys = decision.keys.iter().map(|key| NaturalKey {
            key: self.vault.natural_key(&sent.trial, key.kind.as_str(), key.value.as_str()),
            stream: key.stream,
            rule: key.kind.taken().rule,
        });
        Ok(Append {
            command: sent.id(),
            digest: digest(sent),
            trial: sent.trial.clone(),
            new_trial: matches!(sent.command, Command::RegisterTrial(_)),
            expected,
            natural_keys: natural_keys.collect(),
            events,
        })
    }

    async fn event(&self, sent: &Sent, stream: StreamId, event: &Event) -> Result<NewEvent, String> {
        let scope = Scope::of(&sent.trial, stream);
        let key = self.vault.key_of(&scope).await.map_err(|error| error.to_string())?;
        let data = event.to_data().unwrap();
        let mut secret = [0; 32];
        self.world.ids.fill(&mut secret);
        let secret = Secret::from_bytes(secret);
        let id = self.world.ids.uuid_v7(self.world.clock.now());
        let mark = if sent.poisoned { POISON } else { "" };
        Ok(NewEvent {
            stream,
            id,
            kind: event.kind().to_owned(),
            schema_version: event.schema_version(),
            dataroot: dataroot(&secret, &data).unwrap(),
            actor: format!("person-{}", sent.role),
            actorrole: sent.role.to_string(),
            correlationid: Some(format!("{mark}{}", sent.number)),
            causationid: None,
            extra: std::collections::BTreeMap::new(),
            key: key.id(),
            body: body::seal(&key, &id.to_string(), &secret, &canonical::to_vec(&data)).unwrap(),
        })
    }
}

fn digest(sent: &Sent) -> [u8; 32] {
    [sent.content; 32]
}
