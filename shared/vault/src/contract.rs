//! What every key store must do, as checks that each run on a fresh, empty one.
//!
//! A key store's test file calls [`key_store_tests!`](crate::key_store_tests), which makes one test of each check.

#![expect(clippy::missing_panics_doc, reason = "a check says that it failed by panicking")]
#![expect(clippy::unwrap_used, reason = "a check says that it failed by panicking")]

use std::sync::Arc;

use trialseal_record::ids::{ParticipantId, Scope, TrialId};
use uuid::Uuid;

use crate::{DataKeys, KeyStoreError, StoredKey, WrappedKey};

/// Makes a test of each check. `$with` is an async function that makes an empty key store, runs the check that it is given
/// on it, and cleans up: `async fn with<F: Future<Output = ()>>(check: impl FnOnce(Arc<dyn DataKeys>) -> F)`.
#[macro_export]
macro_rules! key_store_tests {
    ($with:path) => {
        $crate::key_store_tests! { $with;
            the_first_key_of_a_scope_stays
            one_of_many_concurrent_keys_wins
            a_destroyed_key_is_gone_and_its_scope_gets_no_other
            a_scope_can_be_closed_before_it_has_a_key
            a_key_is_succeeded_and_the_former_one_destroyed
            both_keys_of_a_scope_end_with_it
            keys_are_added_under_the_master_key_in_use
            all_keys_are_wrapped_anew_and_destroyed_ones_stay_so
            who_stood_still_brings_no_former_master_key_back
        }
    };
    ($with:path; $($check:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $check() {
                $with($crate::contract::$check).await;
            }
        )*
    };
}

fn trial() -> TrialId {
    "T".parse().unwrap()
}

fn participant(number: u128) -> Scope {
    Scope::Participant(trial(), ParticipantId(Uuid::from_u128(number)))
}

fn wrapped(id: u128, scope: &Scope) -> WrappedKey {
    let wrapped = vec![0, 255, u8::try_from(id % 256).unwrap()];
    WrappedKey { id: Uuid::from_u128(id), scope: scope.clone(), master: "master-1".into(), wrapped }
}

/// Adds keys of as many participants, each with its number as id.
async fn add(keys: &dyn DataKeys, numbers: impl IntoIterator<Item = u128>) {
    for number in numbers {
        keys.add_data_key(&wrapped(number, &participant(number))).await.unwrap();
    }
}

/// A scope has one key; whoever brings a second gets the first.
pub async fn the_first_key_of_a_scope_stays(keys: Arc<dyn DataKeys>) {
    let (whole, one) = (Scope::Trial(trial()), participant(5));
    let stored = |id, scope: &Scope| StoredKey::Wrapped(wrapped(id, scope));
    assert_eq!(keys.data_key_of(&whole).await.unwrap(), None);
    assert_eq!(keys.add_data_key(&wrapped(1, &whole)).await.unwrap(), stored(1, &whole));
    assert_eq!(keys.add_data_key(&wrapped(2, &whole)).await.unwrap(), stored(1, &whole));
    assert_eq!(keys.add_data_key(&wrapped(3, &one)).await.unwrap(), stored(3, &one));
    assert_eq!(keys.data_key_of(&whole).await.unwrap(), Some(stored(1, &whole)));
    assert_eq!(keys.data_key_of(&one).await.unwrap(), Some(stored(3, &one)));
    assert_eq!(keys.data_key(Uuid::from_u128(3)).await.unwrap(), Some(stored(3, &one)));
    assert_eq!(keys.data_key(Uuid::from_u128(2)).await.unwrap(), None);
}

/// However many bring a scope's key at once, all of them get the same one.
pub async fn one_of_many_concurrent_keys_wins(keys: Arc<dyn DataKeys>) {
    let scope = Scope::Trial(trial());
    let adds: Vec<_> = (1..=8)
        .map(|id| {
            let (keys, scope) = (Arc::clone(&keys), scope.clone());
            tokio::spawn(async move { keys.add_data_key(&wrapped(id, &scope)).await })
        })
        .collect();
    let mut got = Vec::new();
    for add in adds {
        got.push(add.await.unwrap().unwrap());
    }
    assert!(got.iter().all(|key| *key == got[0]), "{got:?}");
    assert_eq!(keys.data_key_of(&scope).await.unwrap().as_ref(), got.first());
}

/// A key that was destroyed is known to have been there, and nobody gets it or puts another in its place.
pub async fn a_destroyed_key_is_gone_and_its_scope_gets_no_other(keys: Arc<dyn DataKeys>) {
    add(keys.as_ref(), 1..=2).await;
    assert!(keys.destroy_data_key(&participant(1)).await.unwrap());
    assert!(!keys.destroy_data_key(&participant(1)).await.unwrap(), "once");
    for _ in 0..2 {
        assert_eq!(keys.data_key_of(&participant(1)).await.unwrap(), Some(StoredKey::Destroyed));
        assert_eq!(keys.data_key(Uuid::from_u128(1)).await.unwrap(), Some(StoredKey::Destroyed));
        let again = keys.add_data_key(&wrapped(9, &participant(1))).await.unwrap();
        assert_eq!(again, StoredKey::Destroyed);
    }
    assert_eq!(keys.data_key(Uuid::from_u128(9)).await.unwrap(), None);
    let other = StoredKey::Wrapped(wrapped(2, &participant(2)));
    assert_eq!(keys.data_key_of(&participant(2)).await.unwrap(), Some(other));
}

/// A key store that never had a key, as an old copy of it, is told of its end all the same.
pub async fn a_scope_can_be_closed_before_it_has_a_key(keys: Arc<dyn DataKeys>) {
    for number in 1..=2 {
        assert!(keys.destroy_data_key(&participant(number)).await.unwrap());
        assert_eq!(keys.data_key_of(&participant(number)).await.unwrap(), Some(StoredKey::Destroyed));
        let added = keys.add_data_key(&wrapped(number, &participant(number))).await.unwrap();
        assert_eq!(added, StoredKey::Destroyed);
    }
}

/// Of a scope's keys the newest is its own; the one before can be had by its id until it is destroyed, and wrapped anew.
pub async fn a_key_is_succeeded_and_the_former_one_destroyed(keys: Arc<dyn DataKeys>) {
    let (scope, id) = (participant(1), Uuid::from_u128);
    let stored = |number| StoredKey::Wrapped(wrapped(number, &participant(1)));
    add(keys.as_ref(), 1..=2).await;
    assert_eq!(keys.former_data_key_of(&scope).await.unwrap(), None);
    for (number, former) in [(11, 1), (12, 11), (13, 12)] {
        assert_eq!(keys.succeed_data_key(&wrapped(number, &scope)).await.unwrap(), stored(number));
        // One at a time.
        assert_eq!(keys.succeed_data_key(&wrapped(99, &scope)).await.unwrap(), stored(number));
        assert_eq!(keys.data_key_of(&scope).await.unwrap(), Some(stored(number)));
        assert_eq!(keys.former_data_key_of(&scope).await.unwrap(), Some(id(former)));
        assert_eq!(keys.data_key(id(former)).await.unwrap(), Some(stored(former)));
        for _ in 0..2 {
            keys.destroy_former_data_key(&scope).await.unwrap();
            assert_eq!(keys.former_data_key_of(&scope).await.unwrap(), None);
            assert_eq!(keys.data_key(id(former)).await.unwrap(), Some(StoredKey::Destroyed));
        }
        assert_eq!(keys.data_key(id(number)).await.unwrap(), Some(stored(number)));
    }
    assert_eq!(keys.data_key(id(99)).await.unwrap(), None);
    let other = StoredKey::Wrapped(wrapped(2, &participant(2)));
    assert_eq!(keys.data_key_of(&participant(2)).await.unwrap(), Some(other));

    // Under another master key, after a renewal that was broken off.
    keys.succeed_data_key(&wrapped(14, &scope)).await.unwrap();
    keys.use_master_key("master-2", "master-1").await.unwrap();
    let refused = keys.succeed_data_key(&wrapped(15, &participant(2))).await;
    assert_eq!(refused, Err(KeyStoreError::OtherMasterKey));
    let others = keys.wrapped_by_others("master-2", 100).await.unwrap();
    let mut ids: Vec<_> = others.iter().map(|key| key.id.as_u128()).collect();
    ids.sort_unstable();
    assert_eq!(ids, [2, 13, 14]);
    let anew = |key: WrappedKey| WrappedKey { master: "master-2".into(), ..key };
    keys.replace_data_keys(&others.into_iter().map(anew).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(keys.wrapped_by_others("master-2", 100).await.unwrap(), []);
    for number in [13, 14] {
        let stored = keys.data_key(id(number)).await.unwrap();
        assert_eq!(stored, Some(StoredKey::Wrapped(anew(wrapped(number, &scope)))));
    }
}

/// Where a scope's key is destroyed while a former one is there, that one is as well; and no successor comes after.
pub async fn both_keys_of_a_scope_end_with_it(keys: Arc<dyn DataKeys>) {
    let scope = participant(1);
    add(keys.as_ref(), [1]).await;
    keys.succeed_data_key(&wrapped(11, &scope)).await.unwrap();
    assert!(keys.destroy_data_key(&scope).await.unwrap());
    for number in [1, 11] {
        assert_eq!(keys.data_key(Uuid::from_u128(number)).await.unwrap(), Some(StoredKey::Destroyed));
    }
    assert_eq!(keys.former_data_key_of(&scope).await.unwrap(), None);
    assert_eq!(keys.succeed_data_key(&wrapped(12, &scope)).await.unwrap(), StoredKey::Destroyed);
    // As in an old copy of the key store.
    let first = StoredKey::Wrapped(wrapped(21, &participant(2)));
    assert_eq!(keys.succeed_data_key(&wrapped(21, &participant(2))).await.unwrap(), first);
    assert_eq!(keys.data_key_of(&participant(2)).await.unwrap(), Some(first));
}

/// The first key says which master key is in use; a key that another one wrapped is not added.
pub async fn keys_are_added_under_the_master_key_in_use(keys: Arc<dyn DataKeys>) {
    assert_eq!(keys.master_key().await.unwrap(), None);
    add(keys.as_ref(), [1]).await;
    assert_eq!(keys.master_key().await.unwrap().as_deref(), Some("master-1"));
    keys.use_master_key("master-2", "master-1").await.unwrap();
    assert_eq!(keys.master_key().await.unwrap().as_deref(), Some("master-2"));
    let refused = keys.add_data_key(&wrapped(2, &participant(2))).await;
    assert_eq!(refused, Err(KeyStoreError::OtherMasterKey));
    assert_eq!(keys.data_key_of(&participant(2)).await.unwrap(), None);
    // One that is there is answered, whatever wrapped the other.
    let first = StoredKey::Wrapped(wrapped(1, &participant(1)));
    assert_eq!(keys.add_data_key(&wrapped(3, &participant(1))).await.unwrap(), first);
    let under = WrappedKey { master: "master-2".into(), ..wrapped(2, &participant(2)) };
    assert_eq!(keys.add_data_key(&under).await.unwrap(), StoredKey::Wrapped(under));
}

/// What another master key wrapped is found and replaced, some at a time, until none is left.
pub async fn all_keys_are_wrapped_anew_and_destroyed_ones_stay_so(keys: Arc<dyn DataKeys>) {
    add(keys.as_ref(), 1..=5).await;
    keys.destroy_data_key(&participant(2)).await.unwrap();
    keys.use_master_key("master-2", "master-1").await.unwrap();
    let mut replaced = Vec::new();
    loop {
        let some = keys.wrapped_by_others("master-2", 3).await.unwrap();
        assert!(some.len() <= 3);
        if some.is_empty() {
            break;
        }
        let anew = |key: WrappedKey| WrappedKey { master: "master-2".into(), wrapped: vec![7; 80], ..key };
        let anew: Vec<_> = some.into_iter().map(anew).collect();
        // One of them is destroyed between the reading and the writing.
        if replaced.is_empty() {
            keys.destroy_data_key(&participant(5)).await.unwrap();
        }
        keys.replace_data_keys(&anew).await.unwrap();
        replaced.extend(anew);
    }
    for number in [1, 3, 4] {
        let stored = keys.data_key(Uuid::from_u128(number)).await.unwrap();
        let anew = WrappedKey {
            master: "master-2".into(),
            wrapped: vec![7; 80],
            ..wrapped(number, &participant(number))
        };
        assert_eq!(stored, Some(StoredKey::Wrapped(anew)));
    }
    for number in [2, 5] {
        assert_eq!(keys.data_key_of(&participant(number)).await.unwrap(), Some(StoredKey::Destroyed));
    }
}

/// A process that stood still in the midst of a renewal, while another carried it out and began the next: neither its master
/// key comes into use again, nor what it has wrapped into the place of what is there.
pub async fn who_stood_still_brings_no_former_master_key_back(keys: Arc<dyn DataKeys>) {
    add(keys.as_ref(), [1]).await;
    let under = |master: &str| WrappedKey { master: master.into(), ..wrapped(1, &participant(1)) };
    for _ in 0..2 {
        keys.use_master_key("master-2", "master-1").await.unwrap();
    }
    keys.replace_data_keys(&[under("master-2")]).await.unwrap();
    keys.use_master_key("master-3", "master-2").await.unwrap();
    for (master, former) in [("master-2", "master-1"), ("master-1", "master-0")] {
        assert_eq!(keys.use_master_key(master, former).await, Err(KeyStoreError::OtherMasterKey));
        let replaced = keys.replace_data_keys(&[under("master-3"), under(master)]).await;
        assert_eq!(replaced, Err(KeyStoreError::OtherMasterKey));
    }
    assert_eq!(keys.master_key().await.unwrap().as_deref(), Some("master-3"));
    let stored = keys.data_key(Uuid::from_u128(1)).await.unwrap();
    assert_eq!(stored, Some(StoredKey::Wrapped(under("master-2"))));
    keys.replace_data_keys(&[under("master-3")]).await.unwrap();
    assert_eq!(keys.wrapped_by_others("master-3", 9).await.unwrap(), []);
}
