//! Times as a report shows them.

use std::fmt;

use trialseal_seal::policy::Policy;
use trialseal_seal::time::Timestamp;

/// Why a time is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    NoWitnessesAsked,
    NoWitnessedBound,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoWitnessesAsked => "time unknown: the policy asks for no witnesses",
            Self::NoWitnessedBound => {
                "time unknown: the receipt shows no witnessed note from before the event"
            }
        })
    }
}

/// A POSIX second as a witness states it. Beyond the calendar it is shown as the number it is.
pub(crate) fn moment(seconds: u64) -> String {
    let micros = i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1_000_000));
    micros.map_or_else(|| format!("second {seconds}"), |micros| Timestamp::from_micros(micros).to_string())
}

/// By when something was public, or why that is not known.
pub(crate) fn public_by(seconds: Option<u64>, policy: &Policy) -> String {
    match seconds {
        Some(seconds) => moment(seconds),
        None if policy.asks_for_witnesses() => "time unknown".into(),
        None => Unknown::NoWitnessesAsked.to_string(),
    }
}
