//! A report as people read it.

use std::fmt;

use serde_json::Value;

use crate::outcome::{Report, Verdict};

/// Writes a report as plain text for an inspector: the outcome first, then what was established, what was found, and
/// what the check does not prove.
#[derive(Debug)]
pub struct Text<'a>(pub &'a Report);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        writeln!(f, "{}: {} {}", report.verdict().words(), report.check(), printable(report.input()))?;
        let width = report.facts().iter().map(|fact| fact.label.len()).max().unwrap_or_default();
        for fact in report.facts() {
            match &fact.value {
                Value::String(text) => writeln!(f, "  {:width$}  {}", fact.label, printable(text))?,
                other => writeln!(f, "  {:width$}  {other}", fact.label)?,
            }
        }
        for finding in report.findings() {
            let kind = if finding.verdict == Verdict::CannotTell { "missing" } else { "wrong" };
            let (record, message) = (printable(&finding.record), printable(&finding.message));
            writeln!(f, "  {kind}: {record}: {message} [{}]", finding.code)?;
        }
        if report.more_findings() > 0 {
            writeln!(f, "  and {} more findings that are not listed", report.more_findings())?;
        }
        for limit in report.does_not_prove() {
            writeln!(f, "  It does not prove {limit}.")?;
        }
        Ok(())
    }
}

/// Foreign text without control characters, so that a file name cannot rewrite what the terminal shows.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_stands_first_and_control_characters_are_shown_as_such() {
        let mut report = Report::new("dataset", "a\u{1b}[2Jb.zip", &["that it is true"]);
        report.fact("seal", "Seal", 4);
        report.broken("record.ndjson line 3", "record-root", "differs");
        assert_eq!(
            Text(&report).to_string(),
            "not sound: dataset a\u{fffd}[2Jb.zip\n  Seal  4\n  wrong: record.ndjson line 3: differs [record-root]\n  \
             It does not prove that it is true.\n"
        );
    }
}
