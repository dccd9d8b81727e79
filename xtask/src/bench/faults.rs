//! How many faults between service, clients and PostgreSQL go by without anything being lost: the test of the same name,
//! for as long as one likes. What happens and what is checked stands in `tests/tests/faults.rs`.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::engine::run_again_with_postgres;

/// What the line with the figures begins with.
const FIGURES: &str = "{\"bench\":";

/// What the measurement can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Number of faults
    #[arg(long, default_value_t = 1000)]
    count: u32,
    /// A PostgreSQL server in which databases can be made; without one, one that waits for its disk is started for the while
    #[arg(long, env = "TRIALSEAL_TEST_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    if options.postgres.is_none() {
        return run_again_with_postgres(&["--durable"]);
    }
    println!(
        "Breaks the service and its way to PostgreSQL {} times under load, and looks for what is lost.",
        options.count
    );
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(crate::repository()).stdout(Stdio::piped());
    cargo.args(["test", "--locked", "--quiet", "-p", "trialseal-tests", "--test", "faults"]);
    cargo.args(["nothing_is_lost_whatever_breaks", "--", "--test-threads=1", "--nocapture"]);
    cargo.env("TRIALSEAL_FAULTS", options.count.to_string());
    let mut test = cargo.spawn().context("cargo cannot be started")?;
    let said = test.stdout.take().context("the test says nothing")?;
    let mut runs: Vec<Value> = Vec::new();
    for line in BufReader::new(said).lines() {
        let line = line?;
        if line.starts_with(FIGURES) {
            runs.push(serde_json::from_str(&line).context("the test gave figures that are no JSON")?);
        } else {
            println!("{line}");
        }
    }
    if !test.wait()?.success() {
        return Ok(ExitCode::FAILURE);
    }
    let sum = |name: &str| runs.iter().filter_map(|run| run[name].as_u64()).sum::<u64>();
    let [faults, commands, lost, seconds] = ["faults", "commands", "lost", "seconds"].map(sum);
    ensure!(faults >= u64::from(options.count), "the tests gave figures of {faults} faults");
    println!(
        "{}",
        json!({
            "bench": "faults", "faults": faults, "commands": commands, "lost": lost, "seconds": seconds, "runs": runs,
        })
    );
    Ok(ExitCode::SUCCESS)
}
