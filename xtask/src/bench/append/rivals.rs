//! Other event stores, fed the same data on the same PostgreSQL in the same run. Each is installed in the version pinned in
//! `xtask/rivals`, and called in the process of its own driver: none has to understand HTTP, as ours does.
//!
//! To add one: a driver in `xtask/rivals` that takes the path of a plan and prints one line of JSON, and a row in [`RIVALS`].

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{EVENTS_A_PARTICIPANT, Load, Measured, WARM_UP, query};
use crate::bench::engine::{Build, finish, new_database};

/// What a driver is written in.
#[derive(Debug, Clone, Copy)]
enum Driver {
    /// A program of `xtask/rivals/node`.
    Node(&'static str),
    /// The package `xtask/rivals/cqrs-es`.
    Cargo,
}

/// An event store to compare with.
#[derive(Debug, Clone, Copy)]
struct Rival {
    /// Its name and version.
    title: &'static str,
    driver: Driver,
    loads: [Load; 2],
    /// Counts the events it has stored.
    count: &'static str,
}

const RIVALS: [Rival; 3] = [
    Rival {
        title: "Message DB 1.3.1",
        driver: Driver::Node("message-db.mjs"),
        loads: loads(["message_db_64x10", "message_db_64x1"]),
        count: "SELECT count(*) FROM message_store.messages",
    },
    Rival {
        title: "Emmett 0.42.0",
        driver: Driver::Node("emmett.mjs"),
        loads: loads(["emmett_64x10", "emmett_64x1"]),
        count: "SELECT count(*) FROM emt_messages",
    },
    Rival {
        title: "cqrs-es 0.5.0",
        driver: Driver::Cargo,
        loads: loads(["cqrs_es_64x10", "cqrs_es_64x1"]),
        count: "SELECT count(*) FROM events",
    },
];

/// The loads that are measured of ours, too.
const COMPARED: [&str; 2] = ["64x10", "64x1"];

const fn loads([ten, one]: [&'static str; 2]) -> [Load; 2] {
    [Load::full(ten, 64, 10), Load::full(one, 64, 1)]
}

/// What came of comparing.
#[derive(Default)]
pub(super) struct Comparison {
    pub(super) measured: Vec<Measured>,
    /// For each that could not be measured, a sentence that says why.
    pub(super) missing: Vec<String>,
}

/// Installs and measures all of them, one after the other. Each gets a database of its own on the server.
pub(super) fn compare(server: &str, build: &Build, seconds: u64, record: &str) -> Result<Comparison> {
    let record: Value = serde_json::from_str(record)?;
    let mut comparison = Comparison::default();
    for rival in RIVALS {
        eprintln!("{}: installing", rival.title);
        let measured = rival.install(build).and_then(|driver| {
            rival.measure(driver, server, &build.kept_folder("rivals")?, seconds, &record)
        });
        match measured {
            Ok(measured) => comparison.measured.extend(measured),
            Err(why) => comparison.missing.push(format!("{} is missing: {why:#}", rival.title)),
        }
    }
    Ok(comparison)
}

/// The rate of the fastest of them under each load, and what part of it ours comes to. Only if none is missing: the fastest
/// might be that one.
pub(super) fn add_fastest(figures: &mut Value, comparison: &Comparison) {
    if !comparison.missing.is_empty() {
        return;
    }
    for load in COMPARED {
        let of_this_load = comparison.measured.iter().filter(|measured| measured.name.ends_with(load));
        let Some(fastest) = of_this_load.map(|measured| measured.events_a_second).reduce(f64::max) else {
            continue;
        };
        figures[format!("fastest_rival_{load}")] = json!(fastest.round());
        if let Some(ours) = figures[format!("http_{load}")].as_f64() {
            figures[format!("http_{load}_of_fastest_rival")] =
                json!((ours / fastest * 100.0).round() / 100.0);
        }
    }
}

impl Rival {
    /// Makes its driver ready to run.
    fn install(&self, build: &Build) -> Result<Command> {
        let sources = crate::repository().join("xtask/rivals");
        match self.driver {
            Driver::Node(program) => {
                let folder = build.kept_folder("rivals/node")?;
                install_packages(&sources.join("node"), &folder)?;
                let mut node = Command::new("node");
                node.arg(folder.join(program));
                Ok(node)
            }
            Driver::Cargo => {
                let folder = build.kept_folder("rivals/cqrs-es")?;
                let manifest = sources.join("cqrs-es/Cargo.toml");
                let mut cargo = Command::new(env!("CARGO"));
                cargo.args(["build", "--release", "--locked", "--manifest-path"]).arg(manifest);
                finish(cargo.arg("--target-dir").arg(&folder), "its driver does not build")?;
                Ok(Command::new(folder.join("release/rival-cqrs-es")))
            }
        }
    }

    fn measure(
        &self,
        mut driver: Command,
        server: &str,
        folder: &Path,
        seconds: u64,
        record: &Value,
    ) -> Result<Vec<Measured>> {
        let [Load { name, .. }, _] = self.loads;
        let database = new_database(server, name)?;
        let plan = json!({
            "database": database, "warmUpSeconds": WARM_UP.as_secs(), "seconds": seconds,
            "eventsAStream": EVENTS_A_PARTICIPANT, "record": record,
            "loads": self.loads.map(|load| json!({"name": load.name, "clients": load.clients, "events": load.events})),
        });
        let path = folder.join(format!("{name}.json"));
        fs::write(&path, plan.to_string())?;
        // What was written before is no burden of this one.
        query(server, "CHECKPOINT")?;
        let output = finish(driver.arg(path), "its driver failed")?;
        let (measured, stored) = read(&self.loads, &String::from_utf8(output.stdout)?)?;
        let found: u64 = query(&database, self.count)?.parse()?;
        ensure!(found >= stored, "it says that it stored {stored} events, and {found} are in its database");
        Ok(measured)
    }
}

/// Brings the drivers and the packages that they need into a folder, unless they are there.
fn install_packages(sources: &Path, folder: &Path) -> Result<()> {
    let lock = fs::read(sources.join("package-lock.json"))?;
    for entry in fs::read_dir(sources)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
    }
    for program in ["node", "npm"] {
        let answer = Command::new(program).arg("--version").output();
        ensure!(
            answer.is_ok_and(|answer| answer.status.success()),
            "it runs on Node.js, and {program} is not here: install Node.js 20 or newer with npm"
        );
    }
    // Written last, so that what was interrupted is done again.
    let installed: PathBuf = folder.join("installed.json");
    if fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    finish(&mut npm, "its packages cannot be installed")?;
    fs::write(installed, lock)?;
    Ok(())
}

/// What a driver prints.
#[derive(Deserialize)]
struct Printed {
    loads: Vec<PrintedLoad>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrintedLoad {
    name: String,
    events_a_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Events of all requests that were answered, whenever that was.
    stored: u64,
}

/// What a driver measured, and how many events it says that it stored.
fn read(loads: &[Load], printed: &str) -> Result<(Vec<Measured>, u64)> {
    let line = printed.lines().next_back().context("its driver printed nothing")?;
    let printed: Printed = serde_json::from_str(line).context("its driver did not print what it measured")?;
    let measured = loads.iter().map(|load| {
        let of_load = printed.loads.iter().find(|printed| printed.name == load.name);
        let of_load = of_load.with_context(|| format!("its driver measured no {}", load.name))?;
        let time = |milliseconds: f64| Duration::try_from_secs_f64(milliseconds / 1000.0);
        eprintln!("{}: {:.0} events/s", load.name, of_load.events_a_second);
        Ok(Measured {
            name: load.name,
            events_a_second: of_load.events_a_second,
            p50: time(of_load.p50_ms)?,
            p99: time(of_load.p99_ms)?,
        })
    });
    let measured = measured.collect::<Result<Vec<_>>>()?;
    Ok((measured, printed.loads.iter().map(|load| load.stored).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(file: &str) -> String {
        fs::read_to_string(crate::repository().join("xtask/rivals").join(file)).unwrap()
    }

    #[test]
    fn the_versions_named_are_those_that_are_installed() {
        let packages: Value = serde_json::from_str(&source("node/package.json")).unwrap();
        let version = |package: &str| packages["dependencies"][package].as_str().unwrap().to_owned();
        let [message_db, emmett, cqrs_es] = RIVALS.map(|rival| rival.title);
        assert_eq!(message_db, format!("Message DB {}", version("@eventide/message-db")));
        assert_eq!(emmett, format!("Emmett {}", version("@event-driven-io/emmett-postgresql")));
        let pinned = format!("\ncqrs-es = \"={}\"\n", cqrs_es.strip_prefix("cqrs-es ").unwrap());
        assert!(source("cqrs-es/Cargo.toml").contains(&pinned), "{pinned}");
    }

    #[test]
    fn what_is_installed_is_pinned_without_saying_from_where() {
        let lock: Value = serde_json::from_str(&source("node/package-lock.json")).unwrap();
        let packages = lock["packages"].as_object().unwrap();
        for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
            assert!(package["integrity"].is_string() && package["resolved"].is_null(), "{name}");
        }
    }

    #[test]
    fn each_load_is_read_from_the_last_line() {
        let line = json!({"loads": [
            {"name": "emmett_64x1", "eventsASecond": 100.5, "p50Ms": 3.0, "p99Ms": 9.5, "stored": 70},
            {"name": "emmett_64x10", "eventsASecond": 900.0, "p50Ms": 4.0, "p99Ms": 8.0, "stored": 300},
        ]});
        let [_, emmett, cqrs_es] = RIVALS;
        let (measured, stored) = read(&emmett.loads, &format!("a word\n{line}\n")).unwrap();
        assert_eq!(
            measured.iter().map(|load| load.name).collect::<Vec<_>>(),
            ["emmett_64x10", "emmett_64x1"]
        );
        assert_eq!((measured[1].p99, stored), (Duration::from_micros(9500), 370));
        assert!(read(&cqrs_es.loads, &line.to_string()).is_err());
        assert!(read(&emmett.loads, "").is_err());
    }

    #[test]
    fn ours_is_compared_with_the_fastest_and_only_if_all_are_there() {
        let measured = |name, events_a_second| {
            let time = Duration::from_millis(1);
            Measured { name, events_a_second, p50: time, p99: time }
        };
        let mut comparison = Comparison {
            measured: vec![
                measured("message_db_64x10", 1000.0),
                measured("emmett_64x10", 400.0),
                measured("message_db_64x1", 300.0),
                measured("emmett_64x1", 500.0),
            ],
            missing: Vec::new(),
        };
        let ours = json!({"http_64x10": 2500.0, "http_64x1": 250.0});
        let mut figures = ours.clone();
        add_fastest(&mut figures, &comparison);
        assert_eq!(figures["fastest_rival_64x10"], 1000.0);
        assert_eq!(figures["http_64x10_of_fastest_rival"], 2.5);
        assert_eq!(figures["http_64x1_of_fastest_rival"], 0.5);
        comparison.missing.push("cqrs-es is missing".to_owned());
        let mut figures = ours.clone();
        add_fastest(&mut figures, &comparison);
        assert_eq!(figures, ours);
    }
}
