//! Rows that are not what was sealed, and a lock that others wait for.

use std::sync::Arc;

use trialseal_seal::hash::{Hash, sha256};
use trialseal_sealer::{SealError, Sealer};

use crate::bench::Bench;

/// Two trials, one of them with a full tile, and three seals over them; published if asked for.
async fn sealed() -> Bench {
    let mut bench = Bench::new();
    let mut sealer = bench.sealer().await.unwrap();
    for _ in 0..3 {
        bench.append("A", 100).await;
        bench.append("B", 1).await;
        sealer.round(&bench.shutdown).await.unwrap();
    }
    bench
}

fn assert_damaged<T>(done: Result<T, SealError>, what: &str) {
    let refused = done.err().unwrap_or_else(|| panic!("{what} was not noticed"));
    assert!(refused.is_final() && matches!(refused, SealError::Damaged(_)), "{what}: {refused}");
}

fn spoil(hash: &mut Hash) {
    *hash = sha256(hash.as_bytes());
}

/// The next round, which has to seal something new.
async fn next_round(bench: &mut Bench, sealer: &mut Sealer) -> Result<bool, SealError> {
    bench.append("A", 1).await;
    sealer.round(&bench.shutdown).await
}

#[tokio::test]
async fn heads_that_are_not_those_of_the_newest_seal_are_not_signed_again() {
    let bench = sealed().await;
    *bench.store.heads.lock().unwrap() = Some(Box::new(|heads| spoil(&mut heads[1].root)));
    assert_damaged(bench.sealer().await, "another root");
    *bench.store.heads.lock().unwrap() = Some(Box::new(|heads| heads[0].size -= 1));
    assert_damaged(bench.sealer().await, "another size");
    *bench.store.heads.lock().unwrap() = Some(Box::new(|heads| heads.truncate(1)));
    assert_damaged(bench.sealer().await, "a missing head");
}

#[tokio::test]
async fn a_head_row_that_does_not_speak_of_the_newest_seal_is_noticed() {
    let bench = sealed().await;
    *bench.store.head.lock().unwrap() = Some(Box::new(|head| head.sealed -= 1));
    assert_damaged(bench.sealer().await, "another count of sealed events");
    *bench.store.head.lock().unwrap() =
        Some(Box::new(|head| head.seal.iter_mut().for_each(|seal| spoil(&mut seal.leaf))));
    assert_damaged(bench.sealer().await, "another leaf");
}

#[tokio::test]
async fn a_tree_that_is_not_the_one_that_was_sealed_is_not_grown() {
    let mut bench = sealed().await;
    let mut sealer = bench.sealer().await.unwrap();
    *bench.store.leaves.lock().unwrap() = Some(Box::new(|leaves| leaves.iter_mut().for_each(spoil)));
    assert_damaged(next_round(&mut bench, &mut sealer).await, "other leaves");

    let mut bench = sealed().await;
    let mut sealer = bench.sealer().await.unwrap();
    *bench.store.nodes.lock().unwrap() = Some(Box::new(|nodes| nodes.iter_mut().for_each(spoil)));
    assert_damaged(next_round(&mut bench, &mut sealer).await, "other nodes");
}

#[tokio::test]
async fn a_seal_that_is_not_its_leaf_is_not_published() {
    let mut bench = Bench::new();
    bench.append("A", 1).await;
    let mut sealer = bench.sealer().await.unwrap();
    *bench.store.seals.lock().unwrap() =
        Some(Box::new(|seals| seals.iter_mut().for_each(|seal| spoil(&mut seal.leaf))));
    assert_damaged(sealer.round(&bench.shutdown).await, "another leaf");
    assert!(bench.place.files.lock().unwrap().is_empty());
    assert_damaged(bench.sealer().await, "another leaf of the newest seal");
}

#[tokio::test]
async fn a_seal_that_is_already_out_is_not_written_anew_with_other_bytes() {
    let bench = sealed().await;
    // The second byte of an entry is a quote; what is damaged is the seal before the newest.
    *bench.store.seals.lock().unwrap() = Some(Box::new(|seals| {
        for seal in seals.iter_mut().filter(|seal| seal.number == 1) {
            seal.entry[1] = b'\'';
        }
    }));
    assert_damaged(bench.sealer().await, "another entry");
}

#[tokio::test]
async fn nothing_else_is_read_while_the_lock_is_held() {
    let mut bench = sealed().await;
    // A new sealer has read no trial's tree yet, and learns only under the lock that these two have grown.
    let mut sealer = bench.sealer().await.unwrap();
    let (store, shutdown) = (Arc::clone(&bench.store), bench.shutdown.clone());
    bench.append("C", 1).await;
    let appended = Arc::new(tokio::sync::Mutex::new(bench));
    let late = Arc::clone(&appended);
    store.before("begin_seal", async move {
        let mut bench = late.lock().await;
        bench.append("A", 2).await;
        bench.append("B", 1).await;
        bench.append("D", 1).await;
    });
    assert!(sealer.round(&shutdown).await.unwrap());
    let bench = appended.lock().await;
    assert_eq!(*bench.store.under_lock.lock().unwrap(), Vec::<&str>::new());
    let seals = bench.audit();
    assert_eq!((seals.len(), seals[3].events), (4, 308));
    bench.assert_covers(&seals[3]).await;
}
