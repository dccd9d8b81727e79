//! What an append writes, reads and refuses.

use std::sync::Arc;

use trialseal_record::ids::StreamId;
use uuid::Uuid;

use super::fixture::{append, batch, bytes, event, hash, stream, time, trial, write};
use crate::rows::{CommandRow, EventRow, LedgerHead, NaturalKeyRow, StreamVersion, WriteBatch};
use crate::{Store, StoreError};

/// A ledger begins without events, seals or notes.
pub async fn a_new_ledger_is_empty(store: Arc<dyn Store>) {
    let head = LedgerHead { position: 0, time: time(0), seal: None, sealed: 0 };
    assert_eq!(store.head().await.unwrap(), head);
    assert!(!store.origin().is_empty());
    assert_eq!(store.trial_size(&trial("T")).await.unwrap(), None);
    assert_eq!(store.trials(None, 10).await.unwrap(), []);
    assert_eq!(store.since_position(0, 10).await.unwrap(), []);
    assert_eq!(store.leaves_from_position(0, 10).await.unwrap(), []);
    assert_eq!(store.seals(0, 10).await.unwrap(), []);
    assert_eq!(store.sealed_heads(0).await.unwrap(), []);
    assert_eq!(store.newest_checkpoint().await.unwrap(), None);
    assert_eq!(store.newest_note().await.unwrap(), None);
    assert_eq!(store.begin_append().await.unwrap().head(), head);
}

/// Every kind of row comes back byte for byte: all byte values, nothing at all, and a megabyte.
pub async fn what_is_appended_is_read_back(store: Arc<dyn Store>) {
    let (t, ledger) = (trial("A.b_c-9"), trial("_ledger"));
    let all_bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let mut events = vec![
        event(0, &t, 0, stream(1), 0),
        event(1, &t, 1, stream(u128::MAX), 0),
        event(2, &ledger, 0, StreamId::ledger(), 0),
    ];
    events[0].body.clone_from(&all_bytes);
    events[0].header = all_bytes[..70_000].to_vec();
    events[0].key = Uuid::from_u128(u128::MAX);
    events[1].body = Vec::new();
    events[1].header = b"\0".to_vec();
    let command = CommandRow { id: bytes(0), digest: bytes(1), trial: t.clone(), first: 0, count: u32::MAX };
    let key = NaturalKeyRow { trial: t.clone(), key: bytes(2), stream: stream(1) };
    let written = WriteBatch {
        commands: vec![command.clone()],
        natural_keys: vec![key],
        time: time(1_795_000_000_123_456),
        ..batch(events.clone())
    };
    write(store.as_ref(), &written).await.unwrap();

    assert_eq!(store.since_position(0, 10).await.unwrap(), events);
    assert_eq!(store.of_trial(&ledger, 0, 10).await.unwrap(), events[2..]);
    assert_eq!(store.of_stream(&t, &stream(u128::MAX), 0, 10).await.unwrap(), events[1..2]);
    assert_eq!(store.command(&bytes(0)).await.unwrap(), Some(command));
    assert_eq!(store.command(&bytes(1)).await.unwrap(), None);
    assert_eq!(store.stream_of(&t, &bytes(2)).await.unwrap(), Some(stream(1)));
    assert_eq!(store.stream_of(&ledger, &bytes(2)).await.unwrap(), None);
    let head = store.head().await.unwrap();
    assert_eq!(head, LedgerHead { position: 3, time: written.time, seal: None, sealed: 0 });
    assert_eq!(store.begin_append().await.unwrap().head(), head);
}

/// Under the lock an append finds what is there of what it asks for, and nothing else.
pub async fn an_append_reads_what_it_rests_on(store: Arc<dyn Store>) {
    let (t, u) = (trial("T"), trial("U"));
    append(store.as_ref(), &t, stream(1), 3).await;
    let own = event(3, &u, 0, stream(1), 0);
    let commands: Vec<_> = (0..3)
        .map(|n| CommandRow { id: bytes(n), digest: bytes(n + 50), trial: u.clone(), first: 0, count: 1 })
        .collect();
    let natural_keys = vec![NaturalKeyRow { trial: u.clone(), key: bytes(9), stream: stream(1) }];
    let written = WriteBatch { commands: commands.clone(), natural_keys, ..batch(vec![own]) };
    write(store.as_ref(), &written).await.unwrap();

    let mut tx = store.begin_append().await.unwrap();
    let asked: Vec<_> = (1..3_000).map(bytes).collect();
    let mut found = tx.commands(&asked).await.unwrap();
    found.sort_by_key(|command| command.id);
    assert_eq!(found, commands[1..]);
    let mut sizes = tx.trial_sizes(&[u.clone(), trial("V"), t.clone()]).await.unwrap();
    sizes.sort();
    assert_eq!(sizes, [(t.clone(), 3), (u.clone(), 1)]);
    let mut versions = tx
        .stream_versions(&[(t.clone(), stream(1)), (t.clone(), stream(2)), (u.clone(), stream(1))])
        .await
        .unwrap();
    versions.sort_by(|a, b| a.trial.cmp(&b.trial));
    let version = |trial, version| StreamVersion { trial, stream: stream(1), version };
    assert_eq!(versions, [version(t.clone(), 3), version(u.clone(), 1)]);
    let taken = tx.taken(&[(u.clone(), bytes(8)), (u.clone(), bytes(9)), (t, bytes(9))]).await.unwrap();
    assert_eq!(taken, [(u, bytes(9))]);
    assert_eq!(tx.commands(&[]).await.unwrap(), []);
    assert_eq!(tx.trial_sizes(&[]).await.unwrap(), []);
    assert_eq!(tx.stream_versions(&[]).await.unwrap(), []);
    assert_eq!(tx.taken(&[]).await.unwrap(), []);
}

/// A batch as large as the writer makes them.
pub async fn many_rows_go_into_one_append(store: Arc<dyn Store>) {
    let t = trial("T");
    let events: Vec<_> = (0..2_345).map(|n| event(n, &t, n, stream(u128::from(n % 700)), n / 700)).collect();
    let commands: Vec<_> = (0..2_345)
        .map(|n| CommandRow {
            id: bytes(n),
            digest: hash(n).as_bytes().to_owned(),
            trial: t.clone(),
            first: n,
            count: 1,
        })
        .collect();
    let natural_keys: Vec<_> = (0..700)
        .map(|n| NaturalKeyRow { trial: t.clone(), key: bytes(n), stream: stream(u128::from(n)) })
        .collect();
    let written = WriteBatch { commands, natural_keys, ..batch(events.clone()) };
    write(store.as_ref(), &written).await.unwrap();
    assert_eq!(store.since_position(0, 5_000).await.unwrap(), events);
    assert_eq!(store.stream_of(&t, &bytes(699)).await.unwrap(), Some(stream(699)));
    assert_eq!(store.command(&bytes(2_344)).await.unwrap().unwrap().first, 2_344);
    assert_eq!(
        store.begin_append().await.unwrap().stream_versions(&[(t, stream(44))]).await.unwrap()[0].version,
        4
    );
}

/// Writes a batch that must be refused, on a ledger that holds two events of trial `T`, and looks for what it left.
async fn refused(store: &dyn Store, written: WriteBatch) {
    let (head, events) = (store.head().await.unwrap(), store.since_position(0, 10).await.unwrap());
    let mut tx = store.begin_append().await.unwrap();
    let error = tx.write(&written).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error:?}");
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "after a failed write: {error:?}");

    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(store.since_position(0, 10).await.unwrap(), events);
    assert_eq!(store.trials(None, 10).await.unwrap(), [(trial("T"), 2)]);
    for command in written.commands.iter().filter(|command| command.id != bytes(0)) {
        assert_eq!(store.command(&command.id).await.unwrap(), None);
    }
    append(store, &trial("U"), stream(1), 1).await;
}

/// Two events of trial `T` in stream 1, of command 0, which took natural key 0.
async fn two_events(store: &dyn Store) -> Vec<EventRow> {
    let t = trial("T");
    let events = vec![event(0, &t, 0, stream(1), 0), event(1, &t, 1, stream(1), 1)];
    let commands = vec![CommandRow { id: bytes(0), digest: bytes(1), trial: t.clone(), first: 0, count: 2 }];
    let natural_keys = vec![NaturalKeyRow { trial: t, key: bytes(0), stream: stream(1) }];
    write(store, &WriteBatch { commands, natural_keys, ..batch(events.clone()) }).await.unwrap();
    events
}

/// A batch of a good event and a bad one, with a good command.
fn with_good(bad: EventRow) -> WriteBatch {
    let t = trial("T");
    let command = CommandRow { id: bytes(77), digest: bytes(1), trial: t.clone(), first: 2, count: 2 };
    let position = bad.position.max(2) + 1;
    WriteBatch { commands: vec![command], position, ..batch(vec![event(2, &t, 2, stream(2), 0), bad]) }
}

/// No two events share a position, and a batch that tries leaves nothing.
pub async fn a_position_is_taken_once(store: Arc<dyn Store>) {
    two_events(store.as_ref()).await;
    refused(store.as_ref(), with_good(event(1, &trial("T"), 3, stream(1), 2))).await;
}

/// No two events share a place in their trial.
pub async fn a_place_in_a_trial_is_taken_once(store: Arc<dyn Store>) {
    two_events(store.as_ref()).await;
    refused(store.as_ref(), with_good(event(3, &trial("T"), 1, stream(1), 2))).await;
}

/// No two events share a place in their stream.
pub async fn a_place_in_a_stream_is_taken_once(store: Arc<dyn Store>) {
    two_events(store.as_ref()).await;
    refused(store.as_ref(), with_good(event(3, &trial("T"), 3, stream(1), 1))).await;
}

/// A command id is recorded once, and keeps its first content.
pub async fn a_command_is_recorded_once(store: Arc<dyn Store>) {
    two_events(store.as_ref()).await;
    let again = CommandRow { id: bytes(0), digest: bytes(99), trial: trial("T"), first: 2, count: 1 };
    let written = WriteBatch { commands: vec![again], ..batch(vec![event(2, &trial("T"), 2, stream(1), 2)]) };
    refused(store.as_ref(), written).await;
    assert_eq!(store.command(&bytes(0)).await.unwrap().unwrap().digest, bytes(1));
}

/// A natural key is borne by one stream of its trial; in another trial it is another name.
pub async fn a_natural_key_is_taken_once(store: Arc<dyn Store>) {
    two_events(store.as_ref()).await;
    let key = |of: &str| vec![NaturalKeyRow { trial: trial(of), key: bytes(0), stream: stream(2) }];
    let written =
        WriteBatch { natural_keys: key("T"), ..batch(vec![event(2, &trial("T"), 2, stream(2), 0)]) };
    refused(store.as_ref(), written).await;
    let written =
        WriteBatch { natural_keys: key("U"), ..batch(vec![event(3, &trial("U"), 1, stream(2), 0)]) };
    write(store.as_ref(), &written).await.unwrap();
    assert_eq!(store.stream_of(&trial("T"), &bytes(0)).await.unwrap(), Some(stream(1)));
    assert_eq!(store.stream_of(&trial("U"), &bytes(0)).await.unwrap(), Some(stream(2)));
}

/// Columns hold 63 bits; what has more is refused, never wrapped around.
pub async fn a_number_beyond_the_columns_is_refused(store: Arc<dyn Store>) {
    two_events(store.as_ref()).await;
    let mut written = batch(vec![event(2, &trial("T"), 2, stream(1), 2)]);
    written.position = u64::MAX;
    refused(store.as_ref(), written).await;
}
