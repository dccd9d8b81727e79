//! A ledger made in memory, which answers as the service does, and lies where a test tells it to.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test")]

pub(crate) mod room;

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use trialseal_monitor::{Answer, Place, Unreachable};
use trialseal_seal::checkpoint::{Checkpoint, cosign};
use trialseal_seal::event::Header;
use trialseal_seal::growth::Growth;
use trialseal_seal::hash::{Hash, Sha2, Sha3, TreeHash, sha256};
use trialseal_seal::map::{Head, TrialMap};
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_seal::proof::{HeadProof, LogProof};
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::{encode_bundle, entries_path, note_path, tile_path};
use trialseal_seal::time::Timestamp;
use trialseal_seal::tree::{Frontier, NodeId, consistency_nodes, fold, inclusion_nodes};

pub(crate) const ORIGIN: &str = "ledger.example.org/monitor";
pub(crate) const TRIAL: &str = "DEMO-1";
const START_SECONDS: i64 = 1_780_000_000;

fn log_signer() -> Signer {
    Signer::new(ORIGIN, KeyKind::Ed25519, &[1; 32]).unwrap()
}

fn witness() -> Signer {
    Signer::new("witness.example.org/w", KeyKind::Cosignature, &[2; 32]).unwrap()
}

/// Seal n is made at second 10 n; its events are recorded in the seconds before.
pub(crate) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_micros((START_SECONDS + seconds) * 1_000_000)
}

#[derive(Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) seals: Vec<Seal>,
    pub(crate) notes: BTreeMap<u64, String>,
    /// The trial's events as they were sealed.
    pub(crate) events: Vec<Header>,
    /// The trial's size under each seal.
    sizes: Vec<u64>,
    maps: Vec<TrialMap>,
    /// The published log.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The events as they are shown, where that is something else.
    pub(crate) shown: Option<Vec<Header>>,
    /// Answers that are given whatever would be right, by path without the query.
    pub(crate) answers: BTreeMap<String, Answer>,
    /// Every path that was asked for.
    pub(crate) asked: RefCell<Vec<String>>,
}

impl Ledger {
    /// A ledger with as many seals, each over one more event.
    pub(crate) fn new(seals: usize) -> Self {
        let mut ledger = Self::default();
        (0..seals).for_each(|_| ledger.step(1));
        ledger
    }

    /// Records events and seals them.
    pub(crate) fn step(&mut self, events: usize) {
        self.step_with(events, |_| ());
    }

    /// The same with a seal that is changed before it is published.
    pub(crate) fn step_with(&mut self, events: usize, edit: impl Fn(&mut Seal)) {
        for _ in 0..events {
            let event = self.event();
            self.events.push(event);
        }
        self.seal(edit);
    }

    /// The event that would come next.
    pub(crate) fn event(&self) -> Header {
        let (place, seals) = (self.events.len(), self.seals.len());
        let afterseal = self.seals.last().map(|seal| format!("{}.{}", seal.seal, seal.leaf()));
        let mut header = json!({
            "specversion": "1.0", "datacontenttype": "application/json", "source": ORIGIN, "trial": TRIAL,
            "id": format!("019b76da-abe8-79c3-bf62-{place:012x}"), "type": "data.imported",
            "subject": format!("participant/{}", place % 3), "trialseq": place, "streamseq": place / 3,
            "time": time(10 * i64::try_from(seals).unwrap() - 5), "actor": "user:1", "actorrole": "sponsor",
            "dataschema": "urn:trialseal:data.imported:1", "dataroot": Hash::ZERO,
        });
        if let Some(afterseal) = afterseal {
            header["afterseal"] = afterseal.into();
        }
        Header::parse(&header).unwrap()
    }

    pub(crate) fn seal(&mut self, edit: impl Fn(&mut Seal)) {
        let number = self.seals.len();
        let mut map = TrialMap::new();
        map.set(&Head { trial: "OTHER-1".into(), size: 1, root: Hash::ZERO });
        if !self.events.is_empty() {
            map.set(&self.head(self.events.len()));
        }
        let mut seal = Seal {
            ledger: ORIGIN.into(),
            seal: number as u64,
            time: time(10 * i64::try_from(number).unwrap()),
            events: self.events.len() as u64 + 1,
            trials: map.len() as u64,
            root: map.root(),
            prior: self.notes.last_key_value().map_or(Hash::ZERO, |(_, note)| sha256(note.as_bytes())),
        };
        edit(&mut seal);
        self.seals.push(seal);
        self.sizes.push(self.events.len() as u64);
        self.maps.push(map);
        let note = self.note(true);
        self.notes.insert(self.seals.len() as u64, note);
        self.publish();
    }

    /// Takes the newest note back, as if witnesses had not agreed to it before the next seal.
    pub(crate) fn without_newest_note(&mut self) {
        if let Some((size, _)) = self.notes.pop_last() {
            self.files.remove(&note_path(size));
        }
        self.publish();
    }

    /// A note over all seals.
    pub(crate) fn note(&self, cosigned: bool) -> String {
        let root = tree::<Sha2>(&self.leaves());
        let checkpoint = Checkpoint { origin: ORIGIN.into(), size: self.seals.len() as u64, root };
        let mut note = checkpoint.sign(&log_signer()).unwrap();
        if cosigned {
            let seconds = START_SECONDS + 10 * (i64::try_from(self.seals.len()).unwrap() - 1) + 1;
            note.signatures.push(cosign(&witness(), &note.text, seconds.unsigned_abs()).unwrap());
        }
        note.encode()
    }

    pub(crate) fn policy_text() -> String {
        format!("log {}\nwitness w {}\nquorum w\n", log_signer().verifier_key(), witness().verifier_key())
    }

    fn leaves(&self) -> Vec<Hash> {
        self.seals.iter().map(Seal::leaf).collect()
    }

    fn head(&self, size: usize) -> Head {
        let leaves: Vec<_> = self.events[..size].iter().map(Header::leaf).collect();
        Head { trial: TRIAL.into(), size: size as u64, root: tree::<Sha3>(&leaves) }
    }

    /// Writes the log's files anew; old partial tiles stay, as they may.
    fn publish(&mut self) {
        let entries: Vec<_> = self.seals.iter().map(Seal::entry).collect();
        for (place, entries) in (0..).zip(entries.chunks(256)) {
            let width = u8::try_from(entries.len()).ok();
            self.files.insert(entries_path(place, width), encode_bundle(entries).unwrap());
        }
        let mut levels: Vec<Vec<Hash>> = Vec::new();
        let mut tree = Frontier::<Sha2>::new();
        for leaf in self.leaves() {
            tree.push_with(leaf, |NodeId { level, .. }, hash| {
                let level = usize::from(level / 8);
                levels.resize_with(levels.len().max(level + 1), Vec::new);
                levels[level].push(hash);
            });
        }
        for (level, hashes) in (0..).zip(&levels) {
            for (place, hashes) in (0..).zip(hashes.chunks(256)) {
                let width = u8::try_from(hashes.len()).ok();
                let bytes = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
                self.files.insert(tile_path(level, place, width), bytes);
            }
        }
        let (size, newest) = self.notes.last_key_value().unwrap();
        self.files.insert("checkpoint".into(), newest.clone().into_bytes());
        self.files.insert(note_path(*size), newest.clone().into_bytes());
    }

    fn head_proof(&self, number: usize) -> Option<HeadProof> {
        let size = usize::try_from(*self.sizes.get(number)?).unwrap();
        let (log_size, note) = self.notes.range(number as u64 + 1..).next()?;
        let log_size = *log_size;
        let leaves = self.leaves();
        let path =
            inclusion_nodes(number as u64, log_size).iter().map(|it| root::<Sha2>(&leaves, it)).collect();
        Some(HeadProof {
            head: self.head(size),
            head_proof: self.maps[number].prove(TRIAL)?,
            seal: self.seals[number].clone(),
            seal_proof: LogProof { index: number as u64, path, note: note.clone() },
        })
    }

    pub(crate) fn growth(&self, from: usize, to: usize) -> Option<Growth> {
        let (from, to) = (self.head_proof(from)?, self.head_proof(to)?);
        let leaves: Vec<_> = self.events.iter().map(Header::leaf).collect();
        let nodes = consistency_nodes(from.head.size, to.head.size);
        let consistency = nodes.iter().map(|nodes| root::<Sha3>(&leaves, nodes)).collect();
        Some(Growth { from, to, consistency })
    }

    fn answer(&self, path: &str) -> Option<Vec<u8>> {
        if let Some(file) = path.strip_prefix("log/") {
            return self.files.get(file).cloned();
        }
        let (route, query) = path.strip_prefix(&format!("v1/trials/{TRIAL}/"))?.split_once('?')?;
        let number = |name: &str| -> Option<usize> {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        };
        match route {
            "growth" => {
                Some(self.growth(number("from")?, number("to")?)?.to_value().to_string().into_bytes())
            }
            "events" => {
                let from = number("after").map_or(0, |after| after + 1);
                let events = self.shown.as_ref().unwrap_or(&self.events);
                let entry = |header: &Header| -> Value {
                    json!({"header": header.to_value(), "eventleaf": header.leaf(), "withheld": "out-of-scope"})
                };
                // Three a page, so that there are several.
                let page: Vec<_> = events.iter().skip(from).take(3).map(entry).collect();
                Some(json!({"events": page, "size": events.len()}).to_string().into_bytes())
            }
            _ => None,
        }
    }
}

impl Place for Ledger {
    fn get(&self, path: &str) -> Result<Answer, Unreachable> {
        self.asked.borrow_mut().push(path.to_owned());
        let route = path.split('?').next().unwrap();
        if let Some(answer) = self.answers.get(route) {
            return if answer.status == 0 { Err(Unreachable("no route".into())) } else { Ok(answer.clone()) };
        }
        Ok(match self.answer(path) {
            Some(body) => Answer { status: 200, body },
            None => Answer { status: 404, body: Vec::new() },
        })
    }
}

fn root<H: TreeHash>(leaves: &[Hash], nodes: &[NodeId]) -> Hash {
    let node = |node: &NodeId| {
        let width = 1 << node.level;
        let start = usize::try_from(node.index).unwrap() * width;
        tree::<H>(&leaves[start..start + width])
    };
    fold::<H>(&nodes.iter().map(node).collect::<Vec<_>>())
}

fn tree<H: TreeHash>(leaves: &[Hash]) -> Hash {
    let mut tree = Frontier::<H>::new();
    for leaf in leaves {
        tree.push(*leaf);
    }
    tree.root()
}

/// Two ledgers with the same beginning and the same key.
pub(crate) fn forked(common: usize) -> (Ledger, Ledger) {
    let common = Ledger::new(common);
    let (mut one, mut other) = (common.clone(), common);
    one.step(1);
    other.step(2);
    (one, other)
}
