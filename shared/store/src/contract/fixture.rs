//! Rows to check with. Their hashes are made up: engines store what they are given.

use std::collections::BTreeMap;
use std::time::Duration;

use trialseal_record::ids::{ParticipantId, StreamId, TrialId};
use trialseal_seal::hash::Hash;
use trialseal_seal::time::Timestamp;
use uuid::Uuid;

use crate::rows::{EventRow, NodeRow, SealRow, SealWrite, SealedHead, StreamVersion, WriteBatch};
use crate::{Store, StoreError};

/// Long enough for a slow machine; reached only where something waits that must not.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn trial(id: &str) -> TrialId {
    id.parse().unwrap()
}

pub(super) fn stream(number: u128) -> StreamId {
    StreamId::participant(ParticipantId(Uuid::from_u128(number)))
}

pub(super) fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// 32 bytes that differ for each number.
pub(super) fn bytes(number: u64) -> [u8; 32] {
    let mut bytes = [0x80; 32];
    bytes[12..20].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub(super) fn hash(number: u64) -> Hash {
    Hash::from_bytes(bytes(number))
}

pub(super) fn event(position: u64, of: &TrialId, trialseq: u64, in_: StreamId, streamseq: u64) -> EventRow {
    EventRow {
        position,
        trial: of.clone(),
        trialseq,
        stream: in_,
        streamseq,
        leaf: hash(position),
        header: format!("{{\"header\":{position}}}").into_bytes(),
        key: Uuid::from_u128(7),
        body: format!("body {position}").into_bytes(),
    }
}

/// A batch of these events, with the sizes that follow from them.
pub(super) fn batch(events: Vec<EventRow>) -> WriteBatch {
    let last = events.last().unwrap();
    let (position, at) = (last.position + 1, time(i64::try_from(last.position).unwrap() + 1));
    let trials: BTreeMap<_, _> =
        events.iter().map(|event| (event.trial.clone(), event.trialseq + 1)).collect();
    let streams: BTreeMap<_, _> =
        events.iter().map(|event| ((event.trial.clone(), event.stream), event.streamseq + 1)).collect();
    let version = |((trial, stream), version)| StreamVersion { trial, stream, version };
    WriteBatch {
        commands: Vec::new(),
        streams: streams.into_iter().map(version).collect(),
        trials: trials.into_iter().collect(),
        natural_keys: Vec::new(),
        position,
        time: at,
        events,
    }
}

/// Writes a batch in a transaction of its own.
pub(super) async fn write(store: &dyn Store, batch: &WriteBatch) -> Result<(), StoreError> {
    let mut tx = store.begin_append().await?;
    tx.write(batch).await?;
    tx.commit().await
}

/// Appends `count` events to a stream of a trial, in one transaction, and gives them.
pub(super) async fn append(store: &dyn Store, of: &TrialId, in_: StreamId, count: u64) -> Vec<EventRow> {
    let mut tx = store.begin_append().await.unwrap();
    let size = tx.trial_sizes(std::slice::from_ref(of)).await.unwrap().first().map_or(0, |(_, size)| *size);
    let versions = tx.stream_versions(&[(of.clone(), in_)]).await.unwrap();
    let version = versions.first().map_or(0, |row| row.version);
    let position = tx.head().position;
    let events: Vec<_> = (0..count).map(|n| event(position + n, of, size + n, in_, version + n)).collect();
    tx.write(&batch(events.clone())).await.unwrap();
    tx.commit().await.unwrap();
    events
}

/// The seal of a number that covers `sealed` events.
pub(super) fn seal(number: u64, sealed: u64) -> SealRow {
    let entry = format!("{{\"seal\":{number}}}").into_bytes();
    let at = time(1_000 + i64::try_from(number).unwrap());
    SealRow { number, entry, leaf: hash(1_000_000 + number), sealed, time: at }
}

pub(super) fn sealed_head(of: &TrialId, seal: u64, size: u64) -> SealedHead {
    SealedHead { trial: of.clone(), seal, size, root: hash(2_000_000 + seal * 1_000 + size) }
}

/// Records a seal in a transaction of its own.
pub(super) async fn record_seal(
    store: &dyn Store,
    seal: SealRow,
    heads: Vec<SealedHead>,
    nodes: Vec<NodeRow>,
) -> Result<(), StoreError> {
    let mut tx = store.begin_seal().await?;
    tx.write(&SealWrite { seal, heads, nodes }).await?;
    tx.commit().await
}

/// Waits for what must come soon.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}
