//! Locks, rollbacks, cancellation, and what readers see meanwhile.

use std::sync::Arc;
use std::time::Duration;

use super::fixture::{append, batch, event, record_seal, seal, sealed_head, soon, stream, trial, write};
use crate::Store;
use crate::rows::{CommandRow, SealWrite, WriteBatch};

/// Long enough to be stuck at a lock, short enough for a test.
const A_WHILE: Duration = Duration::from_millis(150);

/// The second append waits for the first to end, and then knows what it did.
pub async fn appends_wait_for_each_other(store: Arc<dyn Store>) {
    let mut first = soon(store.begin_append()).await.unwrap();
    let second = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.begin_append().await.unwrap() }
    });
    tokio::time::sleep(A_WHILE).await;
    assert!(!second.is_finished(), "two appends hold the head row");
    first.write(&batch(vec![event(0, &trial("T"), 0, stream(1), 0)])).await.unwrap();
    first.commit().await.unwrap();
    let mut second = soon(second).await.unwrap();
    assert_eq!(second.head().position, 1);
    assert_eq!(second.trial_sizes(&[trial("T")]).await.unwrap(), [(trial("T"), 1)]);
    second.write(&batch(vec![event(1, &trial("T"), 1, stream(1), 1)])).await.unwrap();
    second.commit().await.unwrap();
    assert_eq!(store.head().await.unwrap().position, 2);
}

/// A seal is cut under the lock that appends take, whichever comes first.
pub async fn a_seal_and_an_append_wait_for_each_other(store: Arc<dyn Store>) {
    let mut first = store.begin_append().await.unwrap();
    let sealing = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.begin_seal().await.unwrap() }
    });
    tokio::time::sleep(A_WHILE).await;
    assert!(!sealing.is_finished(), "a seal is cut during an append");
    first.write(&batch(vec![event(0, &trial("T"), 0, stream(1), 0)])).await.unwrap();
    first.commit().await.unwrap();

    let mut sealing = soon(sealing).await.unwrap();
    assert_eq!(sealing.head().position, 1);
    assert_eq!(sealing.leaves_from_position(0, 10).await.unwrap().len(), 1);
    let appending = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.begin_append().await.unwrap() }
    });
    tokio::time::sleep(A_WHILE).await;
    assert!(!appending.is_finished(), "an append begins during a seal");
    let heads = vec![sealed_head(&trial("T"), 0, 1)];
    sealing.write(&SealWrite { seal: seal(0, 1), heads, nodes: vec![] }).await.unwrap();
    sealing.commit().await.unwrap();
    assert_eq!(soon(appending).await.unwrap().head().seal.unwrap().number, 0);
}

/// Dropped before its commit, an append leaves nothing and frees the lock, whether it wrote or not.
pub async fn a_dropped_append_leaves_nothing(store: Arc<dyn Store>) {
    let t = trial("T");
    append(store.as_ref(), &t, stream(1), 1).await;
    let before = store.head().await.unwrap();
    for _ in 0..20 {
        drop(soon(store.begin_append()).await.unwrap());
        let mut tx = soon(store.begin_append()).await.unwrap();
        tx.write(&batch(vec![event(1, &t, 1, stream(1), 1)])).await.unwrap();
        drop(tx);
    }
    assert_eq!(store.head().await.unwrap(), before);
    assert_eq!(store.since_position(0, 10).await.unwrap().len(), 1);
    assert_eq!(soon(append(store.as_ref(), &t, stream(1), 1)).await[0].position, 1);
}

/// Dropped before its commit, a seal leaves nothing and frees the lock.
pub async fn a_dropped_seal_leaves_nothing(store: Arc<dyn Store>) {
    append(store.as_ref(), &trial("T"), stream(1), 1).await;
    let before = store.head().await.unwrap();
    let heads = vec![sealed_head(&trial("T"), 0, 1)];
    let mut tx = store.begin_seal().await.unwrap();
    tx.write(&SealWrite { seal: seal(0, 1), heads: heads.clone(), nodes: vec![] }).await.unwrap();
    drop(tx);
    assert_eq!(store.head().await.unwrap(), before);
    assert_eq!(store.seals(0, 10).await.unwrap(), []);
    assert_eq!(store.sealed_heads(0).await.unwrap(), []);
    soon(record_seal(store.as_ref(), seal(0, 1), heads, vec![])).await.unwrap();
}

/// Cancelled at any moment, an append is there as a whole or not at all, and the next one goes on from there.
pub async fn a_cancelled_append_is_all_or_nothing(store: Arc<dyn Store>) {
    const EVENTS: u64 = 40;
    let (t, mut done) = (trial("T"), 0);
    for round in 0..60_u64 {
        let events: Vec<_> =
            (0..EVENTS).map(|n| done * EVENTS + n).map(|n| event(n, &t, n, stream(1), n)).collect();
        let id = super::fixture::bytes(round);
        let command = CommandRow { id, digest: id, trial: t.clone(), first: done * EVENTS, count: 40 };
        let written = WriteBatch { commands: vec![command], ..batch(events) };
        let task = tokio::spawn({
            let store = Arc::clone(&store);
            async move { write(store.as_ref(), &written).await }
        });
        tokio::time::sleep(Duration::from_micros(round * round * 3)).await;
        task.abort();
        let _ = task.await;

        let head = soon(store.begin_append()).await.unwrap().head();
        let all = head.position == (done + 1) * EVENTS;
        assert!(all || head.position == done * EVENTS, "half an append: {}", head.position);
        assert_eq!(store.command(&id).await.unwrap().is_some(), all);
        done += u64::from(all);
        assert_eq!(store.trial_size(&t).await.unwrap().unwrap_or(0), done * EVENTS);
        assert_eq!(store.since_position(0, 10_000).await.unwrap().len() as u64, done * EVENTS);
    }
}

/// Whoever goes away while waiting for the lock does not hold it later on, and what others do afterwards is durable.
pub async fn a_cancelled_wait_holds_nothing(store: Arc<dyn Store>) {
    let t = trial("T");
    for round in 0..5 {
        let holder = soon(store.begin_append()).await.unwrap();
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.begin_append().await.map(drop) })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(round * 5)).await;
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        drop(holder);
        // Whatever connection these use: it must not be inside somebody else's transaction.
        soon(store.put_checkpoint(round + 1, b"note")).await.unwrap();
        soon(append(store.as_ref(), &t, stream(1), 1)).await;
        assert_eq!(store.newest_checkpoint().await.unwrap().unwrap().0, round + 1);
    }
    assert_eq!(store.head().await.unwrap().position, 5);
}

/// During an open append readers go on, and see the ledger as it was before.
pub async fn readers_see_committed_rows_without_waiting(store: Arc<dyn Store>) {
    let t = trial("T");
    let before = append(store.as_ref(), &t, stream(1), 2).await;
    let head = store.head().await.unwrap();
    let mut tx = store.begin_append().await.unwrap();
    let id = super::fixture::bytes(1);
    let command = CommandRow { id, digest: id, trial: t.clone(), first: 2, count: 1 };
    let written = WriteBatch { commands: vec![command], ..batch(vec![event(2, &t, 2, stream(1), 2)]) };
    tx.write(&written).await.unwrap();

    soon(async {
        assert_eq!(store.head().await.unwrap(), head);
        assert_eq!(store.since_position(0, 10).await.unwrap(), before);
        assert_eq!(store.of_trial(&t, 0, 10).await.unwrap(), before);
        assert_eq!(store.of_stream(&t, &stream(1), 0, 10).await.unwrap(), before);
        assert_eq!(store.leaves_from_position(0, 10).await.unwrap().len(), 2);
        assert_eq!(store.trial_size(&t).await.unwrap(), Some(2));
        assert_eq!(store.command(&id).await.unwrap(), None);
        assert_eq!(store.seals(0, 10).await.unwrap(), []);
        assert_eq!(store.generations("m").await.unwrap(), []);
        assert_eq!(store.tokens().await.unwrap(), []);
    })
    .await;
    tx.commit().await.unwrap();
    assert_eq!(store.since_position(0, 10).await.unwrap().len(), 3);
    assert!(store.command(&id).await.unwrap().is_some());
}

/// Whatever moment a reader looks at, the events from any position on follow each other without a gap.
pub async fn readers_see_no_gaps_while_others_append(store: Arc<dyn Store>) {
    const EACH: u64 = 15;
    let writers: Vec<_> = (0..4_u32)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..EACH {
                    append(store.as_ref(), &trial(&format!("T{n}")), stream(1), u64::from(n) + 1).await;
                }
            })
        })
        .collect();
    let (total, mut seen) = (EACH * (1 + 2 + 3 + 4), 0);
    soon(async {
        while seen < total {
            let head = store.head().await.unwrap().position;
            let events = store.since_position(seen, 7).await.unwrap();
            assert!(events.iter().map(|event| event.position).eq(seen..seen + events.len() as u64));
            assert!(head <= seen || !events.is_empty(), "the head is ahead of what can be read");
            seen += events.len() as u64;
        }
    })
    .await;
    for writer in writers {
        writer.await.unwrap();
    }
    for n in 0..4_u64 {
        let events = store.of_trial(&trial(&format!("T{n}")), 0, 1_000).await.unwrap();
        assert!(events.iter().map(|event| event.trialseq).eq(0..EACH * (n + 1)));
    }
}
