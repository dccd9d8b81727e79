//! A receipt: one event, proved offline (section 7 of the format).

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::canonical::{MAX_DEPTH, parse};
use crate::data::Disclosure;
use crate::event::Header;
use crate::hash::{Hash, Sha3, sha256};
use crate::ledger::examine_bracket;
use crate::members::Members;
use crate::policy::Policy;
use crate::proof::{HeadProof, SealProof, SealReport};
use crate::refused::{At, Code, Refusals, Refused, Result};
use crate::time::Timestamp;
use crate::tree::verify_inclusion;

const FORMAT: &str = "trialseal/receipt/v1";

/// One event, with everything that proves it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The event's header.
    pub header: Header,
    /// That the event is under a seal.
    pub cover: Cover,
    /// Some or all of its data.
    pub fields: Option<Disclosure>,
    /// Evidence of when it was recorded, from both sides.
    pub bracket: Option<Bracket>,
}

/// The way from an event to a seal in the public log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cover {
    /// The inclusion path in the trial's tree, leaf's sibling first.
    pub trial_proof: Vec<Hash>,
    /// The trial's head under the seal.
    pub head: HeadProof,
}

/// The two seals between which an event was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bracket {
    /// The seal that `afterseal` names; none where it names none.
    pub after: Option<After>,
    /// One of the first two seals that can cover the event.
    pub before: Cover,
}

/// The seal that existed when the event was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// The seal.
    pub seal: SealProof,
    /// The note whose SHA-256 is the seal's `prior`; none where that is zero.
    pub prior_note: Option<String>,
}

/// What a receipt proves to a reader with a given policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiptReport {
    /// The event's id.
    pub event: String,
    /// Its trial.
    pub trial: String,
    /// Its place in the trial.
    pub trialseq: u32,
    /// When the ledger says it recorded the event.
    pub time: Timestamp,
    /// The ledger's origin.
    pub ledger: String,
    /// The seal whose head the receipt shows.
    pub seal: u64,
    /// The size of the log in the checkpoint that covers that seal.
    pub log_size: u64,
    /// The POSIX second by which the event was public: that of the bracket's later seal where there is a bracket;
    /// unknown where the policy asks for no witness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_by: Option<u64>,
    /// The POSIX second after which the event was recorded; known only from a bracket whose earlier seal has a prior
    /// note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_after: Option<u64>,
    /// Whole seconds from the event's own time to `public_by`; a reader may set a limit to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_until_public: Option<i64>,
    /// How many fields of the data are shown, and how many there are; none where the receipt says nothing of data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<FieldCount>,
    /// Witnesses of the policy that this verifier cannot hear (ML-DSA-44).
    pub silent: Vec<String>,
}

/// The fields of an event's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FieldCount {
    /// Those that are shown.
    pub shown: usize,
    /// All of them.
    pub total: usize,
}

impl Cover {
    fn read(members: Members<'_>) -> Result<Self> {
        Ok(Self { trial_proof: members.hashes("trialProof")?, head: HeadProof::read(members)? })
    }

    fn members(&self) -> Map<String, Value> {
        let mut members = self.head.members();
        members.insert("trialProof".into(), json!(self.trial_proof));
        members
    }

    /// Checks that the event is under this seal, of its own trial and ledger, and not dated after it.
    fn examine(&self, header: &Header, policy: &Policy, refusals: &mut Refusals) -> SealReport {
        let HeadProof { head, seal, .. } = &self.head;
        refusals.check(head.trial == header.trial, Code::HeadOfAnotherTrial);
        let index = u64::from(header.trialseq);
        let in_trial =
            verify_inclusion::<Sha3>(&header.leaf(), index, head.size, &self.trial_proof, &head.root);
        let in_trial = in_trial.map_err(|refused| refused.renamed(Code::RootDiffers, Code::EventNotInTrial));
        refusals.take(in_trial.at("trialProof"));
        let report = self.head.examine(policy, refusals);
        refusals.check(seal.ledger == header.source, Code::AnotherLedger);
        refusals.check(header.time <= seal.time, Code::EventAfterSeal);
        report
    }
}

impl After {
    fn parse(value: &Value) -> Result<Self> {
        let members = Members::of(value, &["seal", "sealProof", "priorNote"], &[])?;
        let prior_note = match members.value("priorNote") {
            Value::Null => None,
            _ => Some(members.text("priorNote")?.into()),
        };
        Ok(Self { seal: SealProof::read(members)?, prior_note })
    }

    fn to_value(&self) -> Value {
        let mut members = self.seal.members();
        members.insert("priorNote".into(), json!(self.prior_note));
        members.into()
    }

    /// Checks the seal's proof and its prior note; gives back the quorum time of the latter.
    fn examine(&self, policy: &Policy, refusals: &mut Refusals) -> Option<u64> {
        let seal = &self.seal.seal;
        self.seal.examine(policy, refusals);
        refusals.check(self.prior_note.is_some() == (seal.prior != Hash::ZERO), Code::PriorNotePresence);
        let note = self.prior_note.as_ref()?;
        refusals.within("priorNote", |refusals| {
            let prior = policy.examine(note);
            let named = sha256(note.as_bytes()) == seal.prior;
            refusals.check(named, Code::PriorNoteDiffers);
            refusals.extend(prior.refused);
            let fits = prior.checkpoint.is_none_or(|checkpoint| {
                checkpoint.origin == seal.ledger && (1..=seal.seal).contains(&checkpoint.size)
            });
            refusals.check(!named || fits, Code::PriorNoteDiffers);
            prior.quorum_time
        })
    }
}

impl Bracket {
    fn parse(value: &Value) -> Result<Self> {
        let members = Members::of(value, &["after", "before"], &[])?;
        let after = match members.value("after") {
            Value::Null => None,
            after => Some(After::parse(after).at("after")?),
        };
        let names = [&["trialProof"], &HeadProof::MEMBERS[..]].concat();
        let before = Members::of(members.value("before"), &names, &[]).and_then(Cover::read).at("before")?;
        Ok(Self { after, before })
    }

    fn to_value(&self) -> Value {
        json!({ "after": self.after.as_ref().map(After::to_value), "before": self.before.members() })
    }

    /// Checks both sides; gives back the time after which the event was recorded, and the seal before which.
    fn examine(
        &self,
        header: &Header,
        policy: &Policy,
        refusals: &mut Refusals,
    ) -> (Option<u64>, SealReport) {
        let after = self.after.as_ref().map(|after| &after.seal.seal);
        examine_bracket(header, after, &self.before.head.seal, refusals);
        let recorded_after = self
            .after
            .as_ref()
            .and_then(|after| refusals.within("after", |refusals| after.examine(policy, refusals)));
        let before = refusals.within("before", |refusals| self.before.examine(header, policy, refusals));
        (recorded_after, before)
    }
}

impl Receipt {
    /// Reads a receipt.
    pub fn parse(text: &[u8]) -> Result<Self> {
        Self::from_value(&parse(text, MAX_DEPTH)?)
    }

    /// Reads a receipt from JSON that was read strictly.
    pub fn from_value(value: &Value) -> Result<Self> {
        let names = [&["format", "header", "trialProof"], &HeadProof::MEMBERS[..]].concat();
        let members = Members::of(value, &names, &["fields", "bracket"])?;
        members.exactly("format", FORMAT)?;
        let fields = members.optional("fields").map(|fields| Disclosure::parse(fields).at("fields"));
        let bracket = members.optional("bracket").map(|bracket| Bracket::parse(bracket).at("bracket"));
        Ok(Self {
            header: Header::parse(members.value("header")).at("header")?,
            cover: Cover::read(members)?,
            fields: fields.transpose()?,
            bracket: bracket.transpose()?,
        })
    }

    /// The receipt as a JSON object.
    pub fn to_value(&self) -> Value {
        let mut members = self.cover.members();
        members.insert("format".into(), json!(FORMAT));
        members.insert("header".into(), self.header.to_value());
        if let Some(fields) = &self.fields {
            members.insert("fields".into(), fields.to_value());
        }
        if let Some(bracket) = &self.bracket {
            members.insert("bracket".into(), bracket.to_value());
        }
        members.into()
    }

    /// Checks all that the receipt claims, for a reader who trusts `policy`; gives the first refusal.
    pub fn verify(&self, policy: &Policy) -> Result<ReceiptReport> {
        let mut refusals = Refusals::default();
        let report = self.examine(policy, &mut refusals);
        refusals.first(report)
    }

    /// Checks what [`verify`](Self::verify) does and gives all refusals.
    pub fn verify_all(&self, policy: &Policy) -> Result<ReceiptReport, Vec<Refused>> {
        let mut refusals = Refusals::default();
        let report = self.examine(policy, &mut refusals);
        refusals.all(report)
    }

    /// The report is to be trusted only where no refusal was added.
    fn examine(&self, policy: &Policy, refusals: &mut Refusals) -> ReceiptReport {
        let header = &self.header;
        let cover = self.cover.examine(header, policy, refusals);
        if let Some(fields) = &self.fields {
            refusals.take(fields.verify(&header.dataroot).at("fields"));
        }
        let (recorded_after, public_by) = match &self.bracket {
            Some(bracket) => {
                let (after, before) =
                    refusals.within("bracket", |refusals| bracket.examine(header, policy, refusals));
                (after, before.public_by)
            }
            None => (None, cover.public_by),
        };
        let public_at = public_by.and_then(|seconds| i64::try_from(seconds).ok());
        ReceiptReport {
            event: header.id.clone(),
            trial: header.trial.clone(),
            trialseq: header.trialseq,
            time: header.time,
            ledger: cover.ledger,
            seal: cover.seal,
            log_size: cover.log_size,
            public_by,
            recorded_after,
            seconds_until_public: public_at.map(|seconds| seconds.saturating_sub(header.time.seconds())),
            fields: self.fields.as_ref().map(FieldCount::of),
            silent: cover.silent,
        }
    }
}

impl FieldCount {
    fn of(fields: &Disclosure) -> Self {
        Self { shown: fields.shown().count(), total: fields.fields.len() }
    }
}
