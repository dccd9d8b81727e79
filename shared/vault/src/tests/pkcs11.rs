//! The master key on a token.

use std::sync::Arc;

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::types::Ulong;
use trialseal_record::ids::{Scope, TrialId};
use zeroize::Zeroizing;

use super::softhsm::{self, LABEL, module, softhsm_tests, token, token_with};
use super::{Memory, ORIGIN, master_in, participant};
use crate::{KeyManagement, MasterKeyFile, MasterKeyToken, MovedMasterKey, Token, Vault, VaultError};

softhsm_tests! {
    what_is_wrapped_unwraps_for_its_context_alone
    a_successor_takes_over_and_the_former_key_leaves_the_token
    who_stood_still_destroys_nothing_that_is_of_use_by_now
    a_key_cannot_be_read_out_and_one_that_can_is_refused
    keys_that_nobody_can_tell_apart_are_refused
    ledgers_on_one_token_have_keys_of_their_own
    a_lost_session_is_replaced
    a_pin_that_was_refused_is_not_tried_again
    what_a_token_refuses_is_a_sentence_and_shows_no_pin
    after_a_renewal_no_copy_of_the_key_store_is_of_use
    a_renewal_that_is_broken_off_loses_nothing
    a_key_is_moved_from_a_file_wherever_that_is_broken_off
}

async fn open() -> MasterKeyToken {
    MasterKeyToken::open(token(), ORIGIN).await.unwrap()
}

async fn made() -> MasterKeyToken {
    MasterKeyToken::open_or_create(token(), ORIGIN).await.unwrap()
}

/// The keys on the token, whosever they are.
fn keys_on_the_token() -> Vec<ObjectHandle> {
    softhsm::session().find_objects(&[Attribute::Class(ObjectClass::SECRET_KEY)]).unwrap()
}

async fn what_is_wrapped_unwraps_for_its_context_alone() {
    let master = made().await;
    let (id, wrapped) = master.wrap(b"context", &[9; 32]).await.unwrap();
    assert_eq!(id, master.id());
    assert_eq!(wrapped.len(), 12 + 32 + 16);
    assert_ne!(master.wrap(b"context", &[9; 32]).await.unwrap().1, wrapped, "another nonce");
    for master in [master, open().await] {
        assert_eq!(*master.unwrap(&id, b"context", &wrapped).await.unwrap().unwrap(), [9; 32]);
        assert!(matches!(master.unwrap(&id, b"another", &wrapped).await, Err(VaultError::Refused)));
        for place in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[place] ^= 1;
            assert!(matches!(master.unwrap(&id, b"context", &changed).await, Err(VaultError::Refused)));
        }
        for length in [0, 11, 12, 28, 59] {
            let short = master.unwrap(&id, b"context", &wrapped[..length]).await;
            assert!(matches!(short, Err(VaultError::Refused)), "{length} bytes");
        }
        for other in ["pkcs11-1-0000000000000000", "file-0000000000000000", ""] {
            assert!(master.unwrap(other, b"context", &wrapped).await.unwrap().is_none());
        }
    }
}

async fn a_successor_takes_over_and_the_former_key_leaves_the_token() {
    let master = made().await;
    master.destroy_former().await.unwrap();
    let (former, wrapped) = master.wrap(b"context", &[9; 32]).await.unwrap();
    for _ in 0..2 {
        master.succeed().await.unwrap();
        assert_eq!(master.former_id().as_deref(), Some(former.as_str()));
        assert_ne!(master.id(), former);
        assert_eq!(*master.unwrap(&former, b"context", &wrapped).await.unwrap().unwrap(), [9; 32]);
        assert_eq!(keys_on_the_token().len(), 2);
    }
    let again = made().await;
    assert_eq!((again.id(), again.former_id()), (master.id(), Some(former.clone())));
    assert!(again.unwrap(&former, b"context", &wrapped).await.unwrap().is_some());
    for _ in 0..2 {
        again.destroy_former().await.unwrap();
        assert!(again.former_id().is_none());
        assert!(again.unwrap(&former, b"context", &wrapped).await.unwrap().is_none());
        assert_eq!(keys_on_the_token().len(), 1);
    }
    // Another process that still holds the former one's handle is told that it is not there any more.
    assert!(master.unwrap(&former, b"context", &wrapped).await.unwrap().is_none());
    assert_eq!(open().await.id(), again.id());
    // It finds a successor that was made behind its back.
    again.succeed().await.unwrap();
    let (newest, wrapped) = again.wrap(b"context", &[7; 32]).await.unwrap();
    assert_eq!(*master.unwrap(&newest, b"context", &wrapped).await.unwrap().unwrap(), [7; 32]);
}

/// A process that stands still in the midst of a renewal; another carries it out and begins the next.
async fn who_stood_still_destroys_nothing_that_is_of_use_by_now() {
    let slow = made().await;
    slow.succeed().await.unwrap();
    let other = open().await;
    other.destroy_former().await.unwrap();
    let (id, wrapped) = other.wrap(b"context", &[9; 32]).await.unwrap();
    other.succeed().await.unwrap();
    slow.destroy_former().await.unwrap();
    assert_eq!(*other.unwrap(&id, b"context", &wrapped).await.unwrap().unwrap(), [9; 32]);
    assert_eq!(keys_on_the_token().len(), 2);
}

async fn a_key_cannot_be_read_out_and_one_that_can_is_refused() {
    let master = made().await;
    let [handle] = keys_on_the_token()[..] else { panic!("one key") };
    let session = softhsm::session();
    let read = session.get_attributes(handle, &[AttributeType::Value]);
    assert!(read.is_ok_and(|read| read.is_empty()), "its value is not told");
    assert!(session.update_attributes(handle, &[Attribute::Extractable(true)]).is_err());

    let label = format!("trialseal {ORIGIN}").into_bytes();
    let extractable = [
        Attribute::Token(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::ValueLen(Ulong::new(32)),
        Attribute::Label(label),
        Attribute::Id([2_u64.to_be_bytes(); 2].concat()),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &extractable).unwrap();
    let error = MasterKeyToken::open(token(), ORIGIN).await.unwrap_err().to_string();
    assert!(error.contains("that can be read out"), "{error}");
    let error = master.succeed().await.unwrap_err().to_string();
    assert!(error.contains("that can be read out"), "{error}");
}

/// Two of one generation, as two processes leave that make the first key at once and end in the midst of it.
async fn keys_that_nobody_can_tell_apart_are_refused() {
    let error = MasterKeyToken::open(token(), ORIGIN).await.unwrap_err().to_string();
    let label = format!("{LABEL:?}");
    assert!(
        error.ends_with(&format!("the PKCS#11 token {label} has no master key of this ledger")),
        "{error}"
    );
    assert!(keys_on_the_token().is_empty());

    made().await;
    let twin = [
        Attribute::Token(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::ValueLen(Ulong::new(32)),
        Attribute::Label(format!("trialseal {ORIGIN}").into_bytes()),
        Attribute::Id([1_u64.to_be_bytes(), [7; 8]].concat()),
    ];
    softhsm::session().generate_key(&Mechanism::AesKeyGen, &twin).unwrap();
    for _ in 0..2 {
        let error = MasterKeyToken::open_or_create(token(), ORIGIN).await.unwrap_err().to_string();
        assert!(
            error.contains("has 2 keys labelled") && error.contains("pkcs11-1-0707070707070707"),
            "{error}"
        );
    }
    assert_eq!(keys_on_the_token().len(), 2, "none is destroyed");
}

async fn ledgers_on_one_token_have_keys_of_their_own() {
    let (one, other) = (made().await, MasterKeyToken::open_or_create(token(), "another").await.unwrap());
    assert_ne!(one.id(), other.id());
    let (id, wrapped) = one.wrap(b"context", &[9; 32]).await.unwrap();
    assert!(other.unwrap(&id, b"context", &wrapped).await.unwrap().is_none());
    one.succeed().await.unwrap();
    one.destroy_former().await.unwrap();
    assert_eq!(MasterKeyToken::open(token(), "another").await.unwrap().id(), other.id());
}

async fn a_lost_session_is_replaced() {
    let master = made().await;
    let (id, wrapped) = master.wrap(b"context", &[9; 32]).await.unwrap();
    for lose in [softhsm::log_out, softhsm::end_all_sessions] {
        lose();
        assert_eq!(*master.unwrap(&id, b"context", &wrapped).await.unwrap().unwrap(), [9; 32]);
        lose();
        assert!(master.unwrap("pkcs11-9-0000000000000000", b"context", &wrapped).await.unwrap().is_none());
        lose();
        master.wrap(b"context", &[9; 32]).await.unwrap();
    }
    softhsm::log_out();
    master.succeed().await.unwrap();
    assert_eq!(master.former_id(), Some(id));
    softhsm::end_all_sessions();
    master.destroy_former().await.unwrap();
    assert_eq!(keys_on_the_token().len(), 1);
}

/// A token locks itself after a few wrong ones, and then nobody gets in.
async fn a_pin_that_was_refused_is_not_tried_again() {
    let master = made().await;
    softhsm::change_pin("another");
    let mut said = Vec::new();
    for _ in 0..2 {
        softhsm::log_out_of("another");
        said.push(master.wrap(b"context", &[9; 32]).await.unwrap_err().to_string());
    }
    assert!(said[0].contains("refuses the PIN: correct it"), "{said:?}");
    assert!(said[1].ends_with("refused the PIN, which is not tried again before the next start"), "{said:?}");
}

async fn what_a_token_refuses_is_a_sentence_and_shows_no_pin() {
    let said = async |token: Token| {
        assert!(!format!("{token:?}").contains("canary"));
        let error = MasterKeyToken::open_or_create(token, ORIGIN).await.unwrap_err().to_string();
        assert!(
            error.starts_with("the key management cannot answer: the PKCS#11 ") && error.lines().count() == 1
        );
        assert!(!error.contains("canary"), "{error}");
        error
    };
    let error = said(token_with("canary-of-another")).await;
    assert!(error.contains(&format!("token {LABEL:?} refuses the PIN: correct it")), "{error}");
    let at = |module, label: &str| Token::new(module, label.to_owned(), &Zeroizing::new("canary".to_owned()));
    let error = said(at(module(), "elsewhere")).await;
    assert!(
        error.contains(&format!("\"elsewhere\" is not there: the module {}", module().display())),
        "{error}"
    );
    assert!(error.ends_with(&format!("knows of {LABEL:?}")), "{error}");
    let error = said(at("/nowhere/module.so".into(), LABEL)).await;
    assert!(error.contains("module /nowhere/module.so cannot be loaded"), "{error}");
    assert!(keys_on_the_token().is_empty());
}

async fn after_a_renewal_no_copy_of_the_key_store_is_of_use() {
    let keys = Arc::new(Memory::default());
    let vault = Vault::open(ORIGIN, Arc::<Memory>::clone(&keys), Arc::new(made().await)).await.unwrap();
    let mut ids = vec![vault.key_of(&Scope::Trial(TrialId::ledger())).await.unwrap().id()];
    for number in 0..20 {
        ids.push(vault.key_of(&participant(number)).await.unwrap().id());
    }
    let copy = Arc::new(keys.copy(&ids).await);
    let former = vault.master_key();
    vault.destroy(&participant(0)).await.unwrap();
    assert_eq!(vault.renew_master_key().await.unwrap(), 20, "all but one, and the ledger's own");

    let again = Vault::open(ORIGIN, keys, Arc::new(open().await)).await.unwrap();
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(again.key(*id).await.unwrap().is_none(), number == 1);
    }
    let error = Vault::open(ORIGIN, copy, Arc::new(open().await)).await.unwrap_err();
    assert!(matches!(&error, VaultError::OtherMasterKey { needed, .. } if *needed == former), "{error}");
    assert_eq!(keys_on_the_token().len(), 1);
}

async fn a_renewal_that_is_broken_off_loses_nothing() {
    let keys = Arc::new(Memory::default());
    let vault = Vault::open(ORIGIN, Arc::<Memory>::clone(&keys), Arc::new(made().await)).await.unwrap();
    let id = vault.key_of(&participant(1)).await.unwrap().id();
    for steps in 0..4 {
        *keys.steps.lock().unwrap() = Some(steps);
        let vault = Vault::open(ORIGIN, Arc::<Memory>::clone(&keys), Arc::new(open().await)).await.unwrap();
        assert!(vault.renew_master_key().await.is_err(), "step {steps}");
        assert_eq!(keys_on_the_token().len(), 2);
        *keys.steps.lock().unwrap() = None;
        let again = Vault::open(ORIGIN, Arc::<Memory>::clone(&keys), Arc::new(open().await)).await.unwrap();
        assert!(again.former_master_key().is_some());
        again.key(id).await.unwrap().unwrap();
        again.key_of(&participant(100 + u128::from(steps))).await.unwrap();
        again.renew_master_key().await.unwrap();
        assert!(again.former_master_key().is_none());
        assert_eq!(keys_on_the_token().len(), 1);
        Vault::open(ORIGIN, Arc::<Memory>::clone(&keys), Arc::new(open().await))
            .await
            .unwrap()
            .key(id)
            .await
            .unwrap()
            .unwrap();
    }
}

async fn a_key_is_moved_from_a_file_wherever_that_is_broken_off() {
    for steps in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let keys = Arc::new(Memory::default());
        let file = master_in(folder.path(), 1);
        let vault = Vault::open(ORIGIN, Arc::<Memory>::clone(&keys), Arc::new(file)).await.unwrap();
        let id = vault.key_of(&participant(1)).await.unwrap().id();

        let token: Arc<dyn KeyManagement> = Arc::new(made().await);
        let moved = async || {
            let moved = MovedMasterKey::new(MasterKeyFile::open(&path).unwrap(), Arc::clone(&token));
            Vault::open(ORIGIN, Arc::<Memory>::clone(&keys), Arc::new(moved)).await.unwrap()
        };
        *keys.steps.lock().unwrap() = Some(steps);
        let broken = moved().await.renew_master_key().await;
        // The last has as many steps as it takes.
        assert_eq!(broken.is_err(), steps < 4, "step {steps}");
        *keys.steps.lock().unwrap() = None;
        if broken.is_err() {
            let again = moved().await;
            again.key(id).await.unwrap().unwrap();
            again.key_of(&participant(2)).await.unwrap();
            again.renew_master_key().await.unwrap();
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file is gone");
        let vault = Vault::open(ORIGIN, keys, token).await.unwrap();
        vault.key(id).await.unwrap().unwrap();
        assert!(vault.former_master_key().is_none());
    }
}
