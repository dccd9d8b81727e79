//! The vault as a whole, over a store of keys in memory.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use trialseal_record::ids::{ParticipantId, Scope, TrialId};
use uuid::Uuid;

use crate::memory::MemoryKeys;
use crate::{
    DataKey, DataKeys, KeyManagement, KeyStoreError, MasterKeyFile, StoredKey, Vault, VaultError, WrappedKey,
};

mod file;
mod master_key_file;
mod pkcs11;
mod renewal;
pub(crate) mod softhsm;
mod values;

const ORIGIN: &str = "ledger.example.org/main";

/// Wrapped keys in memory; counts how often it was asked, and can play tricks on the rows.
#[derive(Default)]
struct Memory {
    keys: MemoryKeys,
    asked: Mutex<u32>,
    /// What is answered in the place of a key.
    tricks: Mutex<HashMap<Uuid, WrappedKey>>,
    /// How many steps of a renewal are carried out before one fails; all where nothing is said.
    steps: Mutex<Option<u32>>,
}

impl Memory {
    fn asked(&self) -> u32 {
        *self.asked.lock().unwrap()
    }

    fn step(&self) -> Result<(), KeyStoreError> {
        if let Some(steps) = self.steps.lock().unwrap().as_mut() {
            *steps = steps.checked_sub(1).ok_or_else(|| KeyStoreError::Unavailable("cut".to_owned()))?;
        }
        Ok(())
    }

    async fn wrapped(&self, id: Uuid) -> WrappedKey {
        match self.keys.data_key(id).await.unwrap() {
            Some(StoredKey::Wrapped(key)) => key,
            other => panic!("{other:?}"),
        }
    }

    /// A copy of everything, as a backup makes one.
    async fn copy(&self, ids: &[Uuid]) -> Self {
        let copy = Self::default();
        for id in ids {
            copy.keys.add_data_key(&self.wrapped(*id).await).await.unwrap();
        }
        copy
    }
}

#[async_trait]
impl DataKeys for Memory {
    async fn data_key_of(&self, scope: &Scope) -> Result<Option<StoredKey>, KeyStoreError> {
        *self.asked.lock().unwrap() += 1;
        let found = self.keys.data_key_of(scope).await;
        // Lets others in between looking and adding, as a database would.
        tokio::task::yield_now().await;
        found
    }

    async fn data_key(&self, id: Uuid) -> Result<Option<StoredKey>, KeyStoreError> {
        *self.asked.lock().unwrap() += 1;
        let trick = self.tricks.lock().unwrap().get(&id).cloned();
        match trick {
            Some(trick) => Ok(Some(StoredKey::Wrapped(trick))),
            None => self.keys.data_key(id).await,
        }
    }

    async fn add_data_key(&self, key: &WrappedKey) -> Result<StoredKey, KeyStoreError> {
        tokio::task::yield_now().await;
        self.keys.add_data_key(key).await
    }

    async fn destroy_data_key(&self, scope: &Scope) -> Result<bool, KeyStoreError> {
        self.keys.destroy_data_key(scope).await
    }

    async fn succeed_data_key(&self, key: &WrappedKey) -> Result<StoredKey, KeyStoreError> {
        self.keys.succeed_data_key(key).await
    }

    async fn former_data_key_of(&self, scope: &Scope) -> Result<Option<Uuid>, KeyStoreError> {
        self.keys.former_data_key_of(scope).await
    }

    async fn destroy_former_data_key(&self, scope: &Scope) -> Result<(), KeyStoreError> {
        self.keys.destroy_former_data_key(scope).await
    }

    async fn master_key(&self) -> Result<Option<String>, KeyStoreError> {
        self.keys.master_key().await
    }

    async fn use_master_key(&self, master: &str, former: &str) -> Result<(), KeyStoreError> {
        self.step()?;
        self.keys.use_master_key(master, former).await
    }

    async fn wrapped_by_others(&self, master: &str, limit: u32) -> Result<Vec<WrappedKey>, KeyStoreError> {
        self.step()?;
        self.keys.wrapped_by_others(master, limit).await
    }

    async fn replace_data_keys(&self, keys: &[WrappedKey]) -> Result<(), KeyStoreError> {
        self.step()?;
        self.keys.replace_data_keys(keys).await
    }
}

fn trial(id: &str) -> TrialId {
    id.parse().unwrap()
}

fn participant(number: u128) -> Scope {
    Scope::Participant(trial("DEMO-1"), ParticipantId(Uuid::from_u128(number)))
}

/// A master key of 32 times this byte. Its file is gone by the time it is used.
fn master(byte: u8) -> Arc<MasterKeyFile> {
    let folder = tempfile::tempdir().unwrap();
    Arc::new(master_in(folder.path(), byte))
}

fn master_in(folder: &Path, byte: u8) -> MasterKeyFile {
    let path = folder.join("master.key");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
    file.write_all(&[byte; 32]).unwrap();
    MasterKeyFile::open(&path).unwrap()
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
    let others = keys.wrapped_by_others("none", 100).await.unwrap();
    assert_eq!(others.len(), 2, "the ledger's own key and this one");
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
    let other = vault.key_of(&participant(2)).await.unwrap();
    assert!(vault.destroy(&participant(1)).await.unwrap());
    assert!(!vault.destroy(&participant(1)).await.unwrap());
    for vault in [vault, open(&keys, ORIGIN, 1).await.unwrap()] {
        assert!(vault.key(key.id()).await.unwrap().is_none());
        let error = vault.key_of(&participant(1)).await.unwrap_err();
        assert!(matches!(&error, VaultError::Destroyed(scope) if *scope == participant(1)), "{error}");
        assert_eq!(vault.key_of(&participant(2)).await.unwrap().id(), other.id());
        let unknown = Uuid::from_u128(1);
        assert!(matches!(vault.key(unknown).await, Err(VaultError::Missing(id)) if id == unknown));
    }
}

/// Either list of keys at hand may have let go of a key that the other still has.
#[tokio::test]
async fn a_destroyed_key_is_not_at_hand_in_any_way() {
    let keys = Arc::new(Memory::default());
    let two = NonZeroUsize::new(2).unwrap();
    let vault = Vault::with_cache(ORIGIN, Arc::<Memory>::clone(&keys), master(1), two).await.unwrap();
    let first = vault.key_of(&participant(1)).await.unwrap();
    let second = vault.key_of(&participant(2)).await.unwrap();
    // The first key is used by its scope, the second by its id, and a third comes.
    vault.key_of(&participant(1)).await.unwrap();
    vault.key(second.id()).await.unwrap().unwrap();
    vault.key_of(&participant(3)).await.unwrap();
    for number in 1..=2 {
        vault.destroy(&participant(number)).await.unwrap();
        assert!(vault.key_of(&participant(number)).await.is_err());
    }
    for key in [first, second] {
        assert!(vault.key(key.id()).await.unwrap().is_none());
        assert_eq!(Arc::strong_count(&key), 1, "nothing here has it any more");
    }
}

/// From one moment on a scope's key is another one, whatever is at hand of the former.
#[tokio::test]
async fn a_former_key_opens_what_it_sealed_until_it_is_destroyed() {
    let (keys, vault) = vault().await;
    let scope = participant(1);
    let former = vault.key_of(&scope).await.unwrap();
    let sealed = former.seal(b"event-1", b"value").unwrap();
    vault.succeed(&scope).await.unwrap();
    let key = vault.key_of(&scope).await.unwrap();
    assert_ne!(key.id(), former.id());
    // Used by its id, and its scope's all the same not.
    let by_id = vault.key(former.id()).await.unwrap().unwrap();
    assert_eq!(&**by_id.open(b"event-1", &sealed).unwrap(), b"value");
    assert_eq!(vault.key_of(&scope).await.unwrap().id(), key.id());
    assert!(key.open(b"event-1", &sealed).is_err());
    assert_eq!(vault.former_of(&scope).await.unwrap(), Some(former.id()));

    vault.destroy_former(&scope).await.unwrap();
    for vault in [vault, open(&keys, ORIGIN, 1).await.unwrap()] {
        assert!(vault.key(former.id()).await.unwrap().is_none());
        assert_eq!(vault.key_of(&scope).await.unwrap().id(), key.id());
        assert_eq!(vault.former_of(&scope).await.unwrap(), None);
    }
}

#[tokio::test]
async fn digests_of_a_scope_are_its_own() {
    let (_, vault) = vault().await;
    let one = vault.key_of(&participant(1)).await.unwrap();
    let two = vault.key_of(&participant(2)).await.unwrap();
    assert_eq!(one.digest(&[b"x"]), vault.key(one.id()).await.unwrap().unwrap().digest(&[b"x"]));
    let digests = [one.digest(&[b"x"]), two.digest(&[b"x"]), one.digest(&[b"y"]), vault.digest(&[b"x"])];
    for (i, digest) in digests.iter().enumerate() {
        assert!(!digests[..i].contains(digest));
    }
}

#[tokio::test]
async fn a_wrapped_key_that_was_changed_or_moved_is_refused() {
    let (keys, vault) = vault().await;
    let one = vault.key_of(&participant(1)).await.unwrap().id();
    let two = vault.key_of(&participant(2)).await.unwrap().id();
    let (good, other) = (keys.wrapped(one).await, keys.wrapped(two).await);
    let bytes = good.wrapped.len();
    let mut tricks: Vec<WrappedKey> = (0..bytes)
        .map(|at| {
            let mut row = good.clone();
            row.wrapped[at] ^= 1;
            row
        })
        .collect();
    tricks.push(WrappedKey { wrapped: other.wrapped.clone(), ..good.clone() });
    tricks.push(WrappedKey { scope: participant(2), ..good.clone() });
    tricks.push(WrappedKey { id: two, ..good.clone() });
    tricks.push(WrappedKey { wrapped: good.wrapped[..bytes - 1].to_vec(), ..good.clone() });
    tricks.push(WrappedKey { wrapped: Vec::new(), ..good.clone() });
    let fresh = open(&keys, ORIGIN, 1).await.unwrap();
    for trick in tricks {
        keys.tricks.lock().unwrap().insert(one, trick);
        assert!(matches!(fresh.key(one).await, Err(VaultError::Refused)));
    }
    keys.tricks.lock().unwrap().clear();
    assert!(fresh.key(one).await.unwrap().is_some());
}

#[tokio::test]
async fn keys_of_another_ledger_or_master_key_do_not_open() {
    let (keys, _) = vault().await;
    assert!(matches!(open(&keys, "ledger.example.org/other", 1).await, Err(VaultError::Refused)));
    let error = open(&keys, ORIGIN, 2).await.unwrap_err();
    let (needed, present) = (master(1).id(), master(2).id());
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
    let stored = format!("{:?}", keys.wrapped(id).await);
    assert!(stored.starts_with("WrappedKey { id"), "{stored}");
}

#[tokio::test]
async fn a_store_that_cannot_answer_is_told_as_such() {
    let error = VaultError::from(KeyStoreError::Unavailable("connection closed".to_owned()));
    assert_eq!(error.to_string(), "the store of data keys cannot answer: connection closed");
}

async fn in_memory<F: Future<Output = ()>>(check: impl FnOnce(Arc<dyn DataKeys>) -> F) {
    check(Arc::new(MemoryKeys::new())).await;
}

crate::key_store_tests!(in_memory);
