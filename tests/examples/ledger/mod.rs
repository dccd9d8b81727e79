//! A new ledger for measurements, filled as the service fills one, but without HTTP and without deciding on commands.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use trialseal_record::event::{DataRecorded, TrialRegistered};
use trialseal_record::{Event, ParticipantId, Scope, StreamId, TrialId};
use trialseal_runtime::clock::{Clock, SystemClock};
use trialseal_runtime::ids::{Ids, SystemIds};
use trialseal_seal::canonical;
use trialseal_seal::data::{Secret, dataroot};
use trialseal_seal::time::Timestamp;
use trialseal_store::{Append, Expected, NewEvent, Progress, Store, Writer, WriterSettings, body};
use trialseal_store_postgres::PostgresStore;
use trialseal_store_sqlite::SqliteStore;
use trialseal_vault::{DataKey, DataKeys, MasterKeyFile, Vault};

const TRIAL: &str = "MEASURED";
const ACTOR: &str = "service:bench";

/// Events of one command.
pub(crate) const EVENTS_A_COMMAND: usize = 10;

/// Events after which a producer goes on with somebody new, who needs a key: about what one person comes to in a trial.
pub(crate) const EVENTS_A_STREAM: u32 = 200;

/// The number of a participant's first event in its data; so that all numbers have the same length.
const FIRST_REPEAT: u32 = 100;

/// The database, and in it a ledger that is new, whatever else is there.
pub(crate) async fn connect(folder: &Path, url: Option<&str>) -> Result<Arc<dyn Store>> {
    let origin = format!("bench.example/{}", SystemIds.uuid_v7(SystemClock.now()));
    Ok(match url {
        Some(url) => Arc::new(PostgresStore::connect(url, &origin).await?),
        None => Arc::new(SqliteStore::open(folder.join("ledger.db"), &origin).await?),
    })
}

/// A new ledger with one trial.
pub(crate) struct Ledger {
    trial: TrialId,
    pub(crate) vault: Arc<Vault>,
    writer: Writer,
    /// What the data of all events say but for one number.
    template: DataRecorded,
}

impl Ledger {
    pub(crate) async fn open(
        folder: &Path,
        store: &Arc<dyn Store>,
        progress: &Arc<Progress>,
        template: DataRecorded,
    ) -> Result<Self> {
        let master = MasterKeyFile::open_or_create(&folder.join("master.key"))?;
        let keys = Arc::clone(store) as Arc<dyn DataKeys>;
        let vault = Arc::new(Vault::open(store.origin(), keys, Arc::new(master)).await?);
        let writer = Writer::spawn(
            store.clone(),
            store.clone(),
            Arc::new(|| Timestamp::from_micros(SystemClock.now())),
            Arc::clone(progress),
            WriterSettings::default(),
        );
        let ledger = Self { trial: TRIAL.parse()?, vault, writer, template };
        ledger.register().await?;
        Ok(ledger)
    }

    async fn register(&self) -> Result<()> {
        let registered = json!({"id": TRIAL, "title": "Measurement", "sponsor": "Demo Sponsor"});
        let registered = Event::from(serde_json::from_value::<TrialRegistered>(registered)?);
        let stream = StreamId::trial(&self.trial);
        let key = self.vault.key_of(&Scope::of(&self.trial, stream)).await?;
        let mut append = self.command(stream, 0, vec![prepare(stream, &key, &registered)?]);
        append.new_trial = true;
        self.writer.append(append).await?;
        Ok(())
    }

    /// Adds the next events of somebody who has `version` of them; answers the ledger position after the last.
    pub(crate) async fn add(&self, participant: ParticipantId, version: u32) -> Result<u64> {
        let stream = StreamId::participant(participant);
        let key = self.vault.key_of(&Scope::of(&self.trial, stream)).await?;
        let numbers = (version..).take(EVENTS_A_COMMAND);
        let events = numbers.map(|number| prepare(stream, &key, &self.data(number)));
        let append = self.command(stream, version, events.collect::<Result<_>>()?);
        let appended = self.writer.append(append).await?;
        ensure!(!appended.replayed, "a command was taken for an old one");
        Ok(appended.events.last().context("no event was appended")?.position + 1)
    }

    /// What event `number` of somebody says.
    pub(crate) fn data(&self, number: u32) -> Event {
        let mut data = self.template.clone();
        data.record.repeat = Some(FIRST_REPEAT + number);
        data.into()
    }

    fn command(&self, stream: StreamId, version: u32, events: Vec<NewEvent>) -> Append {
        let name = format!("{stream} {version}");
        Append {
            command: self.vault.command_id(ACTOR, &name),
            digest: self.vault.digest(&[name.as_bytes()]),
            trial: self.trial.clone(),
            new_trial: false,
            expected: vec![Expected { stream, version: version.into() }],
            natural_keys: Vec::new(),
            events,
        }
    }
}

/// Commits to an event and encrypts it, as the service does.
fn prepare(stream: StreamId, key: &DataKey, event: &Event) -> Result<NewEvent> {
    let data = event.to_data()?;
    let mut secret = [0; 32];
    SystemIds.fill(&mut secret);
    let secret = Secret::from_bytes(secret);
    let id = SystemIds.uuid_v7(SystemClock.now());
    Ok(NewEvent {
        stream,
        id,
        kind: event.kind().to_owned(),
        schema_version: event.schema_version(),
        dataroot: dataroot(&secret, &data)?,
        actor: ACTOR.to_owned(),
        actorrole: trialseal_record::Role::System.as_str().to_owned(),
        correlationid: None,
        causationid: None,
        extra: BTreeMap::new(),
        key: key.id(),
        body: body::seal(key, &id.to_string(), &secret, &canonical::to_vec(&data))?,
    })
}
