//! How long a recorded event waits until the log has signed a seal of it, and until its note is public; without witnesses,
//! and with three on loopback. The service measures itself: the figures are those of its `/metrics`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::{Value, json};

use super::append::{Bench, Load};
use super::engine::Build;
use crate::service::{Client, Launch, Role, Service, Tokens, Witnesses, free_port};

/// What three witnesses on loopback may add at the median, in milliseconds.
const MOST_ADDED_MS: f64 = 50.0;

/// One client, one event a command.
const SINGLE: Load = Load::full("single", 1, 1);

/// What the measurement can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds that each of the two services is measured
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    println!(
        "One client records one event after the other for {} s on SQLite, sealed once a second; then the same with three\n\
         witnesses on this machine, of whom two have to cosign. Good is when the median from recorded to published is\n\
         less than {MOST_ADDED_MS} ms after the median from recorded to signed.",
        options.seconds
    );
    let build = Build::of(&["trialseal-server", "trialseal-witness"])?;
    let runs = [("alone", false), ("three witnesses", true)];
    let runs = runs.map(|(name, witnessed)| Ok((name, measure(&build, options, witnessed)?)));
    let runs = runs.into_iter().collect::<Result<Vec<_>>>()?;
    println!(
        "{:<16} {:>14} {:>14} {:>17} {:>17}",
        "", "signed p50 ms", "signed p99 ms", "published p50 ms", "published p99 ms"
    );
    for (name, Delays { signed, published }) in &runs {
        println!(
            "{name:<16} {:>14.0} {:>14.0} {:>17.0} {:>17.0}",
            signed.p50, signed.p99, published.p50, published.p99
        );
    }
    let [(_, alone), (_, witnessed)] = &runs[..] else { anyhow::bail!("two runs were to be measured") };
    let added = witnessed.published.p50 - witnessed.signed.p50;
    let is_good = added < MOST_ADDED_MS;
    println!("Three witnesses add {added:.1} ms at the median.");
    let figures = json!({
        "bench": "seal", "seconds": options.seconds, "alone": alone.figures(), "witnessed": witnessed.figures(),
        "added_p50_ms": (added * 10.0).round() / 10.0, "good": is_good,
    });
    println!("{figures}");
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Milliseconds from recorded on.
struct Delays {
    signed: Quantiles,
    published: Quantiles,
}

struct Quantiles {
    p50: f64,
    p99: f64,
}

impl Delays {
    fn figures(&self) -> Value {
        let Self { signed, published } = self;
        json!({
            "signed_p50_ms": signed.p50.round(), "signed_p99_ms": signed.p99.round(),
            "published_p50_ms": published.p50.round(), "published_p99_ms": published.p99.round(),
        })
    }
}

fn measure(build: &Build, options: &Options, witnessed: bool) -> Result<Delays> {
    let mut launch = Launch {
        policy: None,
        unlimited: true,
        program: build.program("trialseal"),
        dir: build.folder(if witnessed { "seal-witnessed" } else { "seal-alone" })?,
        port: free_port()?,
        database_url: None,
        public_trials: Vec::new(),
    };
    let witnesses =
        if witnessed { Witnesses::start(&build.program("trialseal-witness"), &launch)? } else { None };
    launch.policy = witnesses.as_ref().map(|witnesses| witnesses.policy().to_owned());
    let service = Service::start(launch)?;
    let bench = Bench::open(&service)?;
    let admin = Tokens::create(service.launch())?.client(Role::Admin, &service.address());
    bench.measure(SINGLE, Duration::from_secs(options.seconds))?;
    let delays = read(&admin)?;
    service.stop()?;
    drop(witnesses);
    Ok(delays)
}

fn read(admin: &Client) -> Result<Delays> {
    let text = admin.get("/metrics")?.text;
    let quantiles = |name: &str| {
        let of = |which: &str| quantile(&text, name, which).with_context(|| format!("there is no {name}"));
        Ok::<_, anyhow::Error>(Quantiles { p50: of("0.5")?, p99: of("0.99")? })
    };
    Ok(Delays {
        signed: quantiles("trialseal_seconds_to_sealed")?,
        published: quantiles("trialseal_seconds_to_published")?,
    })
}

/// A quantile of a summary, in milliseconds.
fn quantile(text: &str, name: &str, which: &str) -> Option<f64> {
    let begin = format!("{name}{{quantile=\"{which}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&begin))?;
    line.trim().parse::<f64>().ok().map(|seconds| seconds * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_read_and_nothing_else_is() {
        let text = "# TYPE a summary\na{quantile=\"0.5\"} 0.5124\na{quantile=\"0.99\"} 1\na_sum 7\n";
        assert_eq!(quantile(text, "a", "0.5"), Some(512.4));
        assert_eq!(quantile(text, "a", "0.99"), Some(1000.0));
        assert_eq!(quantile(text, "b", "0.5"), None);
    }
}
