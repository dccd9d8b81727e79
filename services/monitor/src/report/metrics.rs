//! The report as metrics in Prometheus' text form, for a collector that reads files (node_exporter's textfile collector).

use std::fmt::{self, Write as _};

use trialseal_verify::Verdict;

use super::Report;

/// The file's content.
pub(super) fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_text(&mut out, report).and_then(|()| waiting(&mut out, report));
    out
}

fn write_text(out: &mut String, report: &Report) -> fmt::Result {
    let mut gauge = |name: &str, help: &str, value: i64| {
        writeln!(
            out,
            "# HELP trialseal_monitor_{name} {help}\n# TYPE trialseal_monitor_{name} gauge\n\
             trialseal_monitor_{name} {value}"
        )
    };
    let count = |alarms: bool| {
        let found = report.findings.iter().filter(|finding| finding.is_alarm() == alarms);
        i64::try_from(found.count()).unwrap_or(i64::MAX)
    };
    let read = i64::from(report.verdict != Verdict::CannotTell);
    gauge("pass_timestamp_seconds", "When the last pass began.", report.time.seconds())?;
    gauge("alarms", "Alarms of the last pass.", count(true))?;
    gauge("unreadable", "What the last pass could not read.", count(false))?;
    gauge("told", "Whether the last pass came to a verdict.", read)?;
    let Some(log) = &report.log else { return Ok(()) };
    gauge("log_size", "Seals in the log.", i64::try_from(log.size).unwrap_or(i64::MAX))?;
    if let Some(time) = log.newest_seal {
        gauge("newest_seal_timestamp_seconds", "When the newest seal was made.", time.seconds())?;
    }
    if report.trials.is_empty() {
        return Ok(());
    }
    let name = "trialseal_monitor_trial_events";
    writeln!(out, "# HELP {name} Events of a trial that were checked.\n# TYPE {name} gauge")?;
    for trial in &report.trials {
        // The ids of trials have no character that would have to be escaped.
        let id: String =
            trial.trial.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
        writeln!(out, "{name}{{trial=\"{id}\"}} {}", trial.events)?;
    }
    Ok(())
}

fn waiting(out: &mut String, report: &Report) -> fmt::Result {
    if report.waiting.is_empty() {
        return Ok(());
    }
    let name = "trialseal_monitor_notices_waiting";
    writeln!(out, "# HELP {name} Notices of alarms that were not taken yet.\n# TYPE {name} gauge")?;
    report.waiting.iter().try_for_each(|(kind, left)| writeln!(out, "{name}{{channel=\"{kind}\"}} {left}"))
}
