//! The vault as a whole, over a store of keys in memory.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use trialseal_record::ids::{ParticipantId, Scope, TrialId};
use uuid::Uuid;

use crate::{DataKey, DataKeys, KeyManagement, KeyStoreError, MasterKeyFile, Vault, VaultError, WrappedKey};

mod file;
mod master_key_file;
mod values;

const ORIGIN: &str = "ledger.example.org/main";

/// Wrapped keys in memory; counts how often it was asked, and can play tricks on the rows.
#[derive(Default)]
struct Memory {
    rows: Mutex<HashMap<Uuid, WrappedKey>>,
    asked: Mutex<u32>,
}

impl Memory {
    fn change(&self, id: Uuid, change: impl FnOnce(&mut WrappedKey)) {
        change(self.rows.lock().unwrap().get_mut(&id).unwrap());
    }

    fn destroy(&self, id: Uuid) {
        assert!(self.rows.lock().unwrap().remove(&id).is_some());
    }

    fn asked(&self) -> u32 {
        *self.asked.lock().unwrap()
    }

    fn find(&self, wanted: impl Fn(&WrappedKey) -> bool) -> Option<WrappedKey> {
        *self.asked.lock().unwrap() += 1;
        self.rows.lock().unwrap().values().find(|row| wanted(row)).cloned()
    }
}

#[async_trait]
impl DataKeys for Memory {
    async fn data_key_of(&self, scope: &Scope) -> Result<Option<WrappedKey>, KeyStoreError> {
        let found = self.find(|row| row.scope == *scope);
        // Lets others in between looking and adding, as a database would.
        tokio::task::yield_now().await;
        Ok(found)
    }

    async fn data_key(&self, id: Uuid) -> Result<Option<WrappedKey>, KeyStoreError> {
        *self.asked.lock().unwrap() += 1;
        Ok(self.rows.lock().unwrap().get(&id).cloned())
    }

    async fn add_data_key(&self, key: &WrappedKey) -> Result<WrappedKey, KeyStoreError> {
        tokio::task::yield_now().await;
        let mut rows = self.rows.lock().unwrap();
        if let Some(first) = rows.values().find(|row| row.scope == key.scope) {
            return Ok(first.clone());
        }
        rows.insert(key.id, key.clone());
        Ok(key.clone())
    }
}

fn trial(id: &str) -> TrialId {
    id.parse().unwrap()
}

fn participant(number: u128) -> Scope {
    Scope::Participant(trial("DEMO-1"), ParticipantId(Uuid::from_u128(number)))
}

fn master(byte: u8) -> Arc<MasterKeyFile> {
    Arc::new(MasterKeyFile::from_key(&[byte; 32]))
}

async fn open(keys: &Arc<Memory>, origin: &str, master_byte: u8) -> Result<Vault, VaultError> {
    Vault::open(origin, Arc::<Memory>::clone(keys), master(master_byte)).await
}

async fn vault() -> (Arc<Memory>, Vault) {
    let keys = Arc::new(Memory::default());
    let vault = open(&keys, ORIGIN, 1).await.unwrap();
    (keys, vault)
}

async fn key() -> Arc<DataKey> {
    vault().await.1.key_of(&participant(1)).await.unwrap()
}

#[tokio::test]
async fn a_scope_keeps_its_key_across_restarts() {
    let (keys, vault) = vault().await;
    let key = vault.key_of(&participant(1)).await.unwrap();
    assert_eq!((key.scope(), key.id().get_version_num()), (&participant(1), 4));
    let sealed = key.seal(b"event", b"data").unwrap();
    drop(vault);
    let again = open(&keys, ORIGIN, 1).await.unwrap();
    assert_eq!(again.key_of(&participant(1)).await.unwrap().id(), key.id());
    let by_id = again.key(key.id()).await.unwrap().unwrap();
    assert_eq!(by_id.open(b"event", &sealed).unwrap().as_slice(), b"data");
}

#[tokio::test]
async fn scopes_have_keys_of_their_own() {
    let (_, vault) = vault().await;
    let rest = vault.key_of(&Scope::Trial(trial("DEMO-1"))).await.unwrap();
    let one = vault.key_of(&participant(1)).await.unwrap();
    let two = vault.key_of(&participant(2)).await.unwrap();
    let sealed = one.seal(b"event", b"data").unwrap();
    assert!(rest.open(b"event", &sealed).is_err() && two.open(b"event", &sealed).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_ask_at_once_get_one_key() {
    let keys = Arc::new(Memory::default());
    let vaults =
        [Arc::new(open(&keys, ORIGIN, 1).await.unwrap()), Arc::new(open(&keys, ORIGIN, 1).await.unwrap())];
    let asking: Vec<_> = (0..64)
        .map(|i| {
            let vault = Arc::clone(&vaults[i % 2]);
            tokio::spawn(async move { vault.key_of(&participant(7)).await.unwrap() })
        })
        .collect();
    let mut got = Vec::new();
    for one in asking {
        got.push(one.await.unwrap());
    }
    let sealed = got[0].seal(b"event", b"data").unwrap();
    for key in &got {
        assert_eq!(key.id(), got[0].id());
        assert_eq!(key.open(b"event", &sealed).unwrap().as_slice(), b"data");
    }
    assert_eq!(keys.rows.lock().unwrap().len(), 2, "the ledger's own key and this one");
}

#[tokio::test]
async fn a_key_at_hand_is_not_asked_for_again_and_the_cache_is_bounded() {
    let keys = Arc::new(Memory::default());
    let two = NonZeroUsize::new(2).unwrap();
    let vault = Vault::with_cache(ORIGIN, Arc::<Memory>::clone(&keys), master(1), two).await.unwrap();
    let first = vault.key_of(&participant(1)).await.unwrap();
    let asked = keys.asked();
    vault.key_of(&participant(1)).await.unwrap();
    vault.key(first.id()).await.unwrap().unwrap();
    assert_eq!(keys.asked(), asked, "both ways find it in the cache");
    for number in 2..100 {
        vault.key_of(&participant(number)).await.unwrap();
    }
    assert_eq!(Arc::strong_count(&first), 1, "the cache let go of it");
    assert_eq!(vault.key_of(&participant(1)).await.unwrap().id(), first.id());
}

#[tokio::test]
async fn a_destroyed_key_is_gone_for_good() {
    let (keys, vault) = vault().await;
    let key = vault.key_of(&participant(1)).await.unwrap();
    let sealed = key.seal(b"event", b"data").unwrap();
    keys.destroy(key.id());
    vault.forget(key.id());
    assert!(vault.key(key.id()).await.unwrap().is_none());
    let next = vault.key_of(&participant(1)).await.unwrap();
    assert_ne!(next.id(), key.id());
    assert!(matches!(next.open(b"event", &sealed), Err(VaultError::Refused)));
    vault.forget(Uuid::nil());
}

#[tokio::test]
async fn a_wrapped_key_that_was_changed_or_moved_is_refused() {
    let (keys, vault) = vault().await;
    let one = vault.key_of(&participant(1)).await.unwrap().id();
    let two = vault.key_of(&participant(2)).await.unwrap().id();
    let good = keys.rows.lock().unwrap().clone();
    let bytes = good[&one].wrapped.len();
    let mut tricks: Vec<WrappedKey> = (0..bytes)
        .map(|at| {
            let mut row = good[&one].clone();
            row.wrapped[at] ^= 1;
            row
        })
        .collect();
    tricks.push(WrappedKey { wrapped: good[&two].wrapped.clone(), ..good[&one].clone() });
    tricks.push(WrappedKey { scope: participant(2), ..good[&one].clone() });
    tricks.push(WrappedKey { id: two, ..good[&one].clone() });
    tricks.push(WrappedKey { wrapped: good[&one].wrapped[..bytes - 1].to_vec(), ..good[&one].clone() });
    tricks.push(WrappedKey { wrapped: Vec::new(), ..good[&one].clone() });
    for trick in tricks {
        keys.change(one, |row| *row = trick);
        vault.forget(one);
        assert!(matches!(vault.key(one).await, Err(VaultError::Refused)));
    }
    keys.change(one, |row| *row = good[&one].clone());
    assert!(vault.key(one).await.unwrap().is_some());
}

#[tokio::test]
async fn keys_of_another_ledger_or_master_key_do_not_open() {
    let (keys, _) = vault().await;
    assert!(matches!(open(&keys, "ledger.example.org/other", 1).await, Err(VaultError::Refused)));
    let error = open(&keys, ORIGIN, 2).await.unwrap_err();
    let (needed, present) = (master(1).id().to_owned(), master(2).id().to_owned());
    assert_eq!(
        error.to_string(),
        format!(
            "the data key of trial/_ledger is wrapped by master key {needed}, and the one at hand is {present}"
        )
    );
}

#[tokio::test]
async fn digests_differ_by_purpose_trial_kind_and_how_parts_are_cut() {
    let (_, vault) = vault().await;
    let digests = [
        vault.natural_key(&trial("A"), "subject", "1"),
        vault.natural_key(&trial("B"), "subject", "1"),
        vault.natural_key(&trial("A"), "site", "1"),
        vault.natural_key(&trial("A"), "subject", "2"),
        vault.natural_key(&trial("A"), "subject1", ""),
        vault.command_id("A", "subject1"),
        vault.command_id("Asubject", "1"),
        vault.digest(&[b"A", b"subject", b"1"]),
        vault.digest(&[b"A", b"subject1"]),
        vault.digest(&[b"A", b"subject1", b""]),
        vault.digest(&[b"Asubject1"]),
        vault.digest(&[]),
    ];
    for (i, digest) in digests.iter().enumerate() {
        assert!(!digests[..i].contains(digest), "digest {i} is that of another input");
    }
    assert_eq!(digests[0], vault.natural_key(&trial("A"), "subject", "1"));
}

#[tokio::test]
async fn digests_stay_the_same_across_restarts() {
    let (keys, vault) = vault().await;
    let again = open(&keys, ORIGIN, 1).await.unwrap();
    assert_eq!(vault.command_id("a", "k"), again.command_id("a", "k"));
    assert_eq!(vault.digest(&[b"x"]), again.digest(&[b"x"]));
    assert_eq!(vault.natural_key(&trial("A"), "s", "1"), again.natural_key(&trial("A"), "s", "1"));
}

#[tokio::test]
async fn guessing_private_values_needs_the_key() {
    let (keys, vault) = vault().await;
    let stolen = vault.natural_key(&trial("DEMO-1"), "subject", "01-701-1015");
    let guess = |vault: Vault| {
        (0..2_000)
            .map(|n| format!("01-701-{n}"))
            .find(|value| vault.natural_key(&trial("DEMO-1"), "subject", value) == stolen)
    };
    let without = open(&Arc::new(Memory::default()), ORIGIN, 1).await.unwrap();
    assert_eq!(guess(without), None, "a dictionary without the key finds nothing");
    let with = open(&keys, ORIGIN, 1).await.unwrap();
    assert_eq!(guess(with), Some("01-701-1015".to_owned()), "and with the key it does");
}

#[tokio::test]
async fn debug_shows_no_key() {
    let (keys, vault) = vault().await;
    let key = vault.key_of(&participant(1)).await.unwrap();
    let writer = crate::file::SealedWriter::new(Vec::new(), &key, b"file").unwrap();
    let id = key.id();
    assert_eq!(format!("{vault:?}"), r#"Vault { origin: "ledger.example.org/main", .. }"#);
    assert_eq!(format!("{:?}", master(0xab)), format!("MasterKeyFile {{ id: {:?}, .. }}", master(0xab).id()));
    assert_eq!(format!("{key:?}"), format!("DataKey {{ id: {id:?}, scope: {:?}, .. }}", participant(1)));
    assert_eq!(format!("{writer:?}"), "SealedWriter { chunks: 0, .. }");
    assert_eq!(format!("{:?}", key.digest_key("x")), "DigestKey(…)");
    let stored = format!("{:?}", keys.rows.lock().unwrap());
    assert!(!stored.contains("key:"), "a stored row has the wrapped form alone");
}

#[tokio::test]
async fn a_store_that_cannot_answer_is_told_as_such() {
    struct Broken;
    #[async_trait]
    impl DataKeys for Broken {
        async fn data_key_of(&self, _: &Scope) -> Result<Option<WrappedKey>, KeyStoreError> {
            Err(KeyStoreError("connection closed".to_owned()))
        }
        async fn data_key(&self, _: Uuid) -> Result<Option<WrappedKey>, KeyStoreError> {
            Ok(None)
        }
        async fn add_data_key(&self, key: &WrappedKey) -> Result<WrappedKey, KeyStoreError> {
            Ok(key.clone())
        }
    }
    let error = Vault::open(ORIGIN, Arc::new(Broken), master(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "the store of data keys cannot answer: connection closed");
}
