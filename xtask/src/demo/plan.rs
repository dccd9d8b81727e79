//! The demonstration's trial: everything that is sent to the service, in order. Generated from a fixed seed, so that each
//! start plans the same commands under the same keys and the service recognises those it has. No real person is in it.

mod people;
mod startup;

use serde_json::Value;

use crate::rng::Rng;
use crate::service::Role;

/// The trial's id.
pub(crate) const TRIAL: &str = "DEMO-1";

/// Change it when the plan changes: a ledger that has the old plan under these keys would refuse the new one.
const SEED: u64 = 0x7472_6961_6c73_6561;

/// How many people are screened.
pub(crate) const PARTICIPANTS: u32 = 60;

/// The day on which the amended protocol and consent form begin to hold.
const AMENDMENT_DAY: u64 = 130;

/// One command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// The day it is about, counted from the first of January 2025.
    day: u64,
    /// Its Idempotency-Key.
    pub(crate) key: String,
    /// Who sends it.
    pub(crate) role: Role,
    /// Where to. A name in braces stands for an id that an earlier answer gave, here and in the body.
    pub(crate) path: String,
    pub(crate) body: Value,
    /// The member of the answer that holds a new id, and the name to keep that id under.
    pub(crate) learns: Option<(&'static str, String)>,
    /// Whether the receipt that is shown to newcomers may be of this step.
    pub(crate) is_worth_a_receipt: bool,
}

/// Steps of which each needs the one before it.
pub(crate) type Chain = Vec<Step>;

/// Chains that do not need each other.
#[derive(Debug, PartialEq)]
pub(crate) struct Phase {
    pub(crate) title: &'static str,
    pub(crate) chains: Vec<Chain>,
}

/// The whole demonstration.
#[derive(Debug, PartialEq)]
pub(crate) struct Plan {
    /// What comes before the import, in order.
    pub(crate) phases: Vec<Phase>,
    /// A file from the laboratory (Dataset-JSON 1.1).
    pub(crate) laboratory_file: String,
    /// What comes last.
    pub(crate) results: Step,
}

impl Plan {
    /// The plan; always the same.
    pub(crate) fn generate() -> Self {
        let mut rng = Rng::new(SEED);
        let people = people::People::generate(&mut rng);
        let (before, after): (Vec<Chain>, Vec<Chain>) = people
            .chains()
            .into_iter()
            .map(|chain| chain.into_iter().partition::<Chain, _>(|step| step.day < AMENDMENT_DAY))
            .unzip();
        let phases = vec![
            Phase { title: "Protocol, consent, sites", chains: vec![startup::opening()] },
            Phase { title: "Participants", chains: before },
            Phase { title: "Amendment", chains: vec![startup::amendment()] },
            Phase { title: "Participants, new consent", chains: after },
        ];
        Self {
            phases,
            laboratory_file: people.laboratory_file(&mut rng),
            results: startup::results(&people.mean_change_of_systolic_pressure(), people.completers()),
        }
    }
}

/// A step of the trial as a whole; the path is below the trial's.
fn step(day: u64, role: Role, name: &str, path: &str, body: Value) -> Step {
    let path = if path.is_empty() { "/v1/trials".to_owned() } else { format!("/v1/trials/{TRIAL}/{path}") };
    Step { day, key: format!("{TRIAL}.{name}"), role, path, body, learns: None, is_worth_a_receipt: false }
}

/// A day as text, counted from the first of January 2025.
fn date(day: u64) -> String {
    const DAYS_FROM_1970_TO_2025: u64 = 20_089;
    (chrono::NaiveDate::default() + chrono::Days::new(DAYS_FROM_1970_TO_2025 + day)).to_string()
}

/// A document's hash, where the demonstration has no document: digits that are plainly made up.
fn made_up_sha256(number: u8) -> String {
    format!("{number:02x}").repeat(32)
}

#[cfg(test)]
mod tests;
