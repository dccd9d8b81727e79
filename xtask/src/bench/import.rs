//! How fast a large file is taken in over HTTP, and how much memory the service needs for it: one fresh service a size.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::engine::{Build, Engine};
use super::trial::Trial;
use crate::dataset_json::{Column, Dataset, text};
use crate::rng::Rng;

/// Rows of one participant in the generated file, as in the CDISC pilot's LB.
const ROWS_PER_PARTICIPANT: u64 = 200;

/// How much more memory the largest file may need than the smallest: it is not to grow with what was recorded.
const MOST_MEMORY_RATIO: f64 = 1.2;

/// What the measurement can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Numbers of rows, smallest first
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    rows: Vec<u64>,
    /// The database engine
    #[arg(long, value_enum, default_value_t = Engine::Sqlite)]
    engine: Engine,
    /// A PostgreSQL server in which databases can be made
    #[arg(long, env = "TRIALSEAL_TEST_POSTGRES", hide_env_values = true)]
    postgres: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    println!(
        "Imports generated laboratory rows (Dataset-JSON, 23 columns) into a fresh service on {}, {:?} rows, and\n\
         measures rows a second from the first byte sent to the last row recorded, and the service's peak memory\n\
         (VmHWM) once all of it is sealed and a receipt was made. Good is at most {MOST_MEMORY_RATIO} times as much for the\n\
         last as for the first.",
        options.engine.name(),
        options.rows
    );
    let build = Build::release()?;
    let runs: Vec<Value> =
        options.rows.iter().map(|rows| measure(&build, options, *rows)).collect::<Result<_>>()?;
    let memory = |run: Option<&Value>| run.and_then(|run| run["vmHwmKib"].as_f64());
    let ratio = memory(runs.last()).zip(memory(runs.first())).map(|(last, first)| last / first);
    let is_good = ratio.is_some_and(|ratio| ratio <= MOST_MEMORY_RATIO)
        && runs.iter().all(|run| run["rows"] == run["rowsRecorded"]);
    println!(
        "{}",
        json!({
            "bench": "import", "engine": options.engine.name(), "runs": runs, "memoryRatio": ratio,
            "good": is_good,
        })
    );
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(build: &Build, options: &Options, rows: u64) -> Result<Value> {
    let name = format!("import-{}-{rows}", options.engine.name());
    let file = build.folder(&format!("{name}-file"))?.join("lb.json");
    write_rows(&file, rows)?;
    let service = build.start(&name, options.engine, options.postgres.as_deref())?;
    let trial = Trial::register(&service, "BENCH")?;
    let (done, seconds) = trial.import(&file)?;
    let recorded = Instant::now();
    let events = trial.seal()?;
    let sealed_after_seconds = recorded.elapsed().as_secs_f64();
    let memory_kib = service.peak_memory_kib()?;
    service.stop()?;
    let bytes = fs::metadata(&file)?.len();
    fs::remove_file(&file)?;
    let rate = u32::try_from(rows).map_or(f64::NAN, |rows| f64::from(rows) / seconds);
    eprintln!("{rows} rows: {rate:.0} rows/s, {} MiB at most", memory_kib / 1024);
    Ok(json!({
        "rows": rows,
        "rowsRecorded": done["rowsRecorded"],
        "events": events,
        "bytes": bytes,
        "seconds": seconds,
        "rowsPerSecond": rate,
        "sealedAfterSeconds": sealed_after_seconds,
        "vmHwmKib": memory_kib,
    }))
}

const COLUMNS: &[Column] = &[
    ("STUDYID", "Study Identifier", "string"),
    ("DOMAIN", "Domain Abbreviation", "string"),
    ("USUBJID", "Unique Subject Identifier", "string"),
    ("LBSEQ", "Sequence Number", "integer"),
    ("LBTESTCD", "Lab Test or Examination Short Name", "string"),
    ("LBTEST", "Lab Test or Examination Name", "string"),
    ("LBCAT", "Category for Lab Test", "string"),
    ("LBORRES", "Result or Finding in Original Units", "string"),
    ("LBORRESU", "Original Units", "string"),
    ("LBORNRLO", "Reference Range Lower Limit in Orig Unit", "string"),
    ("LBORNRHI", "Reference Range Upper Limit in Orig Unit", "string"),
    ("LBSTRESC", "Character Result/Finding in Std Format", "string"),
    ("LBSTRESN", "Numeric Result/Finding in Standard Units", "double"),
    ("LBSTRESU", "Standard Units", "string"),
    ("LBSTNRLO", "Reference Range Lower Limit-Std Units", "double"),
    ("LBSTNRHI", "Reference Range Upper Limit-Std Units", "double"),
    ("LBNRIND", "Reference Range Indicator", "string"),
    ("LBBLFL", "Baseline Flag", "string"),
    ("VISITNUM", "Visit Number", "double"),
    ("VISIT", "Visit Name", "string"),
    ("VISITDY", "Planned Study Day of Visit", "integer"),
    ("LBDTC", "Date/Time of Specimen Collection", "string"),
    ("LBDY", "Study Day of Specimen Collection", "integer"),
];

/// Test code, name, unit, and the normal range in tenths of the unit.
const TESTS: [(&str, &str, &str, u32, u32); 4] = [
    ("ALB", "Albumin", "g/L", 330, 490),
    ("K", "Potassium", "mmol/L", 34, 54),
    ("GLUC", "Glucose", "mmol/L", 39, 58),
    ("CREAT", "Creatinine", "umol/L", 600, 1100),
];

/// Writes a file of so many laboratory results.
pub(super) fn write_rows(path: &Path, rows: u64) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut rng = Rng::new(rows);
    let dataset = Dataset {
        study: "BENCH",
        name: "LB",
        label: "Laboratory Test Results",
        columns: COLUMNS,
        records: rows,
    };
    dataset.write(&mut out, (0..rows).map(|row| laboratory_row(row, &mut rng)))?;
    out.flush()?;
    Ok(())
}

fn laboratory_row(row: u64, rng: &mut Rng) -> [String; 23] {
    let (code, name, unit, low, high) = rng.pick(TESTS);
    let tenths = |value: u32| format!("{}.{}", value / 10, value % 10);
    let result = rng.between(low * 8 / 10, high * 12 / 10);
    let indicator = if result < low {
        "LOW"
    } else if result > high {
        "HIGH"
    } else {
        "NORMAL"
    };
    let sequence = row % ROWS_PER_PARTICIPANT + 1;
    let visit = sequence / 20 + 1;
    let day = visit * 14;
    [
        text("BENCH"),
        text("LB"),
        text(&format!("01-{:06}", row / ROWS_PER_PARTICIPANT)),
        sequence.to_string(),
        text(code),
        text(name),
        text("CHEMISTRY"),
        text(&tenths(result)),
        text(unit),
        text(&tenths(low)),
        text(&tenths(high)),
        text(&tenths(result)),
        tenths(result),
        text(unit),
        tenths(low),
        tenths(high),
        text(indicator),
        if visit == 1 { text("Y") } else { "null".to_owned() },
        format!("{visit}.0"),
        text(&format!("WEEK {}", visit * 2)),
        day.to_string(),
        text(&format!("2025-{:02}-{:02}T{:02}:15", visit % 12 + 1, day % 28 + 1, rng.between(7, 17))),
        (day + 1).to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_file_is_what_it_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lb.json");
        write_rows(&path, 450).unwrap();
        let file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let rows = file["rows"].as_array().unwrap();
        assert_eq!((rows.len(), file["records"].as_u64()), (450, Some(450)));
        assert_eq!(file["columns"].as_array().unwrap().len(), 23);
        assert!(rows.iter().all(|row| row.as_array().unwrap().len() == 23));
        assert_eq!(rows[449][2], "01-000002");
    }
}
