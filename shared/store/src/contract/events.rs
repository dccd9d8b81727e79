//! Reading the record.

use std::sync::Arc;

use uuid::Uuid;

use super::fixture::{PATIENCE, append, batch, event, stream, trial, write};
use crate::rows::{EventRow, LeafRow, ResealedBody};
use crate::{Store, StoreError, may_go_on};

/// From a position on, up to a limit; past the end there is nothing.
pub async fn events_are_read_by_position(store: Arc<dyn Store>) {
    let mut events = append(store.as_ref(), &trial("T"), stream(1), 3).await;
    events.extend(append(store.as_ref(), &trial("U"), stream(1), 2).await);
    events.extend(append(store.as_ref(), &trial("T"), stream(2), 2).await);
    assert_eq!(store.since_position(0, 100).await.unwrap(), events);
    assert_eq!(store.since_position(2, 3).await.unwrap(), events[2..5]);
    assert_eq!(store.since_position(6, 3).await.unwrap(), events[6..]);
    assert_eq!(store.since_position(7, 3).await.unwrap(), []);
    assert_eq!(store.since_position(0, 0).await.unwrap(), []);
    let leaf = |event: &EventRow| LeafRow {
        position: event.position,
        trial: event.trial.clone(),
        trialseq: event.trialseq,
        leaf: event.leaf,
    };
    let leaves: Vec<_> = events.iter().map(leaf).collect();
    assert_eq!(store.leaves_from_position(0, 100).await.unwrap(), leaves);
    assert_eq!(store.leaves_from_position(3, 2).await.unwrap(), leaves[3..5]);
    let mut tx = store.begin_seal().await.unwrap();
    assert_eq!(tx.leaves_from_position(3, 2).await.unwrap(), leaves[3..5]);
}

/// One trial's or one stream's events, from a place on; trials do not mix.
pub async fn events_are_read_by_trial_and_by_stream(store: Arc<dyn Store>) {
    let (t, u) = (trial("T"), trial("U"));
    let mut of_t = append(store.as_ref(), &t, stream(1), 2).await;
    let of_u = append(store.as_ref(), &u, stream(1), 3).await;
    of_t.extend(append(store.as_ref(), &t, stream(2), 2).await);
    of_t.extend(append(store.as_ref(), &t, stream(1), 1).await);

    assert_eq!(store.of_trial(&t, 0, 100).await.unwrap(), of_t);
    assert_eq!(store.of_trial(&t, 1, 3).await.unwrap(), of_t[1..4]);
    assert_eq!(store.of_trial(&t, 5, 3).await.unwrap(), []);
    assert_eq!(store.of_trial(&u, 0, 100).await.unwrap(), of_u);
    assert_eq!(store.of_trial(&trial("V"), 0, 100).await.unwrap(), []);
    let leaves: Vec<_> = of_t.iter().map(|event| event.leaf).collect();
    assert_eq!(store.leaves_of_trial(&t, 0, 100).await.unwrap(), leaves);
    assert_eq!(store.leaves_of_trial(&t, 2, 2).await.unwrap(), leaves[2..4]);

    let of_stream = vec![of_t[0].clone(), of_t[1].clone(), of_t[4].clone()];
    assert_eq!(store.of_stream(&t, &stream(1), 0, 100).await.unwrap(), of_stream);
    assert_eq!(store.of_stream(&t, &stream(1), 1, 1).await.unwrap(), of_stream[1..2]);
    assert_eq!(store.of_stream(&t, &stream(3), 0, 100).await.unwrap(), []);
    assert_eq!(store.trial_size(&t).await.unwrap(), Some(5));
    assert_eq!(store.trial_size(&u).await.unwrap(), Some(3));
}

/// Bodies bound a page as its number of rows does; the one that reaches the bound is still in it.
pub async fn a_page_of_events_ends_with_its_bytes(store: Arc<dyn Store>) {
    let t = trial("T");
    let mut events: Vec<_> = (0..4).map(|n| event(n, &t, n, stream(1), n)).collect();
    for (event, mebibytes) in events.iter_mut().zip([5, 4, 9, 0]) {
        event.body = vec![7; mebibytes << 20];
    }
    write(store.as_ref(), &batch(events.clone())).await.unwrap();
    for (from, to) in [(0, 2), (1, 3), (2, 3), (3, 4)] {
        let expected = &events[from..to];
        let at = from as u64;
        assert!(store.since_position(at, 10).await.unwrap() == expected);
        assert!(store.of_trial(&t, at, 10).await.unwrap() == expected);
        assert!(store.of_stream(&t, &stream(1), at, 10).await.unwrap() == expected);
        assert_eq!(may_go_on(expected, 10), to < 4, "from {from}");
    }
    assert_eq!(store.leaves_of_trial(&t, 0, 10).await.unwrap().len(), 4);
    assert_eq!(store.leaves_from_position(0, 10).await.unwrap().len(), 4);
}

/// In the byte order of their ids, which no locale agrees with.
pub async fn trials_are_listed_by_id(store: Arc<dyn Store>) {
    for id in ["b", "B", "a.b", "a-b", "a", "ab", "_ledger", "A", "1"] {
        append(store.as_ref(), &trial(id), stream(1), 1).await;
    }
    let ids = async |after: Option<&str>, limit| {
        let after = after.map(trial);
        let trials = store.trials(after.as_ref(), limit).await.unwrap();
        trials.into_iter().map(|(trial, size)| (trial.to_string(), size).0).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 100).await, ["1", "A", "B", "_ledger", "a", "a-b", "a.b", "ab", "b"]);
    assert_eq!(ids(Some("a"), 3).await, ["a-b", "a.b", "ab"]);
    assert_eq!(ids(Some("Z"), 1).await, ["_ledger"]);
    assert_eq!(ids(Some("b"), 1).await, Vec::<String>::new());
}

/// Whoever reads gets the newest body and its key; pages are measured by it, and no other process than the elected one puts it
/// there.
pub async fn resealed_bodies_are_read_instead_and_the_record_stays(store: Arc<dyn Store>) {
    let t = trial("T");
    let mut events: Vec<_> = (0..3).map(|n| event(n, &t, n, stream(1), n)).collect();
    events[0].body = vec![7; 9 << 20];
    write(store.as_ref(), &batch(events.clone())).await.unwrap();
    assert_eq!(store.since_position(0, 10).await.unwrap().len(), 1, "a long body ends the page");
    for (key, body) in [(8, b"shorter".to_vec()), (9, b"once more".to_vec())] {
        let key = Uuid::from_u128(key);
        let anew = [0, 2].map(|position| ResealedBody { position, key, body: body.clone() });
        store.reseal(&anew).await.unwrap();
        for position in [0, 2] {
            (events[position].key, events[position].body) = (key, body.clone());
        }
        assert_eq!(store.since_position(0, 10).await.unwrap(), events);
        assert_eq!(store.of_trial(&t, 0, 10).await.unwrap(), events);
        assert_eq!(store.of_stream(&t, &stream(1), 1, 10).await.unwrap(), events[1..]);
    }
    store.reseal(&[]).await.unwrap();
    let long = ResealedBody { position: 1, key: Uuid::from_u128(9), body: vec![7; 9 << 20] };
    store.reseal(&[long]).await.unwrap();
    assert_eq!(store.since_position(0, 10).await.unwrap().len(), 2, "a resealed body ends the page as well");
    let one = [ResealedBody { position: 0, key: Uuid::from_u128(9), body: vec![1] }];
    store.stand(Uuid::from_u128(1), PATIENCE).await.unwrap();
    let deposed = store.in_hands_of(Uuid::from_u128(2)).reseal(&one).await;
    assert!(matches!(deposed, Err(StoreError::Deposed)), "{deposed:?}");
    store.in_hands_of(Uuid::from_u128(1)).reseal(&one).await.unwrap();
}
