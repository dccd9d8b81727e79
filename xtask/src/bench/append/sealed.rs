//! How many events a second come as far as a published seal when nothing has to come over HTTP. What is measured stands in
//! `tests/examples/sealed.rs`, for it uses crates of the product, and the chores know none of them.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Measured, milliseconds, query};
use crate::bench::engine::{Build, Engine, finish, new_database};

/// The rows, and the engines that they are of.
const ROWS: [(&str, Engine); 2] =
    [("sealed_inprocess", Engine::Postgres), ("sealed_inprocess_sqlite", Engine::Sqlite)];

/// Measures both engines, one after the other. The times are those from adding an event to its published seal.
pub(super) fn measure(server: &str, build: &Build, seconds: u64) -> Result<Vec<Measured>> {
    ROWS.into_iter().map(|(name, engine)| measure_one(name, engine, server, build, seconds)).collect()
}

fn measure_one(
    name: &'static str,
    engine: Engine,
    server: &str,
    build: &Build,
    seconds: u64,
) -> Result<Measured> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(crate::repository());
    cargo.args(["run", "--release", "--quiet", "--locked", "-p", "trialseal-tests", "--example", "sealed"]);
    cargo.arg("--").arg(build.folder(&name.replace('_', "-"))?).arg(seconds.to_string());
    if engine == Engine::Postgres {
        cargo.arg(new_database(server, name)?);
    }
    // What was written before is no burden of this one.
    query(server, "CHECKPOINT")?;
    let output = finish(&mut cargo, "events cannot be sealed in process")?;
    let measured = read(name, &String::from_utf8(output.stdout)?)?;
    eprintln!("{name}: {:.0} events/s", measured.events_a_second);
    Ok(measured)
}

/// Adds the figures under their names.
pub(super) fn add(figures: &mut Value, sealed: &[Measured]) {
    for row in sealed {
        figures[row.name] = json!(row.events_a_second.round());
        figures[format!("{}_published_p50_ms", row.name)] = json!(milliseconds(row.p50));
        figures[format!("{}_published_p99_ms", row.name)] = json!(milliseconds(row.p99));
    }
}

/// What the program prints.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    events_a_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

fn read(name: &'static str, printed: &str) -> Result<Measured> {
    let line = printed.lines().next_back().context("sealing in process printed nothing")?;
    let printed: Printed = serde_json::from_str(line).context("sealing in process printed no figures")?;
    let time = |milliseconds: f64| Duration::try_from_secs_f64(milliseconds / 1000.0);
    Ok(Measured {
        name,
        events_a_second: printed.events_a_second,
        p50: time(printed.p50_ms)?,
        p99: time(printed.p99_ms)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_bear_the_name_of_their_row() {
        let line = json!({"eventsASecond": 7000.4, "p50Ms": 600.0, "p99Ms": 1200.04, "events": 70_000});
        let sealed = [read("sealed_inprocess_sqlite", &format!("{line}\n")).unwrap()];
        let mut figures = json!({"bench": "append"});
        add(&mut figures, &sealed);
        let expected = json!({
            "bench": "append", "sealed_inprocess_sqlite": 7000.0,
            "sealed_inprocess_sqlite_published_p50_ms": 600.0,
            "sealed_inprocess_sqlite_published_p99_ms": 1200.0,
        });
        assert_eq!(figures, expected);
    }

    #[test]
    fn what_is_no_figure_is_none() {
        for printed in ["", "{}\n", "{\"eventsASecond\": 1, \"p50Ms\": -1, \"p99Ms\": 1}\n"] {
            assert!(read("sealed_inprocess", printed).is_err(), "{printed}");
        }
    }
}
