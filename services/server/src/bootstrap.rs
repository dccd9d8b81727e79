//! What a new ledger records about itself before anything else: the keys it is going to sign with.

use std::collections::BTreeMap;

use anyhow::Result;
use trialseal_record::event::{Event, KeyRegistered};
use trialseal_record::values::KeyPurpose;
use trialseal_record::{Scope, StreamId, TrialId};
use trialseal_runtime::clock::Clock;
use trialseal_runtime::ids::Ids;
use trialseal_seal::canonical;
use trialseal_seal::data::{Secret, dataroot};
use trialseal_store::{Append, AppendError, Expected, NewEvent, Writer, body};

use crate::ledger::Ledger;

/// The actor of what the service does by itself.
const ACTOR: &str = "service:trialseal";

/// Records the verifier keys of log and exports in `_ledger`, unless that was done before.
pub(crate) async fn register_keys(
    ledger: &Ledger,
    writer: &Writer,
    clock: &dyn Clock,
    ids: &dyn Ids,
    keys: &[(KeyPurpose, String)],
) -> Result<()> {
    let trial = TrialId::ledger();
    let stream = StreamId::ledger();
    if ledger.store.trial_size(&trial).await?.is_some() {
        return Ok(());
    }
    let key = ledger.vault.key_of(&Scope::Trial(trial.clone())).await?;
    let mut events = Vec::new();
    for (purpose, verifier_key) in keys {
        // `<name>+<key id>+<base64>`, and base64 has a + of its own.
        let key_id = verifier_key.split('+').nth(1).unwrap_or_default();
        let event = Event::from(KeyRegistered {
            key_id: key_id.parse()?,
            purpose: *purpose,
            verifier_key: verifier_key.parse()?,
        });
        let data = event.to_data()?;
        let mut secret = [0; 32];
        ids.fill(&mut secret);
        let secret = Secret::from_bytes(secret);
        let id = ids.uuid_v7(clock.now());
        events.push(NewEvent {
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
            body: body::seal(&key, &id.to_string(), &secret, &canonical::to_vec(&data))?,
        });
    }
    let append = Append {
        command: ledger.vault.command_id(ACTOR, "register-keys"),
        digest: ledger.vault.digest(&[b"register-keys"]),
        trial,
        new_trial: true,
        expected: vec![Expected { stream, version: 0 }],
        natural_keys: Vec::new(),
        events,
    };
    match writer.append(append).await {
        // Another process on the same database was faster.
        Ok(_) | Err(AppendError::TrialExists) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
