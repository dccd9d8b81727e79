//! Another master key: what older copies are worth then, and what becomes of a renewal that is broken off.

use std::fs;
use std::sync::Arc;

use trialseal_record::ids::{Scope, TrialId};

use super::{Memory, ORIGIN, master_in, participant};
use crate::{KeyStoreError, MasterKeyFile, Vault, VaultError};

/// A copy of the key store from before, and the file of the master key, do not bring a destroyed key back.
#[tokio::test]
async fn after_a_renewal_no_copy_of_the_key_store_is_of_use() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Arc::new(Memory::default());
    let management = Arc::new(master_in(folder.path(), 1));
    let vault = Vault::open(ORIGIN, Arc::<Memory>::clone(&keys), management).await.unwrap();
    let mut made = Vec::new();
    for number in 0..1200 {
        made.push(vault.key_of(&participant(number)).await.unwrap());
    }
    let sealed: Vec<_> = made.iter().map(|key| key.seal(b"event", b"data").unwrap()).collect();
    let ledger = vault.key_of(&Scope::Trial(TrialId::ledger())).await.unwrap().id();
    let ids: Vec<_> = made.iter().map(|key| key.id()).chain([ledger]).collect();
    let copy = Arc::new(keys.copy(&ids).await);
    let before = vault.command_id("a", "k");
    let former = vault.master_key();

    vault.destroy(&participant(0)).await.unwrap();
    assert_eq!(vault.renew_master_key().await.unwrap(), 1200, "all but one, and the ledger's own");
    assert_ne!(vault.master_key(), former);
    assert!(vault.former_master_key().is_none());
    assert_eq!(
        vault.key_of(&participant(2000)).await.unwrap().scope(),
        &participant(2000),
        "new ones are made"
    );

    let open = |keys: &Arc<Memory>| {
        let management = MasterKeyFile::open(&folder.path().join("master.key")).unwrap();
        Vault::open(ORIGIN, Arc::<Memory>::clone(keys) as _, Arc::new(management))
    };
    let again = open(&keys).await.unwrap();
    assert_eq!(again.command_id("a", "k"), before);
    for (key, sealed) in made.iter().zip(&sealed).skip(1) {
        let key = again.key(key.id()).await.unwrap().unwrap();
        assert_eq!(key.open(b"event", sealed).unwrap().as_slice(), b"data");
    }
    assert!(again.key(made[0].id()).await.unwrap().is_none());
    let error = open(&copy).await.unwrap_err();
    assert!(matches!(&error, VaultError::OtherMasterKey { needed, .. } if *needed == former), "{error}");
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    assert!(left.into_iter().all(|bytes| bytes != [1; 32]), "the former key is in no file");
}

/// Wherever a renewal is broken off, every key can still be read and new ones are made, in this process and after a
/// restart, and it goes on when it is asked for again.
#[tokio::test]
async fn a_renewal_that_is_broken_off_loses_nothing() {
    for steps in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(Memory::default());
        let management = Arc::new(master_in(folder.path(), 1));
        *keys.steps.lock().unwrap() = Some(steps);
        let vault = Vault::open(ORIGIN, Arc::<Memory>::clone(&keys), management).await.unwrap();
        let mut sealed = Vec::new();
        for number in 0..600 {
            let key = vault.key_of(&participant(number)).await.unwrap();
            sealed.push((key.id(), key.seal(b"event", b"data").unwrap()));
        }
        vault.destroy(&participant(0)).await.unwrap();
        assert!(vault.renew_master_key().await.is_err(), "step {steps}");
        assert!(vault.former_master_key().is_some());
        *keys.steps.lock().unwrap() = None;
        vault.key_of(&participant(1000)).await.unwrap();

        let management = MasterKeyFile::open(&folder.path().join("master.key")).unwrap();
        let again = Vault::open(ORIGIN, Arc::<Memory>::clone(&keys), Arc::new(management)).await.unwrap();
        assert!(again.former_master_key().is_some());
        again.key_of(&participant(1001)).await.unwrap();
        let reads = async |vault: &Vault| {
            for (id, sealed) in sealed.iter().skip(1) {
                let key = vault.key(*id).await.unwrap().unwrap();
                assert_eq!(key.open(b"event", sealed).unwrap().as_slice(), b"data");
            }
            assert!(vault.key(sealed[0].0).await.unwrap().is_none());
        };
        reads(&again).await;
        again.renew_master_key().await.unwrap();
        assert!(again.former_master_key().is_none());
        let management = MasterKeyFile::open(&folder.path().join("master.key")).unwrap();
        let last = Vault::open(ORIGIN, Arc::<Memory>::clone(&keys), Arc::new(management)).await.unwrap();
        reads(&last).await;
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

/// Keys that are made while the master key changes are wrapped by one that stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_that_are_made_during_a_renewal_are_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Arc::new(Memory::default());
    let management = Arc::new(master_in(folder.path(), 1));
    let vault = Arc::new(Vault::open(ORIGIN, Arc::<Memory>::clone(&keys), management).await.unwrap());
    let making: Vec<_> = (0..4_u128)
        .map(|maker| {
            let vault = Arc::clone(&vault);
            tokio::spawn(async move {
                let mut made = Vec::new();
                for number in 0..300 {
                    // Refused twice in a row it is for the caller to come again, as for a store that is busy.
                    let key = loop {
                        match vault.key_of(&participant(maker * 1000 + number)).await {
                            Err(VaultError::Store(KeyStoreError::OtherMasterKey)) => {}
                            key => break key.unwrap(),
                        }
                    };
                    made.push((key.id(), key.seal(b"event", b"data").unwrap()));
                }
                made
            })
        })
        .collect();
    for _ in 0..5 {
        vault.renew_master_key().await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut made = Vec::new();
    for one in making {
        made.extend(one.await.unwrap());
    }
    let management = MasterKeyFile::open(&folder.path().join("master.key")).unwrap();
    let again = Vault::open(ORIGIN, Arc::<Memory>::clone(&keys), Arc::new(management)).await.unwrap();
    for (id, sealed) in made {
        let key = again.key(id).await.unwrap().unwrap();
        assert_eq!(key.open(b"event", &sealed).unwrap().as_slice(), b"data");
    }
}
