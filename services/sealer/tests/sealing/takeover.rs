//! Two processes on one ledger, and a database that another takes the place of.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use trialseal_seal::checkpoint::{Checkpoint, log_signatures};
use trialseal_seal::hash::sha256;
use trialseal_seal::note::{KeyKind, SignedNote, Signer};
use trialseal_seal::policy::Policy;
use trialseal_sealer::SealError;
use trialseal_store::{Election, Events, Seals, StoreError};
use uuid::Uuid;

use crate::bench::{Bench, signer};

/// A primary whose standby has not got its last events: 100 in the one, 90 in the other, none of them sealed.
async fn with_standby() -> (Bench, Bench) {
    let (mut primary, mut standby) = (Bench::new(), Bench::new());
    for bench in [&mut primary, &mut standby] {
        bench.append("A", 60).await;
        bench.append("B", 30).await;
    }
    primary.append("A", 10).await;
    (primary, standby)
}

#[tokio::test(start_paused = true)]
async fn what_the_database_lost_is_not_sealed_after_a_failover() {
    let (mut bench, standby) = with_standby().await;
    let sealer = bench.sealer().await.unwrap();
    let dying = Arc::clone(&bench.store);
    bench.store.before("begin_seal", async move { dying.down.store(true, Ordering::SeqCst) });
    let running = tokio::spawn(sealer.run(bench.shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.memory.head().await.unwrap().seal, None);
    bench.memory = Arc::clone(&standby.memory);
    bench.store.switch(Arc::clone(&standby.memory));
    bench.store.down.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(5)).await;
    bench.shutdown.request();
    running.await.unwrap().unwrap();
    let seals = bench.audit();
    assert_eq!(seals.iter().map(|seal| seal.events).collect::<Vec<_>>(), [90]);
    bench.assert_covers(&seals[0]).await;
}

#[tokio::test(start_paused = true)]
async fn a_round_that_failed_is_begun_anew_once_the_database_can_be_read() {
    let (mut bench, standby) = with_standby().await;
    let mut sealer = bench.sealer().await.unwrap();
    // The seal is recorded, but nothing of it goes out before the database that knows it is gone.
    bench.place.fail_at(0, false);
    sealer.round(&bench.shutdown).await.unwrap_err();
    bench.store.down.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let error = sealer.round(&bench.shutdown).await.unwrap_err();
        assert!(matches!(error, SealError::Store(StoreError::Unavailable(_))), "{error}");
    }
    bench.memory = Arc::clone(&standby.memory);
    bench.store.switch(Arc::clone(&standby.memory));
    bench.store.down.store(false, Ordering::SeqCst);
    assert!(sealer.round(&bench.shutdown).await.unwrap());
    bench.assert_covers(&bench.audit()[0]).await;
}

#[tokio::test]
async fn a_database_that_goes_back_under_the_sealer_is_refused_for_good() {
    let (bench, standby) = with_standby().await;
    let mut sealer = bench.sealer().await.unwrap();
    let (store, older) = (Arc::clone(&bench.store), Arc::clone(&standby.memory));
    bench.store.before("begin_seal", async move { store.switch(older) });
    let refused = sealer.round(&bench.shutdown).await.unwrap_err();
    assert!(refused.is_final() && matches!(refused, SealError::Damaged(_)), "{refused}");
    assert_eq!(standby.memory.head().await.unwrap().seal, None, "nothing was sealed");
}

#[tokio::test]
async fn a_database_with_another_newest_seal_is_refused_for_good() {
    let (mut bench, mut other) = (Bench::new(), Bench::new());
    other.append("A", 2).await;
    other.sealer().await.unwrap().round(&other.shutdown).await.unwrap();
    other.append("A", 1).await;
    bench.append("A", 1).await;
    let mut sealer = bench.sealer().await.unwrap();
    sealer.round(&bench.shutdown).await.unwrap();
    bench.append("A", 1).await;
    let (store, another) = (Arc::clone(&bench.store), Arc::clone(&other.memory));
    bench.store.before("begin_seal", async move { store.switch(another) });
    let refused = sealer.round(&bench.shutdown).await.unwrap_err();
    assert!(refused.is_final() && matches!(refused, SealError::Fork(_)), "{refused}");
}

#[tokio::test]
async fn a_recorded_seal_that_is_gone_is_an_error_and_no_endless_search() {
    let mut bench = Bench::new();
    bench.append("A", 1).await;
    let mut sealer = bench.sealer().await.unwrap();
    *bench.store.seals.lock().unwrap() = Some(Box::new(Vec::clear));
    let refused = sealer.round(&bench.shutdown).await.unwrap_err();
    assert!(matches!(refused, SealError::Damaged(_)), "{refused}");
}

#[tokio::test]
async fn a_seal_that_another_process_makes_meanwhile_is_no_old_backup() {
    for call in ["newest_checkpoint", "head", "seals", "sealed_heads"] {
        let mut bench = Bench::new();
        bench.append("A", 1).await;
        let mut other = bench.sealer().await.unwrap();
        other.round(&bench.shutdown).await.unwrap();
        bench.append("A", 1).await;
        let shutdown = bench.shutdown.clone();
        bench.store.before(call, async move { assert!(other.round(&shutdown).await.unwrap()) });
        let mut sealer = bench.sealer().await.unwrap_or_else(|error| panic!("at {call}: {error}"));
        bench.append("A", 1).await;
        // Where it was overtaken it says so, and goes on from there.
        if let Err(error) = sealer.round(&bench.shutdown).await {
            assert!(matches!(error, SealError::Store(StoreError::Overtaken(_))), "at {call}: {error}");
            assert!(sealer.round(&bench.shutdown).await.unwrap());
        }
        let seals = bench.audit();
        assert_eq!(seals.iter().map(|seal| seal.events).collect::<Vec<_>>(), [1, 2, 3], "at {call}");
    }
}

#[tokio::test]
async fn nothing_is_sealed_once_another_process_is_elected() {
    let mut bench = Bench::new();
    bench.append("A", 1).await;
    let mut sealer = bench.sealer().await.unwrap();
    let memory = Arc::clone(&bench.memory);
    bench.store.before("begin_seal", async move {
        memory.stand(Uuid::from_u128(1), Duration::from_mins(1)).await.unwrap();
    });
    let deposed = sealer.round(&bench.shutdown).await.unwrap_err();
    assert!(!deposed.is_final() && matches!(deposed, SealError::Store(StoreError::Deposed)), "{deposed}");
    assert_eq!(bench.memory.seals(0, 10).await.unwrap(), []);
    assert!(bench.place.checkpoint().is_none());
}

#[tokio::test]
async fn a_process_that_stood_still_does_not_take_back_a_newer_checkpoint() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("A", 1).await;
    let (mut rival, shutdown) = (Bench::new(), bench.shutdown.clone());
    (rival.store, rival.place) = (Arc::clone(&bench.store), Arc::clone(&bench.place));
    rival.settings.heartbeat = Duration::ZERO;
    bench.place.before_put("notes/001", async move {
        let mut sealer = rival.sealer().await.unwrap();
        sealer.round(&shutdown).await.unwrap();
        sealer.round(&shutdown).await.unwrap();
    });
    let overtaken = sealer.round(&bench.shutdown).await.unwrap_err();
    assert!(matches!(overtaken, SealError::Store(StoreError::Overtaken(_))), "{overtaken}");
    assert_eq!(bench.place.checkpoint().unwrap().size, 3);
    bench.append("A", 1).await;
    assert!(sealer.round(&bench.shutdown).await.unwrap());
    assert_eq!(bench.audit().len(), 4);
}

#[tokio::test]
async fn what_one_key_has_signed_is_published_by_two_and_by_no_stranger() {
    let mut bench = Bench::new();
    bench.append("A", 1).await;
    bench.sealer().await.unwrap().round(&bench.shutdown).await.unwrap();
    let successor = Signer::new(crate::bench::ORIGIN, KeyKind::Ed25519, &[43; 32]).unwrap();
    let (old, new) = (signer().verifier_key(), successor.verifier_key());

    // Published by nobody yet, as after a crash, and the log's key is another one that nothing connects with the old.
    let published = std::mem::take(&mut *bench.place.files.lock().unwrap());
    bench.signers = vec![successor.clone()];
    bench.policy = Policy::parse(&Policy::text_for_log(&new)).unwrap();
    let refused = bench.sealer().await.err().unwrap();
    assert!(refused.is_final(), "{refused}");
    assert!(bench.place.files.lock().unwrap().is_empty());

    bench.signers = vec![signer(), successor];
    bench.policy = Policy::parse(&format!("log {new}\nlog {old}\nquorum none\n")).unwrap();
    let mut sealer = bench.sealer().await.unwrap();
    assert_eq!(*bench.place.files.lock().unwrap(), published, "the first note of a size stays");
    bench.append("A", 1).await;
    sealer.round(&bench.shutdown).await.unwrap();
    let note = bench.place.files.lock().unwrap()["checkpoint"].clone();
    let note = SignedNote::parse(std::str::from_utf8(&note).unwrap()).unwrap();
    assert_eq!(log_signatures(&[old, new], &note).unwrap().len(), 2);
    assert_eq!(bench.audit().len(), 2);
}

#[tokio::test]
async fn another_checkpoint_of_the_same_size_is_a_fork() {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    bench.append("A", 1).await;
    let (place, checkpoint) = (
        Arc::clone(&bench.place),
        Checkpoint { origin: crate::bench::ORIGIN.into(), size: 1, root: sha256(b"another seal") },
    );
    let note = checkpoint.sign(&signer()).unwrap().encode().into_bytes();
    bench.place.before_put("notes/001", async move {
        place.files.lock().unwrap().insert("checkpoint".into(), note);
    });
    let refused = sealer.round(&bench.shutdown).await.unwrap_err();
    assert!(refused.is_final() && matches!(refused, SealError::Fork(_)), "{refused}");
    assert_eq!(bench.place.checkpoint(), Some(checkpoint));
}
