//! That a seal is in the public log, and that a trial's head is under a seal (section 6 of the format; C2SP tlog-proof).

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::encoding::{base64_encode, base64_hash, decimal};
use crate::hash::{Hash, Sha2};
use crate::map::{Head, verify_head};
use crate::members::Members;
use crate::policy::{Examined, Policy};
use crate::refused::{At, Code, Refusals, Refused, Result, ensure};
use crate::seal::Seal;
use crate::time::Timestamp;
use crate::tree::verify_inclusion;

const LOG_PROOF_HEADER: &str = "c2sp.org/tlog-proof@v1\n";
/// A tree of 2^63 entries has no longer path.
const MAX_PATH: usize = 63;
/// How far a seal's own time may be ahead of the witnesses', in whole seconds: clocks differ.
pub const MAX_SEAL_LEAD_SECONDS: i64 = 60;

/// A `c2sp.org/tlog-proof@v1` without an `extra` line: that an entry is in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    /// The entry's index.
    pub index: u64,
    /// The inclusion path, leaf's sibling first.
    pub path: Vec<Hash>,
    /// The checkpoint's note.
    pub note: String,
}

impl LogProof {
    /// Reads the text of a proof; the note in it is read when a policy checks it.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = || Refused::new(Code::LogProofMalformed);
        let (head, note) = text.split_once("\n\n").ok_or_else(malformed)?;
        let mut lines = head.strip_prefix(LOG_PROOF_HEADER).ok_or_else(malformed)?.split('\n');
        let index =
            lines.next().and_then(|line| decimal(line.strip_prefix("index ")?)).ok_or_else(malformed)?;
        let path: Vec<_> = lines.map(base64_hash).collect::<Result<_>>().at("path")?;
        ensure(path.len() <= MAX_PATH, Code::PathTooLong)?;
        Ok(Self { index, path, note: note.into() })
    }

    /// The text of the proof.
    pub fn encode(&self) -> String {
        let lines = self.path.iter().map(|hash| base64_encode(hash.as_bytes()) + "\n");
        format!("{LOG_PROOF_HEADER}index {}\n{}\n{}", self.index, lines.collect::<String>(), self.note)
    }
}

/// A seal and the proof that it is in its ledger's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealProof {
    /// The seal.
    pub seal: Seal,
    /// The proof for its entry.
    pub seal_proof: LogProof,
}

/// What a seal proof shows to a reader with a given policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SealReport {
    /// The ledger's origin.
    pub ledger: String,
    /// The seal's number.
    pub seal: u64,
    /// When the ledger says it made the seal.
    pub time: Timestamp,
    /// The size of the log in the checkpoint that covers it.
    pub log_size: u64,
    /// The POSIX second by which enough witnesses had seen it; unknown where the policy asks for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_by: Option<u64>,
    /// Witnesses of the policy that this verifier cannot hear (ML-DSA-44).
    pub silent: Vec<String>,
}

impl SealProof {
    /// The names of a seal proof's members.
    pub(crate) const MEMBERS: [&str; 2] = ["seal", "sealProof"];

    /// Reads `{"seal", "sealProof"}`.
    pub fn parse(value: &Value) -> Result<Self> {
        Self::read(Members::of(value, &Self::MEMBERS, &[])?)
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self> {
        let seal = Seal::parse(members.value("seal")).at("seal")?;
        let seal_proof = LogProof::parse(members.text("sealProof")?).at("sealProof")?;
        Ok(Self { seal, seal_proof })
    }

    /// The proof as a JSON object.
    pub fn to_value(&self) -> Value {
        self.members().into()
    }

    pub(crate) fn members(&self) -> Map<String, Value> {
        seal_members(&self.seal, &self.seal_proof)
    }

    /// Checks that the seal stands at its place in its ledger's log, under a checkpoint that meets `policy`, and that it
    /// was not dated later than it was public.
    pub fn verify(&self, policy: &Policy) -> Result<SealReport> {
        let mut refusals = Refusals::default();
        let report = self.examine(policy, &mut refusals);
        refusals.first(report)
    }

    /// Adds all that [`verify`](Self::verify) could refuse. The report is to be trusted only where it adds nothing.
    pub(crate) fn examine(&self, policy: &Policy, refusals: &mut Refusals) -> SealReport {
        examine_seal(&self.seal, &self.seal_proof, policy, refusals)
    }
}

fn seal_members(seal: &Seal, proof: &LogProof) -> Map<String, Value> {
    let values = [seal.to_value(), Value::from(proof.encode())];
    SealProof::MEMBERS.map(str::to_owned).into_iter().zip(values).collect()
}

fn examine_seal(seal: &Seal, proof: &LogProof, policy: &Policy, refusals: &mut Refusals) -> SealReport {
    let Examined { checkpoint, quorum_time, refused } = policy.examine(&proof.note);
    refusals.within("sealProof", |refusals| refusals.extend(refused));
    if let Some(checkpoint) = &checkpoint {
        let in_place = proof.index == seal.seal && checkpoint.origin == seal.ledger;
        refusals.check(in_place, Code::SealPlace);
        let in_log = verify_inclusion::<Sha2>(
            &seal.leaf(),
            proof.index,
            checkpoint.size,
            &proof.path,
            &checkpoint.root,
        );
        let in_log = in_log.map_err(|refused| refused.renamed(Code::RootDiffers, Code::SealNotInLog));
        refusals.take(in_log.at("sealProof"));
    }
    refusals.check(dated_in_time(seal, quorum_time), Code::SealAfterPublic);
    SealReport {
        ledger: seal.ledger.clone(),
        seal: seal.seal,
        time: seal.time,
        log_size: checkpoint.map_or(0, |checkpoint| checkpoint.size),
        public_by: quorum_time,
        silent: policy.silent(),
    }
}

/// Whether a seal's time is at most [`MAX_SEAL_LEAD_SECONDS`] later than the quorum time, where that is known.
pub(crate) fn dated_in_time(seal: &Seal, quorum_time: Option<u64>) -> bool {
    let Some(quorum_time) = quorum_time else { return true };
    seal.time.seconds()
        <= i64::try_from(quorum_time).unwrap_or(i64::MAX).saturating_add(MAX_SEAL_LEAD_SECONDS)
}

/// A trial's head, the proof that it is under a seal, and the seal's own proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadProof {
    /// The head.
    pub head: Head,
    /// The siblings on its way to the seal's root, deepest first.
    pub head_proof: Vec<Hash>,
    /// The seal.
    pub seal: Seal,
    /// The proof for the seal's entry.
    pub seal_proof: LogProof,
}

impl HeadProof {
    /// The names of a head proof's members.
    pub(crate) const MEMBERS: [&str; 4] = ["head", "headProof", "seal", "sealProof"];

    /// Reads `{"head", "headProof", "seal", "sealProof"}`.
    pub fn parse(value: &Value) -> Result<Self> {
        Self::read(Members::of(value, &Self::MEMBERS, &[])?)
    }

    pub(crate) fn read(members: Members<'_>) -> Result<Self> {
        let head = Head::parse(members.value("head")).at("head")?;
        let head_proof = members.hashes("headProof")?;
        let SealProof { seal, seal_proof } = SealProof::read(members)?;
        Ok(Self { head, head_proof, seal, seal_proof })
    }

    /// The proof as a JSON object.
    pub fn to_value(&self) -> Value {
        self.members().into()
    }

    pub(crate) fn members(&self) -> Map<String, Value> {
        let mut members = seal_members(&self.seal, &self.seal_proof);
        members.insert("head".into(), self.head.to_value());
        members.insert("headProof".into(), json!(self.head_proof));
        members
    }

    /// Checks the seal's proof, and that the head is under the seal.
    pub fn verify(&self, policy: &Policy) -> Result<SealReport> {
        let mut refusals = Refusals::default();
        let report = self.examine(policy, &mut refusals);
        refusals.first(report)
    }

    /// Checks what [`verify`](Self::verify) does and gives all refusals.
    pub fn verify_all(&self, policy: &Policy) -> Result<SealReport, Vec<Refused>> {
        let mut refusals = Refusals::default();
        let report = self.examine(policy, &mut refusals);
        refusals.all(report)
    }

    /// Adds all that [`verify`](Self::verify) could refuse. The report is to be trusted only where it adds nothing.
    pub(crate) fn examine(&self, policy: &Policy, refusals: &mut Refusals) -> SealReport {
        let report = examine_seal(&self.seal, &self.seal_proof, policy, refusals);
        refusals.take(verify_head(&self.head, &self.head_proof, &self.seal.root).at("headProof"));
        report
    }
}
