//! Looking at all of a file before any of it is recorded.

use std::io::{self, Read};
use std::ops::ControlFlow;

use trialseal_record::values::DatasetMetadata;

use super::cells::Columns;
use super::dataset::{Outline, Unreadable, for_each_row, outline};
use super::status::{LISTED_ROWS, RefusedRow};

/// The versions of the standard that can be read: 1.1 and its corrections.
const STANDARD: &str = "1.1";

/// What a file came to.
#[derive(Debug)]
pub(super) enum Checked {
    /// Every row can be taken.
    Sound(Box<Plan>),
    /// It cannot be taken.
    Refused(Refused),
}

/// How to read the rows of a file.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) metadata: DatasetMetadata,
    pub(super) columns: Columns,
}

/// Why a file cannot be taken; never repeats a value.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// What is wrong with the file as a whole.
    pub(super) problem: Option<String>,
    /// The first bad rows.
    pub(super) rows: Vec<RefusedRow>,
    /// Number of bad rows.
    pub(super) rows_total: u64,
}

impl From<String> for Refused {
    fn from(problem: String) -> Self {
        Self { problem: Some(problem), ..Self::default() }
    }
}

/// Checks the file that `open` opens, reading it twice. An error says that the file cannot be got at.
pub(super) fn check<R: Read>(open: impl Fn() -> io::Result<R>) -> io::Result<Checked> {
    let plan = match outline(open()?) {
        Ok(outline) => plan(outline),
        Err(Unreadable::Spool(error)) => return Err(error),
        Err(unreadable) => Err(unreadable.to_string()),
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(problem) => return Ok(Checked::Refused(problem.into())),
    };
    let mut refused = Refused::default();
    let read = for_each_row(open()?, |raw| {
        if let Err(bad) = plan.columns.row(&raw.json) {
            refused.rows_total += 1;
            if refused.rows.len() < LISTED_ROWS {
                let rule = bad.rule.to_owned();
                refused.rows.push(RefusedRow { row: raw.row, line: raw.line, rule, message: bad.message });
            }
        }
        ControlFlow::Continue(())
    });
    match read {
        Ok(()) if refused.rows_total == 0 => Ok(Checked::Sound(Box::new(plan))),
        Ok(()) => Ok(Checked::Refused(refused)),
        Err(Unreadable::Spool(error)) => Err(error),
        Err(unreadable) => Ok(Checked::Refused(unreadable.to_string().into())),
    }
}

fn plan(outline: Outline) -> Result<Plan, String> {
    let Outline { metadata, rows } = outline;
    let version = &metadata.dataset_json_version;
    let correction = version.strip_prefix(STANDARD);
    if !correction.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
        return Err(format!("the file is of another version of Dataset-JSON than {STANDARD}"));
    }
    if metadata.records != rows {
        return Err(format!("`records` says {} and the file has {rows} rows", metadata.records));
    }
    let columns = Columns::new(metadata.name.as_str(), &metadata.columns)?;
    Ok(Plan { metadata, columns })
}
