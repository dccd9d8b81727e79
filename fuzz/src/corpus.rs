//! Where mutation starts: the vectors of the format, taken apart into what each parser reads.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use trialseal_seal::authenticator::Authenticator;
use trialseal_seal::canonical::to_vec;
use trialseal_seal::checkpoint::Checkpoint;
use trialseal_seal::dataset::ExportSigner;
use trialseal_seal::hash::{Hash, Sha2, TreeHash, sha256};
use trialseal_seal::note::{KeyKind, Signer};
use trialseal_seal::policy::Policy;
use trialseal_seal::seal::Seal;
use trialseal_seal::tiles::{encode_bundle, entries_path, note_path, tile_path};
use trialseal_seal::tree::Frontier;
use trialseal_seal::trust::Trust;

use crate::targets::STATEMENT;

/// The vectors, read once.
#[derive(Debug)]
pub struct Corpus {
    vectors: BTreeMap<&'static str, Value>,
    dataset: BTreeMap<String, Vec<u8>>,
}

/// A byte that no JSON text holds; stands between the table and the lineage that the target `tables` takes.
pub(crate) const BETWEEN: u8 = 0xff;

pub(crate) static CORPUS: LazyLock<Corpus> = LazyLock::new(Corpus::read);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

fn bytes(text: &Value) -> Vec<u8> {
    text.as_str().unwrap_or_default().as_bytes().to_vec()
}

impl Corpus {
    /// Reads the vectors.
    pub fn read() -> Self {
        let names = [
            "canonical",
            "data",
            "datasets-refused",
            "growth-absence",
            "ledger",
            "ledgers",
            "maps",
            "receipts",
            "receipts-refused",
        ];
        let read =
            |name| serde_json::from_slice(&fs::read(folder().join(format!("{name}.json"))).unwrap()).unwrap();
        let vectors = names.into_iter().map(|name| (name, read(name))).collect();
        let files = ["head.json", "manifest.dsse.json", "policy.txt", "record.ndjson"];
        let dataset = files
            .map(|name| (name.to_owned(), fs::read(folder().join("dataset").join(name)).unwrap()))
            .into();
        Self { vectors, dataset }
    }

    fn list(&self, file: &str, list: &str) -> &[Value] {
        self.vectors[file][list].as_array().unwrap()
    }

    /// The policy of the vectors.
    pub(crate) fn policy(&self) -> Policy {
        Policy::parse(self.vectors["receipts"]["policy"].as_str().unwrap()).unwrap()
    }

    pub(crate) fn origin(&self) -> &str {
        self.vectors["ledger"]["origin"].as_str().unwrap()
    }

    fn seed(&self, key: &str) -> [u8; 32] {
        *self.vectors["ledger"]["keySeedsHex"][key].as_str().unwrap().parse::<Hash>().unwrap().as_bytes()
    }

    pub(crate) fn export_signer(&self) -> ExportSigner {
        ExportSigner::new(self.origin(), &self.seed("export")).unwrap()
    }

    fn log_signer(&self) -> Signer {
        Signer::new(self.origin(), KeyKind::Ed25519, &self.seed("log")).unwrap()
    }

    /// The policy that trusts the log and asks for no witness.
    pub(crate) fn lone_policy(&self) -> Policy {
        Policy::parse(&Policy::text_for_log(&self.log_signer().verifier_key())).unwrap()
    }

    /// The dataset of the vectors.
    pub(crate) fn dataset(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.dataset
    }

    /// A log of the vectors' seals, numbered and signed anew.
    pub(crate) fn log(&self) -> BTreeMap<String, Vec<u8>> {
        let signer = self.log_signer();
        let seals = self
            .list("growth-absence", "growth")
            .iter()
            .flat_map(|it| [&it["from"]["seal"], &it["to"]["seal"]]);
        let seals: BTreeMap<u64, Seal> =
            seals.map(|seal| Seal::parse(seal).unwrap()).map(|seal| (seal.seal, seal)).collect();
        let (mut files, mut tree, mut prior) = (BTreeMap::new(), Frontier::<Sha2>::new(), Hash::ZERO);
        let mut entries = Vec::new();
        for (number, seal) in (0..).zip(seals.into_values()) {
            let entry = Seal { seal: number, prior, ..seal }.entry();
            tree.push(Sha2::leaf(&[&entry]));
            entries.push(entry);
            let checkpoint =
                Checkpoint { origin: self.origin().into(), size: tree.size(), root: tree.root() };
            let note = checkpoint.sign(&signer).unwrap().encode().into_bytes();
            prior = sha256(&note);
            files.insert(note_path(tree.size()), note.clone());
            files.insert("checkpoint".into(), note);
        }
        files.insert(entries_path(0, Some(1)), encode_bundle(&entries[..1]).unwrap());
        let width = u8::try_from(entries.len()).ok();
        let leaves = entries.iter().flat_map(|entry| *Sha2::leaf(&[entry]).as_bytes()).collect();
        files.insert(entries_path(0, width), encode_bundle(&entries).unwrap());
        files.insert(tile_path(0, 0, width), leaves);
        files
    }

    pub(crate) fn json(&self) -> Vec<Vec<u8>> {
        let mut all: Vec<_> = self.list("canonical", "accepted").iter().map(to_vec).collect();
        all.extend(self.receipts());
        all
    }

    pub(crate) fn data(&self) -> Vec<Vec<u8>> {
        self.list("data", "data").iter().map(|it| to_vec(&it["data"])).collect()
    }

    pub(crate) fn headers(&self) -> Vec<Vec<u8>> {
        self.list("receipts", "receipts").iter().map(|it| to_vec(&it["header"])).collect()
    }

    pub(crate) fn disclosures(&self) -> Vec<Vec<u8>> {
        let receipts =
            self.list("receipts", "receipts").iter().chain(self.list("receipts-refused", "receipts"));
        let fields = receipts.filter_map(|it| it.get("fields").or_else(|| it["receipt"].get("fields")));
        fields.map(to_vec).collect()
    }

    pub(crate) fn times(&self) -> Vec<Vec<u8>> {
        self.list("receipts", "receipts").iter().map(|it| bytes(&it["header"]["time"])).collect()
    }

    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        let policy = self.vectors["receipts"]["policy"].as_str().unwrap();
        let keys = policy.split_ascii_whitespace().filter(|word| word.matches('+').count() >= 2);
        let exports = self.list("datasets-refused", "datasets").iter().map(|it| bytes(&it["exportKey"]));
        keys.map(|key| key.as_bytes().to_vec()).chain(exports).collect()
    }

    pub(crate) fn log_proofs(&self) -> Vec<Vec<u8>> {
        let refused =
            self.list("receipts-refused", "receipts").iter().map(|it| bytes(&it["receipt"]["sealProof"]));
        self.list("receipts", "receipts").iter().map(|it| bytes(&it["sealProof"])).chain(refused).collect()
    }

    pub(crate) fn notes(&self) -> Vec<Vec<u8>> {
        let proofs = self.log_proofs();
        let note = |proof: &Vec<u8>| {
            let text = String::from_utf8_lossy(proof);
            text.split_once("\n\n").map(|(_, note)| note.as_bytes().to_vec())
        };
        proofs.iter().filter_map(note).collect()
    }

    pub(crate) fn checkpoints(&self) -> Vec<Vec<u8>> {
        let text =
            |note: Vec<u8>| note.split_inclusive(|byte| *byte == b'\n').take(3).flatten().copied().collect();
        self.notes().into_iter().map(text).collect()
    }

    /// Each note with the proof that lies before it in the vectors, whether or not it belongs to it.
    pub(crate) fn add_checkpoints(&self) -> Vec<Vec<u8>> {
        let request = |proof: &Vec<u8>| {
            let text = String::from_utf8_lossy(proof);
            let (_, rest) = text.split_once("\nindex ")?;
            Some(format!("old {rest}").into_bytes())
        };
        self.log_proofs().iter().filter_map(request).collect()
    }

    pub(crate) fn policies(&self) -> Vec<Vec<u8>> {
        let refused = self.list("receipts-refused", "receipts").iter().map(|it| bytes(&it["policy"]));
        std::iter::once(bytes(&self.vectors["receipts"]["policy"])).chain(refused).collect()
    }

    pub(crate) fn trusts(&self) -> Vec<Vec<u8>> {
        let policy = self.vectors["receipts"]["policy"].as_str().unwrap();
        let trust = Trust::new(policy, vec![self.export_signer().export_key()]).unwrap();
        vec![trust.to_string().into_bytes()]
    }

    #[expect(clippy::unused_self, reason = "seeds are asked for in one way")]
    pub(crate) fn log_paths(&self) -> Vec<Vec<u8>> {
        let paths =
            ["tile/0/000", "tile/entries/x001/x234/067.p/255", "notes/x001/234", "timestamps/x001/234.tsr"];
        paths.map(|path| path.as_bytes().to_vec()).into()
    }

    pub(crate) fn bundles(&self) -> Vec<Vec<u8>> {
        let entries: Vec<_> = self.seals();
        vec![encode_bundle(&entries).unwrap(), encode_bundle(&entries[..1]).unwrap()]
    }

    pub(crate) fn seals(&self) -> Vec<Vec<u8>> {
        self.list("receipts", "receipts").iter().map(|it| to_vec(&it["seal"])).collect()
    }

    pub(crate) fn receipts(&self) -> Vec<Vec<u8>> {
        let refused = self.list("receipts-refused", "receipts").iter().map(|it| to_vec(&it["receipt"]));
        self.list("receipts", "receipts").iter().map(to_vec).chain(refused).collect()
    }

    pub(crate) fn growths(&self) -> Vec<Vec<u8>> {
        self.list("growth-absence", "growth").iter().map(to_vec).collect()
    }

    pub(crate) fn absences(&self) -> Vec<Vec<u8>> {
        self.list("growth-absence", "absence").iter().map(to_vec).collect()
    }

    pub(crate) fn records(&self) -> Vec<Vec<u8>> {
        vec![self.dataset["record.ndjson"].clone()]
    }

    pub(crate) fn manifests(&self) -> Vec<Vec<u8>> {
        vec![self.dataset["manifest.dsse.json"].clone()]
    }

    #[expect(clippy::unused_self, reason = "seeds are asked for in one way")]
    pub(crate) fn tables(&self) -> Vec<Vec<u8>> {
        let table = br#"{"datasetJSONVersion":"1.1.0","records":2,"columns":[{"name":"N"},{"name":"V"}],"rows":[[0,"96"],[41,167]]}"#;
        let lineage = br#"{"from":{"N":[[0,"/n"]],"V":[[0,"/items/0/value"]]},"row":0,"table":"data/t.json"}
{"from":{"N":[[15,"/n"]],"V":[[15,"/items/0/value"]]},"row":1,"table":"data/t.json"}
"#;
        vec![[&table[..], &[BETWEEN], &lineage[..]].concat()]
    }

    #[expect(clippy::unused_self, reason = "seeds are asked for in one way")]
    pub(crate) fn submission_signatures(&self) -> Vec<Vec<u8>> {
        let protected =
            r#"{"alg":"EdDSA","iat":1772366400,"kid":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        vec![format!("{}..{}", encode(protected.as_bytes()), encode(&[7; 64])).into_bytes()]
    }

    /// A record in which every line is one of the dataset's with the type and data of a submission, or of what comes of one.
    pub(crate) fn submissions(&self) -> Vec<Vec<u8>> {
        let signature = String::from_utf8(self.submission_signatures().remove(0)).unwrap();
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let key = json!({"key": {"kty": "OKP", "crv": "Ed25519", "x": x}});
        let change = json!({"required": true, "reason": "r"});
        let signed = |rest: &str, body: &Value| json!({"path": format!("/v1/trials/T/{rest}"), "idempotencyKey": "k", "body": body, "signature": signature});
        let registered = json!({"holder": "a", "key": key["key"]});
        let events = [
            ("submission.signed", signed("submission-keys", &key)),
            ("submission-key.registered", registered),
            ("submission.signed", signed("submission-signing", &change)),
            ("submission-signing.changed", change.clone()),
        ];
        vec![self.record_of(&events)]
    }

    /// The client data of what a passkey answers to [`crate::targets::STATEMENT`].
    #[expect(clippy::unused_self, reason = "seeds are asked for in one way")]
    pub(crate) fn client_data(&self) -> Vec<Vec<u8>> {
        let answer = Authenticator::new(1).answer(STATEMENT);
        vec![URL_SAFE_NO_PAD.decode(answer["clientDataJSON"].as_str().unwrap()).unwrap()]
    }

    /// A record in which every line is one of the dataset's with the type and data of a signature, or of the passkey for it.
    pub(crate) fn signatures(&self) -> Vec<Vec<u8>> {
        let authenticator = Authenticator::new(1);
        let answer = authenticator.answer(STATEMENT);
        let key = json!({
            "holder": "a", "name": "A", "passkey": authenticator.passkey(), "accepts": "yes", "at": 1, "answer": answer,
        });
        let signature = json!({
            "version": 0, "digest": "00".repeat(32), "meaning": "approval", "name": "A", "at": 1, "answer": answer,
            "credential": authenticator.credential(),
        });
        let end = json!({"credential": authenticator.credential(), "reason": "r"});
        vec![self.record_of(&[
            ("signing-key.registered", key),
            ("signature.applied", signature),
            ("signing-key.revoked", end),
        ])]
    }

    /// The dataset's record with these types and data in its lines, in turn.
    fn record_of(&self, events: &[(&str, Value)]) -> Vec<u8> {
        let record = String::from_utf8(self.dataset["record.ndjson"].clone()).unwrap();
        let lines = record.lines().zip(events.iter().cycle()).map(|(line, (kind, data))| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line["header"]["type"] = (*kind).into();
            line["header"]["dataschema"] = format!("urn:trialseal:{kind}:1").into();
            json!({"header": line["header"], "secret": "07".repeat(32), "data": data}).to_string() + "\n"
        });
        lines.collect::<String>().into_bytes()
    }

    pub(crate) fn zips(&self) -> Vec<Vec<u8>> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in &self.dataset {
            writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        vec![writer.finish().unwrap().into_inner()]
    }

    /// A file that OpenSSL made for the tests of timestamps.
    #[expect(clippy::unused_self, reason = "seeds are asked for in one way")]
    pub(crate) fn golden(&self, name: &str) -> Vec<u8> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/timestamp/tests/golden");
        fs::read(folder.join(name)).unwrap()
    }

    pub(crate) fn timestamp_tokens(&self) -> Vec<Vec<u8>> {
        let names =
            ["rsa", "rsa-sha1-name", "pss", "p256", "p384", "issued", "by-key-identifier", "rejected"];
        names.map(|name| self.golden(&format!("{name}.tsr"))).into()
    }

    pub(crate) fn authorities(&self) -> Vec<Vec<u8>> {
        ["rsa", "ec", "other"].map(|name| self.golden(&format!("{name}-ca.pem"))).into()
    }

    /// Each resource of the log, with the number that says which one it takes the place of in front.
    pub(crate) fn log_resources(&self) -> Vec<Vec<u8>> {
        (0_u8..).zip(self.log().into_values()).map(|(number, bytes)| [vec![number], bytes].concat()).collect()
    }
}
