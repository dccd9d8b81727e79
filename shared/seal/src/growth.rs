//! Growth: that a trial's record at a later seal begins with its record at an earlier one (section 8 of the format).

use serde::Serialize;
use serde_json::{Value, json};

use crate::canonical::{MAX_DEPTH, parse};
use crate::hash::{Hash, Sha3};
use crate::members::Members;
use crate::policy::Policy;
use crate::proof::{HeadProof, SealReport};
use crate::refused::{At, Code, Refusals, Refused, Result};
use crate::tree::verify_consistency;

const FORMAT: &str = "trialseal/growth/v1";

/// Two heads of one trial and the consistency proof between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// The earlier head.
    pub from: HeadProof,
    /// The later head.
    pub to: HeadProof,
    /// The consistency proof; empty for equal sizes.
    pub consistency: Vec<Hash>,
}

/// What a growth proof shows to a reader with a given policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GrowthReport {
    /// The trial.
    pub trial: String,
    /// The events it had.
    pub from_size: u64,
    /// The events it has, the former ones first and unchanged.
    pub to_size: u64,
    /// The earlier seal.
    pub from: SealReport,
    /// The later seal.
    pub to: SealReport,
}

impl Growth {
    /// Reads a growth proof.
    pub fn parse(text: &[u8]) -> Result<Self> {
        Self::from_value(&parse(text, MAX_DEPTH)?)
    }

    /// Reads a growth proof from JSON that was read strictly.
    pub fn from_value(value: &Value) -> Result<Self> {
        let members = Members::of(value, &["format", "from", "to", "consistency"], &[])?;
        members.exactly("format", FORMAT)?;
        Ok(Self {
            from: HeadProof::parse(members.value("from")).at("from")?,
            to: HeadProof::parse(members.value("to")).at("to")?,
            consistency: members.hashes("consistency")?,
        })
    }

    /// The proof as a JSON object.
    pub fn to_value(&self) -> Value {
        json!({
            "format": FORMAT,
            "from": self.from.to_value(),
            "to": self.to.to_value(),
            "consistency": self.consistency,
        })
    }

    /// Checks both heads, that they are of one trial and ledger and in order, and that the later extends the earlier;
    /// gives the first refusal.
    pub fn verify(&self, policy: &Policy) -> Result<GrowthReport> {
        let mut refusals = Refusals::default();
        let report = self.examine(policy, &mut refusals);
        refusals.first(report)
    }

    /// Checks what [`verify`](Self::verify) does and gives all refusals.
    pub fn verify_all(&self, policy: &Policy) -> Result<GrowthReport, Vec<Refused>> {
        let mut refusals = Refusals::default();
        let report = self.examine(policy, &mut refusals);
        refusals.all(report)
    }

    /// The report is to be trusted only where no refusal was added.
    fn examine(&self, policy: &Policy, refusals: &mut Refusals) -> GrowthReport {
        let (from, to) = (&self.from, &self.to);
        refusals.check(from.head.trial == to.head.trial, Code::HeadOfAnotherTrial);
        refusals.check(from.seal.ledger == to.seal.ledger, Code::AnotherLedger);
        refusals.check(from.seal.seal <= to.seal.seal, Code::SealOrder);
        let from_report = refusals.within("from", |refusals| from.examine(policy, refusals));
        let to_report = refusals.within("to", |refusals| to.examine(policy, refusals));
        let (from_head, to_head) = (&from.head, &to.head);
        let extends = verify_consistency::<Sha3>(
            from_head.size,
            to_head.size,
            &from_head.root,
            &to_head.root,
            &self.consistency,
        );
        let extends = extends.map_err(|refused| refused.renamed(Code::RootDiffers, Code::NotAnExtension));
        refusals.take(extends.at("consistency"));
        GrowthReport {
            trial: to_head.trial.clone(),
            from_size: from_head.size,
            to_size: to_head.size,
            from: from_report,
            to: to_report,
        }
    }
}
