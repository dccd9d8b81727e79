//! How fast the record is read, checked and decrypted, and how fast the read models are folded from it. What is measured stands
//! in `tests/examples/rebuild.rs`, for it uses crates of the product, and the chores know none of them.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::engine::{Build, Engine, finish, new_database, run_again_with_postgres};

/// What the measurement can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Events of the record that is read
    #[arg(long, default_value_t = 200_000)]
    events: u64,
    /// A PostgreSQL server in which databases can be made; without one, one is started for the while
    #[arg(long, env = "TRIALSEAL_TEST_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
}

/// How fast something was done, in events.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rates {
    /// For each second of processor time that the service's process used.
    events_a_cpu_second: f64,
    /// For each second of the clock.
    events_a_second: f64,
    cpu_seconds: f64,
}

/// What the program prints.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    events: u64,
    catch_up: Rates,
    fold: Rates,
    rebuild: Rates,
}

impl Printed {
    fn rows(&self) -> [(&'static str, &Rates); 3] {
        [("catch_up", &self.catch_up), ("fold", &self.fold), ("rebuild", &self.rebuild)]
    }
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let Some(url) = options.postgres.as_deref() else { return run_again_with_postgres(&[]) };
    println!(
        "Records {} events of 20 fields and some 500 bytes in process; then reads, checks and decrypts them (catch_up), and\n\
         folds the four read models from them, once as the running service does it (fold) and once by a rebuild (rebuild).",
        options.events
    );
    let build = Build::release()?;
    let mut figures = json!({"bench": "rebuild", "events": options.events});
    println!("{:<20} {:>18} {:>12} {:>14}", "", "events/CPU second", "events/s", "CPU µs/event");
    for engine in [Engine::Postgres, Engine::Sqlite] {
        let printed = measure(engine, url, &build, options.events)?;
        for (what, rates) in printed.rows() {
            let name = format!("{}_{what}", engine.name());
            let micros = rates.cpu_seconds * 1e6 / u32::try_from(printed.events).map_or(f64::NAN, f64::from);
            println!(
                "{name:<20} {:>18.0} {:>12.0} {micros:>14.1}",
                rates.events_a_cpu_second, rates.events_a_second
            );
            add(&mut figures, &name, rates);
        }
    }
    println!(
        "(a CPU second is one of the service's process; with PostgreSQL the database's own are not in it)"
    );
    println!("{figures}");
    Ok(ExitCode::SUCCESS)
}

fn add(figures: &mut Value, name: &str, rates: &Rates) {
    figures[name] = json!(rates.events_a_cpu_second.round());
    figures[format!("{name}_wall")] = json!(rates.events_a_second.round());
}

fn measure(engine: Engine, server: &str, build: &Build, events: u64) -> Result<Printed> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(crate::repository());
    cargo.args(["run", "--release", "--quiet", "--locked", "-p", "trialseal-tests", "--example", "rebuild"]);
    let name = format!("rebuild-{}", engine.name());
    cargo.arg("--").arg(build.folder(&name)?).arg(events.to_string());
    if engine == Engine::Postgres {
        cargo.arg(new_database(server, &name)?);
    }
    let output = finish(&mut cargo, "the read models cannot be rebuilt")?;
    read(&String::from_utf8(output.stdout)?)
}

fn read(printed: &str) -> Result<Printed> {
    let line = printed.lines().next_back().context("the program printed nothing")?;
    serde_json::from_str(line).context("the program printed no figures")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_bear_the_name_of_engine_and_row() {
        let rates =
            |rate: f64| json!({"eventsACpuSecond": rate, "eventsASecond": rate / 2.0, "cpuSeconds": 2.0});
        let line = json!({
            "events": 7, "catchUp": rates(100.4), "fold": rates(50.0), "rebuild": rates(40.0),
        });
        let printed = read(&format!("a word\n{line}\n")).unwrap();
        let mut figures = json!({});
        for (what, rates) in printed.rows() {
            add(&mut figures, &format!("sqlite_{what}"), rates);
        }
        let expected = json!({
            "sqlite_catch_up": 100.0, "sqlite_catch_up_wall": 50.0, "sqlite_fold": 50.0, "sqlite_fold_wall": 25.0,
            "sqlite_rebuild": 40.0, "sqlite_rebuild_wall": 20.0,
        });
        assert_eq!(figures, expected);
        assert!(read("").is_err());
    }
}
