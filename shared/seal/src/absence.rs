//! Absence: that a ledger had no trial of a given id as of one seal (section 8 of the format).

use serde::Serialize;
use serde_json::{Value, json};

use crate::canonical::{MAX_DEPTH, parse};
use crate::event::valid_trial_id;
use crate::hash::Hash;
use crate::map::{Head, verify_absent};
use crate::members::Members;
use crate::policy::Policy;
use crate::proof::{SealProof, SealReport};
use crate::refused::{At, Code, Refusals, Refused, Result, ensure};

const FORMAT: &str = "trialseal/absence/v1";

/// The proof that a trial is not in a seal's map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The id that is not there.
    pub trial: String,
    /// The head of another trial that stands in its place, if any does.
    pub other: Option<Head>,
    /// The siblings of that place, deepest first.
    pub head_proof: Vec<Hash>,
    /// The seal.
    pub seal: SealProof,
}

/// What a proof of absence shows to a reader with a given policy: nothing about ids that are spelt otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AbsenceReport {
    /// The id that is not there.
    pub trial: String,
    /// The seal as of which it is not.
    pub seal: SealReport,
}

impl Absence {
    /// Reads a proof of absence.
    pub fn parse(text: &[u8]) -> Result<Self> {
        Self::from_value(&parse(text, MAX_DEPTH)?)
    }

    /// Reads a proof of absence from JSON that was read strictly.
    pub fn from_value(value: &Value) -> Result<Self> {
        let names = [&["format", "trial", "other", "headProof"], &SealProof::MEMBERS[..]].concat();
        let members = Members::of(value, &names, &[])?;
        members.exactly("format", FORMAT)?;
        let trial = members.text("trial")?;
        ensure(valid_trial_id(trial), Code::TrialId).at("trial")?;
        let other = match members.value("other") {
            Value::Null => None,
            head => Some(Head::parse(head).at("other")?),
        };
        Ok(Self {
            trial: trial.into(),
            other,
            head_proof: members.hashes("headProof")?,
            seal: SealProof::read(members)?,
        })
    }

    /// The proof as a JSON object.
    pub fn to_value(&self) -> Value {
        let mut members = self.seal.members();
        members.insert("format".into(), json!(FORMAT));
        members.insert("trial".into(), json!(self.trial));
        members.insert("other".into(), json!(self.other));
        members.insert("headProof".into(), json!(self.head_proof));
        members.into()
    }

    /// Checks the seal, and that the trial is not in its map; gives the first refusal.
    pub fn verify(&self, policy: &Policy) -> Result<AbsenceReport> {
        let mut refusals = Refusals::default();
        let report = self.examine(policy, &mut refusals);
        refusals.first(report)
    }

    /// Checks what [`verify`](Self::verify) does and gives all refusals.
    pub fn verify_all(&self, policy: &Policy) -> Result<AbsenceReport, Vec<Refused>> {
        let mut refusals = Refusals::default();
        let report = self.examine(policy, &mut refusals);
        refusals.all(report)
    }

    /// The report is to be trusted only where no refusal was added.
    fn examine(&self, policy: &Policy, refusals: &mut Refusals) -> AbsenceReport {
        let seal = self.seal.examine(policy, refusals);
        let absent = verify_absent(&self.trial, self.other.as_ref(), &self.head_proof, &self.seal.seal.root);
        refusals.take(absent.at("headProof"));
        AbsenceReport { trial: self.trial.clone(), seal }
    }
}
