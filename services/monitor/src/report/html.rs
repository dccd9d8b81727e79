//! The report as a page: no scripts, nothing from elsewhere, one file that can be printed or sent.

use std::fmt::{self, Display, Formatter, Write as _};

use trialseal_verify::Verdict;

use super::{DOES_NOT_PROVE, Report};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;\
border-bottom:1px solid #999}td{overflow-wrap:anywhere}.verdict{padding:.6rem 1rem;border:2px solid}\
code{font-size:.9em}";

/// Foreign text: what HTML would take for its own is escaped, control characters are shown as such.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c if c.is_control() => f.write_char(char::REPLACEMENT_CHARACTER),
            c => f.write_char(c),
        })
    }
}

/// The page.
pub(super) fn page(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut out, report);
    out
}

fn write_page(out: &mut String, report: &Report) -> fmt::Result {
    let said = match report.verdict {
        Verdict::Sound => "All is well: everything that was read holds.",
        Verdict::NotSound => "Alarm: something is not as it has to be. What was found stands below.",
        Verdict::CannotTell => {
            "It cannot be told: something could not be read. What is missing stands below."
        }
    };
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>trialseal monitor: {}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\n\
         <h1>What the monitor found</h1>\n<p class=\"verdict\"><strong>{said}</strong></p>\n\
         <p>Ledger <code>{}</code>, read at {}.</p>\n",
        report.verdict.words(),
        Text(&report.ledger),
        report.time
    )?;
    findings(out, report)?;
    log(out, report)?;
    trials(out, report)?;
    out.write_str("<h2>What this does not prove</h2>\n<ul>\n")?;
    for limit in DOES_NOT_PROVE {
        writeln!(out, "<li>{limit}</li>")?;
    }
    out.write_str("</ul>\n</body></html>\n")
}

fn findings(out: &mut String, report: &Report) -> fmt::Result {
    if report.findings.is_empty() {
        return Ok(());
    }
    out.write_str("<h2>Findings</h2>\n<table><tr><th>Kind</th><th>In</th><th>What</th><th>Code</th></tr>\n")?;
    for finding in &report.findings {
        let kind = if finding.is_alarm() { "alarm" } else { "missing" };
        let (record, message) = (Text(&finding.record), Text(&finding.message));
        writeln!(
            out,
            "<tr><td>{kind}</td><td>{record}</td><td>{message}</td><td><code>{}</code></td></tr>",
            Text(&finding.code)
        )?;
    }
    out.write_str("</table>\n")?;
    if report.evidence.is_empty() {
        return Ok(());
    }
    out.write_str(
        "<p>What shows the alarms lies in the monitor's folder, for anybody to check:</p>\n<ul>\n",
    )?;
    for folder in &report.evidence {
        writeln!(out, "<li><code>evidence/{}</code></li>", Text(folder))?;
    }
    out.write_str("</ul>\n")
}

fn log(out: &mut String, report: &Report) -> fmt::Result {
    let Some(log) = &report.log else { return Ok(()) };
    let mut rows = vec![
        ("Ledger", log.origin.clone()),
        ("Seals in the log", log.size.to_string()),
        ("New since the last time", log.new_seals.to_string()),
        ("Root of the log", log.root.clone()),
    ];
    rows.extend(log.newest_seal.map(|time| ("Newest seal, by the ledger's word", time.to_string())));
    rows.extend(log.public_by.map(|time| ("Witnesses agreed, POSIX second", time.to_string())));
    rows.extend(log.log_keys.iter().map(|key| ("Key that is trusted", key.clone())));
    out.write_str("<h2>The log</h2>\n<table>\n")?;
    for (name, value) in rows {
        writeln!(out, "<tr><th>{name}</th><td>{}</td></tr>", Text(&value))?;
    }
    for (other, size) in &report.others {
        let seen =
            size.map_or_else(|| "knows nothing of it".to_owned(), |size| format!("{size} seals, agrees"));
        writeln!(out, "<tr><th>{}</th><td>{seen}</td></tr>", Text(other))?;
    }
    out.write_str("</table>\n")
}

fn trials(out: &mut String, report: &Report) -> fmt::Result {
    if report.trials.is_empty() {
        return Ok(());
    }
    out.write_str(
        "<h2>The trials</h2>\n<table><tr><th>Trial</th><th>Events checked</th><th>New</th><th>Under seal</th></tr>\n",
    )?;
    for trial in &report.trials {
        let seal = trial.seal.map_or_else(|| "–".to_owned(), |seal| seal.to_string());
        writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{seal}</td></tr>",
            Text(&trial.trial),
            trial.events,
            trial.new_events
        )?;
    }
    out.write_str("</table>\n")
}

#[cfg(test)]
mod tests {
    use trialseal_seal::time::Timestamp;

    use super::*;
    use crate::finding::Finding;

    #[test]
    fn foreign_text_is_text() {
        let mut report = Report::new("http://a/?<script>", Timestamp::from_micros(0));
        report.findings.push(Finding::alarm("split", "\"x\" & 'y'", "a\u{1b}b"));
        let page = page(&report);
        assert!(!page.contains("<script>") && page.contains("http://a/?&lt;script&gt;"), "{page}");
        assert!(page.contains("&quot;x&quot; &amp; &#39;y&#39;") && page.contains("a\u{fffd}b"), "{page}");
    }
}
