//! The signed manifest: a DSSE envelope around an in-toto statement that lists all other files of a dataset.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use super::{Finding, MANIFEST, REQUIRED, check_name, check_names};
use crate::canonical::{MAX_DEPTH, parse, to_vec};
use crate::encoding::{base64_decode, base64_encode};
use crate::hash::{Hash, encode_hex};
use crate::members::Members;
use crate::note::{StrictKey, check_key_name, key_id, split_verifier_key};
use crate::policy::Policy;
use crate::refused::{At, Code, Refused, Result, ensure};

/// The most signatures an envelope may have.
pub const MAX_MANIFEST_SIGNATURES: usize = 16;

/// What stands in the place of the type byte in an export key.
const KEY_TYPE: &[u8] = b"\xfftrialseal/dsse/v1\n";
const KEY_NAME_SUFFIX: &str = "/export";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE_TYPE: &str = "urn:trialseal:dataset:v1";

/// The public key under which a ledger signs its exports: `<origin>/export+<hex key id>+<base64(type bytes ‖ key)>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportKey {
    origin: String,
    key: StrictKey,
}

impl ExportKey {
    /// The origin of the ledger whose key it is.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Refuses a key that the policy knows as the key of a log or a witness.
    pub fn check_unused(&self, policy: &Policy) -> Result<()> {
        let keys = policy.logs().iter().chain(policy.witnesses().map(|witness| &witness.key));
        ensure(keys.into_iter().all(|key| key.public_key() != self.key.bytes()), Code::KeyReused)
    }
}

impl FromStr for ExportKey {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self> {
        let (name, typed_key) = split_verifier_key(text)?;
        let key = typed_key.strip_prefix(KEY_TYPE).ok_or_else(|| Refused::new(Code::KeyKind))?;
        let origin = name.strip_suffix(KEY_NAME_SUFFIX).filter(|origin| !origin.is_empty());
        let origin = origin.ok_or_else(|| Refused::new(Code::KeyName))?;
        Ok(Self { origin: origin.into(), key: StrictKey::parse(key)? })
    }
}

impl fmt::Display for ExportKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{}{KEY_NAME_SUFFIX}", self.origin);
        let typed_key = [KEY_TYPE, self.key.bytes()].concat();
        write!(f, "{name}+{}+{}", encode_hex(&key_id(&name, &typed_key)), base64_encode(&typed_key))
    }
}

/// The private key under which a ledger signs its exports. Wiped from memory when dropped.
#[derive(Clone)]
pub struct ExportSigner {
    origin: String,
    key: SigningKey,
}

impl ExportSigner {
    /// The key of a 32-byte seed for the ledger with this origin.
    pub fn new(origin: &str, seed: &[u8; 32]) -> Result<Self> {
        check_key_name(origin)?;
        Ok(Self { origin: origin.into(), key: SigningKey::from_bytes(seed) })
    }

    /// The public half.
    pub fn export_key(&self) -> ExportKey {
        ExportKey { origin: self.origin.clone(), key: StrictKey::of(&self.key) }
    }
}

impl fmt::Debug for ExportSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportSigner").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// The files of a dataset but the manifest itself, each with its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    files: BTreeMap<String, Hash>,
}

impl Manifest {
    /// A manifest of these files. Names that are not allowed, and the manifest's own, are refused.
    pub fn new(files: impl IntoIterator<Item = (String, Hash)>) -> Result<Self> {
        let mut manifest = Self { files: BTreeMap::new() };
        let mut names = HashSet::new();
        for (name, digest) in files {
            check_name(&name)?;
            ensure(name != MANIFEST, Code::Statement)?;
            ensure(names.insert(name.to_ascii_lowercase()), Code::FileTwice)?;
            manifest.files.insert(name, digest);
        }
        Ok(manifest)
    }

    /// The files and their SHA-256.
    pub fn files(&self) -> &BTreeMap<String, Hash> {
        &self.files
    }

    /// Checks the names of all files that are there, links and such counted as what they are not: the caller leaves out
    /// what is no plain file and reports it as [`Code::FileUnknown`].
    pub fn check_names<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<Finding> {
        let names: Vec<_> = names.into_iter().collect();
        let there: HashSet<_> = names.iter().copied().collect();
        let mut findings = check_names(names.iter().copied());
        let not_listed = names.iter().filter(|name| **name != MANIFEST && !self.files.contains_key(**name));
        findings.extend(not_listed.map(|name| Finding::file(*name, Code::FileNotListed)));
        let missing = self.files.keys().filter(|name| !there.contains(name.as_str()));
        // What every dataset has to have was reported already where it is missing.
        let missing = missing.filter(|name| !REQUIRED.contains(&name.as_str()));
        findings.extend(missing.map(|name| Finding::file(name, Code::FileMissing)));
        findings
    }

    /// Checks the SHA-256 of one file.
    pub fn check_digest(&self, name: &str, digest: &Hash) -> Option<Finding> {
        match self.files.get(name) {
            Some(listed) if listed == digest => None,
            Some(_) => Some(Finding::file(name, Code::FileDiffers)),
            None => Some(Finding::file(name, Code::FileNotListed)),
        }
    }

    /// The bytes of the manifest file: the statement, signed.
    pub fn sign(&self, signer: &ExportSigner) -> Vec<u8> {
        self.envelope(std::slice::from_ref(signer))
    }

    /// The bytes of the manifest file, signed with each key, of which there are several while one takes the place of
    /// another: at least one, and at most [`MAX_MANIFEST_SIGNATURES`], or it is [`Code::Envelope`].
    pub fn sign_with(&self, signers: &[ExportSigner]) -> Result<Vec<u8>> {
        ensure((1..=MAX_MANIFEST_SIGNATURES).contains(&signers.len()), Code::Envelope)?;
        Ok(self.envelope(signers))
    }

    fn envelope(&self, signers: &[ExportSigner]) -> Vec<u8> {
        let subject =
            |(name, digest): (&String, &Hash)| json!({ "name": name, "digest": { "sha256": digest } });
        let statement = json!({
            "_type": STATEMENT_TYPE,
            "subject": self.files.iter().map(subject).collect::<Value>(),
            "predicateType": PREDICATE_TYPE,
            "predicate": {},
        });
        let payload = to_vec(&statement);
        let message = pre_authentication(&payload);
        let signature = |signer: &ExportSigner| json!({ "keyid": "", "sig": base64_encode(signer.key.sign(&message).to_bytes()) });
        to_vec(&json!({
            "payloadType": PAYLOAD_TYPE,
            "payload": base64_encode(&payload),
            "signatures": signers.iter().map(signature).collect::<Value>(),
        }))
    }

    /// Reads a manifest file and checks its signature, then what it states.
    pub fn open(envelope: &[u8], key: &ExportKey) -> Result<Self> {
        Self::open_with(envelope, std::slice::from_ref(key))
    }

    /// As [`open`](Self::open), for a reader who trusts several keys: one of them has to have signed.
    pub fn open_with(envelope: &[u8], keys: &[ExportKey]) -> Result<Self> {
        let envelope = parse(envelope, MAX_DEPTH)?;
        let members = Members::of(&envelope, &["payloadType", "payload", "signatures"], &[])?;
        ensure(members.text("payloadType")? == PAYLOAD_TYPE, Code::Envelope).at("payloadType")?;
        let payload = base64_decode(members.text("payload")?).at("payload")?;
        let signatures = members.list("signatures")?;
        ensure((1..=MAX_MANIFEST_SIGNATURES).contains(&signatures.len()), Code::Envelope).at("signatures")?;
        let signatures: Vec<_> =
            signatures.iter().map(read_signature).collect::<Result<_>>().at("signatures")?;
        let message = pre_authentication(&payload);
        let verifies = |signature: &Vec<u8>| keys.iter().any(|key| key.key.verifies(&message, signature));
        let signed = signatures.iter().any(verifies);
        ensure(signed, Code::ManifestSignature)?;
        Self::read_statement(&parse(&payload, MAX_DEPTH).at("payload")?).at("payload")
    }

    fn read_statement(statement: &Value) -> Result<Self> {
        let members = Members::of(statement, &["_type", "subject", "predicateType", "predicate"], &[])?;
        let types =
            members.text("_type")? == STATEMENT_TYPE && members.text("predicateType")? == PREDICATE_TYPE;
        ensure(types, Code::Statement)?;
        ensure(members.value("predicate").is_object(), Code::Statement).at("predicate")?;
        let subjects: Vec<_> = members.list("subject")?.iter().map(read_subject).collect::<Result<_>>()?;
        Self::new(subjects)
    }
}

fn read_signature(value: &Value) -> Result<Vec<u8>> {
    let members = Members::of(value, &["sig"], &["keyid"])?;
    ensure(members.optional("keyid").is_none_or(Value::is_string), Code::MemberType).at("keyid")?;
    base64_decode(members.text("sig")?)
}

fn read_subject(value: &Value) -> Result<(String, Hash)> {
    let members = Members::of(value, &["name", "digest"], &[]).at("subject")?;
    let digest = Members::of(members.value("digest"), &["sha256"], &[]).at("subject.digest")?;
    Ok((members.text("name")?.into(), digest.read("sha256")?))
}

/// What a DSSE signature is over (its pre-authentication encoding, PAE).
fn pre_authentication(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}
