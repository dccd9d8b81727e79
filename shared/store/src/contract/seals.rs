//! Seals, heads, nodes, checkpoints, notes.

use std::sync::Arc;

use trialseal_seal::time::Timestamp;

use super::fixture::{append, hash, record_seal, seal, sealed_head, stream, trial};
use crate::rows::{LedgerHead, NodeRow, SealRef, SealWrite, TimestampRow, TreeName};
use crate::{Store, StoreError};

/// A seal comes back byte for byte, and the head names it from then on.
pub async fn a_seal_is_read_back_and_moves_the_head(store: Arc<dyn Store>) {
    let t = trial("T");
    append(store.as_ref(), &t, stream(1), 3).await;
    let mut first = seal(0, 2);
    first.entry = (0..=255).collect();
    record_seal(store.as_ref(), first.clone(), vec![sealed_head(&t, 0, 2)], vec![]).await.unwrap();
    let named = Some(SealRef { number: 0, leaf: first.leaf });
    let head = LedgerHead { position: 3, time: first.time, seal: named, sealed: 2 };
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(store.begin_append().await.unwrap().head(), head);

    let second = seal(1, 3);
    record_seal(store.as_ref(), second.clone(), vec![sealed_head(&t, 1, 3)], vec![]).await.unwrap();
    record_seal(store.as_ref(), seal(2, 3), vec![], vec![]).await.unwrap();
    assert_eq!(store.seals(0, 10).await.unwrap(), [first.clone(), second.clone(), seal(2, 3)]);
    assert_eq!(store.seals(1, 1).await.unwrap(), [second]);
    assert_eq!(store.seals(3, 1).await.unwrap(), []);
    assert_eq!(store.seals(0, 1).await.unwrap(), [first]);
    append(store.as_ref(), &t, stream(1), 1).await;
    let head = store.head().await.unwrap();
    assert_eq!((head.position, head.sealed, head.seal.unwrap().number), (4, 3, 2));
}

/// A seal's number, a trial's head in it and a tree's node are recorded once; the second attempt leaves nothing.
pub async fn a_seal_is_recorded_once(store: Arc<dyn Store>) {
    let t = trial("T");
    append(store.as_ref(), &t, stream(1), 3).await;
    let node = NodeRow { tree: TreeName::Trial(t.clone()), level: 8, index: 0, hash: hash(1) };
    record_seal(store.as_ref(), seal(0, 2), vec![sealed_head(&t, 0, 2)], vec![node.clone()]).await.unwrap();
    let head = store.head().await.unwrap();

    let mut other = seal(0, 3);
    other.entry = b"another entry".to_vec();
    let attempts = [
        (other, vec![], vec![]),
        (seal(1, 3), vec![sealed_head(&t, 0, 3)], vec![]),
        (seal(1, 3), vec![sealed_head(&t, 1, 2)], vec![]),
        (seal(1, 3), vec![sealed_head(&t, 1, 3)], vec![NodeRow { hash: hash(2), ..node }]),
    ];
    for (seal, heads, nodes) in attempts {
        let mut tx = store.begin_seal().await.unwrap();
        let error = tx.write(&SealWrite { seal, heads, nodes }).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
        assert!(matches!(tx.commit().await, Err(StoreError::Refused(_))));
    }
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(store.seals(0, 10).await.unwrap(), [seal(0, 2)]);
    assert_eq!(store.sealed_heads(9).await.unwrap(), [sealed_head(&t, 0, 2)]);
    assert_eq!(store.nodes(&TreeName::Trial(t), 8, 0, 10).await.unwrap(), [hash(1)]);
}

/// Three trials over four seals: `A` changes in 0, 1 and 3, `b` in 1, `C` in 2.
async fn four_seals(store: &dyn Store) {
    let (a, b, c) = (trial("A"), trial("b"), trial("C"));
    append(store, &a, stream(1), 9).await;
    append(store, &b, stream(1), 9).await;
    append(store, &c, stream(1), 9).await;
    record_seal(store, seal(0, 2), vec![sealed_head(&a, 0, 2)], vec![]).await.unwrap();
    let heads = vec![sealed_head(&a, 1, 5), sealed_head(&b, 1, 1)];
    record_seal(store, seal(1, 6), heads, vec![]).await.unwrap();
    record_seal(store, seal(2, 9), vec![sealed_head(&c, 2, 3)], vec![]).await.unwrap();
    record_seal(store, seal(3, 10), vec![sealed_head(&a, 3, 6)], vec![]).await.unwrap();
}

/// A trial's head as of a seal is that of the newest seal up to it in which the trial changed.
pub async fn sealed_heads_are_those_of_their_seal(store: Arc<dyn Store>) {
    four_seals(store.as_ref()).await;
    let (a, b, c) = (trial("A"), trial("b"), trial("C"));
    assert_eq!(store.sealed_head(&a, 0).await.unwrap(), Some(sealed_head(&a, 0, 2)));
    assert_eq!(store.sealed_head(&a, 2).await.unwrap(), Some(sealed_head(&a, 1, 5)));
    assert_eq!(store.sealed_head(&a, 3).await.unwrap(), Some(sealed_head(&a, 3, 6)));
    assert_eq!(store.sealed_head(&b, 0).await.unwrap(), None);
    assert_eq!(store.sealed_head(&b, 3).await.unwrap(), Some(sealed_head(&b, 1, 1)));
    assert_eq!(store.sealed_head(&trial("D"), 3).await.unwrap(), None);

    assert_eq!(store.sealed_heads(0).await.unwrap(), [sealed_head(&a, 0, 2)]);
    assert_eq!(store.sealed_heads(1).await.unwrap(), [sealed_head(&a, 1, 5), sealed_head(&b, 1, 1)]);
    let third = [sealed_head(&a, 3, 6), sealed_head(&c, 2, 3), sealed_head(&b, 1, 1)];
    assert_eq!(store.sealed_heads(3).await.unwrap(), third);
}

/// The first seal whose head of the trial is larger than the event's place.
pub async fn the_first_seal_that_covers_an_event_is_found(store: Arc<dyn Store>) {
    four_seals(store.as_ref()).await;
    let covering = async |id: &str, trialseq| store.seal_covering(&trial(id), trialseq).await.unwrap();
    assert_eq!(covering("A", 0).await, Some(0));
    assert_eq!(covering("A", 1).await, Some(0));
    assert_eq!(covering("A", 2).await, Some(1));
    assert_eq!(covering("A", 4).await, Some(1));
    assert_eq!(covering("A", 5).await, Some(3));
    assert_eq!(covering("A", 6).await, None);
    assert_eq!(covering("b", 0).await, Some(1));
    assert_eq!(covering("C", 2).await, Some(2));
    assert_eq!(covering("D", 0).await, None);
}

/// Nodes of one tree and level, from an index on, up to a limit; trees and levels do not mix.
pub async fn nodes_are_read_in_ranges(store: Arc<dyn Store>) {
    let t = TreeName::Trial(trial("T"));
    let node = |tree: &TreeName, level, index, number| NodeRow {
        tree: tree.clone(),
        level,
        index,
        hash: hash(number),
    };
    let mut first: Vec<_> = (0..300).map(|n| node(&t, 8, n, n)).collect();
    first.push(node(&t, 16, 0, 1_000));
    first.push(node(&TreeName::Log, 8, 0, 2_000));
    record_seal(store.as_ref(), seal(0, 0), vec![], first).await.unwrap();
    let second = vec![node(&t, 8, 300, 300), node(&TreeName::Log, 8, 1, 2_001)];
    record_seal(store.as_ref(), seal(1, 0), vec![], second).await.unwrap();

    let hashes = |numbers: std::ops::Range<u64>| numbers.map(hash).collect::<Vec<_>>();
    assert_eq!(store.nodes(&t, 8, 0, 1_000).await.unwrap(), hashes(0..301));
    assert_eq!(store.nodes(&t, 8, 256, 44).await.unwrap(), hashes(256..300));
    assert_eq!(store.nodes(&t, 8, 301, 10).await.unwrap(), []);
    assert_eq!(store.nodes(&t, 16, 0, 10).await.unwrap(), hashes(1_000..1_001));
    assert_eq!(store.nodes(&TreeName::Log, 8, 0, 10).await.unwrap(), hashes(2_000..2_002));
    assert_eq!(store.nodes(&TreeName::Trial(trial("U")), 8, 0, 10).await.unwrap(), []);
}

/// Parts of several trees, in the order in which they were asked for: leaves of events, or nodes of one level.
pub async fn parts_of_many_trees_are_read_together(store: Arc<dyn Store>) {
    let (t, u) = (trial("T"), trial("U"));
    append(store.as_ref(), &t, stream(1), 5).await;
    append(store.as_ref(), &u, stream(1), 3).await;
    append(store.as_ref(), &t, stream(2), 2).await;
    let of_t = store.leaves_of_trial(&t, 0, 10).await.unwrap();
    let of_u = store.leaves_of_trial(&u, 0, 10).await.unwrap();
    assert_eq!((of_t.len(), of_u.len()), (7, 3));
    let asked =
        [(u.clone(), 1..3), (t.clone(), 2..6), (trial("V"), 0..4), (t.clone(), 0..1), (u.clone(), 2..2)];
    let found = store.parts(0, &asked).await.unwrap();
    assert_eq!(found, [&of_u[1..], &of_t[2..6], &[], &of_t[..1], &[]]);
    assert_eq!(
        store.parts(0, &[(u.clone(), 1..9)]).await.unwrap(),
        [&of_u[1..]],
        "fewer than were asked for"
    );
    assert!(store.parts(0, &[]).await.unwrap().is_empty());

    let node = |tree: &TreeName, level, index, number| NodeRow {
        tree: tree.clone(),
        level,
        index,
        hash: hash(number),
    };
    let [in_t, in_u] = [&t, &u].map(|trial| TreeName::Trial(trial.clone()));
    let mut nodes: Vec<_> = (0..30).map(|n| node(&in_t, 8, n, n)).collect();
    nodes.extend([node(&in_t, 16, 0, 100), node(&in_u, 8, 0, 200), node(&TreeName::Log, 8, 0, 300)]);
    record_seal(store.as_ref(), seal(0, 10), vec![], nodes).await.unwrap();
    let asked = [(u.clone(), 0..1), (t.clone(), 9..12), (u, 1..2)];
    let found = store.parts(8, &asked).await.unwrap();
    assert_eq!(found, [vec![hash(200)], (9..12).map(hash).collect(), vec![]]);
    assert_eq!(store.parts(16, &[(t, 0..256)]).await.unwrap(), [[hash(100)]]);
}

/// A checkpoint of a size is never replaced; the caller learns which one is stored.
pub async fn the_first_checkpoint_of_a_size_stays(store: Arc<dyn Store>) {
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(store.put_checkpoint(2, &bytes).await.unwrap(), bytes);
    assert_eq!(store.put_checkpoint(2, b"another").await.unwrap(), bytes);
    assert_eq!(store.put_checkpoint(10, b"ten").await.unwrap(), b"ten");
    assert_eq!(store.put_checkpoint(1, b"one").await.unwrap(), b"one");
    assert_eq!(store.checkpoint(2).await.unwrap(), Some(bytes));
    assert_eq!(store.checkpoint(3).await.unwrap(), None);
    assert_eq!(store.newest_checkpoint().await.unwrap(), Some((10, b"ten".to_vec())));
    assert_eq!(store.newest_note().await.unwrap(), None);
}

/// A note of a size is never replaced; the caller learns which one is stored.
pub async fn the_first_note_of_a_size_stays(store: Arc<dyn Store>) {
    assert_eq!(store.put_note(2, b"two\0").await.unwrap(), b"two\0");
    assert_eq!(store.put_note(2, b"another").await.unwrap(), b"two\0");
    assert_eq!(store.put_note(1, b"one").await.unwrap(), b"one");
    assert_eq!(store.note(2).await.unwrap(), Some(b"two\0".to_vec()));
    assert_eq!(store.note(1).await.unwrap(), Some(b"one".to_vec()));
    assert_eq!(store.note(3).await.unwrap(), None);
    assert_eq!(store.newest_note().await.unwrap(), Some((2, b"two\0".to_vec())));
    assert_eq!(store.newest_checkpoint().await.unwrap(), None);
}

/// Sizes may have no note: then the next one that has proves as much, and the ones before are found going down.
pub async fn notes_are_found_around_sizes_without_one(store: Arc<dyn Store>) {
    assert_eq!(store.note_from(1).await.unwrap(), None);
    assert_eq!(store.notes_until(9, 5).await.unwrap(), []);
    for (size, note) in [(2, "two"), (5, "five"), (9, "nine")] {
        store.put_note(size, note.as_bytes()).await.unwrap();
    }
    let [two, five, nine] =
        [(2, "two"), (5, "five"), (9, "nine")].map(|(n, note)| (n, note.as_bytes().to_vec()));
    for (from, found) in [(1, Some(&two)), (2, Some(&two)), (3, Some(&five)), (9, Some(&nine)), (10, None)] {
        assert_eq!(store.note_from(from).await.unwrap().as_ref(), found, "{from}");
    }
    assert_eq!(store.notes_until(8, 5).await.unwrap(), [five.clone(), two]);
    assert_eq!(store.notes_until(9, 2).await.unwrap(), [nine, five]);
    assert_eq!(store.notes_until(1, 2).await.unwrap(), []);
}

/// A timestamp of a size is never replaced. Few sizes have one; each is found from the sizes before it.
pub async fn the_first_timestamp_of_a_size_stays_and_is_found(store: Arc<dyn Store>) {
    assert_eq!(
        (store.timestamp_from(1).await.unwrap(), store.newest_timestamp().await.unwrap()),
        (None, None)
    );
    assert!(store.timestamp_sizes(1, 9).await.unwrap().is_empty());
    let row = |size, time, reply: &[u8]| TimestampRow {
        size,
        time: Timestamp::from_micros(time),
        reply: reply.to_vec(),
    };
    let (two, nine) = (row(2, -7, b"two\0"), row(9, 1_000_001, b"nine"));
    for timestamp in [&nine, &two] {
        assert_eq!(store.put_timestamp(timestamp).await.unwrap(), *timestamp);
    }
    assert_eq!(store.put_timestamp(&row(2, 8, b"another")).await.unwrap(), two);
    for (from, found) in [(1, Some(&two)), (2, Some(&two)), (3, Some(&nine)), (9, Some(&nine)), (10, None)] {
        assert_eq!(store.timestamp_from(from).await.unwrap().as_ref(), found, "{from}");
    }
    assert_eq!(store.timestamp_sizes(1, 9).await.unwrap(), [2, 9]);
    assert_eq!(store.timestamp_sizes(3, 9).await.unwrap(), [9]);
    assert_eq!(store.timestamp_sizes(1, 1).await.unwrap(), [2]);
    assert_eq!(store.newest_timestamp().await.unwrap(), Some(nine));
}

/// However many put the checkpoint of one size at once, all of them learn of the same one.
pub async fn one_of_many_concurrent_checkpoints_wins(store: Arc<dyn Store>) {
    for size in 1..6 {
        let puts: Vec<_> = (0..8_u8)
            .map(|n| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let (checkpoint, note) = (vec![n, 0], vec![n, 1]);
                    (store.put_checkpoint(size, &checkpoint).await, store.put_note(size, &note).await)
                })
            })
            .collect();
        let mut answers = Vec::new();
        for put in puts {
            let (checkpoint, note) = put.await.unwrap();
            answers.push((checkpoint.unwrap(), note.unwrap()));
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(store.newest_checkpoint().await.unwrap(), Some((size, answers[0].0.clone())));
        assert_eq!(store.note(size).await.unwrap(), Some(answers[0].1.clone()));
    }
}
