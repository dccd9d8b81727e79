//! Logs and metrics of a process.
//!
//! What goes into a log line or a metric's label: ids, counts, durations, route patterns, roles. What never does:
//! participant data, bodies, tokens, keys.

use std::panic::{PanicHookInfo, set_hook};
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::ParseError;

use crate::settings::LogFormat;
use crate::shutdown::Shutdown;

/// The end of the names of durations that are counted in buckets. What is measured under another name is summed up by its
/// quantiles over the last minute.
const BUCKETED: &str = "_seconds";

/// The quantiles of what is not counted in buckets.
const QUANTILES: &[f64] = &[0.5, 0.99];

/// Upper bounds of the histograms' buckets, in seconds: from an append that hits an idle writer to a slow export.
const DURATION_BUCKETS_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// How often measurements are folded into their buckets, so that they do not pile up where nobody reads the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Why telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not say which log lines to write.
    #[error("the log filter cannot be read: {0}")]
    Filter(#[from] ParseError),
    /// Another subscriber is there already.
    #[error("logging was started twice")]
    LogTwice,
    /// Another recorder is there already, or the buckets are no buckets.
    #[error("metrics cannot be recorded: {0}")]
    Metrics(#[from] BuildError),
}

/// Starts logging, to standard error, and recording metrics; once a process, first thing. Panics are logged from here on
/// without their text, which may quote what was being worked on. `filter` is in the form of
/// tracing-subscriber's `EnvFilter`, such as `info,sqlx=warn`.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let builder = tracing_subscriber::fmt().with_env_filter(lines(filter)?).with_writer(std::io::stderr);
    match format {
        LogFormat::Human => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|_| TelemetryError::LogTwice)?;
    set_hook(Box::new(log_panic));
    install_metrics()
}

/// Which lines to write. What a library would write of every byte that it sends and receives, tokens and codes among them, is
/// left out whatever `filter` says.
fn lines(filter: &str) -> Result<EnvFilter, TelemetryError> {
    let lines = EnvFilter::try_new(filter)?;
    if lines.max_level_hint().is_some_and(|most| most < LevelFilter::TRACE) {
        return Ok(lines);
    }
    Ok(lines.add_directive("ureq_proto=debug".parse()?))
}

/// Says where a panic was. In a request, the span around the line names the request.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "a panic");
}

fn install_metrics() -> Result<(), TelemetryError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix(BUCKETED.to_owned()), DURATION_BUCKETS_SECONDS)?
        .set_quantiles(QUANTILES)?
        .install_recorder()?;
    METRICS.get_or_init(|| handle);
    Ok(())
}

/// All metrics in Prometheus' text format; empty where none are recorded.
pub fn metrics_text() -> String {
    METRICS.get().map(PrometheusHandle::render).unwrap_or_default()
}

/// Keeps the recorded measurements small until the process is asked to end. A role of its own.
pub async fn keep_metrics(shutdown: Shutdown) -> anyhow::Result<()> {
    while shutdown.pause(UPKEEP).await {
        if let Some(handle) = METRICS.get() {
            handle.run_upkeep();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Written;

    #[test]
    fn metrics_are_there_once_they_are_installed_and_only_once() {
        assert_eq!(metrics_text(), "");
        install_metrics().unwrap();
        metrics::counter!("trialseal_test_total", "role" => "sealer").increment(3);
        metrics::histogram!("trialseal_test_seconds").record(0.003);
        metrics::histogram!("trialseal_seconds_to_test").record_many(0.5, 100);
        let text = metrics_text();
        assert!(text.contains("trialseal_seconds_to_test{quantile=\"0.99\"} 0.5"), "{text}");
        assert!(text.contains("trialseal_test_total{role=\"sealer\"} 3"), "{text}");
        assert!(text.contains("trialseal_test_seconds_bucket{le=\"0.005\"} 1"), "{text}");
        assert!(matches!(install_metrics(), Err(TelemetryError::Metrics(_))));
    }

    #[test]
    fn a_panic_is_logged_by_its_place_alone() {
        let written = Written::default();
        let sink = written.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || sink.clone()).finish();
        let usual = std::panic::take_hook();
        set_hook(Box::new(log_panic));
        let outcome = tracing::subscriber::with_default(subscriber, || {
            let _request = tracing::info_span!("http.request.serve", request_id = "the-request").entered();
            std::panic::catch_unwind(|| panic!("Jane Doe weighs too much"))
        });
        set_hook(usual);
        assert!(outcome.is_err());
        let log = written.text();
        assert!(log.contains("the-request") && log.contains("a panic") && log.contains(file!()), "{log}");
        assert!(!log.contains("Jane"), "{log}");
    }

    #[test]
    fn a_filter_that_says_nothing_is_refused() {
        assert!(matches!(init(LogFormat::Json, "a=b=c"), Err(TelemetryError::Filter(_))));
    }
}
