//! What a pass finds, each with what shows it to somebody else.

use std::fmt;

use serde::Serialize;
use trialseal_seal::Refused;
use trialseal_verify::Verdict;

/// A file that shows a finding: a note, a proof, an answer, as it was received.
#[derive(Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The file's name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.name, self.bytes.len())
    }
}

/// One thing that stands in the way of "all is well".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// [`Verdict::NotSound`] for an alarm, [`Verdict::CannotTell`] where something could not be read.
    pub verdict: Verdict,
    /// Which rule was broken: a stable name, a [`trialseal_seal::Code`] or one of docs/monitoring.md.
    pub code: String,
    /// What it was found in, such as a seal or an event.
    pub record: String,
    /// One sentence for people.
    pub message: String,
    /// What shows it.
    #[serde(skip)]
    pub evidence: Vec<Evidence>,
    /// The place that the monitor stands at while this is found: it does not move past an alarm, so that the same finding at
    /// the same place is the same incident.
    #[serde(skip)]
    pub(crate) place: Box<str>,
}

impl Finding {
    /// Something that proves or strongly suggests misbehaviour.
    pub fn alarm(code: &str, record: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Verdict::NotSound, code, record.into(), message.into())
    }

    /// Something that could not be read, or not understood here.
    pub fn cannot_tell(code: &str, record: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Verdict::CannotTell, code, record.into(), message.into())
    }

    /// A refusal by the format's rules; a limit of this program's own is no alarm.
    pub fn refused(record: impl Into<String>, refused: &Refused) -> Self {
        let code = refused.code();
        let verdict = if code.is_own_limit() { Verdict::CannotTell } else { Verdict::NotSound };
        Self::new(verdict, code.as_str(), record.into(), refused.to_string())
    }

    fn new(verdict: Verdict, code: &str, record: String, message: String) -> Self {
        Self { verdict, code: code.to_owned(), record, message, evidence: Vec::new(), place: Box::default() }
    }

    /// The same with a file that shows it.
    #[must_use]
    pub fn with(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.evidence.push(Evidence { name: name.to_owned(), bytes: bytes.into() });
        self
    }

    /// Whether this is an alarm.
    pub fn is_alarm(&self) -> bool {
        self.verdict == Verdict::NotSound
    }
}

/// A step of a pass: what it found out, or why the pass cannot go on in this part.
pub(crate) type Step<T> = Result<T, Finding>;

/// What the findings of a pass come to.
pub fn verdict(findings: &[Finding]) -> Verdict {
    if findings.iter().any(Finding::is_alarm) {
        Verdict::NotSound
    } else if findings.is_empty() {
        Verdict::Sound
    } else {
        Verdict::CannotTell
    }
}
