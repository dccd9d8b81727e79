//! How many checkpoints a second one witness cosigns on one processor, with its journal synced before each answer. What is
//! measured stands in `services/witness/examples/load.rs`, for it uses crates of the product, and the chores know none of
//! them.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::engine::Build;

/// What the measurement can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds that are measured, after one of warming up
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Cosign with an ML-DSA-44 key as well
    #[arg(long)]
    ml_dsa: bool,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    println!(
        "Has one witness, held to one processor, cosign for 16 logs at once over HTTP, {} s after 1 s of warming up.\n\
         Every request has its own consistency proof; every answer is on the disk before it is sent.",
        options.seconds
    );
    let build = Build::of(&["trialseal-witness"])?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(crate::repository()).stderr(Stdio::inherit());
    cargo.args([
        "run",
        "--release",
        "--quiet",
        "--locked",
        "-p",
        "trialseal-witness",
        "--example",
        "load",
        "--",
    ]);
    cargo.arg(build.program("trialseal-witness")).arg(build.folder("witness")?);
    cargo.arg(options.seconds.to_string()).args(options.ml_dsa.then_some("--ml-dsa"));
    let output = cargo.output().context("cargo cannot be started")?;
    ensure!(output.status.success(), "the witness cannot be measured");
    let mut figures = read(&String::from_utf8(output.stdout)?)?;
    figures["ml_dsa"] = json!(options.ml_dsa);
    if figures["pinned"] == false {
        println!("There is no taskset here, so the witness had all processors.");
    }
    println!(
        "{} add-checkpoint/s, half of them answered within {} ms, 99 of 100 within {} ms",
        figures["add_checkpoint"], figures["p50_ms"], figures["p99_ms"]
    );
    println!("{figures}");
    Ok(ExitCode::SUCCESS)
}

/// What the program prints.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    answers_a_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    pinned: bool,
}

fn read(printed: &str) -> Result<Value> {
    let line = printed.lines().next_back().context("the load printed nothing")?;
    let Printed { answers_a_second, p50_ms, p99_ms, pinned } =
        serde_json::from_str(line).context("the load printed no figures")?;
    Ok(json!({
        "bench": "witness", "add_checkpoint": answers_a_second.round(), "p50_ms": p50_ms, "p99_ms": p99_ms,
        "pinned": pinned,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_and_nothing_else_is() {
        let line = "{\"answersASecond\":2500.4,\"p50Ms\":2.041,\"p99Ms\":11.2,\"pinned\":true}\n";
        let expected = json!({
            "bench": "witness", "add_checkpoint": 2500.0, "p50_ms": 2.041, "p99_ms": 11.2, "pinned": true,
        });
        assert_eq!(read(line).unwrap(), expected);
        for printed in ["", "{}\n", "2500\n"] {
            assert!(read(printed).is_err(), "{printed}");
        }
    }
}
