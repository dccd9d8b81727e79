//! What has to hold at any moment, whatever went wrong before. Looks at the store and at the published place past
//! everything that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use trialseal_record::ids::{StreamId, TrialId};
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::event::Header;
use trialseal_seal::hash::{Hash, Sha2};
use trialseal_seal::policy::Policy;
use trialseal_seal::tree::Frontier;
use trialseal_store::memory::MemoryStore;
use trialseal_store::{AppendedEvent, Appends as _, EventRow, Events as _, SealRow, Seals as _};
use trialseal_verify::Verdict;

use crate::chaos::{POISON, Place};
use crate::process::{Sent, signer};

/// Rows that are read at once.
const PAGE: u32 = 1_000;

/// A command and what its sender has heard.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) sent: Sent,
    /// The events of the first answer that it was recorded.
    pub(crate) acknowledged: Option<Vec<AppendedEvent>>,
    /// Whether some answer said that it was recorded only now.
    pub(crate) is_new: bool,
}

type Found = Result<(), String>;

fn text(error: impl Display) -> String {
    error.to_string()
}

/// Fails with what does not hold.
macro_rules! hold {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}

/// Everything at once.
pub(crate) async fn check(store: &MemoryStore, place: &Place, commands: &BTreeMap<u64, Known>) -> Found {
    let rows = all_rows(store).await?;
    let headers: Vec<Header> =
        rows.iter().map(EventRow::checked_header).collect::<Result<_, _>>().map_err(text)?;
    places(&rows, &headers)?;
    answers(store, commands, &rows, &headers).await?;
    let seals = store.seals(0, u32::MAX).await.map_err(text)?;
    brackets(&rows, &headers, &seals)?;
    public(place, &seals)
}

async fn all_rows(store: &MemoryStore) -> Result<Vec<EventRow>, String> {
    let mut rows = Vec::new();
    loop {
        let page = store.since_position(rows.len() as u64, PAGE).await.map_err(text)?;
        if page.is_empty() {
            return Ok(rows);
        }
        rows.extend(page);
    }
}

/// Places without gaps, times that never go back, ids that stand once.
fn places(rows: &[EventRow], headers: &[Header]) -> Found {
    let mut trials: BTreeMap<&TrialId, u64> = BTreeMap::new();
    let mut streams: BTreeMap<(&TrialId, StreamId), u64> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for ((row, header), position) in rows.iter().zip(headers).zip(0..) {
        hold!(row.position == position, "position {position} is missing");
        let next = trials.entry(&row.trial).or_default();
        hold!(row.trialseq == *next, "event {next} of {} is missing", row.trial);
        *next += 1;
        let next = streams.entry((&row.trial, row.stream)).or_default();
        hold!(row.streamseq == *next, "event {next} of stream {} is missing", row.stream);
        *next += 1;
        hold!(ids.insert(&header.id), "event {} stands twice", header.id);
    }
    hold!(headers.is_sorted_by_key(|header| header.time), "a time goes back");
    Ok(())
}

/// What was acknowledged is there, once and as it was said; what is there was asked for.
async fn answers(
    store: &MemoryStore,
    commands: &BTreeMap<u64, Known>,
    rows: &[EventRow],
    headers: &[Header],
) -> Found {
    let mut recorded: BTreeMap<u64, Vec<AppendedEvent>> = BTreeMap::new();
    for (row, header) in rows.iter().zip(headers) {
        let of = header.correlationid.as_deref().unwrap_or_default();
        hold!(!of.starts_with(POISON), "a poisoned command is recorded");
        let event = AppendedEvent {
            position: row.position,
            trialseq: row.trialseq,
            stream: row.stream,
            streamseq: row.streamseq,
            id: header.id.clone(),
            kind: header.kind.clone(),
            time: header.time,
            leaf: row.leaf,
        };
        recorded.entry(of.parse().map_err(text)?).or_default().push(event);
    }
    for (number, known) in commands {
        let found = recorded.get(number);
        if let Some(said) = &known.acknowledged {
            hold!(found.is_some(), "command {number} was acknowledged and is lost");
            let more = found.is_some_and(|found| found.len() > said.len());
            hold!(!more, "command {number} is recorded twice");
            hold!(found == Some(said), "command {number} was acknowledged otherwise than it is recorded");
        }
    }
    for (number, events) in recorded {
        let Some(known) = commands.get(&number) else { return Err(format!("nobody sent command {number}")) };
        let row = store.command(&known.sent.id()).await.map_err(text)?;
        let kept = row.map(|row| (row.first, u64::from(row.count)));
        let is = (events[0].trialseq, events.len() as u64);
        hold!(kept == Some(is), "the store keeps {kept:?} of command {number}, and {is:?} is recorded");
    }
    Ok(())
}

/// Each event lies under the seal that comes after the one it names.
fn brackets(rows: &[EventRow], headers: &[Header], seals: &[SealRow]) -> Found {
    for (seal, number) in seals.iter().zip(0..) {
        hold!(seal.number == number, "seal {number} is missing");
    }
    hold!(seals.is_sorted_by_key(|seal| (seal.sealed, seal.time)), "a seal covers less than the one before");
    for (row, header) in rows.iter().zip(headers) {
        let position = row.position;
        let covering = seals.partition_point(|seal| seal.sealed <= position) as u64;
        let named = header.afterseal.as_ref();
        let next = named.map_or(0, |named| named.seal + 1);
        hold!(covering == next, "event {position} names the seal before {next} and lies under {covering}");
        let leaf = named.map(|named| named.leaf);
        let of = usize::try_from(next).map_err(text)?.checked_sub(1).map(|number| seals[number].leaf);
        hold!(leaf == of, "event {position} names another seal");
    }
    Ok(())
}

/// What is public verifies, and every checkpoint that ever was is of the log as it is now, each larger than the one
/// before or the same.
fn public(place: &Place, seals: &[SealRow]) -> Found {
    let mut roots: Vec<Hash> = Vec::new();
    let mut tree = Frontier::<Sha2>::new();
    for seal in seals {
        tree.push(seal.leaf);
        roots.push(tree.root());
    }
    let mut before: Option<(u64, String)> = None;
    for note in place.checkpoints() {
        let Checkpoint { size, root, .. } =
            Checkpoint::parse(note.split_inclusive('\n').take(3).collect::<String>().as_str())
                .map_err(text)?;
        let at = usize::try_from(size).map_err(text)?;
        hold!(
            Some(&root) == at.checked_sub(1).and_then(|at| roots.get(at)),
            "checkpoint {size} is of another log"
        );
        if let Some((newest, same)) = before {
            hold!(newest < size || same == note, "after checkpoint {newest} came another one of {size}");
        }
        before = Some((size, note));
    }
    if before.is_none() {
        return Ok(());
    }
    let policy = Policy::parse(&Policy::text_for_log(&signer().verifier_key())).map_err(text)?;
    let report = trialseal_verify::log("the published place", place, &policy, None);
    hold!(report.verdict() == Verdict::Sound, "what is public is not sound: {:?}", report.findings());
    Ok(())
}
