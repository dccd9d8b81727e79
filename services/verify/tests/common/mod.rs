//! A small ledger made in memory, its published log in a folder, and a dataset of it with tables.
#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be made fails the test")]

pub(crate) mod record;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use trialseal_seal::canonical::to_vec;
use trialseal_seal::checkpoint::{Checkpoint, cosign};
use trialseal_seal::data::{Secret, dataroot};
use trialseal_seal::dataset::{ExportSigner, Manifest};
use trialseal_seal::event::Header;
use trialseal_seal::hash::{Hash, Sha2, Sha3, TreeHash, sha256};
use trialseal_seal::map::{Head, TrialMap};
use trialseal_seal::note::{KeyKind, NoteSignature, Signer, VerifierKey};
use trialseal_seal::policy::Policy;
use trialseal_seal::proof::{HeadProof, LogProof};
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::{encode_bundle, entries_path, note_path, tile_path};
use trialseal_seal::time::Timestamp;
use trialseal_seal::tree::{Frontier, NodeId, fold, inclusion_nodes};
use trialseal_verify::Report;

pub(crate) const ORIGIN: &str = "ledger.example.org/verify";
pub(crate) const TRIAL: &str = "DEMO-1";
pub(crate) const START_SECONDS: i64 = 1_780_000_000;

pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors")
}

/// The findings of a report: the record and the code of each.
pub(crate) fn codes(report: &Report) -> Vec<(&str, &str)> {
    report.findings().iter().map(|finding| (finding.record.as_str(), finding.code.as_str())).collect()
}

/// Runs the built program and gives its exit code, and the report it printed.
pub(crate) fn program(arguments: &[&str]) -> (i32, Value) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_trialseal-verify")).args(arguments).arg("--json").output().unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

pub(crate) fn vector(name: &str) -> Value {
    serde_json::from_slice(&fs::read(vectors().join(name)).unwrap()).unwrap()
}

/// The key of a witness of a kind that is not known here, and what could be a signature line by it.
pub(crate) fn ml_dsa_witness() -> (VerifierKey, String) {
    let name = "witness.example.org/pq";
    let mut typed_key = vec![0; 1313];
    typed_key[0] = 6;
    let id = sha256(&[name.as_bytes(), b"\n", &typed_key].concat()).to_string();
    let key: VerifierKey = format!("{name}+{}+Bg{}AAA=", &id[..8], "A".repeat(1746)).parse().unwrap();
    let line = NoteSignature { name: name.into(), key_id: key.id(), signature: vec![7; 2428] };
    (key, format!("{line}\n"))
}

/// A ledger with one trial of a few events and any number of seals over it.
pub(crate) struct Ledger {
    log: Signer,
    witness: Signer,
    pub(crate) export: ExportSigner,
    pub(crate) seals: Vec<Seal>,
    pub(crate) notes: Vec<String>,
    pub(crate) record: Vec<Value>,
    pub(crate) head: Head,
}

impl Ledger {
    /// `edit` may change each seal before it goes into the log, after its right content was made up.
    pub(crate) fn with(seals: u64, edit: impl Fn(&mut Seal)) -> Self {
        Self::of(record(), seals, edit)
    }

    /// A ledger whose one trial has this record, each line of which has a header.
    pub(crate) fn of(record: Vec<Value>, seals: u64, edit: impl Fn(&mut Seal)) -> Self {
        let log = Signer::new(ORIGIN, KeyKind::Ed25519, &[1; 32]).unwrap();
        let witness = Signer::new("witness.example.org/w", KeyKind::Cosignature, &[2; 32]).unwrap();
        let export = ExportSigner::new(ORIGIN, &[3; 32]).unwrap();
        let leaves: Vec<_> =
            record.iter().map(|line| Header::parse(&line["header"]).unwrap().leaf()).collect();
        let head = Head { trial: TRIAL.into(), size: leaves.len() as u64, root: fold_all::<Sha3>(&leaves) };
        let mut map = TrialMap::new();
        map.set(&head);
        let mut ledger = Self { log, witness, export, seals: Vec::new(), notes: Vec::new(), record, head };
        for number in 0..seals {
            let prior = ledger.notes.last().map_or(Hash::ZERO, |note| sha256(note.as_bytes()));
            let mut seal = Seal {
                ledger: ORIGIN.into(),
                seal: number,
                time: time(100 + i64::try_from(number).unwrap()),
                events: ledger.head.size,
                trials: 1,
                root: map.root(),
                prior,
            };
            edit(&mut seal);
            ledger.seals.push(seal);
            let note = ledger.note();
            ledger.notes.push(note);
        }
        ledger
    }

    pub(crate) fn new(seals: u64) -> Self {
        Self::with(seals, |_| ())
    }

    /// The note over all seals so far.
    fn note(&self) -> String {
        let mut tree = Frontier::<Sha2>::new();
        self.seals.iter().for_each(|seal| tree.push(seal.leaf()));
        let checkpoint = Checkpoint { origin: ORIGIN.into(), size: tree.size(), root: tree.root() };
        let mut note = checkpoint.sign(&self.log).unwrap();
        let seconds = u64::try_from(START_SECONDS + 101).unwrap() + tree.size();
        note.signatures.push(cosign(&self.witness, &note.text, seconds).unwrap());
        note.encode()
    }

    pub(crate) fn policy_text(&self) -> String {
        format!("log {}\nwitness w {}\nquorum w\n", self.log.verifier_key(), self.witness.verifier_key())
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::parse(&self.policy_text()).unwrap()
    }

    /// The policy that asks for no witness.
    pub(crate) fn lone_policy(&self) -> Policy {
        Policy::parse(&Policy::text_for_log(&self.log.verifier_key())).unwrap()
    }

    /// The published log by path.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        published(&self.seals, (1..).zip(self.notes.iter().cloned()).collect())
    }

    pub(crate) fn head_proof(&self) -> HeadProof {
        let size = self.seals.len() as u64;
        let leaves: Vec<_> = self.seals.iter().map(Seal::leaf).collect();
        let node = |node: &NodeId| {
            let width = 1 << node.level;
            let start = usize::try_from(node.index).unwrap() * width;
            fold_all::<Sha2>(&leaves[start..start + width])
        };
        let path = inclusion_nodes(size - 1, size);
        let path =
            path.iter().map(|nodes| fold::<Sha2>(&nodes.iter().map(node).collect::<Vec<_>>())).collect();
        let note = self.notes.last().unwrap().clone();
        HeadProof {
            head: self.head.clone(),
            head_proof: Vec::new(),
            seal: self.seals.last().unwrap().clone(),
            seal_proof: LogProof { index: size - 1, path, note },
        }
    }

    /// A dataset with a table of all events, by path.
    pub(crate) fn dataset(&self) -> BTreeMap<String, Vec<u8>> {
        let rows: Vec<_> = self.record.iter().map(|line| cells(&line["data"])).collect();
        let lineage = self.record.iter().zip(0..).map(|(line, row): (&Value, u64)| {
            let column = |name: &str| json!([[line["header"]["trialseq"], format!("/record/{name}")]]);
            json!({"table": "data/lb.json", "row": row, "from": {"TEST": column("TEST"), "RESULT": column("RESULT")}})
        });
        let table = format!(
            r#"{{"datasetJSONVersion":"1.1.0","records":{},"columns":[{{"name":"TEST"}},{{"name":"RESULT"}}],"rows":[{}]}}"#,
            rows.len(),
            rows.join(",")
        );
        let files = [
            ("record.ndjson", lines(self.record.iter())),
            ("head.json", to_vec(&self.head_proof().to_value())),
            ("policy.txt", self.policy_text().into_bytes()),
            ("data/lb.json", table.into_bytes()),
            ("lineage.ndjson", lines(lineage.collect::<Vec<_>>().iter())),
        ];
        self.signed(files.map(|(name, bytes)| (name.to_owned(), bytes)).into())
    }

    /// A dataset of the record alone.
    pub(crate) fn plain_dataset(&self) -> BTreeMap<String, Vec<u8>> {
        let files = [
            ("record.ndjson", lines(self.record.iter())),
            ("head.json", to_vec(&self.head_proof().to_value())),
        ];
        self.signed(files.map(|(name, bytes)| (name.to_owned(), bytes)).into())
    }

    /// The same files with a manifest of what they are now.
    pub(crate) fn signed(&self, mut files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
        files.remove("manifest.dsse.json");
        let listed = files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes)));
        let manifest = Manifest::new(listed).unwrap().sign(&self.export);
        files.insert("manifest.dsse.json".into(), manifest);
        files
    }
}

/// A published log of these seals by path; the newest of the notes, which are given by tree size, is its checkpoint.
pub(crate) fn published(seals: &[Seal], notes: BTreeMap<u64, String>) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let entries: Vec<_> = seals.iter().map(Seal::entry).collect();
    for (place, entries) in (0..).zip(entries.chunks(256)) {
        let width = u8::try_from(entries.len()).ok();
        files.insert(entries_path(place, width), encode_bundle(entries).unwrap());
    }
    let mut levels: Vec<Vec<Hash>> = Vec::new();
    let mut tree = Frontier::<Sha2>::new();
    for entry in &entries {
        tree.push_with(Sha2::leaf(&[entry]), |NodeId { level, .. }, hash| {
            let level = usize::from(level / 8);
            levels.resize_with(levels.len().max(level + 1), Vec::new);
            levels[level].push(hash);
        });
    }
    for (level, hashes) in (0..).zip(&levels) {
        for (place, hashes) in (0..).zip(hashes.chunks(256)) {
            let width = u8::try_from(hashes.len()).ok();
            let bytes = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
            files.insert(tile_path(level, place, width), bytes);
        }
    }
    let newest = notes.last_key_value().unwrap().1.clone();
    files.insert("checkpoint".into(), newest.into_bytes());
    files.extend(notes.into_iter().map(|(size, note)| (note_path(size), note.into_bytes())));
    files
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_micros((START_SECONDS + seconds) * 1_000_000)
}

fn cells(data: &Value) -> String {
    format!("[{},{}]", data["record"]["TEST"], data["record"]["RESULT"].as_str().unwrap())
}

/// Three events, all shown; results are numbers that only their text carries exactly.
fn record() -> Vec<Value> {
    let results = ["38.0", "1.50", "7"];
    let line = |(place, result): (u32, &&str)| {
        let data = json!({"record": {"TEST": format!("T{place}"), "RESULT": result}});
        let secret = Secret::from_bytes([u8::try_from(place).unwrap(); 32]);
        let header = json!({
            "specversion": "1.0", "datacontenttype": "application/json", "source": ORIGIN, "trial": TRIAL,
            "id": format!("019b76da-abe8-79c3-bf62-c66415e96cb{place}"), "type": "data.imported",
            "subject": "participant/019b76da-a800-7344-bd2c-6d0e4ff7a373", "time": time(i64::from(place)),
            "trialseq": place, "streamseq": place, "actor": "user:1", "actorrole": "sponsor",
            "dataschema": "urn:trialseal:data.imported:1", "dataroot": dataroot(&secret, &data).unwrap(),
        });
        json!({"header": header, "secret": format!("{place:02x}").repeat(32), "data": data})
    };
    (0..).zip(&results).map(line).collect()
}

fn lines<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<u8> {
    values.flat_map(|value| [to_vec(value), b"\n".to_vec()].concat()).collect()
}

fn fold_all<H: TreeHash>(leaves: &[Hash]) -> Hash {
    let mut tree = Frontier::<H>::new();
    for leaf in leaves {
        tree.push(*leaf);
    }
    tree.root()
}

/// Writes files below a folder.
pub(crate) fn write(root: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}
