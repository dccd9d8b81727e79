//! Whether recording, opening, sealing and proving cost the same however large the record is, and what a seal costs in which
//! all of many trials changed. What is measured stands in `tests/examples/scale/`, for it uses crates of the product, and
//! the chores know none of them.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::engine::{Build, Engine, drop_database, new_database, run_again_with_postgres};

/// The least that the pace at full size may be of the first.
const LEAST_PACE: f64 = 0.85;
/// The most processor time in milliseconds that a seal of many trials may need of the service.
const MOST_SEAL_CPU_MS: f64 = 100.0;

/// What the measurement can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Events that the record grows to
    #[arg(long, default_value_t = 1_000_000)]
    events: u32,
    /// Trials that all change in one seal
    #[arg(long, default_value_t = 10_000)]
    trials: u32,
    /// The database engine
    #[arg(long, value_enum, default_value_t = Engine::Postgres)]
    engine: Engine,
    /// A PostgreSQL server in which databases can be made; without one, one that waits for its disk is started for the while
    #[arg(long, env = "TRIALSEAL_TEST_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let url = match (options.engine, options.postgres.as_deref()) {
        (Engine::Sqlite, _) => None,
        (Engine::Postgres, None) => return run_again_with_postgres(&["--durable"]),
        (Engine::Postgres, Some(server)) => Some(new_database(server, "scale")?),
    };
    println!(
        "Records {} events on {} in process, at full speed and sealing once a second, and measures single steps after\n\
         the first 100,000 and at the end; then seals in which {} trials changed. Good is a pace at the end of at least\n\
         {LEAST_PACE} times the first, and at most {MOST_SEAL_CPU_MS} ms of processor time for such a seal.",
        options.events,
        options.engine.name(),
        options.trials
    );
    let folder = Build::without_service()?.folder("scale")?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(crate::repository()).stderr(Stdio::inherit());
    cargo.args([
        "run",
        "--release",
        "--quiet",
        "--locked",
        "-p",
        "trialseal-tests",
        "--example",
        "scale",
        "--",
    ]);
    cargo.arg(&folder).arg(options.events.to_string()).arg(options.trials.to_string()).args(url);
    let output = cargo.output()?;
    // It takes more room than anybody will want to give it for longer.
    std::fs::remove_dir_all(&folder)?;
    if let (Engine::Postgres, Some(server)) = (options.engine, options.postgres.as_deref()) {
        drop_database(server, "scale")?;
    }
    ensure!(output.status.success(), "the measurement failed");
    let printed = String::from_utf8(output.stdout)?;
    let measured: Value = serde_json::from_str(printed.trim()).context("there are no figures")?;
    print!("{}", table(&measured));
    let (mut figures, good) = judge(measured)?;
    figures["bench"] = json!("scale");
    figures["engine"] = json!(options.engine.name());
    println!("{figures}");
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The figures with what they are held against.
fn judge(mut figures: Value) -> Result<(Value, bool)> {
    let number =
        |place: &str| figures.pointer(place).and_then(Value::as_f64).with_context(|| format!("no {place}"));
    let pace = number("/last/eventsASecond")? / number("/first/eventsASecond")?;
    let good = pace >= LEAST_PACE && number("/manyTrials/seal/cpuMs")? <= MOST_SEAL_CPU_MS;
    figures["paceRatio"] = json!((pace * 1000.0).round() / 1000.0);
    figures["good"] = json!(good);
    Ok((figures, good))
}

/// A line for each step, with its figures at the small size and at the full one.
fn table(figures: &Value) -> String {
    let mut table = vec![format!("{:<34} {:>10} {:>10} {:>6}", "", "at first", "at the end", "ratio")];
    let number = |place: &str| figures.pointer(place).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let mut line = |name: &str, first: f64, last: f64| {
        table.push(format!("{name:<34} {first:>10.1} {last:>10.1} {:>6.2}", last / first));
    };
    for (name, member) in [
        ("events/s", "eventsASecond"),
        ("CPU of an event, µs", "cpuUs"),
        ("CPU of an event in PostgreSQL, µs", "serverCpuUs"),
    ] {
        line(name, number(&format!("/first/{member}")), number(&format!("/last/{member}")));
    }
    for step in ["open", "append", "seal", "prove"] {
        for (what, member) in [("ms", "ms"), ("CPU ms", "cpuMs"), ("CPU in PostgreSQL, ms", "serverCpuMs")] {
            let at = |size: &str| number(&format!("/{size}/{step}/{member}"));
            line(&format!("{step}, {what}"), at("small"), at("full"));
        }
    }
    for (step, name) in [
        ("seal", "a seal of all trials"),
        ("firstSeal", "the first such seal after a start"),
        ("open", "opening that ledger"),
    ] {
        let at = |member: &str| number(&format!("/manyTrials/{step}/{member}"));
        table.push(format!(
            "{name}: {:.1} ms, CPU {:.1} ms (at most {:.1}), in PostgreSQL {:.1} ms",
            at("ms"),
            at("cpuMs"),
            at("cpuMsMax"),
            at("serverCpuMs")
        ));
    }
    table.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(last: f64, seal: f64) -> Value {
        json!({
            "first": {"eventsASecond": 20_000.0, "cpuUs": 20.0},
            "last": {"eventsASecond": last, "cpuUs": 30.0},
            "manyTrials": {"seal": {"ms": 200.0, "cpuMs": seal, "cpuMsMax": 70.0, "serverCpuMs": 60.0}},
        })
    }

    #[test]
    fn what_grows_with_the_record_is_not_good() {
        for (last, seal, good) in [
            (17_000.0, 60.0, true),
            (16_999.0, 60.0, false),
            (25_000.0, 100.1, false),
            (25_000.0, 100.0, true),
        ] {
            let (judged, is_good) = judge(figures(last, seal)).unwrap();
            assert_eq!((is_good, &judged["good"]), (good, &json!(good)), "{judged}");
        }
        assert!(judge(json!({})).is_err());
    }

    #[test]
    fn the_table_sets_the_end_beside_the_beginning() {
        let table = table(&figures(17_000.0, 66.6));
        let has = |line: &[&str]| table.lines().any(|l| l.split_whitespace().eq(line.iter().copied()));
        assert!(has(&["events/s", "20000.0", "17000.0", "0.85"]), "{table}");
        assert!(has(&["CPU", "of", "an", "event,", "µs", "20.0", "30.0", "1.50"]), "{table}");
        assert!(table.contains("a seal of all trials: 200.0 ms, CPU 66.6 ms (at most 70.0)"), "{table}");
    }
}
