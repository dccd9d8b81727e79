//! What a ledger records about itself: the keys it is going to sign with, and who may do what. A new one does so before anything else;
//! at every later start the keys at hand, and the policy of this software, are compared with those. A successor that was made
//! meanwhile is registered before it signs, a key that it has replaced is revoked, and another policy is recorded before anything
//! is decided by it.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use trialseal_access::policy;
use trialseal_record::event::{Event, KeyRegistered, KeyRevoked};
use trialseal_record::values::KeyPurpose;
use trialseal_record::{Actor, Role, Scope, StreamId, TrialId};
use trialseal_runtime::clock::Clock;
use trialseal_runtime::ids::Ids;
use trialseal_seal::data::Secret;
use trialseal_store::draft::{Draft, Stamp};
use trialseal_store::{Append, AppendError, Expected, NewEvent, Writer};
use trialseal_vault::DataKey;

use crate::keys;
use crate::ledger::Ledger;
use crate::register::Register;

/// The actor of what the service does by itself.
const ACTOR: &str = "service:trialseal";
/// Why a key is revoked that its successor has replaced.
const REPLACED: &str = "Its successor signs in its place.";

/// Makes sure that the keys at hand, each purpose's oldest first, are those that `_ledger` registered and did not revoke
/// since: what is signed with others, nobody who knows this ledger accepts. What has changed is recorded: in a new ledger
/// all keys, later a successor, and that a key is gone whose successor is there.
pub(crate) async fn register(
    ledger: &Ledger,
    writer: &Writer,
    clock: &dyn Clock,
    ids: &dyn Ids,
    keys: &[(KeyPurpose, String)],
) -> Result<()> {
    let recorder = Recorder { ledger, clock, ids };
    if ledger.store.trial_size(&TrialId::ledger()).await?.is_none() {
        let keys = keys.iter().map(|(purpose, key)| registered(*purpose, key));
        let events = keys.chain([Ok(policy().into())]).collect::<Result<Vec<_>>>()?;
        match writer.append(recorder.append(events, 0).await?).await {
            Ok(_) => return Ok(()),
            // Another process on the same database was faster, and its keys need not be these.
            Err(AppendError::TrialExists) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let register = Register::read(&ledger.store, &ledger.vault).await?;
    let mut changes = Vec::new();
    for purpose in [KeyPurpose::Log, KeyPurpose::Export] {
        let at_hand = keys.iter().filter(|(other, _)| *other == purpose).map(|(_, key)| key.as_str());
        changes.extend(compare(ledger, &register, purpose, &at_hand.collect::<Vec<_>>())?);
    }
    if register.policy != Some(policy()) {
        changes.push(policy().into());
    }
    if !changes.is_empty() {
        let kinds: Vec<_> = changes.iter().map(Event::kind).collect();
        writer.append(recorder.append(changes, register.version).await?).await?;
        tracing::info!(?kinds, "server.register");
    }
    Ok(())
}

/// Records events of the ledger itself.
struct Recorder<'a> {
    ledger: &'a Ledger,
    clock: &'a dyn Clock,
    ids: &'a dyn Ids,
}

impl Recorder<'_> {
    /// The append of these events to the ledger's own stream, which has `version` events.
    async fn append(&self, events: Vec<Event>, version: u64) -> Result<Append> {
        let (trial, stream) = (TrialId::ledger(), StreamId::ledger());
        let vault = &self.ledger.vault;
        let key = vault.key_of(&Scope::Trial(trial.clone())).await?;
        let command = format!("register-keys/{version}");
        Ok(Append {
            command: vault.command_id(ACTOR, &command),
            digest: vault.digest(&[command.as_bytes()]),
            trial,
            new_trial: version == 0,
            expected: vec![Expected { stream, version }],
            natural_keys: Vec::new(),
            events: events.into_iter().map(|event| self.new_event(event, &key)).collect::<Result<_>>()?,
        })
    }

    fn new_event(&self, event: Event, key: &Arc<DataKey>) -> Result<NewEvent> {
        let mut secret = [0; 32];
        self.ids.fill(&mut secret);
        let actor = Actor { id: ACTOR.to_owned(), role: Role::System, organisation: String::new() };
        let draft = Draft { stream: StreamId::ledger(), event, key: Arc::clone(key) };
        let id = self.ids.uuid_v7(self.clock.now());
        Ok(draft.prepare(&Stamp::new(actor, None, None), id, &Secret::from_bytes(secret))?)
    }
}

fn registered(purpose: KeyPurpose, verifier_key: &str) -> Result<Event> {
    // `<name>+<key id>+<base64>`, and base64 has a + of its own.
    let key_id = verifier_key.split('+').nth(1).unwrap_or_default().parse()?;
    Ok(Event::from(KeyRegistered { key_id, purpose, verifier_key: verifier_key.parse()? }))
}

/// What has to be recorded about the keys at hand of one purpose: the one in use, and its successor where there is one.
///
/// The newest that was registered has to be there, so that a folder from before a change of keys, put back or left behind
/// on a standby, signs nothing; then one that is not there any more was replaced.
fn compare(
    ledger: &Ledger,
    register: &Register,
    purpose: KeyPurpose,
    at_hand: &[&str],
) -> Result<Vec<Event>> {
    let (what, folder) = (keys::name(purpose), keys::folder(&ledger.dir));
    let newest = register.in_use(purpose).next_back().with_context(|| {
        format!("the ledger's {what} key was revoked, so nothing may be signed with it: begin a new ledger")
    })?;
    let known = at_hand.first().and_then(|key| register.find(purpose, key));
    let (Some(known), true) = (known, at_hand.contains(&newest.verifier_key.as_str())) else {
        bail!(
            "the {what} key in {} is not the one that this ledger registered, which has the id {}: put that one back \
             from where its copy is kept",
            folder.display(),
            newest.key_id
        )
    };
    if known.is_revoked {
        bail!(
            "the {what} key in {} with the id {} was retired: run `trialseal keys retire {what}` for this folder as well",
            folder.display(),
            known.key.key_id
        )
    }
    let replaced = register.in_use(purpose).filter(|key| !at_hand.contains(&key.verifier_key.as_str()));
    let replaced = replaced
        .map(|key| Ok(Event::from(KeyRevoked { key_id: key.key_id.clone(), reason: REPLACED.parse()? })));
    let new = at_hand.iter().filter(|key| register.find(purpose, key).is_none());
    new.map(|key| registered(purpose, key)).chain(replaced).collect()
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

    fn writer(ledger: &Ledger) -> Writer {
        Writer::spawn(
            ledger.store.clone(),
            ledger.store.clone(),
            Arc::new(|| Timestamp::from_micros(NOW)),
            Arc::new(Progress::new()),
            WriterSettings::default(),
        )
    }

    /// What a start does about keys and policy.
    async fn start(ledger: &Ledger) -> Result<()> {
        register(
            ledger,
            &writer(ledger),
            &ManualClock::new(NOW),
            &SeededIds::new(1),
            &ledger.verifier_keys()?,
        )
        .await
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
        assert_eq!(ledger.store.head().await.unwrap().position, 3);
        let register = Register::read(&ledger.store, &ledger.vault).await.unwrap();
        assert_eq!(register.in_use(KeyPurpose::Log).count(), 1);
        assert_eq!(register.in_use(KeyPurpose::Export).count(), 1);
    }

    #[tokio::test]
    async fn who_may_do_what_is_recorded_where_it_is_not_what_was_recorded_last() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(dir.path()).await;
        start(&ledger).await.unwrap();
        let before = Register::read(&ledger.store, &ledger.vault).await.unwrap();
        assert_eq!(before.policy, Some(policy()));
        // As an older version of the software recorded it.
        let mut other = policy();
        other.commands.pop();
        let (clock, ids) = (ManualClock::new(NOW), SeededIds::new(2));
        let recorder = Recorder { ledger: &ledger, clock: &clock, ids: &ids };
        let append = recorder.append(vec![other.clone().into()], before.version).await.unwrap();
        writer(&ledger).append(append).await.unwrap();
        let older = Register::read(&ledger.store, &ledger.vault).await.unwrap();
        assert_eq!(older.policy, Some(other));
        start(&ledger).await.unwrap();
        let after = Register::read(&ledger.store, &ledger.vault).await.unwrap();
        assert_eq!((after.policy, after.version), (Some(policy()), before.version + 2));
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

    #[tokio::test]
    async fn a_successor_is_registered_and_what_it_replaces_is_revoked() {
        for purpose in [KeyPurpose::Log, KeyPurpose::Export] {
            let dir = tempfile::tempdir().unwrap();
            let ledger = ledger(dir.path()).await;
            start(&ledger).await.unwrap();
            let in_use = async || {
                let register = Register::read(&ledger.store, &ledger.vault).await.unwrap();
                register.in_use(purpose).map(|key| key.verifier_key.as_str().to_owned()).collect::<Vec<_>>()
            };
            let first = in_use().await;
            let keys_before = tempfile::tempdir().unwrap();
            let file = keys::file(&ledger.dir, purpose);
            std::fs::copy(&file, keys_before.path().join("key")).unwrap();

            keys::make_missing(&keys::successor(&ledger.dir, purpose)).unwrap();
            start(&ledger).await.unwrap();
            start(&ledger).await.unwrap();
            let both = in_use().await;
            assert_eq!((both.len(), &both[0]), (2, &first[0]));
            assert_eq!(ledger.store.head().await.unwrap().position, 4);

            keys::succeed(&ledger.dir, purpose).unwrap();
            start(&ledger).await.unwrap();
            assert_eq!(in_use().await, both[1..]);
            assert_eq!(ledger.store.head().await.unwrap().position, 5);
            // Folders from before: that key alone, and both.
            std::fs::rename(&file, keys::successor(&ledger.dir, purpose)).unwrap();
            std::fs::copy(keys_before.path().join("key"), &file).unwrap();
            let said = start(&ledger).await.unwrap_err().to_string();
            assert!(said.contains("was retired") && said.lines().count() == 1, "{said}");
            std::fs::remove_file(keys::successor(&ledger.dir, purpose)).unwrap();
            let said = start(&ledger).await.unwrap_err().to_string();
            assert!(said.contains("put that one back"), "{said}");
        }
    }

    #[tokio::test]
    async fn a_key_that_is_there_with_a_successor_must_be_the_registered_one() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = ledger(dir.path()).await;
        start(&ledger).await.unwrap();
        let (file, next) =
            (keys::file(&ledger.dir, KeyPurpose::Log), keys::successor(&ledger.dir, KeyPurpose::Log));
        std::fs::rename(&file, &next).unwrap();
        keys::make_missing(&file).unwrap();
        assert!(start(&ledger).await.unwrap_err().to_string().contains("put that one back"));
    }
}
