//! What a new ledger records about itself before anything else: the keys it is going to sign with. At every later start
//! the keys at hand are compared with those.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use trialseal_record::event::{Event, KeyRegistered};
use trialseal_record::values::KeyPurpose;
use trialseal_record::{Actor, Name, Role, Scope, StreamId, TrialId};
use trialseal_runtime::clock::Clock;
use trialseal_runtime::ids::Ids;
use trialseal_seal::data::Secret;
use trialseal_store::body::{self, Body};
use trialseal_store::draft::{Draft, Stamp};
use trialseal_store::{Append, AppendError, EventRow, Expected, Writer};

use crate::keys;
use crate::ledger::Ledger;

/// The actor of what the service does by itself.
const ACTOR: &str = "service:trialseal";
/// Events of the ledger itself that are read at once.
const PAGE_EVENTS: u32 = 500;

/// Records the verifier keys of log and exports in `_ledger`. Where that was done before, makes sure that they are the
/// keys that were recorded and not revoked since: what is signed with others, nobody who knows this ledger accepts.
pub(crate) async fn register_keys(
    ledger: &Ledger,
    writer: &Writer,
    clock: &dyn Clock,
    ids: &dyn Ids,
    keys: &[(KeyPurpose, String)],
) -> Result<()> {
    if ledger.store.trial_size(&TrialId::ledger()).await?.is_none() {
        let append = registration(ledger, clock, ids, keys).await?;
        match writer.append(append).await {
            Ok(_) => return Ok(()),
            // Another process on the same database was faster, and its keys need not be these.
            Err(AppendError::TrialExists) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let in_use = keys_in_use(ledger).await?;
    keys.iter().try_for_each(|(purpose, key)| check_registered(ledger, &in_use, *purpose, key))
}

async fn registration(
    ledger: &Ledger,
    clock: &dyn Clock,
    ids: &dyn Ids,
    keys: &[(KeyPurpose, String)],
) -> Result<Append> {
    let (trial, stream) = (TrialId::ledger(), StreamId::ledger());
    let key = ledger.vault.key_of(&Scope::Trial(trial.clone())).await?;
    let actor = Actor { id: ACTOR.to_owned(), role: Role::System, organisation: String::new() };
    let stamp = Stamp::new(actor, None, None);
    let mut events = Vec::new();
    for (purpose, verifier_key) in keys {
        let event = Event::from(KeyRegistered {
            key_id: key_id(verifier_key).parse()?,
            purpose: *purpose,
            verifier_key: verifier_key.parse()?,
        });
        let mut secret = [0; 32];
        ids.fill(&mut secret);
        let draft = Draft { stream, event, key: Arc::clone(&key) };
        events.push(draft.prepare(&stamp, ids.uuid_v7(clock.now()), &Secret::from_bytes(secret))?);
    }
    Ok(Append {
        command: ledger.vault.command_id(ACTOR, "register-keys"),
        digest: ledger.vault.digest(&[b"register-keys"]),
        trial,
        new_trial: true,
        expected: vec![Expected { stream, version: 0 }],
        natural_keys: Vec::new(),
        events,
    })
}

/// The id in a verifier key: `<name>+<key id>+<base64>`, and base64 has a + of its own.
fn key_id(verifier_key: &str) -> &str {
    verifier_key.split('+').nth(1).unwrap_or_default()
}

/// The registered keys that were not revoked, by their ids.
async fn keys_in_use(ledger: &Ledger) -> Result<BTreeMap<Name, KeyRegistered>> {
    let (trial, stream) = (TrialId::ledger(), StreamId::ledger());
    let mut in_use = BTreeMap::new();
    let mut read = 0;
    loop {
        let rows = ledger.store.of_stream(&trial, &stream, read, PAGE_EVENTS).await?;
        for row in &rows {
            match event(ledger, row).await? {
                Event::KeyRegistered(key) => drop(in_use.insert(key.key_id.clone(), key)),
                Event::KeyRevoked(key) => drop(in_use.remove(&key.key_id)),
                _ => {}
            }
        }
        read += rows.len() as u64;
        if rows.len() < PAGE_EVENTS as usize {
            return Ok(in_use);
        }
    }
}

async fn event(ledger: &Ledger, row: &EventRow) -> Result<Event> {
    let header = row.checked_header()?;
    let Body::Readable { secret, data } = body::open(&ledger.vault, row, &header).await? else {
        bail!("the ledger's own events cannot be read any more, and with them its keys");
    };
    body::check(row, &header, &secret, &data)?;
    // The header's form has been checked: its schema ends in the version.
    let version = header.dataschema.rsplit(':').next().and_then(|version| version.parse().ok());
    Ok(Event::from_stored(&header.kind, version.unwrap_or_default(), data)?)
}

fn check_registered(
    ledger: &Ledger,
    in_use: &BTreeMap<Name, KeyRegistered>,
    purpose: KeyPurpose,
    verifier_key: &str,
) -> Result<()> {
    let same = |key: &&KeyRegistered| key.purpose == purpose && key.verifier_key.as_str() == verifier_key;
    if in_use.values().any(|key| same(&key)) {
        return Ok(());
    }
    let what = match purpose {
        KeyPurpose::Log => "log",
        KeyPurpose::Export => "export",
    };
    let registered = in_use.values().find(|key| key.purpose == purpose).with_context(|| {
        format!("the ledger's {what} key was revoked, so nothing may be signed with it: begin a new ledger")
    })?;
    bail!(
        "the {what} key in {} is not the one that this ledger registered, which has the id {}: put that one back from \
         where its copy is kept",
        keys::folder(&ledger.dir).display(),
        registered.key_id
    )
}

#[cfg(test)]
mod tests {
    use trialseal_runtime::clock::ManualClock;
    use trialseal_runtime::ids::SeededIds;
    use trialseal_runtime::settings::Settings;
    use trialseal_seal::time::Timestamp;
    use trialseal_store::{Progress, WriterSettings};

    use super::*;

    const NOW: i64 = 1_800_000_000_000_000;

    async fn ledger(dir: &std::path::Path) -> Ledger {
        let dir = dir.to_string_lossy().into_owned();
        let settings = Settings::from_env(|name| match name {
            "TRIALSEAL_DIR" => Some(dir.clone()),
            "TRIALSEAL_ORIGIN" => Some("ledger.example.org/keys".to_owned()),
            _ => None,
        });
        Ledger::open_or_make(&settings.unwrap()).await.unwrap()
    }

    /// What a start does about keys.
    async fn start(ledger: &Ledger) -> Result<()> {
        let writer = Writer::spawn(
            ledger.store.clone(),
            ledger.store.clone(),
            Arc::new(|| Timestamp::from_micros(NOW)),
            Arc::new(Progress::new()),
            WriterSettings::default(),
        );
        let keys = [
            (KeyPurpose::Log, ledger.log_signer()?.verifier_key().to_string()),
            (KeyPurpose::Export, ledger.export_signer()?.export_key().to_string()),
        ];
        register_keys(ledger, &writer, &ManualClock::new(NOW), &SeededIds::new(1), &keys).await
    }

    fn renew(ledger: &Ledger, key: &str) {
        let file = keys::folder(&ledger.dir).join(key);
        std::fs::remove_file(&file).unwrap();
        keys::make_missing(&file).unwrap();
    }

    #[tokio::test]
    async fn keys_are_registered_once_and_known_again() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(dir.path()).await;
        start(&ledger).await.unwrap();
        start(&ledger).await.unwrap();
        assert_eq!(ledger.store.head().await.unwrap().position, 2);
        assert_eq!(keys_in_use(&ledger).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_key_that_is_not_the_registered_one_ends_the_start() {
        for (file, what) in [("log.key", "the log key in "), ("export.key", "the export key in ")] {
            let dir = tempfile::tempdir().unwrap();
            let ledger = ledger(dir.path()).await;
            start(&ledger).await.unwrap();
            renew(&ledger, file);
            let said = start(&ledger).await.unwrap_err().to_string();
            assert!(said.starts_with(what) && said.contains("put that one back"), "{said}");
            assert_eq!(said.lines().count(), 1);
        }
    }

    #[tokio::test]
    async fn keys_that_serve_each_others_purpose_are_not_the_registered_ones() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(dir.path()).await;
        start(&ledger).await.unwrap();
        let keys = keys::folder(&ledger.dir);
        std::fs::copy(keys.join("export.key"), keys.join("log.key")).unwrap();
        assert!(start(&ledger).await.is_err());
    }
}
