//! How much longer single commands take while a large file is being imported: one client that sends one event after the
//! other, first alone, then beside the import, on each database engine. Client, service and database share the machine.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use serde_json::{Value, json};

use super::append::{Bench, Load, Measured, milliseconds};
use super::engine::{Build, Engine, run_again_with_postgres};
use super::import::write_rows;
use super::trial::Trial;

/// How many times longer the slowest hundredth may take beside an import than alone.
const MOST_P99_RATIO: f64 = 5.0;

const SINGLE: Load = Load::full("single", 1, 1);

/// What the measurement can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rows of the file
    #[arg(long, default_value_t = 200_000)]
    rows: u64,
    /// Seconds that commands are measured without the import
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Database engines
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Engine::Postgres, Engine::Sqlite])]
    engine: Vec<Engine>,
    /// A PostgreSQL server in which databases can be made; without one, one that waits for its disk is started for the while
    #[arg(long, env = "TRIALSEAL_TEST_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    if options.postgres.is_none() && options.engine.contains(&Engine::Postgres) {
        return run_again_with_postgres(&["--durable"]);
    }
    println!(
        "One client records one event after the other over HTTP, for {} s alone, then beside the import of a file of\n\
         {} rows into another trial. Good is a p99 that is less than {MOST_P99_RATIO} times as long beside the import.",
        options.seconds, options.rows
    );
    let build = Build::release()?;
    let runs = options.engine.iter().map(|engine| measure(&build, options, *engine));
    let runs: Vec<Value> = runs.collect::<Result<_>>()?;
    println!(
        "{:<10} {:>12} {:>12} {:>14} {:>14} {:>8} {:>10}",
        "engine", "idle p50 ms", "idle p99 ms", "beside p50 ms", "beside p99 ms", "p99 ratio", "rows/s"
    );
    let figure = |run: &Value, name: &str| run[name].as_f64().unwrap_or(f64::NAN);
    for run in &runs {
        let [idle_p50, idle_p99, p50, p99, ratio, rate] = [
            "single_idle_p50_ms",
            "single_idle_p99_ms",
            "single_during_import_p50_ms",
            "single_during_import_p99_ms",
            "ratio",
            "rows_per_second",
        ]
        .map(|name| figure(run, name));
        let engine = run["engine"].as_str().unwrap_or_default();
        println!(
            "{engine:<10} {idle_p50:>12.1} {idle_p99:>12.1} {p50:>14.1} {p99:>14.1} {ratio:>9.1} {rate:>10.0}"
        );
    }
    let worst = runs.iter().max_by(|a, b| figure(a, "ratio").total_cmp(&figure(b, "ratio")));
    let mut figures = worst.context("no engine was asked for")?.clone();
    let is_good = figure(&figures, "ratio") < MOST_P99_RATIO;
    figures["bench"] = json!("mixed");
    figures["good"] = json!(is_good);
    figures["runs"] = json!(runs);
    println!("{figures}");
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(build: &Build, options: &Options, engine: Engine) -> Result<Value> {
    let name = format!("mixed-{}", engine.name());
    let file = build.folder(&format!("{name}-file"))?.join("lb.json");
    write_rows(&file, options.rows)?;
    let service = build.start(&name, engine, options.postgres.as_deref())?;
    let bench = Bench::open(&service)?;
    let trial = Trial::register(&service, "BENCH")?;
    let idle = bench.measure(SINGLE, Duration::from_secs(options.seconds))?;
    let over = AtomicBool::new(false);
    let (busy, imported) = thread::scope(|scope| {
        let importing = scope.spawn(|| {
            let done = trial.import(&file);
            over.store(true, Ordering::Relaxed);
            done
        });
        let busy = bench.measure_until(SINGLE, Instant::now(), &|_| over.load(Ordering::Relaxed));
        (busy, importing.join().map_err(|_| anyhow!("the import panicked")))
    });
    let (busy, (done, seconds)) = (busy?, imported??);
    service.stop()?;
    std::fs::remove_file(&file)?;
    anyhow::ensure!(done["rowsRecorded"] == options.rows, "not all rows were recorded: {done}");
    let rate = u32::try_from(options.rows).map_or(f64::NAN, |rows| f64::from(rows) / seconds);
    eprintln!("{}: {rate:.0} rows/s", engine.name());
    Ok(figures(engine, &idle, &busy, rate))
}

fn figures(engine: Engine, idle: &Measured, busy: &Measured, rate: f64) -> Value {
    let ratio = busy.p99.as_secs_f64() / idle.p99.as_secs_f64();
    json!({
        "engine": engine.name(),
        "single_idle_p50_ms": milliseconds(idle.p50),
        "single_idle_p99_ms": milliseconds(idle.p99),
        "single_during_import_p50_ms": milliseconds(busy.p50),
        "single_during_import_p99_ms": milliseconds(busy.p99),
        "ratio": (ratio * 100.0).round() / 100.0,
        "rows_per_second": rate.round(),
        "single_idle_per_second": idle.events_a_second.round(),
        "single_during_import_per_second": busy.events_a_second.round(),
    })
}
