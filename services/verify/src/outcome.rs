//! The three outcomes, and the report that every check ends with.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use trialseal_seal::Refused;

/// The `format` member of a report in JSON.
pub const REPORT_FORMAT: &str = "trialseal/verification/v1";
/// Most findings that a report lists; those beyond are counted. Bounds memory where everything is wrong.
pub const MAX_FINDINGS: usize = 1_000;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Everything that the format asks for was checked and holds.
    #[serde(rename = "sound")]
    Sound,
    /// At least one thing is not what it should be.
    #[serde(rename = "not sound")]
    NotSound,
    /// Nothing was found wrong, but something that is needed to decide was not there or could not be read.
    #[serde(rename = "cannot tell")]
    CannotTell,
}

impl Verdict {
    /// The exit code of the program: 0, 1, 2.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Sound => 0,
            Self::NotSound => 1,
            Self::CannotTell => 2,
        }
    }

    /// The verdict in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::NotSound => "not sound",
            Self::CannotTell => "cannot tell",
        }
    }
}

/// One thing that stands in the way of `sound`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it leads to by itself: never [`Verdict::Sound`].
    pub verdict: Verdict,
    /// The broken rule, a stable name: a [`trialseal_seal::Code`] or one of this crate's own.
    pub code: String,
    /// What it was found in: a file, a line, a row, a seal.
    pub record: String,
    /// One sentence for people. It never repeats what the record says.
    pub message: String,
}

/// Something that a check established, such as which seal it speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Stable name, for programs.
    pub name: &'static str,
    /// The same for people.
    pub label: &'static str,
    /// A text or a number.
    pub value: Value,
}

/// The result of a check.
///
/// As JSON: `{"format", "check", "input", "verdict", "facts": {name: value}, "findings": [{"verdict", "code", "record",
/// "message"}], "moreFindings": number not listed, "doesNotProve": [text]}`. Members may be added, none is renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    format: &'static str,
    check: &'static str,
    input: String,
    verdict: Verdict,
    #[serde(serialize_with = "facts")]
    facts: Vec<Fact>,
    findings: Vec<Finding>,
    more_findings: u64,
    does_not_prove: &'static [&'static str],
}

fn facts<S: Serializer>(facts: &[Fact], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(facts.len()))?;
    for fact in facts {
        map.serialize_entry(fact.name, &fact.value)?;
    }
    map.end()
}

impl Report {
    /// A report without findings, of the check `check` on `input`. `does_not_prove` says where the check ends.
    pub fn new(
        check: &'static str,
        input: impl Into<String>,
        does_not_prove: &'static [&'static str],
    ) -> Self {
        Self {
            format: REPORT_FORMAT,
            check,
            input: input.into(),
            verdict: Verdict::Sound,
            facts: Vec::new(),
            findings: Vec::new(),
            more_findings: 0,
            does_not_prove,
        }
    }

    /// Notes something that was established.
    pub fn fact(&mut self, name: &'static str, label: &'static str, value: impl Into<Value>) {
        self.facts.push(Fact { name, label, value: value.into() });
    }

    /// Notes that `record` is not what it should be.
    pub fn broken(&mut self, record: impl Into<String>, code: &str, message: impl Into<String>) {
        self.find(Verdict::NotSound, record.into(), code, message.into());
    }

    /// Notes that the format's rules refuse `record`; or, where reading only ended here, that it cannot be told.
    pub fn refused(&mut self, record: impl Into<String>, refused: &Refused) {
        let code = refused.code();
        let verdict = if code.is_own_limit() { Verdict::CannotTell } else { Verdict::NotSound };
        self.find(verdict, record.into(), code.as_str(), refused.to_string());
    }

    /// As [`refused`](Self::refused), of a timestamp.
    pub(crate) fn timestamp_refused(
        &mut self,
        record: impl Into<String>,
        refused: &trialseal_timestamp::Refused,
    ) {
        let verdict = if refused.is_own_limit() { Verdict::CannotTell } else { Verdict::NotSound };
        self.find(verdict, record.into(), refused.code(), refused.to_string());
    }

    /// Notes each of several refusals of one record.
    pub fn all_refused(&mut self, record: &str, refused: &[Refused]) {
        for refused in refused {
            self.refused(record, refused);
        }
    }

    /// Counts further findings that make the outcome "not sound", of which nothing more is known.
    pub fn not_listed(&mut self, findings: u64) {
        if findings > 0 {
            self.verdict = Verdict::NotSound;
            self.more_findings += findings;
        }
    }

    /// Notes that something needed to decide is not there, or cannot be read.
    pub fn missing(&mut self, record: impl Into<String>, code: &str, message: impl Into<String>) {
        self.find(Verdict::CannotTell, record.into(), code, message.into());
    }

    fn find(&mut self, verdict: Verdict, record: String, code: &str, message: String) {
        if self.verdict != Verdict::NotSound {
            self.verdict = verdict;
        }
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { verdict, code: code.to_owned(), record, message });
        } else {
            self.more_findings += 1;
        }
    }

    /// Which check this is of: `receipt`, `growth`, `absence`, `dataset`, `log` or `timestamp`.
    pub fn check(&self) -> &'static str {
        self.check
    }

    /// What was checked: a path or an address.
    pub fn input(&self) -> &str {
        &self.input
    }

    /// The outcome so far.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What was established.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// What stands in the way, in the order found; at most [`MAX_FINDINGS`].
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many findings are not listed.
    pub fn more_findings(&self) -> u64 {
        self.more_findings
    }

    /// What a sound outcome of this check does not prove.
    pub fn does_not_prove(&self) -> &'static [&'static str] {
        self.does_not_prove
    }

    /// Whether no more findings are listed: a check that costs more the more is wrong may end here.
    pub fn is_full(&self) -> bool {
        self.more_findings > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_outweighs_what_is_missing() {
        let mut report = Report::new("log", "x", &[]);
        assert_eq!(report.verdict(), Verdict::Sound);
        report.missing("a", "file-missing", "not there");
        assert_eq!(report.verdict().exit_code(), 2);
        report.broken("b", "root-differs", "wrong");
        assert_eq!(report.verdict().exit_code(), 1);
        report.missing("c", "file-missing", "not there");
        assert_eq!(report.verdict(), Verdict::NotSound);
    }

    #[test]
    fn findings_are_bounded_and_counted() {
        let mut report = Report::new("log", "x", &[]);
        (0..MAX_FINDINGS + 3).for_each(|n| report.broken(n.to_string(), "c", "m"));
        assert_eq!(
            (report.findings().len(), report.more_findings(), report.is_full()),
            (MAX_FINDINGS, 3, true)
        );
    }

    #[test]
    fn a_limit_of_this_program_proves_nothing() {
        let refused = Refused::new(trialseal_seal::Code::NoteTooLarge);
        let mut report = Report::new("log", "x", &[]);
        report.all_refused("notes/001", &[refused.clone(), refused]);
        assert_eq!((report.verdict(), report.findings().len()), (Verdict::CannotTell, 2));
        report.not_listed(0);
        assert_eq!(report.verdict(), Verdict::CannotTell);
        report.not_listed(3);
        assert_eq!((report.verdict(), report.more_findings()), (Verdict::NotSound, 3));
    }

    #[test]
    fn the_json_shape_is_stable() {
        let mut report = Report::new("receipt", "r.json", &["the truth"]);
        report.fact("seal", "Seal", 4);
        report.broken("seal 4", "quorum", "not met");
        let json = serde_json::to_string(&report).unwrap();
        let expected = r#"{"format":"trialseal/verification/v1","check":"receipt","input":"r.json","verdict":"not sound","facts":{"seal":4},"findings":[{"verdict":"not sound","code":"quorum","record":"seal 4","message":"not met"}],"moreFindings":0,"doesNotProve":["the truth"]}"#;
        assert_eq!(json, expected);
    }
}
