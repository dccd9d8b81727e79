//! Which of several processes may write.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::fixture::{append, batch, event, record_seal, seal, sealed_head, soon, stream, trial, write};
use crate::rows::{JobRow, Standing};
use crate::{Store, StoreError};

/// A term that does not run out during a check.
const LONG: Duration = Duration::from_mins(1);
/// One that does, and how long it takes to be sure of it: engines count no finer than milliseconds.
const SHORT: Duration = Duration::from_millis(50);
const RUN_OUT: Duration = Duration::from_millis(120);
/// Long enough to be stuck at a lock, short enough for a test.
const A_WHILE: Duration = Duration::from_millis(150);

const A: Uuid = Uuid::from_u128(0xa);
const B: Uuid = Uuid::from_u128(u128::MAX);

/// One process is elected, and stays so for as long as it stands again or renews; it is the one that can renew.
pub async fn a_term_is_had_by_one_process(store: Arc<dyn Store>) {
    assert_eq!(store.holder().await.unwrap(), None);
    assert!(!store.renew(A, LONG).await.unwrap());
    assert_eq!(store.stand(A, LONG).await.unwrap(), Standing::Elected);
    assert_eq!(store.holder().await.unwrap(), Some(A));
    assert_eq!(store.stand(B, LONG).await.unwrap(), Standing::Other(A));
    assert!(!store.renew(B, LONG).await.unwrap());
    assert!(store.renew(A, LONG).await.unwrap());
    assert_eq!(store.stand(A, SHORT).await.unwrap(), Standing::Elected);
    assert!(store.renew(A, LONG).await.unwrap());
    tokio::time::sleep(RUN_OUT).await;
    assert_eq!(store.stand(B, LONG).await.unwrap(), Standing::Other(A));
    assert_eq!(store.in_hands_of(B).holder().await.unwrap(), Some(A));
}

/// A term that has run out is still the holder's, until somebody takes it.
pub async fn a_term_that_runs_out_can_be_taken(store: Arc<dyn Store>) {
    store.stand(A, SHORT).await.unwrap();
    tokio::time::sleep(RUN_OUT).await;
    assert_eq!(store.holder().await.unwrap(), Some(A));
    drop(store.in_hands_of(A).begin_append().await.unwrap());
    assert!(store.renew(A, SHORT).await.unwrap());
    tokio::time::sleep(RUN_OUT).await;
    assert_eq!(store.stand(B, LONG).await.unwrap(), Standing::Elected);
    assert!(!store.renew(A, LONG).await.unwrap());
    assert_eq!(store.stand(A, LONG).await.unwrap(), Standing::Other(B));
}

/// Who resigns leaves the term to the next at once; who does not hold it, leaves it alone.
pub async fn a_term_that_was_given_up_can_be_taken(store: Arc<dyn Store>) {
    store.resign(A).await.unwrap();
    store.stand(A, LONG).await.unwrap();
    store.resign(B).await.unwrap();
    assert_eq!(store.holder().await.unwrap(), Some(A));
    store.resign(A).await.unwrap();
    assert_eq!(store.holder().await.unwrap(), None);
    assert!(!store.renew(A, LONG).await.unwrap());
    assert!(matches!(store.in_hands_of(A).begin_append().await.err(), Some(StoreError::Deposed)));
    assert_eq!(store.stand(B, LONG).await.unwrap(), Standing::Elected);
}

/// However many stand at once, one is elected, and the others learn which.
pub async fn one_of_many_that_stand_at_once_is_elected(store: Arc<dyn Store>) {
    let standing: Vec<_> = (1..9)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.stand(Uuid::from_u128(number), LONG).await })
        })
        .collect();
    let mut answers = Vec::new();
    for stood in standing {
        answers.push(soon(stood).await.unwrap().unwrap());
    }
    let holder = store.holder().await.unwrap().unwrap();
    assert_eq!(answers.iter().filter(|answer| **answer == Standing::Elected).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == Standing::Other(holder)).count(), 7, "{answers:?}");
}

/// Appends, seals and jobs of all but the elected are refused and leave nothing, and do not stand in its way.
pub async fn none_but_the_elected_writes(store: Arc<dyn Store>) {
    let (t, a, b) = (trial("T"), store.in_hands_of(A), store.in_hands_of(B));
    let job = JobRow {
        id: Uuid::from_u128(1),
        kind: "import".into(),
        trial: t.clone(),
        actor: "a".into(),
        ended: false,
        detail: vec![1],
    };
    append(store.as_ref(), &t, stream(1), 1).await;
    store.stand(A, LONG).await.unwrap();
    a.put_job(&job).await.unwrap();
    let changed = JobRow { ended: true, ..job.clone() };
    for other in [&store, &b] {
        for _ in 0..20 {
            assert!(matches!(soon(other.begin_append()).await.err(), Some(StoreError::Deposed)));
            assert!(matches!(soon(other.begin_seal()).await.err(), Some(StoreError::Deposed)));
            assert!(matches!(other.put_job(&changed).await, Err(StoreError::Deposed)));
        }
    }
    assert_eq!(store.job(job.id).await.unwrap(), Some(job));
    soon(append(a.as_ref(), &t, stream(1), 1)).await;
    record_seal(a.as_ref(), seal(0, 2), vec![sealed_head(&t, 0, 2)], vec![]).await.unwrap();
    assert_eq!(b.head().await.unwrap().sealed, 2);

    store.resign(A).await.unwrap();
    append(store.as_ref(), &t, stream(1), 1).await;
}

/// The term is not taken while the holder's append is under way; what that wrote, the next one finds.
pub async fn a_takeover_waits_for_an_append(store: Arc<dyn Store>) {
    let (t, a, b) = (trial("T"), store.in_hands_of(A), store.in_hands_of(B));
    store.stand(A, SHORT).await.unwrap();
    let mut last = soon(a.begin_append()).await.unwrap();
    tokio::time::sleep(RUN_OUT).await;
    let taking = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.stand(B, LONG).await }
    });
    tokio::time::sleep(A_WHILE).await;
    assert!(!taking.is_finished(), "the term was taken during an append");
    last.write(&batch(vec![event(0, &t, 0, stream(1), 0)])).await.unwrap();
    last.commit().await.unwrap();
    assert_eq!(soon(taking).await.unwrap().unwrap(), Standing::Elected);
    assert!(matches!(a.begin_append().await.err(), Some(StoreError::Deposed)));
    assert_eq!(soon(append(b.as_ref(), &t, stream(1), 1)).await[0].position, 1);
}

/// An append that waits for the lock while the term is taken is refused, unless it comes first; then the takeover waits.
pub async fn an_append_behind_a_takeover_is_refused(store: Arc<dyn Store>) {
    let (t, a) = (trial("T"), store.in_hands_of(A));
    store.stand(A, SHORT).await.unwrap();
    let first = soon(a.begin_append()).await.unwrap();
    tokio::time::sleep(RUN_OUT).await;
    let taking = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.stand(B, LONG).await }
    });
    tokio::time::sleep(A_WHILE).await;
    let late = tokio::spawn({
        let a = Arc::clone(&a);
        async move { a.begin_append().await }
    });
    tokio::time::sleep(A_WHILE).await;
    drop(first);
    match soon(late).await.unwrap() {
        Ok(tx) => {
            assert!(!taking.is_finished(), "the term was taken during an append");
            drop(tx);
        }
        Err(error) => assert!(matches!(error, StoreError::Deposed), "{error:?}"),
    }
    assert_eq!(soon(taking).await.unwrap().unwrap(), Standing::Elected);
    let refused = write(a.as_ref(), &batch(vec![event(0, &t, 0, stream(1), 0)])).await;
    assert!(matches!(refused, Err(StoreError::Deposed)), "{refused:?}");
    assert_eq!(store.head().await.unwrap().position, 0);
}
