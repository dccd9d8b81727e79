//! `trialseal check`: reads the record again (events, seals, heads, tree nodes, checkpoints, notes, sizes of trials),
//! recomputes all that follows from it, and names what is damaged.
//!
//! It walks the events once, seal by seal, with a frontier a trial: memory grows with trials and streams, not events.
//!
//! What it does not read: commands, versions of streams and natural keys, which help to decide on what is sent and prove
//! nothing; and read models, jobs and tokens, which are no part of the record.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;
use trialseal_record::{StreamId, TrialId};
use trialseal_seal::canonical;
use trialseal_seal::event::Header;
use trialseal_seal::hash::{Hash, Sha2, Sha3, TreeHash};
use trialseal_seal::map::{Head, TrialMap};
use trialseal_seal::policy::Policy;
use trialseal_seal::seal::Seal;
use trialseal_seal::time::Timestamp;
use trialseal_seal::tree::{Frontier, NodeId};
use trialseal_store::body::{self, Body};
use trialseal_store::{EventRow, NodeRow, SealRow, Store, StoreError, TreeName};
use trialseal_vault::Vault;

/// Rows read at once.
const ROWS: u32 = 1_000;

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Events read.
    pub(crate) events: u64,
    /// Seals read.
    pub(crate) seals: u64,
    /// Events whose data keys have been destroyed: their headers were checked, their data cannot be.
    pub(crate) erased: u64,
    /// What is not as it was recorded, a sentence each.
    pub(crate) findings: Vec<String>,
}

/// Checks the whole record.
///
/// # Errors
/// Where the database or the keys cannot be read at all; damage is no error but a finding.
pub(crate) async fn check(store: &dyn Store, vault: &Vault, policy: &Policy) -> Result<Report> {
    // In this order: a service that goes on meanwhile records a seal before it signs for it.
    let noted = store.newest_note().await?.map_or(0, |(size, _)| size);
    let signed = store.newest_checkpoint().await?.map_or(0, |(size, _)| size);
    let sizes_before = trial_sizes(store).await?;
    let head = store.head().await?;
    let seals = head.seal.map_or(0, |seal| seal.number + 1);
    let mut checker = Checker::new(store, vault, policy, [signed, noted]);
    for (what, newest) in [("checkpoint", signed), ("checkpoint note", noted)] {
        if newest > seals {
            checker.found(format!(
                "the {what} of size {newest} is of more seals than the {seals} that are stored"
            ));
        }
    }
    checker.seals(seals, head.position).await?;
    checker.walk(head.position).await?;
    checker.sizes(&sizes_before, &trial_sizes(store).await?);
    Ok(checker.report)
}

/// The sizes of all trials, as they are stored beside the events.
async fn trial_sizes(store: &dyn Store) -> Result<BTreeMap<TrialId, u64>> {
    let mut sizes = BTreeMap::new();
    loop {
        let last = sizes.last_key_value().map(|(trial, _)| trial);
        let page = store.trials(last, ROWS).await?;
        if page.is_empty() {
            return Ok(sizes);
        }
        sizes.extend(page);
    }
}

/// What was read, or `None` where it is damaged.
fn unless_damaged<T>(read: Result<T, StoreError>) -> Result<Option<T>> {
    match read {
        Err(StoreError::Damaged(_) | StoreError::DamagedEvent { .. }) => Ok(None),
        read => Ok(Some(read?)),
    }
}

/// A trial as walked so far.
#[derive(Default)]
struct Trial {
    frontier: Frontier<Sha3>,
    /// The place that its next event should have.
    next: u64,
    /// The time of its newest event.
    time: Option<Timestamp>,
}

struct Checker<'a> {
    store: &'a dyn Store,
    vault: &'a Vault,
    policy: &'a Policy,
    report: Report,
    trials: HashMap<TrialId, Trial>,
    streams: HashMap<(TrialId, StreamId), u64>,
    grown: BTreeSet<TrialId>,
    map: TrialMap,
    log: Frontier<Sha2>,
    nodes: Vec<NodeRow>,
    /// Sizes of the newest checkpoint and the newest note.
    newest: [u64; 2],
    position: u64,
}

impl<'a> Checker<'a> {
    fn new(store: &'a dyn Store, vault: &'a Vault, policy: &'a Policy, newest: [u64; 2]) -> Self {
        Self {
            store,
            vault,
            policy,
            report: Report::default(),
            trials: HashMap::new(),
            streams: HashMap::new(),
            grown: BTreeSet::new(),
            map: TrialMap::new(),
            log: Frontier::new(),
            nodes: Vec::new(),
            newest,
            position: 0,
        }
    }

    fn found(&mut self, finding: String) {
        self.report.findings.push(finding);
    }

    /// Checks the seals up to number `end`, each after the events that it covers. Without one of them the log's tree cannot
    /// be followed any further.
    async fn seals(&mut self, end: u64, positions: u64) -> Result<()> {
        let (mut number, mut most) = (0, ROWS);
        while number < end {
            let rows = match self.store.seals(number, most).await {
                // One on this page: seal by seal, to see which.
                Err(StoreError::Damaged(_)) if most > 1 => {
                    most = 1;
                    continue;
                }
                Err(StoreError::Damaged(what)) => {
                    self.found(format!("seal {number}: {what}"));
                    return Ok(());
                }
                rows => rows?,
            };
            if rows.is_empty() {
                self.found(format!("seal {number} is missing"));
                return Ok(());
            }
            for row in rows {
                self.walk(row.sealed.min(positions)).await?;
                self.seal(number, &row).await?;
                number += 1;
            }
        }
        Ok(())
    }

    /// Checks the events up to ledger position `end`.
    async fn walk(&mut self, end: u64) -> Result<()> {
        let mut most = ROWS;
        while self.position < end {
            let limit = u32::try_from(end - self.position).unwrap_or(ROWS).min(most);
            match self.store.since_position(self.position, limit).await {
                // One on this page: event by event, to see which.
                Err(StoreError::Damaged(_)) if limit > 1 => most = 1,
                Err(StoreError::Damaged(what)) => {
                    self.found(format!("the event at ledger position {}: {what}", self.position));
                    self.position += 1;
                    most = ROWS;
                }
                rows => self.events(rows?, end).await?,
            }
        }
        Ok(())
    }

    async fn events(&mut self, rows: Vec<EventRow>, end: u64) -> Result<()> {
        if rows.is_empty() {
            self.found(format!("the events from ledger position {} on are missing", self.position));
            self.position = end;
        }
        for row in rows {
            self.position = row.position + 1;
            self.event(&row).await?;
        }
        Ok(())
    }

    async fn event(&mut self, row: &EventRow) -> Result<()> {
        self.report.events += 1;
        let tree = TreeName::Trial(row.trial.clone());
        let trial = self.trials.entry(row.trial.clone()).or_default();
        let expected = std::mem::replace(&mut trial.next, row.trialseq + 1);
        let nodes = &mut self.nodes;
        trial.frontier.push_with(row.leaf, |node, hash| keep(nodes, &tree, node, hash));
        self.grown.insert(row.trial.clone());
        if row.trialseq != expected {
            self.found(format!(
                "event {} of trial {} stands where event {expected} should",
                row.trialseq, row.trial
            ));
        }
        match row.checked_header() {
            Ok(header) => {
                self.place(row, &header);
                self.body(row, &header).await
            }
            Err(damage) => {
                self.found(damage.to_string());
                Ok(())
            }
        }
    }

    /// Times do not go back, and streams have no gaps.
    fn place(&mut self, row: &EventRow, header: &Header) {
        let version = self.streams.entry((row.trial.clone(), row.stream)).or_insert(0);
        let expected = std::mem::replace(version, row.streamseq + 1);
        if row.streamseq != expected {
            self.found(format!("event {} of trial {} leaves a gap in its stream", row.trialseq, row.trial));
        }
        let trial = self.trials.entry(row.trial.clone()).or_default();
        let before = trial.time.replace(header.time);
        if before.is_some_and(|before| header.time < before) {
            self.found(format!(
                "event {} of trial {} is dated before the one ahead of it",
                row.trialseq, row.trial
            ));
        }
    }

    async fn body(&mut self, row: &EventRow, header: &Header) -> Result<()> {
        match body::open(self.vault, row, header).await {
            Ok(Body::Readable { opening, data }) => {
                if let Err(damage) = body::check(row, header, &opening, &data) {
                    self.found(damage.to_string());
                }
            }
            Ok(Body::Erased) => self.report.erased += 1,
            Err(body::BodyError::Damaged(damage)) => self.found(damage.to_string()),
            Err(error @ body::BodyError::Vault(_)) => return Err(error.into()),
        }
        Ok(())
    }

    /// Checks seal `number` against the events walked so far.
    async fn seal(&mut self, number: u64, row: &SealRow) -> Result<()> {
        self.report.seals += 1;
        for trial in std::mem::take(&mut self.grown) {
            let Some(Trial { frontier, .. }) = self.trials.get(&trial) else { continue };
            let head = Head { trial: trial.to_string(), size: frontier.size(), root: frontier.root() };
            self.map.set(&head);
            let stored = unless_damaged(self.store.sealed_head(&trial, number).await)?.flatten();
            if stored.is_none_or(|stored| stored.size != head.size || stored.root != head.root) {
                self.found(format!("the head of trial {trial} in seal {number} is not that of its events"));
            }
        }
        let entry = canonical::parse(&row.entry, canonical::MAX_DEPTH).and_then(|value| Seal::parse(&value));
        let says = match &entry {
            Ok(seal) => {
                let same = seal.seal == number
                    && row.number == number
                    && seal.events == row.sealed
                    && seal.time == row.time
                    && seal.root == self.map.root()
                    && seal.trials == self.map.len() as u64;
                same && seal.ledger == self.store.origin()
            }
            Err(_) => false,
        };
        if !says || Sha2::leaf(&[&row.entry]) != row.leaf {
            self.found(format!("seal {number} is not the seal of the stored events"));
        }
        let nodes = &mut self.nodes;
        self.log.push_with(row.leaf, |node, hash| keep(nodes, &TreeName::Log, node, hash));
        self.check_nodes().await?;
        self.check_signed(number + 1).await
    }

    /// Each trial has as many events as were walked, counted before and after: a service that goes on meanwhile adds some.
    fn sizes(&mut self, before: &BTreeMap<TrialId, u64>, after: &BTreeMap<TrialId, u64>) {
        let all: BTreeSet<TrialId> =
            before.keys().chain(after.keys()).chain(self.trials.keys()).cloned().collect();
        for trial in all {
            let walked = self.trials.get(&trial).map_or(0, |it| it.frontier.size());
            let [least, most] = [before, after].map(|sizes| sizes.get(&trial).copied().unwrap_or(0));
            if !(least..=most).contains(&walked) {
                self.found(format!("the size of trial {trial} is not the number of its events"));
            }
        }
    }

    async fn check_nodes(&mut self) -> Result<()> {
        for node in std::mem::take(&mut self.nodes) {
            let stored = unless_damaged(self.store.nodes(&node.tree, node.level, node.index, 1).await)?;
            if stored.is_none_or(|stored| stored != [node.hash]) {
                let tree = match &node.tree {
                    TreeName::Log => "the public log".to_owned(),
                    TreeName::Trial(trial) => format!("trial {trial}"),
                };
                self.found(format!(
                    "node {} of level {} in the tree of {tree} is not that of its leaves",
                    node.index, node.level
                ));
            }
        }
        Ok(())
    }

    /// Checkpoint and note of a size are of the log's tree of that size. Checkpoints are there up to the newest; notes as
    /// well, unless there are witnesses, who may have been asked for a larger size before they had agreed to this one.
    async fn check_signed(&mut self, size: u64) -> Result<()> {
        let stored = [self.store.checkpoint(size).await?, self.store.note(size).await?];
        let kinds = [
            ("checkpoint", false, self.policy.without_witnesses()),
            ("checkpoint note", true, self.policy.clone()),
        ];
        for (((what, is_note, policy), newest), note) in kinds.into_iter().zip(self.newest).zip(stored) {
            let says = match note {
                None if size > newest || is_note && policy.asks_for_witnesses() => continue,
                None => "missing",
                Some(note) if self.is_of_the_log(&policy, &note, size) => continue,
                Some(_) => "not that of the stored seals",
            };
            self.found(format!("the {what} of size {size} is {says}"));
        }
        Ok(())
    }

    fn is_of_the_log(&self, policy: &Policy, note: &[u8], size: u64) -> bool {
        let accepted = std::str::from_utf8(note).ok().and_then(|note| policy.check(note).ok());
        accepted.is_some_and(|it| it.checkpoint.size == size && it.checkpoint.root == self.log.root())
    }
}

fn keep(nodes: &mut Vec<NodeRow>, tree: &TreeName, node: NodeId, hash: Hash) {
    if node.level > 0 {
        nodes.push(NodeRow { tree: tree.clone(), level: node.level, index: node.index, hash });
    }
}
