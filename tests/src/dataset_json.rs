//! CDISC Dataset-JSON 1.1: a simple reader that keeps every cell as the bytes it has in the file, and generated files.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Rng;

/// A file, its cells as the bytes they have in it.
#[derive(Debug, Deserialize)]
pub struct Table<'a> {
    /// Name of the dataset.
    pub name: String,
    /// Number of rows it says it has.
    pub records: usize,
    /// The columns, as they stand in the file.
    pub columns: Vec<Value>,
    /// The rows.
    #[serde(borrow)]
    pub rows: Vec<Vec<&'a RawValue>>,
}

impl<'a> Table<'a> {
    /// Reads a file.
    pub fn parse(bytes: &'a [u8]) -> Self {
        serde_json::from_slice(bytes).unwrap()
    }
}

/// A column: its name and its Dataset-JSON data type.
pub type Column = (&'static str, &'static str);

/// The datasets of a study: name, columns after STUDYID, DOMAIN and USUBJID, rows a subject.
const STUDY: &[(&str, &[Column], u64)] = &[
    ("DM", &[("SUBJID", "string"), ("SITEID", "string"), ("AGE", "integer"), ("SEX", "string")], 1),
    ("AE", &[("AESEQ", "integer"), ("AETERM", "string"), ("AELLTCD", "integer"), ("AESTDY", "integer")], 4),
    ("DS", &[("DSSEQ", "integer"), ("DSDECOD", "string"), ("VISITNUM", "double"), ("DSSTDY", "integer")], 3),
    ("EX", &[("EXSEQ", "integer"), ("EXTRT", "string"), ("EXDOSE", "integer"), ("VISIT", "string")], 2),
    (
        "LB",
        &[("LBSEQ", "integer"), ("LBTESTCD", "string"), ("LBORRES", "string"), ("LBSTRESN", "double")],
        195,
    ),
    ("SV", &[("VISITNUM", "double"), ("VISIT", "string"), ("VISITDY", "integer")], 12),
    ("VS", &[("VSSEQ", "integer"), ("VSTESTCD", "string"), ("VSSTRESN", "double"), ("VSELTM", "string")], 97),
    ("SUPPAE", &[("QNAM", "string"), ("QVAL", "string"), ("IDVARVAL", "integer")], 4),
    ("SUPPDM", &[("QNAM", "string"), ("QVAL", "string"), ("IDVARVAL", "integer")], 4),
];

/// The files of a study, DM first: of the shape and size of the CDISC pilot study, for machines that have not got it.
pub fn generated_study(subjects: u64, rng: &mut Rng) -> Vec<Vec<u8>> {
    let numbers: Vec<String> =
        (0..subjects).map(|n| format!("01-{}-{:04}", 701 + n % 17, 1000 + n)).collect();
    STUDY.iter().map(|(name, columns, rows)| file(name, columns, &numbers, *rows, rng).into_bytes()).collect()
}

/// A laboratory file with some rows for each subject.
pub fn laboratory(subjects: &[String], rows_each: u64, rng: &mut Rng) -> String {
    const COLUMNS: &[Column] = &[("LBSEQ", "integer"), ("LBTESTCD", "string"), ("LBSTRESN", "double")];
    file("LB", COLUMNS, subjects, rows_each, rng)
}

fn file(name: &str, columns: &[Column], subjects: &[String], rows_each: u64, rng: &mut Rng) -> String {
    let all: Vec<Column> = [("STUDYID", "string"), ("DOMAIN", "string"), ("USUBJID", "string")]
        .iter()
        .chain(columns)
        .copied()
        .collect();
    let mut text = head(name, &all, subjects.len() as u64 * rows_each);
    let mut separator = "\n";
    for subject in subjects {
        for row in 0..rows_each {
            write!(text, "{separator}[\"GENERATED\",\"{name}\",\"{subject}\"").unwrap();
            for column in columns {
                write!(text, ",{}", cell(*column, row, rng)).unwrap();
            }
            text.push(']');
            separator = ",\n";
        }
    }
    text + "\n]}\n"
}

/// Everything before the first row.
fn head(name: &str, columns: &[Column], records: u64) -> String {
    let columns: Vec<Value> = columns
        .iter()
        .map(|(column, kind)| {
            json!({"itemOID": format!("IT.{name}.{column}"), "name": column, "label": column, "dataType": kind})
        })
        .collect();
    let mut head = json!({
        "datasetJSONCreationDateTime": "2025-12-01T08:00:00",
        "datasetJSONVersion": "1.1.0",
        "itemGroupOID": format!("IG.{name}"),
        "records": records,
        "name": name,
        "label": name,
        "columns": columns,
    })
    .to_string();
    head.truncate(head.len() - 1);
    head + ",\"rows\":["
}

/// A cell: mostly plain, now and then what a careless reader would change.
fn cell((name, kind): Column, row: u64, rng: &mut Rng) -> String {
    match (kind, rng.between(0, 11)) {
        // What names somebody or a site has to be a name.
        (_, number) if matches!(name, "SUBJID" | "SITEID") => format!("\"7{number:02}\""),
        (_, 0) => "null".to_owned(),
        ("integer", _) if name.ends_with("SEQ") => (row + 1).to_string(),
        ("integer", 1) => "-9007199254740993".to_owned(),
        ("double", 1) => "38.0".to_owned(),
        ("double", 2) => "1.50e-3".to_owned(),
        ("double", 3) => "-0.0".to_owned(),
        ("double", 4) => "0.1234567890123456789012345".to_owned(),
        ("integer", _) | ("double", 5) => rng.between(1, 90).to_string(),
        ("double", _) => format!("{}.{:02}", rng.between(0, 200), rng.between(0, 99)),
        (_, 1) => "\"\"".to_owned(),
        (_, 2) => "\"Größe ≥ 2 µmol/L\"".to_owned(),
        (_, 3) => r#""a \"quoted\" word, a \\ and a\ttab""#.to_owned(),
        (_, 4) => "\"38.0\"".to_owned(),
        _ => format!("\"WORD {}\"", rng.between(1, 40)),
    }
}
