//! The CDISC pilot data in and out again: every file through the API, one dataset as a monitor gets it, the verifier's word
//! on it, and each cell beside that of the original, by a reader that shares no code with the service.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use zip::ZipArchive;

use super::engine::{Build, Engine, run_again_with_postgres};
use super::trial::Trial;
use crate::service::{self, Service, Verifier};

/// Where the pilot study lies if nobody says otherwise: beside the repository.
const PILOT: &str = "../shared/data/cdiscpilot01";

/// What the measurement can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Folder of Dataset-JSON files, from the repository's root; `dm.json` is taken first, as it makes the participants
    #[arg(long, value_name = "DIR", env = "TRIALSEAL_TEST_PILOT_DATA", default_value = PILOT)]
    data: PathBuf,
    /// The database engines
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Engine::Sqlite, Engine::Postgres])]
    engine: Vec<Engine>,
    /// A PostgreSQL server in which databases can be made; without one, one is started for the while
    #[arg(long, env = "TRIALSEAL_TEST_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    if options.engine.contains(&Engine::Postgres) && options.postgres.is_none() {
        return run_again_with_postgres(&[]);
    }
    let files = dataset_files(&crate::repository().join(&options.data))?;
    println!(
        "Imports the {} datasets of the CDISC pilot study, seals, exports as a monitor, verifies offline, and compares\n\
         every cell with the original, byte by byte.",
        files.len()
    );
    let build = Build::release()?;
    let url = options.postgres.as_deref();
    let runs: Vec<Value> =
        options.engine.iter().map(|engine| measure(&build, &files, *engine, url)).collect::<Result<_>>()?;
    let is_good = runs.iter().all(|run| run["verified"] == true && run["different"] == 0);
    println!("{}", json!({"bench": "cdisc", "runs": runs, "good": is_good}));
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn dataset_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} has no data", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| has_extension(file, "json"));
    ensure!(!files.is_empty(), "{} has no Dataset-JSON file", folder.display());
    files.sort_by_key(|file| (!file.ends_with("dm.json"), file.clone()));
    Ok(files)
}

fn has_extension(file: impl AsRef<Path>, wanted: &str) -> bool {
    file.as_ref().extension().is_some_and(|extension| extension == wanted)
}

fn measure(build: &Build, files: &[PathBuf], engine: Engine, url: Option<&str>) -> Result<Value> {
    let name = format!("cdisc-{}", engine.name());
    let service = build.start(&name, engine, url)?;
    let trial = Trial::register(&service, "CDISCPILOT01")?;
    let started = Instant::now();
    let mut imports = Vec::new();
    for file in files {
        let (done, _) = trial.import(file)?;
        imports.push(json!({
            "dataset": done["dataset"], "rows": done["rows"], "events": done["events"],
            "exceptions": done["exceptions"]["total"],
        }));
    }
    let import_seconds = started.elapsed().as_secs_f64();
    let events = trial.seal()?;
    let exported = take_out(build, &service, &trial, files)?;
    let memory_kib = service.peak_memory_kib()?;
    service.stop()?;
    let mut run = json!({
        "engine": engine.name(), "imports": imports, "events": events, "importSeconds": import_seconds,
        "vmHwmKib": memory_kib,
    });
    if let (Some(run), Value::Object(exported)) = (run.as_object_mut(), exported) {
        run.extend(exported);
    }
    Ok(run)
}

/// Exports, verifies, compares.
fn take_out(build: &Build, service: &Service, trial: &Trial, files: &[PathBuf]) -> Result<Value> {
    let started = Instant::now();
    let folder = service.launch().dir.join("out");
    fs::create_dir_all(&folder)?;
    let materials = service::export(&trial.monitor, trial.id(), &folder)?;
    let export_seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let verifier = Verifier::new(&build.program("trialseal-verify"), &materials.trust)?;
    let verdicts = [verifier.dataset(&materials.dataset)?, verifier.log(&service.launch().dir.join("log"))?];
    let verify_seconds = started.elapsed().as_secs_f64();
    for verdict in verdicts.iter().filter(|verdict| !verdict.is_sound()) {
        eprintln!("{} was not found sound:\n{}", verdict.what, verdict.words);
    }
    let exported = exported_tables(&materials.dataset)?;
    let tables: Vec<Table<'_>> = exported.iter().map(|bytes| Table::parse(bytes)).collect::<Result<_>>()?;
    let mut compared = Comparison::default();
    for file in files {
        compared.add(&Table::parse(&fs::read(file)?)?, &tables)?;
    }
    Ok(json!({
        "exportSeconds": export_seconds,
        "verifySeconds": verify_seconds,
        "verified": verdicts.iter().all(service::Verdict::is_sound),
        "cells": compared.cells,
        "different": compared.different,
    }))
}

/// Every table in a dataset, as its bytes.
fn exported_tables(dataset: &Path) -> Result<Vec<Vec<u8>>> {
    let mut archive = ZipArchive::new(File::open(dataset)?)?;
    let names: Vec<String> =
        archive.file_names().map(|name| Ok(name?.into_owned())).collect::<Result<_>>()?;
    let is_table =
        |name: &&String| name.strip_prefix("data/").is_some_and(|file| has_extension(file, "json"));
    let read = |name: &String| {
        let mut bytes = Vec::new();
        archive.by_name(name)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    names.iter().filter(is_table).map(read).collect()
}

/// A Dataset-JSON file with its cells as the bytes they have in it.
#[derive(Deserialize)]
struct Table<'a> {
    name: String,
    records: usize,
    #[serde(borrow)]
    columns: Vec<&'a RawValue>,
    #[serde(borrow)]
    rows: Vec<Vec<&'a RawValue>>,
}

impl<'a> Table<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// How many cells were compared, and how many have other bytes. A text that the original escapes where JSON does not ask
/// for it counts as different, too.
#[derive(Debug, Default, PartialEq)]
struct Comparison {
    cells: usize,
    different: usize,
}

impl Comparison {
    /// Compares an original with the exported table of its name.
    fn add(&mut self, original: &Table<'_>, exported: &[Table<'_>]) -> Result<()> {
        let same_name = exported.iter().find(|table| table.name == original.name);
        let exported = same_name.with_context(|| format!("{} was not exported", original.name))?;
        ensure!(
            exported.rows.len() == original.rows.len()
                && exported.records == original.records
                && exported.columns.len() == original.columns.len(),
            "{} was exported with {} rows of {} columns, and came in with {} of {}",
            original.name,
            exported.rows.len(),
            exported.columns.len(),
            original.rows.len(),
            original.columns.len()
        );
        for (ours, theirs) in exported.rows.iter().zip(&original.rows) {
            ensure!(ours.len() == theirs.len(), "a row of {} has lost a cell", original.name);
            let is_different = |(ours, theirs): &(&&RawValue, &&RawValue)| ours.get() != theirs.get();
            self.different += ours.iter().zip(theirs).filter(is_different).count();
            self.cells += theirs.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(cell: &str) -> Vec<u8> {
        format!(r#"{{"name": "LB", "records": 1, "columns": [{{}}, {{}}], "rows": [["a", {cell}]]}}"#)
            .into_bytes()
    }

    fn compare(original: &str, exported: &str) -> Comparison {
        let (original, exported) = (table(original), table(exported));
        let mut comparison = Comparison::default();
        comparison.add(&Table::parse(&original).unwrap(), &[Table::parse(&exported).unwrap()]).unwrap();
        comparison
    }

    #[test]
    fn cells_are_compared_to_the_byte() {
        assert_eq!(compare("38.0", "38.0"), Comparison { cells: 2, different: 0 });
        assert_eq!(compare("38.0", "38"), Comparison { cells: 2, different: 1 });
        assert_eq!(compare("38.0", "\"38.0\""), Comparison { cells: 2, different: 1 });
        assert_eq!(compare("\"é\"", "\"é\"").different, 0);
        assert_eq!(compare("\"\\u00e9\"", "\"é\"").different, 1);
        assert_eq!(compare("null", "\"\"").different, 1);
    }

    #[test]
    fn a_table_that_is_missing_is_an_error() {
        let original = table("1");
        assert!(Comparison::default().add(&Table::parse(&original).unwrap(), &[]).is_err());
    }
}
