//! A ledger in the process of its measurement: events are committed to and encrypted here, grouped and made durable by
//! the writer, sealed and published into a folder by the sealer. All of it is what the service uses; only HTTP, tokens
//! and the deciding of commands are left out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use trialseal_record::event::{DataRecorded, TrialRegistered};
use trialseal_record::{Event, ParticipantId, Scope, StreamId, TrialId};
use trialseal_runtime::clock::{Clock, SystemClock};
use trialseal_runtime::ids::{Ids, SystemIds};
use trialseal_seal::canonical;
use trialseal_seal::data::{Secret, dataroot};
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_seal::policy::Policy;
use trialseal_seal::time::Timestamp;
use trialseal_sealer::{Folder, Sealer, SealerParts, SealerSettings};
use trialseal_store::{Append, Expected, NewEvent, Progress, Store, Writer, WriterSettings, body};
use trialseal_store_postgres::PostgresStore;
use trialseal_store_sqlite::{SqliteKeys, SqliteStore};
use trialseal_vault::{DataKey, MasterKeyFile, Vault};

const ACTOR: &str = "service:bench";

/// Events of one command.
pub(crate) const EVENTS_A_COMMAND: usize = 10;

/// Events after which a producer goes on with somebody new, who needs a key: about what one person comes to in a trial.
pub(crate) const EVENTS_A_STREAM: u32 = 200;

/// Bytes of an event's data, as canonical JSON.
const DATA_BYTES: usize = 300;

/// The number of a participant's first event in its data; so that all numbers have the same length.
const FIRST_REPEAT: u32 = 100;

/// Where a ledger lies, so that it can be opened again: its folder, its database and its log's key.
pub(crate) struct Place {
    folder: PathBuf,
    /// The address of a PostgreSQL database; without one it is an SQLite file in the folder.
    url: Option<String>,
    origin: String,
    signer: Signer,
}

impl Place {
    /// The place of a ledger that is new, whatever else is in the database.
    pub(crate) fn new(folder: PathBuf, url: Option<&str>) -> Result<Self> {
        std::fs::create_dir_all(&folder)?;
        let origin = format!("bench.example/{}", SystemIds.uuid_v7(SystemClock.now()));
        let mut seed = [0; 32];
        SystemIds.fill(&mut seed);
        let signer = Signer::new(&origin, KeyKind::Ed25519, &seed)?;
        Ok(Self { folder, url: url.map(str::to_owned), origin, signer })
    }

    pub(crate) async fn connect(&self) -> Result<Arc<dyn Store>> {
        Ok(match &self.url {
            Some(url) => Arc::new(PostgresStore::connect(url, &self.origin).await?),
            None => Arc::new(SqliteStore::open(self.folder.join("ledger.db"), &self.origin).await?),
        })
    }

    /// The sealer of the ledger, with the interval that is the service's own.
    pub(crate) async fn open_sealer(
        &self,
        store: &Arc<dyn Store>,
        progress: &Arc<Progress>,
    ) -> Result<Sealer> {
        let parts = SealerParts {
            signers: vec![self.signer.clone()],
            policy: Policy::parse(&Policy::text_for_log(&self.signer.verifier_key()))?,
            timestamping: None,
            witnesses: Vec::new(),
            store: Arc::clone(store),
            place: Arc::new(Folder::new(self.folder.join("log"))),
            clock: Arc::new(SystemClock),
            progress: Arc::clone(progress),
            settings: SealerSettings { interval: Duration::from_secs(1), ..SealerSettings::default() },
        };
        Ok(Sealer::open(parts).await?)
    }

    /// What records into the ledger, events whose data are those of `template` but for one number.
    pub(crate) async fn open_ledger(
        &self,
        store: &Arc<dyn Store>,
        progress: &Arc<Progress>,
        template: DataRecorded,
    ) -> Result<Ledger> {
        let master = MasterKeyFile::open_or_create(&self.folder.join("master.key"))?;
        let keys = SqliteKeys::open(self.folder.join("data-keys.sqlite"), store.origin()).await?;
        let vault = Arc::new(Vault::open(store.origin(), Arc::new(keys), Arc::new(master)).await?);
        let writer = Writer::spawn(
            store.clone(),
            store.clone(),
            Arc::new(|| Timestamp::from_micros(SystemClock.now())),
            Arc::clone(progress),
            WriterSettings::default(),
        );
        Ok(Ledger { vault, writer, template })
    }
}

pub(crate) fn new_participant() -> ParticipantId {
    ParticipantId(SystemIds.uuid_v7(SystemClock.now()))
}

/// A ledger that can be recorded into.
pub(crate) struct Ledger {
    pub(crate) vault: Arc<Vault>,
    writer: Writer,
    /// What the data of all events say but for one number.
    template: DataRecorded,
}

impl Ledger {
    /// Makes a trial: its first event.
    pub(crate) async fn register(&self, trial: &TrialId) -> Result<()> {
        let registered = json!({"id": trial, "title": "Measurement", "sponsor": "Demo Sponsor"});
        let registered = Event::from(serde_json::from_value::<TrialRegistered>(registered)?);
        let stream = StreamId::trial(trial);
        let key = self.vault.key_of(&Scope::of(trial, stream)).await?;
        let events = vec![prepare(stream, &key, &registered)?];
        let append = Append { new_trial: true, ..self.command(trial, stream, 0, events) };
        self.writer.append(append).await?;
        Ok(())
    }

    /// Records the next `count` events of somebody who has `version` of them, as one command; answers the ledger
    /// position after the last.
    pub(crate) async fn add(
        &self,
        trial: &TrialId,
        participant: ParticipantId,
        version: u32,
        count: usize,
    ) -> Result<u64> {
        let stream = StreamId::participant(participant);
        let key = self.vault.key_of(&Scope::of(trial, stream)).await?;
        let numbers = (version..).take(count);
        let events = numbers.map(|number| prepare(stream, &key, &self.data(number)));
        let append = self.command(trial, stream, version, events.collect::<Result<_>>()?);
        let appended = self.writer.append(append).await?;
        ensure!(!appended.replayed, "a command was taken for an old one");
        Ok(appended.events.last().context("no event was appended")?.position + 1)
    }

    fn data(&self, number: u32) -> Event {
        let mut data = self.template.clone();
        data.record.repeat = Some(FIRST_REPEAT + number);
        data.into()
    }

    fn command(&self, trial: &TrialId, stream: StreamId, version: u32, events: Vec<NewEvent>) -> Append {
        let name = format!("{trial} {stream} {version}");
        Append {
            command: self.vault.command_id(ACTOR, &name),
            digest: self.vault.digest(&[name.as_bytes()]),
            trial: trial.clone(),
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

/// A record of three items: an event with it has data of 300 bytes.
pub(crate) fn three_items() -> Result<DataRecorded> {
    let item = |oid: &str, value: &str, unit: &str| json!({"itemOid": oid, "value": value, "unit": unit});
    let record = json!({
        "visit": "WEEK 12", "form": "F.VITAL_SIGNS", "itemGroup": "IG.VITAL_SIGNS.SUPINE",
        "collectedOn": "2026-03-02",
        "items": [
            item("IT.SYSBP", "128.0", "mmHg"),
            item("IT.DIABP", "82.0", "mmHg"),
            item("IT.PULSE", "104", "beats/min"),
        ],
    });
    let mut template: DataRecorded = serde_json::from_value(json!({"record": record}))?;
    template.record.repeat = Some(FIRST_REPEAT);
    let length = canonical::to_vec(&Event::from(template.clone()).to_data()?).len();
    ensure!(length == DATA_BYTES, "the data of an event are {length} bytes");
    Ok(template)
}
